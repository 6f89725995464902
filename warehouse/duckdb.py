"""DuckDB adapter: one file, one writer; readers get their own cursor and see committed state."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlglot.errors import SqlglotError

from domain.clock import Clock, SystemClock
from domain.errors import PermanentError, TransientError
from warehouse.port import OutOfMemory, Params
from warehouse.sql import to_duckdb

_LOCK_RETRY_SECONDS = 0.1
_STAGING = "tieout_staging"
_COPY = "tieout_copy"
# One statement is read at a time.
_PARSING = threading.Lock()
_Errors = tuple[type[Exception], ...]
_REFUSED: _Errors = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, SqlglotError)
_APPEND_REFUSED: _Errors = (duckdb.Error,)


class DuckDbWarehouse:
    """Warehouse on a local DuckDB file (or `:memory:`).

    One connection writes, guarded by a lock; a reading thread gets a cursor of its own. Only one process may hold the
    file: opening waits up to `lock_timeout_seconds` for a predecessor to go, then raises TransientError.
    What does not fit into `memory_limit_mb` goes to disk: into `spill_folder`, else beside the file.
    """

    def __init__(
        self,
        path: Path | str = ":memory:",
        *,
        clock: Clock | None = None,
        lock_timeout_seconds: float = 10.0,
        threads: int = 2,
        memory_limit_mb: int = 2048,
        spill_folder: Path | None = None,
        read_only: bool = False,
    ) -> None:
        self._connection = _open(str(path), clock or SystemClock(), lock_timeout_seconds, read_only)
        self._connection.execute("SET wal_autocheckpoint = '1GB'")
        self._connection.execute(f"SET threads = {int(threads)}")
        self._connection.execute(f"SET memory_limit = '{int(memory_limit_mb)}MB'")
        if spill_folder is not None:
            self._connection.execute("SET temp_directory = ?", [str(spill_folder)])
        self._connection.execute("SET TimeZone = 'UTC'")
        # DuckDB 2.0.0 loses the rows of a large insert that keeps their order when an earlier insert of the same
        # transaction added none to the table. No statement relies on the order of rows that it does not ask for.
        self._connection.execute("SET preserve_insertion_order = false")
        self._writer = threading.RLock()
        self._owner: int | None = None
        self._closed = False

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        if self._owner == threading.get_ident():
            return _select(self._connection, sql, params)
        cursor = self._connection.cursor()
        try:
            return _select(cursor, sql, params)
        finally:
            cursor.close()

    def execute(self, sql: str, params: Params | None = None) -> int:
        with self._writer, _answered():
            rows = self._connection.execute(_parsed(sql), dict(params) if params else {}).fetchall()
        return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0

    def append(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows == 0:
            return 0
        names = ", ".join(f'"{name}"' for name in rows.column_names)
        with self._writer:
            self._connection.register(_STAGING, rows)
            try:
                with _answered(_APPEND_REFUSED, f"append to {table}"):
                    self._connection.execute(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM {_STAGING}')
            finally:
                # Not in a transaction that this has aborted; there the next append replaces it.
                with suppress(duckdb.TransactionException):
                    self._connection.unregister(_STAGING)
        return int(rows.num_rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._writer:
            if self._owner is not None:
                raise PermanentError("a transaction is already open on this thread")
            self._connection.execute("BEGIN TRANSACTION")
            self._owner = threading.get_ident()
            try:
                yield
            except BaseException:
                # DuckDB reports success for COMMIT after an error and loses rows: always roll back.
                self._connection.execute("ROLLBACK")
                raise
            else:
                with _answered():
                    self._connection.execute("COMMIT")
            finally:
                self._owner = None

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file; call in idle gaps, it takes tens of milliseconds."""
        with self._writer, _answered():
            self._connection.execute("CHECKPOINT")

    def copy_to(self, path: Path) -> None:
        """Write the committed state of this moment into a new DuckDB file; writers and readers go on meanwhile.

        Raises PermanentError where the file cannot be written.
        """
        cursor = self._connection.cursor()
        try:
            source = cursor.execute("SELECT current_database()").fetchall()[0][0]
            cursor.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS {_COPY}")
            try:
                cursor.execute(f'COPY FROM DATABASE "{source}" TO {_COPY}')
            finally:
                cursor.execute(f"DETACH {_COPY}")
        except duckdb.Error as error:
            raise PermanentError(f"copy of the warehouse to {path}: {error}") from error
        finally:
            cursor.close()

    def close(self) -> None:
        with self._writer:
            if not self._closed:
                self._closed = True
                self._connection.close()


def _open(path: str, clock: Clock, timeout_seconds: float, read_only: bool) -> duckdb.DuckDBPyConnection:
    deadline = clock.monotonic() + timeout_seconds
    while True:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise PermanentError(f"cannot open warehouse {path}: {error}") from error
            if clock.monotonic() >= deadline:
                raise TransientError(f"warehouse {path} is held by another process: {error}") from error
            clock.sleep(_LOCK_RETRY_SECONDS)


@lru_cache(maxsize=4096)
def _parsed(sql: str) -> duckdb.Statement:
    """The statement ready to be planned: a run asks the same ones again, and a long one takes a third of its planning
    to be read."""
    with _PARSING:
        return _parser().extract_statements(to_duckdb(sql))[0]


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """Reads statements for every warehouse of the process, so that one may warm them up for another; holds nothing."""
    return duckdb.connect(config={"threads": 1})


def _select(connection: duckdb.DuckDBPyConnection, sql: str, params: Params | None) -> pa.Table:
    with _answered():
        return connection.sql(_parsed(sql), params=dict(params) if params else None).to_arrow_table()


@contextmanager
def _answered(refused: _Errors = _REFUSED, doing: str = "SQL refused") -> Iterator[None]:
    """What DuckDB answers to a statement, as the port has it."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        # After the first line it recommends settings of its own.
        raise OutOfMemory(str(error).partition("\n")[0].removeprefix("Out of Memory Error: ")) from error
    except refused as error:
        raise PermanentError(f"{doing}: {error}") from error
