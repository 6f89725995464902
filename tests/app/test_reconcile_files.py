"""A simulated folder by its settings: files of every kind are read and pair, books become facts, files a manifest."""

import json
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from app.reconcile_folder import read_feeds
from app.reconcile_match import tie_out
from app.reference import load_files
from app.report import Report
from app.settings import SettingsError, load
from ingest.dialects.dialect import load_dialects
from ingest.normalise_reference import load_reference
from matching.rules import load_rules
from simulator.profiles import PROFILES
from simulator.simulate import simulate
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

BOOKS = {"position_snapshot", "cash_entry", "settlement_status", "affirmation"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day without planted breaks at the three brokers that send files."""
    made = tmp_path_factory.mktemp("simulated") / "day"
    profile = replace(PROFILES["noise-only"], fills=600, pbs="CDE")
    simulate(profile, 11, date(2026, 11, 20), made)
    return made


def tie(folder: Path, settings_file: str = "tieout.yaml") -> tuple[Report, DuckDbWarehouse]:
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    settings = load(folder / settings_file)
    load_files(warehouse, settings)
    given = read_feeds(settings, folder, load_reference(warehouse, load_dialects()))
    return tie_out(warehouse, given, load_rules(None), None), warehouse


@pytest.fixture(scope="module")
def tied(folder: Path) -> tuple[Report, DuckDbWarehouse]:
    return tie(folder)


def test_every_booking_is_read_and_pairs(folder: Path, tied: tuple[Report, DuckDbWarehouse]) -> None:
    report, _ = tied
    assert report.quarantine == []
    found = {
        (left["trade_uid"], right["source"], right["trade_uid"])
        for group in report.groups
        for left in group["left"]
        for right in group["right"]
    }
    twins, links = {}, []
    for line in (folder / "truth.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "twins":
            twins |= {(row["source"], uid): row["uids"][0] for uid in row["uids"]}
        elif row["kind"] == "match":
            links += [
                (ours["uid"], theirs["source"], theirs["uid"])
                for ours in row["internal_ids"]
                for theirs in row["external_ids"]
            ]

    def one_of(link: tuple[str, str, str]) -> tuple[str, str, str]:
        ours, source, theirs = link
        return twins.get(("OMS", ours), ours), source, twins.get((source, theirs), theirs)

    paired = {one_of(link) for link in found}
    # Fills; what pairs allocations of a block with bookings is the matching's own business.
    lacking = [link for link in links if "/" not in link[0] and one_of(link) not in paired]
    assert lacking == [] and {source for _, source, _ in links} == {"CHARLIE", "DELTA", "ECHO"}


def test_books_become_facts_and_files_a_manifest(folder: Path, tied: tuple[Report, DuckDbWarehouse]) -> None:
    _, warehouse = tied
    for table in sorted(BOOKS):
        rows = warehouse.query(f"SELECT feed, count(*) AS n FROM {table} GROUP BY feed").to_pylist()
        kinds = {row["feed"].partition("_")[0] for row in rows}
        assert kinds >= {"CHARLIE", "DELTA", "ECHO"}, table
    entries = warehouse.query("SELECT * FROM file_manifest").to_pylist()
    assert Counter(entry["status"] for entry in entries)["LOADED"] == len(entries) - 1
    assert [entry["status"] for entry in entries if "_again" in entry["name"]] == ["REPEATED"]
    delta = next(entry for entry in entries if entry["name"] == "delta/GTDE_20261120.txt")
    assert (delta["slot"], str(delta["business_date"]), str(delta["recv_time_utc"])) == (
        "eod", "2026-11-20", "2026-11-20 23:30:00",
    )  # fmt: skip
    trades = warehouse.query("SELECT DISTINCT recv_time_utc AS at FROM trade_event WHERE feed = 'DELTA'").to_pylist()
    assert [str(row["at"]) for row in trades] == ["2026-11-20 23:30:00"]


def test_empty_and_changed_files_of_every_kind_are_told(folder: Path, tmp_path: Path) -> None:
    head = (folder / "delta" / "positions_20261120.csv").read_text().splitlines()
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "header.csv").write_text(head[0] + "\n")
    (tmp_path / "new.csv").write_text("\n".join(f"{line},{'Desk' if n == 0 else 'X'}" for n, line in enumerate(head)))
    (tmp_path / "lacks.csv").write_text("\n".join(",".join(line.split(",")[:1]) for line in head))
    feed = {
        "name": "POS", "role": "PB", "party": "DELTA", "contents": "positions", "dialect": "csv_positions",
        "path_glob": "*.csv",
    }  # fmt: skip
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump({"feeds": [feed]}))
    settings = load(tmp_path / "tieout.yaml")
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    given = read_feeds(settings, tmp_path, load_reference(warehouse, load_dialects()))
    told = {row["message_id"]: (row["code"], row["reason"]) for row in given.batch.quarantine.to_pylist()}
    assert told == {
        "POS/empty.csv:0": ("I06", "empty_file"), "POS/header.csv:0": ("I06", "no_rows"),
        "POS/new.csv:0": ("I07", "schema_drift"), "POS/lacks.csv:0": ("I07", "no_header"),
    }  # fmt: skip
    assert given.batch.facts["position_snapshot"].num_rows == len(head) - 1
    assert given.manifest is not None
    assert Counter(given.manifest["status"].to_pylist()) == {"EMPTY": 2, "LOADED": 1, "STOPPED": 1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dialect": "csv_cash"}, "contents is 'positions', dialect 'csv_cash' reads cash"),
        ({"dialect": "csv_position"}, "no dialect 'csv_position'; known: "),
        ({"dialect": "own.yaml"}, "no such file"),
        ({"session": {"sender_comp_id": "D", "target_comp_id": "T"}}, "is for files, the feed has a session"),
        ({"map": "m.yaml"}, "give a file dialect or a map, not both"),
    ],
)
def test_a_feed_that_cannot_be_read_by_its_dialect(tmp_path: Path, change: dict[str, object], told: str) -> None:
    feed = {"name": "POS", "role": "PB", "party": "D", "contents": "positions", "dialect": "csv_positions",
            "path_glob": "*.csv", **change}  # fmt: skip
    (tmp_path / "m.yaml").write_text("columns: {}\n")
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump({"feeds": [feed]}))
    with pytest.raises(SettingsError, match=told):
        load(tmp_path / "tieout.yaml")
