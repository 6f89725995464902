"""The port to a ticket system: what a ticket is, what can be done to it, and what may go wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """Identity of a ticket: the sys_id it is stored under and the correlation_id that proves it is ours."""

    sys_id: str
    correlation_id: str


def ticket_key(namespace: str, break_id: str, generation: int) -> TicketKey:
    """The key of the one ticket of (break, generation): SHA-256 of namespace, break and generation as 32 hex digits.

    `namespace` names the installation, so that two of them can share a ticket system.
    """
    sys_id = digest128(namespace, break_id, str(generation))
    return TicketKey(sys_id, f"{namespace}:{break_id}:{generation}")


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A ticket to open. Impact and urgency are 1 (high) to 3 (low); the ticket system computes the priority."""

    key: TicketKey
    short_description: str
    description: str
    impact: int
    urgency: int
    group: str = ""


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
    note: str = ""
    note_ref: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the system holds it now. `updated_on` is UTC text `YYYY-MM-DD HH:MM:SS`."""

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


class Ticketing(Protocol):
    """A ticket system. Every verb raises TicketBusy (try later) or TicketRefused (never try again as it is)."""

    def find(self, key: TicketKey) -> Ticket | None:
        """The ticket of this key or None; raises TicketRefused when the record found is not ours."""
        ...

    def open(self, draft: TicketDraft) -> Ticket:
        """The opened ticket; opening the same key again finds the first one and changes nothing."""
        ...

    def update(self, ticket: Ticket, change: TicketChange) -> Ticket:
        """The ticket after the change; `ticket` comes from `find`. A note whose ref is in its journal is not added."""
        ...

    def changes(self, since_ns: int, limit: int) -> Sequence[Ticket]:
        """Our tickets changed at or after `since_ns` (UTC), oldest first, at most `limit`."""
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
