"""Durable numbers of every session: inbound from the tail of the raw log, outbound from a small file."""

from pathlib import Path

from domain.errors import PermanentError
from ingest.session.state import Numbers
from ingest.streams.durable import replace_file
from ingest.streams.segment import SegmentStream
from ingest.streams.segment_files import lane_directory

# Outbound numbers are reserved ahead in blocks: one file replacement per block instead of one per message. After a
# crash the unused rest of a block is a gap the counterparty asks about and we fill, as we send session messages only.
RESERVED_NUMBERS = 64


class SessionStore:
    """Numbers that survive a crash between any two steps.

    The inbound number is read from the last frame of the session's lane, so it cannot disagree with what was logged:
    a message is either durable and counted, or neither, and then the counterparty sends it again.
    """

    def __init__(self, directory: Path, stream: SegmentStream) -> None:
        self._directory, self._stream = directory, stream
        self._reserved: dict[str, tuple[int, int]] = {}

    def load(self, session: str) -> Numbers:
        """The session's numbers; TransientError while another acceptor has the session, PermanentError on damage."""
        tail = self._stream.tail(session)
        path = self._path(session)
        try:
            next_out = int(path.read_text()) if path.exists() else 1
        except ValueError as error:
            raise PermanentError(f"{path} holds no number") from error
        self._reserved.setdefault(session, (next_out, next_out))
        low, _ = self._reserved[session]
        return Numbers(tail.next_in or 1, low, tail.number)

    def reserve(self, session: str, next_out: int) -> None:
        """Make sure no number below `next_out` is ever used again, before the messages that used them are sent."""
        low, high = self._reserved.get(session, (0, 0))
        if low <= next_out <= high:
            self._reserved[session] = (next_out, high)
        else:
            self._write(session, next_out, next_out + RESERVED_NUMBERS)

    def release(self, session: str) -> None:
        """Give the unused rest of the reserved block back, at an orderly disconnect."""
        low, high = self._reserved.get(session, (0, 0))
        if low < high:
            self._write(session, low, low)

    def _write(self, session: str, low: int, high: int) -> None:
        replace_file(self._path(session), f"{high}\n".encode())
        self._reserved[session] = (low, high)

    def _path(self, session: str) -> Path:
        return lane_directory(self._directory, session).with_suffix(".out")
