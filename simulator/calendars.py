"""Settlement dates: n business days on which both the market and the payment system of its currency are open."""

from datetime import date, timedelta
from functools import cache

import holidays

_ONE_DAY = timedelta(days=1)
_SATURDAY = 5

# market -> (calendars that must all be open, days to settle). XECB is TARGET; LSE trades pay through CHAPS, which
# follows the English bank holidays the LSE keeps too.
_CYCLES: dict[str, tuple[tuple[str, ...], int]] = {
    "XNYS": (("XNYS", "XFED"), 1),
    "XNAS": (("XNYS", "XFED"), 1),
    "ARCX": (("XNYS", "XFED"), 1),
    "XLON": (("XLON",), 2),
    "XETR": (("XETR", "XECB"), 2),
    "XPAR": (("XPAR", "XECB"), 2),
    "XAMS": (("XAMS", "XECB"), 2),
}


@cache
def _closed(calendar: str, year: int) -> frozenset[date]:
    return frozenset(holidays.financial_holidays(calendar, years=year).keys())


def is_open(calendar: str, day: date) -> bool:
    """True on a weekday that is no holiday of `calendar` (a MIC, or XFED, XECB)."""
    return day.weekday() < _SATURDAY and day not in _closed(calendar, day.year)


def settle_date(mic: str, trade_date: date) -> date:
    """The regular settlement date of a trade on market `mic` (US T+1, UK and euro area T+2)."""
    calendars, days = _CYCLES[mic]
    return _add_days(calendars, trade_date, days)


def next_settle_day(mic: str, day: date) -> date:
    """The next day after `day` on which market and payment system are open."""
    return _add_days(_CYCLES[mic][0], day, 1)


def _add_days(calendars: tuple[str, ...], day: date, days: int) -> date:
    while days:
        day += _ONE_DAY
        days -= all(is_open(calendar, day) for calendar in calendars)
    return day


def last_business_day(today: date) -> date:
    """The latest NYSE trading day strictly before `today`."""
    day = today - _ONE_DAY
    while not is_open("XNYS", day):
        day -= _ONE_DAY
    return day
