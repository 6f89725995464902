"""Twins are interchangeable, chains resolve in any order of arrival, orphans wait."""

import itertools
from datetime import timedelta

import pytest

from matching.completeness import completeness
from tests.matching.desk import DAY, LATE, T0, Desk, Row, ours, theirs


def test_two_identical_fills_both_reported_are_no_break(desk: Desk) -> None:
    desk.match([ours("E1"), ours("E2"), theirs("A1"), theirs("A2")])
    desk.match(as_of=LATE)
    assert desk.breaks() == []
    assert {row["interchangeable"] for row in desk.table("select interchangeable from match_group")} == {True}


def test_two_identical_fills_one_reported_is_one_missing_trade(desk: Desk) -> None:
    desk.match([ours("E1"), ours("E2"), theirs("A1")])
    desk.match(as_of=LATE)
    [row] = desk.table("select code, exposure from recon_break")
    assert (row["code"], str(row["exposure"])) == ("T01", "1050.000000")


def test_twins_with_ids_pair_by_id_even_if_the_books_cross(desk: Desk) -> None:
    desk.match([ours("E1"), ours("E2"), theirs("A1", "E2"), theirs("A2", "E1")])
    pairs = desk.table(
        "select l.trade_uid as ours, r.cross_uid as theirs from match_member a join trade_event l"
        " on l.record_id = a.record_id and a.side = 'L' join match_member b on b.group_id = a.group_id and b.side = 'R'"
        " join trade_event r on r.record_id = b.record_id"
    )
    assert {(row["ours"], row["theirs"]) for row in pairs} == {("E1", "E1"), ("E2", "E2")}


def test_a_crowd_of_rounded_twins_pairs_completely(desk: Desk) -> None:
    count = 120
    rows = [ours(f"E{n:03d}", price="10.5012") for n in range(count)]
    rows += [theirs(f"A{n:03d}", price="10.50", client_order_id=None) for n in range(count)]
    desk.match(rows)
    assert len(desk.table("select group_id from match_group")) == count


def test_twins_that_differ_in_commission_pair_the_equal_ones(desk: Desk) -> None:
    desk.match(
        [
            ours("E1", commission="1"),
            ours("E2", commission="2"),
            theirs("A1", commission="2"),
            theirs("A2", commission="1"),
        ]
    )
    desk.match(as_of=LATE)
    assert desk.breaks() == []


def chain(name: str = "", **own: str) -> list[Row]:
    """A trade corrected twice and what the broker booked."""
    return [
        ours(f"E1{name}", **own),
        ours(f"E2{name}", prev_uid=f"E1{name}", status="CORRECT", qty="90", **own),
        ours(f"E3{name}", prev_uid=f"E2{name}", status="CORRECT", qty="80", **own),
        theirs(f"A1{name}", f"E1{name}", qty="80", **own),
    ]


def test_a_chain_of_corrections_counts_as_its_newest_version_in_any_order(desk: Desk) -> None:
    """Every order at once, each with ids and an instrument of its own."""
    chains = [
        [told[index] for index in order]
        for n, order in enumerate(itertools.permutations(range(4)))
        for told in [chain(f"-{n}", instrument_id=f"I{n}", client_order_id=f"C{n}")]
    ]
    for step in range(4):
        desk.match([told[step] for told in chains], as_of=LATE if step == 3 else T0)
    assert desk.breaks() == []
    live = desk.table(
        "select e.trade_uid from trade_state t join trade_event e on e.record_id = t.record_id where t.is_live"
    )
    assert {row["trade_uid"] for row in live} == {f"{uid}-{n}" for uid in ("E3", "A1") for n in range(len(chains))}
    assert completeness(desk.warehouse).holds


@pytest.mark.parametrize("parent", ["E1", "E2"], ids=["original id", "previous id"])
def test_either_parent_convention_is_understood(desk: Desk, parent: str) -> None:
    later = {"event_time_utc": T0 + 1_000_000_000}
    desk.match([*chain()[:2], ours("E3", prev_uid=parent, status="CANCEL", **later)])
    desk.match(as_of=LATE)
    assert desk.breaks() == []
    assert not desk.table("select record_id from trade_state where is_live")


def test_an_orphan_is_held_until_its_original_arrives(desk: Desk) -> None:
    desk.match([ours("E2", prev_uid="E1", status="CORRECT", qty="90"), theirs("A1", "E1", qty="90")])
    assert desk.table("select count(*) as n from trade_state where held")[0]["n"] == 1
    desk.match([ours("E1")])
    assert desk.table("select count(*) as n from trade_state where held")[0]["n"] == 0
    desk.match(as_of=LATE)
    assert desk.breaks() == []


def test_ids_that_start_again_next_day_are_other_trades(desk: Desk) -> None:
    tomorrow = DAY + timedelta(days=1)
    rows: list[Row] = [
        ours("1"),
        theirs("1", "1"),
        ours("1", trade_date=tomorrow, qty="50"),
        theirs("1", "1", trade_date=tomorrow, qty="50"),
    ]
    desk.match(rows)
    desk.match([ours("2", prev_uid="1", status="CANCEL", trade_date=tomorrow, qty="50")])
    desk.match(as_of=LATE)
    assert desk.breaks() == ["T22"]
    assert [row["trade_date"] for row in desk.table("select trade_date from recon_break")] == [tomorrow]


def test_rows_of_one_message_with_one_id_are_siblings_not_versions(desk: Desk) -> None:
    rows = [
        theirs("K1", feed="charlie", message_id="m1", account_id=account, qty=qty)
        for account, qty in (("A", "100"), ("B", "300"))
    ]
    rows += [ours("E1", pb_id="CHARLIE", account_id="A"), ours("E2", pb_id="CHARLIE", account_id="B", qty="300")]
    desk.match(rows)
    desk.match(as_of=LATE)
    assert desk.breaks() == []


def test_a_correction_cures_the_break_and_a_later_one_reopens_it(desk: Desk) -> None:
    opened = desk.match([ours("E1"), theirs("A1", "E1", qty="90")])
    cured = desk.match([theirs("A2", "E1", prev_uid="A1", status="CORRECT")])
    again = desk.match([theirs("A3", "E1", prev_uid="A2", status="CORRECT", qty="80")])
    assert opened.opened_ids == cured.cured_ids == again.opened_ids
    history = desk.table("select generation, kind from break_change order by generation, as_of, kind desc")
    assert [(row["generation"], row["kind"]) for row in history] == [(1, "OPENED"), (1, "CURED"), (2, "REOPENED")]


def test_a_changed_value_is_a_change_of_the_same_break(desk: Desk) -> None:
    desk.match([ours("E1"), theirs("A1", "E1", qty="90")])
    result = desk.match([theirs("A2", "E1", prev_uid="A1", status="CORRECT", qty="80")])
    assert (result.opened, result.changes, result.cured) == (0, 1, 0)
    [row] = desk.table("select right_value, generation from recon_break")
    assert (row["right_value"], row["generation"]) == ("80", 1)


def test_an_expected_item_that_clears_leaves_a_note_and_no_break(desk: Desk) -> None:
    desk.match([ours("E1")])
    desk.match([theirs("A1", "E1")])
    assert desk.table("select * from recon_break") == []
    notes = desk.table("select kind, code from break_change order by kind desc")
    assert [(row["kind"], row["code"]) for row in notes] == [("EXPECTED", "T01"), ("CLEARED", "T28")]


def test_a_cancelled_block_is_one_break_of_all_it_covered(desk: Desk) -> None:
    block = {"pb_id": "CHARLIE", "commission": None}
    booked = theirs("C1", feed="charlie", qty="150", recv_time_utc=T0 - 1, **block)
    desk.match([ours("E1", **block), ours("E2", qty="50", **block), booked])
    assert desk.breaks() == []
    cancel = theirs("C2", feed="charlie", qty="150", prev_uid="C1", status="CANCEL", **block)
    desk.match([cancel], as_of=LATE)
    [found] = desk.table("select * from recon_break where state = 'OPEN'")
    assert (found["code"], found["level"]) == ("T22", "BLOCK")
    assert (found["left_value"], found["right_value"]) == ("150 @ 10.5", "cancelled")
    assert (found["delta"], found["exposure"]) == (-150, 1575)
    members = desk.table("select side from recon_break_member order by side")
    assert [row["side"] for row in members] == ["L", "L", "R"]
    assert completeness(desk.warehouse).holds


def test_of_twins_each_cancelled_one_is_held_against_a_live_one(desk: Desk) -> None:
    mine = [ours(f"E{n}", client_order_id="C9", event_time_utc=T0 + n) for n in range(3)]
    booked = [theirs(f"A{n}", client_order_id="C9", event_time_utc=T0 + n) for n in range(3)]
    gone = [
        theirs(f"X{n}", prev_uid=f"A{n}", status="CANCEL", client_order_id="C9", event_time_utc=T0 + 9 + n)
        for n in range(2)
    ]
    desk.match([*mine, *booked, *gone], as_of=LATE)
    assert desk.breaks() == ["T22", "T22"]
    assert completeness(desk.warehouse).holds
