"""Records of a remote stream: envelopes of one session packed into one record of bounded size, and back."""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence

import pyarrow as pa

from domain.errors import PermanentError
from ingest.streams.frame import MAX_BODY_BYTES, FrameError, pack_messages, unpack_messages
from ingest.streams.parts import Part, cut
from ingest.streams.port import Envelope

VERSION = 1
# version byte, encoding byte, length of the JSON header
_HEAD = struct.Struct("<BBI")
_SIZE = struct.Struct("<I")
# Zlib is only read: it is what records were written in before.
_RAW, _ZLIB, _ZSTD = 0, 1, 2
# FIX shrinks to less than a tenth at level 1 of zstd; small records gain nothing.
_COMPRESS_FROM_BYTES = 512
MAX_RECORD_BYTES = 1024 * 1024


def pack(session: str, envelopes: Sequence[Envelope]) -> bytes:
    """One record: version, encoding, JSON header, length-prefixed messages."""
    parts = [{"first": e.first, "count": len(e.messages), "ts": e.recv_ts, "next_in": e.next_in} for e in envelopes]
    header = json.dumps({"session": session, "parts": parts}, separators=(",", ":")).encode()
    content = header + pack_messages([message for e in envelopes for message in e.messages])
    if len(content) >= _COMPRESS_FROM_BYTES:
        squeezed = _SIZE.pack(len(content)) + bytes(_zstd().compress(content, asbytes=True))
        if len(squeezed) < len(content):
            return _HEAD.pack(VERSION, _ZSTD, len(header)) + squeezed
    return _HEAD.pack(VERSION, _RAW, len(header)) + content


def unpack(record: bytes, where: str) -> tuple[Envelope, ...]:
    """The envelopes of a record; PermanentError naming `where` for bytes that are no record of ours."""
    try:
        version, encoding, header_bytes = _HEAD.unpack_from(record)
        if version != VERSION:
            raise FrameError(f"unknown version {version}")
        content = _content(record[_HEAD.size :], encoding)
        header = json.loads(content[:header_bytes])
        session, parts = str(header["session"]), header["parts"]
        messages = unpack_messages(memoryview(content)[header_bytes:], sum(int(part["count"]) for part in parts))
        envelopes, at = [], 0
        for part in parts:
            held = messages[at : at + part["count"]]
            envelopes.append(Envelope(session, part["first"], part["ts"], held, part["next_in"]))
            at += part["count"]
    except (FrameError, struct.error, zlib.error, OSError, ValueError, KeyError, TypeError) as error:
        raise PermanentError(f"{where} is no record of ours: {error}") from error
    return tuple(envelopes)


def _content(body: bytes, encoding: int) -> bytes:
    if encoding == _RAW:
        return body
    if encoding == _ZLIB:
        return zlib.decompress(body)
    if encoding != _ZSTD:
        raise FrameError(f"unknown encoding {encoding}")
    (size,) = _SIZE.unpack_from(body)
    # Told by the record itself: a damaged length must not make a reader allocate what it asks for.
    if size > MAX_BODY_BYTES:
        raise FrameError(f"{size} bytes in one record")
    content = bytes(_zstd().decompress(body[_SIZE.size :], size, asbytes=True))
    if len(content) != size:
        raise FrameError(f"{len(content)} of {size} bytes")
    return content


def _zstd() -> pa.Codec:
    return pa.Codec("zstd", compression_level=1)


def records(session: str, envelopes: Sequence[Envelope], max_bytes: int = MAX_RECORD_BYTES) -> Iterator[bytes | Part]:
    """The envelopes as as few records as fit `max_bytes` each (key included); order is kept.

    A single message that does not fit a record comes in parts (`ingest/streams/parts.py`).
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
        yield from cut(session, envelopes[0].first, packed, max_bytes)
