"""Quirks of files, one test per row of the list in docs/fix.md: headers, spreadsheets, dates, sides, repeats."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.reconcile_folder import read_feeds
from app.settings import load
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files.batch import batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.read import FileRefused
from ingest.normalise import Normalised
from ingest.normalise_reference import Reference
from tests.ingest.quirk_desk import fill

FEED = Feed(name="NG", role="PB", party="NG")
HEADER = "Trade ID,Acct,B/S,Ticker,CUSIP,Qty,Px,Ccy,Trade Date,Exec Time"
ROW = "N1,A1,B,AAPL,037833100,150,472.6000,USD,2026-11-20,14:52:30"


def table(*lines: str, **mapping: Any) -> Normalised:
    data = "\n".join([*lines, ""]).encode()
    return batch_from_file(data, "f.csv", FEED, CsvMap(**mapping), Reference(load_dialects())).normalised


def test_22_sides_in_words_and_letters() -> None:
    letters = {
        "B": "BUY",
        "S": "SELL",
        "SS": "SELL_SHORT",
        "BC": "BUY_COVER",
        "T": "SELL_SHORT",
        "1": "BUY",
        "5": "SELL_SHORT",
    }
    rows = [ROW.replace("N1", f"N{n}").replace(",B,", f",{letter},") for n, letter in enumerate(letters)]
    assert table(HEADER, *rows, sides={"T": "SELL_SHORT"}).trades["side"].to_pylist() == list(letters.values())
    cancel = table(
        HEADER, ROW, ROW.replace("N1", "N2").replace(",B,", ",BUY (Ca.),").replace("150", "-150"), negative_buy="CANCEL"
    )
    assert cancel.trades["status"].to_pylist() == ["NEW", "CANCEL"]
    unknown = table(HEADER, ROW, ROW.replace("N1", "N2").replace(",B,", ",Q,"))
    assert unknown.quarantine["reason"].to_pylist() == ["side_unmapped"]


@pytest.mark.parametrize("text", ["20261120", "11/20/2026", "20-Nov-2026", '"Nov 20, 2026"', "2026.11.20"])
def test_23_dates_as_brokers_write_them(text: str) -> None:
    assert table(HEADER, ROW.replace("2026-11-20", text)).trades["trade_date"].to_pylist() == [date(2026, 11, 20)]


def test_23_a_day_and_month_that_could_be_swapped_stop_the_file() -> None:
    with pytest.raises(FileRefused, match="03/04/2026"):
        table(HEADER, ROW.replace("2026-11-20", "03/04/2026"))


def test_33_a_header_deep_in_the_file_totals_and_a_repeated_header() -> None:
    titles = ["Prime Broker Services", "", '"Report, trades of the day"', *[f"Note {n}" for n in range(12)]]
    quoted = ROW.replace("AAPL", '"AAPL, the ""fruit"""')
    result = table(*titles, HEADER, quoted, HEADER, ROW.replace("N1", "N2"), "Total,,,,,300,,,,")
    assert result.trades["trade_uid"].to_pylist() == ["N1", "N2"]
    assert result.messages["outcome"].to_pylist().count("IGNORED") == 2
    blank = table(*(line + ",," for line in (HEADER, ROW)))
    assert blank.trades.num_rows == 1


def test_33_a_trailer_that_counts_other_rows_is_told() -> None:
    batch = batch_from_file(
        f"{HEADER}\n{ROW}\nTRAILER,7\n".encode(), "f.csv", FEED, CsvMap(), Reference(load_dialects())
    )
    assert any("7" in note for note in batch.notes)


def test_34_identifiers_a_spreadsheet_damaged() -> None:
    lost_zeros = table(HEADER, ROW.replace("037833100", "37833100"))
    assert lost_zeros.trades["cusip"].to_pylist() == ["037833100"]
    damaged = table(HEADER, ROW.replace("037833100", "3.78E+07"))
    assert damaged.trades["cusip"].to_pylist() == [None] and damaged.trades["symbol"].to_pylist() == ["AAPL"]
    nothing_else = table(HEADER, ROW, ROW.replace("N1", "N2").replace("037833100", "3.78E+07").replace("AAPL", ""))
    assert nothing_else.quarantine.num_rows == 1
    serial = table(HEADER, ROW.replace("2026-11-20", "46346"), date_format="EXCEL")
    assert serial.trades["trade_date"].to_pylist() == [date(2026, 11, 20)]


def test_35_a_file_sent_again_and_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "a1.fix").write_bytes(fill())
    (tmp_path / "a2.fix").write_bytes(fill())
    (tmp_path / "b1.fix").write_bytes(b"")
    feeds = [{"name": n, "role": "PB", "party": n, "path_glob": f"{n.lower()}*.fix"} for n in ("A", "B")]
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump({"feeds": feeds}))
    given = read_feeds(load(tmp_path / "tieout.yaml"), tmp_path, Reference(load_dialects()))
    assert given.batch.trades.num_rows == 1
    assert any("the same content as a1.fix" in note for note in given.notes)
    assert given.batch.quarantine["code"].to_pylist() == ["I06"]
    # The same trades in another file are the same events.
    (tmp_path / "a2.fix").write_bytes(fill({34: "7"}))
    keys = read_feeds(load(tmp_path / "tieout.yaml"), tmp_path, Reference(load_dialects())).batch.trades["event_key"]
    assert len(keys) == 2 and len(set(keys.to_pylist())) == 1
