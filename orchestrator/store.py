"""The durable store: executions, task outcomes, events, timers and the ledger in one SQLite file (WAL, one writer)."""

import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.arns import machine_and_name

_LOG_STEP = math.log(1.05)
_DEFINITIONS_MAX = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS exec (
  name TEXT PRIMARY KEY, definition_hash TEXT NOT NULL, input TEXT NOT NULL, status TEXT NOT NULL,
  output TEXT, error TEXT, cause TEXT, started_at INTEGER NOT NULL, stopped_at INTEGER,
  redrive_count INTEGER NOT NULL DEFAULT 0, machine TEXT NOT NULL DEFAULT 'tieout', redriven_at INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS exec_status ON exec (status, started_at);
CREATE INDEX IF NOT EXISTS exec_started ON exec (started_at);
CREATE TABLE IF NOT EXISTS definition (hash TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machine (
  name TEXT PRIMARY KEY, definition_hash TEXT NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS activity (name TEXT PRIMARY KEY, created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
  exec TEXT NOT NULL, key TEXT NOT NULL, visit TEXT NOT NULL, ok INTEGER NOT NULL, result TEXT, error TEXT,
  cause TEXT, ended_at INTEGER NOT NULL, turn INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (exec, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
  exec TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, state TEXT, ts INTEGER NOT NULL,
  previous INTEGER NOT NULL, details TEXT NOT NULL, PRIMARY KEY (exec, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timer (
  exec TEXT NOT NULL, key TEXT NOT NULL, due INTEGER NOT NULL, fired INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (exec, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
  token TEXT PRIMARY KEY, exec TEXT NOT NULL, key TEXT NOT NULL, created_at INTEGER NOT NULL, due INTEGER,
  beat_due INTEGER, beat_seconds REAL, submitted TEXT, early TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_exec ON token (exec);
CREATE TABLE IF NOT EXISTS tally (
  state TEXT PRIMARY KEY, entered INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latency (
  state TEXT NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (state, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lane (
  lane TEXT PRIMARY KEY, token INTEGER NOT NULL, position TEXT, marks TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plan (
  name TEXT PRIMARY KEY, lane TEXT NOT NULL, after TEXT, until TEXT NOT NULL, marks TEXT NOT NULL,
  next_marks TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS plan_lane ON plan (lane);
"""

# Columns a file of an earlier version may lack.
_LATER = (("machine", "TEXT NOT NULL DEFAULT 'tieout'"), ("redriven_at", "INTEGER"))
_TASK_ENDS = frozenset(
    f"{family}{ending}"
    for family in ("Task", "LambdaFunction", "Activity")
    for ending in ("Succeeded", "Failed", "TimedOut")
)
Synchronous = Literal["NORMAL", "FULL"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A memoised task outcome; `visit` is the key without the attempt, `turn` its place in the order of outcomes."""

    key: str
    visit: str
    ok: bool
    result: Any
    error: str
    cause: str
    ended_at: int
    turn: int = 0


class Store:
    """One connection writes, behind a lock, always in a transaction; another reads what is committed meanwhile."""

    def __init__(self, path: Path | str, synchronous: Synchronous = "NORMAL") -> None:
        if synchronous not in ("NORMAL", "FULL"):
            raise ValueError(f"synchronous is NORMAL or FULL, not {synchronous!r}")
        self._lock, self._reading = threading.RLock(), threading.Lock()
        self._holder: int | None = None
        self._definitions: dict[str, Any] = {}
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.executescript(_SCHEMA)
        if "turn" not in {row["name"] for row in self._connection.execute("PRAGMA table_info(task)")}:
            # A file of a version that ran one task of an execution at a time.
            self._connection.execute("ALTER TABLE task ADD COLUMN turn INTEGER NOT NULL DEFAULT 0")
        have = {row["name"] for row in self._connection.execute("PRAGMA table_info(exec)")}
        for column, kind in _LATER:
            if column not in have:
                self._connection.execute(f"ALTER TABLE exec ADD COLUMN {column} {kind}")
        self._connection.execute("CREATE INDEX IF NOT EXISTS exec_machine ON exec (machine, started_at)")
        # Whoever asks does not wait for the engine's batches. A database in memory has one connection only.
        self._reader: sqlite3.Connection | None = None
        if str(path) != ":memory:":
            self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._reader.row_factory = sqlite3.Row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another is all or nothing too, and lasts only if the outer one does."""
        with self._lock:
            is_inner = self._connection.in_transaction
            commit, undo = ("RELEASE s", ["ROLLBACK TO s", "RELEASE s"]) if is_inner else ("COMMIT", ["ROLLBACK"])
            self._connection.execute("SAVEPOINT s" if is_inner else "BEGIN IMMEDIATE")
            self._holder = threading.get_ident()
            try:
                yield
                self._connection.execute(commit)
            except BaseException:
                for statement in undo:
                    # A full disk may have ended the transaction already.
                    if self._connection.in_transaction:
                        self._connection.execute(statement)
                raise
            finally:
                if not self._connection.in_transaction:
                    self._holder = None

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Rows of a query as mappings; inside a transaction of the caller's own, with what it wrote."""
        if self._reader is not None and self._holder != threading.get_ident():
            with self._reading:
                return [dict(row) for row in self._reader.execute(sql, params)]
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, params)]

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; returns the rows it changed."""
        with self._lock:
            return self._connection.execute(sql, params).rowcount

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for many rows."""
        with self._lock:
            self._connection.executemany(sql, rows)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock, self._reading:
            if self._reader is not None:
                self._reader.close()
            self._connection.close()

    def add_execution(self, name: str, definition_hash: str, input_text: str, now: int) -> Row:
        """Insert a RUNNING execution of a definition that is on record; returns its row."""
        self.execute(
            "INSERT INTO exec (name, definition_hash, input, status, started_at, machine)"
            " VALUES (?, ?, ?, 'RUNNING', ?, ?)",
            (name, definition_hash, input_text, now, machine_and_name(name)[0]),
        )
        return {
            "name": name, "definition_hash": definition_hash, "input": input_text, "status": "RUNNING",
            "started_at": now, "redrive_count": 0, "redriven_at": None,
        }  # fmt: skip

    def execution(self, name: str) -> Row | None:
        """The execution's row, or None."""
        found = self.rows("SELECT * FROM exec WHERE name = ?", (name,))
        return found[0] if found else None

    def definition_text(self, digest: str) -> str:
        """A stored definition as it was given."""
        return str(self.rows("SELECT body FROM definition WHERE hash = ?", (digest,))[0]["body"])

    def definition(self, digest: str) -> Any:
        """A stored definition, parsed; the same object every time, so it must not be changed."""
        found = self._definitions.get(digest)
        if found is None:
            if len(self._definitions) >= _DEFINITIONS_MAX:
                self._definitions.clear()
            found = self._definitions[digest] = json.loads(self.definition_text(digest))
        return found

    def task_rows(self, name: str) -> dict[str, TaskRow]:
        """Memoised outcomes of an execution by key."""
        return {
            row["key"]: TaskRow(
                row["key"],
                row["visit"],
                bool(row["ok"]),
                json.loads(row["result"]) if row["result"] is not None else None,
                row["error"] or "",
                row["cause"] or "",
                row["ended_at"],
                row["turn"],
            )
            for row in self.rows("SELECT * FROM task WHERE exec = ?", (name,))
        }

    def count(
        self, entered: Mapping[str, int], ended: Mapping[tuple[str, bool], int], took: Mapping[tuple[str, int], int]
    ) -> None:
        """Count states entered, task ends by state and success, and task durations by state and bucket."""
        for column, counts in (
            ("entered", entered),
            ("succeeded", {state: n for (state, ok), n in ended.items() if ok}),
            ("failed", {state: n for (state, ok), n in ended.items() if not ok}),
        ):
            if counts:
                self.executemany(
                    f"INSERT INTO tally (state, {column}) VALUES (?, ?)"
                    f" ON CONFLICT (state) DO UPDATE SET {column} = {column} + excluded.{column}",
                    counts.items(),
                )
        if took:
            self.executemany(
                "INSERT INTO latency VALUES (?, ?, ?) ON CONFLICT (state, bucket) DO UPDATE SET n = n + excluded.n",
                ((state, bucket, n) for (state, bucket), n in took.items()),
            )

    def forget_failed_visit(self, name: str) -> None:
        """Forget the task an ended execution failed on, and its retries' timers, so that a redrive calls it again.

        An execution that ended otherwise (a Fail state, a choice without a match, a stop) has nothing to forget.
        """
        last = self.rows(
            "SELECT type, seq FROM event WHERE exec = ? AND type NOT LIKE 'Execution%' AND type NOT LIKE 'Map%Failed'"
            " AND type NOT LIKE '%Aborted' AND type <> 'ParallelStateFailed' ORDER BY seq DESC LIMIT 1",
            (name,),
        )
        if not last:
            return
        # The children of a distributed Map are not in the history: only its own failure is.
        sql = "SELECT 1 FROM event WHERE exec = ? AND seq > ? AND type = 'MapRunFailed'"
        if last[0]["type"] not in _TASK_ENDS and not self.rows(sql, (name, last[0]["seq"])):
            return
        sql = "SELECT visit FROM task WHERE exec = ? ORDER BY turn DESC, ended_at DESC, key DESC LIMIT 1"
        for visit in (row["visit"] for row in self.rows(sql, (name,))):
            self.execute("DELETE FROM task WHERE exec = ? AND visit = ?", (name, visit))
            for table in ("timer", "token"):
                self.execute(
                    f"DELETE FROM {table} WHERE exec = ? AND substr(key, 1, ?) = ?", (name, len(visit) + 1, visit + "#")
                )

    def submissions(self, name: str) -> dict[str, str | None]:
        """What the calls that carried tokens away answered (JSON text, None before they did), by task key."""
        rows = self.rows("SELECT key, submitted FROM token WHERE exec = ?", (name,))
        return {row["key"]: row["submitted"] for row in rows}

    def last_event(self, name: str) -> int:
        """Number of the newest history event, 0 without any."""
        return int(self.rows("SELECT coalesce(max(seq), 0) AS n FROM event WHERE exec = ?", (name,))[0]["n"])

    def entered_ns(self, name: str) -> list[int]:
        """When each state was entered (UTC ns), in order."""
        sql = "SELECT ts FROM event WHERE exec = ? AND type LIKE '%StateEntered' ORDER BY seq"
        return [row["ts"] for row in self.rows(sql, (name,))]

    def redrives_told(self, name: str) -> int:
        """How many redrives the history tells of."""
        sql = "SELECT count(*) AS n FROM event WHERE exec = ? AND type = 'ExecutionRedriven'"
        return int(self.rows(sql, (name,))[0]["n"])

    def timers(self, name: str) -> dict[str, tuple[int, int]]:
        """Due time (UTC ns) and the turn in which it fired (0: it has not), by key."""
        rows = self.rows("SELECT key, due, fired FROM timer WHERE exec = ?", (name,))
        return {row["key"]: (row["due"], row["fired"]) for row in rows}


def bucket_of(milliseconds: float) -> int:
    """The histogram bucket of a duration; neighbours differ by 5 %."""
    return round(math.log(max(milliseconds, 0.001)) / _LOG_STEP)


def bucket_milliseconds(bucket: int) -> float:
    """The duration a bucket stands for."""
    return math.exp(bucket * _LOG_STEP)
