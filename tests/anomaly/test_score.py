"""The Score task over a real warehouse: each change scored once, features as the warehouse knows them."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

from anomaly.features import COLUMNS, features
from anomaly.model import InProcessScorer
from anomaly.port import Features, Scored
from anomaly.score import ScoreResult, score_changes
from domain.errors import TransientError
from domain.schema import TABLES, arrow_schema
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

NOON = 1_795_194_000_000_000_123  # 2026-11-20 12:00 in New York
MINUTE = 60_000_000_000


@pytest.fixture(scope="module")
def scorer() -> InProcessScorer:
    return InProcessScorer()


@pytest.fixture
def warehouse() -> Iterator[DuckDbWarehouse]:
    store = DuckDbWarehouse()
    migrate(store)
    yield store
    store.close()


def put(warehouse: DuckDbWarehouse, table: str, *rows: dict[str, object]) -> None:
    warehouse.append(table, pa.Table.from_pylist(list(rows), arrow_schema(TABLES[table])))


def open_break(warehouse: DuckDbWarehouse, name: str, at: int = NOON, **values: object) -> None:
    row: dict[str, object] = {
        "break_id": name, "generation": 1, "level": "L1", "pb_id": "ALPHA", "anchor": name, "field_family": "qty",
        "code": "T05", "severity": 3, "state": "OPEN", "first_seen": at, "changed_at": at, "rule_set_hash": "r",
        "deadline_at": at + 90 * MINUTE, "exposure_base": Decimal("99999"), "left_value": "500",
        "right_value": "300", "account_id": "A1", "instrument_id": "US0378331005", "side": "BUY", "component": name,
        **values,
    }  # fmt: skip
    put(warehouse, "recon_break", row)
    put(
        warehouse, "recon_break_member",
        {"break_id": name, "side": "L", "record_id": f"{name}l"},
        {"break_id": name, "side": "R", "record_id": f"{name}r"},
    )  # fmt: skip
    change(warehouse, name, "OPENED", at, str(row["code"]))


def change(warehouse: DuckDbWarehouse, name: str, kind: str, at: int, code: str = "T05") -> None:
    put(
        warehouse, "break_change",
        {"change_id": f"{name}-{kind}-{at}", "break_id": name, "generation": 1, "kind": kind, "as_of": at,
         "code": code, "severity": 3, "execution": "e"},
    )  # fmt: skip


def test_features_say_what_the_warehouse_knows(warehouse: DuckDbWarehouse) -> None:
    open_break(warehouse, "old", at=NOON - 30 * MINUTE)
    open_break(warehouse, "new")
    open_break(warehouse, "bare", code="T01", exposure_base=None, deadline_at=None, account_id=None, left_value="x")
    rows = {row["break_id"]: row for row in features(warehouse, NOON + 30 * MINUTE).to_pylist()}
    assert set(rows) == {"old", "new", "bare"}
    new = rows["new"]
    assert new["log_exposure"] == pytest.approx(5.0)
    assert new["relative_delta"] == pytest.approx(0.4)
    assert new["minutes_to_deadline"] == pytest.approx(60.0)
    assert new["hour"] == pytest.approx(12.0)
    assert new["severity"] == 3.0
    # One break was opened before it, in the same account, instrument and side, and is still open.
    assert new["account_breaks"] == new["twin_density"] == pytest.approx(0.6931, abs=1e-4)
    assert rows["old"]["account_breaks"] == 0.0
    assert rows["bare"]["log_exposure"] is None and rows["bare"]["minutes_to_deadline"] is None
    assert rows["bare"]["code_rarity"] > new["code_rarity"]


def test_each_open_break_is_scored_once(warehouse: DuckDbWarehouse, scorer: InProcessScorer) -> None:
    for number in range(30):
        open_break(warehouse, f"b{number:02d}", instrument_id=f"I{number}")
    open_break(warehouse, "cured", state="CURED")
    open_break(warehouse, "waiting", state="EXPECTED")
    first = score_changes(warehouse, scorer, "run-1", NOON)
    assert first == ScoreResult(scored=30, flagged=30)
    assert score_changes(warehouse, scorer, "run-1", NOON) == ScoreResult(0, 0)
    rows = warehouse.query("SELECT * FROM break_score ORDER BY change_id").to_pylist()
    assert [row["break_id"] for row in rows] == [f"b{number:02d}" for number in range(30)]
    assert all(0 <= row["score"] <= 1 and 0 < row["p_value"] <= 1 for row in rows)
    assert json.loads(rows[0]["reasons"])[0]["text"]
    assert {row["model_version"] for row in rows} == {scorer.warm().version}
    assert {row["execution"] for row in rows} == {"run-1"}


def test_a_change_is_scored_anew_and_older_changes_are_not(warehouse: DuckDbWarehouse, scorer: InProcessScorer) -> None:
    open_break(warehouse, "b")
    change(warehouse, "b", "CHANGED", NOON + MINUTE)
    assert score_changes(warehouse, scorer, "early", NOON).scored == 1
    assert score_changes(warehouse, scorer, "late", NOON + MINUTE).scored == 1
    open_break(warehouse, "c")
    change(warehouse, "c", "CHANGED", NOON + MINUTE)
    assert score_changes(warehouse, scorer, "third", NOON + MINUTE).scored == 1
    assert score_changes(warehouse, scorer, "third", NOON + MINUTE).scored == 0


def test_what_a_run_found_is_scored_though_the_run_was_given_an_earlier_time(
    warehouse: DuckDbWarehouse, scorer: InProcessScorer
) -> None:
    """Messages of a backlog are matched as of the newest run before them: their break is as late as that run."""
    open_break(warehouse, "b")
    put(warehouse, "execution_log", {"execution": "held", "kind": "batch", "count": 1, "as_of": NOON, "seq": 2})
    assert score_changes(warehouse, scorer, "never matched", NOON - 5 * MINUTE).scored == 0
    assert score_changes(warehouse, scorer, "held", NOON - 5 * MINUTE).scored == 1


def test_low_severity_and_ordinary_breaks_are_not_flagged(warehouse: DuckDbWarehouse, scorer: InProcessScorer) -> None:
    open_break(warehouse, "b", severity=1, exposure_base=Decimal("3"))
    warehouse.execute("UPDATE break_change SET severity = 1")
    assert score_changes(warehouse, scorer, "run", NOON) == ScoreResult(scored=1, flagged=0)


def test_a_model_that_is_down_leaves_the_break_for_the_next_run(
    warehouse: DuckDbWarehouse, scorer: InProcessScorer
) -> None:
    class Down:
        def score(self, rows: list[Features]) -> list[Scored]:
            raise TransientError("model is down")

    open_break(warehouse, "b")
    with pytest.raises(TransientError):
        score_changes(warehouse, Down(), "run-1", NOON)
    assert score_changes(warehouse, scorer, "run-2", NOON + MINUTE).scored == 1


def test_the_task_works_inside_a_transaction_and_rolls_back_with_it(
    warehouse: DuckDbWarehouse, scorer: InProcessScorer
) -> None:
    open_break(warehouse, "b")
    with pytest.raises(KeyError), warehouse.transaction():
        assert score_changes(warehouse, scorer, "run", NOON).scored == 1
        raise KeyError
    assert score_changes(warehouse, scorer, "run", NOON).scored == 1


def test_columns_are_the_contract(warehouse: DuckDbWarehouse) -> None:
    assert features(warehouse, NOON).column_names == ["change_id", "break_id", *COLUMNS]
