"""The report of a certification: lines for the terminal, JSON, and one self-contained page with the raw messages."""

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape

from ingest.certify.steps import SCRIPT, Outcome, Report, Verdict, Wire

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.6rem 0 .2rem}p{margin:.2rem 0}
.pass{color:#0b6b3a}.fail{color:#a3131f}.skipped{color:#667}.open{color:#667}
pre{background:#f4f6f8;padding:.6rem;overflow-x:auto;font-size:12.5px;white-space:pre-wrap;word-break:break-all}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem .25rem 0;text-align:left;vertical-align:top}
"""


def lines(report: Report) -> Iterator[str]:
    """One line per step, remarks, and the verdict."""
    for outcome in report.outcomes:
        yield f"{_word(outcome):<8}{outcome.step.title:<14}{outcome.reason}"
    for note in report.notes:
        yield f"note    {note}"
    passed, failed, left = (_count(report, verdict) for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.SKIPPED))
    yield f"{'CERTIFIED' if report.passed else 'NOT CERTIFIED'}: {passed} passed, {failed} failed, {left} skipped"


def as_object(report: Report) -> dict[str, object]:
    """The report as plain data; raw messages as text with `|` for SOH (Latin-1, nothing lost)."""
    return {
        "certified": report.passed,
        "session": report.session,
        "feed": report.feed,
        "dialect": report.dialect,
        "role": report.role,
        "started": _time(report.started_ns),
        "ended": _time(report.ended_ns),
        "steps": [
            {
                "step": outcome.step.name,
                "title": outcome.step.title,
                "asked": outcome.step.ask,
                "checked": outcome.step.checks,
                "verdict": outcome.verdict.value,
                "reason": outcome.reason,
                "messages": [
                    {"at": _time(wire.at_ns), "from": _side(wire), "lost_on_purpose": wire.lost, "raw": _raw(wire)}
                    for wire in outcome.messages
                ],
            }
            for outcome in report.outcomes
        ],
        "notes": list(report.notes),
    }


def as_html(report: Report) -> str:
    """One page, no scripts, nothing loaded."""
    verdict = "Certified" if report.passed else "Not certified"
    facts = (
        ("Session", report.session), ("Feed", report.feed), ("Dialect", report.dialect), ("Our role", report.role),
        ("Began", _time(report.started_ns)), ("Ended", _time(report.ended_ns)),
    )  # fmt: skip
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts)
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    steps = "".join(_step(number, outcome) for number, outcome in enumerate(report.outcomes, 1))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{verdict}: {escape(report.session)}</title>"
        f"<style>{_STYLE}</style><h1 class={'pass' if report.passed else 'fail'}>{verdict}</h1><table>{rows}</table>"
        f"{steps}{'<h2>Remarks</h2><ul>' + notes + '</ul>' if notes else ''}</html>\n"
    )


def _step(number: int, outcome: Outcome) -> str:
    messages = "\n".join(
        f"{_time(wire.at_ns)} {_side(wire):<12}{'[lost on purpose] ' if wire.lost else ''}{_raw(wire)}"
        for wire in outcome.messages
    )
    return (
        f"<h2>{number}/{len(SCRIPT)} {escape(outcome.step.title)}: <span class={outcome.verdict.value}>"
        f"{outcome.verdict.value}</span></h2><p>{escape(outcome.step.checks)}</p><p>{escape(outcome.reason)}</p>"
        + (f"<pre>{escape(messages)}</pre>" if messages else "")
    )


def _word(outcome: Outcome) -> str:
    return outcome.verdict.value.upper() if outcome.verdict is not Verdict.OPEN else "-"


def _count(report: Report, verdict: Verdict) -> int:
    return sum(outcome.verdict is verdict for outcome in report.outcomes)


def _side(wire: Wire) -> str:
    return "counterparty" if wire.inbound else "tieout"


def _raw(wire: Wire) -> str:
    return wire.raw.decode("latin-1").replace("\x01", "|")


def _time(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
