"""Positions: each way a line can differ has its own name, and what trades explain points to them."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.matching.books import ACCOUNT, found, position, reference, run, store
from tests.matching.desk import DAY, LATE, T0, Desk, ours, theirs


def one(desk: Desk) -> dict[str, object]:
    rows = desk.table("select * from recon_break where level = 'POSITION' and state = 'OPEN'")
    assert len(rows) == 1
    return rows[0]


def test_equal_positions_are_no_break_and_a_difference_is_p01_with_its_value_at_risk(desk: Desk) -> None:
    run(desk, [position(True, "1000"), position(False, "1000")], "e1")
    assert found(desk) == []
    day = date(2026, 11, 25)
    later = [position(True, "1000", as_of_date=day), position(False, "900", as_of_date=day)]
    run(desk, later, "e2")
    row = one(desk)
    assert (row["code"], row["exposure"], row["delta"]) == ("P01", Decimal(1050), Decimal(-100))
    assert str(row["headline"]).startswith("ALPHA holds 900 NVDA-ID in MERID-EQ-01, we 1,000, USD 1,050.00 at risk")


def test_a_line_only_one_side_shows_is_p01_and_the_next_days_books_cure_it(desk: Desk) -> None:
    run(desk, [position(True, "10", "X"), position(False, "10", "X"), position(False, "70", "Y")], "e1")
    assert one(desk)["instrument_id"] == "Y"
    day = date(2026, 11, 25)
    run(desk, [position(side, "10", "X", as_of_date=day) for side in (True, False)], "e2")
    assert found(desk) == [] and found(desk, "CURED") == ["P01"]


def test_nothing_is_said_before_both_sides_have_told_the_day(desk: Desk) -> None:
    run(desk, [position(True, "1000")], "e1")
    assert found(desk) == []


def test_what_a_trade_break_explains_points_to_it_and_its_money_counts_once(desk: Desk) -> None:
    trades = [ours("A1"), theirs("B1", "A1", qty="60")]
    store(desk, [position(True, "1100"), position(False, "1060")], "e1")
    desk.match(trades, execution="e1", as_of=LATE)
    row = one(desk)
    trade = desk.table("select break_id from recon_break where code = 'T05'")[0]["break_id"]
    assert (row["code"], row["explains"], row["exposure"]) == ("P01", trade, Decimal(0))
    # The missing 40 arrive: both breaks end, though no new positions came.
    desk.match([theirs("B1", "A1", qty="100", version=2, status="CORRECT", prev_uid="B1")], as_of=LATE)
    assert desk.breaks() == ["P01"] and one(desk)["explains"] is None


def test_a_split_one_side_has_not_applied_is_p02_with_the_factor(desk: Desk) -> None:
    reference(desk, "corporate_action", action_id="S", instrument_id="NVDA-ID", action_type="SPLIT", ex_date=DAY,
              ratio="2")  # fmt: skip
    run(desk, [position(True, "2000", snapshot_type="SOD"), position(True, "2100"), position(False, "1100")], "e1")
    row = one(desk)
    assert (row["code"], row["right_value"]) == ("P02", "1100 before split 2:1")
    run(desk, [position(False, "2100", file="theirs_again.csv", recv_time_utc=T0 + 1)], "e2")
    assert found(desk) == []


def test_an_old_name_is_p03(desk: Desk) -> None:
    reference(desk, "corporate_action", action_id="R", instrument_id="OLD", action_type="RENAME", ex_date=DAY,
              new_instrument_id="NEW")  # fmt: skip
    run(desk, [position(True, "500", "NEW"), position(False, "500", "ISIN:OLD")], "e1")
    row = one(desk)
    assert (row["code"], row["left_value"], row["right_value"]) == ("P03", "NEW", "OLD")


def test_a_box_is_p04_and_another_price_p07(desk: Desk) -> None:
    box = position(False, "100", "X", long_qty="150", short_qty="50")
    priced = position(False, "100", "Y", price="10.60", market_value="1060")
    same = position(False, "100", "Z", price="10.51", market_value="1051")
    run(desk, [*(position(True, "100", name) for name in "XYZ"), box, priced, same], "e1")
    assert found(desk) == ["P04", "P07"]


def test_where_we_state_no_price_the_closing_price_is_ours(desk: Desk) -> None:
    for name, price in (("X", "10.60"), ("Y", "10.51")):
        reference(desk, "close_price", instrument_id=name, price_date=DAY, price=price, ccy="USD")
    reference(desk, "close_price", instrument_id="Z", price_date=DAY, price="99", ccy="EUR")
    bare = {"price": None, "price_ccy": None, "market_value": None}
    lines = [
        *(position(True, "100", name, **bare) for name in "XYZ"),
        *(position(False, "100", name) for name in "XYZ"),
    ]
    run(desk, lines, "e1")
    assert found(desk) == ["P07"]
    [told] = desk.table("select instrument_id, left_value, right_value, exposure from recon_break")
    assert tuple(map(str, told.values())) == ("X", "10.6", "10.5", "10.000000")


def test_what_is_still_to_settle_is_p05_whether_they_say_so_or_not(desk: Desk) -> None:
    store(desk, [position(True, "1100"), position(False, "1000", basis="SETTLE_DATE")], "e1")
    desk.match([ours("A1"), theirs("B1", "A1")], execution="e1", as_of=LATE)
    assert (one(desk)["code"], one(desk)["exposure"]) == ("P05", Decimal(0))


def test_an_exercise_takes_option_and_shares_together_as_p06(desk: Desk) -> None:
    option = "KO1270115P00066000"
    reference(desk, "instrument", instrument_id=option, asset_class="OPTION", multiplier="100")
    reference(desk, "identifier_history", instrument_id="KO-ID", id_source="8", id_value="KO")
    lines = [position(True, "58", option), position(True, "1960", "KO-ID")]
    run(desk, [*lines, position(False, "29", option), position(False, "-940", "KO-ID")], "e1")
    assert one(desk)["code"] == "P06"
    assert len(desk.table("select * from recon_break_member")) == 4


def test_equal_and_opposite_at_two_brokers_is_one_p08(desk: Desk) -> None:
    there = {"pb_id": "BRAVO", "account_id": "MERID-EQ-02", "feed": "bravo_position"}
    mine = [position(True, "895"), position(True, "1681", pb_id="BRAVO", account_id="MERID-EQ-02")]
    run(desk, [*mine, position(False, "1576"), position(False, "1000", **there)], "e1")
    assert one(desk)["code"] == "P08"


def test_our_opening_and_our_trades_make_our_close(desk: Desk) -> None:
    store(desk, [position(True, "1000", snapshot_type="SOD"), position(False, "1100")], "e1")
    desk.match([ours("A1"), theirs("B1", "A1")], execution="e1", as_of=LATE)
    assert found(desk) == []
    run(desk, [position(False, "1090", file="theirs_again.csv", recv_time_utc=T0 + 1)], "e2", as_of=LATE)
    assert (one(desk)["code"], one(desk)["left_value"]) == ("P01", "1100")


def test_order_of_arrival_and_a_replay_change_nothing(desk: Desk) -> None:
    rows = [position(True, "10", "X"), position(False, "70", "Y"), position(True, "5", "Z"), position(False, "4", "Z")]
    run(desk, rows, "e1")
    first = desk.dump("recon_break_member")
    other = Desk(desk.rules)
    for at, row in enumerate(reversed(rows)):
        run(other, [row], f"f{at}")
    assert other.dump("recon_break_member") == first
    desk.match(execution="again", scope="all")
    assert desk.dump("recon_break_member") == first and found(desk) == ["P01", "P01", "P01"]
    assert ACCOUNT in str(desk.table("select headline from recon_break limit 1"))


@pytest.mark.parametrize(
    ("about", "told", "exposure"),
    [
        ({}, {"market_value": None}, None),
        ({"asset_class": "BOND"}, {"market_value": None}, None),
        ({"asset_class": "EQUITY"}, {"market_value": None}, Decimal(1050)),
        ({"asset_class": "EQUITY"}, {"market_value": None, "price": None}, None),
        ({}, {}, Decimal(1050)),
    ],
)
def test_a_difference_that_nobody_prices_is_of_unknown_size(
    desk: Desk, about: dict[str, Any], told: dict[str, Any], exposure: Decimal | None
) -> None:
    if about:
        reference(desk, "instrument", instrument_id="NVDA-ID", **about)
    run(desk, [position(True, "1100", **told), position(False, "1000", **told)], "b1")
    row = one(desk)
    assert (row["code"], row["exposure"]) == ("P01", exposure)
    assert ("exposure unknown" in str(row["headline"])) == (exposure is None)
