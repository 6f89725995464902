"""The exact lane: one message or one value at a time, ordered tags, Decimal, nothing truncated or guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

import pyarrow as pa

from ingest.fix.codec.plan import LARGEST_TAG, Column, Level, Mark, Plan
from ingest.fix.tags import DATA_FIELDS
from ingest.fix.times import DAY_NS, odd_time
from ingest.fix.values import as_text, exact

Field = tuple[int, int, int]  # tag (-1 no field), start of the value, end of it
_INT64 = 2**63
_NANOSECOND_DIGITS = 9
_NONE = Mark(0)
_WIDE = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Structure:
    """Rows of a message: per row and column the field that fills it, or None; and what was unusual."""

    rows: Sequence[Sequence[Field | None]]
    marks: Mark


def ordered_fields(data: bytes | memoryview, start: int, end: int) -> tuple[list[Field], Mark]:
    """All fields of a message in wire order, data fields by their length, and the marks they earn."""
    raw, fields, marks, at = bytes(data[start:end]), [], Mark(0), 0
    wanted, size = -1, 0
    while at < len(raw):
        stop = raw.index(b"\x01", at)
        name, equals, _ = raw[at:stop].partition(b"=")
        tag = int(name) if equals and name.isdigit() and name[:1] != b"0" and int(name) <= LARGEST_TAG else -1
        value = at + len(name) + 1 if tag > 0 else at
        if tag < 0:
            marks |= Mark.ODD_FIELD
        if tag == wanted and tag > 0:
            if size >= 0 and value + size < len(raw) and raw[value + size] == 1:
                stop = value + size
            else:
                marks |= Mark.DATA_LENGTH
        fields.append((tag, start + value, start + stop))
        wanted, size = DATA_FIELDS.get(tag, -1), -1
        text = raw[value:stop]
        if wanted > 0 and text.isdigit() and len(text) <= 8:
            size = int(text)
        at = stop + 1
    return fields, marks


def structure(data: bytes | memoryview, start: int, end: int, plan: Plan) -> Structure:
    """Which field fills which column of which row of a message the fast lanes leave alone."""
    fields, marks = ordered_fields(data, start, end)
    marks |= Mark.EXACT
    counter, announced = _group(data, fields, plan)
    if announced < 0:
        marks |= Mark.GROUP_COUNT
    slots = {column.tag: slot for slot, column in enumerate(plan.columns)}
    shared: list[list[Field]] = [[] for _ in slots]
    entries: list[list[list[Field]]] = []
    for at, field in enumerate(fields):
        if announced > 0 and at > counter and field[0] == fields[counter + 1][0]:
            entries.append([[] for _ in slots])
        slot = slots.get(field[0], -1)
        if slot >= 0 and field[2] > field[1]:
            of_message = not entries or plan.levels[slot] == Level.MESSAGE
            (shared if of_message else entries[-1])[slot].append(field)
    if announced > 0 and len(entries) != announced:
        marks |= Mark.GROUP_COUNT
    if marks & Mark.GROUP_COUNT:
        return _one_row(data, plan, shared, entries, marks)
    rows = []
    for own in entries or [shared]:
        row: list[Field | None] = []
        for slot, level in enumerate(plan.levels.tolist()):
            choice = own[slot]
            if entries and (level == Level.MESSAGE or (level == Level.ROW and not choice)):
                choice = shared[slot]
            found, mark = _only(data, choice)
            row.append(found)
            marks |= mark
        rows.append(row)
    return Structure(rows, marks)


def _one_row(
    data: bytes | memoryview, plan: Plan, shared: list[list[Field]], entries: list[list[list[Field]]], marks: Mark
) -> Structure:
    """A group that does not add up: the message's own values, nothing that could belong to an entry."""
    row: list[Field | None] = []
    for slot, level in enumerate(plan.levels.tolist()):
        inside = any(entry[slot] for entry in entries)
        found, mark = _only(data, shared[slot]) if level == Level.MESSAGE or not inside else (None, Mark(0))
        row.append(found)
        marks |= mark
    return Structure([row], marks)


def _group(data: bytes | memoryview, fields: list[Field], plan: Plan) -> tuple[int, int]:
    """The field that counts the entries and how many there are: 0 no group, -1 where the count cannot be read."""
    for at, (tag, start, end) in enumerate(fields):
        if tag in plan.groups:
            text = bytes(data[start:end])
            if not text.isdigit() or len(text) > 8:
                return at, -1
            if int(text) > 0:
                return at, int(text) if at + 1 < len(fields) and fields[at + 1][0] != 10 else -1
    return -1, 0


def _only(data: bytes | memoryview, found: list[Field]) -> tuple[Field | None, Mark]:
    """The one value there is; None with a mark where a tag stands there with different values."""
    if not found:
        return None, Mark(0)
    values = {bytes(data[start:end]) for _, start, end in found}
    return (found[0], Mark(0)) if len(values) == 1 else (None, Mark.REPEATED)


@dataclass(frozen=True, slots=True)
class Value:
    """One value read exactly: what the column holds (None null), the whole value where it does not fit, the mark."""

    held: int | None
    precision: int = 0
    whole: Decimal | str | None = None
    mark: Mark = _NONE


def exact_value(raw: bytes, column: Column) -> Value:
    """A value the fast lanes do not read: an int, a scaled decimal, nanoseconds or days as an integer."""
    text = as_text(raw)
    if column.kind == "decimal":
        return _decimal(text, column.scale)
    if column.kind == "int":
        digits = text[1:] if text[:1] == "-" else text
        if not (digits.isascii() and digits.isdigit()):
            return Value(None, mark=Mark.BAD_VALUE)
        if len(digits) > 4000:
            return Value(None, whole=text, mark=Mark.NOT_EXACT)
        number = int(text)
        fits = -_INT64 <= number < _INT64
        return Value(number) if fits else Value(None, whole=Decimal(number), mark=Mark.NOT_EXACT)
    found = odd_time(text) if text.isascii() else None
    if found is None:
        return Value(None, mark=Mark.BAD_VALUE)
    nanos, precision = found
    if column.kind == "date":
        return Value(nanos // DAY_NS) if precision == 0 and "-" not in text else Value(None, mark=Mark.BAD_VALUE)
    if not -_INT64 <= nanos < _INT64:
        return Value(None, whole=text, mark=Mark.NOT_EXACT)
    if ":60" in text:
        return Value(None, whole=text, mark=Mark.NOT_EXACT)
    beyond = text.partition(".")[2].rstrip("Z")[_NANOSECOND_DIGITS:]
    if beyond.strip("0"):
        return Value(None, whole=text, mark=Mark.NOT_EXACT)
    return Value(nanos, precision)


def _decimal(text: str, scale: int) -> Value:
    try:
        number = Decimal(text.strip()) if text.isascii() and "_" not in text and len(text) < 4000 else None
    except ArithmeticError:
        number = None
    if number is None or not number.is_finite():
        return Value(None, mark=Mark.BAD_VALUE)
    held = exact(text, pa.decimal128(38, scale))
    if held is None:
        return Value(None, whole=number, mark=Mark.NOT_EXACT)
    return Value(int(held.scaleb(scale, _WIDE)))
