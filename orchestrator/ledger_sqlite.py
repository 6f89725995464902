"""The ledger in a SQLite file of its own, which several workers of one machine share."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domain.errors import PermanentError, TransientError
from orchestrator.leases import Lease
from orchestrator.ledger import Fenced, LaneState, Plan, greatest

_BUSY_SECONDS = 10.0
_TABLE = """
CREATE TABLE IF NOT EXISTS shared_lane (
  tenant TEXT NOT NULL, lane TEXT NOT NULL, token INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '',
  beat INTEGER NOT NULL DEFAULT 0, position TEXT, marks TEXT NOT NULL DEFAULT '{}', plan TEXT,
  ended INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (tenant, lane)) WITHOUT ROWID
"""
_CLAIM = """
INSERT INTO shared_lane (tenant, lane, token) VALUES (?, ?, 1)
ON CONFLICT (tenant, lane) DO UPDATE SET token = token + 1 RETURNING token
"""
_FIRST = "INSERT INTO shared_lane (tenant, lane, token, owner, beat) VALUES (?, ?, 1, ?, 1) ON CONFLICT DO NOTHING"
_TAKE = """
UPDATE shared_lane SET owner = ?, token = token + 1, beat = beat + 1
WHERE tenant = ? AND lane = ? AND token = ? AND beat = ? RETURNING token
"""


class SharedSqliteLedger:
    """A `Ledger` and `Leases` on one file; each worker opens it for itself.

    Guarantee: of two owners of a lane exactly one commits a range. Every change is one transaction that is on disk
    when the call returns; SQLite's own lock keeps processes apart. The record holds the last range only: what came
    before it ended, since a lane runs one at a time. The file must lie on a local disk.
    """

    def __init__(self, path: Path, tenant: str) -> None:
        self._path, self._tenant = path, tenant
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_TABLE)
        except sqlite3.OperationalError as error:
            raise TransientError(f"ledger {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise PermanentError(f"ledger {path}: {error}") from error

    def claim(self, lane: str) -> int:
        with self._changes() as db:
            return int(db.execute(_CLAIM, (self._tenant, lane)).fetchone()["token"])

    def resume(self, lane: str, token: int) -> LaneState:
        with self._changes() as db:
            row = self._owned(db, lane, token)
        plan = _plan(row["plan"]) if row["plan"] is not None and not row["ended"] else None
        return LaneState(row["position"], json.loads(row["marks"]), plan)

    def plan(self, lane: str, token: int, plan: Plan) -> None:
        with self._changes() as db:
            row = self._owned(db, lane, token)
            if row["plan"] is not None and _plan(row["plan"]).name == plan.name:
                return
            if row["position"] != plan.after:
                raise PermanentError(f"lane {lane} stands at {row['position']!r}, not at {plan.after!r}")
            whole = [plan.name, plan.after, plan.until, dict(plan.marks), dict(plan.next_marks), plan.input]
            self._set(
                db, lane, position=plan.until, marks=json.dumps(dict(plan.next_marks)), plan=json.dumps(whole), ended=0
            )

    def done(self, lane: str, token: int, name: str) -> None:
        with self._changes() as db:
            row = self._row(db, lane)
            if row is None or row["plan"] is None or _plan(row["plan"]).name != name:
                return
            self._owned(db, lane, token)
            self._set(db, lane, ended=1)

    def marks(self) -> Mapping[str, int]:
        return greatest(json.loads(row["marks"]) for row in self._rows())

    def leases(self) -> Mapping[str, Lease]:
        return {row["lane"]: Lease(row["lane"], row["owner"], row["token"], row["beat"]) for row in self._rows()}

    def take(self, lane: str, owner: str, seen: Lease | None) -> int | None:
        with self._changes() as db:
            if seen is None:
                return 1 if db.execute(_FIRST, (self._tenant, lane, owner)).rowcount else None
            found = db.execute(_TAKE, (owner, self._tenant, lane, seen.token, seen.beat)).fetchone()
            return None if found is None else int(found["token"])

    def renew(self, lane: str, token: int) -> bool:
        return self._beat(lane, token, "")

    def release(self, lane: str, token: int) -> None:
        self._beat(lane, token, ", owner = ''")

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._db.close()

    def _beat(self, lane: str, token: int, more: str) -> bool:
        sql = f"UPDATE shared_lane SET beat = beat + 1{more} WHERE tenant = ? AND lane = ? AND token = ?"
        with self._changes() as db:
            return bool(db.execute(sql, (self._tenant, lane, token)).rowcount)

    def _rows(self) -> list[sqlite3.Row]:
        with self._changes() as db:
            return db.execute("SELECT * FROM shared_lane WHERE tenant = ?", (self._tenant,)).fetchall()

    def _row(self, db: sqlite3.Connection, lane: str) -> sqlite3.Row | None:
        sql = "SELECT * FROM shared_lane WHERE tenant = ? AND lane = ?"
        found: sqlite3.Row | None = db.execute(sql, (self._tenant, lane)).fetchone()
        return found

    def _owned(self, db: sqlite3.Connection, lane: str, token: int) -> sqlite3.Row:
        row = self._row(db, lane)
        if row is None or row["token"] != token:
            raise Fenced(f"fenced: lane {lane} has a newer owner")
        return row

    def _set(self, db: sqlite3.Connection, lane: str, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        sql = f"UPDATE shared_lane SET {columns} WHERE tenant = ? AND lane = ?"
        db.execute(sql, (*values.values(), self._tenant, lane))

    @contextmanager
    def _changes(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                raise TransientError(f"ledger {self._path}: {error}") from error


def _plan(text: str) -> Plan:
    name, after, until, marks, next_marks, given = json.loads(text)
    return Plan(name, after, until, marks, next_marks, given)
