"""The acceptor of a certification: one test session over TCP, with a core and numbers that live as long as the run."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from domain.clock import Clock
from ingest.certify.examiner import Examiner, Order
from ingest.certify.steps import Step
from ingest.session.core import SessionCore
from ingest.session.framing import Framer
from ingest.session.sent import MemorySent
from ingest.session.state import Action, Append, Disconnect, Event, Numbers, Phase, Replay, Send, SessionConfig
from ingest.session.wire import header

_CHUNK_BYTES = 64 * 1024
_TICK_SECONDS = 0.05
_FIRST_SECONDS = 10.0
_LOGOUT_SECONDS = 5.0
# The end of one connection and the beginning of the next may cross.
_HANDOVER_SECONDS = 2.0

Record = Callable[[int, bool, bytes], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the run listens, and who is told: the bound port, and each step as its turn comes.

    With `tls` set, connections are TLS as that context says.
    """

    host: str
    port: int
    listening: Callable[[int], None]
    told: Callable[[Step], None]
    record: Record
    tls: ssl.SSLContext | None = None


class CertifyingAcceptor:
    """Accepts the test session's connections, one after the other, and lets the examiner see and lose messages.

    `record` writes a message to the run's own log (nanoseconds UTC, inbound, bytes) before it is acknowledged. Nothing
    of this reaches the raw log, the session numbers or the warehouse of the service.
    """

    def __init__(self, config: SessionConfig, place: Place, examiner: Examiner, clock: Clock) -> None:
        self._config, self._place, self._examiner, self._clock = config, place, examiner, clock
        self._numbers, self._sent = Numbers(), MemorySent()
        self._busy = False
        self._probes = 0

    async def run(self) -> None:
        """Returns when every step is decided, the session logged out. Raises OSError when the port is taken."""
        server = await asyncio.start_server(self._serve, self._place.host, self._place.port, ssl=self._place.tls)
        try:
            self._place.listening(server.sockets[0].getsockname()[1])
            self._tell()
            while self._examiner.current is not None:
                await asyncio.sleep(_TICK_SECONDS)
                self._examiner.tick(self._clock.monotonic())
                self._tell()
            for _ in range(int(_LOGOUT_SECONDS / _TICK_SECONDS)):
                if not self._busy:
                    break
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1.0)

    def _tell(self) -> None:
        step = self._examiner.announce()
        if step is not None:
            self._place.told(step)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(int(_HANDOVER_SECONDS / _TICK_SECONDS)):
            if not self._busy:
                break
            await asyncio.sleep(_TICK_SECONDS)
        if self._busy:
            self._examiner.refused("a second connection was dropped: the session is in use")
            writer.close()
            return
        self._busy = True
        try:
            line = _Line(
                self._config, self._numbers, self._sent, self._clock, writer, self._examiner, self._place.record
            )
            await self._talk(line, reader)
            self._numbers = Numbers(line.core.next_in, line.core.next_out)
        finally:
            self._busy = False
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, line: "_Line", reader: asyncio.StreamReader) -> None:
        framer = Framer(self._config.max_message_bytes)
        reason, began = "connection lost", self._clock.monotonic()
        logging_out = False
        while not line.closing:
            try:
                data = await asyncio.wait_for(reader.read(_CHUNK_BYTES), _TICK_SECONDS)
            except TimeoutError:
                data = None
            except OSError as error:
                reason = error.strerror or reason
                break
            if data == b"":
                break
            for frame in framer.feed(data or b""):
                if line.fresh and not self._ours(frame.data, frame.garbled):
                    return
                line.take(frame.data, frame.garbled)
            if line.fresh and self._clock.monotonic() - began > _FIRST_SECONDS:
                reason = "no Logon"
                break
            logging_out = self._due(line, logging_out)
        line.over()
        self._examiner.disconnected(line.closing or reason)

    def _due(self, line: "_Line", logging_out: bool) -> bool:
        line.act(line.core.tick())
        for order in self._examiner.tick(self._clock.monotonic()) if line.core.phase is Phase.ACTIVE else []:
            if order is Order.PROBE:
                self._probes += 1
                line.act(line.core.probe(f"UAT-{self._probes}"))
        self._tell()
        if self._examiner.current is None and not logging_out:
            line.act(line.core.logout("certification is over"))
            return True
        return logging_out

    def _ours(self, message: bytes, garbled: str) -> bool:
        first = header(message) if not garbled else {}
        pair = (first.get(49, ""), first.get(56, ""))
        if pair == (self._config.sender, self._config.target):
            return True
        spoken = f"{pair[0] or '?'}->{pair[1] or '?'}"
        self._examiner.refused(f"a connection for {spoken} was dropped; this run is for {self._config.name}")
        return False


class _Line:
    """One connection: a core, its actions written, recorded and shown to the examiner."""

    def __init__(
        self, config: SessionConfig, numbers: Numbers, sent: MemorySent, clock: Clock, writer: asyncio.StreamWriter,
        examiner: Examiner, record: Record,
    ) -> None:  # fmt: skip
        self.core = SessionCore(config, numbers, clock, sent)
        self.closing, self.fresh = "", True
        self._clock, self._writer, self._examiner, self._record = clock, writer, examiner, record

    def take(self, message: bytes, garbled: str) -> None:
        """A frame received: recorded, judged and, unless it is lost on purpose, given to the session."""
        self.fresh = False
        now = self._clock.now_ns()
        self._record(now, True, message)
        if self._examiner.received(message, now, garbled):
            self.act(self.core.receive(message))

    def act(self, actions: Iterable[Action]) -> None:
        """Do what the core asks for; what is appended is in the run's log already."""
        for action in actions:
            match action:
                case Append(messages):
                    self.act(self.core.committed(len(messages)))
                case Send(data):
                    self._send(data)
                case Replay(messages):
                    for message in messages:
                        self._send(message)
                case Disconnect(reason):
                    self.closing = reason
                case Event():
                    pass

    def over(self) -> None:
        """The connection is gone."""
        self.act(self.core.closed())

    def _send(self, data: bytes) -> None:
        now = self._clock.now_ns()
        self._record(now, False, data)
        if self._examiner.sent(data, now) and not self._writer.is_closing():
            self._writer.write(data)
