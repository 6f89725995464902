"""Reference data as feeds of files: loaded before what needs it; bad and contradicting rows are set aside."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.reconcile_folder import read_feeds
from app.reconcile_match import tie_out
from app.reference_file import read
from app.report import Report
from app.settings import SettingsError, load
from domain.schema import TABLES
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.files.batch import batch_from_file
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import file_dialect
from ingest.normalise_reference import Reference
from matching.rules import load_rules
from simulator.market.reference import reference_files
from simulator.market.universe import make_world
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

TRADES = "Trade ID,Account,Side,Symbol,ISIN,Qty,Price,Ccy,Trade Date\n"
ACCOUNTS = "alias,party,account_id,pb_id,valid_from\n"
MASTER = "Security Id,Asset Type,Currency,Exchange,Contract Size,ISIN,Ticker,Effective Date\n"
APPLE = "I-1,Common Stock,USD,XNAS,1,US0378331005,AAPL,2020-01-01\n"


def feed(name: str, dialect: str, contents: str = "reference", **more: Any) -> dict[str, Any]:
    given = {"name": name, "role": "INTERNAL", "party": "FUND", "dialect": dialect, "contents": contents,
             "path_glob": f"{name.lower()}*.csv"}  # fmt: skip
    return {**given, **more}


FEEDS = [
    feed("OURS", "generic", "trades"),
    feed("NG", "generic", "trades", role="PB", party="NG"),
    feed("MASTER", "csv_instrument"),
    feed("ACCOUNTS", "csv_account_map"),
    feed("PRICES", "csv_close_price"),
    feed("ACTIONS", "csv_corporate_action"),
    feed("SSI", "csv_ssi"),
    feed("RATES", "csv_fx_rate"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "ours.csv": TRADES + "T1,FUND-1,B,,US0378331005,5,1.5,USD,2026-11-20\n",
        "ng.csv": TRADES + "X1,7701,B,AAPL,,5,1.5,USD,2026-11-20\n",
        "master.csv": MASTER + APPLE,
        "accounts.csv": ACCOUNTS + "7701,NG,FUND-1,NG,2020-01-01\nFUND-1,FUND,FUND-1,NG,2020-01-01\n",
        "prices.csv": "Date,ISIN,Close,Currency\n2026-11-20,US0378331005,230.5,USD\n",
        "actions.csv": "Event Id,ISIN,Event,Ex Date,Ratio\nCA-1,US0378331005,Stock Split,2026-11-20,4\n",
        "ssi.csv": "SSI Id,Party,Account,Market,PSET,Effective From\nS-1,NG,FUND-1,US,DTCYUS33,2020-01-01\n",
        "rates.csv": "From,To,Rate,Date\nGBP,USD,1.26,2020-01-01\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def tie(folder: Path, feeds: list[dict[str, Any]] = FEEDS) -> tuple[Report, DuckDbWarehouse]:
    (folder / "tieout.yaml").write_text(yaml.safe_dump({"feeds": feeds}))
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    given = read_feeds(load(folder / "tieout.yaml"), folder, Reference(load_dialects()))
    return tie_out(warehouse, given, load_rules(None), None), warehouse


def test_reference_files_are_loaded_before_the_trades_that_need_them(folder: Path) -> None:
    report, warehouse = tie(folder)
    assert list(report.breaks) == [] and len(report.groups) == 1 and list(report.quarantine) == []
    assert report.summary["rows"]["complete"] and report.summary["rows"]["facts"] == 9
    assert (
        warehouse.query("SELECT instrument_id, account_id, flags FROM trade_event").to_pylist()
        == [{"instrument_id": "I-1", "account_id": "FUND-1", "flags": None}] * 2
    )
    names = warehouse.query("SELECT id_source, id_value FROM identifier_history ORDER BY id_source").to_pylist()
    assert [tuple(row.values()) for row in names] == [("4", "US0378331005"), ("8", "AAPL")]
    (price,) = warehouse.query("SELECT * FROM close_price").to_pylist()
    assert (price["instrument_id"], price["price_date"], price["valid_from"]) == (
        "I-1", price["price_date"], price["price_date"],
    )  # fmt: skip
    (action,) = warehouse.query("SELECT * FROM corporate_action").to_pylist()
    assert (action["instrument_id"], action["action_type"], action["ratio"]) == ("I-1", "SPLIT", 4)
    (ssi,) = warehouse.query("SELECT account_id, place_of_settlement FROM ssi").to_pylist()
    assert tuple(ssi.values()) == ("FUND-1", "DTCYUS33")
    (manifest,) = warehouse.query("SELECT * FROM file_manifest WHERE feed = 'PRICES'").to_pylist()
    assert manifest["status"] == "LOADED" and str(manifest["business_date"]) == "2026-11-20"
    assert "MASTER: reference data, 1 file read" in report.summary["notes"]


def test_a_row_that_cannot_be_used_is_set_aside_and_the_others_load(folder: Path) -> None:
    rows = ["2026-11-20,US0378331005,230.5,USD", "2026-11-20,US0378331006,1,USD", "2026-13-20,US0378331005,1,USD",
            "2026-11-19,US0378331005,one,USD", "2026-11-18,US0378331005,1,usdollar"]  # fmt: skip
    (folder / "prices.csv").write_text("\n".join(["Date,ISIN,Close,Currency", *rows, ""]))
    (folder / "ssi.csv").write_text(
        "SSI Id,Party,Account,Market,Effective From\nS-1,NG,NOBODY,US,2020-01-01\nS-2,NG,FUND-1,US,\n"
    )
    (folder / "rates.csv").write_text(
        "From,To,Rate,Date,Valid To\nGBP,USD,0,2020-01-01,\nEUR,USD,1,2020-01-01,2020-01-01\n"
    )
    report, warehouse = tie(folder)
    assert [(row["file"], row["line"], row["code"], row["reason"]) for row in report.quarantine] == [
        ("prices.csv", 3, "I03", "bad_identifier"),
        ("prices.csv", 4, "I01", "bad_date"),
        ("prices.csv", 5, "I01", "bad_number"),
        ("prices.csv", 6, "I01", "bad_currency"),
        ("rates.csv", 2, "I01", "bad_number"),
        ("rates.csv", 3, "I01", "bad_date"),
        ("ssi.csv", 2, "I04", "unknown_account"),
        ("ssi.csv", 3, "I01", "missing_required_field"),
    ]
    assert warehouse.query("SELECT count(*) AS n FROM close_price")["n"][0].as_py() == 1


def test_rows_that_contradict_each_other_are_set_aside_in_any_order(folder: Path) -> None:
    head, row = "Date,ISIN,Close,Currency\n", "2026-11-20,US0378331005,{},USD\n"
    for first, second in (("230.5", "231"), ("231", "230.5")):
        (folder / "prices.csv").write_text(head + row.format(first))
        (folder / "prices_again.csv").write_text(head + row.format(second) + "2026-11-19,US0378331005,229,USD\n")
        report, warehouse = tie(folder)
        assert {row["reason"] for row in report.quarantine} == {"contradiction"} and len(report.quarantine) == 2
        assert [float(r["price"]) for r in warehouse.query("SELECT price FROM close_price").to_pylist()] == [229.0]
        assert report.summary["rows"]["complete"]


def test_the_same_row_again_is_a_duplicate(folder: Path) -> None:
    (folder / "prices_again.csv").write_text((folder / "prices.csv").read_text() + "\n")
    report, warehouse = tie(folder)
    assert report.summary["rows"]["duplicates"] == 1 and list(report.quarantine) == []
    assert warehouse.query("SELECT count(*) AS n FROM close_price")["n"][0].as_py() == 1


def test_what_is_loaded_by_the_settings_stays(folder: Path) -> None:
    (folder / "tieout.yaml").write_text(yaml.safe_dump({"feeds": FEEDS}))
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    columns = "(from_ccy, to_ccy, rate, valid_from, valid_to)"
    warehouse.execute(f"INSERT INTO fx_rate {columns} VALUES ('GBP', 'USD', 1.3, DATE '2020-01-01', NULL)")
    known = {"fx_rate": warehouse.query("SELECT * FROM fx_rate")}
    given = read_feeds(load(folder / "tieout.yaml"), folder, Reference(load_dialects()), known)
    assert [row["reason"] for row in given.batch.quarantine.to_pylist()] == ["contradiction"]


def test_the_simulated_reference_files_read_as_feeds_as_they_do_by_the_settings(tmp_path: Path) -> None:
    files = reference_files(make_world(5), [(date(2026, 11, 20) - date(1970, 1, 1)).days], 5)
    for path, content in files.items():
        name = Path(path).stem
        (tmp_path / Path(path).name).write_bytes(content)
        one = Feed(name=name, role="INTERNAL", party="FUND", contents="reference")
        batch = batch_from_file(content, path, one, CsvMap(), Reference({}), dialect=file_dialect(f"csv_{name}"))
        assert batch.normalised.quarantine.num_rows == 0
        expected = read(tmp_path / Path(path).name, TABLES[name])
        found = batch.normalised.facts[name].select(expected.column_names)
        assert found.to_pylist() == expected.to_pylist()


def test_a_dialect_of_reference_data_names_its_table(folder: Path) -> None:
    wrong = feed("MASTER", "own.yaml")
    (folder / "own.yaml").write_text("name: own\ncontents: reference\ntable: trades\ncolumns: {a: A}\n")
    (folder / "tieout.yaml").write_text(yaml.safe_dump({"feeds": [wrong]}))
    with pytest.raises(SettingsError, match="table: needed for contents reference and no other, one of instrument"):
        load(folder / "tieout.yaml")
