"""The DuckDB adapter: transactions, exact values, readers beside the writer, one process at a time."""

import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from domain.errors import PermanentError, TransientError
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import OutOfMemory
from warehouse.sql import timestamp, to_duckdb


@pytest.fixture
def warehouse() -> DuckDbWarehouse:
    made = DuckDbWarehouse()
    migrate(made)
    return made


def fee(record: str, amount: str) -> pa.Table:
    return pa.table(
        {"record_id": [record], "ordinal": [0], "amount": pa.array([Decimal(amount)], pa.decimal128(28, 6))}
    )


def test_append_is_by_name_and_absent_columns_are_null(warehouse: DuckDbWarehouse) -> None:
    assert warehouse.append("trade_fee", fee("a", "0.10")) == 1
    assert warehouse.query("SELECT amount, basis FROM trade_fee").to_pylist() == [
        {"amount": Decimal("0.100000"), "basis": None}
    ]


def test_sums_stay_exact(warehouse: DuckDbWarehouse) -> None:
    warehouse.append("trade_fee", pa.concat_tables([fee("a", "0.1"), fee("b", "0.2")]))
    total = warehouse.query("SELECT sum(amount) AS s FROM trade_fee")["s"][0].as_py()
    assert total == Decimal("0.3") and isinstance(total, Decimal)


def test_an_error_inside_a_transaction_rolls_everything_back(warehouse: DuckDbWarehouse) -> None:
    with pytest.raises(PermanentError, match="nowhere"), warehouse.transaction():
        warehouse.append("trade_fee", fee("a", "1"))
        warehouse.query("SELECT * FROM nowhere")
    assert warehouse.query("SELECT * FROM trade_fee").num_rows == 0
    with warehouse.transaction():
        warehouse.append("trade_fee", fee("a", "1"))
    assert warehouse.query("SELECT * FROM trade_fee").num_rows == 1


def test_a_transaction_sees_its_own_rows_and_other_threads_do_not(warehouse: DuckDbWarehouse) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(warehouse.query("SELECT * FROM trade_fee").num_rows)

    with warehouse.transaction():
        warehouse.append("trade_fee", fee("a", "1"))
        assert warehouse.query("SELECT * FROM trade_fee").num_rows == 1
        reader = threading.Thread(target=look)
        reader.start()
        reader.join()
    look()
    assert seen == [0, 1]


def test_nesting_transactions_is_an_error(warehouse: DuckDbWarehouse) -> None:
    with pytest.raises(PermanentError, match="already open"), warehouse.transaction(), warehouse.transaction():
        pass


def test_nanoseconds_survive_parameters(warehouse: DuckDbWarehouse) -> None:
    ns = 1_700_000_000_123_456_789
    table = warehouse.query("SELECT :t::timestamp_ntz(9) AS t", {"t": timestamp(ns)})
    assert table["t"].cast(pa.int64())[0].as_py() == ns


def test_the_snowflake_subset_runs(warehouse: DuckDbWarehouse) -> None:
    sql = "SELECT 1 AS a QUALIFY row_number() OVER (ORDER BY a) = 1"
    assert warehouse.query(sql).num_rows == 1
    assert "$name" in to_duckdb("SELECT :name AS x")


def test_a_second_process_waits_then_gives_a_transient_error(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    held = DuckDbWarehouse(path)
    code = (
        "import sys; from warehouse.duckdb import DuckDbWarehouse; from domain.errors import TransientError\n"
        "try: DuckDbWarehouse(sys.argv[1], lock_timeout_seconds=0.2)\n"
        "except TransientError as error: print('transient'); sys.exit(3)"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout.strip()) == (3, "transient"), result.stderr
    held.close()
    DuckDbWarehouse(path).close()


def test_a_broken_file_is_a_permanent_error(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises((PermanentError, TransientError)):
        DuckDbWarehouse(path, lock_timeout_seconds=0.1)


def test_a_large_append_after_an_insert_of_nothing_keeps_its_rows(warehouse: DuckDbWarehouse) -> None:
    rows = 150_000
    table = pa.table({"record_id": [str(n) for n in range(rows)], "ordinal": list(range(rows)), "amount": [1] * rows})
    with warehouse.transaction():
        warehouse.execute("INSERT INTO trade_fee SELECT * FROM trade_fee")
        warehouse.append("trade_fee", table)
    assert warehouse.query("SELECT record_id FROM trade_fee").num_rows == rows


def test_out_of_memory_is_told_as_such_and_leaves_nothing_behind(tmp_path: Path) -> None:
    small = DuckDbWarehouse(":memory:", memory_limit_mb=1, spill_folder=tmp_path)
    small.execute("CREATE TABLE fee (record_id VARCHAR)")
    rows = pa.table({"record_id": [f"{n:0100d}" for n in range(100_000)]})
    digits = "SELECT string_agg(CAST(hash(r.range) AS VARCHAR)) FROM range(1000000) r"
    attempts = (
        lambda: small.query("SELECT array_agg(hash(r.range)) FROM range(1000000) r"),
        lambda: small.execute(f"INSERT INTO fee {digits}"),
        lambda: small.append("fee", rows),
    )
    for attempt in attempts:
        with pytest.raises(OutOfMemory, match="used"), small.transaction():
            small.append("fee", rows[:1])
            attempt()
        assert small.query("SELECT * FROM fee").num_rows == 0
    assert small.append("fee", rows[:1]) == 1
    small.close()
