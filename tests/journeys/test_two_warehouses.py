"""The same journey on DuckDB and on Snowflake: files to facts to breaks, and a break that opens and is cured."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import app.reconcile
from app.reconcile import ReconcileOptions, reconcile
from domain.schema import TABLES
from matching.rebuild import rebuild
from matching.rules import load_rules
from matching.tables import OWN_TABLES, prepare
from tests.matching.desk import FEEDS, LATE, Desk, ours, theirs
from tests.warehouse.test_portable_text import FUNCTIONS, calls
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Params, Warehouse
from warehouse.snowflake import SnowflakeWarehouse

EXAMPLES = Path(__file__).parents[2] / "examples"


class Heard:
    """A warehouse that keeps the statements it was given."""

    def __init__(self, warehouse: SnowflakeWarehouse) -> None:
        self._warehouse, self.said = warehouse, set[str]()
        for name in ("append", "transaction", "checkpoint", "close"):
            setattr(self, name, getattr(warehouse, name))

    def query(self, sql: str, params: Params | None = None) -> object:
        self.said.add(sql)
        return self._warehouse.query(sql, params)

    def execute(self, sql: str, params: Params | None = None) -> int:
        self.said.add(sql)
        return self._warehouse.execute(sql, params)


@pytest.fixture(scope="module")
def snowflake(snowflake_warehouse: SnowflakeWarehouse) -> Heard:
    return Heard(snowflake_warehouse)


@pytest.fixture(autouse=True)
def _emptied(snowflake: Heard) -> Iterator[None]:
    """Every table of the schema is empty before and after a test."""
    _empty(snowflake)
    yield
    _empty(snowflake)


def _empty(snowflake: Heard) -> None:
    prepare(snowflake)  # type: ignore[arg-type]
    for name in (*TABLES, *(table.name for table in OWN_TABLES)):
        snowflake.execute(f"delete from {name}")


@pytest.fixture
def duckdb() -> Iterator[DuckDbWarehouse]:
    with closing(DuckDbWarehouse()) as warehouse:
        migrate(warehouse)
        yield warehouse


def contents(warehouse: Warehouse) -> Mapping[str, list[str]]:
    """Every table and the queue as sorted rows."""
    names = (*TABLES, "break_queue")
    tables = {name: warehouse.query(f"SELECT * FROM {name}").to_pylist() for name in names}
    return {name: sorted(str(list(row.values())) for row in rows) for name, rows in tables.items()}


def test_files_give_the_same_facts_groups_and_breaks(
    duckdb: DuckDbWarehouse, snowflake: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = []
    for warehouse in (duckdb, snowflake):

        @contextmanager
        def store(_memory_mb: int, chosen: object = warehouse) -> Iterator[object]:
            yield chosen

        monkeypatch.setattr(app.reconcile, "_in_memory", store)
        against = (str(EXAMPLES / "harbour.fix"), str(EXAMPLES / "northgate.csv"))
        reports.append(reconcile(ReconcileOptions(ours=(EXAMPLES / "fund.fix",), against=against)))
    on_one, on_other = ([report.summary, [*report.breaks], [*report.groups]] for report in reports)
    assert on_one[1] and on_one[2] and on_one == on_other
    on_duckdb, on_snowflake = contents(duckdb), contents(snowflake)  # type: ignore[arg-type]
    assert on_duckdb["recon_break"] and on_duckdb["match_group"] and on_duckdb["raw_message"]
    for name, rows in on_duckdb.items():
        assert on_snowflake[name] == rows, name


def on_both(duckdb: DuckDbWarehouse, snowflake: Heard) -> list[Desk]:
    desks = []
    for warehouse in (duckdb, snowflake):
        desk = Desk(load_rules())
        desk.warehouse.close()
        desk.warehouse = warehouse  # type: ignore[assignment]
        desks.append(desk)
    return desks


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_a_break_opens_and_is_cured_alike(duckdb: DuckDbWarehouse, snowflake: Heard) -> None:
    told = []
    for desk in on_both(duckdb, snowflake):
        opened = desk.match([ours("E1"), ours("E2", qty="300"), theirs("P1", "E1"), theirs("P2", "E2", qty="250")])
        right = theirs("P2", "E2", qty="300", version=2, status="CORRECT", prev_uid="P2", recv_time_utc=LATE)
        cured = desk.match([right], as_of=LATE)
        assert (opened.opened, cured.cured) == (1, 1)
        told.append((opened, cured, contents(desk.warehouse)))
    assert told[0] == told[1]


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_grace_waits_and_a_rebuild_gives_the_same(duckdb: DuckDbWarehouse, snowflake: Heard) -> None:
    told = []
    for desk in on_both(duckdb, snowflake):
        expected = desk.match([ours("E1"), ours("E2", qty="300")])
        opened = desk.match(as_of=LATE)
        assert (expected.expected, opened.opened) == (2, 2)
        desk.match([theirs("P1", "E1"), theirs("P2", "E2", qty="250")], as_of=LATE)
        before = contents(desk.warehouse)
        rebuild(desk.warehouse, desk.rules, feeds=FEEDS, tenant="main")
        assert contents(desk.warehouse) == before
        told.append(before)
    assert told[0] == told[1]


def test_only_functions_that_snowflake_has(snowflake: Heard) -> None:
    assert snowflake.said, "run together with the tests above"
    called = {call for sql in snowflake.said for call in calls(sql)}
    assert called - FUNCTIONS == set(), "look the name up in Snowflake's manual, then add it to FUNCTIONS"
