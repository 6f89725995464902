"""A piece of SQL with its values apart: what conditions are made of, so that no value ever stands in the text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with the values for its `?` marks, in order."""

    text: str
    values: tuple[str, ...] = ()


def escape_like(value: str) -> str:
    """A value for LIKE with ESCAPE backslash, its own wildcards taken literally."""
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
