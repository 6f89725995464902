"""Finds FIX messages in logs, pastes and captures, whatever separates their fields, and re-frames them on SOH."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ingest.fix.pieces import Bools, Collected, Pieces
from ingest.fix.proven import Ints, Octets, proven_ends
from ingest.fix.tags import DATA_FIELDS

SOH = b"\x01"
MAX_BODY_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 1 << 20

_BEGIN = re.compile(rb"8=FIX")
_FOLLOWING = re.compile(rb"(?<![0-9])8=FIX")
_ESCAPED = rb"\\x01 ?|\\u0001 ?|\\0?01 ?|<0x01> ?|<0?1> ?|&#x?0?1; ?|%01"
_HEAD = re.compile(rb"8=(FIXT?\.[0-9]\.[0-9](?:SP[0-9])?)(" + _ESCAPED + rb"|[^0-9=]{1,16}?)(?=[0-9]{1,6}=)")
_LENGTH = re.compile(rb"8=FIX[^\x01]{1,12}\x019=([0-9]{1,8})\x01")
_TRAILER = re.compile(rb"10=[0-9]{3}\x01")
_TAG = re.compile(rb"[0-9]{1,7}=")
_NAMED = rb"|[A-Za-z][A-Za-z_]{0,30}="
# Blanks are part of the value, but for two behind another separator: more would let hostile lines be read for hours.
_FIELDS = re.compile(rb"(?:\d{1,5}=[^=\x01|;^]{1,80}[\x01|;^~ ]\s{0,2}){3}")
_UNPRINTABLE = re.compile(rb"[\x00\x02-\x08\x0e-\x1f\x7f]")
_CHECKSUM = re.compile(rb"([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Found:
    """A message (or, with `is_message` False, a line of other text) in a log.

    `raw` holds the bytes as found, `prefix` what stood before it on its line, `line` counts from 1, `offset` from 0.
    """

    raw: bytes
    prefix: bytes
    line: int
    offset: int
    is_message: bool


def plain_bytes(data: bytes) -> bytes:
    """The data as an 8-bit text: byte order marks removed, UTF-16 re-encoded (to Latin-1 where that is lossless)."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _narrow(data, "utf-16")
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:]
    wide = data.find(b"8\x00=\x00F\x00I\x00X", 0, 4096)
    if wide < 0:
        return data
    return _narrow(data, "utf-16-be" if wide % 2 else "utf-16-le")


def _narrow(data: bytes, encoding: str) -> bytes:
    text = data[: len(data) & ~1].decode(encoding, "replace")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def find_messages(data: bytes) -> Iterator[Found]:
    """Every message in the data in order, several per line if so, and every non-blank line that holds none.

    A message ends at its own CheckSum when its BodyLength proves it (line breaks inside text fields survive), else
    at the next `8=FIX` or at the end of its line.
    """
    found = find_pieces(data)
    every = range(len(found))
    yield from map(
        Found, found.raws(every), found.prefixes(every), found.lines.tolist(), found.starts.tolist(),
        found.are_messages.tolist(),
    )  # fmt: skip


def find_pieces(data: bytes) -> Pieces:
    """As `find_messages`, all at once."""
    data = plain_bytes(data)
    octets = np.frombuffer(data, dtype=np.uint8)
    starts = np.fromiter((match.start() for match in _BEGIN.finditer(data)), dtype=np.int64)
    # `108=FIX` is another tag; what starts the data has nothing before it.
    starts = starts[(starts == 0) | (octets[starts - 1] - np.uint8(ord("0")) > 9)]
    ends, newlines = proven_ends(octets, starts, MAX_BODY_BYTES), _newlines(octets)
    line_starts, follow = _followers(octets, starts, ends, newlines)
    found, at = Collected(data), 0
    # Nearly always a message proves its end, its line ends there, and the next line has the next message.
    firsts = np.flatnonzero(~follow)
    for first, behind in zip(firsts.tolist(), np.append(firsts, len(starts))[1:].tolist(), strict=True):
        before = at
        at = _take(data, int(starts[first]), int(ends[first]), at, found)
        rest = slice(first + 1, behind)
        if at != before and behind > first + 1:
            found.add_messages(line_starts[rest], starts[rest], ends[rest])
            at = int(ends[behind - 1])
            continue
        for start, proven in zip(starts[rest].tolist(), ends[rest].tolist(), strict=True):
            at = _take(data, start, proven, at, found)
    _other_lines(data, at, len(data), found)
    return found.pieces(newlines)


def _followers(octets: Octets, starts: Ints, ends: Ints, newlines: Ints) -> tuple[Ints, Bools]:
    """Where the line of each message begins, and which prove their end and begin the line after another proven end."""
    nearest = np.searchsorted(newlines, starts) - 1
    line_starts = np.zeros(len(starts), dtype=np.int64)
    line_starts[nearest >= 0] = newlines[nearest[nearest >= 0]] + 1
    follow = np.zeros(len(starts), dtype=np.bool_)
    before = ends[:-1]
    gap = line_starts[1:] - before
    returned = octets[np.clip(before, 0, max(len(octets) - 1, 0))] == ord("\r")
    follow[1:] = (before > 0) & (ends[1:] > 0) & ((gap == 1) | ((gap == 2) & returned))
    return line_starts, follow


def _take(data: bytes, start: int, proven: int, at: int, found: Collected) -> int:
    """Takes in the message that starts here and the text before it, `at` being where the last one ended; returns where
    this one does, `at` where it is part of the last."""
    if start < at:
        return at
    line_start, prefix_from = data.rfind(b"\n", at, start) + 1, at
    if line_start > 0:
        if line_start > at + 1 or not at:
            _other_lines(data, at, line_start, found)
        prefix_from = line_start
    end = proven if proven > 0 else _message_end(data, start)
    found.add(prefix_from, start, end, is_message=True)
    return end


def _newlines(octets: Octets) -> Ints:
    """Where lines end, a piece at a time: a mask of the whole would take as much memory as the data."""
    pieces = range(0, len(octets), _PIECE_BYTES)
    found = [np.flatnonzero(octets[at : at + _PIECE_BYTES] == ord("\n")) + at for at in pieces]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _other_lines(data: bytes, start: int, end: int, found: Collected) -> None:
    """Lines without a message; what follows a message on its own line belongs to that line and is not repeated."""
    if start > 0 and data[start - 1 : start] != b"\n":
        newline = data.find(b"\n", start, end)
        if newline < 0:
            return
        start = newline + 1
    for text in data[start:end].split(b"\n"):
        if text.strip():
            found.add(start, start, start + len(text.rstrip(b"\r")), is_message=False)
        start += len(text) + 1


def _message_end(data: bytes, start: int) -> int:
    declared = _LENGTH.match(data, start)
    if declared:
        trailer = declared.end() + int(declared[1])
        if int(declared[1]) <= MAX_BODY_BYTES and _TRAILER.match(data, trailer):
            return trailer + 7
    # No further than the next message: data without a line end would be searched to its end for each of them.
    following = _FOLLOWING.search(data, start + 5)
    limit = following.start() if following else len(data)
    newline = data.find(b"\n", start, limit)
    if following and newline < 0:
        return limit
    end = limit if newline < 0 else newline
    return end - 1 if data[end - 1 : end] == b"\r" else end


def separator_of(message: bytes) -> bytes | None:
    """The bytes between two fields, from what stands between BeginString and the next tag; None without BeginString."""
    head = _HEAD.search(message)
    return head[2] if head else None


def looks_damaged(line: bytes) -> bool:
    """Whether a line without BeginString may have been a message: fields, or bytes no log writes."""
    return _FIELDS.search(line) is not None or _UNPRINTABLE.search(line) is not None


def is_wire_form(message: bytes) -> bool:
    """True when the message starts with BeginString, is separated by SOH and ends with it: no sniffing is needed."""
    return message.startswith(b"8=FIX") and message.endswith(SOH) and message.find(SOH, 9, 14) > 0


def to_wire(message: bytes) -> bytes | None:
    """The message re-framed on SOH, prefix and trailing log text dropped; None when no BeginString can be found.

    The separator is only taken where a tag number and `=` follow, and never inside a data field of known length.
    """
    message = plain_bytes(message)
    head = _HEAD.search(message)
    if head is None:
        return None
    separator, start = head[2], head.start()
    fields = list(_split(message, start, separator))
    if fields and fields[-1].startswith(b"10="):
        digits = _CHECKSUM.match(fields[-1], 3)
        fields[-1] = fields[-1][: digits.end()] if digits else fields[-1]
    elif fields:
        fields[-1] = fields[-1].rstrip(separator.strip() + b"\r\n ") or fields[-1]
    return SOH.join(fields) + SOH


def _split(message: bytes, start: int, separator: bytes) -> Iterator[bytes]:
    # Words are tags too, for a reader to see, where the separator is no blank that text could hold as well.
    names = _NAMED if separator.strip(b" \t") else b""
    boundary = re.compile(re.escape(separator) + rb"\s{0,80}+(?=[0-9]{1,7}=" + names + rb")")
    data_tag, data_length = -1, 0
    while start < len(message):
        following = boundary.search(message, start)
        tag = _TAG.match(message, start)
        if tag and data_length and int(tag[0][:-1]) == data_tag:
            declared = boundary.match(message, tag.end() + data_length)
            following = declared or following  # a wrong length falls back to the plain scan
        field = message[start : following.start() if following else len(message)]
        yield field
        number, _, value = field.partition(b"=")
        data_tag, data_length = -1, 0
        if number.isdigit() and value.isdigit() and len(value) < 9:
            data_tag, data_length = DATA_FIELDS.get(int(number), -1), int(value)
        if not following or number == b"10":
            return
        start = following.end()
