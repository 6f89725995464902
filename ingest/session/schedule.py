"""Session hours: when a session may be logged on, and when its numbers start again."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ALL_DAYS = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours in a time zone, on each of `days` or, with `last_day`, once from the only day in `days` to `last_day`.

    Days are 0 (Monday) to 6. An `end` not after `start` is on the next day; equal ones make 24 hours. `reset` starts
    both sides' numbers at 1 in every period.
    """

    start: time
    end: time
    zone: str
    days: frozenset[int] = ALL_DAYS
    last_day: int | None = None
    reset: bool = True

    def period(self, now_ns: int) -> int | None:
        """When the period that is open at `now_ns` began (both ns UTC); None outside of hours."""
        zone = ZoneInfo(self.zone)
        now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
        today = now.astimezone(zone).date()
        for back in range(8):
            first = today - timedelta(days=back)
            if first.weekday() not in self.days:
                continue
            begins = datetime.combine(first, self.start, zone)
            if begins <= now < datetime.combine(self._last(first), self.end, zone):
                return int(begins.timestamp()) * 1_000_000_000
        return None

    def _last(self, first: date) -> date:
        if self.last_day is None:
            days = 0 if self.end > self.start else 1
        else:
            days = (self.last_day - first.weekday()) % 7
            days += 7 if not days and self.end <= self.start else 0
        return first + timedelta(days=days)
