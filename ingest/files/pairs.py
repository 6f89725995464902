"""Currency trades as the market quotes them: the pair in its usual order, dealt in its first currency."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.files.sheet import Sheet

Columns = dict[str, pa.Array]

# A pair is quoted with the currency first that stands earlier here; all others come after these.
ORDER = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY")
_PAIR = re.compile(r"^([A-Z]{3})[./ -]?([A-Z]{3})(?![A-Z])")
_FX = pa.array(["FX_SPOT", "FX_FWD", "FX_NDF", "FX_SWAP"])
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_OTHER_SIDE = {"BUY": "SELL", "SELL": "BUY"}
_MOST_DIGITS = 10
_WITHOUT_CENTS = ("JPY", "KRW", "CLP", "VND")
_HALF_CENT, _WHOLE = Decimal("0.005"), Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Deal:
    """One currency trade: `qty` of `dealt`, at `price` units of `second` for one of `first`."""

    first: str
    second: str
    dealt: str
    side: str
    qty: Decimal
    price: Decimal
    scale: int


def pair_of(symbol: str) -> tuple[str, str] | None:
    """The two currencies a symbol names (`EUR/USD`, `USD.CAD 20270322`), in its order; None when it names none."""
    found = _PAIR.match(symbol.upper())
    return (found.group(1), found.group(2)) if found else None


def is_usual(first: str, second: str) -> bool:
    """Whether the market quotes the pair in this order."""
    return _rank(first) <= _rank(second)


def as_market(deal: Deal) -> Deal:
    """The same trade in the usual pair and dealt in its first currency.

    Turning multiplies or divides by a rounded price, so the result is known to a few digits only: of all amounts the
    shown digits allow, the roundest is taken.
    """
    half = Decimal(1).scaleb(-deal.scale) / 2
    low, high = deal.price - half, deal.price + half
    first, second, price, scale = deal.first, deal.second, deal.price, deal.scale
    if not is_usual(first, second):
        first, second = second, first
        price = roundest(_WIDE.divide(Decimal(1), high), _WIDE.divide(Decimal(1), low), _WIDE.divide(Decimal(1), price))
        scale = max(0, -int(price.normalize().as_tuple().exponent))
    if deal.dealt == first:
        return Deal(first, second, first, deal.side, deal.qty, price, scale)
    # Dealt in the other currency: its amount in the first one, seen from the other side.
    turn = _WIDE.multiply if first != deal.first else _WIDE.divide
    cent = _WHOLE if deal.dealt in _WITHOUT_CENTS else _HALF_CENT
    ends = [turn(qty, rate) for qty in (deal.qty - cent, deal.qty + cent) for rate in (low, high)]
    qty = roundest(min(ends), max(ends), turn(deal.qty, deal.price))
    return Deal(first, second, first, _OTHER_SIDE.get(deal.side, deal.side), qty, price, scale)


def roundest(low: Decimal, high: Decimal, best: Decimal) -> Decimal:
    """The number of fewest digits after the point between `low` and `high`, nearest to `best`."""
    for digits in range(_MOST_DIGITS):
        rounded = best.quantize(Decimal(1).scaleb(-digits), context=_WIDE)
        if low <= rounded <= high and rounded:
            return rounded
    return best.quantize(Decimal(1).scaleb(-_MOST_DIGITS), context=_WIDE)


def turn_pairs(sheet: Sheet, found: Columns) -> None:
    """Side, quantity, price and currencies of currency trades in `found`, as the market quotes the pair."""
    if not sheet.mapping.fx_pairs:
        return
    rows = np.flatnonzero(pc.fill_null(pc.is_in(found["asset_class"], _FX), False).to_numpy(zero_copy_only=False))
    if not len(rows):
        return
    names = ("symbol", "side", "qty", "price", "price_scale", "trade_ccy", "settle_ccy")
    inverted, contra = np.zeros(sheet.count, dtype=bool), np.zeros(sheet.count, dtype=bool)
    columns: dict[str, list[object]] = {}
    for row in rows.tolist():
        deal = _deal({name: found[name][row].as_py() for name in names})
        told = as_market(deal) if deal is not None else None
        if deal is None or told is None or (told.first, told.dealt) == (deal.first, deal.dealt):
            continue
        columns = columns or {name: found[name].to_pylist() for name in names}
        inverted[row], contra[row] = told.first != deal.first, told.dealt != deal.dealt
        columns["side"][row], columns["qty"][row], columns["price"][row] = told.side, told.qty, told.price
        columns["price_scale"][row], columns["trade_ccy"][row] = told.scale, told.first
        if columns["settle_ccy"][row] == deal.dealt:
            columns["settle_ccy"][row] = told.second
    sheet.mark(inverted, "FX_INVERTED")
    sheet.mark(contra, "FX_CONTRA_AMOUNT")
    types = {"qty": TYPES["qty"].arrow, "price": TYPES["price"].arrow, "price_scale": pa.int64()}
    for name in names[1:] if columns else ():
        found[name] = pa.array(columns[name], types.get(name, pa.string()))


def _deal(cells: dict[str, object]) -> Deal | None:
    """A row as a deal, None where something of it is missing or says another thing."""
    symbol, side, qty, price = cells["symbol"], cells["side"], cells["qty"], cells["price"]
    scale, dealt = cells["price_scale"], cells["trade_ccy"]
    pair = pair_of(symbol) if isinstance(symbol, str) else None
    if pair is None or dealt not in pair or not (isinstance(qty, Decimal) and isinstance(price, Decimal) and price > 0):
        return None
    return Deal(*pair, str(dealt), str(side), qty, price, int(str(scale)))


def _rank(currency: str) -> int:
    order: Sequence[str] = ORDER
    return order.index(currency) if currency in order else len(order)
