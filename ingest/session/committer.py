"""Group commit: what all sessions received is appended together, and each hears when its part is durable."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from domain.clock import Clock
from ingest.session.state import Append
from ingest.streams.port import Envelope, Stream


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
    waiting_bytes: int = 8 * 1024 * 1024


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
        self._bytes += sum(map(len, append.messages))
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
                    self._bytes -= sum(map(len, one.append.messages))
                    one.done(len(one.append.messages))
                if not self._waiting:
                    self._idle.set()

    def _envelopes(self, group: list[_Waiting]) -> list[Envelope]:
        now = self._clock.now_ns()
        messages: dict[str, list[bytes]] = {}
        next_in: dict[str, list[int]] = {}
        for one in group:
            messages.setdefault(one.session, []).extend(one.append.messages)
            next_in.setdefault(one.session, []).extend(one.append.next_in)
        envelopes: list[Envelope] = []
        for session, raw in messages.items():
            at, first = 0, self._logged.get(session, 0) + 1
            while at < len(raw):
                end = self._frame_end(raw, at)
                part = tuple(raw[at:end])
                envelopes.append(Envelope(session, first + at, now, part, next_in[session][end - 1]))
                at = end
        return envelopes

    def _frame_end(self, raw: list[bytes], at: int) -> int:
        size, end = 0, at
        while end < len(raw) and end - at < self._limits.frame_messages:
            size += len(raw[end])
            if end > at and size > self._limits.frame_bytes:
                break
            end += 1
        return end
