"""Run a machine in memory: no store, no sleeping unless a real clock is given."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from domain.clock import Clock, ManualClock
from orchestrator.commands import Emit, Event, Outcome, RunTask, Sleep, TaskFailure, TaskResult
from orchestrator.errors import TaskError
from orchestrator.machine import execute

_NANOSECONDS = 1_000_000_000


def run(
    definition: Mapping[str, Any],
    input: Any,
    resources: Mapping[str, Callable[[Any], Any]],
    *,
    context: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """How the machine ends, with its history.

    `resources` maps a Task's Resource to a function of the effective input that returns the result as Step Functions
    records it or raises TaskError. Waits and retry pauses move a virtual clock, unless a real one is passed.
    """
    time = clock or ManualClock()
    machine = execute(definition, input, {**_context(input, time), **(context or {})})
    limit = definition.get("TimeoutSeconds")
    end_ns = time.now_ns() + int(limit * _NANOSECONDS) if limit else None
    events: list[Event] = []
    answer: Any = None
    while True:
        try:
            command = machine.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return Outcome(outcome.status, outcome.output, outcome.error, outcome.cause, tuple(events))
        answer = None
        if isinstance(command, Emit):
            answer = _told(events, command, time)
        elif isinstance(command, RunTask):
            answer = _call(resources, command)
        else:
            due_ns = _due(command, time)
            if end_ns is not None and due_ns > end_ns:
                time.sleep((end_ns - time.now_ns()) / _NANOSECONDS)
                _told(events, Emit("ExecutionTimedOut", {"error": "States.Timeout"}), time)
                return Outcome("TIMED_OUT", None, "States.Timeout", "", tuple(events))
            time.sleep(max(0.0, (due_ns - time.now_ns()) / _NANOSECONDS))


def _told(events: list[Event], command: Emit, time: Clock) -> str:
    number = len(events) + 1
    events.append(Event(number, command.type, number - 1, time.now_ns(), command.details))
    return _iso(time.now_ns())


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
        },
        "StateMachine": {"Id": f"{prefix}:stateMachine:machine", "Name": "machine"},
    }


def _due(command: Sleep, time: Clock) -> int:
    if command.until is None:
        return time.now_ns() + int((command.seconds or 0.0) * _NANOSECONDS)
    return int(datetime.fromisoformat(command.until).timestamp() * _NANOSECONDS)


def _call(resources: Mapping[str, Callable[[Any], Any]], command: RunTask) -> TaskResult | TaskFailure:
    function = resources.get(command.resource)
    if function is None:
        return TaskFailure("States.Runtime", f"no resource {command.resource}")
    try:
        return TaskResult(function(command.input))
    except TaskError as error:
        return TaskFailure(error.error, error.cause)
