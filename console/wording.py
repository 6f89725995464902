"""Words for people: break names, severities, amounts, ages, clocks and the one-sentence headline."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from console.diff import MISSING, number
from domain.taxonomy import Severity, taxonomy

_WORDS = {
    "PB": "PB", "FX": "FX", "OTC": "OTC", "SSI": "SSI", "VM": "VM", "QTY": "quantity", "EXEC": "executing",
    "AVGPX": "average price", "ALLOC": "allocation", "CA": "corporate action", "ID": "id", "TD": "trade-date",
    "SD": "settle-date", "AT": "at", "MISMATCH": "",
}  # fmt: skip
_NAMES = {"T02": "Missing internally", "T16": "Commission", "T05": "Quantity", "T06": "Price", "T27": "Unaffirmed"}
# Amounts from the first number on are told in units of the second.
_SCALES = (
    (Decimal(10) ** 12, Decimal(10) ** 12, "tn"), (Decimal(10) ** 9, Decimal(10) ** 9, "bn"),
    (Decimal(10) ** 6, Decimal(10) ** 6, "m"), (Decimal(10) ** 4, Decimal(10) ** 3, "k"),
)  # fmt: skip
# The stored headline ends with the money and the clock as they were at detection; the page tells both as they are now.
_TOLD_AT_DETECTION = re.compile(r", (?:[A-Z]{3} [\d,.]+ at risk|fix by \d\d:\d\d|to be fixed at once)")
_PLAIN_NUMBER = re.compile(r"(?<![\w.,:/-])\d{4,}(?:\.\d+)?(?![\w,:/-])")
_COUNTED_FAMILIES = frozenset({"qty", "price", "commission", "net", "existence", "gross", "fee"})
STATE_WORDS = {
    "OPEN": "Open", "ASSIGNED": "Assigned", "REOPENED": "Reopened", "WAIT_PB": "Waits for PB",
    "WAIT_EB": "Waits for broker", "WAIT_INTERNAL": "Waits for us", "SUPPRESSED": "Suppressed",
    "RESOLVED": "Resolved", "CLOSED": "Closed",
}  # fmt: skip
# Nobody has to do anything about these any more.
DONE_STATES = ("RESOLVED", "CLOSED")


def break_name(code: str) -> str:
    """The taxonomy name as words: T05 gives `Quantity`, T01 `Missing at PB`; an unknown code stays as it is."""
    if code in _NAMES:
        return _NAMES[code]
    known = taxonomy().get(code)
    if known is None:
        return code
    words = [_WORDS.get(word, word.lower()) for word in known.name.split("_")]
    joined = " ".join(word for word in words if word) or known.name
    return joined[:1].upper() + joined[1:]


def severity_word(level: int) -> str:
    """`Critical`, `High`, `Medium`, `Low` or `Info`."""
    try:
        return Severity(level).name.capitalize()
    except ValueError:
        return f"Level {level}"


def readable_value(value: str, family: str) -> str:
    """A side's value for people: quantities, prices and money get thousands separators; ids and dates stay as sent."""
    if family not in _COUNTED_FAMILIES:
        return value
    return _PLAIN_NUMBER.sub(lambda found: number(Decimal(found.group())), value)


def compact(value: Decimal) -> str:
    """A large amount in four figures: 1.21 bn, 84.3 m, 9,120."""
    for limit, unit, word in _SCALES:
        if abs(value) >= limit:
            scaled = value / unit
            places = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
            return f"{scaled:,.{places}f} {word}"
    return f"{value:,.0f}"


def money(value: Decimal | None, ccy: str) -> str:
    """`USD 12,345` (cents below 1,000), or `unknown` when nobody can tell the money."""
    if value is None:
        return "unknown"
    return f"{ccy} {number(value, 0 if abs(value) >= 1000 else 2)}".strip()


def span_words(seconds: float) -> str:
    """A length of time in two units at most: 42 s, 31 min, 2 h 13, 3 d 4 h."""
    left = int(abs(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min"
    if left < 86400:
        return f"{left // 3600} h {left % 3600 // 60:02d}"
    return f"{left // 86400} d {left % 86400 // 3600} h"


def instant(ns: int) -> datetime:
    """Nanoseconds as a UTC-naive datetime, the form warehouse rows have."""
    return datetime.fromtimestamp(ns // 1_000 / 1_000_000, UTC).replace(tzinfo=None)


def stamp(value: object) -> str:
    """`2026-11-20 20:45:04 UTC`, or a dash."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else MISSING


def deadline_words(deadline: datetime, now: datetime, zone: str) -> str:
    """`by 20:30 New York time today (2 h 13 left)`; the day is named when it is not today there."""
    try:
        local_zone = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        local_zone = ZoneInfo("UTC")
    local = deadline.replace(tzinfo=UTC).astimezone(local_zone)
    today = now.replace(tzinfo=UTC).astimezone(local_zone).date()
    city = zone.rpartition("/")[2].replace("_", " ") + " time" if "/" in zone else "UTC"
    days = {today: "today", today + timedelta(days=1): "tomorrow", today - timedelta(days=1): "yesterday"}
    day = days.get(local.date(), f"on {local:%a %d %b %Y}")
    left = (deadline - now).total_seconds()
    clock = f"{span_words(left)} left" if left >= 0 else f"{span_words(left)} late"
    return f"by {local:%H:%M} {city} {day} ({clock})"


def _sentence(words: str) -> str:
    cleaned = words.strip().rstrip(".")
    return cleaned[:1].upper() + cleaned[1:] + "." if cleaned else ""


def headline(row: Mapping[str, object], now: datetime, base_ccy: str) -> str:
    """What differs, how much money, by when and what to do next, as short sentences in that order."""
    code = str(row.get("code") or "")
    known = taxonomy().get(code)
    what = _TOLD_AT_DETECTION.split(str(row.get("headline") or ""))[0] or break_name(code)
    exposure = row.get("exposure_base")
    at_risk = f"{money(exposure, base_ccy)} at risk" if isinstance(exposure, Decimal) else "money at risk unknown"
    deadline = row.get("deadline_at")
    if row.get("state") in DONE_STATES:
        due = "resolved"
    elif isinstance(deadline, datetime):
        zone = known.deadline.zone if known is not None and known.deadline is not None else ""
        due = "fix it " + deadline_words(deadline, now, zone)
    else:
        due = "no deadline"
    step = str(row.get("next_step") or "") or (known.auto_action if known is not None else "")
    parts = [_sentence(what), _sentence(f"{at_risk}; {due}")]
    if step and row.get("state") not in DONE_STATES:
        parts.append(_sentence(f"Next: {step}"))
    return " ".join(part for part in parts if part)
