"""Units and forms of a row: bonds proved by their gross amount, currency pairs turned exactly, epoch times, fees."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import FileDialect, file_dialect, parse_file_dialect
from ingest.files.pairs import Deal, as_market, pair_of
from ingest.normalise_reference import Reference

BASE = """
name: mine
columns: {trade_uid: Id, account: Acc, side: Side, qty: Qty, price: Px, trade_ccy: Ccy, trade_date: Day, symbol: Sym,
  asset_class: Kind, gross_money: Gross, event_time: At, coupon: Coupon, settle_ccy: Settles}
date_format: YYYY-MM-DD
fx_pairs: true
"""


def dialect(more: str = "") -> FileDialect:
    return parse_file_dialect("mine.yaml", BASE + more)


def read(found: FileDialect, **cells: str) -> FileBatch:
    usual = {"Id": "T1", "Acc": "A1", "Side": "Buy", "Qty": "100", "Px": "10", "Ccy": "USD", "Day": "2026-11-20",
             "Sym": "XYZ", "Kind": "STK", "Gross": "", "At": "", "Coupon": "", "Settles": ""}  # fmt: skip
    row = {**usual, **cells}
    data = (",".join(row) + "\n" + ",".join(row.values()) + "\n").encode()
    feed = Feed(name="PB", role="PB", party="PB")
    return batch_from_file(data, "f.csv", feed, CsvMap(), Reference({}), dialect=found)


def trade(found: FileDialect, **cells: str) -> dict[str, Any]:
    only: dict[str, Any] = read(found, **cells).normalised.trades.to_pylist()[0]
    return only


@pytest.mark.parametrize(
    ("qty", "price", "gross", "true_price", "true_qty", "flag"),
    [
        ("500000", "98.5", "492500", "98.5", 500000, None),
        ("500000", "0.985", "492500", "98.5", 500000, "UNIT_FROM_GROSS"),
        ("500", "98.5", "492500", "98.5", 500000, "UNIT_FROM_GROSS"),
        ("500000", "98.5", "", "98.5", 500000, None),
        ("500000", "98.5", "7", "98.5", 500000, None),
    ],
)
def test_a_bonds_gross_amount_proves_its_units(
    qty: str, price: str, gross: str, true_price: str, true_qty: int, flag: str | None
) -> None:
    forms = dialect("bond_forms: [PERCENT, FRACTION, THOUSANDS]\ncoupon_percent: true\n")
    found = trade(forms, Kind="BOND", Qty=qty, Px=price, Gross=gross, Coupon="4.25")
    assert (found["qty"], found["price"], found["flags"]) == (true_qty, Decimal(true_price), flag)
    assert (found["price_type"], found["qty_unit"], found["coupon"]) == (
        "PERCENT_PAR", "NOTIONAL", Decimal("0.0425"),
    )  # fmt: skip


def test_gross_is_computed_by_the_price_type() -> None:
    assert trade(dialect(), Kind="BOND", Qty="500000", Px="98.5")["gross_money"] == 492500
    assert trade(dialect(), Qty="5", Px="98.5")["gross_money"] == Decimal("492.5")


@pytest.mark.parametrize(
    ("told", "market"),
    [
        (Deal("USD", "CAD", "USD", "BUY", Decimal(4150000), Decimal("1.39778"), 5), None),
        (Deal("CAD", "USD", "CAD", "SELL", Decimal("5800787.00"), Decimal("0.7154201663"), 10),
         Deal("USD", "CAD", "USD", "BUY", Decimal(4150000), Decimal("1.39778"), 5)),
        (Deal("JPY", "USD", "JPY", "BUY", Decimal(755125000), Decimal("0.0066214203"), 10),
         Deal("USD", "JPY", "USD", "SELL", Decimal(5000000), Decimal("151.025"), 3)),
        (Deal("USD", "BRL", "BRL", "SELL", Decimal("5432100.00"), Decimal("5.4321"), 4),
         Deal("USD", "BRL", "USD", "BUY", Decimal(1000000), Decimal("5.4321"), 4)),
        (Deal("USD", "EUR", "EUR", "BUY", Decimal(100), Decimal("0.8"), 1),
         Deal("EUR", "USD", "EUR", "BUY", Decimal(100), Decimal("1.2"), 1)),
    ],
)  # fmt: skip
def test_pairs_are_turned_to_the_markets(told: Deal, market: Deal | None) -> None:
    assert as_market(told) == (market or told)


@given(st.integers(1, 5000), st.integers(50_000, 250_000))
def test_a_turned_pair_gives_back_what_was_dealt(thousands: int, price: int) -> None:
    qty, rate = Decimal(thousands * 1000), Decimal(price).scaleb(-5)
    shown = (1 / rate).quantize(Decimal("1e-10"))
    turned = as_market(Deal("CAD", "USD", "CAD", "SELL", (qty * rate).quantize(Decimal("0.01")), shown, 10))
    assert (turned.qty, turned.price, turned.side) == (qty, rate, "BUY")


def test_pairs_in_a_file_show_how_they_were_read() -> None:
    found = trade(dialect(), Kind="FX", Sym="CAD.USD", Ccy="CAD", Settles="CAD", Qty="5800787.00", Px="0.7154201663")
    assert (found["side"], found["qty"], found["trade_ccy"], found["settle_ccy"]) == ("SELL", 4150000, "USD", "CAD")
    assert found["flags"] == "FX_CONTRA_AMOUNT,FX_INVERTED"
    assert pair_of("USD/CAD 20270322") == ("USD", "CAD") and pair_of("VOD LN") is None


@pytest.mark.parametrize(
    ("cell", "told", "precision"),
    [
        ("1795184999", "2026-11-20 14:29:59", "s"), ("1795184999123", "2026-11-20 14:29:59.123", "ms"),
        ("1795184999123456", "2026-11-20 14:29:59.123456", "us"), ("2026-11-20T14:29:59Z", "2026-11-20 14:29:59", "s"),
    ],
)  # fmt: skip
def test_times_counted_from_1970(cell: str, told: str, precision: str) -> None:
    found = trade(dialect("epoch_times: true\n"), At=cell)
    at = f"{found['event_time_utc']:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".")
    assert (at, found["event_time_precision"], found["tz_source"]) == (told, precision, "utc")


def test_shipped_layouts_are_found_below_titles() -> None:
    text = "Account Summary\n\ntrade_id,account_id,symbol,side,quantity,price,trade_date,execution_time,commission\n"
    text += "T1,A1,IBM,sell-short,100,230.5,2026-11-20,1795184999123,0.5\n"
    feed = Feed(name="CS", role="PB", party="CS")
    batch = batch_from_file(
        text.encode(), "t.csv", feed, CsvMap(), Reference({}), dialect=file_dialect("clearstreet_csv")
    )
    (found,) = batch.normalised.trades.to_pylist()
    assert (found["side"], found["trade_ccy"], found["trade_date"]) == ("SELL_SHORT", "USD", date(2026, 11, 20))
    tab = "Trade Date\tTransaction ID\tAccount Number\tTransaction Code\tQuantity\tPrice\tCurrency\tCUSIP\n"
    tab += "11/20/2026\tX1\tA1\tBY\t100\t12.5\tUSD\t37833100\n11/20/2026\tX2\tA1\tDV\t0\t0\tUSD\t037833100\n"
    batch = batch_from_file(
        tab.encode(), "TR112026.TR1", feed, CsvMap(), Reference({}), dialect=file_dialect("gs_tab_trades")
    )
    assert batch.normalised.trades["cusip"].to_pylist() == ["037833100"]
    assert batch.normalised.messages["outcome"].to_pylist() == ["FACT", "IGNORED"] and batch.kind == "tab"
