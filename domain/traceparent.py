"""The trace of an execution: its W3C trace context, worked out from its name, so that every process knows it."""

from domain.ids import digest128


def traceparent(execution: str) -> str:
    """`00-<trace>-<span>-01`: the trace of an execution, and the span that stands for the whole of it."""
    return f"00-{trace_id(execution)}-{span_id(execution)}-01"


def trace_id(execution: str) -> str:
    """32 hex digits, never all zero."""
    return digest128("trace", execution)


def span_id(execution: str) -> str:
    """16 hex digits: the span of the execution as a whole, the parent of its tasks and of its tickets' work."""
    return digest128("span", execution)[:16]
