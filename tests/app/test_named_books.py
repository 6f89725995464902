"""Positions and cash that came before the reference data which names what they are about: the end is the same."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.as_known import opened
from app.as_known_verbs import as_known_of
from app.reference_watch import ReferenceWatch
from app.verbs import load_reference
from domain.clock import SystemClock
from tests.app.test_file_feeds import Served, served

POSITIONS = "As Of Date,Account,ISIN,Long Quantity,Currency\n"
CASH = "Entry Id,Statement Date,Account,Currency,Entry Type,Amount,Ticker\n"
APPLE, NVIDIA = "US0378331005", "US67066G1040"
FILES = {
    "ours": POSITIONS + f"2026-11-20,FUND-1,{APPLE},100,USD\n2026-11-20,FUND-1,{NVIDIA},50,USD\n",
    "beta": POSITIONS + f"2026-11-20,B-1,{APPLE},100,USD\n2026-11-20,B-1,{NVIDIA},40,USD\n",
    "ourcash": CASH + "D1,2026-11-20,FUND-1,USD,Dividend,7.00,AAPL\n,2026-11-20,FUND-1,USD,Closing Balance,107.00,\n",
    "betacash": CASH + "X1,2026-11-20,B-1,USD,Dividend,6.00,AAPL\n,2026-11-20,B-1,USD,Closing Balance,106.00,\n",
    "accounts": "alias,party,account_id,pb_id,valid_from\nB-1,BETA,FUND-1,BETA,2020-01-01\n"
                "FUND-1,FUND,FUND-1,BETA,2020-01-01\n",
    "ids": "instrument_id,id_source,id_value,valid_from\n"
           f"I-1,4,{APPLE},2020-01-01\nI-1,8,AAPL,2020-01-01\nI-2,4,{NVIDIA},2020-01-01\n",
}  # fmt: skip
OPEN = """
SELECT code, level, state, pb_id, account_id, instrument_id, left_value, right_value, CAST(delta AS VARCHAR) AS delta
FROM recon_break WHERE state <> 'CURED' ORDER BY code, level, account_id, instrument_id, left_value
"""


def feed(name: str, dialect: str, contents: str, role: str = "INTERNAL", party: str = "FUND") -> Mapping[str, Any]:
    return {"name": name.upper(), "role": role, "party": party, "dialect": dialect, "contents": contents,
            "path_glob": f"{name}/*.csv"}  # fmt: skip


FEEDS = [
    feed("ours", "csv_positions", "positions"), feed("beta", "csv_positions", "positions", "PB", "BETA"),
    feed("ourcash", "csv_cash", "cash"), feed("betacash", "csv_cash", "cash", "PB", "BETA"),
    feed("accounts", "csv_account_map", "reference"), feed("ids", "csv_identifier_history", "reference"),
]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).mkdir()
    settings = {"files": {"poll_seconds": 0.001, "settled_seconds": 0, "max_mb": 1}, "feeds": [*FEEDS]}
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "tieout.yaml"


def drop(here: Served, config: Path, *names: str) -> None:
    for name in names:
        (config.parent / name / "a.csv").write_text(FILES[name])
        here.settle()


def state(here: Served) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in here.rows(OPEN)]


def told(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(row[0], row[4], row[5], row[6], row[7]) for row in rows]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.heavy)])
def test_whichever_came_first_the_end_is_the_same(config: Path, seed: int) -> None:
    names = [*FILES]
    random.Random(seed).shuffle(names)
    with served(config) as here:
        drop(here, config, *names)
        found = state(here)
        assert [row[:3] for row in told(found) if row[0] == "P01"] == [("P01", "FUND-1", "I-2")], names
        assert sorted(row[0] for row in found) == ["C02", "P01"], names
        result = here.here.rebuild()
        assert result["before"] == result["after"]
        assert state(here) == found


def test_a_state_of_before_shows_the_strangers_of_then(config: Path) -> None:
    with served(config) as here:
        drop(here, config, "ours", "beta", "ourcash", "betacash")
        before = state(here)
        assert {row[4] for row in before} == {"FUND-1", "B-1"} or before == []
        then = SystemClock().now_ns()
        drop(here, config, "accounts", "ids")
        after = state(here)
        assert after != before and {row[4] for row in after} == {"FUND-1"}
        for at, expected in ((then, before), (SystemClock().now_ns(), after)):
            with opened(as_known_of(here.here).file(at), SystemClock()) as warehouse:
                assert [tuple(row.values()) for row in warehouse.query(OPEN).to_pylist()] == expected


def test_a_file_loaded_while_nothing_ran_names_them_at_the_next_start(config: Path) -> None:
    with served(config) as here:
        drop(here, config, "ours", "beta", "accounts")
        assert {row[5] for row in state(here)} == {f"ISIN:{NVIDIA}"}
    file = config.parent / "identifier_history.csv"
    file.write_text(FILES["ids"])
    assert "3 new rows" in load_reference([file], config)
    with served(config) as here:
        watch = ReferenceWatch(here.here)
        assert watch.step() and not watch.step()
        [started] = [run for run in here.here.engine.list(None, 20) if run.name.startswith("reference-")]
        assert here.here.engine.wait(started.name, 60).status == "SUCCEEDED"
        assert [row[:1] + row[4:6] for row in state(here)] == [("P01", "FUND-1", "I-2")]
