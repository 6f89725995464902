"""What waits in the outbox, ticket by ticket, and what was refused: the dead letters and sending them again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerting.port import TicketKey
from alerting.rows import (
    OPEN,
    REISSUE,
    REOPEN,
    RETRY,
    STORM_PREFIX,
    UPDATE,
    DeliveryRow,
    append_deliveries,
    records,
    select_by_ids,
)
from domain.clock import Clock
from warehouse.port import Warehouse

_STANDING = """
WITH sent AS (
  SELECT outbox_key, max(attempt) AS attempts,
    max(CASE WHEN outcome = 'DELIVERED' THEN 1 ELSE 0 END) AS done,
    max(CASE WHEN outcome = 'DEAD' THEN attempt ELSE 0 END) AS dead_at
  FROM ticket_delivery GROUP BY outbox_key
), standing AS (
  SELECT o.*, coalesce(s.attempts, 0) AS attempts, coalesce(s.done, 0) AS done,
    CASE WHEN s.done = 0 AND s.dead_at = s.attempts THEN 1 ELSE 0 END AS dead
  FROM ticket_outbox o LEFT JOIN sent s ON s.outbox_key = o.outbox_key
)"""
# A ticket whose opening was refused blocks what follows it, until the opening is sent again. Parents of storms go
# first, then openings, the worst before the others: what a spent budget leaves behind is the least.
_PENDING = f"""
{_STANDING}
SELECT p.* FROM standing p LEFT JOIN recon_break b ON b.break_id = p.break_id
WHERE p.done = 0 AND p.dead = 0 AND NOT EXISTS (
  SELECT 1 FROM standing f WHERE f.sys_id = p.sys_id AND f.operation IN ('open', 'reissue') AND f.dead = 1)
  AND (:only = '' OR p.break_id = :only)
ORDER BY CASE WHEN p.break_id LIKE '{STORM_PREFIX}%' THEN 0 ELSE 1 END,
  CASE p.operation WHEN 'open' THEN 0 ELSE 1 END, coalesce(b.severity, 9) DESC, p.created_as_of, p.outbox_key
LIMIT :row_limit
"""
_LEFT = f"{_STANDING} SELECT count(*) AS n, min(created_as_of) AS oldest FROM standing WHERE done = 0 AND dead = 0"
_DEAD_ROWS = f"""
{_STANDING}
SELECT s.outbox_key, s.attempts, s.break_id, s.generation, s.operation, s.sys_id, d.http_status, d.detail,
  d.attempted_at
FROM standing s JOIN ticket_delivery d ON d.outbox_key = s.outbox_key AND d.attempt = s.attempts
WHERE s.dead = 1 ORDER BY d.attempted_at, s.outbox_key
"""
_SAID = """
SELECT sys_id, payload FROM ticket_outbox
WHERE operation IN ('open', 'update', 'reopen', 'reissue') AND sys_id IN (:ids)
"""

# Everything the outbox ever said about a ticket, by sys_id.
Said = Mapping[str, list[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Pending:
    """A row of the outbox that waits, with its payload read. `created_as_of` is UTC ns."""

    key: str
    break_id: str
    generation: int
    change_id: str
    operation: str
    ticket: TicketKey
    attempts: int
    payload: Mapping[str, Any]
    created_as_of: int

    @property
    def opens(self) -> bool:
        """True for a row that opens a ticket of its own."""
        return self.operation in (OPEN, REISSUE) and not self.in_storm

    @property
    def traceparent(self) -> str:
        """The trace of the execution that found what the row tells; empty for what a person did."""
        return str(self.payload.get("traceparent", ""))

    @property
    def in_storm(self) -> bool:
        """True for a row about a break whose ticket is a storm's: the parent's own rows speak for it."""
        return "storm" in self.payload


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row that the ticket system refused, in its words."""

    outbox_key: str
    break_id: str
    generation: int
    operation: str
    sys_id: str
    attempts: int
    http_status: int | None
    detail: str
    refused_at: int


def queues(warehouse: Warehouse, limit: int, break_id: str = "") -> list[list[Pending]]:
    """Pending rows by ticket, each ticket's rows in order; of one break, if named."""
    tickets: dict[str, list[Pending]] = {}
    for one in records(warehouse.query(_PENDING, {"row_limit": limit, "only": break_id})):
        payload = json.loads(one["payload"])
        key = TicketKey(one["sys_id"], payload["correlation_id"])
        row = Pending(
            one["outbox_key"], one["break_id"], one["generation"], one["change_id"], one["operation"], key,
            one["attempts"], payload, one["created_as_of"],
        )  # fmt: skip
        tickets.setdefault(key.sys_id, []).append(row)
    return [sorted(rows, key=_position) for rows in tickets.values()]


def _position(row: Pending) -> tuple[bool, bool, int, str]:
    return not row.opens, row.in_storm, int(row.payload["seq"]), row.key


def said(warehouse: Warehouse, waiting: Sequence[Sequence[Pending]]) -> Said:
    """Everything ever said about tickets that are about to be updated: what differs is a person's edit."""
    names = {row.ticket.sys_id for rows in waiting for row in rows if row.operation in (UPDATE, REOPEN)}
    told: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
    for one in select_by_ids(warehouse, _SAID, names):
        told[one["sys_id"]].append(json.loads(one["payload"]))
    return told


def left(warehouse: Warehouse) -> tuple[int, int | None]:
    """How many rows wait, and when the oldest was written (UTC ns; None for none)."""
    row = records(warehouse.query(_LEFT))[0]
    return int(row["n"]), row["oldest"]


def dead_letters(warehouse: Warehouse) -> list[DeadLetter]:
    """What the ticket system refused and nobody has sent again, oldest refusal first."""
    return [
        DeadLetter(
            one["outbox_key"],
            one["break_id"],
            one["generation"],
            one["operation"],
            one["sys_id"],
            one["attempts"],
            one["http_status"],
            one["detail"] or "",
            one["attempted_at"],
        )
        for one in records(warehouse.query(_DEAD_ROWS))
    ]


def redrive(warehouse: Warehouse, clock: Clock, actor: str, prefix: str = "") -> int:
    """Make dead letters pending again (`actor` asked for it): all, or those whose key begins so; returns how many."""
    now = clock.now_ns()
    rows = [
        DeliveryRow(one.outbox_key, one.attempts + 1, RETRY, None, f"sent again by {actor}", None, now)
        for one in dead_letters(warehouse)
        if one.outbox_key.startswith(prefix)
    ]
    return append_deliveries(warehouse, rows)
