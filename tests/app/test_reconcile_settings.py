"""A folder of feeds tied out by the settings: what is read, what is set aside, and what is told about it."""

import io
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow.compute as pc
import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from app.cli import app
from app.reconcile import ReconcileOptions, reconcile, run
from app.reconcile_folder import read_feeds
from app.reconcile_match import tie_out
from app.report import Report
from app.result import lines
from app.settings import load
from ingest.dialects.dialect import load_dialects
from ingest.normalise_reference import Reference
from matching.rules import load_rules
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
HEADER = "Trade ID,Account,Side,Symbol,Qty,Price,Ccy,Trade Date\n"
OURS = {"name": "OMS", "role": "INTERNAL", "party": "FUND", "path_glob": "fund/*.fix"}
NORTHGATE = {"name": "NG", "role": "PB", "party": "NORTHGATE", "path_glob": "northgate/*.csv", "grace_seconds": 30}
HARBOUR = {"name": "HB", "role": "PB", "party": "HARBOUR", "path_glob": "harbour/*.fix"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples as feeds of a settings file."""
    for source, target in (("fund.fix", "fund"), ("northgate.csv", "northgate"), ("harbour.fix", "harbour")):
        (tmp_path / target).mkdir()
        (tmp_path / target / source).write_bytes((EXAMPLES / source).read_bytes())
    write(tmp_path, [OURS, NORTHGATE, HARBOUR])
    return tmp_path


def write(folder: Path, feeds: list[dict[str, object]], **settings: object) -> None:
    (folder / "tieout.yaml").write_text(yaml.safe_dump({"feeds": feeds, **settings}))


def tie(folder: Path, **options: object) -> Report:
    return reconcile(ReconcileOptions(config=folder / "tieout.yaml", **options))  # type: ignore[arg-type]


def told(folder: Path, **options: object) -> str:
    err = io.StringIO()
    assert run(ReconcileOptions(config=folder / "tieout.yaml", **options), io.StringIO(), err) == 2  # type: ignore[arg-type]
    assert err.getvalue().startswith("tieout: ") and err.getvalue().count("\n") == 1
    return err.getvalue()


def test_every_feed_is_read_with_its_own_terms(folder: Path) -> None:
    report = tie(folder)
    assert report.summary["by_code"] == dict.fromkeys(("T01", "T02", "T03", "T05", "T06", "T07", "T14", "T16"), 1)
    assert [file["name"] for file in report.summary["files"]] == [
        "fund/fund.fix", "northgate/northgate.csv", "harbour/harbour.fix",
    ]  # fmt: skip
    assert {m["source"] for item in report.breaks for side in ("left", "right") for m in item[side]} == {
        "OMS", "NG", "HB",
    }  # fmt: skip
    assert report.summary["notes"] == [] and report.summary["accounts"] == {}


def test_the_command_writes_lines_that_fit_their_schemas(folder: Path, tmp_path: Path) -> None:
    (folder / "northgate" / "empty.csv").write_bytes(b"")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["reconcile", "--config", str(folder / "tieout.yaml"), "--out", str(out)])
    assert done.exit_code == 1, done.output
    for part, schema in (("breaks", "break"), ("groups", "group"), ("quarantine", "quarantine")):
        fits = Draft202012Validator(json.loads((ROOT / "docs" / "schemas" / f"{schema}-1.json").read_text()))
        found = (out / f"{part}.jsonl").read_text().splitlines()
        assert found
        for line in found:
            fits.validate(json.loads(line))
    fits = Draft202012Validator(json.loads((ROOT / "docs" / "schemas" / "summary-1.json").read_text()))
    fits.validate(json.loads((out / "summary.json").read_text()))
    row = json.loads((out / "breaks.jsonl").read_text().splitlines()[0])
    assert row["state"] == "OPEN" and row["cured_at"] is None
    assert datetime.fromisoformat(row["opened_at"]).tzinfo == UTC


def test_what_cannot_be_read_is_told_and_set_aside_and_the_rest_goes_on(folder: Path) -> None:
    whole = tie(folder)
    drifted = b"<?xml version='1.0'?><Trades/>" * 4_000
    (folder / "northgate" / "a.csv").write_bytes(drifted)
    (folder / "northgate" / "b.csv").write_bytes(b"")
    (folder / "northgate" / "c.csv").write_text(HEADER)
    (folder / "northgate" / "d.csv").write_bytes((folder / "northgate" / "northgate.csv").read_bytes())
    (folder / "northgate" / "e.csv").write_bytes(b"PK\x03\x04 a workbook")
    absent = {**NORTHGATE, "name": "NG_LATE", "path_glob": "northgate/late/*.csv"}
    write(folder, [OURS, NORTHGATE, absent, HARBOUR])
    report = tie(folder)
    known = {item["break_id"] for item in whole.breaks}
    assert known <= {item["break_id"] for item in report.breaks}
    assert sorted(item["code"] for item in report.breaks if item["break_id"] not in known) == [
        "I06", "I06", "I06", "I07", "I07",
    ]  # fmt: skip
    rows = {item["file"]: item for item in report.quarantine}
    assert {name: (row["code"], row["reason"]) for name, row in rows.items()} == {
        "northgate/a.csv": ("I07", "no_header"),
        "northgate/b.csv": ("I06", "empty_file"),
        "northgate/c.csv": ("I06", "no_rows"),
        "northgate/e.csv": ("I07", "not_text"),
        "northgate/late/*.csv": ("I06", "no_file"),
    }
    large = rows["northgate/a.csv"]
    assert (large["raw_bytes"], large["raw_sha256"]) == (len(drifted), sha256(drifted).hexdigest())
    notes = "\n".join(report.summary["notes"])
    for name in rows:
        assert name in notes
    assert "northgate/northgate.csv: the same content as northgate/d.csv, not read again" in notes
    assert len(report.summary["files"]) == 8 and report.summary["rows"]["complete"]
    assert report.summary["rows"]["quarantined"] == 5


def test_contents_without_a_dialect_of_files_are_listed_and_left_unread(folder: Path) -> None:
    (folder / "northgate" / "positions").mkdir()
    (folder / "northgate" / "positions" / "eod.csv").write_text("Account,Symbol,Position\nA,IBM,5\n")
    positions = {
        **NORTHGATE, "name": "NG_POS", "path_glob": "northgate/positions/*.csv", "contents": "positions",
        "grace_seconds": 86_400,
    }  # fmt: skip
    live = {**HARBOUR, "name": "LIVE", "path_glob": None,
            "session": {"sender_comp_id": "A", "target_comp_id": "B"}}  # fmt: skip
    before = tie(folder)
    write(folder, [OURS, NORTHGATE, HARBOUR, positions, live])
    report = tie(folder)
    assert report.summary["notes"] == [
        "NG_POS: positions need a dialect of files, 1 file left unread", "LIVE: no path_glob, nothing read",
    ]  # fmt: skip
    assert report.summary["files"][-1]["notes"] == ["positions need a dialect of files"]
    assert report.summary["as_of"] == before.summary["as_of"], "the terms of what is not read do not count"


def test_reference_data_and_maps_are_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text(HEADER.replace("Ccy", "Ccy,PB") + "T1,FUND-1,B,IBM,5,1.5,EUR,NG,2026-11-20\n")
    (tmp_path / "theirs.csv").write_text("Nr;Konto;Side;Symbol;Menge;Price;Ccy;Trade Date\n"
                                         "X1;7701;B;INTL BUS;5;1.75;EUR;2026-11-20\n")  # fmt: skip
    (tmp_path / "ng.yaml").write_text("columns: {trade_uid: Nr, account: Konto, qty: Menge}\n")
    (tmp_path / "accounts.csv").write_text(
        "alias,party,account_id,fund,pb_id,valid_from\n7701,NG,FUND-1,F,NG,2020-01-01\n"
    )
    (tmp_path / "ids.csv").write_text(
        "instrument_id,id_source,id_value,valid_from\nI-IBM,8,IBM,2020-01-01\nI-IBM,8,INTL BUS,2020-01-01\n"
    )
    (tmp_path / "fx.csv").write_text("from_ccy,to_ccy,rate,valid_from\nEUR,USD,2,2020-01-01\n")
    write(
        tmp_path,
        [
            {"name": "OMS", "role": "INTERNAL", "party": "F", "path_glob": "ours.csv"},
            {"name": "NG", "role": "PB", "party": "NG", "path_glob": "theirs*.csv", "map": "ng.yaml"},
        ],
        reference={"account_map": "accounts.csv", "identifier_history": "ids.csv", "fx_rate": "fx.csv"},
    )
    report = tie(tmp_path)
    (item,) = report.breaks
    assert (item["code"], item["account_id"], item["instrument_id"]) == ("T06", "FUND-1", "I-IBM")
    assert (item["exposure"], item["exposure_base"]) == ("1.25", "2.5")
    assert item["deadline_at"] is not None


def test_a_recorded_log_says_when_each_message_was_received(folder: Path) -> None:
    log = folder / "fund" / "fund.fix"
    stamped = [b"2026-11-20T14:30:%02d.000000001Z " % n + line for n, line in enumerate(log.read_bytes().splitlines(1))]
    log.write_bytes(
        b"".join(stamped) + b"2026-11-20T15:00:00Z 35=8|Z\x02\n2026-11-20T15:00:01Z Session ended by peer\n"
    )
    reference = Reference(load_dialects())
    given = read_feeds(load(folder / "tieout.yaml"), folder, reference)
    ours = given.batch.trades.filter(pc.equal(given.batch.trades["feed"], "OMS"))
    received = ours["recv_time_utc"].cast("int64").to_pylist()
    first = int(datetime(2026, 11, 20, 14, 30, tzinfo=UTC).timestamp()) * 10**9 + 1
    assert received[0] == first and received[1] == first + 10**9
    bad = given.batch.quarantine.to_pylist()
    assert [row["raw"] for row in bad] == [b"35=8|Z\x02"]
    assert given.batch.messages["outcome"].to_pylist().count("IGNORED") == 1


def test_the_service_tells_the_same_rows_and_cured_breaks_too(folder: Path) -> None:
    (folder / "northgate" / "b.csv").write_bytes(b"")
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    given = read_feeds(load(folder / "tieout.yaml"), folder, Reference(load_dialects()))
    report = tie_out(warehouse, given, load_rules(None), None)

    def rows(part: str) -> list[dict]:
        return [json.loads(line) for line in lines(warehouse, part)]  # type: ignore[arg-type]

    assert rows("breaks") == sorted(report.breaks, key=lambda item: item["break_id"])
    assert rows("groups") == sorted(report.groups, key=lambda item: item["group_id"])
    assert rows("quarantine") == [{**item, "file": None, "line": None} for item in report.quarantine]
    warehouse.execute("UPDATE recon_break SET state = 'CURED', cured_at = opened_at WHERE code = 'T05'")
    (cured,) = [item for item in rows("breaks") if item["state"] == "CURED"]
    assert cured["code"] == "T05" and cured["cured_at"] == cured["opened_at"] is not None


def test_either_files_or_settings(folder: Path) -> None:
    files = {"ours": (EXAMPLES / "fund.fix",), "against": (str(EXAMPLES / "harbour.fix"),)}
    assert "either files or --config, not both" in told(folder, **files)
    assert "not both" in told(folder, against=files["against"])
    assert "--map" in told(folder, mapping=Path("x.yaml"))
    for arguments in (["reconcile"], ["reconcile", "--against", str(EXAMPLES / "harbour.fix")]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2 and done.stderr.startswith("tieout: n") and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ([{**OURS, "path_glob": None, "session": {"sender_comp_id": "A", "target_comp_id": "B"}}], "none has a path"),
        ([{**OURS, "path_glob": "fund/**x"}], "'**' can only be an entire path component"),
        ([OURS, {**HARBOUR, "path_glob": "f*/*"}], "'OMS' and 'HB': path_glob: both claim fund/fund.fix"),
        ([{**OURS, "contents": "cash", "path_glob": "gone/*"}], "no file matches any path_glob"),
        ([{**OURS, "role": "FRIEND"}], "feeds.0.role"),
    ],
)
def test_settings_that_name_no_usable_files(folder: Path, feeds: list[dict[str, object]], said: str) -> None:
    write(folder, feeds)
    assert said in told(folder)
