"""One state by itself: what it does with an input, and what its data looks like on the way (TestState)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.checks import targets
from orchestrator.commands import Outcome, RunTask, TaskFailure, TaskResult
from orchestrator.dataflow import effective_input, input_path, place, selected, text
from orchestrator.definition import Problem, validate
from orchestrator.errors import StateFailure
from orchestrator.handlers import catcher_of, pause_seconds
from orchestrator.memory import play
from orchestrator.paths import Surroundings

_JSON = Mapping[str, Any]
Call = Callable[[RunTask], TaskResult | TaskFailure]
_INSIDE = frozenset(
    {
        "Branches", "ItemProcessor", "Iterator", "ItemSelector", "ItemsPath", "Items", "ItemReader", "ItemBatcher",
        "ResultWriter", "Label", "MaxConcurrency", "MaxConcurrencyPath", "ToleratedFailureCount",
        "ToleratedFailureCountPath", "ToleratedFailurePercentage", "ToleratedFailurePercentagePath",
    }
)  # fmt: skip
_BEFORE = "assign the variables"


@dataclass(frozen=True, slots=True)
class Tried:
    """How the state ended: SUCCEEDED, FAILED, RETRIABLE or CAUGHT_ERROR; `data` is JSON text by stage."""

    status: str
    output: Any = None
    error: str = ""
    cause: str = ""
    following: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)


def problems(name: str, state: _JSON) -> list[Problem]:
    """What is wrong with the state, wherever it leads."""
    return validate({"StartAt": name, "States": {**_ends(name, state), name: dict(state)}})


def try_state(
    name: str, state: _JSON, given: Any, call: Call, *, context: _JSON, variables: _JSON, retries: int = 0
) -> Tried:
    """Run the state once. `call` answers for what it calls; a Map or a Parallel is one call. Raises nothing."""
    bare = {key: value for key, value in state.items() if key not in ("Retry", "Catch")}

    def once(tried: _JSON) -> Outcome:
        return play(_alone(name, tried, variables), given, call, context=context)

    outcome = once(bare)
    data = _stages(state, given, Surroundings(context, variables), outcome)
    if outcome.status == "SUCCEEDED":
        return Tried("SUCCEEDED", outcome.output, following=_following(name, outcome), data=data)
    failure = StateFailure(outcome.error or "", outcome.cause or "")
    failed = Tried("FAILED", error=failure.error, cause=failure.cause, data=data)
    done = dict.fromkeys(range(len(state.get("Retry", []))), retries)
    if pause_seconds(state, failure, done, name) is not None:
        return replace(failed, status="RETRIABLE")
    if catcher_of(state, failure) is None:
        return failed
    caught = once({key: value for key, value in state.items() if key != "Retry"})
    if caught.status != "SUCCEEDED":
        return replace(failed, error=caught.error or "", cause=caught.cause or "")
    return replace(failed, status="CAUGHT_ERROR", output=caught.output, following=_following(name, caught))


def _alone(name: str, state: _JSON, variables: _JSON) -> dict[str, Any]:
    """A machine of the state and of ends for what it leads to; a Map or Parallel stands there as one task."""
    made = dict(state)
    if state.get("Type") in ("Map", "Parallel"):
        made = {key: value for key, value in state.items() if key not in _INSIDE}
        if state["Type"] == "Map":
            made.pop("Parameters", None)
        made |= {"Type": "Task", "Resource": "the whole state"}
    states = {name: made, **_ends(name, made)}
    if not variables:
        return {"StartAt": name, "States": states}
    states[_BEFORE] = {"Type": "Pass", "Assign": dict(variables), "Next": name}
    return {"StartAt": _BEFORE, "States": states}


def _ends(name: str, state: _JSON) -> dict[str, Any]:
    """A state that ends the machine for each one the state leads to; one of their own where it leads nowhere else."""
    names = [target for target in targets(state) if isinstance(target, str) and target != name]
    ends_itself = state.get("End") or state.get("Type") in ("Succeed", "Fail")
    return {end: {"Type": "Pass", "End": True} for end in (names if names or ends_itself else [f"after {name}"])}


def _following(name: str, outcome: Outcome) -> str | None:
    entered = [str(event.details["name"]) for event in outcome.history if event.type.endswith("StateEntered")]
    after = entered[entered.index(name) + 1 :]
    return after[0] if after else None


def _stages(state: _JSON, given: Any, around: Surroundings, outcome: Outcome) -> dict[str, str]:
    """The data as each field leaves it, as far as the state came."""
    shown = {"input": text(given)}
    ended = [event.details["output"] for event in outcome.history if event.type.endswith("Succeeded")]
    try:
        if state.get("QueryLanguage") == "JSONata":
            return shown
        shown["afterInputPath"] = text(input_path(state, given, around))
        shown["afterParameters"] = text(effective_input(state, given, around, ""))
        if state.get("Type") == "Pass":
            result = state.get("Result", json.loads(shown["afterParameters"]))
        elif state.get("Type") in ("Task", "Map", "Parallel") and len(ended) > (outcome.status == "SUCCEEDED"):
            result = json.loads(ended[0])
        else:
            return shown
        shown["result"] = text(result)
        result = selected(state, result, around, "")
        shown["afterResultSelector"] = text(result)
        shown["afterResultPath"] = text(place(state, given, result))
    except StateFailure:
        pass
    return shown
