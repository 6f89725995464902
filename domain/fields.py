"""The field table's grammar: columns, tables, and what a type means in Arrow, in SQL and in Python."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a table is: facts are append-only, derived tables can be rebuilt, reference is effective-dated."""

    FACT = "fact"
    DERIVED = "derived"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Field:
    """One column: `type` is a key of domain.schema.TYPES; `role` says how matching uses it; `source` its FIX origin."""

    name: str
    type: str
    required: bool = False
    role: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A named tuple of fields, from which the Arrow schema, the frozen record and the DDL are generated."""

    name: str
    kind: Kind
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self.fields)


def columns(text: str) -> tuple[Field, ...]:
    """Fields from compact lines `name type [!] [role] [| source]`; `!` marks a required column."""
    fields = []
    for line in text.strip().splitlines():
        head, _, source = line.partition("|")
        name, kind, *rest = head.split()
        required = "!" in rest
        role = " ".join(word for word in rest if word != "!")
        fields.append(Field(name, kind, required, role, source.strip()))
    return tuple(fields)
