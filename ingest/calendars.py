"""Business calendars as rows: exchange and payment-system holidays from the `holidays` package."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import holidays
import pyarrow as pa

from domain.reference import CALENDAR_DAY
from domain.schema import arrow_schema

# MIC or payment system -> (kind, code) in `holidays`: XFED is Fedwire, XSIF SIFMA's US bond calendar, XECB TARGET.
CALENDARS = ("XNYS", "XFED", "XSIF", "XLON", "XECB")


def calendar_days(
    first: date, last: date, names: tuple[str, ...] = CALENDARS, overrides: Iterable[Mapping[str, Any]] = ()
) -> pa.Table:
    """One `calendar_day` row per calendar and day of [first, last]; weekends and holidays are closed.

    `overrides` are rows of `calendar_override`, which win.
    """
    forced = {(row["calendar"], row["day"]): row for row in overrides}
    years = range(first.year, last.year + 1)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows: list[dict[str, object]] = []
    for name in names:
        closed = holidays.financial_holidays(name, years=years)
        for day in days:
            reason = closed.get(day) or ("weekend" if day.weekday() >= 5 else None)
            override = forced.get((name, day))
            if override is not None:
                reason = None if override["is_open"] else override.get("reason") or "closed by override"
            rows.append({"calendar": name, "day": day, "is_open": reason is None, "reason": reason})
    return pa.Table.from_pylist(rows, schema=arrow_schema(CALENDAR_DAY))


def last_business_day(on_or_before: date, names: tuple[str, ...]) -> date:
    """The latest day not after `on_or_before` on which every calendar is open."""
    closed = [holidays.financial_holidays(name, years=(on_or_before.year - 1, on_or_before.year)) for name in names]
    day = on_or_before
    while day.weekday() >= 5 or any(day in calendar for calendar in closed):
        day -= timedelta(days=1)
    return day
