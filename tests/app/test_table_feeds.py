"""Records that live in a warehouse table: read by a map, by watermark, once; on DuckDB and on Snowflake."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pytest
import yaml

from app.file_retry import retry_files
from app.installation import open_installation
from app.reconcile import ReconcileOptions, reconcile
from app.settings import Settings, SettingsError, load
from app.table_feeds import batch_of, last_read, pull
from app.table_poller import TablePoller
from domain.errors import PermanentError, TransientError
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.normalise_reference import Reference, load_reference
from ingest.retry import Selection
from ingest.tables import read_table
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse

MAP = """
columns: {trade_uid: TRADE_ID, account: ACCT, symbol: TICKER, side: BS, qty: SHARES, price: PX, trade_ccy: CCY,
  event_time: EXECUTED_AT, cross_uid: CLIENT_REF}
sides: {B: BUY, S: SELL}
zone: UTC
"""
AS_OF = 1_795_600_000_000_000_000
NOTE = 'said "8=FIX.4.4", then\nleft'


def ddl(name: str) -> str:
    return (
        f"create table {name} (TRADE_ID varchar, ACCT varchar, TICKER varchar, BS varchar, SHARES number(18, 0),"
        " PX number(18, 4), CCY varchar, EXECUTED_AT timestamp_ntz(9), CLIENT_REF varchar, NOTE varchar,"
        " LOADED_AT timestamp_ntz(9))"
    )


def bookings(*numbers: int, loaded: int = 0, **changes: Any) -> pa.Table:
    """Rows of the prime broker's table, loaded so many seconds after 16:00."""
    rows = [
        {
            "TRADE_ID": f"P{n}", "ACCT": "MERID-01", "TICKER": "NVDA", "BS": "B", "SHARES": 100 + n, "PX": "10.5000",
            "CCY": "USD", "EXECUTED_AT": f"2026-11-24 14:30:{n:02d}.123456", "CLIENT_REF": f"E{n}", "NOTE": NOTE,
            "LOADED_AT": str(datetime(2026, 11, 24, 16, 0, loaded)), **changes,
        }
        for n in numbers
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module", params=["duckdb", "snowflake-fake"])
def store(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    if request.param == "snowflake-fake":
        yield request.getfixturevalue("snowflake_warehouse")
        return
    with closing(DuckDbWarehouse()) as made:
        migrate(made)
        yield made


@pytest.fixture
def feed(tmp_path: Path, request: pytest.FixtureRequest) -> Feed:
    (tmp_path / "map.yaml").write_text(MAP)
    name = f"pb_{crc32(request.node.name.encode())}"
    table = {"name": name, "watermark": "LOADED_AT"}
    return Feed(
        name=name, role="PB", party="ECHO", source="table", table=table, map=tmp_path / "map.yaml"
    )  # fmt: skip


def taken(store: Warehouse, feed: Feed, execution: str, until: str | None = None) -> tuple[int, ...]:
    reference: Reference = load_reference(store, load_dialects(None))
    after, _ = last_read(store, feed)
    counts = pull(Settings(), store, feed, reference, f"{feed.name}-{execution}", AS_OF, after, until)
    return counts.messages, counts.facts, counts.duplicates, counts.quarantined


def facts(store: Warehouse, feed: Feed) -> list[dict[str, Any]]:
    sql = "SELECT trade_uid, qty, price, price_scale, side, cross_uid, pb_id, recv_time_utc FROM trade_event"
    return store.query(f"{sql} WHERE feed = :feed ORDER BY trade_uid", {"feed": feed.name}).to_pylist()


def test_new_rows_alone_are_taken_and_each_once(store: Warehouse, feed: Feed) -> None:
    name = feed.name
    store.execute(ddl(name))
    store.append(name, bookings(1, 2))
    assert taken(store, feed, "one", until="2026-11-24 16:00:00.000000000") == (2, 2, 0, 0)
    assert taken(store, feed, "one", until="2026-11-24 16:00:00.000000000") == (0, 0, 0, 0)
    # A row that shares the newest watermark, one with none, a later one, and one before the watermark's place.
    store.append(name, bookings(3))
    store.append(name, bookings(4, LOADED_AT=None))
    store.append(name, bookings(5, loaded=9))
    assert taken(store, feed, "two", until="2026-11-24 16:00:09.000000000") == (3, 3, 0, 0)
    assert taken(store, feed, "three", until="2026-11-24 16:00:09.000000000") == (0, 0, 0, 0)
    # The same trade loaded again brings nothing new; a corrected one is another fact.
    store.append(name, bookings(5, loaded=20))
    store.append(name, bookings(1, loaded=20, SHARES=99))
    assert taken(store, feed, "four", until="2026-11-24 16:00:20.000000000") == (2, 1, 1, 0)
    found = facts(store, feed)
    assert [row["trade_uid"] for row in found] == ["P1", "P1", "P2", "P3", "P4", "P5"]
    assert {(row["side"], row["pb_id"], row["price_scale"]) for row in found} == {("BUY", "ECHO", 4)}
    assert {row["recv_time_utc"].value for row in found} == {AS_OF}
    reads = store.query(f"SELECT window_rows, new_rows FROM table_read WHERE feed = '{name}' ORDER BY execution")
    assert sorted(reads["new_rows"].to_pylist()) == [0, 2, 2, 3]


def test_a_row_cut_short_before_its_mark_is_taken_with_overlap(store: Warehouse, feed: Feed) -> None:
    late = feed.model_copy(update={"table": feed.table and feed.table.model_copy(update={"overlap_seconds": 30})})
    store.execute(ddl(feed.name))
    store.append(feed.name, bookings(1, loaded=40))
    assert taken(store, late, "one", until="2026-11-24 16:00:40.000000000")[0] == 1
    store.append(feed.name, bookings(2, loaded=15))
    store.append(feed.name, bookings(3, loaded=5))
    assert taken(store, late, "two", until="2026-11-24 16:00:40.000000000")[0] == 1
    assert [row["trade_uid"] for row in facts(store, feed)] == ["P1", "P2"]


def test_bad_rows_are_set_aside_and_the_rest_goes_on(store: Warehouse, feed: Feed) -> None:
    store.execute(ddl(feed.name))
    store.append(feed.name, bookings(1))
    store.append(feed.name, bookings(2, BS="?"))
    store.append(feed.name, bookings(3, CCY=None))
    assert taken(store, feed, "one") == (3, 1, 0, 2)
    bad = store.query(f"SELECT detail, raw FROM quarantine WHERE feed = '{feed.name}' ORDER BY detail").to_pylist()
    assert len(bad) == 2 and all(b"P" in row["raw"] and NOTE.split("\n")[1].encode() in row["raw"] for row in bad)


def test_a_map_that_does_not_fit_says_so(store: Warehouse, feed: Feed, tmp_path: Path) -> None:
    store.execute(ddl(feed.name))
    store.append(feed.name, bookings(1))
    (tmp_path / "map.yaml").write_text("columns: {trade_uid: NO_SUCH}\n")
    with pytest.raises(PermanentError, match="NO_SUCH"):
        taken(store, feed, "one")
    gone = feed.model_copy(update={"table": feed.table and feed.table.model_copy(update={"name": "nowhere"})})
    with pytest.raises(PermanentError, match=r"(?i)nowhere"):
        taken(store, gone, "one")


def test_rows_set_aside_are_read_again_under_the_ids_they_would_have_had(
    store: Warehouse, feed: Feed, tmp_path: Path
) -> None:
    """The map learns a word: the row is stored as if it had known it all along; another stays as it was."""
    store.execute(ddl(feed.name))
    store.append(feed.name, bookings(1))
    store.append(feed.name, bookings(2, BS="KAUF"))
    store.append(feed.name, bookings(3, CCY=None))
    assert taken(store, feed, "one") == (3, 1, 0, 2)
    settings = Settings(feeds=(feed,))
    reference = load_reference(store, load_dialects(None))

    def again(execution: str) -> list[tuple[str, bool]]:
        name = f"{feed.name}-{execution}"
        retry_files(settings, store, reference, Selection(feed=feed.name), execution=name, at_ns=AS_OF + 1)
        sql = "SELECT outcome, healed FROM quarantine_retry WHERE execution = :e ORDER BY outcome"
        return [(row["outcome"], row["healed"]) for row in store.query(sql, {"e": name}).to_pylist()]

    assert again("unchanged") == [("QUARANTINE", False), ("QUARANTINE", False)]
    (tmp_path / "map.yaml").write_text(MAP.replace("sides: {B: BUY,", "sides: {B: BUY, KAUF: BUY,"))
    assert again("mended") == [("FACT", True), ("QUARANTINE", False)]
    assert again("once more") == [("QUARANTINE", False)]
    found = facts(store, feed)
    assert [(row["trade_uid"], row["side"], row["recv_time_utc"].value) for row in found] == [
        ("P1", "BUY", AS_OF), ("P2", "BUY", AS_OF),
    ]  # fmt: skip
    assert feed.table is not None
    ids = {
        row["record_id"]
        for row in batch_of(read_table(store, feed.table), feed, reference).normalised.trades.to_pylist()
    }
    stored = store.query("SELECT record_id FROM trade_event WHERE feed = :f", {"f": feed.name})["record_id"].to_pylist()
    assert sorted(stored) == sorted(ids)
    (tmp_path / "map.yaml").write_text("columns: [broken")
    assert again("no map") == [("QUARANTINE", False)]


SETTINGS = """
feeds:
  - {{name: oms, role: INTERNAL, party: MERID, path_glob: ours.csv}}
  - name: echo
    role: PB
    party: ECHO
    source: table
    table: {{name: echo_trades, watermark: LOADED_AT, warehouse: "duckdb://{path}"}}
    map: map.yaml
"""
OURS = "\n".join(
    ["trade id,account,symbol,side,quantity,price,currency,execution time,prime broker"]
    + [f"E{n},MERID-01,NVDA,BUY,{100 + n},10.5000,USD,2026-11-24T14:30:{n:02d}Z,ECHO" for n in (1, 2, 3)]
)


def test_a_folder_and_a_table_tie_out(tmp_path: Path) -> None:
    path = tmp_path / "prime.duckdb"
    with closing(DuckDbWarehouse(path)) as prime:
        prime.execute(ddl("echo_trades"))
        prime.append("echo_trades", bookings(1, 2))
        prime.append("echo_trades", bookings(3, SHARES=50))
    (tmp_path / "map.yaml").write_text(MAP)
    (tmp_path / "ours.csv").write_text(OURS)
    (tmp_path / "tieout.yaml").write_text(SETTINGS.format(path=path))
    report = reconcile(ReconcileOptions(config=tmp_path / "tieout.yaml"))
    assert [(row["code"], row["left_value"], row["right_value"]) for row in report.breaks] == [("T05", "103", "50")]
    path.unlink()
    told = reconcile(ReconcileOptions(config=tmp_path / "tieout.yaml")).summary
    assert "echo_trades" in str(told)


SERVICE = """
warehouse: "{warehouse}"
{snowflake}
feeds:
  - name: oms
    role: INTERNAL
    party: MERID
    source: table
    table: {{name: our_trades, warehouse: "duckdb://{path}"}}
    map: map.yaml
  - name: echo
    role: PB
    party: ECHO
    source: table
    table: {{name: echo_trades, watermark: LOADED_AT, warehouse: "duckdb://{path}"}}
    map: map.yaml
"""


def served(folder: Path, warehouse: str = "duckdb://", snowflake: str = "") -> list[list[dict[str, Any]]]:
    """Breaks after the first look at both tables, after a second one, and after a late row came."""
    folder.mkdir()
    path = folder / "prime.duckdb"
    with closing(DuckDbWarehouse(path)) as prime:
        for name in ("our_trades", "echo_trades"):
            prime.execute(ddl(name))
        prime.append("our_trades", bookings(1, 2, CLIENT_REF=None))
        prime.append("echo_trades", bookings(1, CLIENT_REF="P1"))
    (folder / "map.yaml").write_text(MAP)
    (folder / "tieout.yaml").write_text(SERVICE.format(path=path, warehouse=warehouse, snowflake=snowflake))
    seen = []
    with open_installation(load(folder / "tieout.yaml")) as here:

        def look() -> None:
            TablePoller(here).step()
            for run in here.engine.list(limit=100):
                assert here.engine.wait(run.name, 60).status == "SUCCEEDED", run
            rows = here.warehouse.query("SELECT code, state, left_value FROM recon_break ORDER BY break_id")
            seen.append(rows.to_pylist())

        look()
        look()
        assert here.completeness().received == 3
        with closing(DuckDbWarehouse(path)) as prime:
            prime.append("echo_trades", bookings(2, loaded=5, CLIENT_REF="P2"))
        look()
        messages = here.warehouse.query("SELECT outcome FROM raw_message")["outcome"].to_pylist()
        assert messages == ["FACT"] * 4
    return seen


def test_the_service_takes_new_rows_as_they_come(tmp_path: Path) -> None:
    first, again, late = served(tmp_path / "day")
    # Ours came first: its counterpart is expected, and cleared by the row that came within grace.
    assert first == again == [{"code": "T01", "state": "EXPECTED", "left_value": "102 @ 10.5"}]
    assert late == []


HOLDINGS = """
feeds:
  - name: beta
    role: PB
    party: BETA
    contents: positions
    dialect: csv_positions
    source: table
    table: {{name: holdings, warehouse: "duckdb://{path}"}}
  - {{name: accounts, role: INTERNAL, party: FUND, contents: reference, dialect: csv_account_map, source: table,
      table: {{name: accounts, warehouse: "duckdb://{path}"}}}}
"""
_POSITIONS = """
SELECT account_id, instrument_id, long_qty, flags, recv_time_utc IS NULL AS odd FROM position_snapshot
WHERE record_id NOT IN (SELECT replaces FROM book_named) ORDER BY account_id, long_qty
"""


def named(folder: Path, order: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Positions and codes of open breaks after the tables were filled in this order, each looked at."""
    folder.mkdir()
    path = folder / "prime.duckdb"
    with closing(DuckDbWarehouse(path)) as prime:
        prime.execute(
            'create table holdings ("As Of Date" varchar, "Account" varchar, "ISIN" varchar,'
            ' "Long Quantity" varchar, "Currency" varchar)'
        )
        prime.execute(
            "create table accounts (alias varchar, party varchar, account_id varchar, pb_id varchar,"
            " valid_from varchar)"
        )
    (folder / "tieout.yaml").write_text(HOLDINGS.format(path=path))
    rows = {
        "holdings": [("2026-11-20", one, "US0378331005", qty, "USD") for one, qty in (("B-1", "100"), ("B-2", "7"))],
        "first": [("B-2", "BETA", "FUND-2", "BETA", "2020-01-01")],
        "second": [("B-1", "BETA", "FUND-1", "BETA", "2020-01-01")],
    }  # fmt: skip
    codes = list[str]()
    with open_installation(load(folder / "tieout.yaml")) as here:
        for name in order:
            with closing(DuckDbWarehouse(path)) as prime:
                table = "holdings" if name == "holdings" else "accounts"
                names = prime.query(f"select * from {table} limit 0").column_names
                prime.append(table, pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows[name]]))
            assert TablePoller(here).step()
            for run in here.engine.list(limit=100):
                assert here.engine.wait(run.name, 60).status == "SUCCEEDED", run
            found = here.warehouse.query("SELECT code FROM recon_break WHERE state = 'OPEN'")["code"].to_pylist()
            codes += ["I04"] if "I04" in found else ["-"]
        return here.warehouse.query(_POSITIONS).to_pylist(), codes


def test_rows_of_tables_that_name_strangers_are_named_when_the_name_comes(tmp_path: Path) -> None:
    late, told = named(tmp_path / "late", ["holdings", "first", "second"])
    assert [(row["account_id"], row["flags"]) for row in late] == [("FUND-1", None), ("FUND-2", None)]
    assert told == ["-", "I04", "-"]
    assert named(tmp_path / "early", ["first", "second", "holdings"])[0] == late


def test_a_table_whose_execution_cannot_be_started_is_read_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(DuckDbWarehouse(tmp_path / "prime.duckdb")) as prime:
        prime.execute(ddl("our_trades"))
        prime.append("our_trades", bookings(1, CLIENT_REF=None))
    (tmp_path / "map.yaml").write_text(MAP)
    table = {"name": "our_trades", "warehouse": f"duckdb://{tmp_path / 'prime.duckdb'}", "poll_seconds": 1}
    feed = {"name": "oms", "role": "INTERNAL", "party": "MERID", "source": "table", "table": table, "map": "map.yaml"}
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump({"feeds": [feed]}))
    with open_installation(load(tmp_path / "tieout.yaml")) as here:
        poller = TablePoller(here)
        with monkeypatch.context() as patched:

            def out_of_reach(*_: Any) -> None:
                raise TransientError("the engine is out of reach")

            patched.setattr(here.engine, "start", out_of_reach)
            assert not poller.step() and here.engine.list() == []
        deadline = time.monotonic() + 60
        while not poller.step():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (run,) = here.engine.list()
        assert here.engine.wait(run.name, 60).status == "SUCCEEDED"


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_the_service_runs_on_snowflake(tmp_path: Path, snowflake_account: dict[str, Any]) -> None:
    host, port = snowflake_account["host"], snowflake_account["port"]
    address = f"snowflake://fake/SERVED/PUBLIC?warehouse=WH&host={host}&port={port}&protocol=http"
    there = served(tmp_path / "there", address, "snowflake: {user: svc, oauth_token: t}")
    assert there == served(tmp_path / "here")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("source: table", "go together"),
        ("table: {name: t}", "go together"),
        ("source: table, table: {name: 'a; drop table b'}", "table.name"),
        ("source: table, table: {name: t}, path_glob: x.csv", "neither a session nor a path_glob"),
        ("source: table, table: {name: t, warehouse: 'oracle://x'}", "known: duckdb, snowflake"),
        ("source: table, table: {name: t, warehouse: 'snowflake://acct'}", "account, database and schema"),
    ],
)
def test_settings_that_cannot_be_say_why(tmp_path: Path, table: str, told: str) -> None:
    path = tmp_path / "tieout.yaml"
    path.write_text(f"feeds:\n  - {{name: echo, role: PB, party: ECHO, {table}}}\n")
    with pytest.raises(SettingsError, match=told):
        load(path)
