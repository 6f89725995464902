"""The state is a function of the facts: order, batching, repeats, full runs and rebuilds change nothing."""

import itertools
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain.facts import RAW_MESSAGE
from domain.schema import arrow_schema
from matching.completeness import completeness
from matching.rebuild import rebuild
from matching.rules import RuleSet
from tests.matching.desk import DAY, FEEDS, LATE, SECOND, T0, Desk, Row, ours, theirs

DERIVED = ("trade_state", "match_group", "match_member", "recon_break", "recon_break_member", "break_change", "timer",
           "match_version", "match_link", "match_edge", "match_block")  # fmt: skip
NEXT = DAY + timedelta(days=1)

# A small day in which every kind of pass, chain and link has something to do.
DAY_ROWS: list[Row] = [
    ours("E1"),
    theirs("A1", "E1"),
    ours("E2", qty="200"),
    theirs("A2", "E2", qty="190"),
    ours("E3", qty="300"),
    theirs("A3", qty="300", price="10.51"),
    ours("T1", price="11", client_order_id="T"),
    ours("T2", price="11", client_order_id="T"),
    theirs("A4", price="11", client_order_id="T"),
    ours("C1", qty="500"),
    ours("C2", qty="510", prev_uid="C1", status="CORRECT", recv_time_utc=T0 + 5 * SECOND),
    theirs("A5", "C1", qty="510"),
    ours("D1", qty="600"),
    ours("D2", qty="600", prev_uid="D1", status="CANCEL"),
    theirs("A6", "D1", qty="600"),
    ours("X1", qty="700", instrument_id="AAPL-ID"),
    theirs("A7", "X1", qty="700"),
    ours("Y1", qty="800"),
    theirs("A8", "Y1", qty="800", trade_date=NEXT),
    ours("B1", qty="100", price="20", pb_id="CHARLIE", client_order_id="O9"),
    ours("B2", qty="300", price="20.02", pb_id="CHARLIE", client_order_id="O9"),
    theirs("K1", feed="charlie", qty="400", price="20.015", client_order_id="O9", commission="2.00"),
    ours("M1", qty="900", instrument_id="MSFT-ID"),
    ours("M2", qty="900", instrument_id="TSLA-ID", prev_uid="M1", status="CORRECT"),
    theirs("A9", "M2", qty="900", instrument_id="TSLA-ID"),
    ours("O2", qty="40", prev_uid="O1", status="CORRECT"),
    theirs("B9", feed="bravo", qty="33"),
]


def outcome(desk: Desk) -> list[tuple[Any, ...]]:
    """What must not depend on the order of arrival."""
    rows = desk.table(
        "select break_id, code, state, left_value, right_value, exposure, account_id from recon_break"
        " where state <> 'CURED' order by break_id"
    )
    groups = desk.table("select group_id, pass_id, cardinality from match_group order by group_id")
    return [tuple(row.values()) for row in (*rows, *groups)]


@pytest.fixture(scope="module")
def reference(rules: RuleSet) -> list[tuple[Any, ...]]:
    """The outcome of the day in one batch."""
    desk = Desk(rules)
    desk.match(DAY_ROWS, as_of=LATE)
    assert completeness(desk.warehouse).holds
    return outcome(desk)


def test_the_day_has_the_breaks_it_was_written_for(reference: list[tuple[Any, ...]]) -> None:
    codes = sorted(row[1] for row in reference if len(row) > 3)
    assert codes == ["T01", "T02", "T05", "T06", "T09", "T13", "T22", "T24"]


def one_way(rules: RuleSet, reference: list[tuple[Any, ...]], order: list[int], cuts: set[int]) -> None:
    """The day in that order and those batches, then rebuilt, then matched whole."""
    desk = Desk(rules)
    edges = [0, *sorted(cuts), len(order)]
    for step, (start, stop) in enumerate(itertools.pairwise(edges)):
        desk.match([DAY_ROWS[index] for index in order[start:stop]], as_of=T0 + step * 40 * SECOND)
    desk.match(as_of=LATE)
    assert outcome(desk) == reference
    incremental = desk.dump(*DERIVED)
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump(*DERIVED) == incremental
    desk.match(as_of=LATE, scope="all")
    assert desk.dump(*DERIVED) == incremental


def test_another_order_and_batching_gives_the_same_breaks_and_a_full_run_or_rebuild_changes_nothing(
    rules: RuleSet, reference: list[tuple[Any, ...]]
) -> None:
    # What depends on another comes before it, and the cut goes through most of them.
    one_way(rules, reference, [*range(1, len(DAY_ROWS), 2), *range(0, len(DAY_ROWS), 2)], {10})


# Shrinking would re-run the day hundreds of times; the printed order is short enough to read.
@pytest.mark.heavy
@pytest.mark.timeout(900)
@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(order=st.permutations(range(len(DAY_ROWS))), cuts=st.sets(st.integers(1, len(DAY_ROWS) - 1), max_size=2))
def test_any_order_and_batching_gives_the_same(
    rules: RuleSet, reference: list[tuple[Any, ...]], order: list[int], cuts: set[int]
) -> None:
    one_way(rules, reference, order, cuts)


def test_a_repeated_run_changes_nothing_and_reports_the_same(desk: Desk) -> None:
    rows = DAY_ROWS[:6]
    first = desk.match(rows, execution="one")
    before = desk.dump(*DERIVED, "execution_log")
    again = desk.match([], execution="one")
    assert desk.dump(*DERIVED, "execution_log") == before
    assert again == first


def told(desk: Desk, execution: str, numbers: range) -> None:
    """The messages a range is stored with, without their bytes."""
    rows = [
        {"message_id": f"oms:{n}", "lane": "oms", "session": "oms", "number": n, "feed": "oms", "recv_ts": T0,
         "sha256": "", "length": 0, "outcome": "FACT", "raw": b"", "execution": execution}
        for n in numbers
    ]  # fmt: skip
    desk.warehouse.append("raw_message", pa.Table.from_pylist(rows, schema=arrow_schema(RAW_MESSAGE)))


def test_what_a_range_stored_after_another_run_took_its_beginning_along_is_matched_too(desk: Desk) -> None:
    rows = [ours(f"E{n}", qty=str(n)) for n in range(1, 5)]
    desk.store(rows[:2], "torn")
    told(desk, "torn", range(1, 3))
    desk.match([theirs(f"A{n}", f"E{n}", qty=str(n)) for n in range(1, 5)], execution="other")
    desk.store(rows[2:], "torn")
    told(desk, "torn", range(3, 5))
    desk.match([], execution="torn")
    assert len(desk.table("select group_id from match_group")) == 4
    assert completeness(desk.warehouse).holds
    before = desk.dump(*DERIVED, "execution_log")
    desk.match([], execution="torn")
    assert desk.dump(*DERIVED, "execution_log") == before


def test_facts_nobody_matched_are_taken_along_once(desk: Desk) -> None:
    desk.store([theirs("A1", "E1", qty="90")], "lost")
    desk.match([ours("E1")], execution="found")
    assert desk.breaks() == ["T05"]
    logged = desk.table("select execution, kind, seq from execution_log order by execution")
    assert [(row["execution"], row["seq"]) for row in logged] == [("found", 1), ("lost", 1)]
    before = desk.dump(*DERIVED, "execution_log")
    assert desk.match([], execution="lost").changes == 0
    assert desk.dump(*DERIVED, "execution_log") == before
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump(*DERIVED) == {name: before[name] for name in DERIVED}


def test_time_never_goes_back(desk: Desk) -> None:
    desk.match([ours("E1")], as_of=LATE)
    desk.match([ours("E2", qty="7")], as_of=T0)
    assert desk.breaks() == ["T01", "T01"]


def test_a_failed_run_leaves_nothing_behind(desk: Desk, rules: RuleSet) -> None:
    desk.match(DAY_ROWS[:2])
    before = desk.dump(*DERIVED, "execution_log")
    desk.warehouse.execute("alter table recon_break rename to hidden")
    with pytest.raises(Exception, match="recon_break"):
        desk.match(DAY_ROWS[2:4], execution="bad")
    desk.warehouse.execute("alter table hidden rename to recon_break")
    assert desk.dump(*DERIVED, "execution_log") == before
    desk.match([], execution="bad")
    assert desk.breaks() == ["T05"]


def test_timers_announce_every_second_in_which_grace_ends(desk: Desk) -> None:
    result = desk.match([ours("E1"), theirs("A1", "E9", instrument_id="Z", qty="7")])
    due = [row["due_at"].value for row in desk.table("select due_at from timer order by due_at")]
    assert due == [T0 + 30 * SECOND, T0 + 60 * SECOND]
    assert result.next_due == due[0]
    assert desk.match(as_of=LATE).next_due is None
    assert desk.table("select * from timer") == []


def test_new_rules_apply_to_old_trades_on_a_full_run(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A1", "E1", price="10.51")])
    assert desk.breaks() == ["T06"]
    loose = desk.rules.model_copy(update={"breaks": tuple(rule for rule in desk.rules.breaks if rule.code != "T06")})
    desk.rules = loose
    assert desk.match(scope="all").cured == 1
    [group] = desk.table("select rule_set_hash from match_group")
    assert group["rule_set_hash"] == loose.hash
