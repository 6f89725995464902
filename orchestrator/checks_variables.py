"""What can be wrong with the names of variables over several scopes: an inner one may not assign an outer one's."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.checks import listed
from orchestrator.problem import Problem


def shadowing(machine: Any, path: str = "", outer: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Every Assign of a name that a scope around its own assigns too."""
    states = machine.get("States") if isinstance(machine, Mapping) else None
    if not isinstance(states, Mapping):
        return
    names: set[str] = set()
    for name, state in states.items():
        for word in _assigned(state):
            if word in outer:
                yield Problem(f"{path}/States/{name}", f"the variable {word!r} is assigned in an outer scope")
            names.add(word)
    for name, state in states.items():
        for where, inner in _inside(state):
            yield from shadowing(inner, f"{path}/States/{name}/{where}", outer | names)


def _assigned(state: Any) -> Iterator[str]:
    """The variables a state assigns, its rules and catchers included."""
    if not isinstance(state, Mapping):
        return
    for part in (state, *listed(state.get("Choices")), *listed(state.get("Catch"))):
        given = part.get("Assign") if isinstance(part, Mapping) else None
        for word in given if isinstance(given, Mapping) else ():
            yield str(word).removesuffix(".$")


def _inside(state: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(state, Mapping):
        return
    for number, branch in enumerate(listed(state.get("Branches"))):
        yield f"Branches/{number}", branch
    for key in ("ItemProcessor", "Iterator"):
        if key in state:
            yield key, state[key]
