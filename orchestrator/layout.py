"""Where the states of a machine go on paper: layers from the start, and the edges between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SIGNS = {
    "LessThanEquals": "≤", "GreaterThanEquals": "≥", "LessThan": "<", "GreaterThan": ">", "Equals": "=",
    "Matches": "matches",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition. `kind` is next, choice, default or catch."""

    source: str
    target: str
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Layers of state names from top to bottom, and the edges."""

    layers: tuple[tuple[str, ...], ...]
    edges: tuple[Edge, ...]

    def rank(self, name: str) -> int:
        """The layer a state is in."""
        return next(n for n, layer in enumerate(self.layers) if name in layer)


def edges_of(states: Mapping[str, Any]) -> list[Edge]:
    """Every transition in the order written; of several to one state by one kind only the first is kept."""
    found: list[Edge] = []
    for name, state in states.items():
        if "Next" in state:
            found.append(Edge(name, state["Next"], "next"))
        for rule in state.get("Choices", []):
            found.append(Edge(name, rule["Next"], "choice", condition(rule)))
        if "Default" in state:
            found.append(Edge(name, state["Default"], "default", "otherwise"))
        for catcher in state.get("Catch", []):
            found.append(Edge(name, catcher["Next"], "catch", "on error"))
    unique = {(edge.source, edge.target, edge.kind): edge for edge in reversed(found)}
    return [edge for edge in found if unique[edge.source, edge.target, edge.kind] is edge]


def condition(rule: Mapping[str, Any]) -> str:
    """A choice rule in a few characters, such as `changes > 0`."""
    for word in ("And", "Or"):
        if word in rule:
            return f" {word.lower()} ".join(condition(item) for item in rule[word])
    if "Not" in rule:
        return f"not {condition(rule['Not'])}"
    variable = str(rule.get("Variable", "")).rpartition(".")[2]
    for key, value in rule.items():
        if key in ("Variable", "Next", "Comment"):
            continue
        if key.startswith("Is"):
            return f"{variable} {'is' if value else 'is not'} {key.removeprefix('Is').lower()}"
        for name, sign in _SIGNS.items():
            if key.removesuffix("Path").endswith(name):
                return f"{variable} {sign} {str(value).rpartition('.')[2] if key.endswith('Path') else value}"
    return variable


def layout(definition: Mapping[str, Any]) -> Layout:
    """Layers by the longest way from StartAt; transitions that go back do not count."""
    states = definition["States"]
    edges = edges_of(states)
    forward = _forward(definition["StartAt"], states, edges)
    ranks = dict.fromkeys(states, 0)
    for _ in states:
        for edge in forward:
            ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    layers: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for name in states:
        layers[ranks[name]].append(name)
    caught = {edge.target for edge in forward if edge.kind == "catch"}
    for layer in layers:
        # What is reached only by an error stands to the right of the main way.
        layer.sort(key=lambda name: name in caught and not _reached_well(name, forward))
    return Layout(tuple(tuple(layer) for layer in layers), tuple(edges))


def _reached_well(name: str, forward: list[Edge]) -> bool:
    return any(edge.target == name and edge.kind != "catch" for edge in forward)


def _forward(start: str, states: Mapping[str, Any], edges: list[Edge]) -> list[Edge]:
    """The edges that do not close a cycle, by depth-first search from the start."""
    after: dict[str, list[Edge]] = {name: [] for name in states}
    for edge in edges:
        after[edge.source].append(edge)
    kept: list[Edge] = []
    state: dict[str, int] = {}
    stack: list[tuple[str, int]] = [(start, 0)]
    state[start] = 1
    while stack:
        name, at = stack.pop()
        if at == len(after[name]):
            state[name] = 2
            continue
        stack.append((name, at + 1))
        edge = after[name][at]
        if state.get(edge.target) == 1:
            continue
        kept.append(edge)
        if edge.target not in state:
            state[edge.target] = 1
            stack.append((edge.target, 0))
    return kept
