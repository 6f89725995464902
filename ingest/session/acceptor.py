"""The FIX engine of a process: sessions that log on here and sessions we dial, all into one raw log."""

import asyncio
import logging
import shutil
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from domain.clock import Clock
from ingest.session.access import Access
from ingest.session.committer import CommitLimits, Committer
from ingest.session.connection import Connection, Responder
from ingest.session.core import SessionCore
from ingest.session.dialer import Dial, dial_for_ever
from ingest.session.fastlane import use_machine_code
from ingest.session.state import Numbers, Role, SessionConfig
from ingest.session.status import SessionStatus, write_status
from ingest.session.store import SessionStore
from ingest.streams.segment import SegmentStream

logger = logging.getLogger(__name__)

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AcceptorConfig:
    """Where the acceptor listens, what it accepts and where it writes.

    `log_directory` is the root of the segment log, `state_directory` takes the outbound numbers and `status.json`.
    With `tls` set, connections are TLS 1.2 or newer as that context says. By session name: `access` what a connection
    must show, `dial` where a session of role INITIATOR is dialed, `respond` who answers its business messages. A
    counterparty that does not read what it is sent for `unread_seconds` is dropped. With `machine_code` the fast lane
    is compiled where numba is installed.
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
    access: Mapping[str, Access] = field(default_factory=dict)
    dial: Mapping[str, Dial] = field(default_factory=dict)
    respond: Mapping[str, Responder] = field(default_factory=dict)
    unread_seconds: float = 60.0
    machine_code: bool = False


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
            lambda: Connection(acceptor), config.host, config.port, ssl=config.tls, reuse_address=True
        )
        port = server.sockets[0].getsockname()[1]
        if config.machine_code:
            threading.Thread(target=_warm_up, daemon=True).start()
        committing = asyncio.create_task(acceptor.committer.run())
        ticking = asyncio.create_task(acceptor.tick_for_ever(port))
        stopping = asyncio.create_task(stop.wait())
        dialing = acceptor.dial()
        try:
            if on_listening is not None:
                on_listening(port)
            ended, _ = await asyncio.wait({committing, ticking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            server.close()
            for call in dialing:
                call.cancel()
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
            for call in dialing:
                call.cancel()
            await asyncio.gather(*running, *dialing, return_exceptions=True)
            acceptor.publish(port)
    finally:
        acceptor.close()


def _warm_up() -> None:
    """Compile the fast lane beside the work: NumPy serves until it is ready, and for good where there is no numba."""
    try:
        from ingest.fix.codec.jit import code_cache
        from ingest.session.compiled import compile_leading

        with code_cache():
            use_machine_code(compile_leading())
    except Exception as error:
        logger.info("the fast lane stays with NumPy: %s", error)


class _Acceptor:
    """What all connections share."""

    def __init__(self, config: AcceptorConfig, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self._stream = SegmentStream(config.log_directory)
        self.store = SessionStore(config.state_directory, self._stream)
        self.committer = Committer(self._stream, clock, config.limits)
        self.first_message_seconds, self.unread_seconds = config.first_message_seconds, config.unread_seconds
        self.read_buffer = memoryview(bytearray(_READ_BYTES))
        self.sessions = {
            session.name: replace(session, deliver=True) if session.name in config.respond else session
            for session in config.sessions
        }
        self.active: dict[str, Connection] = {}
        self.connections: set[Connection] = set()
        self._numbers: dict[str, tuple[int, int]] = {}
        self._disk_low = False

    def load(self) -> None:
        """Lock and recover every configured session, so that a second acceptor or damage is found at once."""
        for name in self.sessions:
            numbers = self._load(name)
            self.committer.begin(name, numbers.logged)
            self._numbers[name] = (numbers.next_in, numbers.next_out)

    @property
    def listening(self) -> bool:
        """Whether sockets are read: not while the disk is nearly full or too much waits for it."""
        return not self._disk_low and not self.committer.full

    def joined(self, connection: Connection) -> bool:
        """A socket is open; False when there are too many."""
        room = len(self.connections) < self.config.max_connections
        self.connections.add(connection)
        return room

    def left(self, connection: Connection) -> None:
        """The socket is gone."""
        self.connections.discard(connection)

    def claim(self, connection: Connection, name: str) -> SessionCore | str | None:
        """The session's core, why the connection is refused, or None to wait for the predecessor's last commit."""
        session, dialed = self.sessions.get(name), name in self.config.dial
        if session is None or (session.role is Role.INITIATOR) is not dialed:
            return f"no session {name} is configured"
        access = None if dialed else self.config.access.get(name)
        refusal = access.refusal(connection.info("peername"), connection.info("peercert")) if access else ""
        if refusal:
            return f"{name}: {refusal}"
        if name in self.active:
            return f"{name} is connected already" if self.active[name].connected else None
        self.active[name] = connection
        return SessionCore(session, self._load(name), self.clock, self.store.sent(name))

    def responder(self, name: str) -> Responder | None:
        """Who answers business messages of the session."""
        return self.config.respond.get(name)

    def reserve(self, name: str, next_out: int) -> None:
        """Make durable what the next sends rely on: numbers below `next_out`, business messages kept."""
        self.store.reserve(name, next_out)

    def dial(self) -> list[asyncio.Task[None]]:
        """Start dialing the sessions that are ours to begin."""
        return [asyncio.create_task(self._dial(name, dial)) for name, dial in self.config.dial.items()]

    async def _dial(self, name: str, dial: Dial) -> None:
        schedule = self.sessions[name].schedule
        await dial_for_ever(dial, name, lambda: Connection(self, dials=name), schedule, self.clock)

    def _load(self, name: str) -> Numbers:
        schedule = self.sessions[name].schedule
        period = schedule.period(self.clock.now_ns()) if schedule is not None and schedule.reset else None
        return self.store.load(name, period)

    def adjust_reading(self) -> None:
        """Pause or resume every socket."""
        for connection in self.connections:
            connection.listen()

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
            gap = connection.core.gap if connection is not None and connection.core is not None else (0, 0)
            rows.append(SessionStatus(name, connected, *self._numbers[name], received, last_recv_ts, *gap))
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
        """Release log and store."""
        self.store.close()
        self._stream.close()

    def _check_disk(self) -> None:
        low = shutil.disk_usage(self.config.log_directory).free < self.config.min_free_bytes
        if low != self._disk_low:
            logger.warning("disk space is %s; sockets are %s", *(("low", "paused") if low else ("back", "read again")))
        self._disk_low = low
