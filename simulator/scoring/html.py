"""The score as one self-contained page: inline SVG, no script, nothing from outside, everything escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from simulator.scoring.plots import confusion_plot, delay_plot, recall_plot
from simulator.scoring.score import Score
from simulator.scoring.words import (
    code_name,
    dollars,
    interval,
    measures,
    percent,
    printable,
    records,
    seconds,
    verdict,
)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_text(score: Score) -> str:
    """The page as text."""
    css = resources.files("simulator.scoring").joinpath("page.css").read_text(encoding="utf-8")
    said = verdict(score)
    state = "good" if score.perfect else "bad"
    head = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>Tieout score: {_text(said)}</title>",
        f"<style>\n{css}</style>\n</head>\n<body>",
        f'<header><div class="brand">Tieout score</div>\n<h1 class="{state}">{_text(said)}</h1>',
        f'<p class="quiet">{_text(score.result_name)} against {_text(score.truth_name)}{_run(score)}</p></header>',
        "<main>",
    ]
    body = [_kpis(score), _measures(score), *_plots(score), _codes(score), *_lists(score)]
    return "\n".join([*head, *(part for part in body if part), "</main>\n</body>\n</html>\n"])


def _run(score: Score) -> str:
    named = [(name, score.run.get(name)) for name in ("profile", "seed")]
    said = ", ".join(f"{name} {value}" for name, value in named if value is not None)
    return f" ({_text(said)})" if said else ""


def _kpis(score: Score) -> str:
    rate, macro = score.false_per_1000, score.classes.macro_f1
    boxes = [
        (percent(score.recall.value), f"of {score.recall.trials:,} breaks found"),
        (percent(score.precision.value), "precision"),
        ("—" if macro is None else f"{macro:.4f}", "macro F1 over codes"),
        ("—" if rate is None else f"{rate:.2f}", "false breaks per 1,000 clean bookings"),
        (percent(score.exposure_recall), "of the money at stake found"),
    ]
    if score.timeliness is not None:
        boxes.append((seconds(score.timeliness.quantile(0.99)), "p99 from detectable to opened"))
    inner = "".join(f"<div><b>{_text(value)}</b><span>{_text(name)}</span></div>" for value, name in boxes)
    return f'<section class="kpis" aria-label="Summary">{inner}</section>'


def _measures(score: Score) -> str:
    rows = [[_cell(name), _cell(value, "num"), _cell(behind, "quiet")] for name, value, behind in measures(score)]
    return _section("Measures", "", _rows(("measure", "value", ""), rows, numbers=(1,)))


def _plots(score: Score) -> Iterable[str]:
    if any(one.labels for one in score.classes.codes):
        said = "Found under whatever code. The dot is what was seen, the bar where the truth lies with 95% confidence."
        yield _section("Recall per code", said, recall_plot(score.classes.codes))
    if score.classes.codes:
        said = (
            "Rows are labels, columns what they were reported as; green is right. Row “nothing” are false and "
            "stale reports."
        )
        yield _section("Confusion", said, confusion_plot(score.classes))
    if (late := score.timeliness) is not None:
        said = (
            f"From the moment a perfect observer could know to the opening: median {seconds(late.quantile(0.5))}, "
            f"p99 {seconds(late.quantile(0.99))}, {late.early:,} early, {len(late.delays):,} labels."
        )
        yield _section("Delay", said, delay_plot(late))


def _codes(score: Score) -> str:
    heads = ("code", "break", "labels", "found", "other code", "missed", "recall", "95%", "false", "precision", "95%")
    rows = []
    for one in score.classes.codes:
        rows.append(
            [
                _cell(one.code, "wrong" if one.missed or one.other or one.false or one.miscoded else ""),
                _cell(code_name(one.code)),
                _cell(f"{one.labels:,}", "num"),
                _cell(f"{one.recall.hits:,}", "num"),
                _count(one.other),
                _count(one.missed),
                _cell(percent(one.recall.value), "num"),
                _cell(interval(one.recall), "num quiet"),
                _count(one.false),
                _cell(percent(one.precision.value), "num"),
                _cell(interval(one.precision), "num quiet"),
            ]
        )
    return _section("Codes", "", _rows(heads, rows, numbers=range(2, 11))) if rows else ""


def _lists(score: Score) -> Iterable[str]:
    closed = {score.found.labels[place].break_id for place in score.found.closed_wrongly}
    missed = [
        [_cell(one.code), _cell(one.break_id), _cell(dollars(one.usd), "num"), _cell(records(one.members), "records"),
         _cell("closed by itself" if one.break_id in closed else one.case, "quiet")]
        for one in score.missed()
    ]  # fmt: skip
    if missed:
        heads = ("code", "label", "at stake", "records", "")
        yield _section("Missed, dearest first", _first(score, missed), _rows(heads, missed, numbers=(2,)))
    false = [
        [_cell(one.code), _cell(one.break_id), _cell(records(one.members), "records"),
         _cell("cured, still open" if stale else "nothing is wrong there", "quiet")]
        for one, stale in score.false()
    ]  # fmt: skip
    if false:
        yield _section("False", _first(score, false), _rows(("code", "report", "records", ""), false))
    if score.grouping is None:
        return
    for title, pairs in (("Wrong links", score.grouping.wrong), ("Missing links", score.grouping.missing)):
        rows = [[_cell(records([one]), "records"), _cell(records([other]), "records")] for one, other in pairs]
        if rows:
            yield _section(title, _first(score, rows), _rows(("one record", "other record"), rows))


def _first(score: Score, rows: Sequence[Sequence[str]]) -> str:
    return f"The first {len(rows):,}." if len(rows) >= score.examples else ""


def _section(title: str, said: str, content: str) -> str:
    note = f'<p class="quiet">{_text(said)}</p>' if said else ""
    return f'<section><h2>{_text(title)}</h2>{note}\n<div class="panel">{content}</div></section>'


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    head = "".join(
        f'<th class="num">{_text(name)}</th>' if place in numbers else f"<th>{_text(name)}</th>"
        for place, name in enumerate(heads)
    )
    body = "\n".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _cell(value: str, kind: str = "") -> str:
    return f'<td class="{kind}">{_text(value)}</td>' if kind else f"<td>{_text(value)}</td>"


def _count(number: int) -> str:
    return f'<td class="num wrong">{number:,}</td>' if number else '<td class="num quiet">0</td>'


def _text(value: str) -> str:
    return escape(printable(value))
