"""Durable numbers of every session: inbound from the tail of the raw log, outbound from a small file."""

from pathlib import Path

from domain.errors import PermanentError
from ingest.session.sent import SentFile
from ingest.session.state import Numbers
from ingest.streams.durable import replace_file
from ingest.streams.segment import SegmentStream
from ingest.streams.segment_files import lane_directory

# Outbound numbers are reserved ahead in blocks: one file replacement per block instead of one per message. After a
# crash the unused rest of a block is a gap the counterparty asks about and we fill.
RESERVED_NUMBERS = 64


class SessionStore:
    """Numbers that survive a crash between any two steps.

    The inbound number is read from the last frame of the session's lane, so it cannot disagree with what was logged:
    a message is either durable and counted, or neither, and then the counterparty sends it again.
    """

    def __init__(self, directory: Path, stream: SegmentStream) -> None:
        self._directory, self._stream = directory, stream
        self._reserved: dict[str, tuple[int, int]] = {}
        self._sent: dict[str, SentFile] = {}

    def load(self, session: str, period: int | None = None) -> Numbers:
        """The session's numbers; TransientError while another acceptor has the session, PermanentError on damage.

        `period` is when the session's current period of hours began: in a new one both numbers are 1.
        """
        tail = self._stream.tail(session)
        sent = self.sent(session)
        next_out = max(self._read(self._path(session, ".out"))[0], sent.last + 1)
        self._reserved.setdefault(session, (next_out, next_out))
        next_in = tail.next_in or 1
        if period is not None:
            began, logged = self._read(self._path(session, ".period"), (0, -1))
            if began != period:
                # A session without a record of periods goes on as it is: its numbers may belong to this one.
                logged = tail.number if began else -1
                self._begin_period(session, period, logged)
            if logged == tail.number:
                next_in = 1
        # What was kept while nobody was connected used up numbers too, without a send to reserve them for.
        return Numbers(next_in, max(self._reserved[session][0], sent.last + 1), tail.number)

    def sent(self, session: str) -> SentFile:
        """Business messages the session was sent."""
        if session not in self._sent:
            self._sent[session] = SentFile(self._path(session, ".sent"))
        return self._sent[session]

    def reserve(self, session: str, next_out: int) -> None:
        """Make sure no number below `next_out` is ever used again, before the messages that used them are sent.

        Business messages kept for a resend are durable then too.
        """
        self.sent(session).sync()
        low, high = self._reserved.get(session, (0, 0))
        if low <= next_out <= high:
            self._reserved[session] = (next_out, high)
        else:
            self._write(session, next_out, next_out + RESERVED_NUMBERS)

    def close(self) -> None:
        """Release the files."""
        for sent in self._sent.values():
            sent.close()
        self._sent.clear()

    def _begin_period(self, session: str, period: int, logged: int) -> None:
        """Record that expecting 1 is right until something is logged, before anything relies on it."""
        if logged >= 0:
            self.sent(session).clear()
            self._write(session, 1, 1)
        replace_file(self._path(session, ".period"), f"{period} {logged}\n".encode())

    def _read(self, path: Path, otherwise: tuple[int, ...] = (1,)) -> tuple[int, ...]:
        try:
            return tuple(int(part) for part in path.read_text().split()) if path.exists() else otherwise
        except ValueError as error:
            raise PermanentError(f"{path} holds no number") from error

    def release(self, session: str) -> None:
        """Give the unused rest of the reserved block back, at an orderly disconnect."""
        low, high = self._reserved.get(session, (0, 0))
        if low < high:
            self._write(session, low, low)

    def _write(self, session: str, low: int, high: int) -> None:
        replace_file(self._path(session, ".out"), f"{high}\n".encode())
        self._reserved[session] = (low, high)

    def _path(self, session: str, suffix: str) -> Path:
        return lane_directory(self._directory, session).with_suffix(suffix)
