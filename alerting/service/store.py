"""SQLite (WAL) storage of the service: one table per ServiceNow table, every value text, unique sys_id."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from alerting.service.sqltext import Sql
from alerting.service.tables import TABLES, Kind, ServiceTable

Record = dict[str, str]

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS incident_correlation ON incident (correlation_id COLLATE NOCASE)",
    "CREATE INDEX IF NOT EXISTS incident_updated ON incident (sys_updated_on)",
    "CREATE INDEX IF NOT EXISTS journal_element ON sys_journal_field (element_id COLLATE NOCASE)",
    "CREATE INDEX IF NOT EXISTS attachment_place ON sys_attachment (table_sys_id COLLATE NOCASE)",
    "CREATE INDEX IF NOT EXISTS sla_task ON task_sla (task)",
)
_ELAPSED = "max(0, strftime('%s', :now) - strftime('%s', start_time) - coalesce(strftime('%s', pause_duration), 0))"
_ALLOWED = (
    "(strftime('%s', planned_end_time) - strftime('%s', start_time) - coalesce(strftime('%s', pause_duration), 0))"
)
# A due date that had passed when the incident was opened leaves no time at all.
_PERCENTAGE = f"CASE WHEN {_ALLOWED} <= 0 THEN '100.00' ELSE printf('%.2f', 100.0 * {_ELAPSED} / {_ALLOWED}) END"
_LEFT = "datetime(max(0, strftime('%s', planned_end_time) - strftime('%s', :now)), 'unixepoch')"
_RUN_CLOCKS = f"""
UPDATE task_sla SET
  has_breached = CASE WHEN planned_end_time <= :now THEN 'true' ELSE has_breached END,
  duration = datetime({_ELAPSED}, 'unixepoch'), business_duration = datetime({_ELAPSED}, 'unixepoch'),
  time_left = {_LEFT}, business_time_left = {_LEFT},
  percentage = {_PERCENTAGE}, business_percentage = {_PERCENTAGE}
WHERE active = 'true' AND stage = 'in_progress' AND start_time <> '' AND planned_end_time <> ''
"""


class UniqueKeyError(Exception):
    """A record with this sys_id exists already."""


def new_sys_id() -> str:
    """A random 32-digit hexadecimal identity."""
    return uuid4().hex


def _stored(table: ServiceTable) -> list[str]:
    return [column.name for column in table.columns.values() if column.kind is not Kind.JOURNAL]


def _quoted(name: str) -> str:
    """A column name from the data dictionary; `group` is a word of SQL."""
    return f'"{name}"'


class Store:
    """Records of all tables. Used from one thread (the event loop's); each `transaction` commits or rolls back."""

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False, timeout=10.0)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        for table in TABLES.values():
            columns = ", ".join(
                f"{_quoted(name)} TEXT NOT NULL DEFAULT ''" if name != "sys_id" else "sys_id TEXT NOT NULL UNIQUE"
                for name in _stored(table)
            )
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table.name} ({columns})")
            self._add_columns(table)
        self._connection.execute("CREATE TABLE IF NOT EXISTS blob (sys_id TEXT PRIMARY KEY, content BLOB NOT NULL)")
        self._connection.execute("CREATE TABLE IF NOT EXISTS number_counter (prefix TEXT PRIMARY KEY, last INTEGER)")
        for statement in _INDEXES:
            self._connection.execute(statement)

    @property
    def tables(self) -> Mapping[str, ServiceTable]:
        """The data dictionary."""
        return TABLES

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing for the statements inside."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def next_number(self, table: ServiceTable, first: int = 10_001) -> str:
        """The next record number such as INC0010001; empty for tables without numbers."""
        if not table.number_prefix:
            return ""
        row = self._connection.execute(
            "INSERT INTO number_counter VALUES (?, ?) "
            "ON CONFLICT (prefix) DO UPDATE SET last = last + 1 RETURNING last",
            (table.number_prefix, first),
        ).fetchone()
        return f"{table.number_prefix}{row[0]:0{table.number_width}d}"

    def insert(self, table: ServiceTable, record: Mapping[str, str]) -> None:
        """Add one record; raises UniqueKeyError when its sys_id is taken."""
        names = [name for name in _stored(table) if name in record]
        marks = ", ".join("?" for _ in names)
        try:
            self._connection.execute(
                f"INSERT INTO {table.name} ({', '.join(map(_quoted, names))}) VALUES ({marks})",
                [record[name] for name in names],
            )
        except sqlite3.IntegrityError as error:
            raise UniqueKeyError(record["sys_id"]) from error

    def update(self, table: ServiceTable, sys_id: str, values: Mapping[str, str]) -> None:
        """Set columns of one record."""
        if values:
            names = ", ".join(f"{_quoted(name)} = ?" for name in values)
            self._connection.execute(f"UPDATE {table.name} SET {names} WHERE sys_id = ?", [*values.values(), sys_id])

    def delete(self, table: ServiceTable, sys_id: str) -> bool:
        """Remove one record; False when there was none."""
        return self._connection.execute(f"DELETE FROM {table.name} WHERE sys_id = ?", [sys_id]).rowcount > 0

    def get(self, table: ServiceTable, sys_id: str) -> Record | None:
        """One record, or None."""
        row = self._connection.execute(f"SELECT * FROM {table.name} WHERE sys_id = ?", [sys_id]).fetchone()
        return dict(row) if row else None

    def select(self, table: ServiceTable, where: Sql, order: str, limit: int, offset: int) -> list[Record]:
        """A window of the records that satisfy `where`, in `order`."""
        rows = self._connection.execute(
            f"SELECT t.* FROM {table.name} t WHERE {where.text} ORDER BY {order} LIMIT ? OFFSET ?",
            [*where.values, limit, offset],
        )
        return [dict(row) for row in rows]

    def count(self, table: ServiceTable, where: Sql) -> int:
        """How many records satisfy `where`."""
        row = self._connection.execute(
            f"SELECT count(*) FROM {table.name} t WHERE {where.text}", where.values
        ).fetchone()
        return int(row[0])

    def scalar(self, table: ServiceTable, sql: str, sys_id: str) -> str:
        """One expression (from `query.expression`) of one record."""
        row = self._connection.execute(f"SELECT {sql} FROM {table.name} t WHERE t.sys_id = ?", [sys_id]).fetchone()
        return str(row[0]) if row else ""

    def find(self, table: ServiceTable, column: str, value: str) -> Record | None:
        """The first record whose `column` (a data dictionary name) equals `value`."""
        if column not in table.columns:
            raise KeyError(column)
        row = self._connection.execute(
            f"SELECT * FROM {table.name} WHERE {_quoted(column)} = ? ORDER BY rowid LIMIT 1", [value]
        ).fetchone()
        return dict(row) if row else None

    def aggregate(
        self,
        table: ServiceTable,
        values: Sequence[str],
        by: Sequence[str],
        where: Sql,
        having: Sql | None,
        order: str,
        limit: int = 10_000,
    ) -> list[tuple[object, ...]]:
        """Groups and values (SQL from `query.expression`) of the records that satisfy `where`."""
        wanted = ", ".join([*by, *values]) or "count(*)"
        text = f"SELECT {wanted} FROM {table.name} t WHERE {where.text}"
        bound = list(where.values)
        if by:
            text += f" GROUP BY {', '.join(by)}"
        if having is not None:
            text += f" HAVING {having.text}"
            bound += having.values
        if by and order:
            text += f" ORDER BY {order}"
        return [tuple(row) for row in self._connection.execute(f"{text} LIMIT ?", [*bound, limit])]

    def judged(self, table: ServiceTable, conditions: Sequence[Sql], sys_id: str) -> list[bool]:
        """Which conditions (from `query.parse`) one record satisfies."""
        wanted = ", ".join(f"({one.text})" for one in conditions)
        bound = [value for one in conditions for value in one.values]
        row = self._connection.execute(
            f"SELECT {wanted} FROM {table.name} t WHERE t.sys_id = ?", [*bound, sys_id]
        ).fetchone()
        return [bool(value) for value in row] if row else [False] * len(conditions)

    def run_clocks(self, now: str, sys_id: str = "") -> None:
        """What running SLA clocks (or one) show at `now` (UTC text): elapsed, left, percentage, breached."""
        only = " AND sys_id = :only" if sys_id else ""
        self._connection.execute(_RUN_CLOCKS + only, {"now": now, "only": sys_id})

    def keep_blob(self, sys_id: str, content: bytes) -> None:
        """Store a file's bytes."""
        self._connection.execute("INSERT OR REPLACE INTO blob VALUES (?, ?)", [sys_id, content])

    def blob(self, sys_id: str) -> bytes:
        """A file's bytes; empty when there are none."""
        row = self._connection.execute("SELECT content FROM blob WHERE sys_id = ?", [sys_id]).fetchone()
        return bytes(row[0]) if row else b""

    def drop_blob(self, sys_id: str) -> None:
        """Forget a file's bytes."""
        self._connection.execute("DELETE FROM blob WHERE sys_id = ?", [sys_id])

    def _add_columns(self, table: ServiceTable) -> None:
        """Columns that a file of an earlier version lacks."""
        there = {row["name"] for row in self._connection.execute(f"PRAGMA table_info({table.name})")}
        for name in _stored(table):
            if name not in there:
                self._connection.execute(
                    f"ALTER TABLE {table.name} ADD COLUMN {_quoted(name)} TEXT NOT NULL DEFAULT ''"
                )

    def journal(self, element_id: str, element: str) -> Sequence[Record]:
        """Journal entries of one record's field, newest first."""
        rows = self._connection.execute(
            "SELECT * FROM sys_journal_field WHERE element_id = ? COLLATE NOCASE AND element = ? ORDER BY rowid DESC",
            [element_id, element],
        )
        return [dict(row) for row in rows]
