"""Delivers the ticket outbox: per ticket in order, once in effect, with bounded retries and a circuit breaker."""

import json
import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from alerting import pending, seen
from alerting.apply import Applier, closed_for_good, draft
from alerting.pending import Pending
from alerting.port import Ticket, TicketBusy, TicketGone, Ticketing, TicketRefused, TicketThrottled, ticket_key
from alerting.rows import (
    DEAD,
    DELIVERED,
    REISSUE,
    REOPEN,
    RESOLVE,
    RETRY,
    UPDATE,
    DeliveryRow,
    OutboxRow,
    append_deliveries,
    append_outbox,
    outbox_key,
    records,
)
from alerting.storm import children_file
from alerting.traced import within
from domain.clock import Clock
from domain.errors import TransientError
from warehouse.port import Warehouse

_LOG = logging.getLogger(__name__)
_OPENINGS = """
SELECT payload FROM ticket_outbox WHERE break_id = :b AND generation = :g AND operation IN ('open', 'reissue')
ORDER BY created_as_of, outbox_key
"""


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """Bounds of one delivery run. From `batch_from` openings on they are sent together (0: never)."""

    rows: int = 2_000
    workers: int = 4
    attempts_per_run: int = 3
    breaker_failures: int = 8
    backoff_seconds: float = 0.2
    max_wait_seconds: float = 5.0
    flush_rows: int = 100
    batch_from: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """Outbox rows delivered and refused by this run, and how many still wait.

    `throttled_seconds` says when the hourly budget allows more; 0 when nothing waits for it.
    """

    delivered: int
    pending: int
    dead: int
    throttled_seconds: float = 0.0


def deliver(
    warehouse: Warehouse,
    ticketing: Ticketing,
    clock: Clock,
    limits: DeliveryLimits | None = None,
    break_id: str = "",
) -> DeliveryReport:
    """Send what waits in the outbox (of one break, if named) and record every outcome.

    Safe to run twice at once: openings carry deterministic identities and notes carry a reference. Raises
    TransientError when rows were left behind because the ticket system could not be reached; a spent budget is not
    that: those rows wait.
    """
    bounds = limits or DeliveryLimits()
    waiting = pending.queues(warehouse, bounds.rows, break_id)
    if not waiting:
        return DeliveryReport(0, pending.left(warehouse)[0], 0)
    known = seen.touched(warehouse, _names(waiting))
    applier = Applier(ticketing, pending.said(warehouse, waiting), known, partial(children_file, warehouse))
    run = _Run(applier, ticketing, clock, bounds)
    total = _Total()
    buffer: list[DeliveryRow] = []
    for chunk in _chunks(waiting, bounds.flush_rows):
        _open_together(ticketing, applier, chunk, bounds)
        with ThreadPoolExecutor(max_workers=bounds.workers, thread_name_prefix="ticket") as pool:
            for outcomes in pool.map(run.ticket, chunk):
                total.add(outcomes)
                buffer.extend(outcomes)
        append_deliveries(warehouse, buffer)
        buffer = []
        if run.tripped:
            break
    seen.append(warehouse, run.edited, clock.now_ns())
    _reissue(warehouse, run.closed, clock)
    left = pending.left(warehouse)[0]
    if total.retry:
        raise TransientError(f"{left} ticket rows wait: {total.cause}")
    return DeliveryReport(total.delivered, left, total.dead, run.throttled_seconds)


@dataclass(slots=True)
class _Total:
    delivered: int = 0
    dead: int = 0
    retry: int = 0
    cause: str = ""

    def add(self, outcomes: Sequence[DeliveryRow]) -> None:
        for outcome in outcomes:
            self.delivered += outcome.outcome == DELIVERED
            self.dead += outcome.outcome == DEAD
            self.retry += outcome.outcome == RETRY
            self.cause = outcome.detail if outcome.outcome == RETRY else self.cause


def _chunks(waiting: Sequence[list[Pending]], rows: int) -> list[list[list[Pending]]]:
    """Tickets in portions of about `rows` outbox rows: outcomes are on record after each."""
    chunks: list[list[list[Pending]]] = [[]]
    size = 0
    for ticket in waiting:
        if size >= rows:
            chunks.append([])
            size = 0
        chunks[-1].append(ticket)
        size += len(ticket)
    return chunks


def _names(waiting: Sequence[Sequence[Pending]]) -> set[str]:
    return {row.ticket.sys_id for rows in waiting for row in rows if row.operation == RESOLVE}


def _open_together(ticketing: Ticketing, applier: Applier, chunk: Sequence[Sequence[Pending]],
                   limits: DeliveryLimits) -> None:  # fmt: skip
    """Openings by the Batch API; what it leaves undone is sent one by one, as are files and everything else."""
    opening = [rows[0] for rows in chunk if rows[0].opens]
    if not limits.batch_from or len(opening) < limits.batch_from:
        return
    try:
        outcomes = ticketing.open_many([draft(row) for row in opening])
    except TicketThrottled as spent:
        outcomes = dict.fromkeys((row.ticket for row in opening), spent)
    except (TicketBusy, TicketRefused) as error:
        _LOG.warning("batch of %d openings: %s", len(opening), error)
        return
    # Once the budget is spent nothing is sent alone, or the next batch could never be afforded.
    applier.opened |= {
        key: found for key, found in outcomes.items() if isinstance(found, Ticket | TicketRefused | TicketThrottled)
    }


def _reissue(warehouse: Warehouse, closed: Sequence[Pending], clock: Clock) -> None:
    """Another ticket for each break that is open again while its ticket was closed for good."""
    rows = []
    for row in closed:
        openings = records(warehouse.query(_OPENINGS, {"b": row.break_id, "g": row.generation}))
        namespace = row.ticket.correlation_id.rsplit(":", 2)[0]
        key = ticket_key(namespace, row.break_id, row.generation, len(openings))
        told = {name: value for name, value in row.payload.items() if name not in ("note", "auto")}
        content = {**json.loads(openings[-1]["payload"]), **told}
        payload = content | {"seq": int(row.payload["seq"]) + 1, "correlation_id": key.correlation_id}
        name = outbox_key(row.break_id, row.generation, REISSUE, row.change_id)
        at = max(clock.now_ns(), row.created_as_of + 1)
        rows.append(
            OutboxRow(name, row.break_id, row.generation, row.change_id, REISSUE, key.sys_id, payload, at, "delivery")
        )
    append_outbox(warehouse, rows)


class _Run:
    """One delivery run over many tickets; `ticket` is called from several threads, each ticket from one."""

    def __init__(self, applier: Applier, ticketing: Ticketing, clock: Clock, limits: DeliveryLimits) -> None:
        self._applier = applier
        self._ticketing = ticketing
        self._clock = clock
        self._limits = limits
        self._failures = 0
        self._lock = threading.Lock()
        self.tripped = False
        self.throttled_seconds = 0.0
        # Tickets that others were found to have changed last, and reopenings of tickets closed for good.
        self.edited: list[Ticket] = []
        self.closed: list[Pending] = []

    def ticket(self, rows: Sequence[Pending]) -> list[DeliveryRow]:
        """Outcomes of one ticket's rows; after a row that must wait, the rest of the ticket waits too."""
        outcomes: list[DeliveryRow] = []
        held: Ticket | None = None
        folded: list[Pending] = []
        for index, row in enumerate(rows):
            if self.tripped and not self._applier.knows(row):
                break
            if row.operation == UPDATE and any(_folds(later) for later in _until_turn(rows[index + 1 :])):
                folded.append(row)
                continue
            outcome, held = self._row(row, held)
            if outcome is None:
                break
            outcomes.append(outcome)
            if outcome.outcome == RETRY or (outcome.outcome == DEAD and row.opens):
                break
            if row.operation == UPDATE:
                outcomes.extend(replace(outcome, outbox_key=one.key, attempt=one.attempts + 1) for one in folded)
                folded = []
        return outcomes

    def _row(self, row: Pending, held: Ticket | None) -> tuple[DeliveryRow | None, Ticket | None]:
        """The outcome of one row, None where the budget did not allow to try."""
        attempt = row.attempts
        while True:
            attempt += 1
            try:
                with within(self._ticketing, row.traceparent):
                    ticket = self._applier.apply(row, held)
            except TicketGone as gone:
                _LOG.warning("ticket row %s: %s", row.key, gone)
                return self._outcome(row, attempt, DELIVERED, str(gone), None, None), None
            except TicketRefused as refusal:
                _LOG.warning("ticket row %s refused: %s", row.key, refusal)
                if refusal.http_status == 401:
                    self.tripped = True  # every further row would be refused for the same reason
                return self._outcome(row, attempt, DEAD, str(refusal), refusal.http_status, held), None
            except TicketThrottled as spent:
                with self._lock:
                    self.tripped = True
                    self.throttled_seconds = max(self.throttled_seconds, spent.retry_after_seconds or 0.0)
                return None, None
            except TicketBusy as busy:
                if not self._may_wait(busy, attempt - row.attempts):
                    return self._outcome(row, attempt, RETRY, str(busy), busy.http_status, held), None
                held = None
            else:
                self._keep(row, ticket)
                return self._outcome(row, attempt, DELIVERED, row.operation, None, ticket), ticket

    def _keep(self, row: Pending, ticket: Ticket) -> None:
        with self._lock:
            self._failures = 0
            if not ticket.by_us:
                self.edited.append(ticket)
            if closed_for_good(row, ticket):
                self.closed.append(row)

    def _may_wait(self, busy: TicketBusy, tried: int) -> bool:
        """Wait before another attempt; False after the last one, or when the breaker is or becomes open."""
        with self._lock:
            self._failures += 1
            asked = busy.retry_after_seconds or 0.0
            if self._failures >= self._limits.breaker_failures or asked > self._limits.max_wait_seconds:
                self.tripped = True
            if self.tripped or tried >= self._limits.attempts_per_run:
                return False
        ceiling = min(self._limits.backoff_seconds * 2**tried, self._limits.max_wait_seconds)
        self._clock.sleep(max(asked, random.uniform(0.0, ceiling)))
        return True

    def _outcome(
        self, row: Pending, attempt: int, outcome: str, detail: str, status: int | None, ticket: Ticket | None
    ) -> DeliveryRow:
        number = ticket.number if ticket else None
        return DeliveryRow(row.key, attempt, outcome, status, detail, number, self._clock.now_ns())


def _until_turn(rows: Sequence[Pending]) -> list[Pending]:
    """The rows before the next one that ends or restarts the ticket."""
    turn = next((index for index, row in enumerate(rows) if row.operation in (RESOLVE, REOPEN)), len(rows))
    return list(rows[:turn])


def _folds(row: Pending) -> bool:
    return row.operation == UPDATE
