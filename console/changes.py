"""What moved since a reader last looked: a cheap version number and the break ids behind it, as an event stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from console.rows import rows, text, whole
from warehouse.port import Warehouse

KEEPALIVE_SECONDS = 15.0
MAX_IDS = 200

_VERSION = """
SELECT (SELECT count(*) FROM break_change) AS changes, (SELECT count(*) FROM action) AS actions,
  (SELECT count(*) FROM ticket_delivery) AS deliveries, (SELECT count(*) FROM break_score) AS scores
"""
_NEWEST = "SELECT break_id FROM break_change ORDER BY as_of DESC, change_id DESC LIMIT :n"


@dataclass(frozen=True, slots=True)
class Version:
    """Row counts of the append-only tables a queue row depends on; any difference means something moved."""

    changes: int
    actions: int
    deliveries: int
    scores: int

    @property
    def total(self) -> int:
        """One number that grows with every change."""
        return self.changes + self.actions + self.deliveries + self.scores


def version(warehouse: Warehouse) -> Version:
    """The current version."""
    row = rows(warehouse.query(_VERSION))[0]
    return Version(*(whole(row, name) for name in ("changes", "actions", "deliveries", "scores")))


def changed_ids(warehouse: Warehouse, before: Version, after: Version) -> list[str]:
    """Break ids of the newest changes between two versions, at most MAX_IDS."""
    n = min(after.changes - before.changes, MAX_IDS)
    if n <= 0:
        return []
    return sorted({text(r, "break_id") for r in rows(warehouse.query(_NEWEST, {"n": n}))})


async def stream(
    request: Request, warehouse: Warehouse, poll_seconds: float, stream_seconds: float
) -> AsyncIterator[str]:
    """Server-sent events: one `change` per movement, a comment as keep-alive; ends after `stream_seconds`.

    The browser reconnects by itself, so a bounded life costs nothing and lets the server stop.
    """
    last: Version | None = None
    idle = 0.0
    polls = max(1, int(stream_seconds / poll_seconds))
    for _ in range(polls):
        now = await run_in_threadpool(version, warehouse)
        if now != last:
            ids = await run_in_threadpool(changed_ids, warehouse, last, now) if last else []
            yield f"event: change\ndata: {json.dumps({'version': now.total, 'break_ids': ids})}\n\n"
            last, idle = now, 0.0
        elif idle >= KEEPALIVE_SECONDS:
            yield ": keep-alive\n\n"
            idle = 0.0
        await asyncio.sleep(poll_seconds)
        idle += poll_seconds
        if await request.is_disconnected():
            return
