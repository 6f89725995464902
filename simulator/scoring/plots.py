"""Plots as inline SVG: recall per code with interval bars, confusion heat map, distribution of delays."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from math import floor

from simulator.scoring.classes import MISSED, NOTHING, Classes, CodeScore
from simulator.scoring.timeliness import Timeliness
from simulator.scoring.words import code_name, interval, percent, printable, seconds

_WIDTH = 960
_ROW = 22
_TOP = 26
_AXIS_LEFT, _AXIS_RIGHT = 260, 770
# Upper ends of the bars in seconds; readable steps, since delays span milliseconds to hours.
_STEPS = (0.0, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 28_800.0, 86_400.0)


def recall_plot(codes: Sequence[CodeScore]) -> str:
    """One row per code with labels: a dot at the recall, a bar over its 95 % interval."""
    rows = [one for one in codes if one.labels]
    ends = [one.recall.interval or (0.0, 1.0) for one in rows]
    # The axis starts at a full tenth below everything shown.
    start = min(0.9, floor(min((low for low, _ in ends), default=0.0) * 10) / 10)
    scale = (_AXIS_RIGHT - _AXIS_LEFT) / (1 - start)
    height = _TOP + _ROW * len(rows) + 8
    parts = []
    for step in range(round(start * 100), 101, 10 if start < 0.8 else 5 if start < 0.9 else 2):
        at = _AXIS_LEFT + (step / 100 - start) * scale
        parts.append(_line(at, _TOP - 6, at, height - 4))
        parts.append(_label(f"{step}%", at, _TOP - 12, "axis", "middle"))
    for place, (one, (low, high)) in enumerate(zip(rows, ends, strict=True)):
        left, right, dot = (_AXIS_LEFT + (v - start) * scale for v in (low, high, one.recall.value or 0.0))
        parts += _recall_row(one, left, right, dot, _TOP + (place + 0.5) * _ROW)
    return _svg("Recall per code with 95% intervals", _WIDTH, height, parts)


def _recall_row(one: CodeScore, left: float, right: float, dot: float, y: float) -> list[str]:
    kind = "bad" if one.missed else "good"
    counts = f"{one.recall.hits:,} of {one.labels:,}"
    told = f"{one.code} {code_name(one.code)}: {counts}, {percent(one.recall.value)}, 95% {interval(one.recall)}"
    return [
        f"<g><title>{_text(told)}</title>",
        _label(one.code, 0, y + 4, "code"),
        _label(code_name(one.code)[:32], 42, y + 4, "quiet"),
        _box(left, y - 4, max(right - left, 1), 8, f"span {kind}", 4),
        f'<circle class="dot {kind}" cx="{dot:.1f}" cy="{y:.1f}" r="4.5"/>',
        _label(percent(one.recall.value), _AXIS_RIGHT + 18, y + 4),
        _label(counts, _WIDTH, y + 4, "quiet", "end"),
        "</g>",
    ]


def confusion_plot(classes: Classes) -> str:
    """Rows are labels, columns reports; a cell is as strong as its share of the row. Counts stand in it."""
    codes = [one.code for one in classes.codes]
    rows = [*codes, *([NOTHING] if any(label == NOTHING for label, _ in classes.matrix) else [])]
    columns = [*codes, *([MISSED] if any(shown == MISSED for _, shown in classes.matrix) else [])]
    left, top = 64, 52
    cell = max(15.0, min(34.0, (_WIDTH - left - 36) / len(columns)))
    totals: Counter[str] = Counter()
    for (label, _), count in classes.matrix.items():
        totals[label] += count
    parts = []
    for place, name in enumerate(columns):
        turned = f"translate({left + (place + 0.5) * cell + 4:.1f} {top - 6}) rotate(-60)"
        parts.append(f'<text class="code" transform="{turned}">{_text(name)}</text>')
    for place, name in enumerate(rows):
        y = top + place * cell
        parts.append(_label(name, left - 8, y + cell / 2 + 4, "code", "end"))
        parts.append(_box(left, y, cell * len(columns), cell - 1, "row"))
    across, down = ({name: place for place, name in enumerate(names)} for names in (columns, rows))
    for (label, shown), count in classes.matrix.items():
        parts += _cell(label, shown, count, totals[label], left + across[shown] * cell, top + down[label] * cell, cell)
    return _svg("Confusion of codes", round(left + cell * len(columns) + 36), round(top + cell * len(rows) + 4), parts)


def _cell(label: str, shown: str, count: int, total: int, x: float, y: float, size: float) -> list[str]:
    kind = "good" if label == shown else "bad"
    strength = 0.25 + 0.75 * count / total
    said = f"{label} reported as {shown}" if shown != MISSED else f"{label} missed"
    figure = f"{count}" if count < 1_000 else f"{count / 1000:.0f}k"
    parts = [f"<g><title>{_text(said)}: {count:,} of {total:,}</title>"]
    parts.append(_box(x + 0.5, y, size - 1, size - 1, f"cell {kind}", 2, strength))
    if size >= 9 + 6 * len(figure):
        shade = "figure strong" if strength > 0.7 else "figure"
        parts.append(_label(figure, x + size / 2, y + size / 2 + 3.5, shade, "middle"))
    return [*parts, "</g>"]


def delay_plot(late: Timeliness) -> str:
    """How many breaks were opened within each span of time after they could be known."""
    counts = [0] * (len(_STEPS) + 1)
    for delay in late.delays:
        counts[next((place for place, step in enumerate(_STEPS) if delay < step), len(_STEPS))] += 1
    used = [place for place, count in enumerate(counts) if count]
    top, base, most = 24, 200, max(counts)
    shown = range(used[0], used[-1] + 1)
    width = min(120.0, _WIDTH / len(shown))
    parts = [_line(0, base, _WIDTH, base)]
    for place, number in enumerate(shown):
        count, x, label = counts[number], place * width, _span(number)
        height = (base - top) * count / most
        parts.append(f"<g><title>{_text(label)}: {count:,}</title>")
        parts.append(_box(x + 2, base - height, width - 4, height, "bar", 2))
        parts.append(_label(f"{count:,}", x + width / 2, base - height - 6, "", "middle"))
        parts.append(_label(label, x + width / 2, base + 16, "axis", "middle") + "</g>")
    return _svg("Delays from detectable to opened", _WIDTH, base + 26, parts)


def _span(number: int) -> str:
    if number == 0:
        return "early"
    if number == len(_STEPS):
        return f"over {_short(_STEPS[-1])}"
    return f"< {_short(_STEPS[number])}"


def _short(step: float) -> str:
    return seconds(step).replace(".0 ", " ")


def _text(value: str) -> str:
    return escape(printable(value))


def _label(value: str, x: float, y: float, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_text(value)}</text>'


def _box(x: float, y: float, width: float, height: float, kind: str, round_by: int = 0, strength: float = 1.0) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_by}"'
    opacity = "" if strength == 1.0 else f' fill-opacity="{strength:.2f}"'
    return f'<rect class="{kind}" {shape}{opacity}/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(name: str, width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{name}">'
    return head + "\n".join(parts) + "</svg>"
