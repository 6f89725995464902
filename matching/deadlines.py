"""When a break must be fixed: the taxonomy's local time on a business day, as UTC nanoseconds."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.taxonomy import Deadline, taxonomy
from warehouse.port import Warehouse

_SATURDAY = 5
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """Open days per calendar: as recorded, else Monday to Friday."""

    known: dict[tuple[str, date], bool] = field(default_factory=dict)

    def is_open(self, calendar: str, day: date) -> bool:
        """Whether `day` is a business day in `calendar`."""
        return self.known.get((calendar, day), day.weekday() < _SATURDAY)

    def add(self, calendar: str, day: date, count: int) -> date:
        """The day `count` business days after `day`; 0 gives `day` itself."""
        while count > 0:
            day += timedelta(days=1)
            count -= self.is_open(calendar, day)
        return day


def business_days(warehouse: Warehouse) -> BusinessDays:
    """The recorded calendars; weekdays where none is recorded."""
    rows = warehouse.query("select calendar, day, is_open from calendar_day").to_pylist()
    return BusinessDays({(row["calendar"], row["day"]): row["is_open"] for row in rows})


class Deadlines:
    """Deadlines by code and dates; each distinct one is computed once."""

    def __init__(self, days: BusinessDays) -> None:
        self._days = days
        self._known: dict[tuple[str, date, date | None], int] = {}

    def of(self, code: str, trade_date: date, settle_date: date | None, opened_ns: int) -> int | None:
        """UTC nanoseconds by which a break opened at `opened_ns` must be fixed; None where the code has no deadline."""
        rule = taxonomy()[code].deadline
        if rule is None:
            return None
        if not rule.time_of_day:
            return opened_ns + rule.offset_minutes * 60 * _SECOND_NS
        key = (code, trade_date, settle_date)
        if key not in self._known:
            self._known[key] = self._at(rule, trade_date, settle_date)
        return self._known[key]

    def _at(self, rule: Deadline, trade_date: date, settle_date: date | None) -> int:
        anchor = settle_date if rule.anchor == "SETTLE_DATE" and settle_date is not None else trade_date
        if rule.anchor == "MONTH_END":
            anchor = (anchor.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        day = self._days.add(rule.calendar, anchor, rule.offset_days)
        local = datetime.combine(day, time.fromisoformat(rule.time_of_day), ZoneInfo(rule.zone))
        return int(local.timestamp()) * _SECOND_NS
