"""The steps of a certification and what became of them: what is asked, verdict, reason, messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

MESSAGES_KEPT = 40


class Verdict(Enum):
    """What became of a step."""

    OPEN = "open"
    PASS = "pass"  # noqa: S105  (a verdict)
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `ask` tells the counterparty's people what to send, `checks` what it is held against."""

    name: str
    title: str
    ask: str
    checks: str
    business: bool = False


SCRIPT: Sequence[Step] = (
    Step(
        "logon", "Logon", "Connect and send Logon(A) with the CompIDs of the test system.",
        "Logon is accepted and answered; CompIDs, EncryptMethod(98), HeartBtInt(108) and SendingTime(52) are right.",
    ),
    Step(
        "test_request", "TestRequest", "Nothing: your engine answers our TestRequest(1).",
        "A Heartbeat(0) comes back with the TestReqID(112) we sent.",
    ),
    Step(
        "fill", "Fill", "Send one new fill of any test security.",
        "It decodes by the dialect to a new trade with account, instrument, side, quantity, price, currency and date.",
        business=True,
    ),
    Step(
        "resend", "Resend", "Send two more fills, one after the other. We lose the first one on purpose.",
        "Our ResendRequest(2) is answered with the lost message, not with a gap fill.",
    ),
    Step(
        "poss_dup", "PossDup", "Nothing: the message you resent is looked at.",
        "PossDupFlag(43)=Y, OrigSendingTime(122) not after SendingTime(52), the body byte for byte the same.",
    ),
    Step(
        "gap", "Gap of ours", "Nothing: we lose one of our own messages; your engine asks for it.",
        "A ResendRequest(2) that begins at the number we left out; our gap fill is taken.",
    ),
    Step(
        "correct", "Correction", "Correct a fill you sent in this session.",
        "It decodes to a correction that names a trade of this session.", business=True,
    ),
    Step(
        "bust", "Bust", "Cancel a fill you sent in this session.",
        "It decodes to a cancel that names a trade of this session.", business=True,
    ),
    Step(
        "allocation", "Allocation", "Send a block allocated to accounts, or a booking at allocation level.",
        "It decodes to allocations; every share has account and quantity, and the shares make up the block.",
        business=True,
    ),
    Step(
        "bad_tag", "Bad tag", "Send a fill with a value we cannot take, for example Side(54)=Z.",
        "It is refused with a reason, its bytes are kept and the session stays up.", business=True,
    ),
    Step(
        "end_of_day", "End of day", "Log out, and when the connection has ended log on again with the next numbers.",
        "Logout(5) is answered and the connection ends; the next Logon is taken without a gap. Then we log out.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wire:
    """One message as it went over the line; `lost` is one we dropped on purpose. Nanoseconds since 1970, UTC."""

    at_ns: int
    inbound: bool
    raw: bytes
    lost: bool = False


@dataclass(slots=True)
class Outcome:
    """A step with its verdict, the reason in words and the messages that went to and fro while it was open."""

    step: Step
    verdict: Verdict = Verdict.OPEN
    reason: str = ""
    messages: list[Wire] = field(default_factory=list)

    def close(self, verdict: Verdict, reason: str) -> None:
        """Decide the step; the first verdict stands."""
        if self.verdict is Verdict.OPEN:
            self.verdict, self.reason = verdict, reason

    def keep(self, wire: Wire) -> None:
        """Remember a message of the step, up to MESSAGES_KEPT."""
        if len(self.messages) < MESSAGES_KEPT:
            self.messages.append(wire)


@dataclass(frozen=True, slots=True)
class Report:
    """A certification run: who, by which dialect, in which role of ours, and the outcome of every step."""

    session: str
    feed: str
    dialect: str
    role: str
    started_ns: int
    ended_ns: int
    outcomes: Sequence[Outcome]
    notes: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Every step passed or was left out on request, and at least one passed."""
        verdicts = [outcome.verdict for outcome in self.outcomes]
        return Verdict.PASS in verdicts and all(one in (Verdict.PASS, Verdict.SKIPPED) for one in verdicts)
