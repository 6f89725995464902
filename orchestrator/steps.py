"""The states that do one thing: Task, Wait, Choice and Fail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.choice import holds, is_timestamp
from orchestrator.commands import Emit, Program, RunTask, Sleep, TaskFailure
from orchestrator.dataflow import check_size, expression, input_path, text
from orchestrator.errors import StateFailure, runtime
from orchestrator.paths import Surroundings, read

_MAX_WAIT_SECONDS = 99_999_999
_MAX_DELAY_SECONDS = 2**31 - 1


def chosen(state: Mapping[str, Any], given: Any, around: Surroundings) -> tuple[str, Mapping[str, Any]]:
    """The next state and what decided it: the first rule that holds, or the state itself with its Default."""
    for rule in state["Choices"]:
        if holds(rule, given, around):
            return str(rule["Next"]), rule
    if "Default" not in state:
        raise StateFailure("States.NoChoiceMatched", "No choice rule matched and no Default is given")
    return str(state["Default"]), state


def task(name: str, state: Mapping[str, Any], value: Any, given: Any, around: Surroundings, key: str) -> Program:
    """The task's result; `given` is its effective input, `value` the state's input."""
    resource = state["Resource"]
    check_size(given)
    base = input_path(state, value, around)
    limits = [_seconds(state, field_name, base, around) for field_name in ("TimeoutSeconds", "HeartbeatSeconds")]
    plain = resource.startswith("arn:aws:lambda:")
    parts = resource.split(":::")[-1].split(":")
    about = {} if plain else {"resourceType": parts[0], "resource": ":".join(parts[1:])}
    family = "LambdaFunction" if plain else "Task"
    details: dict[str, Any] = (
        {"resource": resource, "input": text(given)} if plain else {**about, "parameters": text(given)}
    )
    for limit, label in zip(limits, ("timeoutInSeconds", "heartbeatInSeconds"), strict=True):
        if limit is not None:
            details[label] = int(limit)
    yield Emit(f"{family}Scheduled", details)
    yield Emit(f"{family}Started", about)
    answer = yield RunTask(key, resource, given, name, *limits)
    if isinstance(answer, TaskFailure):
        ending = "TimedOut" if answer.error == "States.Timeout" else "Failed"
        yield Emit(f"{family}{ending}", {**about, "error": answer.error, "cause": answer.cause})
        raise StateFailure(answer.error, answer.cause)
    try:
        check_size(answer.output)
    except StateFailure as failure:
        yield Emit(f"{family}Failed", {**about, "error": failure.error, "cause": failure.cause})
        raise
    yield Emit(f"{family}Succeeded", {**about, "output": text(answer.output)})
    return answer.output


def _seconds(state: Mapping[str, Any], name: str, data: Any, around: Surroundings) -> float | None:
    if f"{name}Path" not in state:
        return float(state[name]) if name in state else None
    path = state[f"{name}Path"]
    value = read(path, data, around)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise runtime(f"The {name}Path parameter is not a positive integer: {path} == {text(value)}")
    return float(value)


def wait(state: Mapping[str, Any], given: Any, around: Surroundings, key: str) -> Program:
    """Sleep as the state says; a whole number of seconds, or until an RFC 3339 time with an offset."""
    if "Seconds" in state or "SecondsPath" in state:
        path = state.get("SecondsPath")
        seconds = read(path, given, around) if path is not None else state["Seconds"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0 or seconds % 1:
            raise runtime(f"The SecondsPath parameter cannot be parsed as a long value: {path} == {text(seconds)}")
        if seconds > _MAX_WAIT_SECONDS:
            raise runtime("Wait state delay is too long.")
        yield Sleep(key, seconds=float(seconds))
        return
    path = state.get("TimestampPath")
    until = read(path, given, around) if path is not None else state["Timestamp"]
    if not is_timestamp(until):
        shown = until if isinstance(until, str) else text(until)
        raise runtime(
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            f"{path} == {shown}"
        )
    until = until.replace("Z", "+00:00")
    if _too_far(until, around):
        raise runtime("Wait state delay is too long.")
    yield Sleep(key, until=until)


def _too_far(until: str, around: Surroundings) -> bool:
    # Told from the start of the execution, because the interpreter reads no clock.
    started = around.context.get("Execution", {}).get("StartTime")
    if not is_timestamp(started):
        return False
    delay = datetime.fromisoformat(until) - datetime.fromisoformat(started.replace("Z", "+00:00"))
    return delay.total_seconds() > _MAX_DELAY_SECONDS


def failure_of(state: Mapping[str, Any], given: Any, around: Surroundings, seed: str) -> StateFailure:
    """The error and cause a Fail state names."""

    def told(name: str) -> str:
        path = state.get(f"{name}Path")
        if path is None:
            return str(state.get(name, ""))
        value = expression(path, given, around, seed, f"{name}Path")
        return value if isinstance(value, str) else text(value)

    return StateFailure(told("Error"), told("Cause"))
