"""The port to a ticket system: what a ticket is, what can be done to it, and what may go wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from domain.errors import PermanentError, TransientError
from domain.ids import digest128


class TicketState(StrEnum):
    """Incident states as ServiceNow numbers them."""

    NEW = "1"
    IN_PROGRESS = "2"
    ON_HOLD = "3"
    RESOLVED = "6"
    CLOSED = "7"
    CANCELED = "8"


FINISHED = frozenset({TicketState.RESOLVED, TicketState.CLOSED, TicketState.CANCELED})


@dataclass(frozen=True, slots=True)
class TicketKey:
    """Identity of a ticket: the correlation_id that proves it is ours and the sys_id it is stored under.

    The sys_id is the one we chose; a tenant that gives its own (an import set) is asked by correlation_id.
    """

    sys_id: str
    correlation_id: str


def ticket_key(namespace: str, break_id: str, generation: int, again: int = 0) -> TicketKey:
    """The key of the one ticket of (break, generation): SHA-256 of namespace, break and generation as 32 hex digits.

    `namespace` names the installation, so that two of them can share a ticket system; `again` tells further tickets of
    the same generation apart (the one before was closed for good while the break was still there).
    """
    told = str(generation) if not again else f"{generation}.{again}"
    return TicketKey(digest128(namespace, break_id, told), f"{namespace}:{break_id}:{told}")


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A ticket to open. Impact and urgency are 1 (high) to 3 (low); the ticket system computes the priority.

    `due` is UTC text `YYYY-MM-DD HH:MM:SS` or empty; `facts` fill the fields a tenant has of its own; `traceparent` is
    the trace it belongs to, for whoever traces.
    """

    key: TicketKey
    short_description: str
    description: str
    impact: int
    urgency: int
    group: str = ""
    due: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class TicketChange:
    """What to change on a ticket; None leaves a field alone. `note_ref` marks the note, so that it is added once."""

    short_description: str | None = None
    description: str | None = None
    impact: int | None = None
    urgency: int | None = None
    state: TicketState | None = None
    assignee: str | None = None
    close_code: str | None = None
    close_notes: str | None = None
    due: str | None = None
    note: str = ""
    note_ref: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the system holds it now. `updated_on` is UTC text `YYYY-MM-DD HH:MM:SS`.

    `ended_by` is the user who resolved, closed or cancelled it, as far as the system tells.
    """

    key: TicketKey
    number: str
    state: TicketState
    short_description: str
    description: str
    impact: str
    urgency: str
    assignee: str
    journal: str
    updated_by: str
    updated_on: str
    mod_count: int
    by_us: bool
    close_code: str = ""
    close_notes: str = ""
    hold_reason: str = ""
    ended_by: str = ""
    group: str = ""
    due: str = ""


@dataclass(frozen=True, slots=True)
class TicketNote:
    """An entry in a ticket's journal that somebody else wrote; `written_on` is UTC text."""

    note_id: str
    sys_id: str
    author: str
    text: str
    written_on: str


class Ticketing(Protocol):
    """A ticket system. Every verb raises TicketBusy (try later) or TicketRefused (never try again as it is)."""

    def find(self, key: TicketKey) -> Ticket | None:
        """The ticket of this key or None; raises TicketRefused when the record found is not ours."""
        ...

    def open(self, draft: TicketDraft) -> Ticket:
        """The opened ticket; opening the same key again finds the first one and changes nothing."""
        ...

    def open_many(self, drafts: Sequence[TicketDraft]) -> Mapping[TicketKey, "Ticket | TicketBusy | TicketRefused"]:
        """What came of each draft, sent together where the system can; raises TicketBusy when nothing was sent."""
        ...

    def update(self, ticket: Ticket, change: TicketChange) -> Ticket:
        """The ticket after the change; `ticket` comes from `find`. A note whose ref is in its journal is not added."""
        ...

    def attach(self, ticket: Ticket, name: str, content: bytes, kind: str) -> None:
        """Attach a file of media type `kind`; one of this name that is there already is left as it is."""
        ...


class TicketFeed(Protocol):
    """What people do to our tickets in the ticket system; raises as Ticketing does."""

    def changes(self, since_ns: int, limit: int) -> Sequence[Ticket]:
        """Our tickets changed at or after `since_ns` (UTC), oldest first, at most `limit`."""
        ...

    def notes(self, since_ns: int, limit: int) -> Sequence[TicketNote]:
        """Journal entries of our tickets written by others at or after `since_ns` (UTC), oldest first."""
        ...

    def unfinished(self, after: str, limit: int) -> Sequence[Ticket]:
        """Our tickets that are neither resolved nor closed nor cancelled, by sys_id, those after `after`."""
        ...


class TicketBusy(TransientError):
    """The ticket system did not answer or asked to wait `retry_after_seconds`."""

    def __init__(self, cause: str, http_status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(cause)
        self.http_status = http_status
        self.retry_after_seconds = retry_after_seconds


class TicketRefused(PermanentError):
    """The ticket system refused, in its own words; sending the same again cannot help."""

    def __init__(self, cause: str, http_status: int | None = None) -> None:
        super().__init__(cause)
        self.http_status = http_status


class TicketGone(TicketRefused):
    """The ticket was deleted there: nothing can be said on it. Holding both sides together opens another if needed."""


class TicketThrottled(TicketBusy):
    """Nothing was sent: the budget for this hour is spent. Not a failure; what waits goes out as it refills."""
