"""Reading a segment log lane: from a position, within the durable end, cut at message limits."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from domain.errors import PermanentError, TransientError
from ingest.streams.frame import FrameError, decode, frame_size
from ingest.streams.port import READ_BYTES, Batch, Envelope
from ingest.streams.segment_files import (
    Mark,
    Position,
    read_mark,
    sealed_path,
    segment_files,
    segment_firsts,
    segment_path,
)
from ingest.streams.segment_sealed import SealedSegment

_READ_BYTES = 1024 * 1024


def read_lane(directory: Path, lane: str, after: str | None, limit_messages: int, until: str | None) -> Batch:
    """One batch of the lane (semantics: `ingest.streams.port.Stream.read`)."""
    mark = read_mark(directory)
    if mark is None:
        if after or until:
            raise TransientError(f"lane {lane} has no durable data to continue from {after or until}")
        return Batch(lane, (), "", 0)
    position = Position.parse(after) if after else _start(directory)
    high = Position.parse(until).number if until else mark.number
    if max(position.number, high) > mark.number:
        raise TransientError(
            f"lane {lane}: message {max(position.number, high)} is beyond the durable end {mark.number}"
        )
    envelopes: list[Envelope] = []
    high = min(high, position.number + limit_messages)
    # A planned range is no larger than what was read when it was planned.
    room: float = READ_BYTES if until is None else math.inf
    while position.number < high and room > 0:
        position, found = _read_segment(directory, lane, position, high, mark, room)
        envelopes += found
        room -= _size(found)
    return Batch(lane, tuple(envelopes), str(position), mark.number - position.number)


def position_before(directory: Path, number: int) -> Position:
    """A position from which the next message read is `number` (a walk from the start of its segment or block)."""
    firsts = [first for first in segment_firsts(directory) if first <= number]
    if not firsts:
        raise PermanentError(f"message {number} is before the first segment of {directory}")
    try:
        offset = SealedSegment(sealed_path(directory, firsts[-1])).before(number)
    except FileNotFoundError:
        offset = 0
    except FrameError as error:
        raise PermanentError(f"{directory}: damaged data in segment {firsts[-1]}: {error}") from error
    return Position(firsts[-1], offset, number - 1)


def _start(directory: Path) -> Position:
    firsts = segment_firsts(directory)
    if not firsts:
        raise PermanentError(f"{directory} has a durable mark but no segments")
    return Position(firsts[0], 0, firsts[0] - 1)


def segment_bytes(directory: Path, first: int) -> bytes:
    """The whole content of a segment, sealed or not; FrameError when a sealed one is damaged."""
    try:
        return segment_path(directory, first).read_bytes()
    except FileNotFoundError:
        return b"".join(SealedSegment(sealed_path(directory, first)).content())


class _Plain:
    """A segment as it was written."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._handle).st_size

    def read(self, offset: int) -> bytes:
        """Bytes from `offset`, at least one whole frame where there is one."""
        buffer = os.pread(self._handle, min(_READ_BYTES, self.size - offset), offset)
        needed = frame_size(buffer, 0)
        return buffer if needed <= len(buffer) else os.pread(self._handle, needed, offset)

    def close(self) -> None:
        os.close(self._handle)


@contextmanager
def _opened(directory: Path, first: int) -> Iterator[_Plain | SealedSegment]:
    """The segment, whichever of its two files is there: a sealed one is in place before the plain one goes."""
    try:
        plain = _Plain(segment_path(directory, first))
    except FileNotFoundError:
        yield SealedSegment(sealed_path(directory, first))
        return
    try:
        yield plain
    finally:
        plain.close()


def _read_segment(
    directory: Path, lane: str, position: Position, high: int, mark: Mark, room: float
) -> tuple[Position, list[Envelope]]:
    """Messages after `position` up to number `high` from its segment, or the position in the following segment."""
    name = segment_path(directory, position.segment).name
    try:
        with _opened(directory, position.segment) as segment:
            end = mark.offset if position.segment == mark.segment else segment.size
            if position.offset >= end:
                if position.number + 1 not in segment_files(directory):
                    raise PermanentError(f"lane {lane}: no segment starts at message {position.number + 1}")
                return Position(position.number + 1, 0, position.number), []
            return _take(segment, lane, name, position, high, end, room)
    except FileNotFoundError:
        raise PermanentError(f"lane {lane}: segment {name} is gone") from None
    except FrameError as error:
        raise PermanentError(
            f"lane {lane}: damaged data in {name} at or after byte {position.offset}: {error}"
        ) from error


def _take(
    segment: _Plain | SealedSegment, lane: str, name: str, position: Position, high: int, end: int, room: float
) -> tuple[Position, list[Envelope]]:
    found: list[Envelope] = []
    for offset, envelope, size in _frames(segment, position.offset, end):
        if envelope.first > position.number + 1:
            raise PermanentError(f"lane {lane}: message {position.number + 1} is missing in {name} at byte {offset}")
        if envelope.last > position.number:
            found.append(envelope.between(position.number + 1, high))
        position = Position(
            position.segment,
            offset + size if envelope.last <= high else offset,
            max(position.number, min(envelope.last, high)),
        )
        room -= size
        if position.number >= high or room <= 0:
            break
    return position, found


def _size(envelopes: Sequence[Envelope]) -> int:
    """Bytes of their messages."""
    return sum(map(len, (message for envelope in envelopes for message in envelope.messages)))


def _frames(segment: _Plain | SealedSegment, offset: int, end: int) -> Iterator[tuple[int, Envelope, int]]:
    """(byte offset, envelope, frame bytes) of every frame of the segment from offset to end; FrameError on damage."""
    buffer, base = b"", offset
    while offset < end:
        at = offset - base
        try:
            complete = len(buffer) - at >= frame_size(buffer, at)
        except FrameError:
            complete = False
        if not complete:
            buffer, base, at = segment.read(offset), offset, 0
        envelope, size = decode(buffer, at)
        if size > end - offset:
            raise FrameError("frame reaches past the durable end")
        yield offset, envelope, size
        offset += size
