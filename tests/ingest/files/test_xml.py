"""XML statements: elements become trades; hostile, damaged and foreign documents are refused, never expanded."""

from decimal import Decimal
from typing import Any

import pytest

from ingest.feeds import Feed
from ingest.files.batch import FileBatch, batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import file_dialect
from ingest.files.read import FileRefused
from ingest.normalise_reference import Reference

DIALECT = file_dialect("echo_flex")
FEED = Feed(name="ECHO", role="PB", party="ECHO", dialect="echo_flex")
USUAL = {
    "accountId": "U1", "tradeID": "77", "ibExecID": "0000e.1.01.01", "notes": "", "assetCategory": "STK",
    "symbol": "BRK B", "isin": "US0846707026", "currency": "USD", "buySell": "BUY", "openCloseIndicator": "O",
    "quantity": "100", "tradePrice": "12.50", "multiplier": "1", "dateTime": "20261120;093001",
    "tradeDate": "20261120", "settleDateTarget": "20261123", "netCash": "-1251", "proceeds": "-1250",
    "ibCommission": "-1", "taxes": "-0.25", "levelOfDetail": "EXECUTION",
}  # fmt: skip


def document(*rows: dict[str, str], head: str = "") -> bytes:
    elements = "\n".join(
        "<Trade " + " ".join(f'{k}="{v}"' for k, v in {**USUAL, **row}.items()) + " />" for row in rows
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<FlexQueryResponse type="AF"><FlexStatements count="1">'
        f'<FlexStatement accountId="U1" toDate="20261120"><Trades>\n{elements}\n</Trades></FlexStatement>'
        "</FlexStatements></FlexQueryResponse>\n"
    ).encode()


def read(data: bytes) -> FileBatch:
    return batch_from_file(data, "flex.xml", FEED, CsvMap(), Reference({}), dialect=DIALECT)


def trade(**cells: str) -> dict[str, Any]:
    found: dict[str, Any] = read(document(cells)).normalised.trades.to_pylist()[0]
    return found


def test_an_element_becomes_the_canonical_trade_with_its_bytes() -> None:
    batch = read(document({}, {"tradeID": "78", "symbol": "A&amp;B"}))
    first, second = batch.normalised.trades.to_pylist()
    assert (first["side"], first["qty"], first["price"], first["price_scale"]) == ("BUY", 100, Decimal("12.5"), 2)
    assert (first["gross_money"], first["net_money"], first["commission"]) == (1250, -1251, 1)
    assert str(first["event_time_utc"]) == "2026-11-20 14:30:01" and first["line"] == 3
    assert (second["symbol"], second["line"]) == ("A&B", 4)
    raw = batch.normalised.messages["raw"][1].as_py()
    assert raw.startswith(b'<Trade accountId="U1" tradeID="78"') and raw.endswith(b"/>")
    assert [(fee["fee_type"], fee["amount"]) for fee in batch.normalised.fees.to_pylist()] == [
        ("5", Decimal("0.25"))
    ] * 2
    assert str(batch.business_date) == "2026-11-20" and batch.kind == "xml"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"buySell": "SELL", "quantity": "-100"}, {"side": "SELL_SHORT", "qty": 100}),
        ({"buySell": "SELL", "quantity": "-100", "openCloseIndicator": "C"}, {"side": "SELL"}),
        ({"openCloseIndicator": "C"}, {"side": "BUY_COVER"}),
        ({"assetCategory": "OPT", "openCloseIndicator": "C"}, {"side": "BUY", "position_effect": "CLOSE"}),
        ({"buySell": "BUY (Ca.)", "quantity": "-100", "notes": "Ca"}, {"side": "BUY", "status": "CANCEL"}),
        ({"notes": "Co", "ibExecID": "0000e.1.01.02"}, {"status": "CORRECT", "version": 2}),
        ({"notes": "P"}, {"status": "NEW"}),
        ({"notes": "Rj"}, {"status": "REJECT"}),
        ({"ibExecID": "0000e.1.01.03"}, {"status": "CORRECT", "version": 3}),
        ({"currency": "GBX", "tradePrice": "1250"}, {"price": Decimal("12.5"), "trade_ccy": "GBP",
                                                      "flags": "MINOR_UNIT", "gross_money": 1250}),
    ],
)  # fmt: skip
def test_what_the_dialect_says(cells: dict[str, str], told: dict[str, object]) -> None:
    found = trade(**cells)
    assert {name: found[name] for name in told} == told


def test_a_rebooking_under_the_same_id_is_the_last_version_of_one_trade() -> None:
    cancel = {"ibExecID": "0000e.1.01.02", "buySell": "BUY (Ca.)", "quantity": "-100", "notes": "Ca"}
    rows = read(document({}, cancel, {"ibExecID": "0000e.1.01.03"})).normalised.trades.to_pylist()
    assert [(row["trade_uid"], row["version"], row["status"]) for row in rows] == [
        ("77", 1, "NEW"), ("77", 2, "CANCEL"), ("77", 3, "CORRECT"),
    ]  # fmt: skip


def test_other_elements_and_levels_are_no_trades() -> None:
    data = document({}, {"levelOfDetail": "ORDER"}).replace(b"</Trades>", b'<Lot tradeID="1" /></Trades>')
    batch = read(data)
    assert batch.normalised.messages["outcome"].to_pylist() == ["FACT", "IGNORED"]


def test_a_statement_without_trades_is_empty_not_wrong() -> None:
    assert read(document()).normalised.messages.num_rows == 0


def test_a_bad_cell_sets_its_element_aside() -> None:
    batch = read(document({"quantity": "many"}, {"tradeID": "78"}))
    assert batch.normalised.quarantine["reason"].to_pylist() == ["bad_number"]
    assert batch.normalised.trades["trade_uid"].to_pylist() == ["78"]


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (document({"symbol": "&b;"}, head=BOMB), "document type or an entity"),
        (document({}, head='<!DOCTYPE x SYSTEM "file:///etc/passwd">\n'), "document type or an entity"),
        (document({"symbol": "&unknown;"}), "undefined entity"),
        (document({})[:-40], "not well-formed"),
        (document({}).replace(b"FlexQueryResponse", b"Other"), "expected 'FlexQueryResponse'"),
        (document({}).replace(b"UTF-8", b"x-unknown"), "unknown encoding"),
        (b"<FlexQueryResponse>" + b"<a>" * 100, "nested deeper"),
        (b"<FlexQueryResponse><Trade><Trade/></Trade></FlexQueryResponse>", "inside a 'Trade'"),
        (document({f"x{n}": "1" for n in range(1100)}), "different attributes"),
        (
            document({f"x{n}": "1" for n in range(900)}).replace(b"</Trades>", b"<Trade/>" * 22_300 + b"</Trades>"),
            "cells",
        ),
        (document({"symbol": "\xff"}).decode().encode("latin-1"), "not well-formed"),
    ],
)
def test_hostile_and_damaged_documents_are_refused(data: bytes, told: str) -> None:
    with pytest.raises(FileRefused, match=told) as error:
        read(data)
    assert error.value.slug == "not_xml" and "\n" not in str(error.value)
