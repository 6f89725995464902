"""Suggestions: what a score or an ambiguous pass holds likely, with evidence, and never matched by itself."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from matching.compile import compile_passes
from matching.rebuild import rebuild
from matching.rules import RuleSet, load_rules
from matching.suggest import FORGET, KEEP
from tests.matching.desk import FEEDS, LATE, Desk, ours, theirs
from tests.matching.test_decided import decide
from warehouse.sql import to_duckdb

SCORE = {
    "id": "P89-score",
    "kind": "score",
    "block": [["instrument", "trade_date"], ["account", "trade_date", "qty"]],
    "weights": {
        "account": {"equal": "4", "differ": "-2"},
        "instrument": {"equal": "5", "differ": "-6"},
        "qty": {"equal": "6", "near": "2", "differ": "-3", "within": "0.10"},
        "price": {"equal": "5", "near": "3", "differ": "-2", "within": "0.01"},
        "direction": {"equal": "1", "differ": "-4"},
        "settle_date": {"equal": "1", "near": "0", "differ": "-1", "days": 1},
    },
    "threshold": "5",
    "most": 2,
}


def rules(*, ambiguity: dict[str, str] | None = None, **changes: Any) -> RuleSet:
    """The shipped rules with a score pass before the last one, and other policies for the passes named."""
    data = load_rules().model_dump(mode="json")
    data["passes"] = [one for one in data["passes"] if one["kind"] != "score"]
    data["passes"].insert(len(data["passes"]) - 1, {**SCORE, **changes})
    for one in data["passes"]:
        if one["id"] in (ambiguity or {}):
            one["ambiguity"] = (ambiguity or {})[one["id"]]
    return RuleSet.model_validate(data)


def suggested(desk: Desk) -> list[dict[str, Any]]:
    return desk.table(
        "select s.*, l.trade_uid as l_uid, r.trade_uid as r_uid from match_suggestion s"
        " join trade_event l on l.record_id = s.left_id join trade_event r on r.record_id = s.right_id"
        " order by s.pass_id, score desc, l_uid, r_uid"
    )


def pairs(desk: Desk) -> list[tuple[str, str]]:
    return [(one["l_uid"], one["r_uid"]) for one in suggested(desk)]


@pytest.mark.parametrize("dialect", ["snowflake", "duckdb"])
def test_the_text_is_the_reviewed_one(dialect: str) -> None:
    path = Path(__file__).parent / "snapshots" / f"suggest.{dialect}.sql"
    passes = compile_passes(rules(ambiguity={"P10-exec-id": "reject", "P50-tolerance": "suggest"}))
    named = {one.name: one.sql for one in passes if one.name.startswith(("P10-", "P50-", "P89-"))}
    named |= {"forget": FORGET, "keep": KEEP}
    shown = {name: to_duckdb(sql) if dialect == "duckdb" else sql.strip() for name, sql in named.items()}
    text = "".join(f"-- {name}\n{sql};\n\n" for name, sql in shown.items())
    assert path.read_text(encoding="utf-8") == text, f"review the change, then write {path.name} anew"


def test_a_likely_pair_is_suggested_with_its_evidence_and_not_matched() -> None:
    desk = Desk(rules())
    a = ours("A", qty="100", price="10.50", client_order_id=None)
    b = theirs("B", qty="95", price="10.55", client_order_id=None)
    far = theirs("C", qty="900", price="99.00", account_id="OTHER", side="SELL", client_order_id=None)
    desk.match([a, b, far], as_of=LATE)
    assert sorted(desk.breaks()) == ["T01", "T02", "T02"]
    assert desk.table("select * from match_group") == []
    [found] = suggested(desk)
    assert (found["l_uid"], found["r_uid"], found["kind"]) == ("A", "B", "score")
    said = {one["field"]: (one["is"], Decimal(one["weight"])) for one in json.loads(found["evidence"])}
    assert said["qty"] == ("near", 2)
    assert said["account"] == ("equal", 4)
    assert found["score"] == sum(weight for _, weight in said.values())


def test_what_meets_later_or_was_taken_apart_is_suggested_no_more() -> None:
    desk = Desk(rules())
    a = ours("A", client_order_id=None)
    b = theirs("B", qty="95", price="10.55", client_order_id=None)
    desk.match([a, b], as_of=LATE)
    assert pairs(desk) == [("A", "B")]
    desk.match([theirs("D", "A", client_order_id=None)], as_of=LATE)
    assert pairs(desk) == []

    desk = Desk(rules())
    desk.match([a, b], as_of=LATE)
    decide(desk, "APART", a, b)
    desk.match(as_of=LATE)
    assert pairs(desk) == []


def test_a_rebuild_and_another_order_give_the_same_suggestions() -> None:
    rows = [
        ours("A", client_order_id=None),
        theirs("B", qty="95", price="10.55", client_order_id=None),
        ours("A2", qty="90", client_order_id=None),
        theirs("B2", qty="85", price="10.52", client_order_id=None),
    ]
    desk = Desk(rules())
    desk.match(rows, as_of=LATE)
    first = desk.dump("match_suggestion")
    assert first["match_suggestion"]
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump("match_suggestion") == first
    other = Desk(rules())
    for row in reversed(rows):
        other.match([row], as_of=LATE)
    assert other.dump("match_suggestion") == first


def test_at_most_the_best_of_each_and_no_block_that_many_share() -> None:
    rows = [ours("A", client_order_id=None)]
    rows += [theirs(f"B{n}", qty=str(95 + n), price=f"10.5{n + 1}", client_order_id=None) for n in range(4)]
    desk = Desk(rules(most=2))
    desk.match(rows, as_of=LATE)
    assert len(suggested(desk)) == 2
    crowded = Desk(rules(most_alike=3))
    crowded.match(rows, as_of=LATE)
    assert suggested(crowded) == []


@pytest.mark.parametrize(("policy", "groups", "found"), [("mutual-best", 1, 0), ("reject", 0, 0), ("suggest", 0, 2)])
def test_the_policy_says_what_becomes_of_several_candidates(policy: str, groups: int, found: int) -> None:
    """One trade of ours, two bookings within its tolerance."""
    loose = {"P50-tolerance", "P60-day-block", "P70-order-differs", "P84-quantity", "P85-price"}
    data = rules(ambiguity={"P50-tolerance": policy}).model_dump(mode="json")
    data["passes"] = [
        one for one in data["passes"] if one["kind"] != "score" and one["id"] not in loose - {"P50-tolerance"}
    ]
    desk = Desk(RuleSet.model_validate(data))
    a = ours("A", price="10.50", price_scale=2, client_order_id=None)
    b = [theirs(f"B{n}", price=f"10.50{n}", price_scale=3, client_order_id=None) for n in (2, 3)]
    desk.match([a, *b], as_of=LATE)
    assert len(desk.table("select * from match_group")) == groups
    assert len(suggested(desk)) == found
    assert {one["kind"] for one in suggested(desk)} <= {"ambiguous"}
