"""The score in words and figures that every report uses."""

from collections.abc import Iterable
from decimal import Decimal

from domain.taxonomy import taxonomy
from simulator.scoring.intervals import Rate
from simulator.scoring.read import Key
from simulator.scoring.score import Score

_SHOWN_RECORDS = 3


def percent(value: float | None) -> str:
    """A share in percent, two places, never rounded up to 100 % or down to 0 %."""
    if value is None:
        return "—"
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    return f"{min(max(value * 100, 0.01), 99.99):.2f}%"


def interval(rate: Rate) -> str:
    """The 95 % interval, three places."""
    ends = rate.interval
    return "" if ends is None else f"{ends[0]:.3f}–{ends[1]:.3f}"


def share(rate: Rate) -> str:
    """Percent and the counts behind it."""
    return f"{percent(rate.value)}  ({rate.hits:,} of {rate.trials:,})" if rate.trials else "—"


def dollars(amount: Decimal) -> str:
    """US dollars, whole."""
    return f"${amount:,.0f}"


def seconds(value: float) -> str:
    """A delay a person can read."""
    if abs(value) < 120:
        return f"{value:,.3g} s" if abs(value) < 100 else f"{value:,.0f} s"
    return f"{value / 60:,.1f} min" if abs(value) < 7_200 else f"{value / 3600:,.1f} h"


def code_name(code: str) -> str:
    """The taxonomy's name in words; empty for a code it does not know."""
    known = taxonomy().get(code)
    return "" if known is None else known.name.replace("_", " ").lower()


def records(keys: Iterable[Key]) -> str:
    """Records as `SOURCE id`, the first few."""
    named = [f"{printable(source)} {printable(uid)}" for source, uid in keys]
    more = f" and {len(named) - _SHOWN_RECORDS:,} more" if len(named) > _SHOWN_RECORDS else ""
    return ", ".join(named[:_SHOWN_RECORDS]) + more


def printable(text: str) -> str:
    """Text from outside without control characters."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


def verdict(score: Score) -> str:
    """One line that says how it went."""
    if score.perfect:
        return f"Perfect: {_count(score.recall.trials, 'label')}, nothing missed, nothing false"
    found, links = score.found, score.grouping
    missing = 0 if links is None else links.recall.trials - links.recall.hits
    wrong = 0 if links is None else links.precision.trials - links.precision.hits
    parts = [
        (len(found.missed), f"{len(found.missed):,} missed"),
        (len(found.other), f"{len(found.other):,} under another code"),
        (score.false_breaks, f"{score.false_breaks:,} false"),
        (missing, f"{_count(missing, 'link')} missing"),
        (wrong, f"{_count(wrong, 'link')} wrong"),
    ]
    return f"{_count(score.recall.trials, 'label')}: {', '.join(words for number, words in parts if number)}"


def measures(score: Score) -> list[tuple[str, str, str]]:
    """The measures beside the codes: name, value, and what stands behind it."""
    found, links = score.found, score.grouping
    rows = [
        ("breaks found", percent(score.recall.value), _behind(score.recall)),
        ("under their code", percent(score.exact_recall.value), _behind(score.exact_recall)),
        ("precision", percent(score.precision.value), _behind(score.precision)),
    ]
    macro = score.classes.macro_f1
    rows.append(("macro F1 over codes", "—" if macro is None else f"{macro:.4f}", "each code with labels counts alike"))
    caught, due = score.exposure
    if due:
        rows.append(("money found", percent(score.exposure_recall), f"{dollars(caught)} of {dollars(due)}"))
    rate = score.false_per_1000
    stale = f", {len(found.stale):,} of them stale (the break was cured)" if found.stale else ""
    behind = f"{score.false_breaks:,} false{stale}; {score.clean_bookings:,} clean bookings"
    rows.append(("false per 1,000 clean", "—" if rate is None else f"{rate:.2f}", behind))
    rows.append(
        ("wrongly closed", f"{len(found.closed_wrongly):,}", "closed by itself though still there; counted as missed")
    )
    if links is None:
        rows.append(("links", "—", "no groups in the result, or no match rows in the truth"))
    else:
        rows.append(("links right", percent(links.precision.value), _behind(links.precision)))
        rows.append(("links found", percent(links.recall.value), _behind(links.recall)))
    if (late := score.timeliness) is not None:
        behind = f"p99 {seconds(late.quantile(0.99))}, longest {seconds(max(late.delays))}, {late.early:,} early"
        rows.append(("delay, median", seconds(late.quantile(0.5)), f"{behind}; {len(late.delays):,} labels"))
    rows.append(("besides", "", _besides(score)))
    return rows


def _behind(rate: Rate) -> str:
    if not rate.trials:
        return "nothing to count"
    return f"{rate.hits:,} of {rate.trials:,}, 95% interval {interval(rate)}"


def _besides(score: Score) -> str:
    found = score.found
    parts = [
        (len(found.twice), "reported twice"),
        (len(found.lumped), "found only together with others"),
        (len(found.secondary), "more about a broken trade"),
        (len(found.explained), "follow from a break"),
        (len(found.cured_rightly), "cured and closed"),
        (len(found.passing), "came and went"),
        (len(found.waiting), "inside grace"),
    ]
    return ", ".join(f"{number:,} {words}" for number, words in parts if number) or "nothing"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
