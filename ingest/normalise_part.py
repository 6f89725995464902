"""One feed's messages while they are normalised: index, problems, and columns looked up by field name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from domain.schema import TYPES
from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.fix.decode import Rows, Segments
from ingest.fix.flags import Flag
from ingest.fix.index import Bools, FieldIndex, Ints
from ingest.fix.plans import Family
from ingest.fix.tags import tag_name
from ingest.fix.values import decimals, texts
from ingest.normalise_reference import Reference
from ingest.quarantine import MISSING_FIELD, Problems, value_problem


@dataclass(frozen=True, slots=True)
class Part:
    """Messages of one feed in wire form, with what the batch knows about each."""

    feed: Feed
    dialect: Dialect
    reference: Reference
    index: FieldIndex
    tags: Ints
    whole: Rows
    message_type: pa.Array
    message_ids: pa.Array
    sessions: pa.Array
    sha256: pa.Array
    recv_ns: Ints
    file: str | None
    lines: pa.Array
    reframed: Bools
    prefixes: pa.Array | None = None
    problems: Problems = field(default_factory=Problems)
    notes: dict[int, dict[str, str]] = field(default_factory=dict)

    def note(self, message: int, key: str, text: str) -> None:
        """Keep with the message's records (in `ext`) what a flag alone does not tell: a value as sent, a source."""
        self.notes.setdefault(message, {}).setdefault(key, text)

    def mark(self, messages: Ints, flag: Flag) -> None:
        """Set a flag on the messages at the given positions."""
        np.bitwise_or.at(self.index.flags, messages, int(flag))


class Extract:
    """The rows of one family and their values by canonical field name, dialect tags first."""

    __slots__ = ("_fields", "_texts", "columns", "family", "message", "part", "rows", "status")

    def __init__(self, part: Part, family: Family, segments: Segments, status: pa.Array) -> None:
        self.part, self.family, self.status = part, family, status
        custom: dict[str, tuple[int, ...]] = {}
        for tag, target in part.dialect.custom.items():
            if not target.startswith("fee."):
                custom[target] = (*custom.get(target, ()), tag)
        self.columns: Mapping[str, tuple[int, ...]] = {
            name: (*custom.get(name, ()), *tags) for name, tags in family.columns.items()
        }
        wanted = [tag for tags in self.columns.values() for tag in tags]
        self.rows = Rows(part.index, part.tags, segments, wanted, family.message_tags)
        self.message = segments.message
        self._fields: dict[str, Ints] = {}
        self._texts: dict[str, pa.Array] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def fields(self, name: str) -> Ints:
        """Field position per row, -1 where absent."""
        if name not in self._fields:
            tags = self.columns[name]
            look_up = self.rows.own if name in self.family.own else self.rows.find
            self._fields[name] = look_up(*tags)
        return self._fields[name]

    def has(self, name: str) -> bool:
        """True when any row carries the field."""
        fields = self.fields(name)
        return len(fields) > 0 and int(fields.max()) >= 0

    def text(self, name: str) -> pa.Array:
        """The field as text."""
        if name not in self._texts:
            self._texts[name] = texts(self.part.index, self.fields(name))
        return self._texts[name]

    def put_text(self, name: str, column: pa.Array) -> None:
        """Put another text in the field's place, for what is read from it later."""
        self._texts[name] = column

    def label(self, name: str) -> str:
        """How the field is named to a reader: `LastPx(31)`, `SideLastQty(1009) or LastQty(32)`."""
        return " or ".join(f"{tag_name(tag) or name}({tag})" for tag in self.columns[name])

    def decimal(self, name: str, kind: str) -> pa.Array:
        """The field as an exact decimal of field type `kind`; a value it cannot hold is a problem of its message."""
        if not self.has(name):
            return pa.nulls(len(self), TYPES[kind].arrow)
        text = self.text(name)
        column, refused = decimals(text, TYPES[kind].arrow)
        self.refuse(name, refused)
        return column

    def refuse(self, name: str, refused: Bools, *, number: bool = True) -> None:
        """Report the values at the refused rows as unusable; `number` False for times and dates."""
        for row in np.flatnonzero(refused).tolist():
            position = int(self.fields(name)[row])
            tag = int(self.part.index.tag[position])
            value = self.part.index.value(position).decode("latin-1")
            problem = value_problem(f"{tag_name(tag) or name}({tag})", value, number=number)
            self.part.problems.add(int(self.message[row]), problem.reason, problem.detail)

    def require(self, name: str, missing: Bools, setting: str | None = None) -> None:
        """Report the field as missing at the given rows; `setting` is the dialect key that could stand for it."""
        if missing.any():
            detail = f"{self.label(name)} is missing"
            if setting is not None:
                detail += f" and dialect {self.part.dialect.name} sets no {setting}"
            self.part.problems.add_each(self.message[missing].tolist(), MISSING_FIELD, f"{detail}.")


def nulls_of(column: pa.Array) -> Bools:
    """Which values are null."""
    found: Bools = column.is_null().to_numpy(zero_copy_only=False)
    return found
