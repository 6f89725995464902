"""`tieout rules check` and `tieout rules backtest`: exit status, table, JSON and page; history from an installation."""

import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from domain.facts import RAW_MESSAGE
from domain.schema import arrow_schema
from matching.rules import load_rules
from tests.matching.desk import Desk, ours, theirs
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

SETTINGS = """
tenant: desk
data_dir: data
base_currency: USD
feeds:
- {name: oms, role: INTERNAL, party: MERIDIAN, dialect: generic, path_glob: "ours*.fix"}
- {name: alpha, role: PB, party: ALPHA, dialect: generic, path_glob: "alpha*.fix"}
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in ("rules", *words)])


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An installation with three trades: a pair by id, a pair whose price is off by 0.02."""
    (tmp_path / "tieout.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "data").mkdir()
    desk = Desk(load_rules())
    desk.warehouse.close()
    desk.warehouse = DuckDbWarehouse(str(tmp_path / "data" / "warehouse.duckdb"))
    migrate(desk.warehouse)
    rows = [ours("A"), theirs("RA", "A"), ours("B", account_id="ACC-2"),
            theirs("RB", "B", account_id="ACC-2", price="10.52")]  # fmt: skip
    desk.store(rows, "x1")
    schema = arrow_schema(RAW_MESSAGE)
    values = {"message_id": "oms:1", "lane": "oms", "session": "oms", "number": 1, "feed": "oms",
              "recv_ts": rows[0]["recv_time_utc"], "sha256": "0", "length": 1, "outcome": "FACT", "raw": b"8=FIX",
              "execution": "x1"}  # fmt: skip
    desk.warehouse.append(
        "raw_message",
        pa.table({f.name: pa.array([values.get(f.name)], pa.int64()).cast(f.type) if f.name == "recv_ts"
                  else pa.array([values.get(f.name)], f.type) for f in schema}),
    )  # fmt: skip
    desk.warehouse.close()
    return tmp_path


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    """The shipped rules with a wider tolerance of price."""
    file = tmp_path / "wider.yaml"
    text = Path("matching/rules.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace('absolute: {default: "0"}}', 'absolute: {default: "0.05"}}', 1), encoding="utf-8")
    return file


def test_check_says_what_a_file_holds_or_what_is_wrong(tmp_path: Path, wider: Path) -> None:
    good = run("check", wider)
    assert good.exit_code == 0
    assert "break rules, version" in good.stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text(wider.read_text(encoding="utf-8").replace("kind: tolerance", "kind: tolerence"), encoding="utf-8")
    refused = run("check", bad)
    assert refused.exit_code == 2
    assert "did you mean 'tolerance'?" in refused.stdout
    assert run("check", tmp_path / "none.yaml").exit_code == 2


def test_backtest_on_an_installation_changes_nothing_in_it(house: Path, wider: Path) -> None:
    file = house / "data" / "warehouse.duckdb"
    with closing(DuckDbWarehouse(str(file))) as before:
        rows = before.query("select * from trade_event order by record_id").to_pylist()
    found = run("backtest", wider, "--on", house, "--format", "json")
    assert found.exit_code == 1, found.output
    result = json.loads(found.stdout)
    assert result["differs"]
    assert result["trades"] == {"ours": 2, "theirs": 2}
    assert (result["pairs"]["same"], result["pairs"]["lost"]) == (2, 0)
    assert [(one["name"], one["lost"]) for one in result["codes"]] == [("T06", 1)]
    again = run("backtest", wider, "--on", house / "data", "--against", wider)
    assert again.exit_code == 0, again.output
    assert "decisions of people: none" in again.stdout
    with closing(DuckDbWarehouse(str(file))) as after:
        assert after.query("select * from trade_event order by record_id").to_pylist() == rows
        assert after.query("select count(*) as n from match_group")["n"][0].as_py() == Decimal(0)


def test_backtest_as_a_page(house: Path, wider: Path) -> None:
    page = house / "page.html"
    assert run("backtest", wider, "--on", house, "--format", "html", "--out", page).exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert "breaks gone" in text
    assert "T06" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_backtest_says_why_it_cannot_run(house: Path, wider: Path, tmp_path: Path) -> None:
    assert "not there" in run("backtest", wider, "--on", tmp_path / "nowhere").stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "tieout.yaml").write_text(SETTINGS, encoding="utf-8")
    nothing = run("backtest", wider, "--on", empty)
    assert nothing.exit_code == 2
    assert "no file matches" in nothing.stderr
    assert run("backtest", wider, "--on", house, "--format", "xml").exit_code == 2
