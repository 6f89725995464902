"""Parallel and Map: branches and iterations one after another, so that a replay takes the same turns."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.commands import Emit, Program
from orchestrator.dataflow import input_path, template, text
from orchestrator.errors import StateFailure, runtime
from orchestrator.paths import Surroundings, read
from orchestrator.scope import Scope

Runner = Callable[[Mapping[str, Any], Any, Scope], Program]


def parallel(state: Mapping[str, Any], given: Any, scope: Scope, run_states: Runner) -> Program:
    """The branches' outputs in order; the first failure is the state's."""
    yield Emit("ParallelStateStarted", {})
    results = []
    for number, branch in enumerate(state["Branches"]):
        results.append((yield from run_states(branch, given, scope.part(number, branch))))
    yield Emit("ParallelStateSucceeded", {})
    return results


def each(
    name: str, state: Mapping[str, Any], value: Any, around: Surroundings, scope: Scope, run_states: Runner
) -> Program:
    """The iterations' outputs in order; more failures than are tolerated are the state's."""
    base = input_path(state, value, around)
    items = read(state.get("ItemsPath", "$"), base, around)
    if not isinstance(items, list):
        raise runtime(f'Reference path "{state.get("ItemsPath", "$")}" must point to array.')
    # Iterations take turns whatever the number says; it is read because a wrong one fails the state.
    _number(state, "MaxConcurrency", base, around, int, "integer")
    processor = state.get("ItemProcessor") or state["Iterator"]
    distributed = processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
    yield Emit("MapStateStarted", {"length": len(items)})
    tolerated = _tolerated(state, base, around, len(items))
    if distributed:
        yield Emit("MapRunStarted", {})
    results: list[Any] = []
    failures = 0
    for index, item in enumerate(items):
        inner = scope.part(index, processor, {**around.context, "Map": {"Item": {"Index": index, "Value": item}}})
        try:
            iteration = _iteration(name, state, base, item, index, inner, processor, run_states)
            results.append((yield from (_unheard(iteration) if distributed else iteration)))
        except StateFailure as failure:
            failures += 1
            if not distributed:
                raise
            if failures > tolerated:
                yield Emit("MapRunFailed", {"error": failure.error, "cause": failure.cause})
                cause = "The specified tolerated failure threshold was exceeded"
                raise StateFailure("States.ExceedToleratedFailureThreshold", cause) from failure
    if distributed:
        yield Emit("MapRunSucceeded", {})
    yield Emit("MapStateSucceeded", {})
    return results


def _iteration(
    name: str,
    state: Mapping[str, Any],
    base: Any,
    item: Any,
    index: int,
    scope: Scope,
    processor: Mapping[str, Any],
    run_states: Runner,
) -> Program:
    yield Emit("MapIterationStarted", {"name": name, "index": index})
    around = Surroundings(scope.context, scope.variables)
    selector = state.get("ItemSelector", state.get("Parameters"))
    try:
        given = item if selector is None else template(selector, base, around, scope.seed + scope.prefix)
        result = yield from run_states(processor, given, scope)
    except StateFailure:
        yield Emit("MapIterationFailed", {"name": name, "index": index})
        raise
    yield Emit("MapIterationSucceeded", {"name": name, "index": index})
    return result


def _unheard(program: Program) -> Program:
    """The program without its events: a distributed Map's child executions keep their own history."""
    answer: Any = None
    while True:
        try:
            command = program.send(answer)
        except StopIteration as end:
            return end.value
        answer = None if isinstance(command, Emit) else (yield command)


def _number(
    state: Mapping[str, Any], name: str, base: Any, around: Surroundings, kind: type[int] | type[float], word: str
) -> float | None:
    """A number given as `name` or by `namePath`; a string that spells one is accepted."""
    if f"{name}Path" not in state:
        return state.get(name)
    path = state[f"{name}Path"]
    value = read(path, base, around)
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        if kind is int and isinstance(value, float) and value % 1:
            raise ValueError
        return kind(value)
    except ValueError:
        shown = value if isinstance(value, str) else text(value)
        raise runtime(f'The {name}Path field refers to value "{shown}" which is not a valid {word}: {path}') from None


def _tolerated(state: Mapping[str, Any], base: Any, around: Surroundings, length: int) -> float:
    """How many iterations may fail."""
    count = _number(state, "ToleratedFailureCount", base, around, int, "integer")
    share = _number(state, "ToleratedFailurePercentage", base, around, float, "float")
    if count is not None and count < 0:
        raise runtime("ToleratedFailureCount cannot be negative.")
    if share is not None and not 0 <= share <= 100:
        raise runtime("ToleratedFailurePercentage must be between 0 and 100.")
    return max(count or 0, length * (share or 0) / 100)
