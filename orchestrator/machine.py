"""The interpreter: a pure, deterministic generator that yields what to do and is sent what came of it.

Branches and iterations run beside each other: several tasks and pauses may be under way, and Await asks for the next
that is over. Equal orders of outcomes give equal runs.
"""

from collections.abc import Generator, Mapping
from typing import Any

from orchestrator import nested, steps
from orchestrator.commands import (
    Aborted,
    Await,
    Command,
    Drop,
    Emit,
    Event,
    Outcome,
    Program,
    RunTask,
    Sleep,
    TaskFailure,
    TaskResult,
)
from orchestrator.dataflow import forget, named, text
from orchestrator.errors import EvaluationFailure, StateFailure, runtime
from orchestrator.flow import ABSENT, Flow, PathFlow
from orchestrator.flow_jsonata import JsonataFlow
from orchestrator.handlers import catcher_of, pause_seconds
from orchestrator.paths import Surroundings
from orchestrator.scope import Progress, Scope
from orchestrator.steps import task_token, waits_for_token
from orchestrator.strands import TOO_LONG, HistoryFull, Strands

__all__ = [
    "Await",
    "Drop",
    "Emit",
    "Event",
    "Outcome",
    "RunTask",
    "Sleep",
    "TaskFailure",
    "TaskResult",
    "execute",
]
_RETRIED = frozenset({"Task", "Parallel", "Map"})
_ABORTABLE = _RETRIED | {"Wait"}

_LOCATED = "An error occurred while executing the state "


def execute(definition: Mapping[str, Any], input: Any, context: Mapping[str, Any]) -> Generator[Command, Any, Outcome]:
    """Run a definition. Pure: equal arguments and equal answers give equal commands; nothing is read from outside."""
    progress = Progress()
    strands = Strands(_whole(definition, input, context, progress), progress)
    try:
        outcome: Outcome = yield from strands.run()
    except HistoryFull:
        yield Emit("ExecutionFailed", {"error": "States.Runtime", "cause": TOO_LONG}, previous=progress.events)
        return Outcome("FAILED", None, "States.Runtime", TOO_LONG)
    return outcome


def _whole(definition: Mapping[str, Any], input: Any, context: Mapping[str, Any], progress: Progress) -> Program:
    about = context.get("Execution", {})
    forget()
    yield Emit("ExecutionStarted", {"input": text(input), "roleArn": about.get("RoleArn", "")})
    seed, spoken = str(about.get("Name", "")), language(definition, "JSONPath")
    scope = Scope(definition["States"], context, {}, "", seed, spoken, progress)
    try:
        value = yield from run_states(definition, input, scope)
    except StateFailure as failure:
        yield Emit("ExecutionFailed", {"error": failure.error, "cause": failure.cause})
        return Outcome("FAILED", None, failure.error or None, failure.cause or None)
    yield Emit("ExecutionSucceeded", {"output": text(value)})
    return Outcome("SUCCEEDED", value)


def language(part: Mapping[str, Any], inherited: str) -> str:
    """The query language of a machine or a state."""
    return str(part.get("QueryLanguage", inherited))


def run_states(machine: Mapping[str, Any], value: Any, scope: Scope) -> Program:
    """Run a `StartAt`/`States` pair to its end; returns the output or raises StateFailure."""
    name: str | None = machine["StartAt"]
    while name is not None:
        if name not in scope.states:
            raise runtime(f"The state '{name}' does not exist")
        try:
            name, value = yield from _run_state(name, scope.states[name], value, scope)
        except StateFailure as failure:
            if failure.error == "States.Runtime" and not failure.cause.startswith(_LOCATED):
                failure.cause = _located(name, failure.cause, scope)
            raise
    return value


def _located(name: str, cause: str, scope: Scope) -> str:
    return f"{_LOCATED}'{name}' (entered at the event id #{scope.entered}). {cause}"


def _run_state(name: str, state: Mapping[str, Any], value: Any, scope: Scope) -> Program:
    """The name of the state that follows (None at the end) and its input."""
    kind, visit = state["Type"], scope.visit(name)
    entered = yield Emit(f"{kind}StateEntered", {"name": name, "input": text(value)})
    scope.entered = scope.progress.events
    attempts: dict[int, int] = {}
    while True:
        tries = sum(attempts.values())
        told = {"Name": name, "EnteredTime": entered, **({"RetryCount": tries} if kind in _RETRIED else {})}
        flow = _flow(state, value, {**scope.context, "State": told}, scope, f"{visit}#{tries}")
        try:
            following, assigned, result = yield from _once(name, flow, scope, f"{visit}#{tries}")
            break
        except Aborted:
            yield from _aborted(kind, name)
            raise
        except StateFailure as failure:
            yield from _evaluated(name, named(failure, name), scope)
            pause = pause_seconds(state, failure, attempts, scope.seed + visit)
            if pause is None:
                if kind in ("Parallel", "Map"):
                    yield from _failed(kind, failure)
                following, assigned, result = yield from _caught(name, flow, failure, scope)
                break
        try:
            yield Sleep(f"{visit}#retry{sum(attempts.values())}", seconds=pause)
        except Aborted:
            yield from _aborted(kind, name)
            raise
    scope.variables.update(assigned)
    news = {"assignedVariables": {key: text(item) for key, item in assigned.items()}} if assigned else {}
    yield Emit(f"{kind}StateExited", {"name": name, "output": text(result), **news})
    return following, result


def _flow(state: Mapping[str, Any], value: Any, context: dict[str, Any], scope: Scope, key: str) -> Flow:
    if state["Type"] == "Task" and waits_for_token(str(state.get("Resource"))):
        context["Task"] = {"Token": task_token(context, key)}
    made = PathFlow if language(state, scope.language) == "JSONPath" else JsonataFlow
    return made(state, value, Surroundings(context, scope.variables), scope.seed + key)


def _caught(name: str, flow: Flow, failure: StateFailure, scope: Scope) -> Program:
    """As `_once`, from the catcher that takes the failure; raises it when none does."""
    catcher = catcher_of(flow.state, failure)
    if catcher is None:
        raise failure
    try:
        return catcher["Next"], *flow.caught(catcher, failure)
    except StateFailure as inner:
        yield from _evaluated(name, inner, scope)
        raise


def _evaluated(name: str, failure: StateFailure, scope: Scope) -> Program:
    """The history tells of an expression that failed, once, where it failed."""
    if isinstance(failure, EvaluationFailure) and not failure.is_told:
        failure.is_told = True
        failure.cause = _located(name, failure.cause, scope)
        place = {"location": failure.location} if failure.location else {}
        yield Emit("EvaluationFailed", {"error": failure.error, "cause": failure.cause, **place, "state": name})


def _aborted(kind: str, name: str) -> Program:
    if kind in _ABORTABLE:
        yield Emit(f"{kind}StateAborted", {"name": name})


def _failed(kind: str, failure: StateFailure) -> Program:
    """Step Functions tells of a failed Parallel or Map once, after its last attempt, but not of a broken definition."""
    if failure.error != "States.Runtime":
        yield Emit(f"{kind}StateFailed", {"error": failure.error, "cause": failure.cause})


def _once(name: str, flow: Flow, scope: Scope, key: str) -> Program:
    """One attempt: what follows (None at the end), the variables assigned and the output."""
    state, around = flow.state, flow.around
    kind = state["Type"]
    following = None if state.get("End") else state.get("Next")
    if kind == "Map":
        result = yield from nested.each(name, flow, around, scope.inside(key), run_states)
        return following, *flow.finish(None, result, state)
    if kind == "Fail":
        raise flow.failure()
    given, result, decided = flow.given(), ABSENT, state
    if kind == "Task":
        result = yield from steps.task(name, flow, given, around.context, key)
    elif kind == "Parallel":
        result = yield from nested.parallel(state, given, scope.inside(key), run_states)
    elif kind == "Wait":
        yield from steps.wait(flow, given, around.context, key)
    elif kind == "Choice":
        following, decided = flow.chosen(given)
    elif kind == "Pass":
        result = flow.passed(given)
    elif kind != "Succeed":
        raise runtime(f"unknown Type '{kind}'")
    return following, *flow.finish(given, result, decided)
