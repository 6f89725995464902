"""The report as tables for a terminal; colour only where the output is one."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from app.report import Report
from app.report_words import (
    amount,
    completeness,
    count,
    coverage,
    deadline,
    evidence,
    exposure,
    security,
    values,
    verdict,
)

Json = Mapping[str, Any]

_PLAIN_WIDTH = 150
_BREAKS_SHOWN = 200
_QUARANTINE_SHOWN = 50
_HEADS = ("Severity", "Break", "Security", "Ours → theirs", "Money", "Account", "Held at", "Fix by")
_WIDTHS = (8, 26, 14, 34, 20, 18, 14, 24)
_MONEY = 4
_PLACE = r"\(?\S+:\d+[,)]?( ↔)?|^\s*↔"
_STYLES = {"CRITICAL": "bold red", "HIGH": "red", "MEDIUM": "yellow", "LOW": "cyan", "INFO": "dim"}


def write_table(report: Report, out: TextIO) -> None:
    """Print summary, mapping, breaks and quarantine."""
    terminal = out.isatty()
    console = Console(
        file=out, no_color=not terminal, highlight=False, width=None if terminal else _PLAIN_WIDTH,
        force_terminal=terminal, legacy_windows=False, emoji=False,
    )  # fmt: skip
    summary = report.summary
    _sources(console, summary)
    if report.breaks:
        _breaks(console, report.breaks)
    if report.quarantine:
        _quarantine(console, report.quarantine)
    _verdict(console, summary)


def _sources(console: Console, summary: Json) -> None:
    files = summary["files"]
    parties = ["ours" if file["role"] == "INTERNAL" else file["party"] for file in files]
    wide, name_wide = max(map(len, parties)), max(len(file["name"]) for file in files)
    for file, party in zip(files, parties, strict=True):
        unit = "message" if file["kind"] == "fix" else "row"
        line = Text.assemble((party.ljust(wide), "bold"), f"  {file['name'].ljust(name_wide)}  ")
        line.append(f"{file['kind'].upper()}, {count(file['rows'], unit)}", style="dim")
        console.print(line)
        for text in _told(file):
            _paragraph(console, text, wide + 2, "dim")
    for note in summary["notes"]:
        console.print(Text(note, style="dim"))


def _paragraph(console: Console, text: str, indent: int, style: str = "") -> None:
    """Wrapped text without trailing blanks; where evidence is written (`fund.fix:8`) is dim."""
    for row in wrap(text.strip(), max(20, console.width - indent), break_long_words=False, break_on_hyphens=False):
        line = Text(" " * indent + row, style=style)
        line.highlight_regex(_PLACE, "dim")
        console.print(line, soft_wrap=True)


def _told(file: Json) -> list[str]:
    """How a table's columns were read, and what else is worth knowing about the file."""
    told = []
    if file["columns"]:
        told.append("columns: " + ", ".join(f"{header} = {name}" for name, header in file["columns"].items()))
    if file["unused_columns"]:
        told.append("kept but not used: " + ", ".join(file["unused_columns"]))
    return [*told, *file["notes"]]


def _breaks(console: Console, breaks: Sequence[Any]) -> None:
    shown = breaks[:_BREAKS_SHOWN]
    rows = [_cells(item) for item in shown]
    widths = [min(max(len(row[at]) for row in [_HEADS, *rows]), most) for at, most in enumerate(_WIDTHS)]
    while len(widths) > 4 and sum(widths) + 2 * len(widths) > console.width:
        widths.pop()  # the last columns are told again in the sentence below
    console.print()
    console.print(_line(_HEADS, widths, "dim"))
    indent = widths[0] + 2
    for item, row in zip(shown, rows, strict=True):
        console.print(_line(row, widths, _STYLES[item["severity"]]), no_wrap=True, overflow="ellipsis")
        _paragraph(console, f"{item['headline'] or ''} {evidence(item)}", indent)
    if len(breaks) > len(shown):
        left = len(breaks) - len(shown)
        console.print(f"… and {left:,} more; see them all with --format csv or --out DIR", style="dim")


def _cells(item: Json) -> list[str]:
    left, right = values(item)
    return [
        item["severity"].capitalize(),
        f"{item['code']} {item['title']}",
        security(item),
        f"{left} → {right}",
        amount(item),
        item["account_id"] or "",
        item["pb_id"] or "",
        deadline(item),
    ]


def _line(cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    line = Text()
    for at, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        text = cell if len(cell) <= width else cell[: width - 1] + "…"
        padded = text.rjust(width) if at == _MONEY else text.ljust(width)
        whole = style == "dim"
        line.append(padded, style=style if at == 0 or whole else "bold" if at in (1, 2) else "")
        line.append("  ")
    line.rstrip()
    return line


def _quarantine(console: Console, rows: list[Any]) -> None:
    console.print()
    console.print(Text(f"{count(len(rows), 'row')} in quarantine", style="bold"))
    for row in rows[:_QUARANTINE_SHOWN]:
        where = f"{row['file']}:{row['line']}" if row["line"] else str(row["file"] or row["source"])
        console.print(Text.assemble((where, "bold"), "  ", row["code"], "  ", row["detail"]))
    if len(rows) > _QUARANTINE_SHOWN:
        console.print(f"… and {len(rows) - _QUARANTINE_SHOWN:,} more; see them all with --out DIR", style="dim")


def _verdict(console: Console, summary: Json) -> None:
    console.print()
    at_stake = f", {exposure(summary)} at stake" if summary["exposure"] else ""
    console.print(Text(verdict(summary) + at_stake, style="bold green" if summary["tied_out"] else "bold red"))
    console.print(coverage(summary))
    console.print(completeness(summary), style=None if summary["rows"]["complete"] else "bold red")
