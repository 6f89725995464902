"""The score as tables for a terminal."""

from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.scoring.score import Score
from simulator.scoring.words import code_name, dollars, interval, measures, percent, printable, records, verdict

_PLAIN_WIDTH = 130
_PAIRS_SHOWN = 15


def write_tables(score: Score, out: TextIO) -> None:
    """Print verdict, measures, codes, what was taken for what, and examples of what went wrong."""
    terminal = out.isatty()
    console = Console(
        file=out, no_color=not terminal, highlight=False, width=None if terminal else _PLAIN_WIDTH,
        force_terminal=terminal, legacy_windows=False, emoji=False,
    )  # fmt: skip
    console.print(Text(verdict(score), style="bold green" if score.perfect else "bold red"))
    console.print(Text(f"{printable(score.result_name)} against {printable(score.truth_name)}", style="dim"))
    console.print()
    _measures(console, score)
    if score.classes.codes:
        _codes(console, score)
    _confusions(console, score)
    _examples(console, score)


def _table(title: str, *heads: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    return table


def _measures(console: Console, score: Score) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    table.add_column()
    for name, value, behind in measures(score):
        table.add_row(name, value, behind)
    console.print(table)


def _codes(console: Console, score: Score) -> None:
    numbers = ("labels", "found", "other code", "missed", "recall", "false", "precision")
    table = _table(
        "Codes", "code", "break", "labels", "found", "other code", "missed", "recall", "95%", "false", "precision",
        "95% ", right=numbers,
    )  # fmt: skip
    for one in score.classes.codes:
        bad = one.other or one.missed or one.false or one.miscoded
        table.add_row(
            Text(printable(one.code), style="bold red" if bad else "green"),
            code_name(one.code),
            f"{one.labels:,}",
            f"{one.recall.hits:,}",
            f"{one.other:,}" if one.other else "",
            f"{one.missed:,}" if one.missed else "",
            percent(one.recall.value),
            interval(one.recall),
            f"{one.false:,}" if one.false else "",
            percent(one.precision.value),
            interval(one.precision),
        )
    console.print()
    console.print(table)


def _confusions(console: Console, score: Score) -> None:
    pairs = [(count, label, shown) for (label, shown), count in score.classes.matrix.items() if label != shown]
    if not pairs:
        return
    table = _table("Off the diagonal", "label", "reported as", "count", right=("count",))
    for count, label, shown in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_PAIRS_SHOWN]:
        table.add_row(Text(printable(label)), Text(printable(shown)), f"{count:,}")
    console.print()
    console.print(table)
    if len(pairs) > _PAIRS_SHOWN:
        console.print(Text(f"and {len(pairs) - _PAIRS_SHOWN:,} more pairs", style="dim"))
    if score.by_noise:
        said = ", ".join(f"{printable(code)} {count:,}" for code, count in score.by_noise.items())
        console.print(Text(f"false breaks by the noise on their records: {said}", style="dim"))


def _examples(console: Console, score: Score) -> None:
    if missed := score.missed():
        closed = {score.found.labels[place].break_id for place in score.found.closed_wrongly}
        table = _table("Missed, dearest first", "code", "label", "at stake", "records", "", right=("at stake",))
        for label in missed:
            name = Text(printable(label.break_id))
            note = "closed by itself" if label.break_id in closed else printable(label.case)
            table.add_row(
                Text(printable(label.code)), name, dollars(label.usd), Text(records(label.members)), Text(note)
            )
        console.print()
        console.print(table)
    if false := score.false():
        table = _table("False", "code", "report", "at", "records", "")
        for one, stale in false:
            note = "cured, still open" if stale else ""
            name = Text(printable(one.break_id))
            table.add_row(Text(printable(one.code)), name, one.place, Text(records(one.members)), note)
        console.print()
        console.print(table)
    if (links := score.grouping) is None:
        return
    for title, pairs in (("Wrong links", links.wrong), ("Missing links", links.missing)):
        if pairs:
            table = _table(title, "one record", "other record")
            for one_end, other_end in pairs:
                table.add_row(Text(records([one_end])), Text(records([other_end])))
            console.print()
            console.print(table)
