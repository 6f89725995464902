"""Run a machine in memory: no store, no sleeping unless a real clock is given."""

from collections.abc import Callable, Mapping
from typing import Any

from domain.clock import Clock, ManualClock
from orchestrator.errors import TaskError
from orchestrator.machine import Emit, Event, Outcome, RunTask, TaskFailure, TaskResult, execute


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
    given = dict(context or {})
    given.setdefault("Execution", {"Name": "run", "Input": input, "RoleArn": "", "Id": "", "StartTime": ""})
    machine = execute(definition, input, given)
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
        elif command.seconds:
            time.sleep(command.seconds)


def _call(resources: Mapping[str, Callable[[Any], Any]], command: RunTask) -> TaskResult | TaskFailure:
    function = resources.get(command.resource)
    if function is None:
        return TaskFailure("States.Runtime", f"no resource {command.resource}")
    try:
        return TaskResult(function(command.input))
    except TaskError as error:
        return TaskFailure(error.error, error.cause)
