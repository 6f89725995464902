"""Reading a segment log lane: from a position, within the durable end, cut at message limits."""

import os
from collections.abc import Iterator
from pathlib import Path

from domain.errors import PermanentError, TransientError
from ingest.streams.frame import FrameError, decode, frame_size
from ingest.streams.port import Batch, Envelope
from ingest.streams.segment_files import Mark, Position, read_mark, segment_firsts, segment_path

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
    low = position.number
    high = min(high, low + limit_messages)
    while position.number < high:
        position, found = _read_segment(directory, lane, position, high, mark)
        envelopes += found
    return Batch(lane, tuple(envelopes), str(position), mark.number - position.number)


def position_before(directory: Path, number: int) -> Position:
    """A position from which the next message read is `number` (a walk from its segment's start)."""
    firsts = [first for first in segment_firsts(directory) if first <= number]
    if not firsts:
        raise PermanentError(f"message {number} is before the first segment of {directory}")
    return Position(firsts[-1], 0, number - 1)


def _start(directory: Path) -> Position:
    firsts = segment_firsts(directory)
    if not firsts:
        raise PermanentError(f"{directory} has a durable mark but no segments")
    return Position(firsts[0], 0, firsts[0] - 1)


def _read_segment(
    directory: Path, lane: str, position: Position, high: int, mark: Mark
) -> tuple[Position, list[Envelope]]:
    """Messages after `position` up to number `high` from its segment, or the position in the following segment."""
    path = segment_path(directory, position.segment)
    try:
        end = mark.offset if position.segment == mark.segment else path.stat().st_size
        if position.offset >= end:
            if not segment_path(directory, position.number + 1).exists():
                raise PermanentError(f"lane {lane}: no segment starts at message {position.number + 1}")
            return Position(position.number + 1, 0, position.number), []
        found: list[Envelope] = []
        for offset, envelope, size in _frames(path, position.offset, end):
            if envelope.first > position.number + 1:
                raise PermanentError(
                    f"lane {lane}: message {position.number + 1} is missing in {path.name} at byte {offset}"
                )
            if envelope.last > position.number:
                found.append(envelope.between(position.number + 1, high))
            whole = envelope.last <= high
            position = Position(
                position.segment,
                offset + size if whole else offset,
                max(position.number, min(envelope.last, high)),
            )
            if position.number >= high:
                break
        return position, found
    except FileNotFoundError:
        raise PermanentError(f"lane {lane}: segment {path.name} is gone") from None
    except FrameError as error:
        raise PermanentError(
            f"lane {lane}: damaged data in {path.name} at or after byte {position.offset}: {error}"
        ) from error


def _frames(path: Path, offset: int, end: int) -> Iterator[tuple[int, Envelope, int]]:
    """(byte offset, envelope, frame bytes) of every frame in path[offset:end]; FrameError on damage."""
    with path.open("rb", buffering=0) as file:
        handle = file.fileno()
        buffer, base = b"", offset
        while offset < end:
            at = offset - base
            try:
                complete = len(buffer) - at >= frame_size(buffer, at)
            except FrameError:
                complete = False
            if not complete:
                buffer, base, at = _window(handle, offset, end), offset, 0
            envelope, size = decode(buffer, at)
            yield offset, envelope, size
            offset += size


def _window(handle: int, offset: int, end: int) -> bytes:
    """Bytes from `offset`, at least one whole frame where there is one before `end`."""
    buffer = os.pread(handle, min(_READ_BYTES, end - offset), offset)
    needed = frame_size(buffer, 0)
    if needed > end - offset:
        raise FrameError("frame reaches past the durable end")
    return buffer if needed <= len(buffer) else os.pread(handle, needed, offset)
