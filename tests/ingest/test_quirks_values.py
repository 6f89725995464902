"""Quirks of values, one test per row of the list in docs/fix.md: units, sides, dates, identifiers, totals, codes."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ingest.normalise_reference import Reference, Terms
from ingest.settlement import calendars_of
from ingest.symbology import Validity
from tests.ingest.quirk_desk import fill, flags, one, read, reason

ISIN, CUSIP, SEDOL = "US0378331005", "037833100", "2046251"


def amount(value: Any) -> str:
    return f"{value.normalize():f}"


def master(**terms: Any) -> Reference:
    """A security master that knows one ISIN, CUSIP and SEDOL as I-1."""
    known = {("4", ISIN): (Validity("I-1"),), ("1", CUSIP): (Validity("I-1"),), ("2", SEDOL): (Validity("I-1"),)}
    return Reference({}, instruments=known, terms={"I-1": (Terms(**terms),)})


@pytest.mark.parametrize(
    ("ccy", "dialect", "mic"),
    [
        ("GBX", {}, None),
        ("GBp", {}, None),
        ("GBP", {"price_unit": "minor"}, None),
        ("GBP", {"price_units": {"XLON": "minor"}}, "XLON"),
    ],
)
def test_18_pence_become_pounds(ccy: str, dialect: dict[str, Any], mic: str | None) -> None:
    result = read([fill({15: ccy, 31: "312.45", 30: mic, 12: None, 13: None})], **dialect)
    row = one(result)
    assert (row["trade_ccy"], amount(row["price"]), row["price_scale"], amount(row["gross_money"])) == (
        "GBP",
        "3.1245",
        4,
        "312.45",
    )
    assert "MINOR_UNIT" in flags(result)


def test_18_the_security_masters_unit_and_a_currency_without_pence() -> None:
    minor = read([fill({15: "GBP", 31: "312.45"})], reference=master(price_unit="MINOR"), price_unit="instrument")
    assert amount(one(minor)["price"]) == "3.1245"
    major = read([fill({15: "GBP", 31: "3.1245"})], reference=master(price_unit="MAJOR"), price_unit="instrument")
    assert amount(one(major)["price"]) == "3.1245" and "MINOR_UNIT" not in flags(major)
    assert (
        amount(one(read([fill({31: "312.45"})], price_unit="minor"))["price"]) == "312.45"
    )  # dollars have no such unit


@pytest.mark.parametrize(
    ("text", "price"), [("99-16", "99.5"), ("99-16+", "99.515625"), ("99-162", "99.5078125"), ("99'31", "99.96875")]
)
def test_19_fractions_of_a_bond_price(text: str, price: str) -> None:
    result = read([fill({31: text, 423: "17", 167: "TBOND"})])
    row = one(result)
    assert (amount(row["price"]), row["price_type"], json.loads(row["ext"])["31"]) == (price, "PERCENT_PAR", text)
    assert "PRICE_FORM" in flags(result)
    assert row["gross_money"] == round(Decimal(price), 6)  # 100 of par at a percentage
    assert amount(one(read([fill({31: text, 167: "TBOND"})], price_fraction="32nds"))["price"]) == price


@pytest.mark.parametrize("text", ["99-32", "99-165", "99-167"])
def test_19_a_fraction_that_is_none_or_could_mean_two_prices(text: str) -> None:
    assert reason(read([fill({31: text})], price_fraction="32nds"))[0] == "value_unreadable"
    assert reason(read([fill({31: "99-16"})]))[0] == "value_unreadable"  # nobody said 32nds


def test_19_par_in_thousands_and_prices_that_are_yields() -> None:
    result = read([fill({32: "250", 167: "CORP"})], qty_unit={"BOND": "thousands"})
    assert amount(one(result)["qty"]) == "250000" and json.loads(one(result)["ext"])["32"] == "250"
    assert "QTY_UNIT" in flags(result)
    row = one(read([fill({31: "4.125", 423: "9", 167: "CORP", 381: None})]))
    assert (row["price_type"], row["gross_money"]) == ("YIELD", None)


FX = {167: "FXSPOT", 48: None, 22: None, 12: None, 13: None}


def test_20_an_inverse_pair_is_turned_to_the_markets_order() -> None:
    turned = read(
        [fill({**FX, 55: "USD/EUR", 15: "USD", 54: "2", 32: "1100000", 31: "0.909090909091", 1056: "1000000"})]
    )
    row, straight = one(turned), one(read([fill({**FX, 55: "EUR/USD", 15: "EUR", 54: "1", 32: "1000000", 31: "1.1"})]))
    for name in ("side", "qty", "instrument_id", "trade_ccy"):
        assert row[name] == straight[name], name
    assert abs(row["price"] - straight["price"]) < Decimal("1e-11")
    assert json.loads(row["ext"]) == {"55": "USD/EUR", "31": "0.909090909091", "32": "1100000"}
    assert "FX_INVERTED" in flags(turned)


@pytest.mark.parametrize("told", [{381: "1000000.00"}, {381: None}])
def test_20_an_inverse_rate_is_rounded_and_the_amount_is_not(told: dict[int, str | None]) -> None:
    inverse = {**FX, 55: "USD/EUR", 15: "USD", 120: "EUR", 54: "2", 32: "1160000", 31: "0.8620689655", **told}
    row = one(read([fill(inverse)]))
    assert (amount(row["qty"]), row["trade_ccy"], row["settle_ccy"]) == ("1000000", "EUR", "USD")


def test_20_the_contra_amount_says_which_currency_a_quantity_is_in() -> None:
    quoted = {**FX, 55: "EUR/USD", 15: "USD", 54: "2", 32: "1100000", 31: "1.1", 1056: "1000000"}
    row = one(read([fill(quoted)]))
    assert (row["side"], amount(row["qty"]), amount(row["price"])) == ("BUY", "1000000", "1.1")
    based = one(read([fill({**quoted, 54: "1", 32: "1000000", 1056: "1100000"})]))
    assert (based["side"], amount(based["qty"]), based["flags"]) == ("BUY", "1000000", None)
    assert amount(one(read([fill({**FX, 55: "EUR/USD", 31: "0.8", 423: "21"})]))["price"]) == "1.25"


def test_21_contracts_units_and_a_missing_multiplier() -> None:
    option = {167: "OPT", 31: "2.5", 32: "300"}
    result = read([fill(option)], reference=master(multiplier=Decimal(100)), qty_unit={"OPTION": "underlying"})
    row = one(result)
    assert (amount(row["qty"]), amount(row["multiplier"]), amount(row["gross_money"])) == ("3", "100", "750")
    assert {"MULTIPLIER", "QTY_UNIT"} <= flags(result)
    assert amount(one(read([fill({**option, 231: "10"})]))["multiplier"]) == "10"
    for wrong in ({**option, 32: "250"}, option):
        terms = master(multiplier=Decimal(100)) if wrong is not option else master()
        assert reason(read([fill(wrong)], reference=terms, qty_unit={"OPTION": "underlying"}))[0] == "value_not_exact"


@pytest.mark.parametrize(
    ("code", "side"), [("B", "BUY"), ("S", "SELL"), ("SS", "SELL_SHORT"), ("BC", "BUY_COVER"), ("BUY (Ca.)", "BUY")]
)
def test_22_side_letters_by_dialect(code: str, side: str) -> None:
    letters = {"B": "BUY", "S": "SELL", "SS": "SELL_SHORT", "BC": "BUY_COVER", "BUY (Ca.)": "BUY"}
    result = read([fill({54: code})], side=letters)
    assert one(result)["side"] == side and "SIDE_MAPPED" in flags(result)
    assert reason(read([fill({54: code})]))[0] == "side_unmapped"


@pytest.mark.parametrize(("rule", "side", "status"), [("sell", "SELL", "NEW"), ("cancel", "BUY", "CANCEL")])
def test_22_a_negative_buy_is_what_the_dialect_says(rule: str, side: str, status: str) -> None:
    result = read([fill({32: "-100"})], qty_sign="signed", negative_buy=rule)
    row = one(result)
    assert (row["side"], row["status"], amount(row["qty"])) == (side, status, "100")
    assert "SIGNED_QTY" in flags(result)
    assert reason(read([fill({32: "-100"})], qty_sign="signed"))[0] == "quantity_not_positive"


@pytest.mark.parametrize("text", ["2026-06-04", "2026/06/04", "20260604-00:00:00"])
def test_23_dates_in_forms_that_can_mean_one_day_only(text: str) -> None:
    result = read([fill({75: text})])
    assert one(result)["trade_date"] == date(2026, 6, 4) and "DATE_FORM" in flags(result)
    assert reason(read([fill({75: "04/06/2026"})]))[0] == "value_unreadable"


def test_24_identifiers_by_rank_check_digit_and_line() -> None:
    assert one(read([fill({55: "[N/A]"})]))["instrument_id"] == f"ISIN:{ISIN}"
    assert one(read([fill({55: "595643", 48: None, 22: None})]))["instrument_id"] == "SYM:595643"
    isin_as_symbol = read([fill({22: "8"})])
    assert one(isin_as_symbol)["instrument_id"] == f"ISIN:{ISIN}" and "ID_SOURCE" in flags(isin_as_symbol)
    damaged = read([fill({48: "US0378331006"})])
    assert one(damaged)["instrument_id"] == "SYM:AAPL" and "ID_CHECK" in flags(damaged)
    assert reason(read([fill({48: "US0378331006", 55: "[N/A]"})]))[0] == "identifier_damaged"
    both = fill({48: CUSIP, 22: "1", 454: "1", 455: ISIN, 456: "4"})
    assert one(read([both]))["instrument_id"] == f"ISIN:{ISIN}"


def test_24_a_line_is_settled_by_market_and_currency_or_not_at_all() -> None:
    two = Reference(
        {},
        instruments={("4", ISIN): (Validity("NY"), Validity("LN"))},
        terms={"NY": (Terms(mic="XNAS", ccy="USD"),), "LN": (Terms(mic="XLON", ccy="GBP"),)},
    )
    assert one(read([fill()], reference=two))["instrument_id"] == "NY"
    assert one(read([fill({15: "GBP", 30: "XLON"})], reference=two))["instrument_id"] == "LN"
    doubtful = read([fill({15: "EUR"})], reference=two)
    assert one(doubtful)["instrument_id"] == f"ISIN:{ISIN}"
    assert {"ID_AMBIGUOUS", "I03_ID_UNKNOWN"} <= flags(doubtful)


def test_24_identifiers_that_contradict_each_other_and_unknown_ones_are_marked() -> None:
    known = {("4", ISIN): (Validity("I-1"),), ("2", SEDOL): (Validity("I-2"),), ("8", "VOD"): (Validity("V"),)}
    reference = Reference({}, instruments=known)
    conflict = read([fill({454: "1", 455: SEDOL, 456: "2"})], reference=reference)
    assert one(conflict)["instrument_id"] == "I-1" and "ID_CONFLICT" in flags(conflict)
    unknown = read([fill({48: "GB0002634946"})], reference=reference)
    assert one(unknown)["instrument_id"] == "ISIN:GB0002634946" and flags(unknown) == {"I03_ID_UNKNOWN"}
    terminal = read([fill({55: "VOD LN", 48: None, 22: None})], reference=reference)
    assert one(terminal)["instrument_id"] == "V" and "ID_DERIVED" in flags(terminal)


def test_25_an_identifier_means_what_it_meant_on_the_trade_date() -> None:
    change = date(2026, 6, 3)
    new = "GB0002634946"
    known = {
        ("4", ISIN): (Validity("OLD", until=change), Validity("NEW", since=change)),
        ("4", new): (Validity("NEW", since=date(2026, 6, 5)),),
    }
    reference = Reference({}, instruments=known)
    assert one(read([fill({75: "20260601"})], reference=reference))["instrument_id"] == "OLD"
    assert one(read([fill()], reference=reference))["instrument_id"] == "NEW"
    # Told after the change by its new ISIN, though traded before it.
    later = read([fill({48: new, 52: "20260605-09:00:00"})], reference=reference)
    assert one(later)["instrument_id"] == "NEW" and "ID_LATER" in flags(later)


def test_36_the_level_comes_from_the_dialect() -> None:
    allocation = fill({1: None, 79: "A7", 20: "0", 150: "2"}, "FIX.4.2")
    assert one(read([allocation]))["level"] == "FILL"
    result = read([allocation], level={"8+79": "ALLOCATION"})
    assert (one(result)["level"], one(result)["account_id"]) == ("ALLOCATION", "A7")
    assert "LEVEL" in flags(result) and "LEVEL" not in flags(read([fill()], level={"8+79": "ALLOCATION"}))


@pytest.mark.parametrize(
    ("text", "price", "scale"),
    [
        ("000213.480000", "213.48", 6),
        ("2.1348E+2", "213.48", 2),
        ("213", "213", 0),
        ("213.4800000001", "213.4800000001", 10),
    ],
)
def test_37_prices_are_compared_by_value_and_keep_their_digits(text: str, price: str, scale: int) -> None:
    row = one(read([fill({31: text})]))
    assert (amount(row["price"]), row["price_scale"]) == (price, scale)


def test_38_three_letters_for_a_country() -> None:
    result = read([fill({48: CUSIP, 22: "1", 421: "USA"})])
    assert one(result)["instrument_id"] == f"ISIN:{ISIN}" and {"COUNTRY", "ID_DERIVED"} <= flags(result)
    assert one(read([fill({48: CUSIP, 22: "1", 470: "US"})]))["instrument_id"] == f"ISIN:{ISIN}"
    assert one(read([fill({48: CUSIP, 22: "1"})]))["instrument_id"] == f"CUSIP:{CUSIP}"  # no country, no ISIN


@pytest.mark.parametrize("mode", ["order", "cumulative"])
def test_39_reports_that_tell_an_orders_total(mode: str) -> None:
    told = [
        fill({17: f"E{n}", 32: str(total) if mode == "cumulative" else None, 31: None, 14: str(total), 6: "10.5"})
        for n, total in ((1, 100), (2, 300))
    ]
    rows = read(told, fill_mode=mode).trades.to_pylist()
    assert [(row["trade_uid"], row["version"], amount(row["qty"]), amount(row["price"])) for row in rows] == [
        ("O1", 100, "100", "10.5"),
        ("O1", 300, "300", "10.5"),
    ]
    assert {row["level"] for row in rows} == {"ORDER"} and all("CUMULATIVE" in row["flags"] for row in rows)


@pytest.mark.parametrize(("tag", "value"), [(39, "H"), (63, "SP"), (828, "K"), (77, "Z")])
def test_40_codes_outside_their_list_matter_only_where_needed(tag: int, value: str) -> None:
    assert "ENUM_ODD" in flags(read([fill({tag: value})]))
    assert "ENUM_ODD" not in flags(read([fill({63: "M3"})]))


@pytest.mark.parametrize(
    ("tag", "value", "slug"), [(54, "0", "side_unmapped"), (54, "-1", "side_unmapped"), (150, "Z", "enum_unmapped")]
)
def test_40_a_needed_code_outside_its_list_is_refused(tag: int, value: str, slug: str) -> None:
    assert reason(read([fill({tag: value})]))[0] == slug


US = {64: None, 75: "20251010", 60: "20251010-15:00:00", 52: "20251010-15:00:01", 167: "CS"}


@pytest.mark.parametrize(
    ("changes", "day", "basis"),
    [
        ({}, date(2025, 10, 14), "T+1 XNYS+XFED, holidays "),  # Columbus Day: the market trades, the Fed does not pay
        ({63: "3"}, date(2025, 10, 15), "T+2 XNYS+XFED, holidays "),
        ({15: "GBP", 30: "XLON"}, date(2025, 10, 14), "T+2 XLON, holidays "),
        ({75: "20271011", 15: "EUR", 30: "XPAR"}, date(2027, 10, 12), "T+1 XPAR+XECB, holidays "),
        ({167: None, 63: "2"}, date(2025, 10, 14), "T+1 XNYS+XFED, holidays "),
    ],
)
def test_a_settlement_date_is_computed_with_what_it_rests_on(
    changes: dict[int, str | None], day: date, basis: str
) -> None:
    result = read([fill({**US, **changes})])
    assert one(result)["settle_date"] == day and "SETTLE_COMPUTED" in flags(result)
    assert json.loads(one(result)["ext"])["settle_date"].startswith(basis)


def test_a_settlement_date_is_never_guessed_and_overrides_count() -> None:
    assert one(read([fill({**US, 167: None})]))["settle_date"] is None  # nothing says what it is
    assert one(read([fill({**US, 15: "XXX"})]))["settle_date"] is None
    assert str(one(read([fill({**US, 64: "20251013"})]))["settle_date"]) == "2025-10-13"  # 64 wins
    closed = calendars_of([{"calendar": "XNYS", "day": date(2025, 10, 14), "is_open": False}])
    row = one(read([fill(US)], reference=Reference({}, calendars=closed)))
    assert row["settle_date"] == date(2025, 10, 15)
    assert " with 1 overrides " in json.loads(row["ext"])["settle_date"]
