"""Records as columns: what each source states about trades, exact integers in place of decimals, one row a version."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

# Integers per unit: 12.5 in a price column is 1_250_000_000, in a money column 125_000. Quantities are whole units.
PRICE_UNIT = 10**8
MONEY_UNIT = 10**4
SECOND_NS = 1_000_000_000

I8 = npt.NDArray[np.int8]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]


class Source(IntEnum):
    """Who states a record: the fund's order system or a prime broker. A broker's letter is its name's first."""

    OMS = 0
    ALPHA = 1
    BRAVO = 2
    CHARLIE = 3
    DELTA = 4
    ECHO = 5


class Level(IntEnum):
    """What a record describes: one execution, or one account's share of an order at the average price."""

    FILL = 0
    ALLOCATION = 1


class Status(IntEnum):
    """What a version does to the one it refers to."""

    NEW = 0
    CORRECT = 1
    CANCEL = 2
    REJECT = 3


class Side(IntEnum):
    """FIX Side(54)."""

    BUY = 1
    SELL = 2
    SELL_SHORT = 5
    SELL_SHORT_EXEMPT = 6


class Effect(IntEnum):
    """FIX PositionEffect(77): none shown, O or C. A buy that closes a short is a cover."""

    NONE = 0
    OPEN = 1
    CLOSE = 2


class Affirm(IntEnum):
    """What the prime broker says of the confirmation by the cut-off."""

    AFFIRMED = 0
    PENDING = 1
    REJECTED = 2


C = TypeVar("C", bound="Columns")


class Columns:
    """Base of a frozen dataclass whose fields are NumPy arrays of one length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def take(self, rows: Any) -> Self:
        """The rows at an index array or where a mask is true, as a copy."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})  # type: ignore[arg-type]

    def with_(self, **columns: Any) -> Self:
        """A copy with some columns replaced; a scalar fills the column, the dtype stays."""
        made = {}
        for name, value in columns.items():
            old = getattr(self, name)
            made[name] = np.broadcast_to(np.asarray(value, dtype=old.dtype), old.shape).copy()
        return replace(self, **made)  # type: ignore[type-var]

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All rows of `parts` one after the other; at least one part."""
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True, slots=True, eq=False)
class Orders(Columns):
    """The fund's orders. `account` is -1 for a block that is allocated to several accounts after the fact.

    `number` starts at 1 each day; `rule` is the rounding rule of a block's split (see flow/allocate.py).
    """

    number: I64
    day: I32
    instrument: I32
    side: I8
    effect: I8
    qty: I64
    account: I16
    broker: I8
    rule: I8
    settle_date: I32
    start_ns: I64


@dataclass(frozen=True, slots=True, eq=False)
class Records(Columns):
    """One row per version of one record as `source` states it. Dates are days and times UTC ns since 1970.

    `serial` is unique per source and day and makes the record's own id (ids.py); `root` is the serial of the first
    version, `prev` the serial of the version this one refers to (0: none), `cross` the serial of the fund's record a
    broker quotes (0: none). `group` ties records that describe the same trade: a correct reconciliation puts exactly
    these together. `order` is a row of Orders, -1 for a trade of no order of ours. `day` is the day the record was
    made on, whatever `trade_date` says. `price_dp` is the number of decimals shown. Fees are costs (positive); `net`
    is signed from the account's view, + receive. `noise` has bit n set for benign variation Nn.
    """

    source: I8
    level: I8
    status: I8
    serial: I64
    root: I64
    prev: I64
    cross: I64
    version: I16
    day: I32
    order: I32
    group: I64
    account: I16
    pb: I8
    instrument: I32
    side: I8
    effect: I8
    qty: I64
    price: I64
    price_dp: I8
    ccy: I8
    settle_ccy: I8
    fx_rate: I64
    multiplier: I64
    trade_date: I32
    settle_date: I32
    gross: I64
    accrued: I64
    commission: I64
    fee_sec: I64
    fee_exchange: I64
    tax: I64
    net: I64
    broker: I8
    uti: I64
    coupon: I32
    upfront: I64
    affirm: I8
    event_ns: I64
    arrive_ns: I64
    cum_qty: I64
    order_qty: I64
    avg_price: I64
    noise: I64

    @classmethod
    def blank(cls, rows: int) -> "Records":
        """`rows` records of zeros with the right dtypes."""
        return cls(**{name: np.zeros(rows, dtype) for name, dtype in RECORD_DTYPES.items()})


RECORD_DTYPES: dict[str, type[np.generic]] = {
    **dict.fromkeys(
        ("source", "level", "status", "pb", "side", "effect", "price_dp", "ccy", "settle_ccy", "broker", "affirm"),
        np.int8,
    ),
    **dict.fromkeys(("version", "account"), np.int16),
    **dict.fromkeys(("day", "order", "instrument", "trade_date", "settle_date", "coupon"), np.int32),
    **dict.fromkeys(
        ("serial", "root", "prev", "cross", "group", "qty", "price", "fx_rate", "multiplier", "gross", "accrued",
         "commission", "fee_sec", "fee_exchange", "tax", "net", "uti", "upfront", "event_ns", "arrive_ns", "cum_qty",
         "order_qty", "avg_price", "noise"),
        np.int64,
    ),
}  # fmt: skip


def divide(numerator: I64, denominator: Any) -> I64:
    """Integer division rounding half away from zero, exact; `denominator` is positive."""
    sign = np.where(numerator < 0, -1, 1)
    made: I64 = sign * ((np.abs(numerator) + np.asarray(denominator) // 2) // denominator)
    return made


def money(qty: I64, price: I64, multiplier: I64) -> I64:
    """qty x price x multiplier as money, rounded half up to the cent. The product must stay below 9.2e10 units."""
    return divide(qty * price * multiplier, PRICE_UNIT // 100) * (MONEY_UNIT // 100)


def noisy(noise: I64, number: int) -> Bool:
    """Where benign variation `number` (1..29) is on."""
    return ((noise >> number) & 1).astype(np.bool_)
