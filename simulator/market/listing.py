"""One tradable line as a row, while the world is being made; the finished table is columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np

from simulator.market.world import CURRENCIES, Asset, Instruments
from simulator.records import PRICE_UNIT

_EPOCH = date(1970, 1, 1)
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Listing:
    """A row of Instruments; `ccy` and `ccy2` are codes (`ccy2` empty: no currency pair), `underlying`, `line` keys."""

    key: str
    symbol: str
    broker_symbol: str
    name: str
    asset: Asset
    ccy: str
    price: int
    tick: int
    isin: str = ""
    cusip: str = ""
    sedol: str = ""
    mic: str = ""
    ccy2: str = ""
    multiplier: int = 1
    expiry: int = 0
    strike: int = 0
    put_call: int = -1
    coupon: int = 0
    underlying: str = ""
    line: str = ""


def units(text: str) -> int:
    """A decimal text in PRICE_UNITs, exactly."""
    whole, _, fraction = text.partition(".")
    return int(whole) * PRICE_UNIT + int(f"{fraction:0<8}")


def rounded(price: float, tick: int) -> int:
    """A drawn price as a whole number of ticks, at least one."""
    return max(1, round(price * PRICE_UNIT / tick)) * tick


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH).days


def as_date(day: int) -> date:
    """The date of a day number."""
    return _EPOCH + timedelta(days=int(day))


def months_after(first: date, count: int) -> date:
    """The first of the month `count` months after that of `first`."""
    year, month = divmod(first.year * 12 + first.month - 1 + count, 12)
    return date(year, month + 1, 1)


def third(weekday: int, month: date) -> date:
    """The third such weekday (Monday 0) of the month."""
    return month + timedelta(days=(weekday - month.weekday()) % 7 + 14)


def third_friday(month: date) -> date:
    """The usual expiry of listed options and index futures."""
    return third(_FRIDAY, month)


def to_columns(rows: Sequence[Listing]) -> Instruments:
    """The table; keys of underlyings and partner lines become rows, `ccy2` of a line that is no pair is its `ccy`."""
    at = {row.key: number for number, row in enumerate(rows)}
    columns: dict[str, list[object]] = {f.name: [getattr(row, f.name) for row in rows] for f in fields(Listing)}
    columns["ccy"] = [CURRENCIES.index(row.ccy) for row in rows]
    columns["ccy2"] = [CURRENCIES.index(row.ccy2 or row.ccy) for row in rows]
    columns["underlying"] = [at[row.underlying] if row.underlying else -1 for row in rows]
    columns["line"] = [at[row.line] if row.line else -1 for row in rows]
    texts = {"key", "symbol", "broker_symbol", "name", "isin", "cusip", "sedol", "mic"}
    kinds: dict[str, type[np.generic]] = {
        **dict.fromkeys(("asset", "ccy", "ccy2", "put_call"), np.int8),
        **dict.fromkeys(("price", "tick", "multiplier", "strike"), np.int64),
        **dict.fromkeys(("expiry", "coupon", "underlying", "line"), np.int32),
    }
    return Instruments(
        **{name: np.array(values, dtype=np.str_ if name in texts else kinds[name]) for name, values in columns.items()}
    )
