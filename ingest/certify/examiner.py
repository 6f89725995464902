"""The certification as a function: messages and time in, verdicts and orders out; it touches no socket and no file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ingest.certify.judge import Judge, Judged, lacks, same_body, shares_make_block, time_note
from ingest.certify.steps import Outcome, Step, Verdict, Wire
from ingest.session.wire import fields, header, number

_SESSION = frozenset("012345A")
_PROBE_SECONDS = 3.0


class Order(Enum):
    """What the runner has to do for a step."""

    PROBE = "send a TestRequest"
    LOG_OUT = "log out"


@dataclass(slots=True)
class _Lost:
    """A message dropped on purpose."""

    number: int = 0
    raw: bytes = b""
    wanted: bool = False


class Examiner:
    """Walks the steps. Trade steps may be met at any time after Logon; the others when their turn comes.

    `skipped` are steps to leave out, with the reason. `step_seconds` is how long the counterparty has for each step.
    Times are nanoseconds UTC for messages, seconds of a monotonic clock for waiting.
    """

    def __init__(
        self, steps: Sequence[Step], skipped: Mapping[str, str], judge: Judge, step_seconds: float, now: float
    ) -> None:
        self.outcomes = [Outcome(step) for step in steps]
        for outcome in self.outcomes:
            if outcome.step.name in skipped:
                outcome.close(Verdict.SKIPPED, skipped[outcome.step.name])
        self._by_name = {outcome.step.name: outcome for outcome in self.outcomes}
        self._judge, self._seconds = judge, step_seconds
        self._since, self._announced, self._timed = now, "", ""
        self._in, self._out = _Lost(), _Lost()
        self._test_id, self._logged_on, self._logouts, self._logons = "", False, 0, 0
        self._probed = float("-inf")
        self.notes: list[str] = []

    @property
    def current(self) -> Outcome | None:
        """The first step that is still open."""
        return next((outcome for outcome in self.outcomes if outcome.verdict is Verdict.OPEN), None)

    def announce(self) -> Step | None:
        """The current step once, when its turn comes: to be told to the counterparty's people."""
        now = self.current
        if now is None or now.step.name == self._announced:
            return None
        self._announced = now.step.name
        return now.step

    # What the runner tells

    def received(self, message: bytes, at_ns: int, garbled: str = "") -> bool:
        """A message came in; False: the session must not see it, it is lost on purpose."""
        head = header(message) if not garbled else {}
        kind = head.get(35, "")
        business = bool(kind) and kind not in _SESSION
        lose = self._in.wanted and business and head.get(43) != "Y"
        self._keep(Wire(at_ns, True, message, lose))
        if garbled:
            self.notes.append(f"garbled bytes: {garbled}")
            return True
        if lose:
            self._in = _Lost(number(head.get(34)) or 0, message)
            return False
        if self._in.number:
            self._resent(message, head)
        if kind in _SESSION:
            self._session_message(message, kind, head)
        elif business:
            self._business(message, at_ns)
        return True

    def sent(self, message: bytes, at_ns: int) -> bool:
        """A message of ours is about to leave; False: it is lost on purpose."""
        head, found = header(message), fields(message)
        kind = head.get(35, "")
        lose = self._out.wanted and kind in ("0", "1")
        self._keep(Wire(at_ns, False, message, lose))
        if lose:
            self._out = _Lost(number(head.get(34)) or 0, message)
            return False
        if kind == "1":
            self._test_id = found.get(112, "")
        if kind == "A":
            self._logons += 1
            self._logged_on = True
            self._close("logon", Verdict.PASS, "accepted and answered")
            if self._logouts:
                self._close("end_of_day", Verdict.PASS, "logged out, and on again with the next numbers")
        if kind == "5" and not self._logged_on:
            self._close("logon", Verdict.FAIL, f"refused: {found.get(58, '')}")
        return True

    def disconnected(self, reason: str) -> None:
        """The connection is over."""
        if not self._logged_on:
            self._close("logon", Verdict.FAIL, reason)
        elif not self._logouts and self.current is not None:
            self.notes.append(f"the connection ended without Logout: {reason}")
        self._logged_on = False

    def refused(self, reason: str) -> None:
        """A connection that speaks for another session was dropped."""
        self.notes.append(reason)

    def tick(self, now: float) -> list[Order]:
        """What is due: an order of the current step, or its time is over."""
        outcome = self.current
        if outcome is None:
            return []
        name = outcome.step.name
        if name != self._timed:
            self._timed, self._since, self._probed = name, now, float("-inf")
        elif now - self._since > self._seconds:
            outcome.close(Verdict.FAIL, f"nothing that answers it within {self._seconds:.0f} s")
            self._in, self._out, self._since = _Lost(), _Lost(), now
            if name == "logon":
                for other in self.outcomes:
                    other.close(Verdict.FAIL, "not reached: nobody logged on")
            return []
        return self._orders(name, now) if self._logged_on else []

    def _orders(self, name: str, now: float) -> list[Order]:
        if name == "resend" and not self._in.number:
            self._in.wanted = True
        if name not in ("test_request", "gap") or now - self._probed < _PROBE_SECONDS:
            return []
        self._probed = now
        if name == "gap" and not self._out.number:
            # The first is lost on its way, the second shows the counterparty that it misses one.
            self._out.wanted = True
            return [Order.PROBE, Order.PROBE]
        return [Order.PROBE]

    # The steps

    def _close(self, name: str, verdict: Verdict, reason: str) -> None:
        outcome = self._by_name.get(name)
        if outcome is not None:
            outcome.close(verdict, reason)

    def _open(self, name: str) -> bool:
        outcome = self._by_name.get(name)
        return outcome is not None and outcome.verdict is Verdict.OPEN

    def _keep(self, wire: Wire) -> None:
        current = self.current
        if current is not None:
            current.keep(wire)

    def _session_message(self, message: bytes, kind: str, head: dict[int, str]) -> None:
        found = fields(message)
        if kind == "0" and found.get(112) and found[112] == self._test_id:
            self._close("test_request", Verdict.PASS, f"TestReqID(112)={self._test_id} came back")
        elif kind == "2" and self._out.number:
            begin = number(found.get(7))
            right = begin == self._out.number
            told = f"BeginSeqNo(7)={begin}, the lost number is {self._out.number}"
            self._close("gap", Verdict.PASS if right else Verdict.FAIL, told)
            self._out = _Lost()
        elif kind == "5":
            self._logouts += 1
        elif kind == "3":
            self.notes.append(
                f"they rejected our {found.get(372, 'message')} {found.get(45, '?')}: {found.get(58, '')}"
            )

    def _resent(self, message: bytes, head: dict[int, str]) -> None:
        """Whether the lost message came again, and how."""
        sequence, lost = number(head.get(34)) or 0, self._in
        new = number(fields(message).get(36)) or 0
        if head.get(35) == "4" and sequence <= lost.number < new:
            self._close("resend", Verdict.FAIL, f"number {lost.number} was a trade and came back as a gap fill")
            self._close("poss_dup", Verdict.FAIL, "nothing was resent")
            self._in = _Lost()
        elif sequence == lost.number:
            self._close("resend", Verdict.PASS, f"number {lost.number} came again")
            wrong = _poss_dup_problem(lost.raw, message, head)
            self._close("poss_dup", Verdict.FAIL if wrong else Verdict.PASS, wrong or "marked, and the same trade")
            self._in = _Lost()

    def _business(self, message: bytes, at_ns: int) -> None:
        judged = self._judge.judge(message, at_ns)
        tests: dict[str, Callable[[Judged, bytes, int], tuple[Verdict, str] | None]] = {
            "fill": self._fill, "correct": self._correct, "bust": self._bust, "allocation": self._allocation,
            "bad_tag": self._bad_tag,
        }  # fmt: skip
        open_ = [name for name in tests if self._open(name)]
        current = self.current.step.name if self.current else ""
        for name in open_:
            found = tests[name](judged, message, at_ns)
            # Before its turn a step can be met, not failed: people send things in another order.
            if found is not None and (found[0] is Verdict.PASS or name == current):
                self._close(name, *found)
        self._judge.remember(judged)

    def _fill(self, judged: Judged, _: bytes, at_ns: int) -> tuple[Verdict, str] | None:
        if judged.problem:
            return Verdict.FAIL, judged.problem
        trade = judged.trades[0]
        if trade["status"] != "NEW":
            return None
        missing = lacks(trade)
        if missing:
            return Verdict.FAIL, f"the trade has no {', '.join(missing)}"
        note = time_note(trade, at_ns)
        if note:
            self.notes.append(note)
        qty, price = f"{trade['qty'].normalize():f}", f"{trade['price'].normalize():f}"
        return Verdict.PASS, f"{trade['side']} {qty} {trade['instrument_id']} at {price} {trade['trade_ccy']}"

    def _correct(self, judged: Judged, _: bytes, __: int) -> tuple[Verdict, str] | None:
        return self._change(judged, "CORRECT")

    def _bust(self, judged: Judged, _: bytes, __: int) -> tuple[Verdict, str] | None:
        return self._change(judged, "CANCEL")

    def _change(self, judged: Judged, status: str) -> tuple[Verdict, str] | None:
        if judged.problem:
            return Verdict.FAIL, judged.problem
        trade = judged.trades[0]
        if trade["status"] != status:
            return None
        if not self._judge.refers(trade):
            return Verdict.FAIL, f"it names {trade['prev_uid'] or 'no trade'}, which was not sent in this session"
        return Verdict.PASS, f"{trade['trade_uid']} changes {trade['prev_uid'] or trade['trade_uid']}"

    def _allocation(self, judged: Judged, message: bytes, _: int) -> tuple[Verdict, str] | None:
        shares = tuple(trade for trade in judged.trades if trade["level"] == "ALLOCATION")
        if judged.problem:
            return Verdict.FAIL, judged.problem
        if not shares:
            return None
        wrong = shares_make_block(message, shares)
        nameless = sum(not trade.get("account_raw") for trade in shares)
        if wrong or nameless:
            return Verdict.FAIL, wrong or f"{nameless} shares name no account"
        return Verdict.PASS, f"{len(shares)} shares: {', '.join(str(trade['account_raw']) for trade in shares[:5])}"

    def _bad_tag(self, judged: Judged, _: bytes, __: int) -> tuple[Verdict, str] | None:
        current = self.current
        if current is None or current.step.name != "bad_tag":
            return None
        if not judged.problem:
            return None
        return Verdict.PASS, f"refused and kept: {judged.problem}"


def _poss_dup_problem(original: bytes, again: bytes, head: dict[int, str]) -> str:
    if head.get(43) != "Y":
        return "PossDupFlag(43) is not Y"
    if not head.get(122):
        return "OrigSendingTime(122) is missing"
    if head[122] > head.get(52, ""):
        return "OrigSendingTime(122) is after SendingTime(52)"
    first = header(original).get(52, "")
    if head[122] != first:
        return f"OrigSendingTime(122) is {head[122]}, the message was sent at {first}"
    return "" if same_body(original, again) else "the body differs from what was sent first"
