"""Cash: entries and balances of both sides, what is expected, what nobody explains."""

from datetime import date
from decimal import Decimal

import pytest

from tests.matching.books import cash, found, position, reference, run, statement, store
from tests.matching.desk import DAY, LATE, Desk, ours, theirs


def one(desk: Desk) -> dict[str, object]:
    rows = desk.table("select * from recon_break where level = 'CASH' and state = 'OPEN'")
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    ("kind", "code"), [("DIVIDEND", "C02"), ("COUPON", "C02"), ("INTEREST", "C03"), ("MARGIN", "C04"), ("FEE", "C01")]
)
def test_an_entry_of_another_amount_has_the_name_of_its_kind_and_explains_the_balance(
    desk: Desk, kind: str, code: str
) -> None:
    mine = statement(True, "1000", cash(True, kind, "100", reference="R1"))
    run(desk, [*mine, *statement(False, "985", cash(False, kind, "85", reference="R1"))], "e1")
    row = one(desk)
    assert (row["code"], row["delta"], row["exposure"]) == (code, Decimal(-15), Decimal(15))


def test_equal_entries_rounding_and_a_value_date_apart_are_no_breaks(desk: Desk) -> None:
    mine = [cash(True, "FEE", "-5"), cash(True, "INTEREST", "1.01", reference="I"), cash(True, "DIVIDEND", "7")]
    other = [cash(False, "FEE", "-5"), cash(False, "INTEREST", "1.02", reference="I"),
             cash(False, "DIVIDEND", "7", value_date=date(2026, 11, 25))]  # fmt: skip
    run(desk, [*statement(True, "100", *mine), *statement(False, "100.01", *other)], "e1")
    assert found(desk) == []


def test_a_wire_nobody_instructed_is_c05_and_critical(desk: Desk) -> None:
    run(desk, [*statement(True, "100"), *statement(False, "-400", cash(False, "WIRE", "-500", reference="W 1"))], "e1")
    row = one(desk)
    assert (row["code"], row["severity"]) == ("C05", 4)
    assert "paid out a wire of USD 500.00" in str(row["headline"])


def test_a_balance_that_entries_do_not_explain_is_c01_until_it_agrees(desk: Desk) -> None:
    entries = [cash(True, "FEE", "-5", reference="F"), cash(False, "FEE", "-5", reference="F")]
    run(desk, [*statement(True, "100", entries[0]), *statement(False, "130", entries[1])], "e1")
    assert (one(desk)["code"], one(desk)["field_family"], one(desk)["delta"]) == ("C01", "balance", Decimal(30))
    day = date(2026, 11, 25)
    later = [cash(side, "BALANCE", "70", value_date=day, file=f"{side}2.csv") for side in (True, False)]
    run(desk, later, "e2")
    assert found(desk) == [] and found(desk, "CURED") == ["C01"]


def test_what_we_alone_know_waits_for_their_statement(desk: Desk) -> None:
    run(desk, statement(True, "100", cash(True, "DIVIDEND", "7", reference="D")), "e1")
    assert found(desk) == []
    run(desk, statement(False, "93"), "e2")
    assert found(desk) == ["C02"]


def test_payments_for_trades_point_to_the_trade_break(desk: Desk) -> None:
    day = date(2026, 11, 25)
    mine = cash(True, "TRADE", "-1050", value_date=day, reference="TRADES")
    other = cash(False, "TRADE", "-630", value_date=day, reference="TRADES")
    store(desk, [*statement(True, "0", mine), *statement(False, "420", other)], "e1")
    desk.match([ours("A1"), theirs("B1", "A1", qty="60")], execution="e1", as_of=LATE)
    trade = desk.table("select break_id from recon_break where code = 'T05'")[0]["break_id"]
    assert (one(desk)["code"], one(desk)["explains"], one(desk)["exposure"]) == ("C01", trade, Decimal(0))


def test_where_we_send_no_entries_our_trades_say_what_is_paid(desk: Desk) -> None:
    day = date(2026, 11, 25)
    store(desk, [*statement(True, "-1051"), *statement(False, "-1051", cash(False, "TRADE", "-1051", value_date=day))],
          "e1")  # fmt: skip
    desk.match([ours("A1", net_money="-1051"), theirs("B1", "A1", net_money="-1051")], execution="e1", as_of=LATE)
    assert [code for code in found(desk) if code != "C01"] == []
    assert not desk.table("select * from recon_break where level = 'CASH' and field_family = 'amount'")


def test_a_dividend_on_another_position_points_to_it(desk: Desk) -> None:
    paid = {"instrument_id": "NVDA-ID", "reference": "D"}
    mine = statement(True, "100", cash(True, "DIVIDEND", "100", **paid))
    other = statement(False, "90", cash(False, "DIVIDEND", "90", **paid))
    run(desk, [*mine, *other, position(True, "1000"), position(False, "900")], "e1")
    line = desk.table("select break_id from recon_break where code = 'P01'")[0]["break_id"]
    assert (one(desk)["code"], one(desk)["explains"]) == ("C02", line)


def expect(desk: Desk, uid: str, kind: str, amount: str, **more: object) -> None:
    row = {"entry_uid": uid, "entry_type": kind, "amount": Decimal(amount), "account_id": "MERID-EQ-01", "ccy": "USD"}
    reference(desk, "expected_cash", **{"value_date": DAY, **row, **more})


def test_expected_cash_speaks_where_our_statements_do_not(desk: Desk) -> None:
    """Theirs alone, paid as expected, paid otherwise, not paid, never expected; what is expected later waits."""
    expect(desk, "X1", "DIVIDEND", "100", instrument_id="NVDA-ID")
    expect(desk, "X2", "WIRE", "-500")
    expect(desk, "X3", "INTEREST", "9")
    expect(desk, "X4", "COUPON", "12", instrument_id="BOND-ID")
    expect(desk, "X5", "MARGIN", "-70", value_date=date(2026, 11, 25))
    told = [cash(False, "DIVIDEND", "100", instrument_id="NVDA-ID", reference="ALPHA 1"), cash(False, "WIRE", "-500"),
            cash(False, "INTEREST", "7", reference="X3"), cash(False, "WIRE", "-40", reference="ALPHA 2"),
            cash(False, "FEE", "-3")]  # fmt: skip
    run(desk, statement(False, "1000", *told), "e1")
    assert found(desk) == ["C02", "C03", "C05"]
    rows = {row["code"]: row for row in desk.table("select * from recon_break where level = 'CASH'")}
    assert (rows["C02"]["left_value"], rows["C02"]["right_value"]) == ("12", None)
    assert "has not posted a dividend or coupon of USD 12.00" in rows["C02"]["headline"]
    assert (rows["C03"]["delta"], rows["C05"]["right_value"]) == (Decimal(-2), "-40")
    assert not desk.table("select * from recon_break_member where record_id like 'expected%'")


def test_expected_cash_explains_no_balance_and_counts_once_beside_our_own_entry(desk: Desk) -> None:
    expect(desk, "X1", "DIVIDEND", "100")
    expect(desk, "X2", "FEE", "-5")
    mine = statement(True, "995", cash(True, "FEE", "-5", reference="ours"))
    other = [cash(False, "FEE", "-5", reference="ours"), cash(False, "DIVIDEND", "100")]
    run(desk, [*mine, *statement(False, "1095", *other)], "e1")
    assert found(desk) == []


def test_expected_cash_that_comes_late_cures(desk: Desk) -> None:
    expect(desk, "X0", "WIRE", "1")
    run(desk, statement(False, "-499", cash(False, "WIRE", "-500"), cash(False, "WIRE", "1")), "e1")
    assert found(desk) == ["C05"]
    expect(desk, "X1", "WIRE", "-500")
    run(desk, [], "e2")
    assert (found(desk), found(desk, "CURED")) == ([], ["C05"])
