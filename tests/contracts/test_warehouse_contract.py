"""One suite for the warehouse port, run over every adapter: DuckDB, and Snowflake on a fake account.

With TIEOUT_SNOWFLAKE_LIVE=1 and TIEOUT_SNOWFLAKE_* set (docs/snowflake.md) it runs on a real account as well.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from itertools import count

import pyarrow as pa
import pytest

from domain.errors import PermanentError
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import MIGRATIONS, migrate
from warehouse.port import Warehouse
from warehouse.snowflake import SnowflakeWarehouse
from warehouse.sql import timestamp

NS = 1_700_000_000_123_456_000
_TABLES = (f"contract_{number}" for number in count(1))
_COLUMNS = {
    "id": pa.int64(), "name": pa.string(), "money": pa.decimal128(28, 6), "price": pa.decimal128(28, 12),
    "day": pa.date32(), "moment": pa.timestamp("ns"), "flag": pa.bool_(), "raw": pa.binary(),
}  # fmt: skip
_DDL = (
    "id bigint not null, name varchar, money number(28, 6), price number(28, 12), day date,"
    " moment timestamp_ntz(9), flag boolean, raw binary"
)


@pytest.fixture(scope="module", params=["duckdb", "snowflake-fake", "snowflake-live"])
def warehouse(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        with closing(DuckDbWarehouse()) as made:
            yield made
    elif request.param == "snowflake-fake":
        yield request.getfixturevalue("snowflake_warehouse")
    else:
        if os.environ.get("TIEOUT_SNOWFLAKE_LIVE") != "1":
            pytest.skip("TIEOUT_SNOWFLAKE_LIVE=1 runs the suite on a real Snowflake account")
        from app.build import snowflake_login
        from app.settings import load

        with closing(SnowflakeWarehouse(snowflake_login(load(None)))) as made:
            yield made


@pytest.fixture
def table(warehouse: Warehouse) -> Iterator[str]:
    name = next(_TABLES)
    warehouse.execute(f"create table {name} ({_DDL})")
    yield name
    warehouse.execute(f"drop table {name}")


def rows(first: int, size: int) -> pa.Table:
    """Rows with every type; every third row has nothing but its id."""
    ids = range(first, first + size)

    def column(make: Callable[[int], object], name: str) -> pa.Array:
        return pa.array([None if n % 3 == 2 else make(n) for n in ids], _COLUMNS[name])

    values: dict[str, Callable[[int], object]] = {
        "name": lambda n: f'O\'Neill ünï :x ? {n}\n"q"',
        "money": lambda n: Decimal(n) - Decimal("1234567890123456789012.000001"),
        "price": lambda n: Decimal(n) + Decimal("0.000000000001"),
        "day": lambda n: date(2026, 2, 28),
        "moment": lambda n: NS + n * 1_000,
        "flag": lambda n: n % 2 == 0,
        "raw": lambda n: bytes([0, 255, n % 256]),
    }
    return pa.table({"id": pa.array(ids, pa.int64()), **{name: column(make, name) for name, make in values.items()}})


def stored(warehouse: Warehouse, table: str) -> pa.Table:
    return warehouse.query(f"SELECT * FROM {table} ORDER BY id")


def test_every_type_comes_back_as_it_went_in(warehouse: Warehouse, table: str) -> None:
    given = rows(0, 9)
    assert warehouse.append(table, given) == 9
    found = stored(warehouse, table)
    assert found.to_pylist() == given.to_pylist()
    assert dict(zip(found.schema.names, found.schema.types, strict=True)) == _COLUMNS


def test_few_rows_and_many_take_the_same_form(warehouse: Warehouse, table: str) -> None:
    many = rows(0, 1_500).drop_columns(["raw"])
    assert warehouse.append(table, many.slice(0, 3)) == 3
    assert warehouse.append(table, many.slice(3)) == 1_497
    assert stored(warehouse, table).drop_columns(["raw"]).to_pylist() == many.to_pylist()


def test_append_is_by_name_and_absent_columns_are_null(warehouse: Warehouse, table: str) -> None:
    names = pa.array(["b", "b"]).dictionary_encode()
    assert warehouse.append(table, pa.table({"name": names, "id": [1, 2]})) == 2
    assert warehouse.append(table, pa.table({"raw": [b"x"], "name": pa.nulls(1), "id": [3]})) == 1
    assert warehouse.append(table, rows(0, 0)) == 0
    found = warehouse.query(f"SELECT id, name, money, raw FROM {table} ORDER BY id").to_pylist()
    assert found == [
        {"id": 1, "name": "b", "money": None, "raw": None}, {"id": 2, "name": "b", "money": None, "raw": None},
        {"id": 3, "name": None, "money": None, "raw": b"x"},
    ]  # fmt: skip


def test_an_empty_result_keeps_its_columns_and_types(warehouse: Warehouse, table: str) -> None:
    found = stored(warehouse, table)
    assert found.num_rows == 0
    assert dict(zip(found.schema.names, found.schema.types, strict=True)) == _COLUMNS


def test_parameters_of_every_type(warehouse: Warehouse, table: str) -> None:
    warehouse.append(table, rows(3, 2))
    sql = (
        f"SELECT id FROM {table} WHERE id >= :least AND name = :name AND money = :money AND day = :day AND flag = :flag"
        " AND moment = cast(:moment AS timestamp_ntz(9)) AND coalesce(:nothing, 'x') = 'x' AND ':least' <> name"
        " AND id::varchar = :text AND id >= :least"
    )
    row = rows(3, 1).to_pylist()[0]
    params = {
        "least": 3, "name": row["name"], "money": row["money"], "day": row["day"], "flag": False, "nothing": None,
        "moment": timestamp(NS + 3_000), "text": "3",
    }  # fmt: skip
    assert warehouse.query(sql, params).to_pylist() == [{"id": 3}]


def test_a_time_as_parameter_keeps_its_digits(warehouse: Warehouse) -> None:
    found = warehouse.query("SELECT cast(:t AS timestamp_ntz(9)) AS t", {"t": timestamp(NS)})
    assert found["t"].cast(pa.int64())[0].as_py() == NS


def test_statements_say_how_many_rows_they_touched(warehouse: Warehouse, table: str) -> None:
    warehouse.append(table, rows(0, 5))
    assert warehouse.execute(f"INSERT INTO {table} (id) SELECT id + 10 FROM {table} WHERE id < :n", {"n": 3}) == 3
    assert warehouse.execute(f"UPDATE {table} SET name = 'x' WHERE id >= 10") == 3
    assert warehouse.execute(f"DELETE FROM {table} WHERE id >= 11") == 2
    assert warehouse.execute(f"DELETE FROM {table} WHERE id > 1000") == 0
    assert stored(warehouse, table).num_rows == 6


def test_cast_sums_are_exact(warehouse: Warehouse, table: str) -> None:
    warehouse.append(table, pa.table({"id": [1, 2], "money": pa.array([Decimal("0.1"), Decimal("0.2")])}))
    found = warehouse.query(f"SELECT cast(sum(money) AS number(38, 6)) AS s, count(*) AS n FROM {table}").to_pylist()
    assert found == [{"s": Decimal("0.300000"), "n": 2}] and isinstance(found[0]["s"], Decimal)


def test_an_error_inside_a_transaction_rolls_everything_back(warehouse: Warehouse, table: str) -> None:
    with pytest.raises(PermanentError, match=r"(?i)nowhere"), warehouse.transaction():
        warehouse.append(table, rows(0, 1))
        warehouse.append(table, rows(0, 200))
        warehouse.query("SELECT * FROM nowhere")
    assert stored(warehouse, table).num_rows == 0
    with pytest.raises(KeyError), warehouse.transaction():
        warehouse.append(table, rows(0, 1))
        raise KeyError
    with warehouse.transaction():
        warehouse.append(table, rows(0, 1))
    assert stored(warehouse, table).num_rows == 1


def test_a_transaction_sees_its_own_rows_and_other_threads_do_not(warehouse: Warehouse, table: str) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(stored(warehouse, table).num_rows)

    with warehouse.transaction():
        warehouse.append(table, rows(0, 200))
        warehouse.execute(f"DELETE FROM {table} WHERE id > 0")
        assert stored(warehouse, table).num_rows == 1
        reader = threading.Thread(target=look)
        reader.start()
        reader.join()
    look()
    assert seen == [0, 1]


def test_nesting_transactions_is_an_error(warehouse: Warehouse) -> None:
    with pytest.raises(PermanentError, match="already open"), warehouse.transaction(), warehouse.transaction():
        pass


def test_what_is_refused_is_permanent(warehouse: Warehouse, table: str) -> None:
    for sql in ("SELECT nothing FROM nowhere", f"SELECT nothing FROM {table}", "SELEKT 1"):
        with pytest.raises(PermanentError):
            warehouse.query(sql)
    with pytest.raises(PermanentError):
        warehouse.append("nowhere", pa.table({"id": [1]}))
    with pytest.raises(PermanentError):
        warehouse.execute("DELETE FROM nowhere")


def test_scratch_tables_last_as_long_as_the_session(warehouse: Warehouse) -> None:
    warehouse.execute("CREATE TEMPORARY TABLE IF NOT EXISTS contract_scratch (id bigint)")
    with warehouse.transaction():
        warehouse.append("contract_scratch", pa.table({"id": [1, 2]}))
    with warehouse.transaction():
        assert warehouse.query("SELECT * FROM contract_scratch").num_rows == 2
    warehouse.execute("DROP TABLE contract_scratch")


def test_the_portable_subset_runs(warehouse: Warehouse, table: str) -> None:
    warehouse.append(table, rows(0, 6))
    sql = f"""
      WITH ranked AS (SELECT id, flag, row_number() OVER (PARTITION BY flag ORDER BY id DESC) AS n FROM {table})
      SELECT left(sha2(r.id::varchar || chr(31) || 'x', 256), 8) AS key, dateadd('second', r.id, t.moment) AS later,
        rtrim(rtrim(cast(t.price AS varchar), '0'), '.') AS price, startswith(t.name, 'O') AS ours
      FROM ranked r JOIN {table} t ON t.id = r.id
      WHERE NOT EXISTS (SELECT 1 FROM {table} o WHERE o.id = r.id + 3)
      QUALIFY row_number() OVER (ORDER BY r.id) = 1
    """
    key = hashlib.sha256(b"3\x1fx").hexdigest()[:8]
    assert warehouse.query(sql).to_pylist() == [
        {"key": key, "later": datetime(2023, 11, 14, 22, 13, 23, 123459), "price": "3.000000000001", "ours": True}
    ]


@pytest.mark.parametrize("again", [False, True])
def test_the_schema_is_made_once(warehouse: Warehouse, again: bool) -> None:
    assert migrate(warehouse) == len(MIGRATIONS)
    assert warehouse.query("SELECT count(*) AS n FROM break_queue").to_pylist() == [{"n": 0}]
    assert warehouse.query("SELECT count(*) AS n FROM schema_version").to_pylist() == [{"n": len(MIGRATIONS)}]
