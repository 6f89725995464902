"""Event Management beside the tickets: an event when a ticket is opened or changes, a clear when it is resolved."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from alerting.instance import Instance
from alerting.port import FINISHED, Ticket, TicketChange, TicketDraft, TicketKey, TicketNote, TicketRefused
from alerting.servicenow import Outcome
from alerting.shadow import TicketStore

_EVENTS = "/api/global/em/jsonv2"
_CLEAR = 0
# Impact and urgency of a ticket as an event's severity: 1 Critical, 2 Major, 3 Minor, 4 Warning.
_SEVERITY: Mapping[tuple[int, int], int] = {(1, 1): 1, (2, 1): 2, (2, 2): 3}
_LEAST = 4


class Evented:
    """A ticket store that also tells Event Management (`em/jsonv2`, a licensed plug-in of the instance).

    `message_key` is the ticket's correlation_id, so an event told again changes nothing and the clear finds its alert.
    The event goes first: what fails after it is tried again with its event. The other way round, a change that is there
    already would be none when it is tried again, and its event lost.
    """

    def __init__(self, store: TicketStore, instance: Instance, node: str) -> None:
        self._store, self._instance, self._node = store, instance, node

    def find(self, key: TicketKey) -> Ticket | None:
        """As the port says."""
        return self._store.find(key)

    def open(self, draft: TicketDraft) -> Ticket:
        """As the port says, after the event."""
        self._tell([self._opening(draft)])
        return self._store.open(draft)

    def open_many(self, drafts: Sequence[TicketDraft]) -> Mapping[TicketKey, Outcome]:
        """As the port says, after the events of all of them in one call."""
        self._tell([self._opening(draft) for draft in drafts])
        return self._store.open_many(drafts)

    def update(self, ticket: Ticket, change: TicketChange) -> Ticket:
        """As the port says, after the event of what the change makes of the ticket."""
        if any(one is not None for one in (change.impact, change.urgency, change.state)):
            impact, urgency = change.impact or int(ticket.impact or 3), change.urgency or int(ticket.urgency or 3)
            over = (change.state or ticket.state) in FINISHED
            severity = _CLEAR if over else _severity(impact, urgency)
            text = change.short_description or ticket.short_description
            self._tell([self._event(ticket.key, severity, text, {"number": ticket.number})])
        return self._store.update(ticket, change)

    def attach(self, ticket: Ticket, name: str, content: bytes, kind: str) -> None:
        """As the port says."""
        self._store.attach(ticket, name, content, kind)

    def changes(self, since_ns: int, limit: int) -> Sequence[Ticket]:
        """As the port says."""
        return self._store.changes(since_ns, limit)

    def notes(self, since_ns: int, limit: int) -> Sequence[TicketNote]:
        """As the port says."""
        return self._store.notes(since_ns, limit)

    def unfinished(self, after: str, limit: int) -> Sequence[Ticket]:
        """As the port says."""
        return self._store.unfinished(after, limit)

    def _opening(self, draft: TicketDraft) -> dict[str, str]:
        severity = _severity(draft.impact, draft.urgency)
        return self._event(draft.key, severity, draft.short_description, dict(draft.facts))

    def _event(self, key: TicketKey, severity: int, text: str, facts: Mapping[str, str]) -> dict[str, str]:
        moment = datetime.fromtimestamp(self._instance.clock.now_ns() // 1_000_000_000, UTC)
        return {
            "source": "Tieout",
            "event_class": "Tieout",
            "node": self._node,
            "type": "reconciliation break",
            "resource": facts.get("pb_id", ""),
            "message_key": key.correlation_id,
            "severity": str(severity),
            "resolution_state": "Closing" if severity == _CLEAR else "New",
            "description": text,
            "time_of_event": f"{moment:%Y-%m-%d %H:%M:%S}",
            "additional_info": json.dumps({**facts, "correlation_id": key.correlation_id}, sort_keys=True),
        }

    def _tell(self, events: list[dict[str, str]]) -> None:
        try:
            self._instance.send("POST", _EVENTS, params={}, body={"records": events})
        except TicketRefused as error:
            # Without the plug-in the address does not exist; saying so again and again helps nobody.
            raise TicketRefused(f"ticketing.events: Event Management refused: {error}", error.http_status) from error


def _severity(impact: int, urgency: int) -> int:
    return _SEVERITY.get((impact, urgency), _LEAST)
