"""Parallel and inline Map: branches and iterations one after another, so that a replay takes the same turns."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.dataflow import template
from orchestrator.errors import StateFailure, runtime
from orchestrator.paths import read

if TYPE_CHECKING:
    from orchestrator.machine import Program


def parallel(state: Mapping[str, Any], given: Any, context: Mapping[str, Any], key: str, seed: str) -> "Program":
    """The branches' outputs in order; the first failure is the state's."""
    from orchestrator.machine import Emit, Scope, run_states

    yield Emit("ParallelStateStarted", {})
    results = []
    for number, branch in enumerate(state["Branches"]):
        scope = Scope(branch["States"], context, f"{key}/{number}/", seed)
        results.append((yield from run_states(branch, given, scope)))
    yield Emit("ParallelStateSucceeded", {})
    return results


def each(name: str, state: Mapping[str, Any], value: Any, context: Mapping[str, Any], key: str, seed: str) -> "Program":
    """The iterations' outputs in order; failures above the tolerated number are the state's."""
    from orchestrator.machine import Emit, Scope, run_states

    path = state.get("InputPath", "$")
    base = {} if path is None else read(path, value, context)
    items = read(state.get("ItemsPath", "$"), base, context)
    if not isinstance(items, list):
        raise runtime(f"Map state '{name}': the items are not an array")
    processor = state.get("ItemProcessor") or state.get("Iterator")
    assert processor is not None
    selector = state.get("ItemSelector", state.get("Parameters"))
    yield Emit("MapStateStarted", {"length": len(items)})
    results: list[Any] = []
    for index, item in enumerate(items):
        inner = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
        yield Emit("MapIterationStarted", {"name": name, "index": index})
        given = item if selector is None else template(selector, base, inner, f"{seed}{key}/{index}")
        try:
            scope = Scope(processor["States"], inner, f"{key}/{index}/", seed)
            results.append((yield from run_states(processor, given, scope)))
        except StateFailure:
            yield Emit("MapIterationFailed", {"name": name, "index": index})
            raise
        yield Emit("MapIterationSucceeded", {"name": name, "index": index})
    yield Emit("MapStateSucceeded", {})
    return results
