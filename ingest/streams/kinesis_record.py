"""Kinesis records: envelopes of one session packed into one record of bounded size, and back."""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence

from domain.errors import PermanentError
from ingest.streams.frame import FrameError, pack_messages, unpack_messages
from ingest.streams.port import Envelope

VERSION = 1
# version byte, encoding byte, length of the JSON header
_HEAD = struct.Struct("<BBI")
_RAW, _ZLIB = 0, 1
# FIX shrinks to a quarter at level 1; small records gain nothing.
_COMPRESS_FROM_BYTES = 512
MAX_RECORD_BYTES = 1024 * 1024


def pack(session: str, envelopes: Sequence[Envelope]) -> bytes:
    """One record: version, encoding, JSON header, length-prefixed messages."""
    parts = [{"first": e.first, "count": len(e.messages), "ts": e.recv_ts, "next_in": e.next_in} for e in envelopes]
    header = json.dumps({"session": session, "parts": parts}, separators=(",", ":")).encode()
    content = header + pack_messages([message for e in envelopes for message in e.messages])
    squeezed = zlib.compress(content, 1) if len(content) >= _COMPRESS_FROM_BYTES else content
    if len(squeezed) < len(content):
        return _HEAD.pack(VERSION, _ZLIB, len(header)) + squeezed
    return _HEAD.pack(VERSION, _RAW, len(header)) + content


def unpack(record: bytes, where: str) -> tuple[Envelope, ...]:
    """The envelopes of a record; PermanentError naming `where` for bytes that are no record of ours."""
    try:
        version, encoding, header_bytes = _HEAD.unpack_from(record)
        if version != VERSION or encoding not in (_RAW, _ZLIB):
            raise FrameError(f"unknown version {version} or encoding {encoding}")
        content = record[_HEAD.size :] if encoding == _RAW else zlib.decompress(record[_HEAD.size :])
        header = json.loads(content[:header_bytes])
        session, parts = str(header["session"]), header["parts"]
        messages = unpack_messages(memoryview(content)[header_bytes:], sum(int(part["count"]) for part in parts))
        envelopes, at = [], 0
        for part in parts:
            held = messages[at : at + part["count"]]
            envelopes.append(Envelope(session, part["first"], part["ts"], held, part["next_in"]))
            at += part["count"]
    except (FrameError, struct.error, zlib.error, ValueError, KeyError, TypeError) as error:
        raise PermanentError(f"{where} is no record of ours: {error}") from error
    return tuple(envelopes)


def records(session: str, envelopes: Sequence[Envelope], max_bytes: int = MAX_RECORD_BYTES) -> Iterator[bytes]:
    """The envelopes as as few records as fit `max_bytes` each (key included); order is kept.

    PermanentError for a single message that does not fit a record.
    """
    packed = pack(session, envelopes)
    if len(packed) + len(session.encode()) <= max_bytes:
        yield packed
    elif len(envelopes) > 1:
        middle = len(envelopes) // 2
        yield from records(session, envelopes[:middle], max_bytes)
        yield from records(session, envelopes[middle:], max_bytes)
    elif len(envelopes[0].messages) > 1:
        only = envelopes[0]
        middle = only.first + len(only.messages) // 2
        halves = (only.between(only.first, middle - 1), only.between(middle, only.last))
        yield from records(session, halves[:1], max_bytes)
        yield from records(session, halves[1:], max_bytes)
    else:
        raise PermanentError(f"message {envelopes[0].first} of {session} does not fit a record of {max_bytes} bytes")
