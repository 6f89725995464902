"""When a trade settles: business days open on the exchange and in the payment system, with what they rest on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from types import MappingProxyType

import holidays

_ONE_DAY = timedelta(days=1)
# What each currency is paid through; where the payment system has no calendar of its own, the exchange stands for it.
PAYMENT: Mapping[str, str] = MappingProxyType(
    {"USD": "XFED", "GBP": "XLON", "EUR": "XECB", "JPY": "XJPX", "HKD": "XHKG", "CHF": "XSWX", "CAD": "XTSE",
     "AUD": "XASX", "SGD": "XSES", "INR": "XBOM", "BRL": "BVMF", "ZAR": "XJSE", "CNY": "XSHG"}
)  # fmt: skip
# Where a currency's securities are listed if the message names no market; and MICs whose holidays are another's.
_HOME: Mapping[str, str] = MappingProxyType(
    {"USD": "XNYS", "GBP": "XLON", "EUR": "XECB", "JPY": "XJPX", "HKD": "XHKG", "CHF": "XSWX", "CAD": "XTSE",
     "AUD": "XASX", "SGD": "XSES", "INR": "XBOM", "BRL": "BVMF", "ZAR": "XJSE", "CNY": "XSHG"}
)  # fmt: skip
_SAME: Mapping[str, str] = MappingProxyType(
    {"XNAS": "XNYS", "ARCX": "XNYS", "BATS": "XNYS", "XASE": "XNYS", "IEXG": "XNYS", "EDGX": "XNYS", "XCBO": "XNYS",
     "XTKS": "XJPX", "XOSE": "XJPX", "XTSX": "XTSE", "XNSE": "XBOM"}
)  # fmt: skip
_EUROPE = frozenset({"XLON", "XETR", "XPAR", "XAMS", "XBRU", "XLIS", "XMIL", "XMAD", "XDUB", "XSWX", "XECB"})
_EUROPE_T1 = date(2027, 10, 11)
_NORTH_AMERICA = frozenset({"XNYS", "XTSE"})
_NORTH_AMERICA_T1 = date(2024, 5, 28)
_T1 = frozenset({"XBOM"})
# SettlType(63) values that say the lag themselves; regular (0, absent) depends on the market, the others say none.
_LAGS: Mapping[str, int] = MappingProxyType({"1": 0, "2": 1, "3": 2, "4": 3, "5": 4, "9": 5})
_SECURITIES = frozenset({"EQUITY", "ETF"})


@dataclass(frozen=True, slots=True)
class Settlement:
    """A computed date and the words that say what it rests on."""

    day: date
    basis: str


@dataclass(frozen=True, slots=True)
class Calendars:
    """Business days of exchanges and payment systems; `overrides` open or close single days against the package."""

    overrides: Mapping[tuple[str, date], bool]
    version: str

    def is_open(self, calendar: str, day: date) -> bool:
        """Whether the calendar is open: by the override, else neither weekend nor holiday."""
        forced = self.overrides.get((calendar, day))
        return forced if forced is not None else day.weekday() < 5 and day not in _holidays(calendar, day.year)

    def add(self, day: date, days: int, calendars: Iterable[str]) -> date:
        """The day `days` business days later, counting those open in all calendars; 0 is the first open day."""
        names = tuple(calendars)
        while days or not all(self.is_open(name, day) for name in names):
            day += _ONE_DAY
            if days and all(self.is_open(name, day) for name in names):
                days -= 1
        return day

    def settle(
        self, trade_date: date, ccy: str | None, asset: str | None, mic: str | None, settle_type: str | None
    ) -> Settlement | None:
        """When a trade that states no date settles; None where nothing says so: no guess.

        SettlType(63) of T+n is enough with a currency; regular settlement needs shares, whose lag the market sets.
        """
        payment = PAYMENT.get(ccy or "")
        if payment is None or ccy is None:
            return None
        market = "XSIF" if asset == "BOND" and ccy == "USD" else _market(mic) or _HOME[ccy]
        lag = _LAGS.get(settle_type or "0")
        if lag is None and (settle_type or "0") == "0" and (asset in _SECURITIES or market == "XSIF"):
            lag = _regular(market, trade_date)
        if lag is None:
            return None
        names = tuple(dict.fromkeys((market, payment)))
        return Settlement(self.add(trade_date, lag, names), f"T+{lag} {'+'.join(names)}, {self.version}")


def calendars_of(rows: Iterable[Mapping[str, object]]) -> Calendars:
    """Calendars with the rows of `calendar_override`; the version names the package and the overrides' content."""
    found = {(str(row["calendar"]), day): bool(row["is_open"]) for row in rows if isinstance(day := row["day"], date)}
    version = f"holidays {metadata.version('holidays')}"
    if found:
        text = "\n".join(f"{name},{day},{is_open}" for (name, day), is_open in sorted(found.items()))
        version += f" with {len(found)} overrides {sha256(text.encode()).hexdigest()[:8]}"
    return Calendars(MappingProxyType(found), version)


def _market(mic: str | None) -> str | None:
    name = _SAME.get(mic or "", mic or "")
    return name if name in _known() else None


def _regular(market: str, trade_date: date) -> int:
    if market in _EUROPE:
        return 1 if trade_date >= _EUROPE_T1 else 2
    if market in _NORTH_AMERICA or market == "XSIF":
        return 1 if trade_date >= _NORTH_AMERICA_T1 else 2
    return 1 if market in _T1 else 2


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(holidays.list_supported_financial())


@lru_cache(maxsize=512)
def _holidays(calendar: str, year: int) -> frozenset[date]:
    return frozenset(holidays.financial_holidays(calendar, years=year))
