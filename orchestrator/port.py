"""The engine port: what a caller may ask of a state machine engine, embedded or AWS Step Functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

FINISHED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
REDRIVABLE = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as DescribeExecution tells it; times are UTC nanoseconds, `output` is None until it succeeded."""

    name: str
    status: str
    input: Any
    output: Any
    error: str
    cause: str
    started_at: int
    stopped_at: int | None
    redrive_count: int


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One event as GetExecutionHistory tells it; `state` is the state it belongs to, when it belongs to one."""

    id: int
    type: str
    previous_event_id: int
    timestamp_ns: int
    state: str
    details: Mapping[str, Any]


class Engine(Protocol):
    """Runs executions of one state machine. An unknown name raises PermanentError."""

    def start(self, name: str, input: Any) -> Execution:
        """Start an execution; the same name and input again returns the one that is there.

        Raises PermanentError ("ExecutionAlreadyExists") when the name was used with another input.
        """
        ...

    def describe(self, name: str) -> Execution:
        """The execution as it stands."""
        ...

    def history(self, name: str) -> Sequence[HistoryEvent]:
        """Its events in order."""
        ...

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Execution]:
        """The newest executions, newest first, of one status or all."""
        ...

    def redrive(self, name: str) -> Execution:
        """Continue a FAILED, TIMED_OUT or ABORTED execution from the state that failed, same definition and input."""
        ...
