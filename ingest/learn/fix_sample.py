"""A FIX log as rows to learn from: one per booking told, with the message's tags and its own group entry's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from ingest.fix.plans import FAMILIES
from ingest.fix.sniff import find_messages, is_wire_form, to_wire
from ingest.fix.tags import SESSION_TYPES
from ingest.fix.values import as_text

SAMPLE_MESSAGES_MAX = 20_000
_NEVER = datetime.min
_STAMP = "%Y%m%d-%H:%M:%S"
_GROUPS: Mapping[str, tuple[int, int]] = MappingProxyType({"AE": (552, 54), "J": (78, 79), "AS": (78, 79)})
_FEE_TAGS = frozenset({137, 138, 139})


@dataclass(frozen=True, slots=True)
class Row:
    """One booking: first value of each tag (the group entry's own before the message's) and the fees of group 136.

    `status` is NEW, CORRECT, CANCEL or empty (no booking, or a code not known); `repeated`: PossDup or PossResend.
    """

    kind: str
    begin: str
    tags: Mapping[int, str]
    fees: Decimal
    status: str
    repeated: bool

    def get(self, *tags: int) -> str:
        """The first of these tags that the row has; empty when none."""
        return next((self.tags[tag] for tag in tags if self.tags.get(tag)), "")

    def number(self, *tags: int) -> Decimal | None:
        """The first of these tags as a decimal."""
        return decimal(self.get(*tags))

    def time(self, tag: int) -> datetime | None:
        """A timestamp as it stands, without a zone; None where it is none or says its zone itself."""
        return stamp(self.get(tag))


def read_rows(data: bytes) -> list[Row]:
    """Rows of the business messages in a log with any separator, of at most SAMPLE_MESSAGES_MAX messages."""
    rows: list[Row] = []
    for count, pairs in enumerate(_messages(data)):
        if count >= SAMPLE_MESSAGES_MAX:
            break
        rows += _rows(pairs)
    return rows


def _messages(data: bytes) -> Iterator[list[tuple[int, str]]]:
    for found in find_messages(data):
        if not found.is_message:
            continue
        wire = found.raw if is_wire_form(found.raw) else to_wire(found.raw)
        if wire is None:
            continue
        pairs = []
        for part in wire.split(b"\x01"):
            tag, equals, value = part.partition(b"=")
            if equals and tag.isdigit() and len(tag) < 7:
                pairs.append((int(tag), as_text(value)))
        kind = next((value for tag, value in pairs if tag == 35), "")
        if kind and kind not in SESSION_TYPES:
            yield pairs


def _rows(pairs: list[tuple[int, str]]) -> Iterable[Row]:
    first: dict[int, str] = {}
    for tag, value in pairs:
        first.setdefault(tag, value)
    kind = first[35]
    if not any(kind in family.types for family in FAMILIES):
        return
    repeated = first.get(43) == "Y" or first.get(97) == "Y"
    status = _status(kind, first)
    for own in _entries(pairs, kind):
        mine: dict[int, str] = {}
        fees = Decimal(0)
        for tag, value in own:
            mine.setdefault(tag, value)
            fees += (decimal(value) or Decimal(0)) if tag == 137 else Decimal(0)
        tags = {**first, **{tag: value for tag, value in mine.items() if tag not in _FEE_TAGS}}
        yield Row(kind, first.get(8, ""), tags, fees, status, repeated)


def _entries(pairs: list[tuple[int, str]], kind: str) -> list[list[tuple[int, str]]]:
    """The fields of each group entry that is a booking; the whole message where there is no such group."""
    if kind not in _GROUPS:
        return [pairs]
    count_tag, delimiter = _GROUPS[kind]
    start = next((at for at, (tag, _) in enumerate(pairs) if tag == count_tag), None)
    if start is None:
        return [pairs]
    entries: list[list[tuple[int, str]]] = []
    for tag, value in pairs[start + 1 :]:
        if tag == delimiter:
            entries.append([])
        if entries:
            entries[-1].append((tag, value))
    return entries or [pairs]


def _status(kind: str, tags: Mapping[int, str]) -> str:
    if kind == "8":
        if tags.get(20) in ("1", "2"):
            return "CANCEL" if tags[20] == "1" else "CORRECT"
        known = {"1": "NEW", "2": "NEW", "F": "NEW", "G": "CORRECT", "H": "CANCEL"}
        return known.get(tags.get(150, tags.get(39, "")), "")
    if kind == "AE":
        return {"": "NEW", "0": "NEW", "1": "CANCEL", "2": "CORRECT", "4": "CANCEL"}.get(tags.get(487, ""), "")
    code = tags.get(666 if kind == "AK" else 71, "")
    return {"": "NEW", "0": "NEW", "1": "CORRECT", "2": "CANCEL"}.get(code, "")


def decimal(text: str) -> Decimal | None:
    """A finite decimal number, or None."""
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() else None


def stamp(text: str) -> datetime | None:
    """A UTCTimestamp's digits as a naive time; None for a date alone, another form or one with a zone."""
    if len(text) < 17 or (len(text) > 17 and (text[17] != "." or not text[18:].isdigit())):
        return None
    try:
        return datetime.strptime(text[:17], _STAMP)
    except ValueError:
        return None


def utc(moment: datetime) -> datetime:
    """A naive time as UTC."""
    return moment.replace(tzinfo=UTC)
