"""One outbox row applied to its ticket: what is sent, and what a person decided that stays."""

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from alerting.pending import Pending, Said
from alerting.port import (
    FINISHED,
    Ticket,
    TicketChange,
    TicketDraft,
    TicketGone,
    Ticketing,
    TicketKey,
    TicketRefused,
    TicketState,
    TicketThrottled,
)
from alerting.rows import ASSIGN, NOTE, OPEN, REISSUE, REOPEN, RESOLVE, UPDATE
from domain.ids import digest128

_LOG = logging.getLogger(__name__)
_EDITABLE = ("short_description", "description", "impact", "urgency", "due")
_REF_DIGITS = 12
_LEFT_TO_YOU = "\nYou or a colleague worked on this ticket, so it is left open for you to close."


class Applier:
    """Sends rows; used from several threads.

    `said` is what the outbox ever said, `touched` the tickets people worked on, `listed` gives the file of a storm's
    breaks; `opened` is what a batch did to openings.
    """

    def __init__(
        self,
        ticketing: Ticketing,
        said: Said,
        touched: frozenset[str] = frozenset(),
        listed: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        self._ticketing = ticketing
        self._listed = listed
        self._said = said
        self._touched = touched
        self.opened: dict[TicketKey, Ticket | TicketRefused | TicketThrottled] = {}

    def knows(self, row: Pending) -> bool:
        """True when a batch has told what becomes of the row: there is nothing to ask for."""
        return row.opens and isinstance(self.opened.get(row.ticket), Ticket | TicketRefused)

    def apply(self, row: Pending, held: Ticket | None) -> Ticket:
        """The ticket after the row; `held` is the ticket as it was just seen. Raises TicketBusy or TicketRefused."""
        if row.opens:
            ticket = self._open(row)
            self._attach(ticket, row)
            return ticket
        found = held or self._ticketing.find(row.ticket)
        if found is None:
            raise TicketGone("the incident is gone: somebody deleted it")
        if row.in_storm and row.operation not in (NOTE, ASSIGN):
            return found  # the parent's own rows tell it
        ticket = self._ticketing.update(found, self._change(row, found))
        self._attach(ticket, row)
        return ticket

    def _open(self, row: Pending) -> Ticket:
        known = self.opened.pop(row.ticket, None)
        if isinstance(known, TicketRefused | TicketThrottled):
            raise known
        return known or self._ticketing.open(draft(row))

    def _attach(self, ticket: Ticket, row: Pending) -> None:
        files = list(row.payload.get("files", ()))
        if row.payload.get("list") and self._listed is not None:
            files.append(self._listed(row.ticket.sys_id))
        for file in files:
            try:
                self._ticketing.attach(ticket, file["name"], base64.b64decode(file["content"]), file["kind"])
            except TicketRefused as refusal:
                # A tenant may not let us attach; the ticket itself says what matters.
                _LOG.warning("file %s of ticket %s refused: %s", file["name"], ticket.number, refusal)

    def _change(self, row: Pending, ticket: Ticket) -> TicketChange:
        """What to send; what a person decided (state, edited fields) stays."""
        note = TicketChange(note=str(row.payload.get("note", "")), note_ref=digest128(row.key)[:_REF_DIGITS])
        if row.operation == UPDATE and ticket.state not in FINISHED:
            return replace(note, **self._fields(row, ticket))
        if row.operation == ASSIGN:
            return replace(note, assignee=None if row.in_storm else row.payload.get("assignee"))
        if row.operation == RESOLVE and ticket.state not in (*FINISHED, TicketState.ON_HOLD):
            if row.payload.get("auto") and self._worked_on(ticket):
                return replace(note, note=note.note + _LEFT_TO_YOU)
            words = {name: row.payload[name] for name in ("close_code", "close_notes")}
            return replace(note, state=TicketState.RESOLVED, **words)
        if row.operation == REOPEN and ticket.state is TicketState.RESOLVED:
            return replace(note, state=TicketState.IN_PROGRESS, **self._fields(row, ticket))
        return note

    def _worked_on(self, ticket: Ticket) -> bool:
        """True when somebody but us changed the ticket since it was opened."""
        return not ticket.by_us or ticket.key.sys_id in self._touched

    def _fields(self, row: Pending, ticket: Ticket) -> dict[str, Any]:
        """The fields to send: those still as we wrote them, with a new value."""
        fields: dict[str, Any] = {}
        for name in _EDITABLE:
            if name not in row.payload:
                continue
            current, wanted = _normal(getattr(ticket, name)), _normal(row.payload[name])
            ours = {_normal(told[name]) for told in self._said.get(row.ticket.sys_id, ()) if name in told}
            if current != wanted and current in ours:
                fields[name] = row.payload[name]
        return fields


def closed_for_good(row: Pending, ticket: Ticket) -> bool:
    """True when a ticket was to be opened again that cannot be: the break needs another one."""
    return row.operation == REOPEN and ticket.state in (TicketState.CLOSED, TicketState.CANCELED)


def draft(row: Pending) -> TicketDraft:
    """The ticket an opening row asks for."""
    payload: Mapping[str, Any] = row.payload
    if row.operation not in (OPEN, REISSUE):
        raise ValueError(f"{row.operation} opens nothing")
    return TicketDraft(
        key=row.ticket,
        short_description=payload["short_description"],
        description=payload["description"],
        impact=payload["impact"],
        urgency=payload["urgency"],
        group=payload.get("group", ""),
        due=payload.get("due", ""),
        facts=payload.get("facts", {}),
        traceparent=row.traceparent,
    )


def _normal(value: object) -> str:
    return " ".join(str(value).split())
