"""Parallel and Map: branches and iterations beside each other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.commands import Aborted, Emit, Fork, Program
from orchestrator.distributed import children, is_distributed, written
from orchestrator.errors import StateFailure
from orchestrator.flow import Flow
from orchestrator.map_items import Item
from orchestrator.map_reader import read
from orchestrator.numbers import concurrency, tolerated
from orchestrator.paths import Surroundings
from orchestrator.scope import Scope

Runner = Callable[[Mapping[str, Any], Any, Scope], Program]
# What Step Functions runs at once where MaxConcurrency says nothing or 0.
_INLINE_AT_ONCE = 40
_DISTRIBUTED_AT_ONCE = 10_000


def parallel(state: Mapping[str, Any], given: Any, scope: Scope, run_states: Runner) -> Program:
    """The branches' outputs in order; the first failure is the state's and ends the others."""
    yield Emit("ParallelStateStarted", {})
    branches = state["Branches"]
    parts = (run_states(branch, given, scope.part(number, branch)) for number, branch in enumerate(branches))
    results, _ = yield Fork(parts, len(branches))
    yield Emit("ParallelStateSucceeded", {})
    return [results[number] for number in range(len(branches))]


def each(name: str, flow: Flow, around: Surroundings, scope: Scope, run_states: Runner) -> Program:
    """The iterations' outputs in order, without those that failed; more failures than tolerated are the state's."""
    state, base = flow.state, flow.base()
    processor = state.get("ItemProcessor") or state["Iterator"]
    distributed = is_distributed(processor)
    items = yield from read(name, flow, base, scope.prefix)
    at_once = concurrency(flow.number("MaxConcurrency", base))
    yield Emit("MapStateStarted", {"length": len(items)})
    may_fail = tolerated(
        flow.number("ToleratedFailureCount", base), flow.number("ToleratedFailurePercentage", base), len(items)
    )
    if distributed:
        yield Emit("MapRunStarted", {})
    limit = at_once or (_DISTRIBUTED_AT_ONCE if distributed else _INLINE_AT_ONCE)
    run = _MapRun(name, flow, base, scope, processor, run_states)
    try:
        results, failed = yield Fork(run.parts(items, around), limit, may_fail or 0.0, not distributed, run.counts)
    except StateFailure as failure:
        if distributed:
            yield Emit("MapRunFailed", {"error": failure.error, "cause": failure.cause})
        if failure.error != "States.ItemReaderFailed" and (distributed or may_fail is not None):
            cause = "The specified tolerated failure threshold was exceeded"
            raise StateFailure("States.ExceedToleratedFailureThreshold", cause) from failure
        raise
    if not distributed:
        yield Emit("MapStateSucceeded", {})
        return [results[index] for index in sorted(results)]
    yield Emit("MapRunSucceeded", {})
    told = [(given, results.get(index), failed.get(index)) for index, given in enumerate(run.inputs)]
    result = yield from written(name, flow, base, scope.prefix, told)
    yield Emit("MapStateSucceeded", {})
    return result


@dataclass(slots=True)
class _MapRun:
    """The children of one run of a Map: their inputs and how many items each stands for, as they are begun."""

    name: str
    flow: Flow
    base: Any
    scope: Scope
    processor: Mapping[str, Any]
    run_states: Runner
    inputs: list[Any] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def parts(self, items: list[Item], around: Surroundings) -> Iterator[Program]:
        """The iterations in order, each made when it is begun."""
        if is_distributed(self.processor):
            for given, context, count in children(
                self.flow, self.base, items, around, self.scope.seed + self.scope.prefix
            ):
                self.inputs.append(given)
                self.counts.append(count)
                index = len(self.inputs) - 1
                part = self.scope.part(index, self.processor, context)
                # A child is an execution of its own: it does not see the variables of its parent.
                part.variables.clear()
                yield self._iteration(index, part, given, None)
            return
        for index, item in enumerate(items):
            self.counts.append(1)
            part = self.scope.part(index, self.processor, item.context(around.context, index))
            yield self._iteration(index, part, None, item.given)

    def _iteration(self, index: int, scope: Scope, given: Any, item: Any) -> Program:
        about = {"name": self.name, "index": index}
        yield Emit("MapIterationStarted", about)
        try:
            if not is_distributed(self.processor):
                around = Surroundings(scope.context, scope.variables)
                given = self.flow.item(self.base, around, item, scope.seed + scope.prefix)
            result = yield from self.run_states(self.processor, given, scope)
        except StateFailure:
            yield Emit("MapIterationFailed", about)
            raise
        except Aborted:
            yield Emit("MapIterationAborted", about)
            raise
        yield Emit("MapIterationSucceeded", about)
        return result
