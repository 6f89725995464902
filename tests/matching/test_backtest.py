"""Back-test: gained, lost and changed pairs and breaks of a rule set, also against what people decided."""

from decimal import Decimal
from typing import Any

import pytest

from matching.backtest import Backtest, backtest, wilson
from matching.rules import RuleSet, load_rules
from tests.matching.desk import FEEDS, LATE, Desk, Row, ours, theirs
from tests.matching.test_decided import decide


def rules(**changes: Any) -> RuleSet:
    """The shipped rules with passes left out (`without`) or tolerances changed (`price`)."""
    data = load_rules().model_dump(mode="json")
    data["passes"] = [one for one in data["passes"] if one["id"] not in changes.get("without", ())]
    data["tolerances"]["price"]["absolute"]["default"] = changes.get("price", "0")
    return RuleSet.model_validate(data)


def run(desk: Desk, old: RuleSet, new: RuleSet) -> Backtest:
    return backtest(desk.warehouse, old, new, feeds=FEEDS, as_of=LATE)


def day() -> list[Row]:
    """Two pairs by id, one by terms alone, one whose price differs by 0.02, one of ours alone."""
    rows = []
    for n in range(2):
        rows += [ours(f"A{n}"), theirs(f"B{n}", f"A{n}")]
    rows += [ours("A5", account_id="ACC-5", client_order_id="C5")]
    rows += [theirs("B5", account_id="ACC-5", client_order_id=None)]
    rows += [ours("A6", account_id="ACC-6", client_order_id="C6")]
    rows += [theirs("B6", "A6", account_id="ACC-6", client_order_id="C6", price="10.52")]
    rows += [ours("A7", account_id="ACC-7", client_order_id="C7", qty="70")]
    return rows


def test_the_same_rules_change_nothing(desk: Desk) -> None:
    desk.store(day(), "x1")
    found = run(desk, load_rules(), load_rules())
    assert not found.differs
    assert (found.pairs.before, found.pairs.same, found.pairs.after) == (4, 4, 4)
    assert (found.breaks.before, found.breaks.same) == (2, 2)
    assert found.trades == {"ours": 5, "theirs": 4}
    assert found.judged == ()


def test_a_pass_left_out_loses_its_pairs_and_gains_breaks(desk: Desk) -> None:
    desk.store(day(), "x1")
    gone = {"P40-economics", "P50-tolerance", "P60-day-block"}
    found = run(desk, load_rules(), rules(without=gone))
    [lost] = [one for one in found.passes if one.lost]
    assert (lost.name, lost.before, lost.after, lost.lost) == ("P40-economics", 1, 0, 1)
    assert {one.name: (one.gained, one.lost) for one in found.codes} == {"T01": (1, 0), "T02": (1, 0), "T06": (0, 0)}
    assert lost.kept.share == 0
    assert found.pair_examples[0]["trade_uid"] == "A5"
    back = run(desk, rules(without=gone), load_rules())
    assert (back.pairs.gained, back.breaks.lost) == (1, 2)


def test_a_wider_tolerance_takes_a_break_and_no_pair(desk: Desk) -> None:
    desk.store(day(), "x1")
    found = run(desk, load_rules(), rules(price="0.05"))
    assert found.pairs.same == found.pairs.after == 4
    assert [(one.name, one.lost) for one in found.codes if one.lost] == [("T06", 1)]
    assert [one["old_code"] for one in found.break_examples] == ["T06"]


def test_twins_that_swap_are_no_change(desk: Desk) -> None:
    twins = [ours(f"A{n}", client_order_id=None) for n in range(3)]
    twins += [theirs(f"B{n}", client_order_id=None) for n in range(3)]
    desk.store(twins, "x1")
    data = load_rules().model_dump(mode="json")
    at = next(n for n, one in enumerate(data["passes"]) if one["id"] == "P40-economics")
    data["passes"][at]["pair_by"] = ["event_at"]
    found = run(desk, load_rules(), RuleSet.model_validate(data))
    assert not found.differs
    assert found.pairs.same == 3


def test_rules_are_judged_by_what_people_decided(desk: Desk) -> None:
    a, b = ours("A", qty="70"), theirs("B", instrument_id="AMD-ID", symbol="AMD", client_order_id="X")
    c, d = ours("C", account_id="ACC-5"), theirs("D", account_id="ACC-5", client_order_id=None)
    desk.store([a, b, c, d], "x1")
    decide(desk, "FORCE", a, b)
    decide(desk, "APART", c, d)
    found = run(desk, load_rules(), rules(without={"P40-economics", "P50-tolerance", "P60-day-block"}))
    by_kind = {one.kind: (one.decisions, one.old, one.new) for one in found.judged}
    assert by_kind == {"APART": (1, 0, 1), "FORCE": (1, 0, 0)}
    back = run(desk, load_rules(), load_rules())
    assert back.judged == (), "decisions are held aside: the scratch warehouse has none any more"


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 10, "0.0000", "0.2775"), (10, 10, "0.7225", "1.0000"), (50, 100, "0.4038", "0.5962")],
)
def test_intervals_are_wilsons(part: int, whole: int, low: str, high: str) -> None:
    found = wilson(part, whole)
    assert (found.low, found.high) == (Decimal(low), Decimal(high))
    assert wilson(0, 0).share is None


def test_the_result_is_plain_data(desk: Desk) -> None:
    desk.store(day(), "x1")
    plain = run(desk, load_rules(), rules(price="0.05")).as_json()
    assert plain["pairs"]["kept"]["share"] == "1"
    assert plain["old"]["hash"] != plain["new"]["hash"]
