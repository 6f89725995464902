"""Why a message could not become a fact: one reason per message, kept with its raw bytes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.ids import digest128
from ingest.fix.tags import TAGS

UNDECODABLE = "undecodable"
GARBLED = "garbled"
PLACEHOLDER = "placeholder_value"
MISSING_DELIMITER = "suspect_missing_delimiter"
MISSING_FIELD = "missing_required_field"
SIDE_UNMAPPED = "side_unmapped"
ENUM_UNMAPPED = "enum_unmapped"
NOT_EXACT = "value_not_exact"
BAD_VALUE = "value_unreadable"
GROUP_COUNT = "group_count_mismatch"
IDENTIFIER = "identifier_damaged"
READER_FAILED = "reader_failed"
MATCH_FAILED = "match_failed"
BAD_QUANTITY = "quantity_not_positive"

MALFORMED, UNKNOWN_INSTRUMENT = "I01", "I03"
_PREVIEW_BYTES = 24

_PLACEHOLDER = re.compile(
    r"<[A-Za-z0-9_ +-]*>|\{[A-Za-z0-9_. ]*\}|X{3,}|\*{3,}|\?{3,}|[#]{2,}"
    r"|0{8}-00:00:00(\.0*)?|0{8}|n/?a|tbd|null|none",
    re.IGNORECASE,
)
_SWALLOWED = re.compile(r"[0-9]{1,5}=[^=]")
_INNER = re.compile(r"[0-9]{1,5}=")
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason slug and one clear sentence."""

    reason: str
    detail: str


@dataclass(slots=True)
class Problems:
    """The first problem of each message, by its position in the batch part."""

    found: dict[int, Problem] = field(default_factory=dict)

    def add(self, message: int, reason: str, detail: str) -> None:
        """Record a problem unless the message already has one."""
        self.found.setdefault(message, Problem(reason, detail))

    def add_each(self, messages: Iterable[int], reason: str, detail: str) -> None:
        """The same problem for several messages."""
        for message in messages:
            self.add(message, reason, detail)


def is_placeholder(text: str) -> bool:
    """True for template text that was never filled in: `<TIME>`, `XXXX`, `00000000-00:00:00.000`."""
    return _PLACEHOLDER.fullmatch(text.strip()) is not None


def swallowed_field(text: str) -> bool:
    """True when a value seems to contain the next field, as after a lost separator (`20120802721=P-DEA30E`)."""
    return _SWALLOWED.search(text) is not None


def value_problem(label: str, text: str, *, number: bool = True) -> Problem:
    """Why a value of a needed field cannot be used. `label` names the tag, as in `LastPx(31)`."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    if is_placeholder(text):
        return Problem(PLACEHOLDER, f"{label} holds the placeholder {shown!r}.")
    if swallowed_field(text):
        return Problem(MISSING_DELIMITER, f"{label} value {shown!r} seems to contain another field.")
    if number and _NUMBER.fullmatch(text):
        return Problem(NOT_EXACT, f"{label} value {shown!r} has more digits than the record can hold exactly.")
    return Problem(BAD_VALUE, f"{label} value {shown!r} cannot be read.")


def repair_of(raw: bytes) -> str | None:
    """What a person might agree to: the message with the delimiters that seem to be missing, `|` between its fields.

    Only where a value ends in digits that are a tag known to FIX, followed by `=`; None where there is no such place.
    It is a proposal to read, never applied.
    """
    fields = raw.decode("latin-1").rstrip("\x01").split("\x01")
    repaired = [piece for field_text in fields for piece in _pieces(field_text)]
    return "|".join(repaired) if len(repaired) > len(fields) else None


def _pieces(text: str) -> list[str]:
    tag, _, value = text.partition("=")
    for match in _INNER.finditer(value):
        for start in range(match.start(), match.end() - 1):
            number = value[start : match.end() - 1]
            if number[0] != "0" and start > 0 and int(number) in TAGS:
                return [f"{tag}={value[:start]}", *_pieces(value[start:])]
    return [text]


def preview(raw: bytes) -> str:
    """The first bytes in hex, for a detail line."""
    return raw[:_PREVIEW_BYTES].hex(" ") + (" ..." if len(raw) > _PREVIEW_BYTES else "")


def quarantine_id(message_id: str, reason: str) -> str:
    """Deterministic identity of a quarantine row."""
    return digest128(message_id, reason)
