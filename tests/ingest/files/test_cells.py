"""Cells of delimited files: exact numbers, dates that are never guessed, sides, identifiers."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from ingest.files import codes
from ingest.files.numbers import decimal_mark, numbers
from ingest.files.read import FileRefused
from ingest.files.times import dates, day_first, times

QTY = pa.decimal128(28, 10)


def column(*cells: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells, pa.string())])


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,234.50", "1234.5"), ("12,34,567", "1234567"), ("(100)", "-100"), ("100-", "-100"), ("+5", "5"),
        (".5", "0.5"),
        ("1.", "1"), ("1e3", "1000"), ("$ 1 000.25", "1000.25"), ("1'000", "1000"), ("−7", "-7"),
        ("0005.000000000000000", "5"), ("999999999999999999", "999999999999999999"),
    ],
)  # fmt: skip
def test_numbers(cell: str, value: str) -> None:
    cleaned = numbers(column(cell), QTY, ".")
    assert cleaned.values.to_pylist() == [Decimal(value)]
    assert not cleaned.bad.any()


@pytest.mark.parametrize("cell", ["abc", "1,23", "1.2.3", "9" * 19, "0.12345678901", "1e30", "99-16+", "--5", "1 2a"])
def test_what_is_no_exact_number_is_bad(cell: str) -> None:
    cleaned = numbers(column(cell), QTY, ".")
    assert cleaned.bad.tolist() == [True]
    assert cleaned.values.to_pylist() == [None]


@pytest.mark.parametrize("cell", ["", "-", "N/A", "null", "NaN"])
def test_nothing_is_not_bad(cell: str) -> None:
    cleaned = numbers(column(cell), QTY, ".")
    assert (cleaned.bad.tolist(), cleaned.values.to_pylist()) == ([False], [None])


def test_digits_as_shown() -> None:
    assert numbers(column("231.4500", "7", "1,000.1"), QTY, ".").scale.tolist() == [4, 0, 1]


def test_decimal_comma_is_proved_by_the_file() -> None:
    assert decimal_mark([column("1.234,50", "1.000")], "f") == ","
    assert decimal_mark([column("1,234.50", "1,000")], "f") == "."
    assert decimal_mark([column("1,000", "2,000")], "f") == "."
    cleaned = numbers(column("1.234,50", "12,5", "1.000", "1.5"), QTY, ",")
    assert cleaned.values.to_pylist()[:3] == [Decimal("1234.5"), Decimal("12.5"), Decimal(1000)]
    assert cleaned.bad.tolist() == [False, False, False, True]


def test_both_decimal_marks_refuse_the_file_unless_one_is_a_typo() -> None:
    with pytest.raises(FileRefused, match="written both ways"):
        decimal_mark([column("1.234,50", "1,234.50")], "f")
    assert decimal_mark([column(*["1.25"] * 40, "1,25")], "f") == "."


@pytest.mark.parametrize(
    "cell",
    ["2026-11-20", "20261120", "20-Nov-2026", "20_Nov_2026", "20NOV2026", "Nov 20, 2026", "20.11.2026", "11/20/2026",
     "2026/11/20", "2026-11-20 00:00:00", "2026-11-20T14:31:04Z", "20261120;143104", "20 November 2026", "20-Nov-26"],
)  # fmt: skip
def test_dates(cell: str) -> None:
    found, bad = dates(column(cell), False, False)
    assert (found.to_pylist(), bad.tolist()) == ([date(2026, 11, 20)], [False])


@pytest.mark.parametrize("cell", ["2026-02-30", "tomorrow", "13/13/2026", "20 Foo 2026", "46346", "0026-11-20"])
def test_bad_dates(cell: str) -> None:
    assert dates(column(cell), False, False)[1].tolist() == [True]


def test_excel_serials_only_when_the_map_says_so() -> None:
    assert dates(column("46346"), False, True)[0].to_pylist() == [date(2026, 11, 20)]


def test_day_month_order() -> None:
    assert day_first([("TD", column("03/04/2026", "25/04/2026"))], "", "f", 1)
    assert not day_first([("TD", column("03/04/2026")), ("SD", column("03/25/2026"))], "", "f", 1)
    assert not day_first([("TD", column("05/05/2026", "2026-01-02"))], "", "f", 1)
    assert day_first([("TD", column("03/04/2026"))], "DD/MM/YYYY", "f", 1)
    with pytest.raises(FileRefused, match=r"f:1: TD '03/04/2026' could be day/month or month/day"):
        day_first([("TD", column("03/04/2026"))], "", "f", 1)
    with pytest.raises(FileRefused, match="written both ways"):
        day_first([("TD", column("25/04/2026", "04/25/2026"))], "", "f", 1)


@pytest.mark.parametrize(
    ("cell", "utc", "precision"),
    [
        ("2026-11-20T14:31:04Z", "2026-11-20 14:31:04", "s"),
        ("2026-11-20T14:31:04.118", "2026-11-20 19:31:04.118", "ms"),
        ("20261120-09:31:04.000001", "2026-11-20 14:31:04.000001", "us"),
        ("20261120;093104", "2026-11-20 14:31:04", "s"),
        ("09:31:04", "2026-11-20 14:31:04", "s"),
        ("11/20/2026 2:31 PM", "2026-11-20 19:31:00", "m"),
        ("2026-11-20 14:31:04+01:00", "2026-11-20 13:31:04", "s"),
        ("2026-06-20 09:31:04", "2026-06-20 13:31:04", "s"),
    ],
)
def test_times_in_new_york(cell: str, utc: str, precision: str) -> None:
    day = pa.array([date(2026, 11, 20)])
    found = times(column(cell), day, False, "America/New_York")
    moment = pa.array(found.ns).cast(pa.timestamp("ns")).cast(pa.string())[0].as_py()
    assert moment.rstrip("0").rstrip(".").startswith(utc.rstrip("0").rstrip("."))
    assert found.precision.to_pylist() == [precision]
    assert not found.bad.any()


@pytest.mark.parametrize("cell", ["25:00:00", "noon", "2026-13-01 10:00:00", "10:61"])
def test_bad_times(cell: str) -> None:
    assert times(column(cell), pa.array([date(2026, 11, 20)]), False, "").bad.tolist() == [True]


@pytest.mark.parametrize(
    ("cell", "side", "cancel"),
    [("B", "BUY", False), ("sell", "SELL", False), ("SS", "SELL_SHORT", False), ("BC", "BUY_COVER", False),
     ("BUY (Ca.)", "BUY", True), ("Cancel Sell", "SELL", True), ("Buy to Cover", "BUY_COVER", False),
     ("5", "SELL_SHORT", False), ("K", "BUY", False), ("Dividend", None, False)],
)  # fmt: skip
def test_sides(cell: str, side: str | None, cancel: bool) -> None:
    assert codes.side_of(cell, {"K": "BUY"}) == codes.SideCode(side, cancel)


def test_statuses() -> None:
    assert [codes.status_of(text, {"ST": "CANCEL"}) for text in ("", "New", "Amend", "X", "ST", "C")] == [
        "NEW", "NEW", "CORRECT", "CANCEL", "CANCEL", None,
    ]  # fmt: skip


def test_identifiers_by_check_digit() -> None:
    assert codes.isin("us0378331005") == "US0378331005"
    assert codes.isin("US0378331006") is None
    assert codes.cusip("037833100") == codes.cusip("37833100") == "037833100"
    assert codes.cusip("37833101") is None
    assert codes.cusip("3.78E+07") is None
    assert codes.sedol("0263494") == codes.sedol("263494") == "0263494"
    assert codes.sedol("263495") is None
    assert codes.figi("BBG000B9XRY4") == "BBG000B9XRY4"
    assert codes.minor_unit("GBX") == ("GBP", 100)
    assert codes.minor_unit("usd") == ("USD", 1)
