"""Run a machine in memory: no store, no sleeping unless a real clock is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from domain.clock import Clock, ManualClock
from orchestrator.commands import Await, Drop, Emit, Event, Outcome, RunTask, Sleep, TaskFailure, TaskResult
from orchestrator.errors import TaskError
from orchestrator.machine import execute

_NANOSECONDS = 1_000_000_000
Resources = Mapping[str, Callable[[Any], Any]]


def run(
    definition: Mapping[str, Any],
    input: Any,
    resources: Resources,
    *,
    context: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """How the machine ends, with its history.

    `resources` maps a Task's Resource to a function of the effective input that returns the result as Step Functions
    records it or raises TaskError. Waits and retry pauses move a virtual clock, unless a real one is passed. Tasks that
    are under way together are called one after another, in the order they were scheduled; one that takes longer on the
    clock than its TimeoutSeconds or HeartbeatSeconds fails when it returns (States.Timeout, States.HeartbeatTimeout).
    """
    return play(definition, input, partial(_call, resources), context=context, clock=clock)


def play(
    definition: Mapping[str, Any],
    input: Any,
    call: Callable[[RunTask], TaskResult | TaskFailure],
    *,
    context: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """As `run`, with one function that is given each task's command and says how the task ends."""
    time = clock or ManualClock()
    machine = execute(definition, input, {**_context(input, time), **(context or {})})
    limit = definition.get("TimeoutSeconds")
    run = _Run(time, call, time.now_ns() + int(limit * _NANOSECONDS) if limit else None)
    answer: Any = None
    while True:
        try:
            command = machine.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return Outcome(outcome.status, outcome.output, outcome.error, outcome.cause, tuple(run.events))
        if isinstance(command, Await):
            answer = run.next()
            if answer is None:
                machine.close()
                run.told(Emit("ExecutionTimedOut", {"error": "States.Timeout"}, previous=len(run.events)))
                return Outcome("TIMED_OUT", None, "States.Timeout", "", tuple(run.events))
        elif isinstance(command, Emit):
            answer = run.told(command)
        else:
            run.begin(command)
            answer = None


@dataclass(slots=True)
class _Run:
    """What is under way, and what was told."""

    time: Clock
    call: Callable[[RunTask], TaskResult | TaskFailure]
    end_ns: int | None
    events: list[Event] = field(default_factory=list)
    tasks: dict[str, RunTask] = field(default_factory=dict)
    due_ns: dict[str, int] = field(default_factory=dict)

    def told(self, event: Emit) -> str:
        now_ns = self.time.now_ns()
        if event.is_heard:
            number = len(self.events) + 1
            self.events.append(Event(number, event.type, event.previous, now_ns, event.details))
        return _iso(now_ns) if event.type.endswith("StateEntered") else ""

    def begin(self, command: RunTask | Sleep | Drop) -> None:
        if isinstance(command, RunTask):
            self.tasks[command.key] = command
        elif isinstance(command, Sleep):
            self.due_ns[command.key] = _due(command, self.time)
        else:
            self.tasks.pop(command.key, None)
            self.due_ns.pop(command.key, None)

    def next(self) -> tuple[str, Any] | None:
        """What is over next: the first task called, or the earliest pause; None when the machine's time ends first."""
        if self.tasks:
            key = next(iter(self.tasks))
            answer = self._called(self.tasks.pop(key))
            return None if self.end_ns is not None and self.time.now_ns() > self.end_ns else (key, answer)
        key = min(self.due_ns, key=lambda key: self.due_ns[key])
        due = self.due_ns.pop(key)
        ends = due if self.end_ns is None else min(due, self.end_ns)
        self.time.sleep(max(0.0, (ends - self.time.now_ns()) / _NANOSECONDS))
        return (key, None) if ends == due else None

    def _called(self, command: RunTask) -> TaskResult | TaskFailure:
        if command.stage:
            # Every activity is there, and whoever works on it takes what there is.
            return TaskResult({})
        begun_ns = self.time.now_ns()
        answer = self.call(command)
        if command.token is not None:
            # One call stands for the call that carries the token away and for the token's return.
            answer = replace(answer, submitted="")
        took_ns = self.time.now_ns() - begun_ns
        for limit, error in (
            (command.timeout_seconds, "States.Timeout"),
            (command.heartbeat_seconds, "States.HeartbeatTimeout"),
        ):
            if limit is not None and took_ns > limit * _NANOSECONDS:
                return TaskFailure(error)
        return answer


@lru_cache(maxsize=16)
def _iso(now_ns: int) -> str:
    return datetime.fromtimestamp(now_ns // _NANOSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _context(input: Any, time: Clock) -> dict[str, Any]:
    prefix = "arn:aws:states:local:000000000000"
    return {
        "Execution": {
            "Id": f"{prefix}:execution:machine:run",
            "Input": input,
            "Name": "run",
            "RoleArn": "arn:aws:iam::000000000000:role/machine",
            "StartTime": _iso(time.now_ns()),
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": f"{prefix}:stateMachine:machine", "Name": "machine"},
    }


def _due(command: Sleep, time: Clock) -> int:
    if command.until is None:
        return time.now_ns() + int((command.seconds or 0.0) * _NANOSECONDS)
    return int(datetime.fromisoformat(command.until).timestamp() * _NANOSECONDS)


def _call(resources: Resources, command: RunTask) -> TaskResult | TaskFailure:
    function = resources.get(command.resource)
    if function is None:
        return TaskFailure("States.Runtime", f"no resource {command.resource}")
    try:
        return TaskResult(function(command.input))
    except TaskError as error:
        return TaskFailure(error.error, error.cause)
