"""The state machine as SVG: made on the server, no script, no inline style; the page's CSS may restyle its classes.

Classes: `sg-node` with `sg-succeeded`, `sg-failed`, `sg-running`, `sg-caught` or `sg-idle`, `sg-selected`;
`sg-edge` with `sg-catch` for error transitions; `sg-label`. Nodes carry `data-state` and `data-status`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from orchestrator.layout import Edge, Layout, layout

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 216, 56, 64, 46, 24
_CHANNEL = 34


@dataclass(frozen=True, slots=True)
class _Look:
    css: str
    glyph: str
    word: str
    stroke: str
    fill: str


_LOOKS: Mapping[str, _Look] = MappingProxyType(
    {
        "SUCCEEDED": _Look("sg-succeeded", "✓", "Succeeded", "#15803d", "#e6f4ea"),
        "FAILED": _Look("sg-failed", "✕", "Failed", "#b42318", "#fdebe9"),
        "RUNNING": _Look("sg-running", "◷", "In progress", "#2456d6", "#e8eefc"),
        "CAUGHT": _Look("sg-caught", "!", "Caught error", "#a15c00", "#fdf3e0"),
    }
)
_IDLE = _Look("sg-idle", "○", "Not started", "#8a94a6", "#f4f5f8")


def render(
    definition: Mapping[str, Any],
    statuses: Mapping[str, str],
    selected: str | None = None,
    numbers: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The graph with each state's status in this run and, from `numbers`, its p50 and p99 over all runs in ms."""
    plan = layout(definition)
    places, width, height = _places(plan)
    left = _MARGIN + _CHANNEL * _channels(plan, right=False)
    total = left + width + _MARGIN + _CHANNEL * _channels(plan, right=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}" '
        'role="group" aria-label="State machine">',
        '<defs><marker id="sg-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#6b7587"/></marker></defs>',
        f'<g transform="translate({left} 0)">',
        *_edges(plan, places, width),
    ]
    for name, state in definition["States"].items():
        look = _LOOKS.get(statuses.get(name, ""), _IDLE)
        parts.append(_node(name, state, look, places[name], name == selected, (numbers or {}).get(name, {})))
    return "".join([*parts, "</g></svg>"])


def _places(plan: Layout) -> tuple[dict[str, tuple[int, int]], int, int]:
    widest = max(len(layer) for layer in plan.layers)
    width = widest * _WIDTH + (widest - 1) * _GAP_X
    places = {}
    for row, layer in enumerate(plan.layers):
        for column, name in enumerate(layer):
            places[name] = (column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
    height = 2 * _MARGIN + len(plan.layers) * _HEIGHT + (len(plan.layers) - 1) * _GAP_Y
    return places, width, height


def _goes_right(edge: Edge, plan: Layout) -> bool:
    return edge.kind == "catch" or plan.rank(edge.target) <= plan.rank(edge.source)


def _long(edge: Edge, plan: Layout) -> bool:
    return plan.rank(edge.target) != plan.rank(edge.source) + 1


def _channels(plan: Layout, right: bool) -> int:
    return sum(1 for edge in plan.edges if _long(edge, plan) and _goes_right(edge, plan) is right)


def _edges(plan: Layout, places: Mapping[str, tuple[int, int]], width: int) -> list[str]:
    parts, used = [], {True: 0, False: 0}
    for edge in plan.edges:
        (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
        if not _long(edge, plan):
            sx, sy, tx, ty = x1 + _WIDTH // 2, y1 + _HEIGHT, x2 + _WIDTH // 2, y2
            middle = (sy + ty) // 2
            path = f"M{sx} {sy}C{sx} {middle} {tx} {middle} {tx} {ty - 2}"
            label = ((sx + tx) // 2, middle + 4)
        else:
            right = _goes_right(edge, plan)
            used[right] += 1
            way = width + 10 + _CHANNEL * (used[right] - 1) + 12 if right else -(10 + _CHANNEL * (used[right] - 1) + 12)
            side = _WIDTH if right else 0
            sy, ty = y1 + _HEIGHT // 2 + (8 if right else 0), y2 + _HEIGHT // 2 - (8 if right else 0)
            path = _sideways(x1 + side, sy, x2 + side, ty, way)
            label = (way, (sy + ty) // 2)
        dashed = ' stroke-dasharray="5 4"' if edge.kind == "catch" else ""
        css = "sg-edge sg-catch" if edge.kind == "catch" else "sg-edge"
        parts.append(
            f'<path class="{css}" d="{path}" fill="none" stroke="#6b7587" stroke-width="1.5"{dashed} '
            'marker-end="url(#sg-arrow)"/>'
        )
        if edge.label:
            parts.append(_label(edge.label, *label))
    return parts


def _sideways(x1: int, y1: int, x2: int, y2: int, way: int) -> str:
    """A way out to a channel beside the nodes, along it, and back in, with round corners."""
    bend = 10 if way > x1 else -10
    turn = 10 if y2 > y1 else -10
    tip = 2 if way > x2 else -2
    return f"M{x1} {y1}H{way - bend}Q{way} {y1} {way} {y1 + turn}V{y2 - turn}Q{way} {y2} {way - bend} {y2}H{x2 + tip}"


def _label(text: str, x: int, y: int) -> str:
    half = 3.4 * len(text) + 5
    return (
        f'<g class="sg-label"><rect x="{x - half:.0f}" y="{y - 9}" width="{2 * half:.0f}" height="17" rx="4" '
        f'fill="#ffffff"/><text x="{x}" y="{y + 3}" text-anchor="middle" font-size="11.5" fill="#4b5565">'
        f"{escape(text)}</text></g>"
    )


def _node(
    name: str, state: Mapping[str, Any], look: _Look, place: tuple[int, int], selected: bool, numbers: Mapping[str, Any]
) -> str:
    x, y = place
    spread = ""
    if numbers.get("p50_ms") is not None:
        spread = f" · p50 {numbers['p50_ms']:,.0f} · p99 {numbers['p99_ms']:,.0f} ms"
    line = f"{look.glyph} {look.word}{spread}"
    dashed = ' stroke-dasharray="5 4"' if look is _IDLE else ""
    css = f"sg-node {look.css}{' sg-selected' if selected else ''}"
    title = f"{name} ({state['Type']}): {look.word}. {state.get('Comment', '')}"
    status = next((key for key, value in _LOOKS.items() if value is look), "NOT_STARTED")
    here = ' aria-current="true"' if selected else ""
    return (
        f'<a href="?state={quote(name)}" class="{css}" data-state="{escape(name)}" data-status="{status}"{here}>'
        f"<title>{escape(title)}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="9" fill="{look.fill}" stroke="{look.stroke}" '
        f'stroke-width="{2.5 if selected else 1.5}"{dashed}/>'
        f'<rect x="{x}" y="{y + 14}" width="5" height="{_HEIGHT - 28}" rx="2.5" fill="{look.stroke}" stroke="none"/>'
        f'<text x="{x + 18}" y="{y + 23}" font-size="14" font-weight="600" fill="#1c2433">{escape(name)}</text>'
        f'<text x="{x + 18}" y="{y + 42}" font-size="11.5" fill="#4b5565">{escape(line)}</text></a>'
    )
