"""The FIX session core: bytes and time in, actions out; it reads no socket, no file and no wall clock of its own."""

from domain.clock import Clock
from ingest.session.fastlane import FastLane
from ingest.session.framing import Frame, Framer
from ingest.session.outbox import Outbox
from ingest.session.state import BEGIN_STRINGS, Action, Disconnect, Numbers, Phase, SessionConfig
from ingest.session.wire import fields, header, number

# SessionRejectReason(373)
_MISSING, _INCORRECT, _COMP_ID, _SENDING_TIME = 1, 5, 9, 10
_ADMIN = frozenset("01235A")
_TEST_AFTER_INTERVALS = 1.2
_DROP_AFTER_INTERVALS = 2.4


class SessionCore:
    """The acceptor's side of one connection, from Logon to disconnect (FIX 4.2 and 4.4, session level).

    Every accepted message is appended to the raw log, session-level ones and garbled bytes too: the log is the audit
    record. What is sent after an append waits until `committed` says the append is durable, so nothing is
    acknowledged that could be lost. Messages past a gap are neither logged nor counted: they are asked for again.
    """

    def __init__(self, config: SessionConfig, numbers: Numbers, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._framer = Framer(config.max_message_bytes)
        self._out = Outbox(config, numbers.next_out, clock)
        self._expected = numbers.next_in
        self._phase = Phase.LOGON
        self._since = self._heard = self._asked_at = clock.monotonic()
        self._interval = 0.0
        self._test_sent = False
        # Highest MsgSeqNum seen past a gap; until it is reached one ResendRequest is under way.
        self._gap_end = 0
        self._fast: FastLane | None = None

    @property
    def phase(self) -> Phase:
        """Where the connection is in its life."""
        return self._phase

    @property
    def next_in(self) -> int:
        """MsgSeqNum expected next; durable once every append was committed."""
        return self._expected

    @property
    def next_out(self) -> int:
        """MsgSeqNum of the next message sent."""
        return self._out.next_number

    def receive(self, data: bytes) -> list[Action]:
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
        run = self._fast.take(self._framer.buffer, self._expected) if self._fast is not None else []
        if run:
            self._out.append_run(run, self._expected + 1)
            self._framer.drop(sum(map(len, run)))
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
        if head[35] != "A":
            self._close("the first message is not a Logon")
            return
        wanted = self._config.begin_string
        if (wanted and head[8] != wanted) or head[8] not in BEGIN_STRINGS:
            self._close(f"BeginString {head[8]} is not {wanted or 'supported'}")
            return
        self._out.begin_string = head[8]
        if (head.get(49), head.get(56)) != (self._config.sender, self._config.target):
            self._refuse("CompID pair is not this session's")
        elif sequence is None:
            self._refuse("Required tag missing: MsgSeqNum (34)")
        else:
            self._on_logon(message, fields(message), sequence)

    def _on_logon(self, message: bytes, logon: dict[int, str], sequence: int) -> None:
        low, high = self._config.heartbeat_min_seconds, self._config.heartbeat_max_seconds
        interval = number(logon.get(108))
        reset = logon.get(141) == "Y"
        if logon.get(98) != "0":
            self._refuse("EncryptMethod (98) must be 0")
        elif interval is None or not low <= interval <= high:
            self._refuse(f"HeartBtInt (108) must be between {low} and {high}")
        elif reset and sequence != 1:
            self._refuse("ResetSeqNumFlag (141) needs MsgSeqNum 1")
        elif not reset and sequence < self._expected and logon.get(43) != "Y":
            self._refuse(f"MsgSeqNum too low, expecting {self._expected} but received {sequence}")
        else:
            if reset:
                self._expected, self._gap_end = 1, 0
                self._out.next_number = 1
            if sequence == self._expected:
                self._accept(message, sequence + 1)
            self._interval = float(interval)
            pair = (self._config.sender, self._config.target)
            self._fast = FastLane(self._out.begin_string, *pair, self._config.max_message_bytes)
            self._enter(Phase.ACTIVE)
            extra = [(141, "Y")] if reset else []
            extra += [(1137, logon.get(1137, "9"))] if self._out.begin_string == "FIXT.1.1" else []
            self._out.send("A", (98, "0"), (108, str(interval)), *extra)
            self._out.note(f"logged on, heartbeat every {interval} s{', numbers reset' if reset else ''}")
            if sequence > self._expected:
                self._ask_resend(sequence)

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
        self._check_original_time(head, sequence)

    def _on_expected(self, message: bytes, head: dict[int, str], sequence: int) -> None:
        if head[35] == "4":
            self._on_gap_fill(message, sequence)
            return
        self._accept(message, sequence + 1)
        if (head.get(49), head.get(56)) != (self._config.sender, self._config.target):
            self._reject(sequence, head[35], 49, _COMP_ID, "CompID problem")
            self._refuse("CompID pair is not this session's")
        elif 52 not in head:
            self._reject(sequence, head[35], 52, _MISSING, "Required tag missing")
        elif head.get(43) == "Y" and not self._check_original_time(head, sequence):
            return
        elif head[35] in _ADMIN:
            self._on_admin(message, head[35], sequence)

    def _on_admin(self, message: bytes, kind: str, sequence: int) -> None:
        found = fields(message)
        if kind == "1" and not found.get(112):
            self._reject(sequence, kind, 112, _MISSING, "Required tag missing")
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

    def _check_original_time(self, head: dict[int, str], sequence: int) -> bool:
        """PossDup needs OrigSendingTime(122), not after SendingTime(52); the message is kept either way."""
        if 122 not in head:
            self._reject(sequence, head[35], 122, _MISSING, "Required tag missing")
            return False
        if head[122] > head.get(52, ""):
            self._reject(sequence, head[35], 122, _SENDING_TIME, "OrigSendingTime is after SendingTime")
            return False
        return True

    # Gaps and resets

    def _on_gap_fill(self, message: bytes, sequence: int) -> None:
        new = number(fields(message).get(36))
        if new is None or new <= sequence:
            self._out.append(message, self._expected)
            self._reject(sequence, "4", 36, _INCORRECT, f"NewSeqNo must be above {sequence}")
        else:
            self._accept(message, new)

    def _on_reset(self, message: bytes, sequence: int) -> None:
        new = number(fields(message).get(36))
        if new is None or new < self._expected:
            self._out.append(message, self._expected)
            self._reject(sequence, "4", 36, _INCORRECT, f"NewSeqNo must not be below {self._expected}")
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
        self._out.send("2", (7, str(self._expected)), (16, "0"))
        self._out.note(f"asked to resend from {self._expected}")
        self._asked_at = self._clock.monotonic()

    def _answer_resend(self, message: bytes, sequence: int) -> None:
        """We only send session-level messages: all of them collapse into one gap fill."""
        found = fields(message)
        begin, end = number(found.get(7)), number(found.get(16))
        if begin is None or end is None:
            missing = 7 if begin is None else 16
            self._reject(sequence, "2", missing, _MISSING, "Required tag missing or not a number")
        elif not begin or begin >= self._out.next_number or 0 < end < begin:
            self._out.note(f"ResendRequest {begin}..{end} asks for nothing we sent")
        else:
            self._out.gap_fill(begin, end)

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
        body = (45, str(sequence)), (371, str(tag)), (372, kind), (373, str(reason)), (58, f"{text} ({tag})")
        self._out.send("3", *body)

    def _accept(self, message: bytes, expected: int) -> None:
        self._expected = expected
        self._asked_at = self._clock.monotonic()
        self._out.append(message, expected)

    def _enter(self, phase: Phase) -> None:
        self._phase, self._since = phase, self._clock.monotonic()
