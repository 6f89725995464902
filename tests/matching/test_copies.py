"""L1: executions beside drop copies of brokers and venues, by id, then by count of equals; differences are named."""

import random
from datetime import date

import pytest

from matching.levels.port import FeedTerms
from matching.rebuild import rebuild
from matching.rules import load_rules
from tests.matching.desk import FEEDS, LATE, T0, Desk, Row, ours, row

OAKS = (*FEEDS, FeedTerms("oaks", "EB", "OAKS", 60), FeedTerms("arca", "VENUE", "ARCX", 60))
PB = {"commission": None}


def mine(uid: str, **changes: object) -> Row:
    """An execution of ours through OAKS."""
    return ours(uid, **({"exec_broker_id": "Oaks"} | PB | changes))


def copy(uid: str, cross: str | None = None, *, feed: str = "oaks", **changes: object) -> Row:
    """What OAKS tells of an execution; it knows no account of ours."""
    role = "VENUE" if feed == "arca" else "EB"
    told: Row = {"source_role": role, "level": "FILL", "pb_id": None, "account_id": "HOUSE", "cross_uid": cross}
    return {**row("alpha", uid, **(told | PB | {"source_id": feed} | changes)), "feed": feed}


# What is told, the codes that stay, and how the copies were found.
CASES: dict[str, tuple[list[Row], list[str], list[str]]] = {
    "by their id": ([mine("E1"), copy("E1")], [], ["id"]),
    "by the id we quote": ([mine("E1", cross_uid="K1"), copy("K1")], [], ["id"]),
    "by the id they quote": ([mine("E1"), copy("K1", "E1")], [], ["id"]),
    "equals by count": (
        [mine("E1", client_order_id="C1"), mine("E2", client_order_id="C1"), copy("K1", client_order_id="C1"),
         copy("K2", client_order_id=None)],
        [],
        ["economics", "order"],
    ),
    "one copy too few": ([mine("E1"), mine("E2"), copy("K1")], ["T01"], ["order"]),
    "one execution too few": ([mine("E1"), copy("E1"), copy("K2")], ["T02"], ["id"]),
    "another broker's is no matter": ([mine("E1", exec_broker_id="ELSE")], [], []),
    "nobody's may be told": ([mine("E1", exec_broker_id=None), copy("K1")], [], ["order"]),
    "nobody's need not be told": ([mine("E1", exec_broker_id=None)], [], []),
    "the quantity": ([mine("E1"), copy("E1", qty="90")], ["T05"], ["id"]),
    "the price": ([mine("E1"), copy("E1", price="10.60")], ["T06"], ["id"]),
    "the side": ([mine("E1"), copy("E1", side="SELL")], ["T07"], ["id"]),
    "the currency": ([mine("E1"), copy("E1", trade_ccy="EUR")], ["T15"], ["id"]),
    "quantity and price": ([mine("E1"), copy("E1", qty="90", price="10.60")], ["T05", "T06"], ["id"]),
    "the settlement date": ([mine("E1"), copy("E1", settle_date=date(2026, 11, 27))], ["T14"], ["id"]),
    "no settlement date told": ([mine("E1"), copy("E1", settle_date=None)], [], ["id"]),
    "the trade date": (
        [mine("E1"), copy("E1", trade_date=date(2026, 11, 25), settle_date=date(2026, 11, 27))], ["T13"], ["apart"],
    ),
    "the instrument": ([mine("E1"), copy("E1", instrument_id="another line", symbol="NVDX")], ["T09"], ["apart"]),
    "one id for two executions": ([mine("E1"), copy("E1", trade_date=date(2026, 11, 25), qty="7")], ["T01", "T02"], []),
    "the quantity of one order": ([mine("E1"), copy("K1", qty="90")], ["T05"], ["near"]),
    "busted there": ([mine("E1"), copy("E1"), copy("X1", prev_uid="E1", status="CANCEL")], ["T22"], ["id"]),
    "busted here": ([mine("E1"), mine("X1", prev_uid="E1", status="CANCEL"), copy("E1")], ["T22"], ["id"]),
    "busted by both": (
        [mine("E1"), mine("X1", prev_uid="E1", status="CANCEL"), copy("E1"),
         copy("Y1", prev_uid="E1", status="CANCEL")],
        [],
        ["id"],
    ),
    "corrected twice, each the one before": (
        [mine("E1", price="10.70"), copy("E1"), copy("K2", prev_uid="E1", status="CORRECT", price="10.60"),
         copy("K3", prev_uid="K2", status="CORRECT", price="10.70")],
        [],
        ["id"],
    ),
    "corrected twice, both the first": (
        [mine("E1", price="10.70"), copy("E1"), copy("K2", prev_uid="E1", status="CORRECT", price="10.60"),
         copy("K3", prev_uid="E1", status="CORRECT", price="10.70", version=2)],
        [],
        ["id"],
    ),
    "broker and venue": (
        [mine("E1", venue_mic="ARCX"), copy("E1"), copy("E1", feed="arca", qty="90")], ["T05"], ["id", "id"],
    ),
}  # fmt: skip


def told(case: str) -> list[Row]:
    """A case in an instrument of its own, with ids of its own."""
    number = [*CASES].index(case)
    rows = []
    for one in CASES[case][0]:
        ids = {name: f"{one[name]}.{number}" for name in ("trade_uid", "prev_uid", "cross_uid") if one.get(name)}
        line = one["instrument_id"] if one["instrument_id"] != "NVDA-ID" else case
        rows.append({**one, **ids, "instrument_id": line, "record_id": f"{number}-{one['feed']}-{one['trade_uid']}"})
    return rows


def found(desk: Desk, case: str) -> tuple[list[str], list[str]]:
    codes = desk.table(
        "select code from recon_break where level = 'COPY' and state = 'OPEN' and instrument_id = :name order by code",
        {"name": case},
    )
    how = desk.table("select how from match_copy where component like '%|' || :name order by how", {"name": case})
    return [one["code"] for one in codes], [one["how"] for one in how]


@pytest.fixture(scope="module")
def desk_of_all() -> Desk:
    desk = Desk(load_rules())
    desk.match([one for case in CASES for one in told(case)], feeds=OAKS)
    desk.match(as_of=LATE, feeds=OAKS)
    return desk


@pytest.mark.parametrize("case", CASES)
def test_copies_are_found_and_what_differs_is_named(desk_of_all: Desk, case: str) -> None:
    assert found(desk_of_all, case) == CASES[case][1:]


def test_missing_copies_are_expected_until_their_grace_has_passed() -> None:
    desk = Desk(load_rules())
    desk.match(told("one copy too few"), feeds=OAKS)
    assert desk.table("select state from recon_break where level = 'COPY'") == [{"state": "EXPECTED"}]
    desk.match([{**copy("K9"), "instrument_id": "one copy too few"}], as_of=LATE, feeds=OAKS)
    assert desk.table("select state from recon_break where level = 'COPY'") == []


def test_the_order_of_arrival_and_a_rebuild_change_nothing(desk_of_all: Desk) -> None:
    rows = [one for case in CASES for one in told(case)]
    random.Random(7).shuffle(rows)
    other = Desk(desk_of_all.rules)
    for part in range(3):
        other.match(rows[part::3], as_of=T0 + part, feeds=OAKS)
    other.match(as_of=LATE, feeds=OAKS)
    assert other.dump("match_copy") == desk_of_all.dump("match_copy")
    open_now = "select break_id, code from recon_break where level = 'COPY' and state = 'OPEN' order by break_id"
    assert other.table(open_now) == desk_of_all.table(open_now)
    rebuild(other.warehouse, other.rules, feeds=OAKS)
    assert other.dump("match_copy") == desk_of_all.dump("match_copy")
    assert other.table(open_now) == desk_of_all.table(open_now)


def test_another_instrument_or_day_is_seen_when_the_copy_comes_late_and_goes_when_it_is_corrected() -> None:
    desk = Desk(load_rules())
    wrong = copy("E1", instrument_id="another line", symbol="NVDX")
    desk.match([mine("E1")], feeds=OAKS)
    desk.match(as_of=LATE, feeds=OAKS)
    state = "select break_id, code, headline from recon_break where level = 'COPY' and state = 'OPEN'"
    [missing] = desk.table(state)
    desk.match([wrong], as_of=LATE, feeds=OAKS)
    [other] = desk.table(state)
    assert (missing["code"], other["code"], other["break_id"]) == ("T01", "T09", missing["break_id"])
    assert other["headline"].startswith("OAKS executed 100 of NVDX where we have NVDA in MERID-EQ-01")
    desk.match([copy("K2", prev_uid="E1", status="CORRECT")], as_of=LATE, feeds=OAKS)
    assert desk.table(state) == []


def test_a_break_says_who_told_what(desk_of_all: Desk) -> None:
    lines = desk_of_all.table(
        "select code, pb_id, headline, next_step from recon_break where level = 'COPY' and state = 'OPEN' and"
        " instrument_id in ('one copy too few', 'one execution too few', 'the price') order by code"
    )
    assert [one["pb_id"] for one in lines] == ["OAKS"] * 3
    assert [one["headline"].split(", ")[0] for one in lines] == [
        "OAKS has told of no execution like ours: we bought 100 NVDA at 10.5 in MERID-EQ-01",
        "OAKS tells of an execution we do not have: bought 100 NVDA at 10.5",
        "OAKS executed NVDA in MERID-EQ-01 at 10.6",
    ]
