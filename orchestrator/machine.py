"""The interpreter: a pure, deterministic generator that yields what to do and is sent what came of it."""

import json
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator import nested
from orchestrator.choice import holds
from orchestrator.dataflow import check_size, effective_input, output, place, result_output
from orchestrator.errors import StateFailure, runtime
from orchestrator.paths import read

INVOKE = "arn:aws:states:::lambda:invoke"
_UNCATCHABLE = frozenset({"States.Runtime"})
_NOT_ALL = frozenset({"States.DataLimitExceeded", "States.Runtime"})


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
    """A history event."""

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


@dataclass(slots=True)
class Scope:
    """One run of a `States` map: the machine itself, a branch or an iteration. `prefix` keeps keys apart."""

    states: Mapping[str, Any]
    context: Mapping[str, Any]
    prefix: str
    seed: str
    visits: dict[str, int] = field(default_factory=dict)


class EndedByFail(StateFailure):
    """A Fail state was reached."""


def execute(definition: Mapping[str, Any], input: Any, context: Mapping[str, Any]) -> Generator[Command, Any, Outcome]:
    """Run a definition. Pure: equal arguments and equal answers give equal commands; nothing is read from outside."""
    name = str(context.get("Execution", {}).get("Name", ""))
    yield Emit("ExecutionStarted", {"input": text(input), "roleArn": context.get("Execution", {}).get("RoleArn", "")})
    try:
        value = yield from run_states(definition, input, Scope(definition["States"], context, "", name))
    except StateFailure as failure:
        yield Emit("ExecutionFailed", {"error": failure.error, "cause": failure.cause})
        return Outcome("FAILED", None, failure.error, failure.cause)
    yield Emit("ExecutionSucceeded", {"output": text(value)})
    return Outcome("SUCCEEDED", value)


def text(value: Any) -> str:
    """JSON text as the history shows it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def run_states(machine: Mapping[str, Any], value: Any, scope: Scope) -> Program:
    """Run a `StartAt`/`States` pair to its end; returns the output or raises StateFailure."""
    name: str | None = machine["StartAt"]
    while name is not None:
        if name not in scope.states:
            raise runtime(f"The state '{name}' does not exist")
        scope.visits[name] = scope.visits.get(name, 0) + 1
        visit = f"{scope.prefix}{name}@{scope.visits[name]}"
        name, value = yield from _run_state(name, scope.states[name], value, scope, visit)
    return value


def _run_state(name: str, state: Mapping[str, Any], value: Any, scope: Scope, visit: str) -> Program:
    kind = state["Type"]
    context = {**scope.context, "State": {"Name": name, "RetryCount": 0}}
    yield Emit(f"{kind}StateEntered", {"name": name, "input": text(value)})
    if state.get("QueryLanguage") == "JSONata":
        raise runtime(f"State '{name}': QueryLanguage JSONata is not supported by this engine")
    if kind == "Fail":
        raise _fail_state(state, value, context, scope.seed + visit)
    attempts: dict[int, int] = {}
    while True:
        try:
            following, result = yield from _once(
                name, state, value, context, scope, f"{visit}#{sum(attempts.values())}"
            )
        except EndedByFail:
            raise
        except StateFailure as failure:
            pause = _retry(state, failure, attempts, scope.seed + visit)
            if pause is not None:
                yield Sleep(f"{visit}#retry{sum(attempts.values())}", seconds=pause)
                context = {**context, "State": {"Name": name, "RetryCount": sum(attempts.values())}}
                continue
            if kind in ("Parallel", "Map"):
                yield Emit(f"{kind}StateFailed", {"error": failure.error, "cause": failure.cause})
            following, result = _catch(state, failure, value, context)
        break
    yield Emit(f"{kind}StateExited", {"name": name, "output": text(result)})
    return following, result


def _once(
    name: str, state: Mapping[str, Any], value: Any, context: Mapping[str, Any], scope: Scope, key: str
) -> Program:
    kind, seed = state["Type"], scope.seed + key
    following = None if state.get("End") else state.get("Next")
    if kind == "Pass":
        given = effective_input(state, value, context, seed)
        return following, output(state, place(state, value, state.get("Result", given)), context)
    if kind == "Succeed":
        return None, output(state, effective_input(state, value, context, seed), context)
    if kind == "Choice":
        given = effective_input(state, value, context, seed)
        chosen = next((rule["Next"] for rule in state["Choices"] if holds(rule, given, context)), state.get("Default"))
        if chosen is None:
            raise StateFailure("States.NoChoiceMatched", "No choice rule matched and no Default is given")
        return chosen, output(state, given, context)
    if kind == "Wait":
        yield from _wait(state, effective_input(state, value, context, seed), context, key)
        return following, output(state, effective_input(state, value, context, seed), context)
    if kind == "Task":
        result = yield from _task(name, state, effective_input(state, value, context, seed), context, key)
    elif kind == "Parallel":
        given = effective_input(state, value, context, seed)
        result = yield from nested.parallel(state, given, context, key, scope.seed)
    elif kind == "Map":
        result = yield from nested.each(name, state, value, context, key, scope.seed)
    else:
        raise runtime(f"State '{name}': unknown Type '{kind}'")
    return following, result_output(state, value, result, context, seed)


def _task(name: str, state: Mapping[str, Any], given: Any, context: Mapping[str, Any], key: str) -> Program:
    resource = state["Resource"]
    check_size(given)
    plain = resource.startswith("arn:aws:lambda:")
    parts = resource.split(":::")[-1].split(":")
    about = {} if plain else {"resourceType": parts[0], "resource": ":".join(parts[1:])}
    family = "LambdaFunction" if plain else "Task"
    details = {"resource": resource, "input": text(given)} if plain else {**about, "parameters": text(given)}
    yield Emit(f"{family}Scheduled", details)
    yield Emit(f"{family}Started", about)
    limits = [_seconds(state, field_name, given, context) for field_name in ("TimeoutSeconds", "HeartbeatSeconds")]
    answer = yield RunTask(key, resource, given, name, *limits)
    if isinstance(answer, TaskFailure):
        ending = "TimedOut" if answer.error == "States.Timeout" else "Failed"
        yield Emit(f"{family}{ending}", {**about, "error": answer.error, "cause": answer.cause})
        raise StateFailure(answer.error, answer.cause)
    check_size(answer.output)
    yield Emit(f"{family}Succeeded", {**about, "output": text(answer.output)})
    return answer.output


def _seconds(state: Mapping[str, Any], name: str, given: Any, context: Mapping[str, Any]) -> float | None:
    if f"{name}Path" in state:
        return float(read(state[f"{name}Path"], given, context))
    return float(state[name]) if name in state else None


def _wait(state: Mapping[str, Any], given: Any, context: Mapping[str, Any], key: str) -> Program:
    if "SecondsPath" in state or "Seconds" in state:
        seconds = state["Seconds"] if "Seconds" in state else read(state["SecondsPath"], given, context)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise runtime("The SecondsPath parameter cannot be parsed as a long value: " + text(seconds))
        yield Sleep(key, seconds=float(seconds))
    else:
        until = state["Timestamp"] if "Timestamp" in state else read(state["TimestampPath"], given, context)
        yield Sleep(key, until=str(until).replace("Z", "+00:00"))


def _fail_state(state: Mapping[str, Any], value: Any, context: Mapping[str, Any], seed: str) -> StateFailure:
    from orchestrator.dataflow import expression

    def told(name: str) -> str:
        if f"{name}Path" in state:
            return str(expression(state[f"{name}Path"], value, context, seed))
        return str(state.get(name, ""))

    return EndedByFail(told("Error"), told("Cause"))


def _matches(names: list[str], error: str) -> bool:
    if error in _UNCATCHABLE:
        return False
    if error in names or ("States.TaskFailed" in names and not error.startswith("States.Timeout")):
        return True
    return "States.ALL" in names


def _retry(state: Mapping[str, Any], failure: StateFailure, attempts: dict[int, int], seed: str) -> float | None:
    """Seconds to pause before the next attempt, or None when no retrier allows one."""
    for index, retrier in enumerate(state.get("Retry", [])):
        if not _matches(retrier["ErrorEquals"], failure.error):
            continue
        done = attempts.get(index, 0)
        if done >= retrier.get("MaxAttempts", 3):
            return None
        attempts[index] = done + 1
        pause = retrier.get("IntervalSeconds", 1) * float(retrier.get("BackoffRate", 2.0)) ** done
        pause = min(pause, retrier.get("MaxDelaySeconds", pause))
        if retrier.get("JitterStrategy") == "FULL":
            pause *= random.Random(f"{seed}|{index}|{done}").random()
        return float(pause)
    return None


def _catch(state: Mapping[str, Any], failure: StateFailure, value: Any, context: Mapping[str, Any]) -> tuple[str, Any]:
    for catcher in state.get("Catch", []):
        if _matches(catcher["ErrorEquals"], failure.error):
            told = {"Error": failure.error, "Cause": failure.cause}
            return catcher["Next"], output({}, place(catcher, value, told), context)
    raise failure
