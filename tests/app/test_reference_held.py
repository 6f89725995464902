"""Rows of the settings' reference files that contradict others: set aside, told, and let go once they no longer do."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.cli import app
from app.installation import Installation, open_installation
from app.quarantine import held, one
from app.reconcile import ReconcileOptions, reconcile
from app.reference_file import lines, read
from app.reference_watch import ReferenceWatch
from app.settings import Settings, SettingsError, load
from domain.clock import ManualClock
from domain.schema import TABLES
from ingest.reference_conflicts import DETAIL
from ingest.retry import Selection

HEAD = "alias,party,account_id,valid_from\n"
GOOD, OTHER, THIRD = "7701,NG,FUND-1,2020-01-01\n", "7701,NG,FUND-2,2020-01-01\n", "7702,NG,FUND-3,2020-01-01\n"
FEED = {"name": "OURS", "role": "INTERNAL", "party": "FUND", "path_glob": "ours.csv"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tieout.yaml"
    given = {
        "data_dir": str(tmp_path / "data"), "feeds": [FEED], "reference": {"account_map": "accounts.csv"}, "jit": False,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(given))
    (tmp_path / "ours.csv").write_text(
        "Trade ID,Account,Side,Symbol,ISIN,Qty,Price,Ccy,Trade Date\nT1,7702,B,,US0378331005,5,1.5,USD,2026-11-20\n"
    )
    return path


def write(config: Path, *rows: str) -> None:
    (config.parent / "accounts.csv").write_text(HEAD + "".join(rows))


def aliases(here: Installation) -> list[str]:
    found: list[str] = here.warehouse.query("SELECT account_id FROM account_map ORDER BY account_id")[
        "account_id"
    ].to_pylist()
    return found


def run_watch(here: Installation) -> bool:
    """One look, until what it started has ended."""
    if not ReferenceWatch(here).step():
        return False
    for execution in here.engine.list():
        assert here.engine.wait(execution.name, 60.0).status == "SUCCEEDED"
    return True


def open_breaks(here: Installation) -> list[Any]:
    sql = "SELECT code, left_value FROM recon_break WHERE state = 'OPEN' ORDER BY break_id"
    return [tuple(row.values()) for row in here.warehouse.query(sql).to_pylist()]


def test_two_rows_of_one_thing_are_both_set_aside_until_the_file_says_one(config: Path) -> None:
    write(config, GOOD, THIRD, OTHER)
    settings = load(config)
    with open_installation(settings) as here:
        assert aliases(here) == ["FUND-3"]
        # Rows of one moment are in the order of their ids, which the folder's name is part of.
        waiting = sorted(held(here, Selection()), key=lambda row: row["line"])
        assert [(row["line"], row["reason"]) for row in waiting] == [(2, "contradiction"), (4, "contradiction")]
        shown = one(here, waiting[0]["quarantine_id"])
        assert shown["text"] == GOOD.strip() and shown["file"] == str(config.parent / "accounts.csv")
        assert run_watch(here) and open_breaks(here) == [("I01", DETAIL)] * 2, "on our side"
        assert here.completeness().problems == () and not run_watch(here)
    write(config, GOOD, THIRD)
    with open_installation(settings) as here:
        assert aliases(here) == ["FUND-1", "FUND-3"] and held(here, Selection()) == []
        assert run_watch(here) and open_breaks(here) == []


def test_what_is_known_stays_and_a_row_that_comes_back_is_told_again(config: Path) -> None:
    write(config, GOOD)
    settings, clock = load(config), ManualClock()
    for rows, waiting in (((GOOD,), 0), ((OTHER,), 1), ((GOOD,), 0), ((GOOD, OTHER, OTHER), 1), ((OTHER,), 1)):
        write(config, *rows)
        clock.sleep(1)
        with open_installation(settings, clock) as here:
            assert len(held(here, Selection())) == waiting and aliases(here) == ["FUND-1"]


def test_reconcile_sets_them_aside_with_their_line(config: Path) -> None:
    write(config, THIRD, GOOD, OTHER)
    report = reconcile(ReconcileOptions(config=config))
    assert [(row["file"], row["line"], row["code"]) for row in report.quarantine] == [
        ("accounts.csv", 3, "I01"), ("accounts.csv", 4, "I01"),
    ]  # fmt: skip
    assert (
        "accounts.csv: 2 rows say something else than another of the same thing, set aside" in report.summary["notes"]
    )
    assert report.summary["rows"]["complete"] and report.summary["rows"]["quarantined"] == 2


def test_ref_load_and_ref_check_name_the_lines(config: Path) -> None:
    write(config, THIRD)
    file = config.parent / "account_map.csv"
    file.write_text(HEAD + GOOD + "\n" + OTHER)
    told = CliRunner().invoke(app, ["ref", "check", str(file)])
    assert told.exit_code == 2 and "line 2" in told.output and "line 4" in told.output
    with open_installation(load(config)):
        pass
    told = CliRunner().invoke(app, ["ref", "load", str(file), "--config", str(config)])
    assert told.exit_code == 0 and "0 new rows" in told.output, told.output
    assert f"  line 2: {GOOD}" in told.output and f"  line 4: {OTHER}" in told.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"alias,party,account_id,valid_from\nA,NG,X,2020-01-01\nB,NG\n", "line 3 has 2 columns, the header 4"),
        (b"alias,party,account_id,valid_from\nA,NG,\xff,2020-01-01\n", "line 2 is no UTF-8 text"),
        (b'alias,party,account_id,valid_from\n"A\nB",NG,X,2020-01-01\n\nC,NG,X,soon\n', "line 5: valid_from 'soon'"),
        (b'alias,party,account_id,valid_from\n"A\nB",NG,X,2020-01-01\n\nC,NG,,2020-01-01\n', "line 5: account_id is"),
        (b"alias,party,account_id,valid_from,alias\n", "repeated column 'alias'"),
        (b"", "missing column 'alias'"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path: Path, text: bytes, told: str) -> None:
    (tmp_path / "account_map.csv").write_bytes(text)
    with pytest.raises(SettingsError) as found:
        read(tmp_path / "account_map.csv", TABLES["account_map"])
    assert told in str(found.value) and "\n" not in str(found.value)


def test_lines_are_those_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "account_map.csv"
    path.write_bytes(b'\xef\xbb\xbfalias,party\r\n"A\r\nB",NG\r\n\r\nC,NG')
    assert [(line.number, line.raw) for line in lines(path)] == [(2, b'"A\r\nB",NG'), (5, b"C,NG")]
    assert Settings(feeds=()).reference.account_map is None
