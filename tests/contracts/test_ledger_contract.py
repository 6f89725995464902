"""The ledger: ranges are never cut twice, a planned range is found again, an old owner is fenced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.clock import SystemClock
from domain.errors import PermanentError
from orchestrator.embedded import EmbeddedEngine
from orchestrator.ledger import Ledger, Plan, SqliteLedger, execution_name

DEFINITION = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    made = EmbeddedEngine(tmp_path / "e.sqlite", DEFINITION, {}, SystemClock())
    yield made
    made.close()


@pytest.fixture(params=["sqlite"])
def ledger(request: pytest.FixtureRequest, engine: EmbeddedEngine) -> Ledger:
    return SqliteLedger(engine)


def plan(after: str | None, until: str) -> Plan:
    name = execution_name("t", "lane", after or "", until)
    return Plan(name, after, until, {"S": 0}, {"S": 5}, {"until": until})


def test_a_new_lane_starts_at_its_beginning(ledger: Ledger) -> None:
    state = ledger.resume("lane", ledger.claim("lane"))
    assert (state.position, dict(state.marks), state.unfinished) == (None, {}, None)


def test_a_plan_moves_position_and_marks_and_is_found_until_it_ran(ledger: Ledger, engine: EmbeddedEngine) -> None:
    token = ledger.claim("lane")
    ledger.plan("lane", token, plan(None, "5"))
    state = ledger.resume("lane", ledger.claim("lane"))
    assert (state.position, dict(state.marks)) == ("5", {"S": 5})
    assert state.unfinished is not None and state.unfinished.input == {"until": "5"}
    engine.start(state.unfinished.name, state.unfinished.input)
    engine.wait(state.unfinished.name, 5)
    assert ledger.resume("lane", ledger.claim("lane")).unfinished is None


def test_planning_the_same_range_again_changes_nothing(ledger: Ledger) -> None:
    token = ledger.claim("lane")
    ledger.plan("lane", token, plan(None, "5"))
    ledger.plan("lane", token, plan(None, "5"))
    assert ledger.resume("lane", token).position == "5"


def test_a_range_that_does_not_continue_the_lane_is_refused(ledger: Ledger) -> None:
    token = ledger.claim("lane")
    ledger.plan("lane", token, plan(None, "5"))
    with pytest.raises(PermanentError, match="stands at"):
        ledger.plan("lane", token, plan("3", "9"))


def test_an_old_owner_is_fenced(ledger: Ledger) -> None:
    old = ledger.claim("lane")
    ledger.claim("lane")
    for attempt in (lambda: ledger.resume("lane", old), lambda: ledger.plan("lane", old, plan(None, "5"))):
        with pytest.raises(PermanentError, match="fenced"):
            attempt()


def test_execution_names_are_derived_from_the_range() -> None:
    assert execution_name("t", "lane", "", "5") == execution_name("t", "lane", "", "5")
    assert len(execution_name("t", "lane", "", "5")) == 40
    assert execution_name("t", "lane", "", "5") != execution_name("t", "lane", "5", "9")
