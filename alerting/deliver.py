"""Delivers the ticket outbox: per ticket in order, once in effect, with bounded retries and a circuit breaker."""

import json
import logging
import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from alerting.port import (
    FINISHED,
    Ticket,
    TicketBusy,
    TicketChange,
    TicketDraft,
    Ticketing,
    TicketKey,
    TicketRefused,
    TicketState,
)
from alerting.rows import (
    ASSIGN,
    DEAD,
    DELIVERED,
    OPEN,
    REOPEN,
    RESOLVE,
    RETRY,
    UPDATE,
    DeliveryRow,
    append_deliveries,
    records,
    select_by_ids,
)
from domain.clock import Clock
from domain.errors import TransientError
from domain.ids import digest128
from warehouse.port import Warehouse

_LOG = logging.getLogger(__name__)

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
# A ticket whose opening was refused blocks what follows it, until the opening is sent again.
_PENDING = f"""
{_STANDING}
SELECT p.* FROM standing p
WHERE p.done = 0 AND p.dead = 0 AND NOT EXISTS (
  SELECT 1 FROM standing f
  WHERE f.break_id = p.break_id AND f.generation = p.generation AND f.operation = 'open' AND f.dead = 1)
  AND (:only = '' OR p.break_id = :only)
ORDER BY CASE p.operation WHEN 'open' THEN 0 ELSE 1 END, p.created_as_of, p.outbox_key LIMIT :row_limit
"""
_LEFT = f"{_STANDING} SELECT count(*) AS n FROM standing WHERE done = 0 AND dead = 0"
_DEAD_ROWS = f"{_STANDING} SELECT outbox_key, attempts FROM standing WHERE dead = 1"
_SAID = """
SELECT break_id, generation, payload FROM ticket_outbox
WHERE operation IN ('open', 'update', 'reopen') AND break_id IN (:ids)
"""
_EDITABLE = ("short_description", "description", "impact", "urgency")
_REF_DIGITS = 12


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """Bounds of one delivery run."""

    rows: int = 2_000
    workers: int = 4
    attempts_per_run: int = 3
    breaker_failures: int = 8
    backoff_seconds: float = 0.2
    max_wait_seconds: float = 5.0
    flush_rows: int = 100


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """Outbox rows delivered and refused by this run, and how many still wait."""

    delivered: int
    pending: int
    dead: int


def deliver(
    warehouse: Warehouse,
    ticketing: Ticketing,
    clock: Clock,
    limits: DeliveryLimits | None = None,
    break_id: str = "",
) -> DeliveryReport:
    """Send what waits in the outbox (of one break, if named) and record every outcome.

    Safe to run twice at once: openings carry deterministic identities and notes carry a reference. Raises
    TransientError when rows were left behind because the ticket system could not be reached.
    """
    bounds = limits or DeliveryLimits()
    queues = _queues(warehouse, bounds.rows, break_id)
    run = _Run(ticketing, clock, bounds, _said(warehouse, queues))
    delivered = dead = waiting = 0
    cause = ""
    buffer: list[DeliveryRow] = []
    with ThreadPoolExecutor(max_workers=bounds.workers, thread_name_prefix="ticket") as pool:
        for outcomes in pool.map(run.ticket, queues):
            for outcome in outcomes:
                delivered += outcome.outcome == DELIVERED
                dead += outcome.outcome == DEAD
                waiting += outcome.outcome == RETRY
                cause = outcome.detail if outcome.outcome == RETRY else cause
            buffer.extend(outcomes)
            if len(buffer) >= bounds.flush_rows:
                append_deliveries(warehouse, buffer)
                buffer = []
    append_deliveries(warehouse, buffer)
    left = int(records(warehouse.query(_LEFT))[0]["n"])
    if waiting:
        raise TransientError(f"{left} ticket rows wait: {cause}")
    return DeliveryReport(delivered, left, dead)


def redrive(warehouse: Warehouse, clock: Clock, actor: str) -> int:
    """Make every dead letter pending again (`actor` asked for it); returns how many."""
    dead = records(warehouse.query(_DEAD_ROWS))
    now = clock.now_ns()
    rows = [
        DeliveryRow(one["outbox_key"], one["attempts"] + 1, RETRY, None, f"sent again by {actor}", None, now)
        for one in dead
    ]
    return append_deliveries(warehouse, rows)


@dataclass(frozen=True, slots=True)
class _Row:
    """A pending outbox row with its payload read."""

    key: str
    operation: str
    ticket: TicketKey
    ticket_name: tuple[str, int]
    attempts: int
    payload: Mapping[str, Any]


def _queues(warehouse: Warehouse, limit: int, break_id: str) -> list[list[_Row]]:
    """Pending rows by ticket, each ticket's rows in order."""
    tickets: dict[tuple[str, int], list[_Row]] = {}
    for one in records(warehouse.query(_PENDING, {"row_limit": limit, "only": break_id})):
        payload = json.loads(one["payload"])
        name = (one["break_id"], one["generation"])
        key = TicketKey(one["sys_id"], payload["correlation_id"])
        tickets.setdefault(name, []).append(
            _Row(one["outbox_key"], one["operation"], key, name, one["attempts"], payload)
        )
    return [sorted(rows, key=_position) for rows in tickets.values()]


def _position(row: _Row) -> tuple[bool, int, str]:
    return row.operation != OPEN, int(row.payload["seq"]), row.key


Said = Mapping[tuple[str, int], list[Mapping[str, Any]]]


def _said(warehouse: Warehouse, queues: Sequence[Sequence[_Row]]) -> Said:
    """Everything the outbox ever said about tickets that are about to be updated: what differs is a person's edit."""
    names = {row.ticket_name for rows in queues for row in rows if row.operation in (UPDATE, REOPEN)}
    said: dict[tuple[str, int], list[Mapping[str, Any]]] = {name: [] for name in names}
    for one in select_by_ids(warehouse, _SAID, (name[0] for name in names)):
        said.get((one["break_id"], one["generation"]), []).append(json.loads(one["payload"]))
    return said


class _Run:
    """One delivery run over many tickets; `ticket` is called from several threads, each ticket from one."""

    def __init__(self, ticketing: Ticketing, clock: Clock, limits: DeliveryLimits, said: Said) -> None:
        self._ticketing = ticketing
        self._clock = clock
        self._limits = limits
        self._said = said
        self._failures = 0
        self._tripped = False
        self._lock = threading.Lock()

    def ticket(self, rows: Sequence[_Row]) -> list[DeliveryRow]:
        """Outcomes of one ticket's rows; after a row that must wait, the rest of the ticket waits too."""
        outcomes: list[DeliveryRow] = []
        held: Ticket | None = None
        folded: list[_Row] = []
        for index, row in enumerate(rows):
            if self._tripped:
                break
            if row.operation == UPDATE and any(_folds(later) for later in _until_turn(rows[index + 1 :])):
                folded.append(row)
                continue
            outcome, held = self._row(row, held)
            outcomes.append(outcome)
            if outcome.outcome == RETRY or (outcome.outcome == DEAD and row.operation == OPEN):
                break
            if row.operation == UPDATE:
                outcomes.extend(replace(outcome, outbox_key=one.key, attempt=one.attempts + 1) for one in folded)
                folded = []
        return outcomes

    def _row(self, row: _Row, held: Ticket | None) -> tuple[DeliveryRow, Ticket | None]:
        attempt = row.attempts
        while True:
            attempt += 1
            try:
                ticket = self._apply(row, held)
            except TicketRefused as refusal:
                _LOG.warning("ticket row %s refused: %s", row.key, refusal)
                if refusal.http_status == 401:
                    self._tripped = True  # every further row would be refused for the same reason
                return self._outcome(row, attempt, DEAD, str(refusal), refusal.http_status, held), None
            except TicketBusy as busy:
                if not self._may_wait(busy, attempt - row.attempts):
                    return self._outcome(row, attempt, RETRY, str(busy), busy.http_status, held), None
                held = None
            else:
                with self._lock:
                    self._failures = 0
                return self._outcome(row, attempt, DELIVERED, row.operation, None, ticket), ticket

    def _may_wait(self, busy: TicketBusy, tried: int) -> bool:
        """Wait before another attempt; False after the last one, or when the breaker is or becomes open."""
        with self._lock:
            self._failures += 1
            asked = busy.retry_after_seconds or 0.0
            if self._failures >= self._limits.breaker_failures or asked > self._limits.max_wait_seconds:
                self._tripped = True
            if self._tripped or tried >= self._limits.attempts_per_run:
                return False
        ceiling = min(self._limits.backoff_seconds * 2**tried, self._limits.max_wait_seconds)
        self._clock.sleep(max(asked, random.uniform(0.0, ceiling)))
        return True

    def _outcome(
        self, row: _Row, attempt: int, outcome: str, detail: str, status: int | None, ticket: Ticket | None
    ) -> DeliveryRow:
        number = ticket.number if ticket else None
        return DeliveryRow(row.key, attempt, outcome, status, detail, number, self._clock.now_ns())

    def _apply(self, row: _Row, held: Ticket | None) -> Ticket:
        if row.operation == OPEN:
            return self._ticketing.open(_draft(row))
        ticket = held or self._ticketing.find(row.ticket)
        if ticket is None:
            raise TicketRefused("the incident is gone: somebody deleted it")
        return self._ticketing.update(ticket, self._change(row, ticket))

    def _change(self, row: _Row, ticket: Ticket) -> TicketChange:
        """What to send; what a person decided (state, edited fields) stays."""
        note = TicketChange(note=str(row.payload.get("note", "")), note_ref=digest128(row.key)[:_REF_DIGITS])
        if row.operation == UPDATE and ticket.state not in FINISHED:
            return replace(note, **self._fields(row, ticket))
        if row.operation == ASSIGN:
            return replace(note, assignee=row.payload.get("assignee"))
        if row.operation == RESOLVE and ticket.state not in (*FINISHED, TicketState.ON_HOLD):
            words = {name: row.payload[name] for name in ("close_code", "close_notes")}
            return replace(note, state=TicketState.RESOLVED, **words)
        if row.operation == REOPEN and ticket.state is TicketState.RESOLVED:
            return replace(note, state=TicketState.IN_PROGRESS, **self._fields(row, ticket))
        return note

    def _fields(self, row: _Row, ticket: Ticket) -> dict[str, Any]:
        """The fields to send: those still as we wrote them, with a new value."""
        fields: dict[str, Any] = {}
        for name in _EDITABLE:
            if name not in row.payload:
                continue
            current, wanted = _normal(getattr(ticket, name)), _normal(row.payload[name])
            ours = {_normal(said[name]) for said in self._said.get(row.ticket_name, ()) if name in said}
            if current != wanted and current in ours:
                fields[name] = row.payload[name]
        return fields


def _until_turn(rows: Sequence[_Row]) -> list[_Row]:
    """The rows before the next one that ends or restarts the ticket."""
    turn = next((index for index, row in enumerate(rows) if row.operation in (RESOLVE, REOPEN)), len(rows))
    return list(rows[:turn])


def _folds(row: _Row) -> bool:
    return row.operation == UPDATE


def _normal(value: object) -> str:
    return " ".join(str(value).split())


def _draft(row: _Row) -> TicketDraft:
    payload = row.payload
    return TicketDraft(
        key=row.ticket,
        short_description=payload["short_description"],
        description=payload["description"],
        impact=payload["impact"],
        urgency=payload["urgency"],
        group=payload.get("group", ""),
    )
