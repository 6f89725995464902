"""Which settlement date the recorded calendars expect, with the days that were left out and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from domain.ids import digest128
from warehouse.port import Warehouse

_SECURITIES = frozenset({"EQUITY", "ETF", "OPTION", "BOND"})
_ONE_DAY = timedelta(days=1)
_FARTHEST_DAYS = 21
# Currency: exchange and payment system that must both be open, days after the trade, and from when one day less.
_MARKETS: Mapping[str, tuple[tuple[str, ...], int, date]] = {
    "USD": (("XNYS", "XFED"), 2, date(2024, 5, 28)),
    "GBP": (("XLON",), 2, date(2027, 10, 11)),
    "EUR": (("XECB",), 2, date(2027, 10, 11)),
}
_DOLLAR_BONDS = ("XSIF",)


@dataclass(frozen=True, slots=True)
class Expected:
    """A settlement date and the words that say what it rests on."""

    day: date
    basis: str


class SettleCalendar:
    """Open days by calendar as recorded, with the reason of each closed one."""

    def __init__(self, rows: Iterable[Mapping[str, object]]) -> None:
        self._days = {(str(row["calendar"]), row["day"]): (bool(row["is_open"]), row["reason"]) for row in rows}

    def expected(self, asset: str | None, ccy: str | None, trade_date: date) -> Expected | None:
        """When a security traded on `trade_date` settles as a rule; None where the calendars do not say."""
        market = _MARKETS.get(ccy or "")
        if asset not in _SECURITIES or market is None:
            return None
        names, lag, shorter_from = market
        if asset == "BOND" and ccy == "USD":
            names = _DOLLAR_BONDS
        lag -= trade_date >= shorter_from or asset == "OPTION"
        day, left, shut, walked = trade_date, lag, list[str](), list[str]()
        while left:
            day += _ONE_DAY
            found = [self._days.get((name, day)) for name in names]
            if None in found or (day - trade_date).days > _FARTHEST_DAYS:
                return None
            known = [entry for entry in found if entry is not None]
            walked += [f"{name} {day} {entry}" for name, entry in zip(names, known, strict=True)]
            left -= all(is_open for is_open, _ in known)
            if day.weekday() < 5:
                shut += [
                    f"{name} closed {day:%a} {day.day} {day:%b}: {reason or 'holiday'}"
                    for name, (is_open, reason) in zip(names, known, strict=True)
                    if not is_open
                ]
        version = digest128("calendar", *walked)[:8]
        why = "".join(f"{text}, " for text in shut)
        return Expected(day, f"T+{lag} by {' and '.join(names)}, {why}calendar version {version}")


def settle_calendar(warehouse: Warehouse) -> SettleCalendar:
    """The recorded calendars."""
    return SettleCalendar(warehouse.query("select calendar, day, is_open, reason from calendar_day").to_pylist())
