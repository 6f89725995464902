"""Decisions: who may, who may not alone, what they do to a break's state and to matching, and what the ticket hears."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from alerting.actions import mirror_actions
from alerting.outbox import write
from alerting.playbook import load_playbooks
from alerting.triage import TriagePolicy
from app.decision_kinds import ActionRefused
from app.decisions import Decisions
from console.checklist import checklist
from domain.clock import ManualClock
from domain.principal import NotAllowed, Principal
from domain.schema import TABLES, arrow_schema
from matching.engine import match
from matching.rules import load_rules
from tests.matching.desk import FEEDS, LATE, Desk, kept, ours, put_back, theirs
from warehouse.audit_log import entries
from warehouse.duckdb import DuckDbWarehouse

ANA = Principal("ana", "user", frozenset({"analyst"}))
BEN = Principal("ben", "user", frozenset({"analyst", "approver"}))
SUE = Principal("sue", "user", frozenset({"approver"}))
ROBOT = Principal("service", "service", frozenset({"analyst"}))
DAY_NS = 86_400 * 1_000_000_000


@dataclass
class Office:
    """A desk with breaks and the decisions about them."""

    desk: Desk
    clock: ManualClock
    decisions: Decisions

    def state(self, break_id: str) -> tuple[str, str | None]:
        sql = "select state, resolution from break_queue where break_id = :b"
        found = self.desk.table(sql, {"b": break_id})[0]
        return found["state"], found["resolution"]

    def find(self, code: str) -> str:
        found = self.desk.table("select break_id from recon_break where code = :c order by 1", {"c": code})
        return str(found[0]["break_id"])

    def act(self, break_id: str, who: Principal, kind: str, reason: str = "because", **payload: Any) -> str:
        self.clock.advance(1)
        return self.decisions.record(break_id, who, kind, reason, payload)

    def answer(self, proposal: str, who: Principal, verdict: str = "approve", reason: str = "") -> str:
        self.clock.advance(1)
        return self.decisions.answer(proposal, who, verdict, reason)


@pytest.fixture(scope="module")
def morning() -> Iterator[tuple[DuckDbWarehouse, dict[str, pa.Table]]]:
    """A side reversed (critical), a commission, a missing one on each side."""
    desk = Desk(load_rules())
    desk.match(
        [
            ours("A"), theirs("RA", "A", side="SELL"),
            ours("B", qty="200"), theirs("RB", "B", qty="200", commission="9.00"),
            ours("C", qty="300", client_order_id="C3"),
            theirs("RD", account_id="OTHER", qty="301", price="99", client_order_id=None),
        ],
        as_of=LATE, execution="morning",
    )  # fmt: skip
    yield desk.warehouse, kept(desk.warehouse)
    desk.warehouse.close()


@pytest.fixture
def office(morning: tuple[DuckDbWarehouse, dict[str, pa.Table]]) -> Office:
    """The breaks of the morning."""
    desk = Desk(load_rules(), put_back(*morning))
    clock = ManualClock(LATE)
    return Office(desk, clock, Decisions(desk.warehouse, clock, lambda _break_id: None))


def test_a_critical_break_is_closed_by_two(office: Office) -> None:
    critical = office.find("T07")
    with pytest.raises(NotAllowed, match="two people"):
        office.act(critical, ROBOT, "resolve")
    proposal = office.act(critical, BEN, "resolve")
    assert office.state(critical) == ("OPEN", None)
    for who, why in ((BEN, "ben proposed this"), (ANA, "lacks the role"), (ROBOT, "a service cannot approve")):
        with pytest.raises(NotAllowed, match=why):
            office.answer(proposal, who)
    with pytest.raises(ActionRefused, match="ben has proposed this already"):
        office.act(critical, ANA, "resolve")
    assert [row["actor"] for row in office.decisions.pending()] == ["ben"]
    office.answer(proposal, SUE)
    assert office.state(critical) == ("RESOLVED", "manual")
    with pytest.raises(ActionRefused, match="approved already"):
        office.answer(proposal, SUE)
    assert office.decisions.pending() == []


def test_a_name_with_the_approver_role_cannot_approve_through_another_door(office: Office) -> None:
    proposal = office.act(office.find("T07"), BEN, "close")
    with pytest.raises(NotAllowed):
        office.answer(proposal, Principal("ben", "user", frozenset({"analyst", "approver"})))
    with pytest.raises(NotAllowed, match="only ben"):
        office.answer(proposal, ANA, "withdraw")
    office.answer(proposal, BEN, "withdraw")
    assert office.decisions.pending() == []


def test_each_kind_has_its_state_and_reopen_undoes_it(office: Office) -> None:
    small = office.find("T16")
    for kind, payload, state in (
        ("comment", {}, "OPEN"), ("assign", {"assignee": "ana"}, "ASSIGNED"), ("wait", {"party": "PB"}, "WAIT_PB"),
        ("wait", {"party": "INTERNAL"}, "WAIT_INTERNAL"), ("suppress", {"until": "2026-11-27"}, "SUPPRESSED"),
        ("resolve", {}, "RESOLVED"), ("close", {}, "CLOSED"), ("accept", {}, "RESOLVED"),
    ):  # fmt: skip
        office.act(small, ANA, kind, **payload)
        assert office.state(small)[0] == state
        if state in ("OPEN", "ASSIGNED"):
            with pytest.raises(ActionRefused, match="it is open"):
                office.act(small, ANA, "reopen")
        else:
            office.act(small, ANA, "reopen")
            assert office.state(small)[0] == "REOPENED"


def test_a_decision_counts_until_the_break_changes(office: Office) -> None:
    small = office.find("T16")
    for number, kind in enumerate(("resolve", "close", "accept", "wait"), start=2):
        office.act(small, ANA, kind, party="PB")
        change = theirs(f"RB{number}", "B", qty="200", commission=f"{number}.50", prev_uid="RB", status="CORRECT",
                        version=number)  # fmt: skip
        office.desk.match([change], as_of=LATE + number)
        assert office.state(small)[0] == ("OPEN" if kind == "wait" else "REOPENED")


def test_a_proposal_about_a_break_that_changed_is_not_approved(office: Office) -> None:
    critical = office.find("T07")
    proposal = office.act(critical, ANA, "resolve")
    change = ours("A2", qty="120", prev_uid="A", status="CORRECT", version=2)
    office.desk.match([change], as_of=LATE + 1)
    with pytest.raises(ActionRefused, match="has changed since"):
        office.answer(proposal, SUE)


def test_a_suppression_ends_by_itself(office: Office) -> None:
    small = office.find("T16")
    for until in ("2025-01-01", "2027-06-01", "soon"):
        with pytest.raises(ActionRefused):
            office.act(small, ANA, "suppress", until=until)
    office.act(small, ANA, "suppress", until="2026-11-26T09:00:00Z")
    assert office.state(small)[0] == "SUPPRESSED"
    office.desk.match(as_of=LATE + DAY_NS)
    assert office.state(small)[0] == "OPEN"


def test_more_than_the_limit_is_a_write_off_for_two(office: Office) -> None:
    small = office.find("T16")
    tight = Decisions(office.desk.warehouse, office.clock, lambda _b: None, office.decisions.limits.model_copy(
        update={"accept_limit": Decimal(5)}))  # fmt: skip
    proposal = tight.record(small, ANA, "accept", "agreed by phone", {})
    assert office.state(small)[0] == "OPEN"
    office.answer(proposal, SUE)
    assert office.state(small) == ("RESOLVED", "accepted")
    missing = office.act(office.find("T01"), ANA, "accept", "never mind")
    assert office.decisions.pending()[0]["action_id"] == missing, "a missing trade is no tolerance"


def test_a_force_match_waits_for_the_second_and_then_moves_the_break(office: Office) -> None:
    one, other = office.find("T01"), office.find("T02")
    with pytest.raises(ActionRefused, match="both sides"):
        office.act(one, ANA, "force_match")
    proposal = office.act(one, ANA, "force_match", **{"with": other})
    office.desk.match(as_of=LATE)
    assert office.state(one)[0] == "OPEN", "a proposal moves nothing"
    office.answer(proposal, SUE)
    office.desk.match(as_of=LATE)
    assert office.state(one) == ("RESOLVED", "cured")
    pairs = office.desk.table("select group_id from match_group where pass_id = 'forced'")
    assert len(pairs) == 1
    office.act(str(pairs[0]["group_id"]), ANA, "unmatch", "it was not")
    office.desk.match(as_of=LATE)
    assert office.desk.table("select 1 from match_group where pass_id = 'forced'") == []
    assert office.state(one)[0] in ("OPEN", "REOPENED")
    office.act(other, ANA, "release")
    office.desk.match(as_of=LATE)
    assert office.state(other)[0] in ("OPEN", "REOPENED")


def test_a_mapping_takes_two_and_enters_the_reference_data(office: Office) -> None:
    missing = office.find("T02")
    mapping = {"what": "account", "alias": "OTHER", "account_id": "MERID-EQ-01", "party": "ALPHA"}
    with pytest.raises(ActionRefused, match="needs alias"):
        office.act(missing, ANA, "map_identifier", what="account", account_id="X")
    proposal = office.act(missing, ANA, "map_identifier", **mapping)
    assert office.desk.table("select * from account_map") == []
    office.answer(proposal, SUE)
    again = office.act(missing, ANA, "map_identifier", **mapping)
    office.answer(again, SUE)
    (row,) = office.desk.table("select alias, party, account_id, valid_from from account_map")
    expected = {"alias": "OTHER", "party": "ALPHA", "account_id": "MERID-EQ-01", "valid_from": date(2026, 11, 24)}
    assert row == expected


def test_what_makes_no_sense_is_refused_and_leaves_no_trace(office: Office) -> None:
    small = office.find("T16")
    refused: list[Callable[[], object]] = [
        lambda: office.act("nothing", ANA, "comment"),
        lambda: office.act(small, ANA, "erase"),
        lambda: office.act(small, ANA, "resolve", "  "),
        lambda: office.act(small, ANA, "assign", ""),
        lambda: office.act(small, ANA, "wait", party="MOON"),
        lambda: office.act(small, ANA, "force_match"),
        lambda: office.act(small, ANA, "release"),
        lambda: office.act(office.find("T01"), ANA, "unmatch"),
        lambda: office.answer("nothing", SUE),
        lambda: office.answer("nothing", SUE, "maybe"),
    ]
    for attempt in refused:
        with pytest.raises(ActionRefused):
            attempt()
    with pytest.raises(NotAllowed):
        office.act(small, Principal("eve"), "comment")
    assert office.desk.table("select * from action") == [] and list(entries(office.desk.warehouse)) == []


def test_every_decision_is_in_the_trail_with_what_it_was(office: Office) -> None:
    small = office.find("T16")
    office.act(small, ANA, "comment", "größer als gedacht")
    proposal = office.act(office.find("T07"), ANA, "close")
    office.answer(proposal, SUE, "reject", "not yet")
    told = list(entries(office.desk.warehouse))
    assert [(e.actor, e.action) for e in told] == [
        ("ana", "break.comment"), ("ana", "break.close"), ("sue", "break.reject"),
    ]  # fmt: skip
    assert json.loads(told[0].payload)["reason"] == "größer als gedacht"
    assert json.loads(json.loads(told[1].payload)["before"])["code"] == "T07"


def test_the_ticket_is_resolved_by_the_approval_not_by_the_proposal(office: Office) -> None:
    warehouse = office.desk.warehouse
    scored = office.desk.table("select change_id, break_id from break_change where kind = 'OPENED'")
    schema = arrow_schema(TABLES["break_score"])
    rows = [{**row, "score": Decimal("0.99"), "execution": "e001"} for row in scored]
    warehouse.append("break_score", pa.Table.from_pylist(rows, schema=schema))
    policy = TriagePolicy(min_score=Decimal("0.5"))
    write(warehouse, "e001", LATE, policy)
    critical = office.find("T07")
    proposal = office.act(critical, ANA, "resolve", "booked again")
    mirror_actions(warehouse, "e001", LATE, policy)
    office.answer(proposal, SUE)
    mirror_actions(warehouse, "e001", LATE, policy)
    found = office.desk.table(
        "select operation, payload from ticket_outbox where break_id = :b and operation <> 'open'"
        " order by json_extract(payload, '$.seq')",
        {"b": critical},
    )
    assert [row["operation"] for row in found] == ["note", "resolve"]
    assert "a second person has to approve" in found[0]["payload"]
    assert "approved what ana proposed" in found[1]["payload"]
    assert json.loads(found[1]["payload"])["close_notes"] == "booked again"


def test_decisions_survive_a_rebuild_and_count_again(office: Office) -> None:
    small = office.find("T16")
    office.act(small, ANA, "resolve")
    match(office.desk.warehouse, execution="again", as_of=LATE, rules=office.desk.rules, feeds=FEEDS, scope="all")
    assert office.state(small) == ("RESOLVED", "manual")


def test_a_step_is_ticked_by_the_playbook_and_can_be_taken_back(office: Office) -> None:
    decisions = Decisions(office.desk.warehouse, office.clock, lambda _: None, playbooks=load_playbooks())
    found = office.find("T16")
    rates = office.desk.table("select * from break_queue where break_id = :b", {"b": found})[0]
    with pytest.raises(ActionRefused, match="no step 'guess' in the playbook; it has rate"):
        decisions.record(found, ANA, "check", "", {"step": "guess"})
    with pytest.raises(ActionRefused, match="check needs a step"):
        decisions.record(found, ANA, "check", "", {})
    for done, left in (("yes", 2), ("no", 3)):
        office.clock.advance(1)
        decisions.record(found, ANA, "check", "", {"step": "rate", "done": done})
        seen = checklist(office.desk.warehouse, rates, [], load_playbooks())
        assert seen is not None and seen.left == left
        assert seen.steps[0].who == ("ana" if done == "yes" else "")
    assert office.find("T16") == found
    assert office.desk.table("select state from break_queue where break_id = :b", {"b": found}) == [{"state": "OPEN"}]


def test_how_a_break_ended_is_one_of_its_playbooks_outcomes(office: Office) -> None:
    decisions = Decisions(office.desk.warehouse, office.clock, lambda _: None, playbooks=load_playbooks())
    found = office.find("T16")
    with pytest.raises(ActionRefused, match="no outcome 'recalled' in the playbook; it has executing_broker"):
        decisions.record(found, ANA, "resolve", "done", {"outcome": "recalled"})
    office.clock.advance(1)
    action = decisions.record(found, ANA, "resolve", "done", {"outcome": "broker_corrected"})
    [row] = office.desk.table("select payload from action where action_id = :a", {"a": action})
    assert json.loads(row["payload"])["outcome_text"] == "the broker corrects or books it"
