"""The examiner by itself: what each step accepts, what it fails and why."""

from collections.abc import Mapping

import pytest

from ingest.certify.examiner import Examiner, Order
from ingest.certify.judge import Judge
from ingest.certify.play import Body, scripted
from ingest.certify.steps import SCRIPT, Outcome, Verdict
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.normalise_reference import Reference
from ingest.session.wire import compose

NOW = 1_795_000_000_000_000_000
FEED = Feed(name="NORTH", role="PB", party="NORTH")


class Desk:
    """Both sides' messages put before one examiner."""

    def __init__(self, skipped: Mapping[str, str] | None = None) -> None:
        judge = Judge(FEED, Reference(load_dialects()), "NORTH->TIEOUT")
        self.examiner = Examiner(SCRIPT, skipped or {}, judge, 30.0, 0.0)
        self.now, self.number = 0.0, 1

    def tick(self, seconds: float = 0.0) -> list[Order]:
        self.now += seconds
        self.examiner.tick(self.now)
        return self.examiner.tick(self.now)

    def inbound(self, kind: str, *body: tuple[int, str], number: int = 0, **head: str) -> bool:
        extra = [(int(tag.removeprefix("t")), value) for tag, value in head.items()]
        self.number = number or self.number + 1
        fields = [(35, kind), (49, "NORTH"), (56, "TIEOUT"), (34, str(self.number)), *extra]
        if not any(tag == 52 for tag, _ in extra):
            fields.append((52, "20261120-14:31:04.000"))
        return self.examiner.received(compose("FIX.4.4", [*fields, *body]), NOW)

    def outbound(self, kind: str, *body: tuple[int, str], number: int = 7) -> bool:
        fields = [(35, kind), (49, "TIEOUT"), (56, "NORTH"), (34, str(number)), (52, "20261120-14:31:04.000")]
        return self.examiner.sent(compose("FIX.4.4", [*fields, *body]), NOW)

    def of(self, name: str) -> Outcome:
        return next(outcome for outcome in self.examiner.outcomes if outcome.step.name == name)

    def log_on(self) -> None:
        self.inbound("A", (98, "0"), (108, "30"))
        self.outbound("A", (98, "0"), (108, "30"))
        self.tick()

    def until(self, step: str) -> "Desk":
        """Logged on, with every step before `step` passed."""
        self.log_on()
        for outcome in self.examiner.outcomes:
            if outcome.step.name == step:
                break
            outcome.close(Verdict.PASS, "")
        self.tick()
        return self


def play(step: str) -> Body:
    return scripted("FIX.4.4", "UTC", NOW).steps[step][0]


def test_logon_passes_when_we_answer_and_fails_when_we_refuse() -> None:
    desk = Desk()
    desk.log_on()
    assert desk.of("logon").verdict is Verdict.PASS
    refused = Desk()
    refused.outbound("5", (58, "HeartBtInt (108) must be between 1 and 300"))
    assert refused.of("logon").verdict is Verdict.FAIL and "HeartBtInt" in refused.of("logon").reason


def test_a_heartbeat_must_bring_back_our_own_id() -> None:
    desk = Desk()
    desk.log_on()
    assert desk.tick() in ([Order.PROBE], [])
    desk.outbound("1", (112, "UAT-1"))
    desk.inbound("0", (112, "another"))
    assert desk.of("test_request").verdict is Verdict.OPEN
    desk.inbound("0", (112, "UAT-1"))
    assert desk.of("test_request").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("change", "told"), [({31: ""}, "missing_required_field"), ({54: "Z"}, "side_unmapped"), ({1: ""}, "account")]
)
def test_a_fill_must_be_a_whole_trade(change: dict[int, str], told: str) -> None:
    desk = Desk().until("fill")
    kind, body = play("fill")
    desk.inbound(kind, *((tag, change.get(tag, value)) for tag, value in body if change.get(tag, value)))
    assert desk.of("fill").verdict is Verdict.FAIL and told in desk.of("fill").reason


def test_a_time_told_hours_off_is_remarked() -> None:
    desk = Desk().until("fill")
    kind, body = play("fill")
    five = scripted("FIX.4.4", "America/New_York", NOW).steps["fill"][0][1]
    late = dict(five)[60]
    desk.inbound(kind, *((tag, late if tag == 60 else value) for tag, value in body))
    assert desk.of("fill").verdict is Verdict.PASS
    assert any("tz60" in note for note in desk.examiner.notes)


def lost(desk: Desk) -> Body:
    kind, body = play("resend")
    assert desk.inbound(kind, *body, number=9) is False  # the session never sees it
    desk.inbound(kind, *body, number=10)
    return kind, body


def test_a_resend_is_the_same_message_marked() -> None:
    desk = Desk().until("resend")
    kind, body = lost(desk)
    desk.inbound(kind, *body, number=9, t52="20261120-14:31:05.000", t43="Y", t122="20261120-14:31:04.000")
    assert desk.of("resend").verdict is desk.of("poss_dup").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ({}, "PossDupFlag"),
        ({"t43": "Y"}, "OrigSendingTime(122) is missing"),
        ({"t43": "Y", "t122": "20261120-14:32:00.000"}, "after SendingTime"),
        ({"t43": "Y", "t122": "20261120-14:31:03.000"}, "was sent at"),
    ],
)
def test_a_resend_that_is_marked_wrong_fails_poss_dup(head: dict[str, str], told: str) -> None:
    desk = Desk().until("resend")
    kind, body = lost(desk)
    desk.inbound(kind, *body, number=9, **head)
    assert desk.of("resend").verdict is Verdict.PASS
    assert desk.of("poss_dup").verdict is Verdict.FAIL and told in desk.of("poss_dup").reason


def test_a_resend_with_another_body_fails() -> None:
    desk = Desk().until("resend")
    kind, body = lost(desk)
    other = tuple((tag, "1.00" if tag == 31 else value) for tag, value in body)
    desk.inbound(kind, *other, number=9, t43="Y", t122="20261120-14:31:04.000")
    assert "body differs" in desk.of("poss_dup").reason


def test_a_trade_that_comes_back_as_a_gap_fill_fails() -> None:
    desk = Desk().until("resend")
    lost(desk)
    desk.inbound("4", (123, "Y"), (36, "11"), number=9, t43="Y")
    assert desk.of("resend").verdict is desk.of("poss_dup").verdict is Verdict.FAIL


@pytest.mark.parametrize(("begin", "verdict"), [("7", Verdict.PASS), ("5", Verdict.FAIL)])
def test_our_own_gap_is_asked_for_from_the_number_left_out(begin: str, verdict: Verdict) -> None:
    desk = Desk().until("gap")
    assert desk.examiner.tick(desk.now + 5) == [Order.PROBE, Order.PROBE]
    assert desk.outbound("1", (112, "UAT-1"), number=7) is False
    assert desk.outbound("1", (112, "UAT-2"), number=8) is True
    desk.inbound("2", (7, begin), (16, "0"))
    assert desk.of("gap").verdict is verdict


@pytest.mark.parametrize(("step", "status"), [("correct", "G"), ("bust", "H")])
def test_changes_must_name_a_trade_of_this_session(step: str, status: str) -> None:
    desk = Desk().until(step)
    kind, body = play(step)
    desk.inbound(kind, *body)
    assert desk.of(step).verdict is Verdict.FAIL and "not sent in this session" in desk.of(step).reason
    again = Desk().until(step)
    for name in ("fill", "resend"):
        again.inbound(*([play(name)[0], *play(name)[1]]))
    again.inbound(kind, *body)
    assert again.of(step).verdict is Verdict.PASS and dict(body)[150] == status


def test_shares_must_make_the_block() -> None:
    desk = Desk().until("allocation")
    kind, body = play("allocation")
    desk.inbound(kind, *((tag, "301" if tag == 53 else value) for tag, value in body))
    assert desk.of("allocation").reason == "the shares make 300, the block has 301"
    right = Desk().until("allocation")
    right.inbound(kind, *body)
    assert right.of("allocation").verdict is Verdict.PASS


def test_trade_steps_can_be_met_before_their_turn_but_not_failed() -> None:
    desk = Desk()
    desk.log_on()
    kind, body = play("correct")
    desk.inbound(kind, *body)  # names nothing yet
    assert desk.of("correct").verdict is Verdict.OPEN
    desk.inbound(*[play("fill")[0], *play("fill")[1]])
    desk.inbound(kind, *body)
    assert desk.of("fill").verdict is desk.of("correct").verdict is Verdict.PASS


def test_a_step_nobody_answers_fails_when_its_time_is_over() -> None:
    desk = Desk().until("fill")
    desk.tick(31)
    assert desk.of("fill").verdict is Verdict.FAIL and "30 s" in desk.of("fill").reason


def test_the_day_ends_with_logout_and_a_new_logon() -> None:
    desk = Desk().until("end_of_day")
    desk.inbound("5")
    desk.outbound("5")
    desk.examiner.disconnected("Logout")
    assert desk.of("end_of_day").verdict is Verdict.OPEN
    desk.log_on()
    assert desk.of("end_of_day").verdict is Verdict.PASS and desk.examiner.current is None


def test_skipped_steps_and_messages_are_in_the_outcomes() -> None:
    desk = Desk({"allocation": "left out on request"})
    assert desk.of("allocation").verdict is Verdict.SKIPPED
    desk.log_on()
    assert [wire.inbound for wire in desk.of("logon").messages] == [True, False]


def test_garbled_bytes_are_kept_and_remarked() -> None:
    desk = Desk()
    assert desk.examiner.received(b"8=FIX.4.4\x01junk", NOW, "CheckSum") is True
    assert desk.examiner.notes == ["garbled bytes: CheckSum"]
