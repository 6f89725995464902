"""Runs session test cases: text scripts against a core of any FIX version, with a clock that moves when told.

A script is a title line (`# ...`), settings (`versions 4.2+`, `set strict=no`, `numbers 7 3` for MsgSeqNum expected and
to be sent) and lines of one of these forms:

    logon                   the counterparty logs on with MsgSeqNum 1 and a HeartBtInt of 30, and is answered
    > 35=8 34=2 {fill}      the counterparty sends this; 49, 56 and 52 are filled in, `52=none` leaves a field out
    exact 35=8 ...          it sends the fields in exactly this order, with 8, 9 and 10 around them
    raw 8=FIX...|           it sends these bytes, | standing for SOH
    < 35=3 45=2 !373        we must send exactly this next; only the named fields are compared, !N must be absent
    -                       we send nothing more
    expect 5                MsgSeqNum expected next
    app 2                   business messages the application has processed
    log 3                   messages in the raw log
    wait 31                 seconds pass
    start                   we, who dialed, send our Logon (`set role=initiator`)
    send 8 {fill}           our application sends a business message
    gone TEXT               we disconnected, for a reason that holds TEXT; `up` we did not
    reconnect               the line was lost; a new connection with the durable numbers
    logout TEXT             we begin to log out

`[4.2+]`, `[4.0-4.1]` or `[5.0+]` before a line restricts it to versions. {fill} is a valid fill of the version, {all}
the EndSeqNo for everything, {now}, {old} and {soon} are times, {begin} the BeginString.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from domain.clock import ManualClock
from ingest.session.core import SessionCore
from ingest.session.sent import MemorySent
from ingest.session.state import Action, Append, Deliver, Disconnect, Numbers, Phase, Replay, Role, Send, SessionConfig
from ingest.session.versions import VERSIONS
from ingest.session.wire import compose, fields, seal, timestamp

CASES = Path(__file__).parent / "cases"
NAMES = [name.removeprefix("FIX.") for name in VERSIONS]
_FILL = "37=O1 17={exec} {kind} 39=2 55=VOD.L 54=1 38=100 32=100 31=1.5 {leaves} 14=100 6=1.5"


class CaseRunner:
    """One script against one version."""

    def __init__(self, version: str) -> None:
        self.rank, self.version = NAMES.index(version), VERSIONS[f"FIX.{version}"]
        self.clock = ManualClock(1_767_607_200_000_000_000)
        self.config = SessionConfig(
            "PB", "US", self.version.begin_string, appl_ver_id=self.version.appl_ver_id,
            strict=True, sending_time_seconds=120, deliver=True,
        )  # fmt: skip
        self.numbers, self.store = Numbers(), MemorySent()
        self.sent: list[dict[int, str]] = []
        self.log: list[bytes] = []
        self.processed: list[str] = []
        self.disconnected = ""
        self.core: SessionCore | None = None

    def run(self, script: str) -> None:
        """Raise AssertionError naming the line that is not kept."""
        for number, line in enumerate(script.splitlines(), start=1):
            text = self._for_version(line.strip())
            if not text or text.startswith(("#", "versions")):
                continue
            verb, _, rest = text.partition(" ")
            words = {">": "receive", "<": "sends", "-": "quiet", "set": "configure"}
            try:
                getattr(self, f"do_{words.get(verb, verb)}")(self._filled(rest))
            except AssertionError as error:
                raise AssertionError(f"line {number}: {line.strip()}: {error}") from error

    def do_configure(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        typed: Any = {"yes": True, "no": False}.get(value, value)
        typed = Role(value) if name == "role" else int(value) if value.isdigit() else typed
        self.config = replace(self.config, **{name: typed})

    def do_numbers(self, rest: str) -> None:
        self.numbers = Numbers(*map(int, rest.split()))

    def do_logon(self, _: str) -> None:
        self.do_receive(self._filled("35=A 34=1 98=0 108=30 {appl}"))
        self.do_sends("35=A 34=1 98=0 108=30")
        self.do_quiet("")

    def do_start(self, _: str) -> None:
        self._take(self._core().start())

    def do_receive(self, rest: str) -> None:
        found = {35: "0", 49: "PB", 56: "US", 34: "0", 52: timestamp(self.clock.now_ns())}
        pairs = _pairs(rest)
        head = {tag: dict(pairs).get(tag, value) for tag, value in found.items()}
        begin = dict(pairs).get(8, self.version.begin_string)
        body = [pair for pair in pairs if pair[0] not in (*head, 8)]
        ahead = [(tag, value) for tag, value in head.items() if value != "none"]
        self._take(self._core().receive(compose(begin, [*ahead, *body])))

    def do_exact(self, rest: str) -> None:
        """The fields in exactly this order, framed: 8, 9 and 10 are added, nothing else."""
        body = b"".join(b"%d=%s\x01" % (tag, value.encode()) for tag, value in _pairs(rest))
        self._take(self._core().receive(seal(self.version.begin_string.encode(), body)))

    def do_raw(self, rest: str) -> None:
        self._take(self._core().receive(rest.replace("|", "\x01").encode("latin-1")))

    def do_sends(self, rest: str) -> None:
        assert self.sent, "nothing was sent"
        found = self.sent.pop(0)
        absent = [int(tag) for tag in re.findall(r"!(\d+)", rest)]
        wanted = _pairs(re.sub(r"!\d+ ?", "", rest))
        assert [(tag, found.get(tag)) for tag, _ in wanted] == wanted, f"sent {found}"
        assert not [tag for tag in absent if tag in found], f"sent {found}"

    def do_quiet(self, _: str) -> None:
        assert self.sent == []

    def do_expect(self, rest: str) -> None:
        assert self._core().next_in == int(rest), f"expected is {self._core().next_in}"

    def do_app(self, rest: str) -> None:
        assert len(self.processed) == int(rest), self.processed

    def do_log(self, rest: str) -> None:
        assert len(self.log) == int(rest), f"{len(self.log)} are logged"

    def do_wait(self, rest: str) -> None:
        self.clock.advance(float(rest))
        self._take(self._core().tick())

    def do_send(self, rest: str) -> None:
        kind, _, body = rest.partition(" ")
        self._take(self._core().send(kind, *_pairs(body)))

    def do_logout(self, rest: str) -> None:
        self._take(self._core().logout(rest))

    def do_gone(self, rest: str) -> None:
        assert self.disconnected, "still connected"
        assert rest in self.disconnected, self.disconnected
        assert self._core().phase is Phase.CLOSED

    def do_up(self, _: str) -> None:
        assert not self.disconnected, self.disconnected

    def do_reconnect(self, _: str) -> None:
        core = self._core()
        self._take(core.closed())
        self.numbers, self.core, self.disconnected = Numbers(core.next_in, core.next_out), None, ""

    def _core(self) -> SessionCore:
        if self.core is None:
            self.core = SessionCore(self.config, self.numbers, self.clock, self.store)
        return self.core

    def _take(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Append(messages):
                    self.log += messages
                    self._take(self._core().committed(len(messages)))
                case Send(data):
                    self.sent.append(fields(data))
                case Replay(messages):
                    self.sent += map(fields, messages)
                case Deliver(messages):
                    for message in messages:
                        self._process(fields(message))
                case Disconnect(reason):
                    self.disconnected = reason

    def _process(self, message: dict[int, str]) -> None:
        """The application: a possible resend of what it has is ignored (case 19)."""
        if message.get(97) != "Y" or message[17] not in self.processed:
            self.processed.append(message.get(17, "?"))

    def _for_version(self, line: str) -> str:
        found = re.match(r"\[([\w.]+)(?:(\+)|-([\w.]+))?\]\s*", line)
        if found is None:
            return line
        first = NAMES.index(found[1])
        last = len(NAMES) - 1 if found[2] else NAMES.index(found[3] or found[1])
        return line[found.end() :] if first <= self.rank <= last else ""

    def _filled(self, text: str) -> str:
        kind = ("20=0", "20=0 150=2", "20=0 150=2", "150=F")[min(self.rank, 3)]
        fill = _FILL.format(exec="E1", kind=kind, leaves="" if self.rank == 0 else "151=0")
        now = self.clock.now_ns()
        times = {"{now}": now, "{old}": now - 600 * 10**9, "{soon}": now + 600 * 10**9}
        for name, at in times.items():
            text = text.replace(name, timestamp(at))
        text = text.replace("{appl}", f"1137={self.version.appl_ver_id}" if self.version.appl_ver_id else "")
        text = text.replace("{begin}", self.version.begin_string).replace("{all}", self.version.infinity)
        return re.sub(r"\{fill(\d*)\}", lambda found: fill.replace("17=E1", f"17=E{found[1] or 1}"), text)


def wanted(script: str) -> list[str]:
    """The versions a script is for, as its line `versions` says."""
    found = re.search(r"^versions ([\w.]+)(\+|-([\w.]+))?$", script, re.MULTILINE)
    if found is None:
        return NAMES
    first = NAMES.index(found[1])
    last = NAMES.index(found[3]) if found[3] else len(NAMES) - 1 if found[2] else first
    return NAMES[first : last + 1]


def _pairs(text: str) -> list[tuple[int, str]]:
    return [(int(tag), value) for tag, value in re.findall(r"(\d+)=(.*?)(?= +\d+=| *$)", text)]
