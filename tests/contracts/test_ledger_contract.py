"""The ledger: ranges are never cut twice, a planned range is found again, an old owner is fenced."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from orchestrator.embedded import EmbeddedEngine
from orchestrator.ledger import Fenced, Ledger, Plan, SqliteLedger, execution_name
from orchestrator.ledger_dynamodb import DynamoDbLedger, make_table
from orchestrator.ledger_sqlite import SharedSqliteLedger

DEFINITION = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    made = EmbeddedEngine(tmp_path / "e.sqlite", DEFINITION, {}, SystemClock())
    yield made
    made.close()


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of moto's DynamoDB in this process, with the ledger's table."""
    moto = pytest.importorskip("moto")
    import boto3

    with moto.mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        make_table(client, "ledger")
        yield client


@pytest.fixture(params=["sqlite", "shared", "dynamodb"])
def ledger(request: pytest.FixtureRequest, engine: EmbeddedEngine, tmp_path: Path) -> Ledger:
    if request.param == "sqlite":
        return SqliteLedger(engine)
    if request.param == "shared":
        return SharedSqliteLedger(tmp_path / "shared.sqlite", "t")
    # Every test is a tenant of its own.
    return DynamoDbLedger(request.getfixturevalue("dynamodb"), "ledger", request.node.name)


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
    newest = ledger.claim("lane")
    ledger.done("lane", newest, state.unfinished.name)
    assert ledger.resume("lane", newest).unfinished is None


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
        with pytest.raises(Fenced, match="fenced"):
            attempt()


def test_what_an_old_owner_says_of_a_range_changes_nothing(ledger: Ledger) -> None:
    """A zombie wakes up late: the new owner's range stays as it was, whatever the zombie tries with it."""
    old = ledger.claim("lane")
    ledger.plan("lane", old, plan(None, "5"))
    new = ledger.claim("lane")
    ledger.plan("lane", new, plan("5", "9"))
    with contextlib.suppress(Fenced):
        ledger.done("lane", old, plan("5", "9").name)
    for late in (plan("5", "7"), plan("9", "12")):
        with pytest.raises(Fenced):
            ledger.plan("lane", old, late)
    state = ledger.resume("lane", new)
    assert state.position == "9" and state.unfinished is not None and state.unfinished.until == "9"


@pytest.mark.parametrize("seed", range(6))
def test_of_two_owners_exactly_one_commits_each_range(ledger: Ledger, seed: int) -> None:
    """Workers that wake, claim, resume and plan at any moment: the ranges form one chain without a fork."""
    chance = random.Random(seed)
    tokens: dict[str, int] = {}
    at: dict[str, str | None] = {}
    chain: list[tuple[str | None, str]] = []
    for step in range(40):
        worker = chance.choice("abc")
        if worker not in tokens or chance.random() < 0.2:
            tokens[worker] = ledger.claim("lane")
            at[worker] = ledger.resume("lane", tokens[worker]).position
            continue
        try:
            mine = plan(at[worker], str(step + 1))
            ledger.plan("lane", tokens[worker], mine)
        except Fenced:
            assert tokens[worker] < max(tokens.values())
            del tokens[worker]
            continue
        assert tokens[worker] == max(tokens.values())
        chain.append((at[worker], mine.until))
        at[worker] = mine.until
    assert [after for after, _ in chain] == [None, *(until for _, until in chain[:-1])] and len(chain) > 5


def test_a_ledger_out_of_reach_may_be_asked_again() -> None:
    pytest.importorskip("boto3")
    import boto3
    from botocore.config import Config

    away = boto3.client(
        "dynamodb",
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 0}, connect_timeout=1),
    )
    with pytest.raises(TransientError, match="ledger table"):
        DynamoDbLedger(away, "ledger", "t").claim("lane")


def test_a_table_that_is_not_there_is_said(dynamodb: Any) -> None:
    with pytest.raises(PermanentError, match="nowhere"):
        DynamoDbLedger(dynamodb, "nowhere", "t").claim("lane")


def test_execution_names_are_derived_from_the_range() -> None:
    assert execution_name("t", "lane", "", "5") == execution_name("t", "lane", "", "5")
    assert len(execution_name("t", "lane", "", "5")) == 40
    assert execution_name("t", "lane", "", "5") != execution_name("t", "lane", "5", "9")


def test_a_lease_changes_hands_only_as_it_was_seen(dynamodb: Any) -> None:
    ledger = DynamoDbLedger(dynamodb, "ledger", "leases")
    first = ledger.take("lane", "a", None)
    assert first == 1 and ledger.take("lane", "b", None) is None
    seen = ledger.leases()["lane"]
    assert (seen.owner, seen.token) == ("a", 1) and ledger.renew("lane", first)
    assert ledger.take("lane", "b", seen) is None, "the owner lives: its record moved on"
    assert ledger.take("lane", "b", ledger.leases()["lane"]) == 2
    assert not ledger.renew("lane", first)
    ledger.release("lane", first)
    assert ledger.leases()["lane"].owner == "b"
    ledger.release("lane", 2)
    assert ledger.leases()["lane"].owner == ""
    with pytest.raises(Fenced):
        ledger.plan("lane", first, plan(None, "5"))


def test_a_lane_claimed_without_a_lease_can_be_taken(dynamodb: Any) -> None:
    ledger = DynamoDbLedger(dynamodb, "ledger", "claimed")
    ledger.claim("lane")
    assert ledger.take("lane", "b", ledger.leases()["lane"]) == 2


def test_marks_are_known_across_lanes(ledger: Ledger) -> None:
    assert dict(ledger.marks()) == {}
    for lane, marks in (("parent", {"A": 40, "B": 5}), ("child", {"A": 60})):
        name = execution_name("t", lane, "", "5")
        ledger.plan(lane, ledger.claim(lane), Plan(name, None, "5", {}, marks, {"until": lane}))
    assert dict(ledger.marks()) == {"A": 60, "B": 5}
