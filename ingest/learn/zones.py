"""The zone of times that do not say it: from sending times, from our own times of the same trades, or market hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest.learn.markets import ZONES, in_market_hours, offset_seconds, to_utc
from ingest.learn.proposal import share

# A report can be a little earlier than the trade it tells: clocks differ.
_SKEW = timedelta(seconds=5)
# Booked soon after the trade, or hours later in one go.
_SOON = timedelta(minutes=30)
_SAME = timedelta(seconds=90)
_CASES_MIN = 5


@dataclass(frozen=True, slots=True)
class ZoneFound:
    """A zone, how sure it is (0 to 1) and the sentence why."""

    zone: str
    confidence: float
    evidence: str


@dataclass(frozen=True, slots=True)
class _Score:
    zone: str
    fit: int
    against: int


def by_sending(pairs: Sequence[tuple[datetime, datetime]], home: str) -> ZoneFound | None:
    """From (SendingTime in UTC, time of trade): no report precedes its trade, many are prompt."""
    if len(pairs) < _CASES_MIN:
        return None
    scores = []
    for zone in ZONES:
        lags = [sent - to_utc(traded, zone) for sent, traded in pairs]
        scores.append(_Score(zone, sum(-_SKEW <= lag <= _SOON for lag in lags), sum(lag < -_SKEW for lag in lags)))
    count = len(pairs)
    possible = [score for score in scores if score.against <= 0.1 * count]
    best = max((score.fit for score in possible), default=0)
    if best < 0.2 * count:
        return None
    winners = [score.zone for score in possible if score.fit >= best - 0.01 * count]
    zone, tied = _of_tied(winners, home)
    early = next(score.against for score in possible if score.zone == zone)
    wrong = "; read as UTC " + _as_utc(pairs) if zone != "UTC" else ""
    text = f"sent within 30 minutes of the trade: {share(best, count)}, before it: {early}{wrong}{_also(tied)}"
    return ZoneFound(zone, _confidence(best / count, zone, tied), text)


def by_ours(pairs: Sequence[tuple[datetime, datetime]], home: str, tolerance: timedelta = _SAME) -> ZoneFound | None:
    """From (our time of the trade in UTC, their time of the same trade)."""
    if len(pairs) < _CASES_MIN:
        return None
    fits = {zone: sum(abs(mine - to_utc(theirs, zone)) <= tolerance for mine, theirs in pairs) for zone in ZONES}
    best = max(fits.values())
    if best < 0.5 * len(pairs):
        return None
    zone, tied = _of_tied([zone for zone in ZONES if fits[zone] >= best - 0.01 * len(pairs)], home)
    text = f"their time is ours for {share(best, len(pairs))} trades of ours they name{_also(tied)}"
    return ZoneFound(zone, _confidence(max(best / len(pairs), 0.95), zone, tied), text)


def by_hours(trades: Sequence[tuple[datetime, str]], home: str) -> ZoneFound | None:
    """From (time of trade, zone of its market): trades happen while their markets are open."""
    if len(trades) < _CASES_MIN:
        return None
    fits = {zone: sum(in_market_hours(to_utc(at, zone), market) for at, market in trades) for zone in ZONES}
    best = max(fits.values())
    zone, tied = _of_tied([zone for zone in ZONES if fits[zone] >= best - 0.02 * len(trades)], home)
    several = len({market for _, market in trades}) > 2
    text = f"inside the hours of the trade's own market: {share(best, len(trades))}{_also(tied)}"
    sure = 0.85 if several and best >= 0.95 * len(trades) else 0.6
    return ZoneFound(zone, min(sure, _confidence(best / len(trades), zone, tied)), text)


def _of_tied(winners: Sequence[str], home: str) -> tuple[str, tuple[str, ...]]:
    """The zone to propose of those that fit alike: UTC, FIX's own rule, then the market's, then the most usual."""
    chosen = "UTC" if "UTC" in winners else home if home in winners else winners[0]
    return chosen, tuple(zone for zone in winners if zone != chosen)


def _confidence(fit: float, zone: str, tied: Sequence[str]) -> float:
    sure = 0.99 if fit >= 0.5 else 0.9 if fit >= 0.3 else 0.75
    if all(_same_clock(zone, other) for other in tied):
        return sure
    return min(sure, 0.92 if zone == "UTC" else 0.8)


def _same_clock(zone: str, other: str) -> bool:
    """Whether two zones agree in winter and in summer."""
    days = (datetime(2026, 1, 15, 12), datetime(2026, 7, 15, 12))
    return all(offset_seconds(day, zone) == offset_seconds(day, other) for day in days)


def _also(tied: Sequence[str]) -> str:
    return f"; a sample of another season would tell it from {', '.join(tied[:3])}" if tied else ""


def _as_utc(pairs: Sequence[tuple[datetime, datetime]]) -> str:
    lags = sorted(sent - traded for sent, traded in pairs)
    hours = lags[len(lags) // 2].total_seconds() / 3600
    return f"the median lag is {hours:+.1f} h"
