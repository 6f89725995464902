"""What the interpreter yields and is sent: commands, answers, and how an execution ended."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RunTask:
    """Call a task. `key` is unique in the execution and the same on every replay: `visit#attempt`.

    With a `token` the call's own result does not matter: the task ends when somebody returns the token. A `stage` is
    what comes before an activity's task (`orchestrator/activities_task.py`).
    """

    key: str
    resource: str
    input: Any
    state: str
    timeout_seconds: float | None = None
    heartbeat_seconds: float | None = None
    token: str | None = None
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for `seconds` or until an RFC 3339 time."""

    key: str
    seconds: float | None = None
    until: str | None = None


@dataclass(slots=True)
class Emit:
    """A history event of a `state`, or of none, and the number of the event that led to it (0 at the start).

    It is answered at once; a `StateEntered` with its time (RFC 3339), the same on every replay. What is not heard is
    not part of the history: the child executions of a distributed Map keep their own.
    """

    # Not frozen: the strand fills in the last three, and a second object for every event would be felt.
    type: str
    details: Mapping[str, Any]
    is_heard: bool = True
    state: str = ""
    previous: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody waits for the outcome of this RunTask or Sleep any more."""

    key: str


@dataclass(frozen=True, slots=True)
class Await:
    """Everything under way waits: answered with the key of one RunTask or Sleep that is over and its outcome."""


AWAIT = Await()


class Aborted(BaseException):
    """Thrown into a branch or iteration when a sibling's failure ends them all."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Run these beside each other, at most `limit` at a time.

    Answered with outputs and failures by index, or with the failure that was one more than `tolerated` (raised).
    A failure counts as one, or as `counts` says by index.
    """

    programs: "Iterator[Program]"
    limit: int
    tolerated: float = 0
    is_heard: bool = True
    counts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task's result as Step Functions records it.

    `submitted` is what the call that carried the task's token away answered, as JSON text; None without a token.
    """

    output: Any
    submitted: str | None = None


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A task's error name and cause; `submitted` as for a result, None when that call itself failed."""

    error: str
    cause: str = ""
    submitted: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One history event of an in-memory run."""

    id: int
    type: str
    previous_event_id: int
    timestamp_ns: int
    details: Mapping[str, Any]

    @property
    def timestamp(self) -> datetime:
        """The time, UTC, to the microsecond."""
        return datetime.fromtimestamp(self.timestamp_ns / 1e9, UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended: SUCCEEDED with an output, or FAILED with an error name and a cause."""

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None
    history: tuple[Event, ...] = ()


# What whoever runs a machine is asked. RunTask and Sleep only begin something: Await is answered with how it ended.
Command = Emit | RunTask | Sleep | Drop | Await
# What a part of a machine asks. Its RunTask and Sleep are answered with the outcome.
Program = Generator[Any, Any, Any]
