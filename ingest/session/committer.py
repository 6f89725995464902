"""Group commit: what all sessions received is appended together, and each hears when its part is durable."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from domain.clock import Clock
from ingest.session.state import Append
from ingest.streams.port import Envelope, Stream
from ingest.streams.run import Run


@dataclass(frozen=True, slots=True)
class _Waiting:
    session: str
    append: Append
    done: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """How much one frame holds and how much may wait for the disk before sockets are paused."""

    frame_messages: int = 4_096
    frame_bytes: int = 4 * 1024 * 1024
    waiting_bytes: int = 32 * 1024 * 1024


class Committer:
    """Appends in a thread, one append at a time; what arrives meanwhile goes into the next one.

    So a quiet session waits for one fdatasync and a busy hour shares each one. `recv_ts` is stamped here, once.
    """

    def __init__(self, stream: Stream, clock: Clock, limits: CommitLimits | None = None) -> None:
        self._stream, self._clock, self._limits = stream, clock, limits or CommitLimits()
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._logged: dict[str, int] = {}
        self._last_recv: dict[str, int] = {}
        self._bytes = 0

    def begin(self, session: str, logged: int) -> None:
        """The session's last number in the log, before its first submit."""
        self._logged.setdefault(session, logged)

    def submit(self, session: str, append: Append, done: Callable[[int], None]) -> None:
        """Log the messages; `done(count)` is called in the event loop when they are durable, in submit order."""
        self._waiting.append(_Waiting(session, append, done))
        self._bytes += append.size
        self._idle.clear()
        self._wake.set()

    @property
    def full(self) -> bool:
        """Whether enough waits for the disk that sockets should pause."""
        return self._bytes > self._limits.waiting_bytes

    def logged(self, session: str) -> tuple[int, int]:
        """Durable messages of the session and the receive time of the last one (0: none since the start)."""
        return self._logged.get(session, 0), self._last_recv.get(session, 0)

    async def drained(self) -> None:
        """Returns when nothing waits any more."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit until cancelled; a failed append ends it with the stream's error, nothing of it acknowledged."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "raw-log") as pool:
            while True:
                await self._wake.wait()
                self._wake.clear()
                group = list(self._waiting)
                self._waiting.clear()
                envelopes = self._envelopes(group)
                await loop.run_in_executor(pool, self._stream.append, envelopes)
                for envelope in envelopes:
                    self._logged[envelope.session] = envelope.last
                    self._last_recv[envelope.session] = envelope.recv_ts
                for one in group:
                    self._bytes -= one.append.size
                    one.done(len(one.append.messages))
                if not self._waiting:
                    self._idle.set()

    def _envelopes(self, group: list[_Waiting]) -> list[Envelope]:
        now = self._clock.now_ns()
        last: dict[str, int] = {}
        envelopes: list[Envelope] = []
        for session, raw, next_in in _together(group):
            at = 0
            while at < len(raw):
                first = last.get(session, self._logged.get(session, 0)) + 1
                end = self._frame_end(raw, at)
                part = raw.part(at, end) if isinstance(raw, Run) else tuple(raw[at:end])
                envelopes.append(Envelope(session, first, now, part, next_in[end - 1]))
                last[session] = first + end - at - 1
                at = end
        return envelopes

    def _frame_end(self, raw: Sequence[bytes], at: int) -> int:
        end = min(at + self._limits.frame_messages, len(raw))
        if isinstance(raw, Run):
            # What one read of a socket brings is never larger than a frame.
            return end
        size, full = 0, at
        while full < end:
            size += len(raw[full])
            if full > at and size > self._limits.frame_bytes:
                break
            full += 1
        return full


def _together(group: list[_Waiting]) -> Iterator[tuple[str, Sequence[bytes], Sequence[int]]]:
    """Session, messages and next numbers: runs as they are, single messages of a session that follow each other as one.

    The order within a session is kept; between sessions there is none to keep.
    """
    open_lists: dict[str, tuple[list[bytes], list[int]]] = {}
    for one in group:
        if isinstance(one.append.messages, Run):
            if one.session in open_lists:
                yield one.session, *open_lists.pop(one.session)
            yield one.session, one.append.messages, one.append.next_in
        else:
            messages, next_in = open_lists.setdefault(one.session, ([], []))
            messages += one.append.messages
            next_in += one.append.next_in
    for session, (messages, next_in) in open_lists.items():
        yield session, messages, next_in
