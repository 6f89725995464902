"""Currency trades told the other way round: as the inverse pair, at the inverse rate, or in the quoted currency."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.pairs import roundest
from ingest.fix.flags import Flag
from ingest.normalise_part import Extract

_FX = pa.array(["FX_SPOT", "FX_FWD", "FX_NDF", "FX_SWAP"])
# Base before quote by the market's convention; a pair of two others is left as it came.
_ORDER = ("XAU", "XAG", "EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "NOK", "SEK", "DKK", "SGD", "HKD", "JPY")
_RANK: Mapping[str, int] = {code: n for n, code in enumerate(_ORDER)}
_PAIR = re.compile(r"([A-Z]{3})[/. ]?([A-Z]{3})")
_TOLD = ("side", "qty", "price", "price_type", "price_scale", "gross_money", "trade_ccy", "settle_ccy")
_OTHER_SIDE = {
    "BUY": "SELL", "SELL": "BUY", "SELL_SHORT": "BUY", "BUY_COVER": "SELL", "SUBSCRIBE": "REDEEM",
    "REDEEM": "SUBSCRIBE",
}  # fmt: skip
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PRICE_PLACES, _CENTS = Decimal("1e-12"), Decimal("0.01")
# How near quantity x rate must come to the contra amount to say which currency the quantity is in.
_NEAR = Decimal("0.002")


@dataclass(frozen=True, slots=True)
class Pair:
    """One row's pair in the market's order, and whether the message wrote it the other way round."""

    base: str
    quote: str
    inverted: bool


def read_pairs(extract: Extract, asset: pa.Array) -> Mapping[int, Pair]:
    """The currency pair of each currency trade by row; an inverse symbol is replaced by the market's."""
    rows = np.flatnonzero(pc.fill_null(pc.is_in(asset, _FX), False).to_numpy(zero_copy_only=False))
    symbols = extract.text("symbol")
    found: dict[int, Pair] = {}
    turned: dict[int, str] = {}
    for row, symbol in zip(rows.tolist(), symbols.take(pa.array(rows)).to_pylist(), strict=True):
        match = _PAIR.fullmatch(symbol or "")
        if match is None:
            continue
        first, second = match.groups()
        inverted = first in _RANK and second in _RANK and _RANK[second] < _RANK[first]
        found[row] = Pair(second, first, True) if inverted else Pair(first, second, False)
        if inverted:
            turned[row] = f"{second}/{first}"
            extract.part.note(int(extract.message[row]), "55", match[0])
    if turned:
        extract.put_text("symbol", _replaced(symbols, turned))
    return found


def turn_pairs(extract: Extract, columns: dict[str, pa.Array], pairs: Mapping[int, Pair]) -> dict[str, pa.Array]:
    """Side, quantity, rate and currency as seen from the base currency, for the rows that were told otherwise.

    A rate is turned round for an inverse pair or PriceType(423) 21; quantity and side where the quantity is in the
    quoted currency: always for an inverse pair, else where CalculatedCcyLastQty(1056) proves it. Quantities come from
    1056, else from GrossTradeAmt(381), else are computed: the roundest amount the digits of the rate allow. A
    Currency(15) that named what was dealt then names the base currency, and the trade settles in the quoted one.
    """
    if not pairs:
        return {}
    contra = extract.decimal("contra_qty", "qty")
    inverse = pc.fill_null(pc.equal(columns["price_type"], "FX_INVERSE"), False)
    doubtful = pc.or_(pc.is_valid(contra), inverse).to_numpy(zero_copy_only=False)
    rows = [row for row, pair in pairs.items() if pair.inverted or doubtful[row]]
    names = ("side", "qty", "price", "trade_ccy", "settle_ccy", "price_type", "gross_money")
    changed: dict[str, dict[int, object]] = {name: {} for name in names}
    for row in rows:
        told = {name: columns[name][row].as_py() for name in _TOLD}
        for name, value in _turned(extract, row, pairs[row], told, contra[row].as_py()).items():
            changed[name][row] = value
    return {name: _replaced(columns[name], values) for name, values in changed.items() if values}


def _turned(
    extract: Extract, row: int, pair: Pair, told: Mapping[str, Any], contra: Decimal | None
) -> dict[str, object]:
    """What changes of one row; nothing where it is told from the base currency already."""
    qty, price = told["qty"], told["price"]
    if not price or qty is None:
        return {}
    by_rate = pair.inverted or told["price_type"] == "FX_INVERSE"
    rate = _WIDE.divide(Decimal(1), price) if by_rate else price
    in_quote = pair.inverted or _in_quote(qty, contra, rate)
    if not (by_rate or in_quote):
        return {}
    message = int(extract.message[row])
    extract.part.mark(extract.message[row : row + 1], Flag.FX_INVERTED)
    extract.part.note(message, "31", f"{price.normalize():f}")
    extract.part.note(message, "32", f"{qty.normalize():f}")
    found: dict[str, object] = {"price": rate.quantize(_PRICE_PLACES, context=_WIDE), "price_type": "FX_RATE"}
    if in_quote:
        based = contra or _base_amount(qty, price, told)
        side = _OTHER_SIDE.get(told["side"], told["side"])
        dealt = pair.base if told["trade_ccy"] == pair.quote else pair.quote
        found |= {"qty": based, "side": side, "trade_ccy": dealt, "gross_money": qty}
        if told["settle_ccy"] == pair.base and dealt == pair.base:
            found["settle_ccy"] = pair.quote
    return found


def _base_amount(qty: Decimal, price: Decimal, told: Mapping[str, Any]) -> Decimal:
    """What `qty` of the quoted currency is in the base, at a `price` told the other way round and rounded as shown."""
    half = Decimal(1).scaleb(-int(told["price_scale"] or 0)) / 2
    low, high = _WIDE.multiply(qty, price - half), _WIDE.multiply(qty, price + half)
    gross: Decimal | None = told["gross_money"]
    if gross and low <= gross <= high and gross == gross.quantize(_CENTS, context=_WIDE):
        return gross
    return roundest(low, high, _WIDE.multiply(qty, price))


def _replaced(column: pa.Array, values: Mapping[int, object]) -> pa.Array:
    """The column with other values at some rows."""
    mask = np.zeros(len(column), dtype=np.bool_)
    mask[list(values)] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.array([values[n] for n in sorted(values)], column.type))


def _in_quote(qty: Decimal, contra: Decimal | None, rate: Decimal) -> bool:
    """Whether the contra amount shows that the quantity is in the quoted currency."""
    if not contra:
        return False
    as_base, as_quote = _WIDE.multiply(qty, rate), _WIDE.divide(qty, rate)
    return abs(as_quote - contra) <= _NEAR * contra and abs(as_base - contra) > _NEAR * contra
