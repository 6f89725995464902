"""Layered layout of a state machine: rows by longest path, the main line straight, long edges in side channels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ROW_GAP, COLUMN_GAP, LANE_GAP = 38, 76, 46
NODE_HEIGHT, NODE_WIDTH, HEADER, PADDING = 56, 228, 58, 18
_CHARACTER, _LABEL_CHARACTER = 9, 6.8


@dataclass(frozen=True, slots=True)
class Edge:
    """One transition; `kind` is next, choice or catch."""

    source: str
    target: str
    kind: str
    label: str = ""


@dataclass(slots=True)
class Node:
    """A placed state: its row and column, and its box once the layout is measured. `inner` are branches."""

    name: str
    state: Mapping[str, Any]
    row: int = 0
    column: int = 0
    x: float = 0
    y: float = 0
    width: float = NODE_WIDTH
    height: float = NODE_HEIGHT
    inner: tuple["Layout", ...] = ()

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def centre(self) -> float:
        """Height of the side ports: the header of a container, the middle of a plain node."""
        return self.y + min(self.height, NODE_HEIGHT) / 2


@dataclass(slots=True)
class Layout:
    """A measured machine: nodes by name, edges, back edges (targets above their source), lanes and size."""

    nodes: dict[str, Node]
    edges: list[Edge]
    back: set[Edge]
    channels: dict[int, tuple[float, float]] = field(default_factory=dict)
    lanes: dict[Edge, tuple[int, int]] = field(default_factory=dict)
    width: float = 0
    height: float = 0

    def between(self, row: int, low: int, high: int) -> int:
        """How many nodes of a row stand in the columns low to high (both included)."""
        return sum(node.row == row and low <= node.column <= high for node in self.nodes.values())

    def above(self, column: int, low: int, high: int) -> int:
        """How many nodes of a column stand in the rows low to high (both included)."""
        return sum(node.column == column and low <= node.row <= high for node in self.nodes.values())

    def is_straight(self, edge: Edge) -> bool:
        """Whether the edge can go straight down its column."""
        a, b = self.nodes[edge.source], self.nodes[edge.target]
        return a.column == b.column and a.row < b.row and not self.above(a.column, a.row + 1, b.row - 1)

    def is_drop(self, edge: Edge) -> bool:
        """Whether the edge can leave sideways and drop onto its target without crossing a node."""
        a, b = self.nodes[edge.source], self.nodes[edge.target]
        if a.column == b.column or a.row >= b.row or self.above(b.column, a.row, b.row - 1):
            return False
        low, high = sorted((a.column, b.column))
        return self.between(a.row, low, high) == 1


def lay_out(machine: Mapping[str, Any]) -> Layout:
    """The layout of a machine that validates."""
    states: Mapping[str, Mapping[str, Any]] = machine["States"]
    nodes = {name: Node(name, state) for name, state in states.items()}
    edges = [edge for name, state in states.items() for edge in edges_of(name, state) if edge.target in nodes]
    layout = Layout(nodes, list(dict.fromkeys(edges)), set())
    _rows(layout, machine["StartAt"])
    _columns(layout, machine["StartAt"])
    for node in nodes.values():
        _size(node)
    _route(layout)
    _measure(layout)
    return layout


def edges_of(name: str, state: Mapping[str, Any]) -> Iterator[Edge]:
    """A state's transitions in the definition's order."""
    for rule in state.get("Choices", []):
        yield Edge(name, rule["Next"], "choice", condition(rule))
    if "Default" in state:
        yield Edge(name, state["Default"], "choice", "otherwise")
    if "Next" in state:
        yield Edge(name, state["Next"], "next")
    for catcher in state.get("Catch", []):
        errors = [error for error in catcher["ErrorEquals"] if error != "States.ALL"]
        yield Edge(name, catcher["Next"], "catch", "on " + (", ".join(errors)[:28] if errors else "error"))


_SIGNS = (
    ("LessThanEquals", "≤"), ("GreaterThanEquals", "≥"), ("LessThan", "<"), ("GreaterThan", ">"), ("Equals", "="),
    ("Matches", "like"),
)  # fmt: skip


def condition(rule: Mapping[str, Any]) -> str:
    """A choice rule in few words, such as `changes > 0`."""
    if "Not" in rule:
        return f"not {condition(rule['Not'])}"[:28]
    for word in ("And", "Or"):
        if word in rule:
            return f" {word.lower()} ".join(condition(item) for item in rule[word])[:28]
    if "Condition" in rule:
        return str(rule["Condition"]).strip("{%} ")[:28]
    name = str(rule.get("Variable", "")).rpartition(".")[2]
    for key, value in rule.items():
        if key.startswith("Is"):
            return f"{name} {'is' if value else 'is not'} {key[2:].lower()}"[:28]
        bare = key.removesuffix("Path")
        sign = next((sign for ending, sign in _SIGNS if bare.endswith(ending)), None)
        if sign is not None:
            shown = str(value).rpartition(".")[2] if key.endswith("Path") else _literal(value)
            return f"{name} {sign} {shown}"[:28]
    return name[:28]


def _literal(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _rows(layout: Layout, start: str) -> None:
    """Rows by longest path from the start; edges that close a loop are set aside first."""
    following: dict[str, list[Edge]] = {name: [] for name in layout.nodes}
    for edge in layout.edges:
        following[edge.source].append(edge)
    order: list[str] = []
    done: set[str] = set()
    for root in [start, *layout.nodes]:
        if root in done:
            continue
        stack: list[tuple[str, Iterator[Edge]]] = [(root, iter(following[root]))]
        path = {root}
        while stack:
            name, edges = stack[-1]
            onward = next((edge for edge in edges if edge.target not in done), None)
            if onward is None:
                stack.pop()
                path.discard(name)
                done.add(name)
                order.append(name)
            elif onward.target in path:
                layout.back.add(onward)
            else:
                path.add(onward.target)
                stack.append((onward.target, iter(following[onward.target])))
    for name in reversed(order):
        for edge in following[name]:
            if edge not in layout.back:
                target = layout.nodes[edge.target]
                target.row = max(target.row, layout.nodes[name].row + 1)


def _columns(layout: Layout, start: str) -> None:
    """The longest run of ordinary transitions is column 0; what only errors lead to stands on the right."""
    main = _main_line(layout, start)
    taken = {(layout.nodes[name].row, 0) for name in main}
    for node in sorted(layout.nodes.values(), key=lambda n: n.row):
        if node.name in main:
            continue
        into = [edge for edge in layout.edges if edge.target == node.name and edge not in layout.back]
        side = 1 if into and all(edge.kind == "catch" for edge in into) else -1
        wished = layout.nodes[into[0].source].column if into else 0
        if side == 1:
            wished = max([1, *(layout.nodes[edge.source].column for edge in into)])
        steps = [wished] + [wished + sign * n for n in range(1, len(layout.nodes) + 1) for sign in (side, -side)]
        node.column = next(column for column in steps if (node.row, column) not in taken)
        taken.add((node.row, node.column))


def _main_line(layout: Layout, start: str) -> set[str]:
    length = dict.fromkeys(layout.nodes, 0)
    follow: dict[str, str] = {}
    for node in sorted(layout.nodes.values(), key=lambda n: -n.row):
        for edge in layout.edges:
            if edge.source != node.name or edge.kind == "catch" or edge in layout.back:
                continue
            if length[edge.target] + 1 > length[node.name]:
                length[node.name], follow[node.name] = length[edge.target] + 1, edge.target
    line = [start]
    while line[-1] in follow:
        line.append(follow[line[-1]])
    return set(line)


def _size(node: Node) -> None:
    state = node.state
    processor = state.get("ItemProcessor") or state.get("Iterator")
    branches = [*state.get("Branches", []), *([processor] if processor else [])]
    node.inner = tuple(lay_out(branch) for branch in branches)
    node.width = max(NODE_WIDTH, 36 + _CHARACTER * len(node.name))
    if node.inner:
        inner_width = sum(layout.width for layout in node.inner) + PADDING * (len(node.inner) + 1)
        node.width = max(node.width, inner_width)
        node.height = HEADER + max(layout.height for layout in node.inner) + PADDING


def _route(layout: Layout) -> None:
    """Give every edge that cannot go straight or drop a channel (column to its left) and a lane in it."""
    columns = [node.column for node in layout.nodes.values()]
    spans: dict[int, list[tuple[int, int, int]]] = {}
    for edge in sorted(layout.edges, key=lambda e: abs(layout.nodes[e.source].row - layout.nodes[e.target].row)):
        a, b = layout.nodes[edge.source], layout.nodes[edge.target]
        near = a.row + 1 == b.row and edge.kind != "catch"
        if edge not in layout.back and (layout.is_straight(edge) or layout.is_drop(edge) or near):
            continue
        choices = range(min(columns) - 1, max(columns) + 1)
        channel = min(choices, key=lambda c: _cost(layout, edge, a, b, c))
        low, high = sorted((a.row, b.row))
        used = spans.setdefault(channel, [])
        lane = next(n for n in range(len(used) + 1) if not any(m == n and lo < high and low < hi for m, lo, hi in used))
        used.append((lane, low, high))
        layout.lanes[edge] = (channel, lane)


def _cost(layout: Layout, edge: Edge, a: Node, b: Node, channel: int) -> float:
    """Nodes crossed, then a liking: errors and loops on the right, shortcuts on the left, short legs."""
    crossed = 0
    for node in (a, b):
        low, high = (node.column + 1, channel) if channel >= node.column else (channel + 1, node.column - 1)
        crossed += layout.between(node.row, low, high)
    is_right = channel >= max(a.column, b.column)
    disliked = is_right == (edge.kind != "catch" and edge not in layout.back)
    return crossed * 100 + disliked * 10 + abs(channel + 0.5 - a.column) + abs(channel + 0.5 - b.column)


def label_width(text: str) -> float:
    """Room an edge's label takes."""
    return _LABEL_CHARACTER * len(text) + 10


def _measure(layout: Layout) -> None:
    """Give nodes their places and channels their left and right bounds, wide enough for the labels in them."""
    nodes = layout.nodes.values()
    first, last = min(n.column for n in nodes), max(n.column for n in nodes)
    x = 0.0
    for column in range(first - 1, last + 1):
        inside = [(edge, lane) for edge, (channel, lane) in layout.lanes.items() if channel == column]
        need = [lane * LANE_GAP + 40 + max(label_width(edge.label) / 2, 8) for edge, lane in inside]
        width = max([0 if column in (first - 1, last) else COLUMN_GAP, *need])
        layout.channels[column] = (x, x + width)
        x += width
        members = [n for n in nodes if n.column == column + 1]
        across = max((n.width for n in members), default=0)
        for node in members:
            node.x = x + (across - node.width) / 2
        x += across
    y = 0.0
    for row in range(max(n.row for n in nodes) + 1):
        members = [n for n in nodes if n.row == row]
        for node in members:
            node.y = y
        y += max((n.height for n in members), default=0) + ROW_GAP
    layout.width, layout.height = x, y - ROW_GAP
