"""Definitions: the shipped machine, and what is wrong with a definition before it runs."""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from orchestrator.checks import check_state, listed, targets
from orchestrator.checks_variables import shadowing
from orchestrator.problem import Problem
from orchestrator.vocabulary import LANGUAGES, MACHINE_FIELDS, unknown

__all__ = ["Problem", "load_shipped", "validate"]


def load_shipped() -> dict[str, Any]:
    """The machine every micro-batch runs through (`reconcile.asl.json`)."""
    text = resources.files("orchestrator").joinpath("reconcile.asl.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def validate(definition: Any) -> list[Problem]:
    """Everything wrong with a definition; empty when it can run. Takes any value and raises nothing."""
    return [*_machine(definition, "", set(), "JSONPath"), *shadowing(definition)]


def _machine(machine: Any, path: str, names: set[str], language: str) -> Iterator[Problem]:
    """`names` are those of the states met so far in the whole definition."""
    if not isinstance(machine, Mapping):
        yield Problem(path or "/", "a state machine is an object")
        return
    yield from (Problem(path or "/", message) for message in unknown(machine, MACHINE_FIELDS))
    spoken = machine.get("QueryLanguage", language)
    if spoken not in LANGUAGES:
        yield Problem(f"{path}/QueryLanguage", f"QueryLanguage {spoken!r} is not one a machine can have here")
        return
    language = spoken
    limit = machine.get("TimeoutSeconds", 1)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        yield Problem(f"{path}/TimeoutSeconds", "TimeoutSeconds is a whole number from 1")
    states, start = machine.get("States"), machine.get("StartAt")
    if not isinstance(states, Mapping) or not states:
        yield Problem(f"{path}/States", "States must be a non-empty object")
        return
    if not isinstance(start, str) or start not in states:
        yield Problem(f"{path}/StartAt", f"MISSING_TRANSITION_TARGET: {start!r} is not a state")
    if not any(_ends(state) for state in states.values()):
        yield Problem(f"{path}/States", "no state ends the machine")
    for name, state in states.items():
        if name in names:
            yield Problem(f"{path}/States/{name}", f"DUPLICATE_STATE_NAME: {name!r} is used twice")
        names.add(name)
        yield from check_state(name, state, states, f"{path}/States/{name}", language)
        if isinstance(state, Mapping):
            yield from _inner(state, f"{path}/States/{name}", names, language)
    reached = _reached(start, states)
    for name in states:
        if name not in reached:
            yield Problem(f"{path}/States/{name}", f"State {name!r} is not reachable")


def _ends(state: Any) -> bool:
    return isinstance(state, Mapping) and (state.get("End") is True or state.get("Type") in ("Succeed", "Fail"))


def _inner(state: Mapping[str, Any], path: str, names: set[str], language: str) -> Iterator[Problem]:
    if state.get("Type") == "Parallel":
        for number, branch in enumerate(listed(state.get("Branches"))):
            yield from _machine(branch, f"{path}/Branches/{number}", names, language)
    if state.get("Type") == "Map":
        key = "Iterator" if "Iterator" in state else "ItemProcessor"
        if isinstance(state.get(key), Mapping) and "QueryLanguage" in state[key]:
            yield Problem(f"{path}/{key}", "Field 'QueryLanguage' is not supported: the whole machine's holds")
        yield from _machine(state.get(key), f"{path}/{key}", names, language)


def _reached(start: Any, states: Mapping[str, Any]) -> set[str]:
    """The states some way leads to from the start."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if isinstance(name, str) and name in states and name not in reached:
            reached.add(name)
            waiting += targets(states[name])
    return reached
