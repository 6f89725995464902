"""Positions and cash that came before the reference data which names what they are about: the end is the same."""

import random
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from app.as_known import opened
from app.as_known_verbs import as_known_of
from app.decision_kinds import write_mapping
from app.named_books import name_books
from app.reference_cache import ReferenceCache
from app.reference_watch import ReferenceWatch
from app.settings import Settings
from app.verbs import load_reference
from domain.clock import SystemClock
from ingest.feeds import feeds_by_session
from ingest.normalise import RawBatch, normalise
from ingest.retry import Selection, retry
from ingest.store import prepare, store
from ingest.withdraw import withdraw
from matching.levels.books import told as told_books
from matching.rules import load_rules
from tests.app.test_file_feeds import Served, served
from tests.ingest.fix.conftest import framed
from tests.matching.desk import T0, Desk

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


def test_positions_of_a_message_are_named_from_its_bytes() -> None:
    """An account that a person maps, a security of a master that came later; a second asking adds nothing."""
    identity = {"sender_comp_id": "ALPHA", "target_comp_id": "TIEOUT"}
    settings = Settings.model_validate(
        {"feeds": [{"name": "alpha", "role": "PB", "party": "ALPHA", "session": identity}]}
    )
    desk = Desk(load_rules())
    reference, since = ReferenceCache(desk.warehouse), date(2020, 1, 1)
    account = {"what": "account", "party": "ALPHA", "account_id": "FUND-1"}
    write_mapping(desk.warehouse, {**account, "alias": "B-1"}, since)
    report = framed(
        f"35=AP|49=ALPHA|56=TIEOUT|34=2|52=20261124-21:30:01|721=R1|710=1|728=0|715=20261124|453=0|1=B-2|581=1|55=AAPL"
        f"|48={APPLE}|22=4|15=USD|730=187.25|731=1|734=187.25|702=2|703=FIN|704=100|703=SOD|704=90|"
    )
    batch = RawBatch([report], ["ALPHA->TIEOUT:1"], [1], "lane", ["ALPHA->TIEOUT"], np.array([T0]), [settings.feeds[0]])
    store(desk.warehouse, normalise(batch, reference.current()), "one")

    def named(execution: str) -> int:
        return name_books(settings, desk.warehouse, reference.current(), execution=execution, at_ns=T0 + 1)

    def open_codes(execution: str) -> list[str]:
        desk.match(execution=execution)
        return [code for code in desk.breaks() if code.startswith("I")]

    assert named("nothing is known yet") == 0
    assert open_codes("one") == ["I04"]
    write_mapping(desk.warehouse, {**account, "alias": "B-2"}, since)
    apple = {"what": "instrument", "id_source": "4", "id_value": APPLE, "instrument_id": "I-1"}
    write_mapping(desk.warehouse, apple, since)
    assert (named("two"), named("three")) == (2, 0)
    assert open_codes("two") == []
    rows = desk.table(
        "select p.account_id, p.instrument_id, p.snapshot_type, p.long_qty, p.flags from position_snapshot p"
        " join book_named n on n.record_id = p.record_id order by p.snapshot_type"
    )
    assert [(*row.values(),) for row in rows] == [
        ("FUND-1", "I-1", "EOD", 100, None),
        ("FUND-1", "I-1", "SOD", 90, None),
    ]
    # Set aside as what fails a run and read again later, it is as if it had come under its name.
    prepare(desk.warehouse)
    with desk.warehouse.transaction():
        withdraw(desk.warehouse, batch.message_ids, "it fails", execution="three")
    assert desk.dump("position_snapshot", "book_named") == {"position_snapshot": [], "book_named": []}
    assert open_codes("three") == ["I01"]
    feeds = feeds_by_session(settings.feeds)
    counts = retry(desk.warehouse, feeds, reference.current(), Selection(), execution="four", at_ns=T0 + 2)
    assert (counts.facts, named("five")) == (1, 0)
    sql = f"select p.account_id, p.instrument_id, p.long_qty from {told_books('position_snapshot')} p order by 3"
    assert open_codes("four") == []
    with desk.warehouse.transaction():
        desk.warehouse.append("work_execution", pa.table({"execution": ["four"]}))
        assert [(*row.values(),) for row in desk.table(sql)] == [("FUND-1", "I-1", 90), ("FUND-1", "I-1", 100)]
