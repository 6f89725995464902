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
_TRAILER = re.compile(rb"\x0110=[^\x01]*\x01?\Z")


def checksum(data: bytes) -> int:
    """CheckSum(10): the sum of all bytes modulo 256."""
    return sum(data) & 0xFF


def compose(begin_string: str, fields: Iterable[tuple[int, str]]) -> bytes:
    """A whole message: BeginString(8), BodyLength(9), the fields (35 first), CheckSum(10)."""
    body = b"".join(b"%d=%s\x01" % (tag, value.encode()) for tag, value in fields)
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
