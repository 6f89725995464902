"""When a file must have come: the feed's first slot after what the file knows, on the open days of its calendar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

from ingest.feeds import Feed

_SECOND_NS = 1_000_000_000
_CLOSE = time(16, 0)
_LONGEST_BREAK_DAYS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Arrival:
    """UTC nanoseconds and the slot's name."""

    at_ns: int
    slot: str


def arrival(feed: Feed, latest_ns: int | None, business_date: date | None) -> Arrival | None:
    """The first slot of `feed` not before `latest_ns` (the last thing the file tells of, UTC nanoseconds).

    A file without times is taken to know its business date's close, 16:00 in the slot's zone. None when the feed has
    no slots or the file neither a time nor a date.
    """
    if not feed.slots or (latest_ns is None and business_date is None):
        return None
    first = business_date if latest_ns is None else (_EPOCH + timedelta(microseconds=latest_ns // 1000)).date()
    if first is None:
        return None
    found: list[Arrival] = []
    for day in _open_days(feed.calendar, first - timedelta(days=1)):
        for slot in feed.slots:
            zone = ZoneInfo(slot.zone)
            at = _ns(datetime.combine(day, time.fromisoformat(slot.at), zone))
            known = latest_ns if latest_ns is not None else _ns(datetime.combine(first, _CLOSE, zone))
            if at >= known:
                found.append(Arrival(at, slot.name))
        if found:
            return min(found, key=lambda one: one.at_ns)
    return None


def _open_days(calendar: str, start: date) -> Sequence[date]:
    closed = {**_closed(calendar, start.year), **_closed(calendar, start.year + 1)}
    days = [start + timedelta(days=n) for n in range(_LONGEST_BREAK_DAYS)]
    return [day for day in days if day.weekday() < 5 and day not in closed]


@cache
def _closed(calendar: str, year: int) -> Mapping[date, str]:
    """Holidays of an exchange; a calendar nobody knows has weekends alone."""
    try:
        return dict(holidays.financial_holidays(calendar, years=year))
    except NotImplementedError:
        return {}


def _ns(moment: datetime) -> int:
    gone = moment.astimezone(UTC) - _EPOCH
    return (gone.days * 86_400 + gone.seconds) * _SECOND_NS
