"""The report as one self-contained HTML file: no script, no network, everything escaped."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import report_words
from app.report import Report
from console.diff import spans
from domain.taxonomy import taxonomy

_GROUPS_SHOWN = 2_000
_NOT_SHOWN = ("instrument_id", "feed", "level", "message_id", "recv_time_utc", "flags")


def html_text(report: Report) -> str:
    """The page as text. Long group lists are cut with a note; --out has them all."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("amount", "deadline", "values", "security", "places", "ids", "verdict", "coverage", "completeness",
             "exposure", "count", "pretty")  # fmt: skip
    environment.globals.update({name: getattr(report_words, name) for name in names})
    environment.globals["marked"] = _marked
    environment.globals["taxonomy"] = taxonomy()
    page = environment.get_template("report.html")
    text: str = page.render(
        summary=report.summary,
        breaks=report.breaks,
        groups=report.groups[:_GROUPS_SHOWN],
        groups_left=max(0, len(report.groups) - _GROUPS_SHOWN),
        quarantine=report.quarantine,
        share=_share(report),
        not_shown=_NOT_SHOWN,
    )
    return text.rstrip() + "\n"


def _marked(item: Mapping[str, Any]) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """What differs, both sides cut into equal and changed pieces."""
    ours, theirs = report_words.values(item)
    if report_words.MISSING in (ours, theirs):
        return [(ours, False)], [(theirs, False)]
    left, right = spans(ours, theirs)
    return [(piece.text, piece.changed) for piece in left], [(piece.text, piece.changed) for piece in right]


def _share(report: Report) -> str:
    """Paired trades of both sides in percent, rounded down so that 100 % means all."""
    t = report.summary["trades"]
    total, paired = t["ours"] + t["theirs"], t["ours_matched"] + t["theirs_matched"]
    if not total:
        return "—"
    tenths = paired * 1000 // total
    return f"{Decimal(tenths) / 10:f}".removesuffix(".0") + " %"
