"""One TCP connection of a session: bytes to the core, the core's actions to socket, raw log and application."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from domain.clock import Clock
from ingest.session.committer import Committer
from ingest.session.core import SessionCore
from ingest.session.framing import DEFAULT_MAX_MESSAGE_BYTES, Framer
from ingest.session.state import Action, Append, Deliver, Disconnect, Event, Phase, Replay, Send, session_name
from ingest.session.wire import header

logger = logging.getLogger(__name__)

# MsgType and body of business messages to send in answer to new ones, which are durable already.
Responder = Callable[[Sequence[bytes]], Iterable[tuple[str, tuple[tuple[int, str], ...]]]]

# A Logon is smaller; what follows it waits in the socket until the session may begin.
_GREETING_BYTES = 64 * 1024
_WRITE_BUFFER_BYTES = 256 * 1024


class Hub(Protocol):
    """What all connections of a process share."""

    clock: Clock
    committer: Committer
    first_message_seconds: float
    unread_seconds: float
    read_buffer: memoryview

    @property
    def listening(self) -> bool:
        """Whether sockets are read at all."""
        ...

    def joined(self, connection: "Connection") -> bool:
        """A socket is open; False when there are too many."""
        ...

    def left(self, connection: "Connection") -> None:
        """The socket is gone."""
        ...

    def claim(self, connection: "Connection", name: str) -> SessionCore | str | None:
        """The session's core, why the connection is refused, or None to wait for the predecessor's last commit."""
        ...

    def reserve(self, name: str, next_out: int) -> None:
        """Make durable what the next sends rely on: numbers below `next_out`, business messages kept."""
        ...

    def forget(self, name: str, core: SessionCore) -> None:
        """The session's connection is over and all it received is durable."""
        ...

    def responder(self, name: str) -> Responder | None:
        """Who answers business messages of the session."""
        ...

    def adjust_reading(self) -> None:
        """Pause or resume every socket."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Until its first message names a session a guest, then that session's connection. With `dials` ours to begin."""

    def __init__(self, hub: Hub, dials: str = "") -> None:
        self._hub, self._dials = hub, dials
        self._transport: asyncio.Transport | None = None
        self._reading, self._writable = True, True
        self._opened_at = self._stuck_at = hub.clock.monotonic()
        self._greeting = b""
        self._outgoing: deque[Iterator[bytes] | None] = deque()
        self._undurable = 0
        self.name = ""
        self.core: SessionCore | None = None
        self.over = asyncio.Event()
        self.logged_on = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        if not self._hub.joined(self):
            transport.abort()
        elif self._dials:
            core = self._hub.claim(self, self._dials)
            if isinstance(core, SessionCore):
                self.name, self.core = self._dials, core
                self._act(core.start())
            else:
                transport.abort()
        # Once the transport reads: a paused acceptor must not take a Logon from a newcomer either.
        asyncio.get_running_loop().call_soon(self.listen)

    def get_buffer(self, sizehint: int) -> memoryview:
        """One buffer serves every connection: what was read is taken over before the next read."""
        return self._hub.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._hub.read_buffer[:nbytes]
        if self.core is None:
            self._greeting += data
            self.greet()
        else:
            self._act(self.core.receive(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._hub.left(self)
        self._greeting = b""
        self._transport = None
        self._outgoing.clear()
        if self.core is not None:
            self._act(self.core.closed())
            logger.info("%s: disconnected", self.name)
            self._finish()
        else:
            self.over.set()

    def pause_writing(self) -> None:
        """The counterparty does not read: nothing more is taken from it, as everything it says may need an answer."""
        self._writable, self._stuck_at = False, self._hub.clock.monotonic()
        self.listen()

    def resume_writing(self) -> None:
        self._writable = True
        self._flush()
        self.listen()

    @property
    def connected(self) -> bool:
        """False once the socket is gone, even while something it brought is not durable yet."""
        return self._transport is not None

    def info(self, name: str) -> object:
        """What the transport knows: `peername`, `peercert`."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    def tick(self) -> None:
        """Timers of this connection."""
        now = self._hub.clock.monotonic()
        if not self._writable and now - self._stuck_at > self._hub.unread_seconds:
            logger.warning("%s: does not read what it is sent; dropped", self.name)
            self.abort()
        elif self.core is not None:
            self._act(self.core.tick(self._reading))
        elif now - self._opened_at > self._hub.first_message_seconds:
            self.abort()

    def listen(self) -> None:
        """Pause or resume reading."""
        wanted = self._hub.listening and self._writable and (self.core is not None or not self._greeting_full())
        if self._transport is None or wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        (self._transport.resume_reading if wanted else self._transport.pause_reading)()

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
        if self.core is not None or self._transport is None or not self._greeting:
            return
        frame = Framer(DEFAULT_MAX_MESSAGE_BYTES).feed(self._greeting)[:1]
        if not frame:
            if self._greeting_full():
                self.abort()
            return
        first = header(frame[0].data) if not frame[0].garbled else {}
        name = session_name(first.get(49, ""), first.get(56, ""))
        core = self._hub.claim(self, name)
        if isinstance(core, SessionCore):
            data, self._greeting = self._greeting, b""
            self.name, self.core = name, core
            self._act(core.receive(data))
        elif core is not None:
            logger.warning("refused a connection: %s", core)
            self.abort()
        self.listen()

    def _greeting_full(self) -> bool:
        return len(self._greeting) >= _GREETING_BYTES

    def _act(self, actions: list[Action]) -> None:
        if self.core is not None and any(isinstance(action, Send | Replay) for action in actions):
            self._hub.reserve(self.name, self.core.next_out)
        for action in actions:
            match action:
                case Append(messages):
                    self._undurable += len(messages)
                    self._hub.committer.submit(self.name, action, self._committed)
                case Send(data):
                    self._write(iter((data,)))
                case Replay(messages):
                    self._write(messages)
                case Deliver(messages):
                    self._respond(messages)
                case Disconnect(reason):
                    logger.info("%s: closing: %s", self.name, reason)
                    self._write(None)
                case Event(text):
                    logger.info("%s: %s", self.name, text)
        self.logged_on = self.logged_on or (self.core is not None and self.core.phase is Phase.ACTIVE)
        if not self._hub.listening:
            self._hub.adjust_reading()

    def _write(self, messages: Iterator[bytes] | None) -> None:
        """Queue messages, or with None the end of the connection."""
        if self._transport is not None:
            self._outgoing.append(messages)
            self._flush()

    def _flush(self) -> None:
        while self._outgoing and self._transport is not None:
            messages = self._outgoing[0]
            if messages is None:
                self._transport.close()
                return
            if self._stuck():
                return
            data = next(messages, None)
            if data is None:
                self._outgoing.popleft()
            else:
                self._transport.write(data)

    def _stuck(self) -> bool:
        return not self._writable

    def _respond(self, messages: tuple[bytes, ...]) -> None:
        responder = self._hub.responder(self.name)
        if responder is not None and self.core is not None:
            answers = [action for kind, body in responder(messages) for action in self.core.send(kind, *body)]
            self._act(answers)

    def _committed(self, count: int) -> None:
        self._undurable -= count
        if self.core is not None:
            self._act(self.core.committed(count))
            self._finish()
        if self._hub.listening and not self._reading:
            self._hub.adjust_reading()

    def _finish(self) -> None:
        """A new connection reads its numbers from the log, so it has to wait for the last commit of the old one."""
        if self.core is not None and self._transport is None and not self._undurable:
            core, self.core = self.core, None
            self._hub.forget(self.name, core)
            self.over.set()
