"""The FIX acceptor: TCP in, raw log out, one session core per connection."""

import asyncio
import logging
import shutil
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from domain.clock import Clock
from ingest.session.committer import CommitLimits, Committer
from ingest.session.core import SessionCore
from ingest.session.framing import DEFAULT_MAX_MESSAGE_BYTES, Framer
from ingest.session.state import Action, Append, Disconnect, Event, Send, SessionConfig, session_name
from ingest.session.status import SessionStatus, write_status
from ingest.session.store import SessionStore
from ingest.session.wire import header
from ingest.streams.segment import SegmentStream

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcceptorConfig:
    """Where the acceptor listens, what it accepts and where it writes.

    `log_directory` is the root of the segment log, `state_directory` takes the outbound numbers and `status.json`.
    With `tls` set, connections are TLS 1.2 or newer as that context says.
    """

    host: str
    port: int
    log_directory: Path
    state_directory: Path
    sessions: tuple[SessionConfig, ...]
    min_free_bytes: int = 1024 * 1024 * 1024
    tick_seconds: float = 0.25
    status_seconds: float = 1.0
    first_message_seconds: float = 10.0
    shutdown_seconds: float = 15.0
    max_connections: int = 256
    tls: ssl.SSLContext | None = None
    limits: CommitLimits = field(default_factory=CommitLimits)


async def run_acceptor(
    config: AcceptorConfig, clock: Clock, stop: asyncio.Event, on_listening: Callable[[int], None] | None = None
) -> None:
    """Accept FIX sessions until `stop` is set, then log all of them out and return.

    `on_listening` is called once with the bound port. Raises PermanentError or TransientError when the raw log fails
    or another acceptor holds it: nothing unlogged was acknowledged, and a restart recovers.
    """
    acceptor = _Acceptor(config, clock)
    loop = asyncio.get_running_loop()
    try:
        acceptor.load()
        server = await loop.create_server(
            lambda: _Connection(acceptor), config.host, config.port, ssl=config.tls, reuse_address=True
        )
        port = server.sockets[0].getsockname()[1]
        committing = asyncio.create_task(acceptor.committer.run())
        ticking = asyncio.create_task(acceptor.tick_for_ever(port))
        stopping = asyncio.create_task(stop.wait())
        try:
            if on_listening is not None:
                on_listening(port)
            ended, _ = await asyncio.wait({committing, ticking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            server.close()
            if stopping in ended and not committing.done():
                await acceptor.log_out()
            for task in (committing, ticking):
                if task.done():
                    task.result()
        finally:
            server.close()
            acceptor.abort()
            running: list[asyncio.Task[object]] = [committing, ticking, stopping]
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            acceptor.publish(port)
    finally:
        acceptor.close()


class _Acceptor:
    """What all connections share."""

    def __init__(self, config: AcceptorConfig, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self._stream = SegmentStream(config.log_directory)
        self.store = SessionStore(config.state_directory, self._stream)
        self.committer = Committer(self._stream, clock, config.limits)
        self.sessions = {session.name: session for session in config.sessions}
        self.active: dict[str, _Connection] = {}
        self.connections: set[_Connection] = set()
        self._numbers: dict[str, tuple[int, int]] = {}
        self._disk_low = False

    def load(self) -> None:
        """Lock and recover every configured session, so that a second acceptor or damage is found at once."""
        for name in self.sessions:
            numbers = self.store.load(name)
            self.committer.begin(name, numbers.logged)
            self._numbers[name] = (numbers.next_in, numbers.next_out)

    @property
    def listening(self) -> bool:
        """Whether sockets are read: not while the disk is nearly full or too much waits for it."""
        return not self._disk_low and not self.committer.full

    def open_core(self, name: str) -> SessionCore:
        """A core with the session's durable numbers."""
        return SessionCore(self.sessions[name], self.store.load(name), self.clock)

    def adjust_reading(self) -> None:
        """Pause or resume every socket."""
        for connection in self.connections:
            connection.listen(self.listening)

    async def tick_for_ever(self, port: int) -> None:
        """Timers of all sessions, the disk watermark and the status file."""
        published = float("-inf")
        while True:
            now = self.clock.monotonic()
            if now - published >= self.config.status_seconds:
                published = now
                self._check_disk()
                self.publish(port)
            self.adjust_reading()
            for connection in list(self.connections):
                connection.tick()
            await asyncio.sleep(self.config.tick_seconds)

    def publish(self, port: int) -> None:
        """Replace status.json."""
        rows = []
        for name in self.sessions:
            connection = self.active.get(name)
            if connection is not None and connection.core is not None:
                self._numbers[name] = (connection.core.next_in, connection.core.next_out)
            received, last_recv_ts = self.committer.logged(name)
            connected = connection is not None and connection.connected
            rows.append(SessionStatus(name, connected, *self._numbers[name], received, last_recv_ts))
        free = shutil.disk_usage(self.config.log_directory).free
        write_status(self.config.state_directory, self.clock.now_ns(), port, free, self._disk_low, rows)

    def forget(self, name: str, core: SessionCore) -> None:
        """The session's connection is over and all it received is durable: the next one may begin."""
        self.active.pop(name, None)
        self._numbers[name] = (core.next_in, core.next_out)
        self.store.release(name)
        for connection in list(self.connections):
            connection.greet()

    async def log_out(self) -> None:
        """Logout to every session; returns when all are gone or their time is over."""
        for connection in list(self.connections):
            connection.log_out("Tieout is shutting down")
        try:
            async with asyncio.timeout(self.config.shutdown_seconds):
                while self.connections:
                    await asyncio.sleep(0.01)
                await self.committer.drained()
        except TimeoutError:
            logger.warning("%d connections did not log out in time", len(self.connections))

    def abort(self) -> None:
        """Drop all connections."""
        for connection in list(self.connections):
            connection.abort()

    def close(self) -> None:
        """Release the log."""
        self._stream.close()

    def _check_disk(self) -> None:
        low = shutil.disk_usage(self.config.log_directory).free < self.config.min_free_bytes
        if low != self._disk_low:
            logger.warning("disk space is %s; sockets are %s", *(("low", "paused") if low else ("back", "read again")))
        self._disk_low = low


class _Connection(asyncio.Protocol):
    """One TCP connection: until its first message names a session, then that session's core."""

    def __init__(self, acceptor: _Acceptor) -> None:
        self._acceptor = acceptor
        self._transport: asyncio.Transport | None = None
        self._listening = True
        self._opened_at = acceptor.clock.monotonic()
        self._greeting = b""
        self._name = ""
        self._undurable = 0
        self.core: SessionCore | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._acceptor.connections) >= self._acceptor.config.max_connections:
            transport.abort()
        self._acceptor.connections.add(self)
        # Once the transport reads: a paused acceptor must not take a Logon from a newcomer either.
        asyncio.get_running_loop().call_soon(lambda: self.listen(self._acceptor.listening))

    def data_received(self, data: bytes) -> None:
        if self.core is None:
            self._greeting += data
            self.greet()
        else:
            self._act(self.core.receive(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._acceptor.connections.discard(self)
        self._greeting = b""
        self._transport = None
        if self.core is not None:
            self._act(self.core.closed())
            logger.info("%s: disconnected", self._name)
            self._finish()

    @property
    def connected(self) -> bool:
        """False once the socket is gone, even while something it brought is not durable yet."""
        return self._transport is not None

    def tick(self) -> None:
        """Timers of this connection."""
        if self.core is not None:
            self._act(self.core.tick(self._listening))
        elif self._acceptor.clock.monotonic() - self._opened_at > self._acceptor.config.first_message_seconds:
            self.abort()

    def listen(self, listening: bool) -> None:
        """Pause or resume reading."""
        if self._transport is None or listening == self._listening or self._transport.is_closing():
            return
        self._listening = listening
        (self._transport.resume_reading if listening else self._transport.pause_reading)()

    def log_out(self, text: str) -> None:
        """Begin an orderly end."""
        if self.core is not None:
            self._act(self.core.logout(text))
        else:
            self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def greet(self) -> None:
        """Find the session the first message speaks for; anything else is dropped without an answer."""
        frames = Framer(DEFAULT_MAX_MESSAGE_BYTES).feed(self._greeting)
        if not frames or self.core is not None:
            return
        first = header(frames[0].data) if not frames[0].garbled else {}
        name = session_name(first.get(49, ""), first.get(56, ""))
        if name not in self._acceptor.sessions:
            logger.warning("refused a connection: no session %s is configured", name)
            self.abort()
        elif name not in self._acceptor.active:
            data, self._greeting = self._greeting, b""
            self._name, self.core = name, self._acceptor.open_core(name)
            self._acceptor.active[name] = self
            self._act(self.core.receive(data))
        elif self._acceptor.active[name].connected:
            logger.warning("refused a second connection of %s", name)
            self.abort()

    def _act(self, actions: list[Action]) -> None:
        sends = self._transport is not None and any(isinstance(action, Send) for action in actions)
        if sends and self.core is not None:
            self._acceptor.store.reserve(self._name, self.core.next_out)
        for action in actions:
            match action:
                case Append(messages):
                    self._undurable += len(messages)
                    self._acceptor.committer.submit(self._name, action, self._committed)
                case Send(data) if self._transport is not None:
                    self._transport.write(data)
                case Disconnect(reason):
                    logger.info("%s: closing: %s", self._name, reason)
                    if self._transport is not None:
                        self._transport.close()
                case Event(text):
                    logger.info("%s: %s", self._name, text)
        if not self._acceptor.listening:
            self._acceptor.adjust_reading()

    def _committed(self, count: int) -> None:
        self._undurable -= count
        if self.core is not None:
            self._act(self.core.committed(count))
            self._finish()
        if self._acceptor.listening and not self._listening:
            self._acceptor.adjust_reading()

    def _finish(self) -> None:
        """A new connection reads its numbers from the log, so it has to wait for the last commit of the old one."""
        if self.core is not None and self._transport is None and not self._undurable:
            core, self.core = self.core, None
            self._acceptor.forget(self._name, core)
