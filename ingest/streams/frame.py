"""Frames of the segment log: one envelope as magic, length, CRC, fixed header, session name and messages."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ingest.streams.port import Envelope
from ingest.streams.run import Run

MAGIC = b"TOF1"
# magic | body length | crc32 of everything after this field | first | recv_ts | next_in | synced | count | name length
_HEAD = struct.Struct("<4sIIQqQQIH")
_CHECKED_FROM = 12
HEAD_BYTES = _HEAD.size
# A length beyond this is damage, never a frame: a reader must not allocate what a flipped bit asks for.
MAX_BODY_BYTES = 256 * 1024 * 1024


class FrameError(Exception):
    """Bytes that are not a frame: cut short, or not passing their checks."""


@dataclass(frozen=True, slots=True)
class FrameHead:
    """A frame's header. `synced` is the length of the segment known durable when the frame was written."""

    first: int
    count: int
    recv_ts: int
    next_in: int
    synced: int
    size: int

    @property
    def last(self) -> int:
        """Number of the frame's last message."""
        return self.first + self.count - 1


def pack_messages(messages: Sequence[bytes]) -> bytes:
    """All lengths (4 bytes each, little endian), then all messages."""
    if isinstance(messages, Run):
        return messages.packed()
    return struct.pack(f"<{len(messages)}I", *map(len, messages)) + b"".join(messages)


def unpack_messages(body: bytes | memoryview, count: int) -> tuple[bytes, ...]:
    """The messages again; raises FrameError when lengths and content disagree."""
    try:
        lengths = struct.unpack_from(f"<{count}I", body)
    except struct.error as error:
        raise FrameError(f"{count} lengths do not fit in {len(body)} bytes") from error
    ends = list(accumulate(lengths, initial=4 * count))
    if ends[-1] != len(body):
        raise FrameError(f"lengths add up to {ends[-1]} of {len(body)} bytes")
    return tuple(bytes(body[start:end]) for start, end in pairwise(ends))


def encode(envelope: Envelope, synced: int) -> bytes:
    """The envelope as one frame."""
    name = envelope.session.encode()
    body = name + pack_messages(envelope.messages)
    counts = (len(envelope.messages), len(name))
    head = _HEAD.pack(MAGIC, len(body), 0, envelope.first, envelope.recv_ts, envelope.next_in, synced, *counts)
    crc = zlib.crc32(body, zlib.crc32(head[_CHECKED_FROM:]))
    return head[:8] + crc.to_bytes(4, "little") + head[_CHECKED_FROM:] + body


def frame_size(buffer: bytes | memoryview, offset: int) -> int:
    """Bytes of the frame that starts at `offset` by its own header; FrameError when there is none."""
    if len(buffer) - offset < HEAD_BYTES:
        raise FrameError("header cut short")
    magic, length = struct.unpack_from("<4sI", buffer, offset)
    if magic != MAGIC or length > MAX_BODY_BYTES:
        raise FrameError("no frame starts here")
    return HEAD_BYTES + int(length)


def check(buffer: bytes | memoryview, offset: int) -> FrameHead:
    """The verified header of the frame at `offset`; FrameError when cut short or the CRC does not agree."""
    size = frame_size(buffer, offset)
    if len(buffer) - offset < size:
        raise FrameError("body cut short")
    crc = zlib.crc32(memoryview(buffer)[offset + _CHECKED_FROM : offset + size])
    _, _, stored, first, recv_ts, next_in, synced, count, _ = _HEAD.unpack_from(buffer, offset)
    if crc != stored:
        raise FrameError("CRC does not agree")
    return FrameHead(first, count, recv_ts, next_in, synced, size)


def decode(buffer: bytes | memoryview, offset: int) -> tuple[Envelope, int]:
    """The verified envelope at `offset` and the frame's size in bytes; FrameError as `check`."""
    head = check(buffer, offset)
    name_length = _HEAD.unpack_from(buffer, offset)[-1]
    body = memoryview(buffer)[offset + HEAD_BYTES : offset + head.size]
    messages = unpack_messages(body[name_length:], head.count)
    session = bytes(body[:name_length]).decode()
    return Envelope(session, head.first, head.recv_ts, messages, head.next_in), head.size
