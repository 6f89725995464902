"""Times and people in encoded queries: javascript:gs.... calls, ON and RELATIVE conditions, all in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_CALL = re.compile(r"javascript:gs\.(\w+)\(([^()]*)\)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?")
_AGO = {"minute": "minutes", "hour": "hours", "day": "days", "week": "weeks"}
_EDGES = {"start": "00:00:00", "end": "23:59:59"}
_MAX_COUNT = 100_000
_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks and when (UTC ns): what a query may refer to."""

    now_ns: int
    user_id: str
    user_name: str

    @property
    def now(self) -> datetime:
        """The time of the request."""
        return datetime.fromtimestamp(self.now_ns // 1_000_000_000, UTC)


def seconds_of(text: str) -> int:
    """A moment (`YYYY-MM-DD HH:MM:SS` UTC) or a glide_duration in seconds since 1970; 0 for none."""
    try:
        return int(datetime.strptime(text, _FORMAT).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


def duration(seconds: int) -> str:
    """A glide_duration: seconds as a moment counted from 1970."""
    return f"{datetime.fromtimestamp(max(seconds, 0), UTC):{_FORMAT}}"


def evaluated(value: str, asker: Asker) -> str | None:
    """A value with its javascript: call evaluated; None for a call that is not known."""
    if not value.lower().startswith("javascript:"):
        return value
    found = _CALL.fullmatch(value)
    if found is None:
        return None
    name, arguments = found[1], [part.strip().strip("'\"") for part in found[2].split(",") if part.strip()]
    if name in ("getUserID", "getUserName"):
        return asker.user_id if name == "getUserID" else asker.user_name
    if name == "dateGenerate" and arguments:
        # `start` and `end` of a day are what a list's "on" filter is copied with.
        given = " ".join([arguments[0], *(_EDGES.get(part, part) for part in arguments[1:])])
        return given if _STAMP.fullmatch(given) else None
    moment = _moment(name, arguments, asker.now)
    return None if moment is None else f"{moment:{_FORMAT}}"


def span(value: str, asker: Asker) -> tuple[str, str] | None:
    """First and last moment of an ON value: a day, `Today@start@end` or `label@start@end`; None if not understood."""
    parts = value.split("@")
    if len(parts) == 3:
        start, end = evaluated(parts[1], asker), evaluated(parts[2], asker)
        return (start, end) if start and end else None
    day = parts[0][:10]
    return (f"{day} 00:00:00", f"{day} 23:59:59") if _DAY.fullmatch(day) else None


def relative(value: str, asker: Asker) -> str | None:
    """The moment of a RELATIVE value such as `@hour@ago@3`; None if not understood."""
    _, _, rest = value.partition("@")
    unit, direction, count = [*rest.split("@"), "", "", ""][:3]
    if not count.isdigit() or int(count) > _MAX_COUNT or direction not in ("ago", "ahead"):
        return None
    amount = int(count) if direction == "ahead" else -int(count)
    if unit in _AGO:
        moment = asker.now + timedelta(**{_AGO[unit]: amount})
    elif unit in ("month", "quarter", "year"):
        moment = _months(asker.now, amount * {"month": 1, "quarter": 3, "year": 12}[unit])
    else:
        return None
    return f"{moment:{_FORMAT}}"


def _moment(name: str, arguments: list[str], now: datetime) -> datetime | None:
    """A time function of gs."""
    if arguments and not arguments[0].lstrip("-").isdigit():
        return None
    count = max(-_MAX_COUNT, min(int(arguments[0]), _MAX_COUNT)) if arguments else 0
    for suffix, unit in (("minutesAgo", "minutes"), ("hoursAgo", "hours"), ("daysAgo", "days")):
        if name == suffix:
            return now - timedelta(**{unit: count})
    if name in ("daysAgoStart", "daysAgoEnd"):
        return _edge(now - timedelta(days=count), name.endswith("End"))
    if name == "monthsAgo":
        return _months(now, -count)
    if name in ("nowDateTime", "now"):
        return now
    return _period(name, now)


_PERIODS = re.compile(
    r"(beginningOf|endOf)(?:(Today|Yesterday|Tomorrow)|(This|Last|Next)(Week|Month|Quarter|Year)|Last(\d{1,4})"
    r"(Minute|Hour|Day|Month|Quarter|Year)s|(Current|Last)(Hour|Minute))"
)


def _period(name: str, now: datetime) -> datetime | None:
    found = _PERIODS.fullmatch(name)
    if found is None:
        return None
    at_end = found[1] == "endOf"
    if found[2]:
        return _edge(now + timedelta(days={"Today": 0, "Yesterday": -1, "Tomorrow": 1}[found[2]]), at_end)
    if found[3]:
        step = {"This": 0, "Last": -1, "Next": 1}[found[3]]
        return _start(found[4], now, step + 1) - timedelta(seconds=1) if at_end else _start(found[4], now, step)
    if found[5]:
        return _last(int(found[5]), found[6], now, at_end)
    size = timedelta(hours=1) if found[8] == "Hour" else timedelta(minutes=1)
    start = now.replace(minute=0, second=0) if found[8] == "Hour" else now.replace(second=0)
    start -= size if found[7] == "Last" else timedelta(0)
    return start + size - timedelta(seconds=1) if at_end else start


def _last(count: int, unit: str, now: datetime, at_end: bool) -> datetime:
    """The last so many minutes or hours end now, whole days and longer with today."""
    if unit in ("Minute", "Hour"):
        return now if at_end else now - timedelta(**{unit.lower() + "s": count})
    if at_end:
        return _edge(now, True)
    if unit == "Day":
        return _edge(now - timedelta(days=count), False)
    return _start(unit, now, -count)


def _start(unit: str, now: datetime, step: int) -> datetime:
    today = _edge(now, False)
    if unit == "Week":
        return today - timedelta(days=today.weekday()) + timedelta(weeks=step)
    if unit == "Month":
        return _months(today.replace(day=1), step)
    if unit == "Quarter":
        return _months(today.replace(day=1, month=(today.month - 1) // 3 * 3 + 1), 3 * step)
    return today.replace(year=min(max(today.year + step, 1_000), 9_998), month=1, day=1)


def _edge(moment: datetime, at_end: bool) -> datetime:
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return start + timedelta(days=1, seconds=-1) if at_end else start


def _months(moment: datetime, count: int) -> datetime:
    total = moment.year * 12 + moment.month - 1 + count
    year = min(max(total // 12, 1_000), 9_998)
    first = moment.replace(year=year, month=total % 12 + 1, day=1)
    last_day = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(moment.day, last_day.day))
