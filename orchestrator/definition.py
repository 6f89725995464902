"""Definitions: the shipped machine, and what is wrong with a definition before it runs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from orchestrator.choice import OPERATORS
from orchestrator.errors import StateFailure
from orchestrator.paths import parse

TYPES = frozenset({"Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"})
_TERMINAL = frozenset({"Succeed", "Fail"})
_PATHS = ("InputPath", "OutputPath", "ResultPath", "ItemsPath")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong and where, as a slash path into the definition."""

    path: str
    message: str


def load_shipped() -> dict[str, Any]:
    """The machine every micro-batch runs through (`reconcile.asl.json`)."""
    text = resources.files("orchestrator").joinpath("reconcile.asl.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def validate(definition: Any) -> list[Problem]:
    """Everything wrong with a definition; empty when it can run."""
    return list(_machine(definition, ""))


def _machine(machine: Any, path: str) -> Iterator[Problem]:
    if not isinstance(machine, Mapping):
        yield Problem(path or "/", "a state machine is an object")
        return
    states = machine.get("States")
    if not isinstance(states, Mapping) or not states:
        yield Problem(f"{path}/States", "States must be a non-empty object")
        return
    if machine.get("StartAt") not in states:
        yield Problem(f"{path}/StartAt", f"MISSING_TRANSITION_TARGET: {machine.get('StartAt')!r} is not a state")
    reached = {machine.get("StartAt")}
    for name, state in states.items():
        yield from _state(name, state, states, f"{path}/States/{name}")
        reached |= set(_targets(state)) if isinstance(state, Mapping) else set()
    for name in states:
        if name not in reached:
            yield Problem(f"{path}/States/{name}", f"State {name!r} is not reachable")


def _targets(state: Mapping[str, Any]) -> Iterator[str]:
    for key in ("Next", "Default"):
        if key in state:
            yield state[key]
    for group in ("Choices", "Catch"):
        yield from (str(item.get("Next")) for item in state.get(group, []) if isinstance(item, Mapping))


def _state(name: str, state: Any, states: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if not isinstance(state, Mapping) or state.get("Type") not in TYPES:
        yield Problem(path, f"Type must be one of {', '.join(sorted(TYPES))}")
        return
    kind = state["Type"]
    if len(name) > 80:
        yield Problem(path, "a state's name has at most 80 characters")
    for target in _targets(state):
        if target not in states:
            yield Problem(path, f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target}")
    if kind not in _TERMINAL and kind != "Choice" and ("Next" in state) == bool(state.get("End")):
        yield Problem(path, "exactly one of Next and End is required")
    for field in _PATHS:
        if isinstance(state.get(field), str):
            yield from _path(state[field], f"{path}/{field}")
    yield from _own(kind, state, path)
    yield from _handlers(state, path)


def _own(kind: str, state: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if kind == "Task" and not isinstance(state.get("Resource"), str):
        yield Problem(f"{path}/Resource", "a Task needs a Resource")
    if kind == "Choice":
        if not state.get("Choices"):
            yield Problem(f"{path}/Choices", "a Choice needs at least one rule")
        for number, rule in enumerate(state.get("Choices", [])):
            if "Next" not in rule:
                yield Problem(f"{path}/Choices/{number}", "a rule needs Next")
            yield from _rule(rule, f"{path}/Choices/{number}")
    if kind == "Wait" and sum(key in state for key in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")) != 1:
        yield Problem(path, "a Wait needs exactly one of Seconds, SecondsPath, Timestamp and TimestampPath")
    if kind == "Parallel":
        if not state.get("Branches"):
            yield Problem(f"{path}/Branches", "a Parallel needs branches")
        for number, branch in enumerate(state.get("Branches", [])):
            yield from _machine(branch, f"{path}/Branches/{number}")
    if kind == "Map":
        processor = state.get("ItemProcessor", state.get("Iterator"))
        yield from _machine(processor, f"{path}/ItemProcessor")


def _rule(rule: Any, path: str) -> Iterator[Problem]:
    inner = [rule["Not"]] if "Not" in rule else [*rule.get("And", []), *rule.get("Or", [])]
    if inner:
        for number, item in enumerate(inner):
            yield from _rule(item, f"{path}/{number}")
    elif "Variable" not in rule or not any(key in OPERATORS for key in rule):
        yield Problem(path, "a rule needs Variable and one comparison operator")


def _handlers(state: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for group in ("Retry", "Catch"):
        items = state.get(group, [])
        for number, item in enumerate(items):
            where = f"{path}/{group}/{number}"
            errors = item.get("ErrorEquals")
            if not errors:
                yield Problem(where, "ErrorEquals must not be empty")
            elif "States.ALL" in errors and (len(errors) > 1 or number != len(items) - 1):
                yield Problem(where, "States.ALL must stand alone and last")
            if group == "Catch" and "Next" not in item:
                yield Problem(where, "a catcher needs Next")


def _path(text: str, where: str) -> Iterator[Problem]:
    try:
        if not text.startswith("$"):
            raise StateFailure("", "it must start with '$'")
        parse(text[1:] if text.startswith("$$") else text)
    except StateFailure as failure:
        yield Problem(where, f"Invalid path {text!r}: {failure.cause}")
