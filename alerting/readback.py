"""What people did to our tickets in the ticket system, read by a watermark with overlap and told as deeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerting import seen
from alerting.port import FINISHED, Ticket, TicketFeed, TicketNote, TicketState
from alerting.rows import (
    DELIVERED,
    NOTE,
    REOPEN,
    RESOLVE,
    STANDING_TICKETS,
    STORM_PREFIX,
    DeliveryRow,
    OutboxRow,
    append_deliveries,
    append_outbox,
    outbox_key,
    records,
    select_by_ids,
)
from alerting.seen import Seen
from warehouse.port import Warehouse

_SECOND_NS = 1_000_000_000
_MAX_PAGES = 200
_OURS = f"""
WITH {STANDING_TICKETS}
SELECT t.break_id, t.generation, t.sys_id, t.balance, t.rows_so_far, q.assignee
FROM ticket t LEFT JOIN break_queue q ON q.break_id = t.break_id
WHERE t.sys_id IN (:ids) AND t.break_id NOT LIKE '{STORM_PREFIX}%'
ORDER BY t.sys_id, t.break_id, t.generation
"""
_ROWS = "SELECT count(*) AS n FROM ticket_outbox WHERE break_id = :b AND generation = :g"


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How far back each poll looks, how many records a request asks for, and who has to act while a ticket is held."""

    overlap_seconds: float = 120.0
    page: int = 500
    hold_parties: Mapping[str, str] = field(default_factory=lambda: {"1": "INTERNAL", "4": "PB"})


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person did to a ticket, as the decision it stands for.

    `ref` names this deed and no other, so that it is taken over once.
    """

    break_id: str
    generation: int
    sys_id: str
    kind: str
    actor: str
    reason: str
    ref: str
    payload: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One poll: the deeds, oldest first, and the versions that go on record once the deeds are taken over."""

    deeds: Sequence[Deed]
    versions: Sequence[Ticket]


def read(warehouse: Warehouse, feed: TicketFeed, limits: ReadLimits) -> Reading:
    """What happened since the newest version on record, less the overlap; raises TicketBusy or TicketRefused.

    Nothing is written: `seen.append` puts the versions on record when their deeds were taken over.
    """
    since = max(0, seen.watermark(warehouse) - int(limits.overlap_seconds * _SECOND_NS))
    tickets = _changes(feed, since, limits.page)
    notes = _notes(feed, since, limits.page) if tickets else []
    known = seen.newest(warehouse, tickets)
    fresh = [one for one in tickets.values() if one.key.sys_id not in known
             or one.mod_count > known[one.key.sys_id].mod_count]  # fmt: skip
    ours: dict[str, list[dict[str, Any]]] = {}
    for row in select_by_ids(warehouse, _OURS, tickets):
        ours.setdefault(row["sys_id"], []).append(row)
    deeds: list[Deed] = []
    for note in notes:
        if note.sys_id in ours:
            deeds.append(_comment(note, ours[note.sys_id][0]))
    for ticket in fresh:
        before = known.get(ticket.key.sys_id)
        breaks = ours.get(ticket.key.sys_id, [])
        for row in breaks:
            deeds += _deeds(ticket, before, row, len(breaks) > 1, limits)
    return Reading(deeds, list(tickets.values()))


def told(warehouse: Warehouse, deed: Deed, action_id: str, now_ns: int) -> None:
    """The outbox learns that the ticket knows of the decision `action_id` already: it came from there."""
    operation = {"resolve": RESOLVE, "close": RESOLVE, "reopen": REOPEN}.get(deed.kind, NOTE)
    count = records(warehouse.query(_ROWS, {"b": deed.break_id, "g": deed.generation}))[0]["n"]
    name = outbox_key(deed.break_id, deed.generation, operation, action_id)
    payload = {"seq": int(count), "correlation_id": "", "note": "", "ref": deed.ref}
    row = OutboxRow(name, deed.break_id, deed.generation, action_id, operation, deed.sys_id, payload, now_ns, "ticket")
    with warehouse.transaction():
        append_outbox(warehouse, [row])
        append_deliveries(
            warehouse, [DeliveryRow(name, 1, DELIVERED, None, f"done there by {deed.actor}", None, now_ns)]
        )


def _changes(feed: TicketFeed, since_ns: int, page: int) -> dict[str, Ticket]:
    """The newest version of every changed ticket by sys_id; pages by time, as offsets shift under changes."""
    found: dict[str, Ticket] = {}
    for _ in range(_MAX_PAGES):
        rows = feed.changes(since_ns, page)
        fresh = [row for row in rows if found.get(row.key.sys_id) != row]
        found |= {row.key.sys_id: row for row in rows}
        if len(rows) < page or not fresh:
            return found
        last = seen.utc_ns(rows[-1].updated_on)
        # A page full of one second cannot be passed by time: ask for more of it.
        page, since_ns = (page * 2, since_ns) if last <= since_ns else (page, last)
    return found


def _notes(feed: TicketFeed, since_ns: int, page: int) -> list[TicketNote]:
    found: dict[str, TicketNote] = {}
    for _ in range(_MAX_PAGES):
        rows = feed.notes(since_ns, page)
        fresh = [row for row in rows if row.note_id not in found]
        found |= {row.note_id: row for row in rows}
        if len(rows) < page or not fresh:
            break
        last = seen.utc_ns(rows[-1].written_on)
        page, since_ns = (page * 2, since_ns) if last <= since_ns else (page, last)
    return sorted(found.values(), key=lambda note: (note.written_on, note.note_id))


def _comment(note: TicketNote, row: Mapping[str, Any]) -> Deed:
    return Deed(
        row["break_id"], row["generation"], note.sys_id, "comment", note.author, note.text, f"ticket:{note.note_id}"
    )


def _deeds(
    ticket: Ticket, before: Seen | None, row: Mapping[str, Any], shared: bool, limits: ReadLimits
) -> Iterable[Deed]:
    """What became of one break's ticket between two versions; `shared`: it is the ticket of other breaks, too."""

    def deed(kind: str, actor: str, reason: str, **payload: str) -> Deed:
        ref = f"ticket:{ticket.key.sys_id}:{ticket.mod_count}:{kind}"
        known = {"ticket": ticket.number} | payload
        return Deed(row["break_id"], row["generation"], ticket.key.sys_id, kind, actor, reason, ref, known)

    was = before.state if before else TicketState.NEW
    ended_by = ticket.ended_by or ticket.updated_by
    ours = ticket.by_us and ticket.ended_by in ("", ticket.updated_by)
    if ticket.state in FINISHED and was not in FINISHED and not ours and row["balance"] > 0:
        kind = "resolve" if ticket.state is TicketState.RESOLVED else "close"
        yield deed(kind, ended_by, ticket.close_notes or ticket.close_code or f"{kind}d in ticket {ticket.number}")
    elif ticket.state not in FINISHED and was in FINISHED and not ticket.by_us and row["balance"] <= 0:
        yield deed("reopen", ticket.updated_by, f"ticket {ticket.number} was opened again")
    party = limits.hold_parties.get(ticket.hold_reason, "")
    if ticket.state is TicketState.ON_HOLD and was is not TicketState.ON_HOLD and party and not ticket.by_us:
        yield deed("wait", ticket.updated_by, f"ticket {ticket.number} is on hold", party=party)
    if ticket.assignee and ticket.assignee != (before.assignee if before else "") and not shared \
            and ticket.assignee != (row["assignee"] or ""):  # fmt: skip
        yield deed("assign", ticket.updated_by, f"in ticket {ticket.number}", assignee=ticket.assignee)
