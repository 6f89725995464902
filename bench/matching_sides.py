"""Two sides of one million trades for the matching bench: 3% one-sided, 8% a little off in price, 1% in crowds."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

KEYS = ("account", "instrument", "side", "qty", "price", "trade_date", "settle_date", "ccy")
_FIRST = date(2026, 11, 16)
_TICK = 100  # prices are whole cents, shown as such
_HALF_CENT = "0.005"


@dataclass(frozen=True, slots=True)
class Sides:
    """Left and right as Arrow tables with the columns a pass compares, prices in `price` as decimals."""

    left: pa.Table
    right: pa.Table


def sides(count: int, seed: int = 7) -> Sides:
    """`count` trades of ours and the prime broker's version of them; the same seed gives the same rows."""
    rng = np.random.Generator(np.random.PCG64(seed))
    crowd = rng.random(count) < 0.01
    account = np.where(crowd, rng.integers(0, 20, count), rng.integers(0, 400, count))
    instrument = np.where(crowd, 0, rng.integers(0, 2_000, count))
    side = rng.integers(0, 2, count)
    day = rng.integers(0, 5, count)
    qty = np.where(
        crowd, 100, rng.integers(1, 50, count) * 100 + rng.integers(0, 2, count) * rng.integers(1, 99, count)
    )
    # Ten-thousandths: the left side shows cents, the right side may show an average up to half a cent away.
    price = np.where(crowd, 100_000, rng.integers(500, 50_000, count) * _TICK)
    shown = price + np.where(rng.random(count) < 0.08, rng.integers(-49, 50, count), 0)
    terms = (account, instrument, side, day, qty)
    left = _table("F", np.flatnonzero(rng.random(count) >= 0.03), terms, price)
    kept = rng.permutation(np.flatnonzero(rng.random(count) >= 0.03))
    return Sides(left, _table("B", kept, terms, shown))


def _table(
    prefix: str, rows: NDArray[np.int64], terms: tuple[NDArray[np.int64], ...], price: NDArray[np.int64]
) -> pa.Table:
    account, instrument, side, day, qty = (column[rows] for column in terms)
    ids = pa.array([f"{prefix}{row:09d}" for row in rows.tolist()])
    days = pa.array([_FIRST + timedelta(days=n) for n in range(6)])
    return pa.table(
        {
            "record_id": ids,
            "uid": ids,
            "account": pa.array([f"MERIDIAN-{n:04d}" for n in range(400)]).take(pa.array(account)),
            "instrument": pa.array([f"US{n:09d}0" for n in range(2_000)]).take(pa.array(instrument)),
            "side": pa.array(["BUY", "SELL"]).take(pa.array(side)),
            "direction": pa.array(["BUY", "SELL"]).take(pa.array(side)),
            "qty": _decimal(qty, 0, pa.decimal128(28, 10)),
            "price": _decimal(price[rows], 4, pa.decimal128(28, 12)),
            "half_unit": pa.repeat(pa.scalar(_HALF_CENT).cast(pa.decimal128(28, 12)), len(rows)),
            "trade_date": days.take(pa.array(day)),
            "settle_date": days.take(pa.array(day + 1)),
            "ccy": pa.repeat("USD", len(rows)),
            "component": pa.repeat("bench", len(rows)),
            "pb": pa.repeat("ALPHA", len(rows)),
            "level": pa.repeat("FILL", len(rows)),
        }
    )


def _decimal(values: NDArray[np.int64], scale: int, kind: pa.DataType) -> pa.Array:
    whole = pa.array(values, pa.int64()).cast(pa.decimal128(19, 0))
    unit = pa.scalar(Decimal(1).scaleb(-scale), pa.decimal128(scale + 1, scale))
    return pc.multiply(whole, unit).cast(kind)
