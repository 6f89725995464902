"""Fixed width: what is written is what is read; a cut file is stopped, a bad record is set aside by itself."""

from decimal import Decimal
from typing import Any

import pytest

from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import file_dialect
from ingest.files.read import FileRefused
from ingest.normalise_reference import Reference

DIALECT = file_dialect("delta_gtde")
FEED = Feed(name="DELTA", role="PB", party="DELTA", dialect="delta_gtde")
USUAL = {
    "record_type": "A", "trade_reference": "DT1", "version": "0001", "status": "N", "account": "4QM116022",
    "security_id_type": "I", "security_id": "US0846707026", "symbol": "BRK/B", "asset": "EQTY", "side": "B",
    "quantity": "000000000000100+", "quantity_unit": "S", "price": "12.5", "currency": "USD",
    "multiplier": "00000001", "gross": "00000000012500000+", "commission": "0000000010000+",
    "sec_fee": "00000000500+", "net": "00000000012510000-", "settle_currency": "USD", "trade_date": "11/20/2026",
    "settle_date": "11/23/2026", "time": "143001", "fx_rate": "0000000000000000",
}  # fmt: skip


def record(**cells: str) -> str:
    assert DIALECT.fixed is not None
    return "".join({**USUAL, **cells}.get(field.name, "").ljust(field.width) for field in DIALECT.fixed.fields)


def file_of(*records: str, count: int | None = None) -> bytes:
    ends = f"EOF      GTDE      {len(records) if count is None else count:010d}"
    return "\n".join(["BOF      GTDE      TRADES      11/20/2026", *records, ends, ""]).encode()


def read(data: bytes) -> FileBatch:
    return batch_from_file(data, "g.txt", FEED, CsvMap(), Reference({}), dialect=DIALECT)


def trade(**cells: str) -> dict[str, Any]:
    found: dict[str, Any] = read(file_of(record(**cells))).normalised.trades.to_pylist()[0]
    return found


def test_a_record_becomes_the_canonical_trade() -> None:
    batch = read(file_of(record()))
    (found,) = batch.normalised.trades.to_pylist()
    assert (found["trade_uid"], found["version"], found["status"], found["side"]) == ("DT1", 1, "NEW", "BUY")
    assert (found["qty"], found["price"], found["price_scale"]) == (100, Decimal("12.5"), 1)
    assert (found["gross_money"], found["commission"], found["net_money"]) == (1250, 1, -1251)
    assert (found["isin"], found["fx_rate"], found["level"]) == ("US0846707026", None, "ALLOCATION")
    assert str(found["event_time_utc"]) == "2026-11-20 19:30:01" and found["tz_source"] == "America/New_York"
    fees = batch.normalised.fees.to_pylist()
    assert [(fee["fee_type"], fee["amount"]) for fee in fees] == [("1", Decimal("0.05"))]
    assert (str(batch.business_date), batch.kind, batch.normalised.messages["raw"][1].as_py()) == (
        "2026-11-20", "fixed", record().encode(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "name", "value"),
    [
        ({"side": "SS", "quantity": "000000000000100-"}, "side", "SELL_SHORT"),
        ({"side": "SS", "quantity": "000000000000100-"}, "qty", 100),
        ({"side": "B", "open_close": "C"}, "side", "BUY_COVER"),
        ({"status": "C", "version": "0002"}, "status", "CORRECT"),
        ({"status": "X", "version": "0002"}, "status", "CANCEL"),
        ({"status": "N", "version": "0003"}, "status", "CORRECT"),
        ({"status": "R"}, "status", "REJECT"),
        ({"security_id_type": "C", "security_id": "084670702"}, "cusip", "084670702"),
        ({"security_id_type": "S", "security_id": "2073390"}, "sedol", "2073390"),
        ({"security_id_type": " ", "security_id": "US0846707026"}, "isin", "US0846707026"),
        ({"asset": "OPTN", "multiplier": "00000100", "quantity_unit": "S"}, "qty", 1),
        ({"asset": "OPTN", "multiplier": "00000100", "quantity_unit": "S"}, "flags", "QTY_IN_SHARES"),
        ({"asset": "OPTN", "multiplier": "00000100", "quantity_unit": "C"}, "qty", 100),
        ({"asset": "FUTR", "price": "110-16+"}, "price", Decimal("110.515625")),
        ({"asset": "FUTR", "price": "110-162"}, "price", Decimal("110.5078125")),
        ({"asset": "FUTR", "price": "110-16"}, "flags", "PRICE_32NDS"),
        ({"strike": "0000022000000000"}, "strike", 220),
    ],
)  # fmt: skip
def test_what_the_dialect_says(cells: dict[str, str], name: str, value: object) -> None:
    assert trade(**cells)[name] == value


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(quantity="0000x0000000100+"), "bad_number"),
        (record()[:200], "record_width"),
        (record() + "more", "record_width"),
        ("Z" + record()[1:], "unknown_record"),
        (record(security_id_type="?"), "enum_unmapped"),
        (record(quantity_unit="Q"), "enum_unmapped"),
        (record(asset="OPTN", multiplier="00000007"), "bad_number"),
        (record(price="110-32"), "bad_number"),
        (record(trade_date="13/40/2026"), "bad_date"),
    ],
)
def test_a_bad_record_is_set_aside_by_itself(bad: str, reason: str) -> None:
    batch = read(file_of(record(trade_reference="DT2"), bad))
    assert batch.normalised.trades["trade_uid"].to_pylist() == ["DT2"]
    (row,) = batch.normalised.quarantine.to_pylist()
    assert (row["reason"], row["raw"]) == (reason, bad.encode())


def test_blanks_cut_at_the_end_do_no_harm() -> None:
    assert read(file_of(record(upfront="00000000000000000+").rstrip())).normalised.trades.num_rows == 1


@pytest.mark.parametrize(
    ("data", "slug", "told"),
    [
        (file_of(record()).rsplit(b"\nEOF", 1)[0], "no_trailer", "cut short"),
        (file_of(record(), count=2), "record_count", "the trailer says 2 records, the file has 1"),
        (record().encode() + b"\nEOF", "no_header", "must begin with 'BOF'"),
        (b"Trade ID,Account\n1,2\n", "no_header", "must begin with"),
    ],
)
def test_a_file_that_is_not_whole_is_stopped(data: bytes, slug: str, told: str) -> None:
    with pytest.raises(FileRefused, match=told) as error:
        read(data)
    assert error.value.slug == slug


def test_characters_outside_ascii_keep_their_place() -> None:
    assert trade(symbol="ÆØ/Å", order_reference="東和")["symbol"] == "ÆØ/Å"
