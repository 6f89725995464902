"""What the interpreter yields and is sent: commands, answers, and how an execution ended."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunTask:
    """Call a task. `key` is unique in the execution and the same on every replay: `visit#attempt`."""

    key: str
    resource: str
    input: Any
    state: str
    timeout_seconds: float | None = None
    heartbeat_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for `seconds` or until an RFC 3339 time."""

    key: str
    seconds: float | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """A history event; a `StateEntered` is answered with its time (RFC 3339), the same on every replay."""

    type: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task's result as Step Functions records it."""

    output: Any


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A task's error name and cause."""

    error: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One history event of an in-memory run."""

    id: int
    type: str
    previous_event_id: int
    timestamp_ns: int
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended: SUCCEEDED with an output, or FAILED with an error name and a cause."""

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None
    history: tuple[Event, ...] = ()


Command = Emit | RunTask | Sleep
Program = Generator[Command, Any, Any]
