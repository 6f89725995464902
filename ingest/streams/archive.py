"""The raw log as archive: whole segments sealed, one message found by lane and number, old ones let go by rule."""

from dataclasses import dataclass
from pathlib import Path

from domain.errors import PermanentError
from ingest.streams.frame import FrameError
from ingest.streams.segment_files import (
    lane_directory,
    lane_names,
    read_mark,
    sealed_path,
    segment_files,
    segment_firsts,
    segment_path,
)
from ingest.streams.segment_reader import position_before, read_lane
from ingest.streams.segment_sealed import SealedSegment, seal


@dataclass(frozen=True, slots=True)
class Archive:
    """The lanes below `root`, for everything but writing. Any process may use it beside the writer."""

    root: Path

    def lanes(self) -> list[str]:
        """Names of the lanes, sorted."""
        return lane_names(self.root)

    def message(self, lane: str, number: int) -> bytes:
        """The bytes of one message. Raises PermanentError when it was let go or never was."""
        directory = lane_directory(self.root, lane)
        mark = read_mark(directory)
        if mark is None or number > mark.number:
            raise PermanentError(f"lane {lane}: message {number} is beyond the durable end")
        batch = read_lane(directory, lane, str(position_before(directory, number)), 1, None)
        return bytes(batch.envelopes[0].messages[0])

    def held(self, lane: str) -> tuple[int, int]:
        """First and last number of the lane's messages that are here; (1, 0) for none."""
        directory = lane_directory(self.root, lane)
        mark, firsts = read_mark(directory), segment_firsts(directory)
        return (firsts[0], mark.number) if mark is not None and firsts else (1, 0)

    def seal(self, lane: str, limit: int) -> int:
        """Seal at most `limit` whole segments of a lane; returns the bytes saved."""
        return seal_whole(lane_directory(self.root, lane), limit)

    def let_go(self, lane: str, before_ns: int, taken: int) -> int:
        """Delete sealed segments, oldest first, received before a time (UTC ns) and up to message `taken`.

        Returns how many. The newest segment stays whatever its age: the lane's numbers go on from it.
        """
        directory, gone = lane_directory(self.root, lane), 0
        for first in segment_firsts(directory)[:-1]:
            try:
                segment = SealedSegment(sealed_path(directory, first))
            except FileNotFoundError:
                return gone
            except FrameError as error:
                raise PermanentError(f"lane {lane}: segment {first}: {error}") from error
            if segment.newest_ns >= before_ns or segment.last > taken or segment_path(directory, first).exists():
                return gone
            sealed_path(directory, first).unlink()
            gone += 1
        return gone

    def size(self, lane: str) -> tuple[int, int]:
        """Segments of a lane and their bytes on disk."""
        files = segment_files(lane_directory(self.root, lane))
        return len(files), sum(path.stat().st_size for path in files.values())


def seal_whole(directory: Path, limit: int) -> int:
    """Seal at most `limit` segments that the writer is through with; returns the bytes saved."""
    mark = read_mark(directory)
    whole = [path for path in sorted(directory.glob("*.seg")) if mark is not None and int(path.stem) < mark.segment]
    try:
        return sum(seal(directory, int(path.stem)) for path in whole[:limit])
    except FrameError as error:
        raise PermanentError(f"{directory}: a segment that was durable is damaged: {error}") from error
