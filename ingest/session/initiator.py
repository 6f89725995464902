"""A FIX initiator that sends recorded business messages and returns when all of them were taken."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from domain.clock import Clock, SystemClock
from domain.errors import PermanentError, TransientError
from ingest.session.framing import Framer
from ingest.session.journal import SESSION_TYPES, Journal, Stamp, kind_of, sequence_of
from ingest.session.wire import fields, header, number

_CHUNK_BYTES = 64 * 1024
_PACE_SECONDS = 0.002
_IDLE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """Waits of an initiator, in seconds, and how often it connects before it gives up."""

    heartbeat_seconds: int = 30
    logon_seconds: float = 10.0
    acknowledge_seconds: float = 120.0
    ask_again_seconds: float = 2.0
    logout_seconds: float = 5.0
    attempts: int = 1
    reconnect_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of a run: messages sent first time, resent on request, left out (session-level), rejected."""

    sent: int
    resent: int
    skipped: int
    rejected: int
    next_out: int
    seconds: float


async def send_messages(
    host: str,
    port: int,
    sender: str,
    target: str,
    begin_string: str,
    messages: Iterable[bytes],
    *,
    rate: float | None = None,
    on_progress: Callable[[int], None] | None = None,
    store_path: Path | None = None,
    keep_header: bool = False,
    limits: SenderLimits | None = None,
    clock: Clock | None = None,
    tls: ssl.SSLContext | None = None,
    server_name: str = "",
) -> SendReport:
    """Log on, send `messages`, wait until the counterparty has taken all of them, log out.

    Recorded messages get the header this session needs (8, 9, 34, 49, 56, 52, 10); their body is kept byte for byte.
    Session-level messages among them are left out and bytes that are no FIX message are sent as they are, unnumbered.
    With `keep_header` everything is sent untouched. `rate` is messages per second. An empty item means "nothing for
    now": what was given so far goes out, and the source is asked again a moment later. With `store_path` numbers and
    messages survive into the next call; without, the session starts over (141=Y). With `tls` the line is TLS, and the
    server's certificate must be for `server_name` (else `host`).
    Raises PermanentError when the counterparty refuses the session (its text) and TransientError when it cannot be
    reached, is lost (after `limits.attempts`) or does not acknowledge in time.
    """
    clock, limits = clock or SystemClock(), limits or SenderLimits()
    started = clock.monotonic()
    with Journal(store_path) as journal:
        run = _Run(iter(messages), journal, Stamp(sender, target, begin_string), clock, limits)
        run.rate, run.on_progress, run.keep_header = rate, on_progress, keep_header
        run.reset, run.tls, run.server_name = store_path is None, tls, server_name
        for attempt in itertools.count(1):
            try:
                await run.connection(host, port)
                break
            except (OSError, TransientError) as error:
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise PermanentError(f"{host}:{port}: TLS: {error.verify_message}") from error
                if attempt >= limits.attempts:
                    raise TransientError(f"{host}:{port}: {error} ({run.sent} messages sent)") from error
                await asyncio.sleep(limits.reconnect_seconds)
        seconds = clock.monotonic() - started
        return SendReport(run.sent, run.resent, run.skipped, run.rejected, journal.next_out, seconds)


class _Run:
    """One call of `send_messages`, over as many connections as it takes."""

    def __init__(
        self, messages: Iterator[bytes], journal: Journal, stamp: Stamp, clock: Clock, limits: SenderLimits
    ) -> None:
        self._messages, self._journal, self._stamp = messages, journal, stamp
        self._clock, self._limits = clock, limits
        self.rate: float | None = None
        self.on_progress: Callable[[int], None] | None = None
        self.keep_header = self.reset = False
        self.tls: ssl.SSLContext | None = None
        self.server_name = ""
        self.sent = self.resent = self.skipped = self.rejected = 0

    async def connection(self, host: str, port: int) -> None:
        """Connect, log on, send what is left, get it acknowledged, log out."""
        name = (self.server_name or host) if self.tls else None
        reader, self._writer = await asyncio.open_connection(host, port, ssl=self.tls, server_hostname=name)
        self._writing, self._answered = asyncio.Lock(), asyncio.Event()
        self._logged_on, self._logged_out = asyncio.Event(), asyncio.Event()
        self._awaited, self._refusal, self._asked = "", "", 0
        self._ending = False
        self._sent_at = self._clock.monotonic()
        work = asyncio.create_task(self._work())
        listening = asyncio.create_task(self._listen(reader))
        beating = asyncio.create_task(self._beat())
        tasks: list[asyncio.Task[None]] = [work, listening, beating]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._ending and not work.done():
                await asyncio.wait({work})
            if not work.done() or isinstance(work.exception(), OSError):
                raise self._lost()
            work.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    def _lost(self) -> PermanentError | TransientError:
        if self._refusal and not self._logged_on.is_set():
            return PermanentError(f"the counterparty refused the session: {self._refusal}")
        return TransientError(f"the counterparty ended the session: {self._refusal or 'connection lost'}")

    async def _work(self) -> None:
        if self.reset:
            self._journal.reset()
        extra = [(141, "Y")] if self.reset else []
        extra += [(1137, "9")] if self._stamp.begin_string == "FIXT.1.1" else []
        await self._say("A", (98, "0"), (108, str(self._limits.heartbeat_seconds)), *extra)
        await self._wait(self._logged_on, self._limits.logon_seconds, "no answer to Logon")
        self.reset = False
        await self._send_all()
        await self._acknowledged()
        self._ending = True
        await self._say("5")
        with contextlib.suppress(TransientError):
            await self._wait(self._logged_out, self._limits.logout_seconds, "no answer to Logout")

    async def _send_all(self) -> None:
        self._started, self._paced = self._clock.monotonic(), 0
        more = True
        while more:
            async with self._writing:
                # Numbers are given and written under one lock: a heartbeat must not overtake what is numbered lower.
                chunk, more = self._next_chunk()
                if chunk:
                    await self._put(chunk)
            await asyncio.sleep(max(self._ahead_seconds(), 0.0 if chunk else _IDLE_SECONDS))
            if self.on_progress is not None:
                self.on_progress(self.sent)

    def _next_chunk(self) -> tuple[bytes, bool]:
        """The next messages to write together (one at a time at low rates), and whether there may be more."""
        chunk: list[bytes] = []
        size = 0
        for message in self._messages:
            if not message:
                return b"".join(chunk), True
            wire = self._prepare(message)
            if wire is None:
                continue
            chunk.append(wire)
            size, self._paced = size + len(wire), self._paced + 1
            if size >= _CHUNK_BYTES or self._ahead_seconds() > _PACE_SECONDS:
                return b"".join(chunk), True
        return b"".join(chunk), False

    def _ahead_seconds(self) -> float:
        return self._paced / self.rate - (self._clock.monotonic() - self._started) if self.rate else 0.0

    def _prepare(self, message: bytes) -> bytes | None:
        """The bytes to send, journalled; None for what is left out."""
        kind = kind_of(message)
        if self.keep_header or kind is None:
            sequence = sequence_of(message) if kind is not None else None
            if sequence:
                self._journal.used(sequence, message if kind not in SESSION_TYPES else b"")
            self.sent += 1
            return message
        if kind in SESSION_TYPES:
            self.skipped += 1
            return None
        sequence = self._journal.next_out
        wire = self._stamp.business(message, sequence, self._clock.now_ns())
        self._journal.used(sequence, wire)
        self.sent += 1
        return wire

    async def _acknowledged(self) -> None:
        """A TestRequest is answered only after everything before it was taken; in a gap it is lost and asked again."""
        deadline = self._clock.monotonic() + self._limits.acknowledge_seconds
        while self._clock.monotonic() < deadline:
            self._answered.clear()
            self._awaited = f"END-{self._journal.next_out}"
            await self._say("1", (112, self._awaited))
            with contextlib.suppress(TransientError):
                await self._wait(self._answered, self._limits.ask_again_seconds, "")
                return
        raise TransientError("the counterparty did not acknowledge what was sent")

    # What comes in

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        framer = Framer()
        while data := await reader.read(_CHUNK_BYTES):
            for frame in framer.feed(data):
                if not frame.garbled:
                    await self._on_message(frame.data)
        self._logged_out.set()

    async def _on_message(self, message: bytes) -> None:
        kind, found = header(message)[35], fields(message)
        sequence = number(found.get(34)) or 0
        await self._count(kind, found, sequence)
        if kind == "A":
            self._logged_on.set()
        elif kind == "5":
            self._refusal = found.get(58, "Logout")
            if self._logged_on.is_set() and not self._ending:
                await self._say("5")
            self._logged_out.set()
        elif kind == "0" and self._awaited and found.get(112) == self._awaited:
            self._answered.set()
        elif kind == "1":
            await self._say("0", (112, found.get(112, "")))
        elif kind == "2":
            await self._resend(number(found.get(7)) or 1, number(found.get(16)) or 0)
        elif kind == "3":
            self.rejected += 1

    async def _count(self, kind: str, found: dict[int, str], sequence: int) -> None:
        """Follow the counterparty's numbers; ask once for what is missing."""
        journal = self._journal
        if kind == "A" and found.get(141) == "Y":
            journal.next_in = 1
        if kind == "4" and (found.get(123) != "Y" or sequence == journal.next_in):
            journal.next_in = max(journal.next_in, number(found.get(36)) or 0)
        elif sequence == journal.next_in:
            journal.next_in += 1
        elif sequence > journal.next_in and self._asked < journal.next_in and kind != "5":
            self._asked = sequence
            await self._say("2", (7, str(journal.next_in)), (16, "0"))

    # What goes out

    async def _say(self, kind: str, *body: tuple[int, str]) -> None:
        async with self._writing:
            sequence = self._journal.next_out
            self._journal.used(sequence)
            await self._put(self._stamp.session(kind, sequence, self._clock.now_ns(), *body))

    async def _put(self, data: bytes) -> None:
        self._writer.write(data)
        self._sent_at = self._clock.monotonic()
        await self._writer.drain()

    async def _resend(self, begin: int, end: int) -> None:
        """Business messages again with 43=Y and 122; runs of session-level ones as one gap fill."""
        async with self._writing:
            last = min(end or self._journal.next_out - 1, self._journal.next_out - 1)
            gap = None
            for sequence in range(begin, last + 1):
                message = self._journal.message(sequence)
                if not message:
                    gap = sequence if gap is None else gap
                    continue
                await self._fill(gap, sequence)
                gap = None
                await self._put(self._stamp.business(message, sequence, self._clock.now_ns(), resend=True))
                self.resent += 1
            await self._fill(gap, last + 1)

    async def _fill(self, gap: int | None, new: int) -> None:
        if gap is not None:
            body = ((123, "Y"), (36, str(new)))
            await self._put(self._stamp.session("4", gap, self._clock.now_ns(), *body, resend=True))

    async def _beat(self) -> None:
        interval = self._limits.heartbeat_seconds
        while True:
            await asyncio.sleep(interval / 4)
            if self._clock.monotonic() - self._sent_at >= interval * 0.75 and self._logged_on.is_set():
                await self._say("0")

    async def _wait(self, event: asyncio.Event, seconds: float, otherwise: str) -> None:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            raise TransientError(otherwise) from None
