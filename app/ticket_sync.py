"""Tickets in the background: what waits is delivered, what people did there is taken over, both sides are compared."""

import logging
import threading
from dataclasses import dataclass, field
from typing import Any

from alerting import readback, seen, storm
from alerting.actions import mirror_actions
from alerting.deliver import DeliveryLimits, DeliveryReport, deliver
from alerting.readback import Deed, ReadLimits
from alerting.reconciler import Reconciler, Repairs
from app.decisions import Decisions
from app.installation import Installation
from domain.errors import PermanentError, TransientError
from domain.principal import Principal

logger = logging.getLogger(__name__)

# One ticket may be that of thousands of breaks; delivering must not wait for all of them.
_DEEDS_A_ROUND = 500

_TAKEN = "SELECT count(*) AS n FROM action WHERE break_id = :b AND payload LIKE :ref"
# Ended in the ticket system, and a later proof still found the break. The ref says that it was ended there.
_STILL_THERE = """
WITH ended AS (
  SELECT d.break_id, d.effective_at, d.payload, d.change_id FROM decision d
  WHERE d.kind IN ('resolve', 'close', 'reopen') AND d.status IN ('DONE', 'APPROVED')
  QUALIFY row_number() OVER (PARTITION BY d.break_id ORDER BY d.effective_at DESC, d.action_id DESC) = 1
)
SELECT q.break_id, max(p.ran_at) AS ran_at
FROM ended e JOIN break_queue q ON q.break_id = e.break_id AND q.latest_change_id = e.change_id
JOIN proof_run p ON p.ran_at > e.effective_at
WHERE q.engine_state = 'OPEN' AND q.state IN ('RESOLVED', 'CLOSED') AND e.payload LIKE '%"ref": "ticket:%'
GROUP BY q.break_id ORDER BY q.break_id
"""


@dataclass(slots=True)
class SyncReport:
    """What one round did."""

    delivered: int = 0
    waiting: int = 0
    taken: int = 0
    refused: list[str] = field(default_factory=list)
    reopened: int = 0
    repairs: Repairs | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the API."""
        told = {"delivered": self.delivered, "waiting": self.waiting, "taken": self.taken, "refused": self.refused,
                "reopened": self.reopened}  # fmt: skip
        return told | {"repairs": self.repairs.as_dict() if self.repairs else None}


class TicketSync:
    """One thread that keeps breaks and tickets together; an outage costs a round, never a ticket.

    Of several workers the one that leads does it.
    """

    def __init__(self, installation: Installation) -> None:
        self._here = installation
        self._given = installation.settings.ticketing
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._compared_at = self._reached_at = installation.clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="ticket-sync", daemon=True)

    def start(self) -> "TicketSync":
        """Begin; rounds come every `ticketing.sync.every_seconds`."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End after the round that runs."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def lag_seconds(self) -> float:
        """Since the last round that came through, or since the start."""
        return self._here.clock.monotonic() - self._reached_at

    def once(self, *, compare: bool = True, gone_for_sure: bool = False) -> SyncReport:
        """One round now. Raises TransientError or PermanentError from the ticket system.

        `gone_for_sure`: tickets that cannot be found there are opened again, however many.
        """
        with self._lock:
            report = SyncReport()
            self._deliver(report)
            if self._given.sync.read_back:
                self._read_back(report)
                report.reopened = self._reopen()
            if compare:
                report.repairs = self._compare(gone_for_sure)
            if report.reopened or (report.repairs and report.repairs.made):
                self._deliver(report)
            self._reached_at = self._here.clock.monotonic()
            return report

    def _run(self) -> None:
        while not self._stop.wait(self._given.sync.every_seconds):
            try:
                with self._here.leading() as leads:
                    if leads:
                        self._round()
                    else:
                        self._reached_at = self._here.clock.monotonic()
            except (TransientError, PermanentError) as error:
                logger.warning("tickets wait: %s", error)
            except Exception:
                logger.exception("keeping tickets and breaks together failed")

    def _round(self) -> None:
        now = self._here.clock.monotonic()
        due = now - self._compared_at >= self._given.sync.reconcile_seconds
        report = self.once(compare=due)
        self._compared_at = now if due else self._compared_at
        if report.repairs and report.repairs.made:
            logger.warning("tickets repaired: %s", report.repairs.as_dict())
        if report.repairs and report.repairs.withheld:
            gone = len(report.repairs.withheld)
            logger.error("%d tickets cannot be found: may our user still read them? nothing is opened again", gone)

    def _deliver(self, report: SyncReport) -> None:
        here = self._here
        now = here.clock.now_ns()
        mirror_actions(here.warehouse, f"sync-{now}", now, here.policy)
        storm.refresh(here.warehouse, here.policy, f"sync-{now}", now)
        limits = DeliveryLimits(rows=self._given.deliver_limit, batch_from=self._given.rate.batch_from)
        done: DeliveryReport = deliver(here.warehouse, here.tickets.tickets, here.clock, limits)
        report.delivered += done.delivered
        report.waiting = done.pending

    def _read_back(self, report: SyncReport) -> None:
        here, given = self._here, self._given.sync
        limits = ReadLimits(given.overlap_seconds, given.page, given.hold_parties)
        reading = readback.read(here.warehouse, here.tickets.tickets, limits)
        decisions = Decisions(here.warehouse, here.clock, lambda _id: None, here.settings.decisions)
        for deed in reading.deeds:
            if report.taken >= _DEEDS_A_ROUND:
                return  # no version goes on record, so the next round finds the rest
            try:
                report.taken += self._take(decisions, deed)
            except PermanentError as error:
                report.refused.append(f"{deed.kind} of {deed.break_id[:12]} by {deed.actor}: {error}")
                logger.warning("not taken over from the ticket: %s", report.refused[-1])
        seen.append(here.warehouse, reading.versions, here.clock.now_ns())

    def _take(self, decisions: Decisions, deed: Deed) -> bool:
        """Record one deed as the decision of who did it; False when that was done before."""
        here = self._here
        known = here.warehouse.query(_TAKEN, {"b": deed.break_id, "ref": f'%"ref": "{deed.ref}"%'})
        if known["n"][0].as_py():
            return False
        # The ticket system vouches for the name; what takes two people waits for the second one here.
        who = Principal(deed.actor, "user", frozenset({"analyst"}))
        payload = {**deed.payload, "ref": deed.ref}
        action_id = decisions.record(deed.break_id, who, deed.kind, deed.reason, payload)
        done = here.warehouse.query("SELECT status FROM decision WHERE action_id = :a", {"a": action_id})
        if done["status"][0].as_py() == "DONE":
            readback.told(here.warehouse, deed, action_id, here.clock.now_ns())
        return True

    def _reopen(self) -> int:
        """Breaks ended in the ticket system that a later proof still found: opened again, with a ticket."""
        here = self._here
        rows = here.warehouse.query(_STILL_THERE).to_pylist()
        decisions = Decisions(here.warehouse, here.clock, lambda _id: None, here.settings.decisions)
        who = Principal("tieout", "service", frozenset({"analyst"}))
        for row in rows:
            reason = f"still there at the proof of {row['ran_at']:%Y-%m-%d %H:%M} UTC"
            decisions.record(row["break_id"], who, "reopen", reason, {})
        return len(rows)

    def _compare(self, gone_for_sure: bool) -> Repairs:
        here = self._here
        tickets = here.tickets.tickets
        reconciler = Reconciler(here.warehouse, tickets, tickets, here.policy, self._given.sync.page)
        return reconciler.run(here.clock.now_ns(), gone_for_sure=gone_for_sure)
