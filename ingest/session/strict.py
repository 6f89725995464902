"""Dictionary checks of a strict session: a message's first problem, as FIX session test cases 2q and 14 ask."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ingest.fix.dictionary import Dictionary, Layout
from ingest.fix.own import own_dictionary
from ingest.fix.tags import DATA_FIELDS
from ingest.session.versions import Version
from ingest.session.wire import SOH, number, parse_timestamp

# SessionRejectReason(373)
INVALID_TAG, MISSING, NOT_FOR_TYPE, NO_VALUE, INCORRECT, BAD_FORMAT = 0, 1, 2, 4, 5, 6
INVALID_TYPE, REPEATED, OUT_OF_ORDER, GROUP_ORDER, GROUP_COUNT, APPL_VERSION = 11, 13, 14, 15, 16, 18
_USER_DEFINED = 5_000
_WRONG_COUNT = "Incorrect NumInGroup count for repeating group"
_FLOAT = re.compile(r"-?(\d+(\.\d*)?|\.\d+)")
_INT = re.compile(r"-?\d+")
_COUNT = re.compile(r"\d{1,6}")
# Tags that belong to session-level messages alone: a message whose fields are not all listed cannot hold them.
_SESSION_ONLY = frozenset((7, 16, 36, 98, 108, 112, 123, 141, 371, 373, 383, 384, 464, 554, 789, 1137))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a message: SessionRejectReason(373), RefTagID(371) (0: none), and a sentence.

    Reason -1 is a sound message of a type we do not take. `fatal` is the text of the Logout that follows the Reject.
    """

    reason: int
    tag: int
    text: str
    fatal: str = ""


def _is_date(text: str) -> bool:
    if len(text) != 8 or number(text) is None:
        return False
    try:
        return bool(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    except ValueError:
        return False


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: text.isascii() and pattern.fullmatch(text) is not None


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "INT": _matches(_INT),
    "LENGTH": _matches(_COUNT),
    "NUMINGROUP": _matches(_COUNT),
    "SEQNUM": lambda text: number(text) is not None,
    "BOOLEAN": lambda text: text in ("Y", "N"),
    "CHAR": lambda text: len(text) == 1,
    "UTCTIMESTAMP": lambda text: parse_timestamp(text) is not None,
    "LOCALMKTDATE": _is_date,
    "UTCDATE": _is_date,
    "UTCDATEONLY": _is_date,
} | dict.fromkeys(("QTY", "PRICE", "AMT", "FLOAT", "PRICEOFFSET", "PERCENTAGE"), _matches(_FLOAT))

Fields = list[tuple[int, str]]


class Rules:
    """What a version's messages must keep: imported dictionaries where there are any, else our own table."""

    def __init__(self, version: Version, imported: Mapping[str, Dictionary]) -> None:
        own = own_dictionary(version.name)
        self._version = version
        self._session = imported.get(version.begin_string, own)
        self._application = imported.get(version.name, own)
        self._header = self._session.header.tags | own.header.tags
        self._trailer = self._session.trailer.tags | own.trailer.tags
        self._undefined_known = self._application.complete
        self._fields = {**self._session.fields, **self._application.fields}

    def check(self, message: bytes, kind: str) -> Problem | None:
        """The first problem of a message whose framing is right; None when it keeps the rules."""
        layout = self._layout(kind)
        if layout is None and kind not in self._version.message_types and not kind.startswith("U"):
            return Problem(INVALID_TYPE, 35, "Invalid MsgType")
        found = _fields(message)
        if isinstance(found, Problem):
            return found
        layout = layout or Layout()
        for tag, value in found:
            problem = self._field(tag, value, layout)
            if problem is not None:
                return problem
        return self._order(found) or _missing(found, layout) or self._groups(found, layout) or self._repeated(found)

    def _layout(self, kind: str) -> Layout | None:
        for dictionary in (self._session, self._application):
            if kind in dictionary.messages:
                return dictionary.messages[kind].layout
        return None

    def _field(self, tag: int, value: str, layout: Layout) -> Problem | None:
        if self._is_undefined(tag):
            return Problem(INVALID_TAG, tag, "Invalid tag number")
        if not value:
            return Problem(NO_VALUE, tag, "Tag specified without a value")
        framing = tag >= _USER_DEFINED or tag in self._header or tag in self._trailer
        if not framing and ((tag not in layout.tags) if layout.complete else tag in _SESSION_ONLY):
            return Problem(NOT_FOR_TYPE, tag, "Tag not defined for this message type")
        spec = self._fields.get(tag)
        if spec is None:
            return None
        right = _FORMATS.get(spec.type)
        if right is not None and not right(value):
            return Problem(BAD_FORMAT, tag, "Incorrect data format for value")
        if not spec.allows(value) and spec.type != "NUMINGROUP":
            return Problem(INCORRECT, tag, "Value is incorrect (out of range) for this tag")
        return None

    def _is_undefined(self, tag: int) -> bool:
        if tag >= _USER_DEFINED or tag in self._header:
            return False
        return tag not in self._fields if self._undefined_known else tag > self._version.highest_tag

    def _order(self, found: Fields) -> Problem | None:
        """Header, body, trailer (14g)."""
        part = 0
        for tag, _ in found:
            now = 0 if tag in self._header else 2 if tag in self._trailer else 1
            if now < part:
                return Problem(OUT_OF_ORDER, tag, "Tag specified out of required order")
            part = now
        return None

    def _counts(self, tag: int) -> bool:
        spec = self._fields.get(tag)
        return spec is not None and spec.type == "NUMINGROUP"

    def _groups(self, found: Fields, layout: Layout) -> Problem | None:
        """Every group starts with its first tag, and has as many entries as it says, each with what it needs."""
        groups = dict(_all_groups(layout))
        for at, (tag, value) in enumerate(found):
            if self._counts(tag) or tag in groups:
                if not (value.isascii() and _COUNT.fullmatch(value)):
                    return Problem(BAD_FORMAT, tag, "Incorrect data format for value")
                problem = _group(tag, int(value), found[at + 1 :], groups.get(tag, Layout()))
                if problem is not None:
                    return problem
        return None

    def _repeated(self, found: Fields) -> Problem | None:
        """A tag twice before any group (14h): behind one it may be another entry's."""
        seen: set[int] = set()
        for tag, value in found:
            if tag in seen:
                return Problem(REPEATED, tag, "Tag appears more than once")
            if self._counts(tag) and value != "0":
                return None
            seen.add(tag)
        return None


def _fields(message: bytes) -> Fields | Problem:
    """Tags and values in order; a data field is as long as the field before it says."""
    found: Fields = []
    at, length = 0, -1
    while at < len(message):
        equals = message.find(b"=", at)
        tag = number(message[at:equals].decode("latin-1")) if equals > at else None
        if not tag:
            return Problem(INVALID_TAG, 0, "Invalid tag number")
        end = message.find(SOH, equals)
        if found and DATA_FIELDS.get(found[-1][0]) == tag and length >= 0:
            end = equals + 1 + length
            if message[end : end + 1] != SOH:
                return Problem(BAD_FORMAT, tag, "Data is not as long as its length says")
        value = message[equals + 1 : end].decode("latin-1")
        length = int(value) if value.isascii() and _COUNT.fullmatch(value) else -1
        found.append((tag, value))
        at = end + 1
    return found


def _missing(found: Fields, layout: Layout) -> Problem | None:
    missing = layout.required - {tag for tag, _ in found}
    return Problem(MISSING, min(missing), "Required tag missing") if missing else None


def _all_groups(layout: Layout) -> Iterator[tuple[int, Layout]]:
    for tag, entry in layout.groups.items():
        yield tag, entry
        yield from _all_groups(entry)


def _group(tag: int, count: int, rest: Fields, entry: Layout) -> Problem | None:
    first = entry.delimiter or rest[0][0]
    if not count:
        return Problem(GROUP_COUNT, tag, _WRONG_COUNT) if rest[0][0] == entry.delimiter else None
    if rest[0][0] != first:
        return Problem(GROUP_ORDER, rest[0][0], f"Group {tag} does not start with {first}")
    entries: list[set[int]] = []
    for other, _ in rest:
        if other == tag:
            break
        if other == first:
            entries.append(set())
        entries[-1].add(other)
    if len(entries) != count:
        return Problem(GROUP_COUNT, tag, _WRONG_COUNT)
    missing = [min(entry.required - tags) for tags in entries if entry.required - tags]
    return Problem(MISSING, missing[0], "Required tag missing") if missing else None
