"""Reading the store: executions, history, counts per status and numbers per state."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.port import Execution, HistoryEvent
from orchestrator.store import Store

# Percentiles by rank: the value at position ceil(share * n) of the sorted durations.
_STATES_SQL = """
WITH entered AS (
  SELECT state, count(*) AS count FROM event WHERE type LIKE '%StateEntered' GROUP BY state
), ranked AS (
  SELECT state, ms, row_number() OVER (PARTITION BY state ORDER BY ms) AS position,
    count(*) OVER (PARTITION BY state) AS total
  FROM duration WHERE ok = 1
), spread AS (
  SELECT state,
    min(CASE WHEN position * 100 >= total * 50 THEN ms END) AS p50_ms,
    min(CASE WHEN position * 100 >= total * 99 THEN ms END) AS p99_ms
  FROM ranked GROUP BY state
), outcome AS (
  SELECT state, sum(ok) AS succeeded, sum(1 - ok) AS failed FROM duration GROUP BY state
)
SELECT e.state, e.count, coalesce(o.succeeded, 0) AS succeeded, coalesce(o.failed, 0) AS failed, s.p50_ms, s.p99_ms
FROM entered e LEFT JOIN outcome o ON o.state = e.state LEFT JOIN spread s ON s.state = e.state
"""


def executions(store: Store, where: str, params: Sequence[object]) -> list[Execution]:
    """Executions selected by a WHERE/ORDER BY/LIMIT clause of our own."""
    return [
        Execution(
            name=row["name"],
            status=row["status"],
            input=json.loads(row["input"]),
            output=json.loads(row["output"]) if row["output"] is not None else None,
            error=row["error"] or "",
            cause=row["cause"] or "",
            started_at=row["started_at"],
            stopped_at=row["stopped_at"],
            redrive_count=row["redrive_count"],
        )
        for row in store.rows(f"SELECT * FROM exec {where}", params)
    ]


def history(store: Store, name: str) -> list[HistoryEvent]:
    """The events of one execution in order."""
    return [
        HistoryEvent(
            row["seq"], row["type"], row["previous"], row["ts"], row["state"] or "", json.loads(row["details"])
        )
        for row in store.rows("SELECT * FROM event WHERE exec = ? ORDER BY seq", (name,))
    ]


def counts(store: Store) -> Mapping[str, int]:
    """Executions per status."""
    return {row["status"]: row["n"] for row in store.rows("SELECT status, count(*) AS n FROM exec GROUP BY status")}


def statistics(store: Store) -> Mapping[str, Mapping[str, Any]]:
    """Numbers per state over every execution on record."""
    return {row["state"]: row for row in store.rows(_STATES_SQL)}
