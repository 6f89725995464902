"""The FIX session core: bytes and time in, actions out; it reads no socket, no file and no wall clock of its own."""

from domain.clock import Clock
from ingest.session.checks import ADMIN, WRONG_PAIR, WRONG_TIME, Checks
from ingest.session.fastlane import FastLane
from ingest.session.framing import Frame, Framer
from ingest.session.logon import logon_problem, our_logon, proves_identity, takes_next_expected
from ingest.session.outbox import Outbox
from ingest.session.sent import MemorySent, SentStore
from ingest.session.state import Action, Deliver, Disconnect, Numbers, Phase, Role, SessionConfig
from ingest.session.strict import INCORRECT, MISSING, Problem
from ingest.session.versions import BEGIN_STRINGS, version_of
from ingest.session.wire import fields, header, number

_TEST_AFTER_INTERVALS = 1.2
_DROP_AFTER_INTERVALS = 2.4


class SessionCore:
    """Our side of one connection, from Logon to disconnect: session level of FIX 4.0 to 4.4 and FIXT 1.1.

    Every accepted message is appended to the raw log, session-level ones and garbled bytes too: the log is the audit
    record. What is sent after an append waits until `committed` says the append is durable, so nothing is
    acknowledged that could be lost. Messages past a gap are neither logged nor counted: they are asked for again.
    """

    def __init__(self, config: SessionConfig, numbers: Numbers, clock: Clock, sent: SentStore | None = None) -> None:
        self._config, self._clock = config, clock
        self._framer = Framer(config.max_message_bytes)
        self._out = Outbox(config, numbers.next_out, clock, sent or MemorySent())
        self._pair = (config.sender, config.target)
        self._expected = numbers.next_in
        self._phase = Phase.LOGON
        self._since = self._heard = self._asked_at = clock.monotonic()
        self._interval = 0.0
        self._test_sent = False
        # Highest MsgSeqNum seen past a gap; until it is reached one ResendRequest is under way.
        self._gap_end = 0
        self._fast: FastLane | None = None
        self._version = version_of(config.begin_string or "FIX.4.4", config.appl_ver_id)
        self._checks = Checks(config, clock, self._version)
        self._period: int | None = None

    @property
    def phase(self) -> Phase:
        """Where the connection is in its life."""
        return self._phase

    @property
    def next_in(self) -> int:
        """MsgSeqNum expected next; durable once every append was committed."""
        return self._expected

    @property
    def gap(self) -> tuple[int, int]:
        """First and last MsgSeqNum that were skipped and asked for again; (0, 0) without a gap."""
        return (self._expected, self._gap_end - 1) if self._gap_end > self._expected else (0, 0)

    @property
    def next_out(self) -> int:
        """MsgSeqNum of the next message sent."""
        return self._out.next_number

    def start(self) -> list[Action]:
        """An initiator's Logon; an acceptor waits for it."""
        config = self._config
        if config.reset_on_logon:
            self._restart_numbers()
        self._period = config.schedule.period(self._clock.now_ns()) if config.schedule else None
        appl = config.appl_ver_id or "9"
        body = our_logon(config, self._version, config.heartbeat_seconds, config.reset_on_logon, appl, self._expected)
        self._out.send("A", *body)
        return self._out.take()

    def send(self, kind: str, *body: tuple[int, str]) -> list[Action]:
        """Send a business message of MsgType `kind`, `body` being its fields after the header.

        It is kept for resends. While nobody is logged on it is only kept: the counterparty sees the gap and asks.
        """
        self._out.send_business(kind, body, connected=self._phase is Phase.ACTIVE)
        return self._out.take()

    def probe(self, test_id: str) -> list[Action]:
        """Send a TestRequest(1) now; the counterparty answers with a Heartbeat(0) of the same TestReqID(112)."""
        if self._phase is Phase.ACTIVE:
            self._out.send("1", (112, test_id))
        return self._out.take()

    def receive(self, data: bytes | memoryview) -> list[Action]:
        """What to do about bytes received."""
        self._heard = self._clock.monotonic()
        self._test_sent = False
        self._framer.extend(data)
        while self._phase is not Phase.CLOSED:
            self._take_run()
            frame = self._framer.next()
            if frame is None:
                break
            self._process([frame])
        return self._out.take()

    def committed(self, count: int) -> list[Action]:
        """The next `count` appended messages are durable: the sends that waited for them."""
        return self._out.committed(count)

    def logout(self, text: str) -> list[Action]:
        """Begin an orderly end: Logout now, Disconnect when it is answered or its time is over."""
        if self._phase is Phase.ACTIVE:
            self._out.send("5", (58, text))
            self._enter(Phase.LOGOUT)
        elif self._phase is Phase.LOGON:
            self._close(text)
        return self._out.take()

    def closed(self) -> list[Action]:
        """The connection is gone: keep what is no beginning of a message (a cut message comes again)."""
        if self._phase not in (Phase.LOGON, Phase.CLOSED):
            self._process([f for f in self._framer.resync() if not f.garbled or not f.data.startswith(b"8=FIX")])
        self._enter(Phase.CLOSED)
        return self._out.take()

    def tick(self, listening: bool = True) -> list[Action]:
        """What is due now; call it a few times per heartbeat interval. `listening` False: we stopped reading."""
        now = self._clock.monotonic()
        if not listening:
            self._heard = now
        silent, waited = now - self._heard, now - self._since
        if self._phase is Phase.LOGON and waited > self._config.logon_timeout_seconds:
            self._close("no Logon")
        elif self._phase is Phase.LOGOUT and waited > self._config.logout_timeout_seconds:
            self._close("Logout was not answered")
        elif self._phase is Phase.ACTIVE:
            if silent > self._config.stall_seconds and self._framer.pending_bytes:
                self._process(self._framer.resync())
            self._keep_alive(now, silent)
            schedule = self._config.schedule
            if schedule is not None and schedule.period(self._clock.now_ns()) != self._period:
                return [*self._out.take(), *self.logout("the session's hours are over")]
        return self._out.take()

    def _keep_alive(self, now: float, silent: float) -> None:
        if not self._interval or self._phase is not Phase.ACTIVE:
            return
        if silent > self._interval * _DROP_AFTER_INTERVALS:
            self._close("silent, and the TestRequest was not answered")
            return
        if silent > self._interval * _TEST_AFTER_INTERVALS and not self._test_sent:
            self._out.send("1", (112, f"TIEOUT-{self._out.next_number}"))
            self._test_sent = True
        if now - self._out.sent_at >= self._interval:
            self._out.send("0")
        if self._gap_end >= self._expected and now - self._asked_at > self._interval:
            self._ask_again()

    def _take_run(self) -> None:
        """Business messages that need no answer, many at once."""
        run = self._fast.take(self._framer.buffer, self._expected) if self._fast is not None else None
        if run is not None:
            self._out.append_run(run, self._expected + 1)
            if self._config.deliver:
                self._out.emit(Deliver(tuple(run)))
            self._framer.drop(len(run.data))
            self._expected += len(run)
            self._asked_at = self._clock.monotonic()

    def _process(self, frames: list[Frame]) -> None:
        for frame in frames:
            if self._phase is Phase.CLOSED:
                return
            if not frame.garbled:
                self._on_message(frame.data)
            elif self._phase is Phase.LOGON:
                self._close(f"the first message is garbled: {frame.garbled}")
            else:
                # No number is used up: the counterparty resends what we cannot have read.
                self._out.append(frame.data, self._expected)
                self._out.note(f"garbled message kept, not counted: {frame.garbled}")

    def _on_message(self, message: bytes) -> None:
        head = header(message)
        sequence = number(head.get(34))
        if self._phase is Phase.LOGON:
            self._on_first(message, head, sequence)
        elif sequence is None:
            self._out.append(message, self._expected)
            self._refuse("Required tag missing: MsgSeqNum (34)")
        elif head[8] != self._out.begin_string:
            self._refuse(f"Incorrect BeginString {head[8]}, expecting {self._out.begin_string}")
        elif head[35] == "4" and fields(message).get(123) != "Y":
            self._on_reset(message, sequence)
        elif head[35] == "A" and fields(message).get(141) == "Y":
            self._on_logon(message, fields(message), sequence)
        elif sequence > self._expected:
            self._on_gap(message, head, sequence)
        elif sequence < self._expected:
            self._on_low(message, head, sequence)
        else:
            self._on_expected(message, head, sequence)

    # Logon

    def _on_first(self, message: bytes, head: dict[int, str], sequence: int | None) -> None:
        dialed = self._config.role is Role.INITIATOR
        wanted = self._config.begin_string
        if dialed and head[35] == "5":
            if sequence == self._expected:
                self._accept(message, sequence + 1)
            self._close(f"refused: {fields(message).get(58, 'Logout')}")
        elif head[35] != "A":
            self._close("the first message is not a Logon")
        elif (wanted and head[8] != wanted) or head[8] not in BEGIN_STRINGS:
            self._close(f"BeginString {head[8]} is not {wanted or 'supported'}")
        elif not dialed and not proves_identity(self._config, fields(message)):
            # Who cannot prove who he is gets no answer, and uses up no number of ours.
            self._close("Username or Password of the Logon is wrong")
        else:
            self._out.begin_string = head[8]
            if (head.get(49), head.get(56)) != self._pair:
                self._refuse(WRONG_PAIR)
            elif sequence is None:
                self._refuse("Required tag missing: MsgSeqNum (34)")
            elif not self._checks.time_is_right(head):
                self._refuse(WRONG_TIME)
            else:
                self._on_logon(message, fields(message), sequence)

    def _on_logon(self, message: bytes, logon: dict[int, str], sequence: int) -> None:
        config = self._config
        reset, low = logon.get(141) == "Y", sequence < self._expected and logon.get(43) != "Y"
        self._version = version_of(self._out.begin_string, logon.get(1137, config.appl_ver_id))
        problem = logon_problem(config, logon, self._out.begin_string, sequence)
        period = config.schedule.period(self._clock.now_ns()) if config.schedule else None
        asked = takes_next_expected(config, self._version, logon)
        if problem:
            self._refuse(problem)
        elif config.schedule and period is None:
            self._refuse("outside of the session's hours")
        elif not reset and low:
            self._refuse(f"MsgSeqNum too low, expecting {self._expected} but received {sequence}")
        elif asked is not None and asked > self._out.next_number:
            self._refuse(f"NextExpectedMsgSeqNum (789) too high, expecting at most {self._out.next_number}")
        else:
            dialing = config.role is Role.INITIATOR and self._phase is Phase.LOGON
            if reset and not (dialing and config.reset_on_logon):
                self._restart_numbers(keep_ours=dialing)
            if sequence == self._expected:
                self._accept(message, sequence + 1)
            self._period = period
            self._log_on(logon, reset, dialing)
            self._catch_up(sequence, asked)

    def _log_on(self, logon: dict[int, str], reset: bool, dialing: bool) -> None:
        config, interval = self._config, number(logon[108]) or 0
        self._interval = float(interval)
        self._checks = Checks(config, self._clock, self._version)
        self._fast, self._out.version = None, self._version
        if not config.strict and not config.sending_time_seconds:
            self._fast = FastLane(self._out.begin_string, *self._pair, config.max_message_bytes)
        self._enter(Phase.ACTIVE)
        if not dialing:
            appl = logon.get(1137) or config.appl_ver_id or "9"
            self._out.send("A", *our_logon(config, self._version, interval, reset, appl, self._expected))
        self._out.note(f"logged on, heartbeat every {interval} s{', numbers reset' if reset else ''}")

    def _catch_up(self, sequence: int, asked: int | None) -> None:
        """Ask for what we miss; send what the Logon's NextExpectedMsgSeqNum says the counterparty misses."""
        if asked is not None and asked < self._out.next_number - 1:
            self._out.replay(asked, self._out.next_number - 2)
        if sequence > self._expected and asked is not None:
            self._gap_end, self._asked_at = sequence, self._clock.monotonic()
        elif sequence > self._expected:
            self._ask_resend(sequence)

    def _restart_numbers(self, keep_ours: bool = False) -> None:
        self._expected, self._gap_end = 1, 0
        if not keep_ours:
            self._out.restart()

    # The three cases of MsgSeqNum

    def _on_gap(self, message: bytes, head: dict[int, str], sequence: int) -> None:
        if head[35] == "2":
            # Answered at once: both sides asking and neither answering would never end.
            self._answer_resend(message, sequence)
        if head[35] == "5":
            self._end()
        else:
            self._ask_resend(sequence)

    def _on_low(self, message: bytes, head: dict[int, str], sequence: int) -> None:
        if head.get(43) != "Y":
            self._refuse(f"MsgSeqNum too low, expecting {self._expected} but received {sequence}")
            return
        self._out.append(message, self._expected)
        problem = self._checks.of_duplicate(head) if head[35] != "4" else None
        if problem is not None:
            self._out.reject(sequence, head[35], problem)

    def _on_expected(self, message: bytes, head: dict[int, str], sequence: int) -> None:
        if head[35] == "4":
            self._on_gap_fill(message, sequence)
            return
        self._accept(message, sequence + 1)
        problem = self._checks.of_new(message, head)
        if problem is not None:
            self._out.reject(sequence, head[35], problem)
            if problem.fatal:
                self._refuse(problem.fatal)
        elif head[35] in ADMIN:
            self._on_admin(message, head[35], sequence)
        elif self._config.deliver:
            self._out.emit(Deliver((message,)))

    def _on_admin(self, message: bytes, kind: str, sequence: int) -> None:
        found = fields(message)
        if kind == "1" and not found.get(112):
            self._reject(sequence, kind, 112, MISSING, "Required tag missing")
        elif kind == "1":
            self._out.send("0", (112, found[112]))
        elif kind == "2":
            self._answer_resend(message, sequence)
        elif kind == "3":
            self._out.note(f"counterparty rejected {found.get(45, '?')}: {found.get(58, '')}")
        elif kind == "5":
            self._end()
        elif kind == "A":
            self._refuse("Logon while logged on")

    # Gaps and resets

    def _on_gap_fill(self, message: bytes, sequence: int) -> None:
        new = number(fields(message).get(36))
        if new is None or new <= sequence:
            self._out.append(message, self._expected)
            self._reject(sequence, "4", 36, INCORRECT, f"NewSeqNo must be above {sequence}")
        else:
            self._accept(message, new)

    def _on_reset(self, message: bytes, sequence: int) -> None:
        new = number(fields(message).get(36))
        if new is None or new < self._expected:
            self._out.append(message, self._expected)
            self._reject(sequence, "4", 36, INCORRECT, f"NewSeqNo must not be below {self._expected}")
        else:
            self._accept(message, new)
            self._out.note(f"sequence reset to {new}")

    def _ask_resend(self, sequence: int) -> None:
        """One ResendRequest from the expected number to infinity; the message at `sequence` comes again with it."""
        under_way = self._gap_end >= self._expected
        self._gap_end = max(self._gap_end, sequence)
        if not under_way:
            self._ask_again()

    def _ask_again(self) -> None:
        self._out.send("2", (7, str(self._expected)), (16, self._version.infinity))
        self._out.note(f"asked to resend from {self._expected}")
        self._asked_at = self._clock.monotonic()

    def _answer_resend(self, message: bytes, sequence: int) -> None:
        """Business messages again with PossDupFlag(43); the session level, which is never resent, as gap fills."""
        found = fields(message)
        begin, end = number(found.get(7)), number(found.get(16))
        if begin is None or end is None:
            missing = 7 if begin is None else 16
            self._reject(sequence, "2", missing, MISSING, "Required tag missing or not a number")
        elif not begin or begin >= self._out.next_number or 0 < end < begin:
            self._out.note(f"ResendRequest {begin}..{end} asks for nothing we sent")
        else:
            self._out.replay(begin, end)

    # Ends

    def _end(self) -> None:
        if self._phase is not Phase.LOGOUT:
            self._out.send("5")
        self._close("Logout")

    def _refuse(self, text: str) -> None:
        self._out.send("5", (58, text))
        self._close(text)

    def _close(self, reason: str) -> None:
        self._out.emit(Disconnect(reason))
        self._enter(Phase.CLOSED)

    def _reject(self, sequence: int, kind: str, tag: int, reason: int, text: str) -> None:
        self._out.reject(sequence, kind, Problem(reason, tag, text))

    def _accept(self, message: bytes, expected: int) -> None:
        self._expected = expected
        self._asked_at = self._clock.monotonic()
        self._out.append(message, expected)

    def _enter(self, phase: Phase) -> None:
        self._phase, self._since = phase, self._clock.monotonic()
