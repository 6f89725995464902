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
            number = len(events) + 1
            events.append(Event(number, command.type, number - 1, time.now_ns(), command.details))
        elif isinstance(command, RunTask):
            answer = _call(resources, command)
        else:
            time.sleep(max(0.0, _seconds(command, time)))


def _context(input: Any, time: Clock) -> dict[str, Any]:
    started = datetime.fromtimestamp(time.now_ns() // _NANOSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    prefix = "arn:aws:states:local:000000000000"
    return {
        "Execution": {
            "Id": f"{prefix}:execution:machine:run",
            "Input": input,
            "Name": "run",
            "RoleArn": "arn:aws:iam::000000000000:role/machine",
            "StartTime": started,
        },
        "StateMachine": {"Id": f"{prefix}:stateMachine:machine", "Name": "machine"},
    }


def _seconds(command: Sleep, time: Clock) -> float:
    if command.until is None:
        return command.seconds or 0.0
    return datetime.fromisoformat(command.until).timestamp() - time.now_ns() / _NANOSECONDS


def _call(resources: Mapping[str, Callable[[Any], Any]], command: RunTask) -> TaskResult | TaskFailure:
    function = resources.get(command.resource)
    if function is None:
        return TaskFailure("States.Runtime", f"no resource {command.resource}")
    try:
        return TaskResult(function(command.input))
    except TaskError as error:
        return TaskFailure(error.error, error.cause)
