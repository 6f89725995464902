"""A back-test as text, as JSON and as one self-contained HTML page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.taxonomy import taxonomy
from matching.backtest import Backtest, Interval, Tally

_COLUMNS = ("before", "after", "same", "moved", "changed", "gained", "lost")
_QUESTIONS = {
    "FORCE": "belong together, people said", "APART": "do not belong together, people said",
    "ACCEPT": "breaks people accepted",
}  # fmt: skip


def table_text(found: Backtest, history: str) -> str:
    """Pairs and breaks per pass and code, decisions and examples, as aligned text."""
    lines = [
        f"rules {_version(found.old)} against {_version(found.new)}, on {history}:"
        f" {found.trades.get('ours', 0):,} trades of ours, {found.trades.get('theirs', 0):,} of theirs",
        "",
        *_tallies("pairs, by pass (counted by our trades)", [*found.passes, found.pairs], with_moved=True),
        "",
        *_tallies("breaks, by code", [*found.codes, found.breaks], with_moved=False),
        "",
        *_tallies("breaks, by pass", found.break_passes, with_moved=False),
        "",
        *_decided(found),
    ]
    examples = [*map(pair_words, found.pair_examples), *map(break_words, found.break_examples)]
    if examples:
        lines += ["", "examples", *(f"  {line}" for line in examples)]
    return "\n".join(lines) + "\n"


def json_text(found: Backtest, history: str) -> str:
    """Everything, as JSON."""
    return (
        json.dumps({"history": history, "differs": found.differs, **found.as_json()}, indent=2, sort_keys=True) + "\n"
    )


def html_text(found: Backtest, history: str) -> str:
    """One page: no script, no network, everything escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(
        {"interval": interval, "pair_words": pair_words, "break_words": break_words, "questions": _QUESTIONS,
         "title": _title}
    )  # fmt: skip
    page: str = environment.get_template("backtest.html").render(found=found, history=history)
    return page.rstrip() + "\n"


def interval(value: Interval) -> str:
    """`0.9812 (0.9790 to 0.9831)`, or a dash."""
    return "—" if value.share is None else f"{value.share} ({value.low} to {value.high})"


def pair_words(row: Mapping[str, Any]) -> str:
    """One of our trades that is paired otherwise."""
    passes = f"{row['old_pass'] or 'unpaired'} → {row['new_pass'] or 'unpaired'}"
    qty, price = (format(row[name].normalize(), "f") for name in ("qty", "price"))
    terms = f"{row['side']} {qty} {row['symbol']} at {price}"
    return f"{row['kind']}: {row['trade_uid']} ({row['account_id']}, {terms}, {row['trade_date']}): {passes}"


def break_words(row: Mapping[str, Any]) -> str:
    """One break that is found otherwise."""
    codes = f"{row['old_code'] or 'none'} → {row['new_code'] or 'none'}"
    return f"{row['kind']}: {row['break_id'][:12]} {codes}: {row['headline'] or ''}".rstrip()


def _title(code: str) -> str:
    known = taxonomy().get(code)
    return known.name if known else ""


def _version(rules: Mapping[str, str]) -> str:
    return f"{rules['name']} {rules['hash'][:12]}"


def _tallies(title: str, tallies: Sequence[Tally], *, with_moved: bool) -> list[str]:
    names = [name for name in _COLUMNS if with_moved or name != "moved"]
    rows = [[title, *names, "kept (95% interval)"]]
    rows += [[one.name, *(f"{getattr(one, name):,}" for name in names), interval(one.kept)] for one in tallies]
    return _aligned(rows)


def _decided(found: Backtest) -> list[str]:
    if not found.judged:
        return ["decisions of people: none in this history to judge by"]
    rows = [["decisions of people", "decisions", "rules now agree", "new rules agree"]]
    for one in found.judged:
        rows.append(
            [_QUESTIONS[one.kind], f"{one.decisions:,}", f"{one.old:,}  {interval(one.old_share)}",
             f"{one.new:,}  {interval(one.new_share)}"]
        )  # fmt: skip
    for each in found.passes_judged:
        rows.append([f"  paired by {each.name}", f"{each.decisions:,}", "", f"{each.agreed:,}  {interval(each.share)}"])
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if n in (0, len(row) - 1) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
