"""Snowflake adapter: one session writes, a few read; rows are loaded as Parquet through a stage."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from domain.clock import Clock, SystemClock
from domain.errors import PermanentError, TransientError
from warehouse.port import Params
from warehouse.snowflake_session import SnowflakeLogin, connect, translated
from warehouse.snowflake_values import bound, cells, parquet, result, result_of_rows

_STAGE = "tieout_load"
_MAKE_STAGE = f"create temporary stage if not exists {_STAGE}"
_COPY = (
    "copy into {table} from @{stage}/{folder}/ file_format = (type = parquet binary_as_text = false)"
    " match_by_column_name = case_insensitive purge = true"
)
# Fewer cells than this go as one INSERT: two round trips and a file less.
_FEW_CELLS = 600
_FILE_ROWS = 500_000
_READERS = 4
_RETRY_SECONDS = (0.2, 1.0, 4.0)
_COUNTED = ("insert", "update", "delete", "merge", "copy")


class SnowflakeWarehouse:
    """Warehouse in one schema of a Snowflake account.

    One session writes, guarded by a lock; up to four others read committed state. A read that meets a passing error is
    tried again; a write is not, because nobody knows whether it happened: its TransientError reaches the workflow,
    which runs the whole idempotent task again on a session of its own.
    """

    def __init__(
        self,
        login: SnowflakeLogin,
        *,
        clock: Clock | None = None,
        opener: Callable[[SnowflakeLogin], Any] = connect,
    ) -> None:
        self._login = login
        self._clock = clock or SystemClock()
        self._opener = opener
        self._writer = threading.RLock()
        self._writing: Any = None
        self._idle: list[Any] = []
        self._free_readers = threading.Semaphore(_READERS)
        self._owner: int | None = None
        self._closed = False
        with self._writer:
            self._session()

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        if self._owner == threading.get_ident():
            return self._select(self._session(), sql, params)
        for wait in (*_RETRY_SECONDS, None):
            try:
                with self._reader() as session:
                    return self._select(session, sql, params)
            except TransientError:
                if wait is None:
                    raise
                self._clock.sleep(wait)
        raise AssertionError("unreachable")

    def execute(self, sql: str, params: Params | None = None) -> int:
        with self._writer, self._written(sql) as session:
            text, values = _bound(sql, params)
            with session.cursor() as cursor:
                cursor.execute(text, values, _statement_params=self._tag("execute"))
                counted = text.lstrip()[:6].lower() in _COUNTED
                return int(cursor.rowcount or 0) if counted else 0

    def append(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows == 0:
            return 0
        with self._writer, self._written(f"append to {table}") as session, session.cursor() as cursor:
            if rows.num_rows * rows.num_columns <= _FEW_CELLS and not _has_bytes(rows):
                loaded = self._insert(cursor, table, rows)
            else:
                loaded = self._load(cursor, table, rows)
        if loaded != rows.num_rows:
            raise PermanentError(f"append to {table}: {loaded} of {rows.num_rows} rows arrived")
        return loaded

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._writer:
            if self._owner is not None:
                raise PermanentError("a transaction is already open on this thread")
            self.execute("begin transaction")
            self._owner = threading.get_ident()
            try:
                yield
                self.execute("commit")
            except BaseException:
                # Snowflake keeps what went well before an error: only a rollback makes it nothing.
                with suppress(Exception):
                    self.execute("rollback")
                raise
            finally:
                self._owner = None

    def checkpoint(self) -> None:
        """Nothing to fold: Snowflake keeps its own house."""

    def close(self) -> None:
        with self._writer:
            self._closed = True
            sessions, self._idle = [*self._idle, self._writing], []
            self._writing = None
        for session in sessions:
            _shut(session)

    def _insert(self, cursor: Any, table: str, rows: pa.Table) -> int:
        values = cells(rows)
        marks = ", ".join("(" + ", ".join("?" * rows.num_columns) + ")" for _ in values)
        names = ", ".join(rows.column_names)
        cursor.execute(
            f"insert into {table} ({names}) values {marks}",
            [value for row in values for value in row],
            _statement_params=self._tag(f"append {table}"),
        )
        return int(cursor.rowcount or 0)

    def _load(self, cursor: Any, table: str, rows: pa.Table) -> int:
        folder = secrets.token_hex(12)
        for start in range(0, rows.num_rows, _FILE_ROWS):
            cursor.execute(
                f"put file://{start}.parquet @{_STAGE}/{folder}/ auto_compress = false overwrite = true",
                file_stream=parquet(rows.slice(start, _FILE_ROWS)),
            )
        copy = _COPY.format(table=table, stage=_STAGE, folder=folder)
        cursor.execute(copy, _statement_params=self._tag(f"append {table}"))
        names = [column.name.lower() for column in cursor.description]
        at = names.index("rows_loaded") if "rows_loaded" in names else None
        return sum(int(row[at]) for row in cursor.fetchall()) if at is not None else 0

    def _select(self, session: Any, sql: str, params: Params | None) -> pa.Table:
        from snowflake.connector.errors import NotSupportedError

        text, values = _bound(sql, params)
        try:
            with session.cursor() as cursor:
                cursor.execute(text, values, _statement_params=self._tag("query"))
                try:
                    found = cursor.fetch_arrow_all(force_return_table=True)
                except NotSupportedError:
                    return result_of_rows(cursor.fetchall(), cursor.description)
                return result(found, cursor.description)
        except Exception as error:
            raise _ours(error, sql) from error

    @contextmanager
    def _written(self, doing: str) -> Iterator[Any]:
        session = self._session()
        try:
            yield session
        except Exception as error:
            told = _ours(error, doing)
            if isinstance(told, TransientError):
                self._writing = None  # what became of it is unknown: the next statement gets a fresh session
                _shut(session)
            raise told from error

    def _session(self) -> Any:
        """The writing session; a lost one is not replaced inside a transaction, whose work went with it."""
        if self._closed:
            raise PermanentError("the warehouse is closed")
        if self._writing is None:
            if self._owner is not None:
                raise TransientError("the session of this transaction was lost")
            session = self._opener(self._login)
            try:
                with session.cursor() as cursor:
                    cursor.execute(_MAKE_STAGE)
            except Exception as error:
                _shut(session)
                raise translated(error, _MAKE_STAGE) from error
            self._writing = session
        return self._writing

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        if self._closed:
            raise PermanentError("the warehouse is closed")
        with self._free_readers:
            session = self._idle.pop() if self._idle else self._opener(self._login)
            try:
                yield session
            except TransientError:
                _shut(session)
                raise
            except BaseException:
                self._idle.append(session)
                raise
            self._idle.append(session)

    def _tag(self, doing: str) -> dict[str, str]:
        return {"QUERY_TAG": f"{self._login.query_tag} {doing}"}


def _bound(sql: str, params: Params | None) -> tuple[str, list[object] | None]:
    try:
        return bound(sql, params)
    except KeyError as error:
        raise PermanentError(f"SQL refused: parameter {error} is not given: {_short(sql)}") from None


def _ours(error: Exception, doing: str) -> TransientError | PermanentError:
    if isinstance(error, (TransientError, PermanentError)):
        return error
    return translated(error, _short(doing))


def _short(sql: str) -> str:
    return " ".join(sql.split())[:80]


def _has_bytes(rows: pa.Table) -> bool:
    return any(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) for kind in rows.schema.types)


def _shut(session: Any) -> None:
    if session is not None:
        with suppress(Exception):
            session.close()
