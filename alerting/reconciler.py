"""Holds open breaks against open tickets, both ways, repairs what differs and says what it repaired."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alerting import seen
from alerting.port import FINISHED, Ticket, TicketFeed, Ticketing, TicketKey, ticket_key
from alerting.rows import (
    OPEN,
    REISSUE,
    REOPEN,
    RESOLVE,
    STANDING_TICKETS,
    STORM_PREFIX,
    OutboxRow,
    append_outbox,
    outbox_key,
    records,
)
from alerting.shadow import namespaces
from alerting.triage import TriagePolicy
from warehouse.port import Warehouse

_MAX_PAGES = 1_000
# From so many on, when they are more than half of all, tickets that cannot be found are more likely hidden than
# deleted: an instance answers 404 for both.
_MANY_GONE = 20
_OURS = f"""
WITH {STANDING_TICKETS}, waiting AS (
  SELECT DISTINCT o.sys_id FROM ticket_outbox o WHERE NOT EXISTS (
    SELECT 1 FROM ticket_delivery d WHERE d.outbox_key = o.outbox_key AND d.outcome = 'DELIVERED')
)
SELECT t.break_id, t.generation, t.sys_id, t.balance, t.rows_so_far, t.opening
FROM ticket t WHERE NOT EXISTS (SELECT 1 FROM waiting w WHERE w.sys_id = t.sys_id)
"""
_SO_FAR = """
SELECT operation, payload FROM ticket_outbox
WHERE break_id = :b AND generation = :g AND operation IN ('open', 'update', 'reopen', 'reissue')
"""
_OF_THEIR_TIME = frozenset({"note", "auto", "ref"})


@dataclass(slots=True)
class Repairs:
    """What was found to differ, by ticket: what the outbox now asks for, and what is left to people."""

    compared: int = 0
    # Open here, gone or closed for good there: another ticket is opened.
    reissued: list[str] = field(default_factory=list)
    # Open here, resolved there by us: opened again.
    reopened: list[str] = field(default_factory=list)
    # Cleared here, open there: resolved.
    resolved: list[str] = field(default_factory=list)
    # Left as they are: people worked on them, or ended them (reading back tells the break).
    left_to_people: list[str] = field(default_factory=list)
    # Not found there, but so many that our user's rights are in question: nothing is opened again.
    withheld: list[str] = field(default_factory=list)
    # Tickets under our name that no break knows.
    strangers: list[str] = field(default_factory=list)

    @property
    def made(self) -> int:
        """How many repairs the outbox asks for."""
        return len(self.reissued) + len(self.reopened) + len(self.resolved)

    def as_dict(self) -> dict[str, Any]:
        """Names by kind."""
        kinds = ("compared", "reissued", "reopened", "resolved", "left_to_people", "withheld", "strangers")
        return {name: getattr(self, name) for name in kinds}


class Reconciler:
    """One pass over all tickets; rows still waiting in the outbox are not compared: they are on their way."""

    def __init__(
        self,
        warehouse: Warehouse,
        ticketing: Ticketing,
        feed: TicketFeed,
        policy: TriagePolicy,
        page: int = 500,
    ) -> None:
        self._warehouse, self._ticketing, self._feed = warehouse, ticketing, feed
        self._policy, self._page = policy, page

    def run(self, now_ns: int, *, repair: bool = True, gone_for_sure: bool = False) -> Repairs:
        """Compare, and with `repair` write what has to be done to the outbox. Raises TicketBusy or TicketRefused.

        `gone_for_sure`: somebody looked, tickets that cannot be found were deleted, however many.
        """
        found = Repairs()
        theirs = self._theirs()
        # Ours is read after theirs: a ticket opened in between would look like one that is gone.
        ours: dict[str, list[dict[str, Any]]] = {}
        for row in records(self._warehouse.query(_OURS)):
            ours.setdefault(row["sys_id"], []).append(row)
        rows: list[OutboxRow] = []
        by_identity = {ticket.key.correlation_id: ticket for ticket in theirs.values()}
        for sys_id, breaks in ours.items():
            identity = json.loads(breaks[0]["opening"])["correlation_id"]
            ticket = by_identity.pop(identity, None)
            found.compared += 1
            repair_row = self._compared(TicketKey(sys_id, identity), breaks, ticket, found, now_ns)
            if repair_row is not None:
                rows.append(repair_row)
        self._strangers(by_identity, found)
        if len(found.reissued) >= _MANY_GONE and 2 * len(found.reissued) > found.compared and not gone_for_sure:
            found.withheld, found.reissued = found.reissued, []
            rows = [row for row in rows if row.operation != REISSUE]
        if repair and rows:
            with self._warehouse.transaction():
                append_outbox(self._warehouse, rows)
        return found

    def _theirs(self) -> dict[str, Ticket]:
        """Their unfinished tickets of this installation, by sys_id."""
        found: dict[str, Ticket] = {}
        after = ""
        for _ in range(_MAX_PAGES):
            page = self._feed.unfinished(after, self._page)
            found |= {ticket.key.sys_id: ticket for ticket in page}
            if not page:
                break
            after = page[-1].key.sys_id
        mine = tuple(f"{name}:" for name in namespaces(self._policy.namespace))
        return {name: ticket for name, ticket in found.items() if ticket.key.correlation_id.startswith(mine)}

    def _compared(
        self, key: TicketKey, breaks: list[dict[str, Any]], ticket: Ticket | None, found: Repairs, now_ns: int
    ) -> OutboxRow | None:
        active = [row for row in breaks if row["balance"] > 0]
        parent = next((row for row in breaks if row["break_id"].startswith(STORM_PREFIX)), None)
        # A storm's own rows say whether its ticket is to be open; its breaks come and go.
        speaks = parent or (active or breaks)[0]
        if ticket is not None:
            return None if speaks["balance"] > 0 else self._cleared(key, speaks, ticket, found, now_ns)
        return self._missing(key, speaks, found, now_ns) if speaks["balance"] > 0 else None

    def _cleared(
        self, key: TicketKey, row: Mapping[str, Any], ticket: Ticket, found: Repairs, now_ns: int
    ) -> OutboxRow | None:
        """Open there, cleared here."""
        if not ticket.by_us or seen.touched(self._warehouse, [key.sys_id]):
            found.left_to_people.append(ticket.number)
            return None
        found.resolved.append(ticket.number)
        words = "The break has cleared; its ticket had been left open."
        payload = {"note": words, "close_code": self._policy.close_code, "close_notes": words, "auto": True}
        return self._row(RESOLVE, row, key, payload, now_ns)

    def _missing(self, key: TicketKey, row: Mapping[str, Any], found: Repairs, now_ns: int) -> OutboxRow | None:
        """Open here, not among the open ones there: gone, resolved by us, or ended by a person."""
        ticket = self._ticketing.find(key)
        if ticket is not None and ticket.state not in FINISHED:
            return None  # it was opened again meanwhile
        opening = json.loads(row["opening"])
        if ticket is None:
            if "storm" in opening:
                return None  # its parent speaks, and waits in the outbox just now
            found.reissued.append(key.correlation_id)
            if row["break_id"].startswith(STORM_PREFIX):
                # Its breaks name the parent, so it comes back as what it was; the next round brings it up to date.
                return self._row(REISSUE, row, key, dict(opening), now_ns)
            return self._reissued(row, opening, now_ns)
        if not ticket.by_us or ticket.ended_by not in ("", ticket.updated_by):
            found.left_to_people.append(ticket.number)
            return None
        found.reopened.append(ticket.number)
        note = {"note": "The break is still there: its ticket had been resolved."}
        return self._row(REOPEN, row, key, note, now_ns)

    def _reissued(self, row: Mapping[str, Any], opening: Mapping[str, Any], now_ns: int) -> OutboxRow:
        """Another ticket, saying what the one before it had been told last."""
        break_id, generation = row["break_id"], row["generation"]
        rows = records(self._warehouse.query(_SO_FAR, {"b": break_id, "g": generation}))
        again = sum(one["operation"] in (OPEN, REISSUE) for one in rows)
        told = dict(opening)
        for payload in sorted((json.loads(one["payload"]) for one in rows), key=lambda one: int(one["seq"])):
            if "storm" not in payload:
                told |= {name: value for name, value in payload.items() if name not in _OF_THEIR_TIME}
        namespace = str(opening["correlation_id"]).rsplit(":", 2)[0]
        key = ticket_key(namespace, break_id, generation, again)
        return self._row(REISSUE, row, key, told, now_ns)

    def _row(
        self, operation: str, row: Mapping[str, Any], key: TicketKey, payload: Mapping[str, Any], now_ns: int
    ) -> OutboxRow:
        seq = row["rows_so_far"]
        # A storm's rows are ordered by the number their change begins with.
        change = f"{seq:09d}:repair" if row["break_id"].startswith(STORM_PREFIX) else f"repair-{seq}"
        content = {**payload, "seq": seq, "correlation_id": key.correlation_id}
        name = outbox_key(row["break_id"], row["generation"], operation, change)
        return OutboxRow(
            name, row["break_id"], row["generation"], change, operation, key.sys_id, content, now_ns, "reconciler"
        )

    def _strangers(self, left: Mapping[str, Ticket], found: Repairs) -> None:
        """Tickets under our name that our outbox does not hold, unless they are on their way just now."""
        known = {
            json.loads(row["payload"])["correlation_id"]
            for row in records(
                self._warehouse.query("SELECT payload FROM ticket_outbox WHERE operation IN ('open', 'reissue')")
            )
        } if left else set()  # fmt: skip
        found.strangers += sorted(ticket.number for name, ticket in left.items() if name not in known)
