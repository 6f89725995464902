"""Books that do not come: positions, cash, settlement that a slot should have brought are a break, until they come."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from matching.levels.port import FeedTerms
from matching.rebuild import rebuild
from tests.matching.books import cash, position, statement, status, store
from tests.matching.desk import DAY, SECOND, T0, Desk, Row, ours, theirs

NEW_YORK = "America/New_York"
# Our own books are due in the evening, the broker's next morning; late a quarter of an hour after.
FEEDS = (
    FeedTerms("oms", "INTERNAL", "MERIDIAN", 30),
    FeedTerms("alpha", "PB", "ALPHA", 60),
    FeedTerms("oms_position", "INTERNAL", "MERIDIAN", 60, "positions", "XNYS", (("18:00", NEW_YORK),)),
    FeedTerms("alpha_position", "PB", "ALPHA", 60, "positions", "XNYS", (("06:00", NEW_YORK),)),
    FeedTerms("alpha_cash", "PB", "ALPHA", 60, "cash", "XNYS", (("06:00", NEW_YORK),)),
    FeedTerms("alpha_settlement", "PB", "ALPHA", 60, "settlement", "XNYS", (("06:00", NEW_YORK),)),
)
EVENING = int(datetime(2026, 11, 24, 23, 15, tzinfo=UTC).timestamp()) * SECOND
MORNING = int(datetime(2026, 11, 25, 11, 15, tzinfo=UTC).timestamp()) * SECOND
ALL = ["alpha_cash", "alpha_position", "alpha_settlement", "oms_position"]


def traded() -> list[Row]:
    return [ours("E1"), theirs("A1", "E1")]


def late(desk: Desk, state: str = "OPEN") -> list[str]:
    """The feeds that are late."""
    sql = "select component from recon_break where code = 'I06' and state = :state order by component"
    return [row["component"].split("|")[2] for row in desk.table(sql, {"state": state})]


def run(desk: Desk, facts: list[Row] | None = None, as_of: int = T0) -> None:
    """Facts of the books, received at that time, and a run."""
    name = f"books-{as_of}"
    store(desk, [{**fact, "recv_time_utc": as_of} for fact in facts or []], name)
    desk.match(execution=name, as_of=as_of, feeds=FEEDS)


def test_books_are_owed_for_a_day_with_trades_and_late_when_their_slot_has_passed(desk: Desk) -> None:
    desk.match(traded(), feeds=FEEDS)
    assert late(desk) == [] and late(desk, "EXPECTED") == ALL
    run(desk, as_of=EVENING)
    assert late(desk) == ["oms_position"]
    run(desk, as_of=MORNING - SECOND)
    assert late(desk) == ["oms_position"]
    run(desk, as_of=MORNING)
    assert late(desk) == ALL
    rows = desk.table(
        "select headline, severity, trade_date, pb_id from recon_break where code = 'I06' order by component"
    )
    assert rows[0]["headline"].startswith(
        "What ALPHA should have sent is not there: no cash of 2026-11-24 (alpha_cash)"
    )
    assert {row["severity"] for row in rows} == {4} and {row["trade_date"] for row in rows} == {DAY}


def test_the_file_ends_it_and_one_of_the_day_before_does_not(desk: Desk) -> None:
    desk.match(traded(), feeds=FEEDS)
    run(desk, as_of=MORNING)
    before = DAY - timedelta(days=1)
    yesterday = [position(False, "5", as_of_date=before), cash(False, "BALANCE", "7", value_date=before)]
    run(desk, yesterday, MORNING + SECOND)
    assert late(desk) == [*ALL, "oms_position"], "ours of yesterday, of which ALPHA's are news, is owed too"
    run(desk, [position(True, "5", as_of_date=before)], MORNING + SECOND + 1)
    assert late(desk) == ALL
    run(desk, [position(False, "100"), position(True, "100")], MORNING + 2 * SECOND)
    assert late(desk) == ["alpha_cash", "alpha_settlement"]
    run(desk, [*statement(False, "7"), status("A1", "SETTLED")], MORNING + 3 * SECOND)
    assert late(desk) == [] and set(late(desk, "CURED")) == set(ALL)


def test_books_of_the_other_side_are_news_of_a_day_too(desk: Desk) -> None:
    run(desk, [position(True, "100")], T0)
    assert late(desk, "EXPECTED") == ["alpha_position"]
    run(desk, as_of=MORNING)
    assert late(desk) == ["alpha_position"]


def test_a_trade_that_never_was_owes_nothing(desk: Desk) -> None:
    desk.match([ours("E1")], feeds=FEEDS)
    desk.match([ours("E1C", prev_uid="E1", status="CANCEL")], as_of=T0 + SECOND, feeds=FEEDS)
    assert late(desk, "EXPECTED") == []


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.heavy)])
def test_any_order_and_any_batches_give_the_same(desk: Desk, seed: int) -> None:
    """Trades of two days, books of one of them by some feeds."""
    chance = random.Random(seed)
    next_day = date(2026, 11, 25)
    facts: list[Row] = [
        ours("E1"), theirs("A1", "E1"), ours("E2", trade_date=next_day), theirs("A2", "E2", trade_date=next_day),
        position(True, "100"), position(False, "100"), position(True, "200", as_of_date=next_day),
        cash(False, "BALANCE", "7"), {**status("A1", "SETTLED"), "recv_time_utc": MORNING - 3600 * SECOND},
    ]  # fmt: skip
    chance.shuffle(facts)
    end = MORNING + 86_400 * SECOND
    while facts:
        count = chance.randint(1, 4)
        batch, facts = facts[:count], facts[count:]
        name = f"e{len(facts)}"
        store(desk, [fact for fact in batch if "table" in fact], name)
        desk.match([fact for fact in batch if "table" not in fact], execution=name, as_of=T0, feeds=FEEDS)
    run(desk, as_of=end)
    assert late(desk) == ["alpha_cash", "alpha_position", "alpha_settlement"]
    days = desk.table("select trade_date from recon_break where code = 'I06' and state = 'OPEN'")
    assert {row["trade_date"] for row in days} == {next_day}
    before = desk.dump("recon_break", "break_change")
    rebuild(desk.warehouse, desk.rules, feeds=FEEDS)
    assert desk.dump("recon_break", "break_change") == before
