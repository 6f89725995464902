"""The session core by script: what comes in, what goes out, what is logged, with a clock that moves when told.

A script is a list of lines: `I <fields>` the counterparty sends, `E <fields>` we must send exactly that next (only the
named fields are compared), `L <n>` messages in the log so far, `N <n>` MsgSeqNum expected next, `T <seconds>` time
passes, `X` we disconnect, `-` nothing more is sent, `raw <bytes>` bytes as they are.
"""

import re

import pytest

from domain.clock import ManualClock
from ingest.session.core import SessionCore
from ingest.session.state import Append, Disconnect, Numbers, Phase, Replay, Send, SessionConfig
from ingest.session.wire import compose, fields, parse_timestamp

NOW = "20260105-10:00:00.000"
LOGON = "I 35=A 34=1 98=0 108=30"
START = [LOGON, "E 35=A 34=1 98=0 108=30", "-", "N 2", "L 1"]


class Script:
    """Runs script lines against a core; commits at once unless told to hold."""

    def __init__(self, numbers: Numbers | None = None, config: SessionConfig | None = None) -> None:
        self.clock = ManualClock()
        self.core = SessionCore(config or SessionConfig("PB", "US"), numbers or Numbers(), self.clock)
        self.sent: list[dict[int, str]] = []
        self.log: list[tuple[bytes, int]] = []
        self.disconnected = ""
        self.hold = False
        self.held = 0

    def run(self, *lines: str) -> "Script":
        for line in lines:
            verb, _, rest = line.partition(" ")
            getattr(self, {"-": "quiet"}.get(verb, f"do_{verb}"))(rest)
        return self

    def do_I(self, rest: str) -> None:
        self.take(self.core.receive(message(rest)))

    def do_raw(self, rest: str) -> None:
        self.take(self.core.receive(rest.encode().decode("unicode_escape").encode("latin-1")))

    def do_E(self, rest: str) -> None:
        assert self.sent, f"nothing was sent, expected {rest}"
        found = self.sent.pop(0)
        assert {tag: found.get(tag) for tag in pairs(rest)} == pairs(rest)

    def do_L(self, rest: str) -> None:
        assert len(self.log) == int(rest)

    def do_N(self, rest: str) -> None:
        assert self.core.next_in == int(rest)
        assert not self.log or self.log[-1][1] == int(rest), "the log knows the expected number"

    def do_T(self, rest: str) -> None:
        self.clock.advance(float(rest))
        self.take(self.core.tick())

    def do_X(self, rest: str) -> None:
        assert rest in self.disconnected
        assert self.disconnected
        assert self.core.phase is Phase.CLOSED

    def quiet(self, _: str) -> None:
        assert self.sent == []
        assert not self.disconnected

    def commit(self) -> None:
        self.hold, held, self.held = False, self.held, 0
        self.take(self.core.committed(held))

    def take(self, actions: list[object]) -> None:
        for action in actions:
            if isinstance(action, Append):
                self.log += zip(action.messages, action.next_in, strict=True)
                if self.hold:
                    self.held += len(action.messages)
                else:
                    self.take(list(self.core.committed(len(action.messages))))
            elif isinstance(action, Send):
                assert action.data == compose("FIX.4.4", list(fields(action.data).items())[2:-1])
                self.sent.append(fields(action.data))
            elif isinstance(action, Replay):
                self.sent += [fields(message) for message in action.messages]
            elif isinstance(action, Disconnect):
                self.disconnected = action.reason


def pairs(text: str) -> dict[int, str]:
    return {int(tag): value for tag, value in re.findall(r"(\d+)=(.*?)(?= \d+=|$)", text)}


def message(text: str) -> bytes:
    found = {35: "0", 49: "PB", 56: "US", 34: "0", 52: NOW} | pairs(text)
    begin = found.pop(8, "FIX.4.4")
    return compose(begin, [(tag, value) for tag, value in found.items() if value != "none"])


SCRIPTS: dict[str, list[str]] = {
    "logon and orderly logout": [*START, "I 35=5 34=2", "E 35=5 34=2", "X Logout", "L 2", "N 3"],
    "the first message must be a Logon": ["I 35=0 34=1", "X not a Logon", "L 0"],
    "garbage instead of a Logon": [r"raw GET / HTTP/1.1\r\n8=FIX.4.4\x01", "X garbled", "L 0"],
    "no Logon at all": ["T 9", "-", "T 2", "X no Logon"],
    "wrong CompIDs": ["I 35=A 34=1 49=XX 98=0 108=30", "E 35=5 58=CompID pair is not this session's", "X", "L 0"],
    "encryption": ["I 35=A 34=1 98=1 108=30", "E 35=5 58=EncryptMethod (98) must be 0", "X", "L 0"],
    "heartbeat out of bounds": [
        "I 35=A 34=1 98=0 108=9999",
        "E 35=5 58=HeartBtInt (108) must be between 1 and 300",
        "X",
        "L 0",
    ],
    "heartbeat no number": ["I 35=A 34=1 98=0 108=-1", "E 35=5", "X", "L 0"],
    "unknown version": ["I 8=FIX.9 35=A 34=1 98=0 108=30", "X BeginString", "L 0"],
    "logon with a reset": ["I 35=A 34=1 98=0 108=30 141=Y", "E 35=A 34=1 141=Y", "-", "N 2"],
    "reset needs number 1": ["I 35=A 34=5 98=0 108=30 141=Y", "E 35=5", "X", "L 0"],
    "reset while logged on": [
        *START, "I 35=8 34=2", "I 35=A 34=1 98=0 108=20 141=Y", "E 35=A 34=1 141=Y", "-", "N 2", "L 3",
    ],
    "logon twice": [*START, "I 35=A 34=2 98=0 108=30", "E 35=5 58=Logon while logged on", "X", "N 3"],
    "business messages are logged and counted": [
        *START, "I 35=8 34=2", "I 35=AE 34=3", "I 35=AS 34=4", "-", "L 4", "N 5",
    ],
    "test request": [*START, "I 35=1 34=2 112=HI", "E 35=0 34=2 112=HI", "-", "L 2"],
    "test request without an id": [*START, "I 35=1 34=2", "E 35=3 45=2 371=112 372=1 373=1", "-", "N 3", "L 2"],
    "heartbeats when idle": [*START, "T 29", "-", "T 1", "E 35=0 34=2", "-", "I 34=2", "T 30", "E 35=0 34=3", "-"],
    "silence, test request, drop": [
        *START, "T 30", "E 35=0", "T 7", "E 35=1 34=3", "-", "T 20", "T 20", "X silent",
    ],
    "silence, test request, answer": [
        *START, "T 37", "E 35=1 112=TIEOUT-2", "-", "I 35=0 34=2 112=TIEOUT-2", "T 25", "-", "L 2",
    ],
    "a gap asks once and drops until it comes again": [
        *START, "I 35=8 34=4", "E 35=2 34=2 7=2 16=0", "I 35=8 34=5", "I 35=8 34=6", "-", "L 1", "N 2",
        "I 35=8 34=2 43=Y 122=20260105-09:00:00", "I 35=8 34=3 43=Y 122=20260105-09:00:00", "-", "N 4",
        "I 35=8 34=4 43=Y 122=20260105-09:00:00", "I 35=4 34=5 43=Y 123=Y 36=7", "-", "N 7", "L 5",
        "I 35=8 34=7", "I 35=8 34=9", "E 35=2 7=8 16=0", "-",
    ],
    "a gap that is not filled is asked for again": [
        *START, "I 35=8 34=9", "E 35=2 7=2", "T 20", "I 35=8 34=10", "-", "T 11", "E 35=0", "E 35=2 7=2", "-",
    ],
    "logon past a gap": ["I 35=A 34=5 98=0 108=30", "E 35=A 34=1", "E 35=2 34=2 7=1 16=0", "-", "N 1", "L 0"],
    "logout past a gap is answered and not counted": [*START, "I 35=5 34=7", "E 35=5", "X Logout", "L 1", "N 2"],
    "resend request past a gap is answered first": [
        *START, "I 35=2 34=5 7=1 16=0", "E 35=4 34=1 123=Y 36=2 43=Y", "E 35=2 7=2 16=0", "-", "L 1",
    ],
    "too low": [
        *START, "I 35=8 34=2", "I 35=8 34=2",
        "E 35=5 58=MsgSeqNum too low, expecting 3 but received 2", "X", "L 2", "N 3",
    ],
    "too low, marked as a duplicate, is kept": [
        *START, "I 35=8 34=2", "I 35=8 34=2 43=Y 122=20260105-09:00:00", "-", "L 3", "N 3",
    ],
    "a duplicate without its first time": [
        *START, "I 35=8 34=2", "I 35=8 34=2 43=Y", "E 35=3 45=2 371=122 373=1", "-", "L 3", "N 3",
    ],
    "a duplicate sent before it was first sent": [
        *START, "I 35=8 34=2 43=Y 122=20260105-11:00:00", "E 35=3 371=122 373=10", "-", "L 2", "N 3",
    ],
    "a duplicate test request is not answered": [*START, "I 35=1 34=1 43=Y 122=20260105-09:00:00 112=A", "-", "L 2"],
    "resend request": [
        *START, "I 35=1 34=2 112=A", "E 34=2", "I 35=1 34=3 112=B", "E 34=3",
        "I 35=2 34=4 7=1 16=0", "E 35=4 34=1 43=Y 123=Y 36=4", "-",
        "I 35=2 34=5 7=2 16=2", "E 35=4 34=2 43=Y 123=Y 36=3", "I 35=1 34=6 112=C", "E 34=4", "-",
    ],
    "resend request for what was never sent": [*START, "I 35=2 34=2 7=50 16=0", "-", "N 3"],
    "resend request without a range": [*START, "I 35=2 34=2 16=0", "E 35=3 371=7 373=1", "-", "N 3"],
    "gap fill": [*START, "I 35=4 34=2 123=Y 36=10", "-", "N 10", "L 2", "I 35=8 34=10", "-", "N 11"],
    "gap fill backwards": [*START, "I 35=4 34=2 123=Y 36=2", "E 35=3 371=36 372=4 373=5", "-", "N 2", "L 2"],
    "reset ignores its own number": [*START, "I 35=4 34=77 36=50", "-", "N 50", "L 2", "I 35=8 34=50", "-"],
    "reset backwards": [*START, "I 35=8 34=2", "I 35=4 34=3 36=2", "E 35=3 371=36 373=5", "-", "N 3"],
    "wrong CompID later": [*START, "I 35=8 34=2 56=THEM", "E 35=3 45=2 371=49 373=9", "E 35=5", "X", "N 3", "L 2"],
    "wrong BeginString later": [
        *START, "I 8=FIX.4.2 35=8 34=2", "E 35=5 58=Incorrect BeginString FIX.4.2, expecting FIX.4.4", "X", "L 1",
    ],
    "no MsgSeqNum": [*START, "I 35=8 34=none", "E 35=5 58=Required tag missing: MsgSeqNum (34)", "X", "L 2"],
    "no SendingTime": [*START, "I 35=8 34=2 52=none", "E 35=3 45=2 371=52 373=1", "-", "N 3", "L 2"],
    "garbled is kept and not counted": [
        *START, r"raw 8=FIX.4.4\x019=5\x0135=8\x0110=000\x01", "-", "L 2", "N 2",
        "I 35=8 34=3", "E 35=2 7=2", "-",
    ],
    "junk between messages is kept": [*START, r"raw hello\r\n", "L 1", "I 35=8 34=2", "-", "L 3", "N 3"],
    "a stalled message gives way": [
        *START, r"raw 8=FIX.4.4\x019=900\x0135=8\x01", "I 35=8 34=2", "L 1", "T 3", "L 3", "N 3", "-",
    ],
    "a reject from the counterparty is only noted": [*START, "I 35=3 34=2 45=1 58=why", "-", "N 3", "L 2"],
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    Script().run(*SCRIPTS[name])


def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    script = Script().run(*START)
    script.hold = True
    script.run("I 35=1 34=2 112=A", "I 35=8 34=3", "I 35=1 34=4 112=B", "-", "L 4")
    script.held, rest = 1, 2
    script.commit()
    script.run("E 35=0 112=A", "-")
    script.held = rest
    script.commit()
    script.run("E 35=0 112=B", "-")


def test_a_logout_waits_for_the_log_too() -> None:
    script = Script().run(*START)
    script.hold = True
    script.run("I 35=8 34=2", "I 35=5 34=3", "-")
    assert script.core.phase is Phase.CLOSED
    script.commit()
    script.run("E 35=5", "X Logout")


def test_our_logout_is_answered_or_times_out() -> None:
    script = Script().run(*START)
    script.take(list(script.core.logout("good night")))
    script.run("E 35=5 58=good night", "I 35=8 34=2", "-", "L 2", "I 35=5 34=3", "X Logout", "L 3")
    assert script.sent == []
    script = Script().run(*START)
    script.take(list(script.core.logout("good night")))
    script.run("E 35=5", "T 4", "-", "T 2", "X not answered")


def test_numbers_continue_where_the_store_left_them() -> None:
    Script(Numbers(next_in=41, next_out=17)).run("I 35=A 34=41 98=0 108=30", "E 35=A 34=17", "-", "N 42", "L 1")
    Script(Numbers(next_in=41, next_out=17)).run(
        "I 35=A 34=40 98=0 108=30", "E 35=5 34=17 58=MsgSeqNum too low, expecting 41 but received 40", "X", "L 0"
    )
    Script(Numbers(next_in=41, next_out=17)).run("I 35=A 34=1 98=0 108=30 141=Y", "E 35=A 34=1 141=Y", "N 2")


def test_silence_does_not_count_while_we_do_not_read() -> None:
    script = Script().run(*START)
    for _ in range(10):
        script.clock.advance(31)
        script.take(list(script.core.tick(listening=False)))
        script.run("E 35=0", "-")


def test_a_configured_version_is_required() -> None:
    config = SessionConfig("PB", "US", begin_string="FIX.4.2")
    Script(config=config).run(LOGON, "X BeginString", "L 0")


def test_a_cut_message_is_not_kept_but_junk_is() -> None:
    script = Script().run(*START, r"raw 8=FIX.4.4\x019=100\x0135=8\x0134=2")
    script.take(list(script.core.closed()))
    script.run("L 1")
    script = Script().run(*START, "raw bye bye")
    script.take(list(script.core.closed()))
    script.run("L 2")
    assert script.log[-1] == (b"bye bye", 2)


def test_a_sending_time_far_off_is_refused_on_a_tolerant_session_too() -> None:
    config = SessionConfig("PB", "US", sending_time_seconds=120)
    script = Script(config=config)
    script.clock.advance((parse_timestamp(NOW) or 0) / 1e9 - script.clock.monotonic())
    script.run(*START, "I 35=8 34=2", "L 2", "N 3", "-", "I 35=8 34=3 52=20260105-11:00:00", "E 35=3 373=10", "E 35=5")
    script.run("X SendingTime")
