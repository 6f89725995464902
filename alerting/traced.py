"""Ticket work as spans of OpenTelemetry (extra `otel`): one per thing done to a ticket, its requests beneath it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from alerting.port import Ticket, TicketChange, TicketDraft, Ticketing, TicketKey, TicketNote
from alerting.servicenow import Outcome
from alerting.shadow import TicketStore

# Names of our own: OpenTelemetry has none for tickets.
_ID, _NUMBER, _COUNT = "tieout.ticket.correlation_id", "tieout.ticket.number", "tieout.ticket.count"


def within(ticketing: Ticketing, traceparent: str) -> AbstractContextManager[None]:
    """What is done inside belongs to that trace, where the ticketing is traced at all."""
    return ticketing.within(traceparent) if isinstance(ticketing, Traced) else nullcontext()


def _context(traceparent: str) -> Any:
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    return get_current_span(parent).get_span_context()


class Traced:
    """A ticket store whose work is told to a tracer (`opentelemetry.trace.Tracer`).

    A span carries the ticket's correlation_id and number, never what it says: no trade data leaves by traces.
    """

    def __init__(self, store: TicketStore, tracer: Any) -> None:
        self._store, self._tracer = store, tracer

    @contextmanager
    def _span(self, name: str) -> Iterator[Any]:
        from opentelemetry.trace import Status, StatusCode

        with self._tracer.start_as_current_span(
            f"ticket {name}", record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                # What the ticket system answers may repeat what it was sent, so its words stay out.
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    @contextmanager
    def within(self, traceparent: str) -> Iterator[None]:
        """What is done inside belongs to the trace of this W3C trace context; empty: to none that is known."""
        from opentelemetry import context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if not traceparent:
            yield
            return
        token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
        try:
            yield
        finally:
            context.detach(token)

    def find(self, key: TicketKey) -> Ticket | None:
        """As the port says."""
        with self._span("find") as span:
            span.set_attribute(_ID, key.correlation_id)
            return self._store.find(key)

    def open(self, draft: TicketDraft) -> Ticket:
        """As the port says."""
        with self._span("open") as span:
            span.set_attribute(_ID, draft.key.correlation_id)
            found = self._store.open(draft)
            span.set_attribute(_NUMBER, found.number)
            return found

    def open_many(self, drafts: Sequence[TicketDraft]) -> Mapping[TicketKey, Outcome]:
        """As the port says."""
        with self._span("open many") as span:
            span.set_attribute(_COUNT, len(drafts))
            # One request for many executions: a link to each, as none of them is its parent.
            for told in dict.fromkeys(draft.traceparent for draft in drafts if draft.traceparent):
                span.add_link(_context(told))
            return self._store.open_many(drafts)

    def update(self, ticket: Ticket, change: TicketChange) -> Ticket:
        """As the port says."""
        with self._span("update") as span:
            span.set_attribute(_ID, ticket.key.correlation_id)
            span.set_attribute(_NUMBER, ticket.number)
            return self._store.update(ticket, change)

    def attach(self, ticket: Ticket, name: str, content: bytes, kind: str) -> None:
        """As the port says."""
        with self._span("attach") as span:
            span.set_attribute(_NUMBER, ticket.number)
            self._store.attach(ticket, name, content, kind)

    def changes(self, since_ns: int, limit: int) -> Sequence[Ticket]:
        """As the port says."""
        with self._span("read changes"):
            return self._store.changes(since_ns, limit)

    def notes(self, since_ns: int, limit: int) -> Sequence[TicketNote]:
        """As the port says."""
        with self._span("read notes"):
            return self._store.notes(since_ns, limit)

    def unfinished(self, after: str, limit: int) -> Sequence[Ticket]:
        """As the port says."""
        with self._span("read unfinished"):
            return self._store.unfinished(after, limit)
