"""Settlement dates: n business days on which both the market and the payment system of its currency are open."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import count, islice

import holidays
import numpy as np

from simulator.market.bonds import TREASURY_ISSUERS
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import I32, Bool

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


# Days since 1970 the vectorised functions know; holidays outside are not worked out.
_YEARS = range(2010, 2051)
_START, _END = np.datetime64(f"{_YEARS.start}-01-01"), np.datetime64(f"{_YEARS.stop}-01-01")
# Where each of CURRENCIES is paid; the NSE and the KRX stand for their countries' banks.
_PAYMENT = {
    "USD": "XFED", "GBP": "XLON", "EUR": "XECB", "JPY": "XJPX", "HKD": "XHKG", "CHF": "XSWX", "CAD": "XTSE",
    "AUD": "XASX", "KRW": "XKRX", "INR": "XNSE",
}  # fmt: skip
_T_PLUS_1_PAIRS = frozenset({frozenset({"USD", "CAD"})})


@dataclass(frozen=True, slots=True)
class _Cycle:
    """`days` business days of `counted`, then on to the first day open in all of `value`."""

    days: int
    counted: tuple[str, ...]
    value: tuple[str, ...]


def _regular(days: int, *calendars: str) -> _Cycle:
    return _Cycle(days, calendars, calendars)


_US = _regular(1, "XNYS", "XFED")
_LISTED = {
    "XLON": _regular(2, "XLON"),
    "XETR": _regular(2, "XETR", "XECB"),
    "XPAR": _regular(2, "XPAR", "XECB"),
    "XAMS": _regular(2, "XAMS", "XECB"),
    "XTKS": _regular(2, "XJPX"),
    "XHKG": _regular(2, "XHKG"),
}
_FUTURES = {"XEUR": _regular(1, "XETR", "XECB"), "IFLL": _regular(1, "XLON")}


def value_calendars(ccy: str, ccy2: str) -> tuple[str, ...]:
    """The calendars open on a currency trade's value date: both currencies' and the dollar's."""
    return tuple(dict.fromkeys((_PAYMENT[ccy], _PAYMENT[ccy2], _PAYMENT["USD"])))


def _pair_cycle(ccy: str, ccy2: str) -> _Cycle:
    # A dollar holiday between does not delay; on the value date the dollar must be open too.
    counted = tuple(_PAYMENT[code] for code in (ccy, ccy2) if code != "USD")
    return _Cycle(1 if frozenset({ccy, ccy2}) in _T_PLUS_1_PAIRS else 2, counted, value_calendars(ccy, ccy2))


def _cycles(world: World) -> list[_Cycle]:
    """The settlement cycle of every instrument."""
    lines = world.instruments
    made = []
    columns = (lines.asset, lines.mic, lines.ccy, lines.ccy2, lines.cusip)
    for asset, mic, ccy, ccy2, cusip in zip(*(column.tolist() for column in columns), strict=True):
        code, code2 = CURRENCIES[ccy], CURRENCIES[ccy2]
        if asset in (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF):
            made.append(_pair_cycle(code, code2))
        elif asset == Asset.BOND:
            dollar = _regular(1, "XSIF") if cusip.startswith(TREASURY_ISSUERS) else _US
            made.append(_regular(1, "XLON") if code == "GBP" else dollar)
        elif asset == Asset.FUTURE:
            made.append(_FUTURES.get(mic, _US))
        elif asset in (Asset.CDS, Asset.TRS):
            made.append(_regular(3 if asset == Asset.CDS else 2, "XFED", _PAYMENT[code]))
        else:
            made.append(_LISTED.get(mic, _US))
    return made


@cache
def _open_days(calendars: tuple[str, ...]) -> I32:
    """All days on which every one of the calendars is open, in order."""
    days = np.arange(_START, _END)
    closed = {day for name in calendars for day in holidays.financial_holidays(name, years=_YEARS)}
    open_ = np.is_busday(days, holidays=np.array(sorted(closed), "datetime64[D]"))
    return days[open_].astype(np.int32)


def add_open_days(calendars: tuple[str, ...], days: I32 | int, number: int) -> I32:
    """Days since 1970 moved on by `number` days on which all the calendars are open (0: to the first such day)."""
    opens = _open_days(calendars)
    at = np.searchsorted(opens, days, side="right" if number else "left") + max(number - 1, 0)
    return opens[at]


def settle_dates(world: World, instrument_rows: I32, day: I32 | int) -> I32:
    """The regular settlement date of a trade in each instrument on `day` (one, or one a row); days since 1970.

    A currency forward settles on its own value date.
    """
    days, at = np.unique(np.asarray(day, np.int32), return_inverse=True)
    cycles, lines = _cycles(world), world.instruments
    forward = (lines.asset == Asset.FX_FWD) | (lines.asset == Asset.FX_NDF)
    table = np.empty((len(days), len(cycles)), np.int32)
    for column, cycle in enumerate(cycles):
        table[:, column] = add_open_days(cycle.value, add_open_days(cycle.counted, days, cycle.days), 0)
    table[:, forward] = lines.expiry[forward]
    made: I32 = table[at.reshape(np.shape(day)), instrument_rows]
    return made


def next_settle(world: World, instrument_rows: I32, dates: I32) -> I32:
    """One settlement day of each instrument later than `dates`."""
    cycles = [cycle.value for cycle in _cycles(world)]
    names = list(dict.fromkeys(cycles))
    of = np.array([names.index(cycle) for cycle in cycles])[instrument_rows]
    made = np.zeros(len(of), np.int32)
    for number in np.unique(of):
        rows = of == number
        made[rows] = add_open_days(names[number], dates[rows], 1)
    return made


def fixing_dates(world: World, instrument_rows: I32) -> I32:
    """Two business days before a forward's value date: when a non-deliverable one fixes. 0 for anything else."""
    lines, table = world.instruments, np.zeros(len(world.instruments), np.int32)
    for row in np.flatnonzero((lines.asset == Asset.FX_FWD) | (lines.asset == Asset.FX_NDF)):
        opens = _open_days(value_calendars(CURRENCIES[lines.ccy[row]], CURRENCIES[lines.ccy2[row]]))
        table[row] = opens[np.searchsorted(opens, lines.expiry[row]) - 2]
    made: I32 = table[instrument_rows]
    return made


def open_lines(world: World, day: int) -> Bool:
    """Instruments whose market trades on `day`: the exchange for listed lines, the payment systems for the rest."""
    cycles = [cycle.counted[:1] for cycle in _cycles(world)]
    opens = {calendars: add_open_days(calendars, day, 0) == day for calendars in set(cycles)}
    return np.array([opens[calendars] for calendars in cycles], np.bool_)


def trading_days(first: date, number: int) -> list[date]:
    """`number` NYSE trading days from `first` on (itself if it is one)."""
    days = (day for day in (first + n * _ONE_DAY for n in count()) if is_open("XNYS", day))
    return list(islice(days, number))
