"""FIX on the wire for the session layer: composing messages, reading headers, UTC timestamps."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

SOH = b"\x01"
# Standard header tags (FIX 4.2 and 4.4 volume 1); the first other tag starts the body.
HEADER_TAGS = frozenset(
    b"8 9 35 49 56 115 128 90 91 34 50 142 57 143 116 144 129 145 43 97 52 122 212 213 347 369 370 627 628 629 630 "
    b"1128 1129 1156".split()
)
_HEADER_SPLIT = 20
_RESTAMPED = frozenset((b"8", b"9", b"43", b"52", b"122"))
_TRAILER = re.compile(rb"\x0110=[^\x01]*\x01?\Z")


def checksum(data: bytes) -> int:
    """CheckSum(10): the sum of all bytes modulo 256."""
    return sum(data) & 0xFF


def compose(begin_string: str, fields: Iterable[tuple[int, str]]) -> bytes:
    """A whole message: BeginString(8), BodyLength(9), the fields (35 first), CheckSum(10)."""
    # Bytes that are no UTF-8 are held as latin-1 text here: what came in goes out as it was.
    body = b"".join(b"%d=%s\x01" % (tag, value.encode("latin-1", "replace")) for tag, value in fields)
    return seal(begin_string.encode(), body)


def seal(begin_string: bytes, body: bytes) -> bytes:
    """8=, 9= and 10= put around a body that starts with 35= and ends with SOH."""
    message = b"8=%s\x019=%d\x01%s" % (begin_string, len(body), body)
    return b"%s10=%03d\x01" % (message, checksum(message))


def header(message: bytes) -> dict[int, str]:
    """The standard header's fields (first value of each tag); stops at the first body tag."""
    parts = message.split(SOH, _HEADER_SPLIT)
    if len(parts) > _HEADER_SPLIT and parts[-2].partition(b"=")[0] in HEADER_TAGS:
        parts = message.split(SOH)
    found: dict[int, str] = {}
    for part in parts:
        tag, _, value = part.partition(b"=")
        if tag not in HEADER_TAGS:
            break
        found.setdefault(int(tag), value.decode("latin-1"))
    return found


def fields(message: bytes) -> dict[int, str]:
    """All fields of a session-level message (no repeating groups, no data fields): first value of each tag."""
    found: dict[int, str] = {}
    for part in message.split(SOH):
        tag, _, value = part.partition(b"=")
        if tag.isdigit() and len(tag) < 10:
            found.setdefault(int(tag), value.decode("latin-1"))
    return found


def split_header(message: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The header's (tag, value) pairs and the untouched body, without CheckSum(10)."""
    pairs: list[tuple[bytes, bytes]] = []
    at = 0
    for tag, value, end in _walk(message):
        if tag not in HEADER_TAGS:
            break
        pairs.append((tag, value))
        at = end
    trailer = _TRAILER.search(message)
    body = message[at : max(trailer.start() + 1, at)] if trailer else message[at:]
    if body and not body.endswith(SOH):
        body += SOH
    return pairs, body


def _walk(message: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    at = 0
    while at < len(message):
        end = message.find(SOH, at)
        end = len(message) if end < 0 else end
        tag, _, value = message[at:end].partition(b"=")
        yield tag, value, end + 1
        at = end + 1


def number(text: str | None) -> int | None:
    """A FIX int such as MsgSeqNum(34); None when absent or not a plain non-negative number."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None


def timestamp(ns: int) -> str:
    """UTCTimestamp with milliseconds, as SendingTime(52)."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H:%M:%S}.{rest // 1_000_000:03d}"


_TIMESTAMP = re.compile(r"(\d{8})-(\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?")
_SECOND_NS = 1_000_000_000


def parse_timestamp(text: str | None) -> int | None:
    """UTCTimestamp (YYYYMMDD-HH:MM:SS, any fraction) in ns UTC, a leap second as the next; None for no such time."""
    found = _TIMESTAMP.fullmatch(text or "")
    if found is None or not found[0].isascii():
        return None
    day, hour, minute, second, fraction = found.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return None
    try:
        midnight = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
    except ValueError:
        return None
    seconds = int(midnight.timestamp()) + int(hour) * 3_600 + int(minute) * 60 + int(second)
    return seconds * _SECOND_NS + int((fraction or "0")[:9].ljust(9, "0"))


def resent(message: bytes, now: str) -> bytes:
    """A message sent before, for a resend: PossDupFlag(43)=Y, SendingTime(52) now, the first one in 122."""
    pairs, body = split_header(message)
    first = dict(reversed(pairs)).get(b"52", now.encode())
    kept = [pair for pair in pairs if pair[0] not in _RESTAMPED]
    at = next((n + 1 for n, (tag, _) in enumerate(kept) if tag == b"34"), len(kept))
    kept[at:at] = [(b"43", b"Y"), (b"52", now.encode()), (b"122", first)]
    begin = message[2 : message.find(SOH)]
    return seal(begin, b"".join(b"%s=%s\x01" % pair for pair in kept) + body)
