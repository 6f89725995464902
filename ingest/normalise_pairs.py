"""Currency trades told the other way round: as the inverse pair, at the inverse rate, or in the quoted currency."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.fix.flags import Flag
from ingest.normalise_part import Extract

_FX = pa.array(["FX_SPOT", "FX_FWD", "FX_NDF", "FX_SWAP"])
# Base before quote by the market's convention; a pair of two others is left as it came.
_ORDER = ("XAU", "XAG", "EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "NOK", "SEK", "DKK", "SGD", "HKD", "JPY")
_RANK: Mapping[str, int] = {code: n for n, code in enumerate(_ORDER)}
_PAIR = re.compile(r"([A-Z]{3})[/. ]?([A-Z]{3})")
_OTHER_SIDE = {
    "BUY": "SELL", "SELL": "BUY", "SELL_SHORT": "BUY", "BUY_COVER": "SELL", "SUBSCRIBE": "REDEEM",
    "REDEEM": "SUBSCRIBE",
}  # fmt: skip
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PRICE_PLACES, _QTY_PLACES = Decimal("1e-12"), Decimal("1e-10")
# How near quantity x rate must come to the contra amount to say which currency the quantity is in.
_NEAR = Decimal("0.002")


@dataclass(frozen=True, slots=True)
class Pair:
    """One row's pair in the market's order, and whether the message wrote it the other way round."""

    base: str
    quote: str
    inverted: bool


def read_pairs(extract: Extract, asset: pa.Array) -> Sequence[Pair | None]:
    """The currency pair of each currency trade; an inverse symbol is replaced by the market's."""
    currency = pc.fill_null(pc.is_in(asset, _FX), False)
    if not pc.any(currency).as_py():
        return ()
    symbols = extract.text("symbol").to_pylist()
    found: list[Pair | None] = []
    for row, is_pair in enumerate(currency.to_pylist()):
        match = _PAIR.fullmatch(symbols[row] or "") if is_pair else None
        pair = None
        if match is not None:
            first, second = match.groups()
            inverted = first in _RANK and second in _RANK and _RANK[second] < _RANK[first]
            pair = Pair(second, first, True) if inverted else Pair(first, second, False)
            if inverted:
                symbols[row] = f"{pair.base}/{pair.quote}"
                extract.part.note(int(extract.message[row]), "55", match[0])
        found.append(pair)
    extract.put_text("symbol", pa.array(symbols, pa.string()))
    return found


def turn_pairs(extract: Extract, columns: dict[str, pa.Array], pairs: Sequence[Pair | None]) -> dict[str, pa.Array]:
    """Side, quantity, rate and currency as seen from the base currency, for the rows that were told otherwise.

    A rate is turned round for an inverse pair or PriceType(423) 21; quantity and side where the quantity is in the
    quoted currency: always for an inverse pair, else where CalculatedCcyLastQty(1056) proves it. Quantities come from
    1056, else are computed and rounded.
    """
    names = ("side", "qty", "price", "trade_ccy", "price_type", "gross_money")
    if not any(pairs):
        return {}
    values = {name: columns[name].to_pylist() for name in names}
    contra = extract.decimal("contra_qty", "qty").to_pylist()
    turned = False
    for row, pair in enumerate(pairs):
        qty, price = values["qty"][row], values["price"][row]
        if pair is None or not price or qty is None:
            continue
        by_rate = pair.inverted or values["price_type"][row] == "FX_INVERSE"
        rate = _WIDE.divide(Decimal(1), price) if by_rate else price
        in_quote = pair.inverted or _in_quote(qty, contra[row], rate)
        if not (by_rate or in_quote):
            continue
        turned = True
        message = int(extract.message[row])
        extract.part.mark(extract.message[row : row + 1], Flag.FX_INVERTED)
        extract.part.note(message, "31", f"{price.normalize():f}")
        extract.part.note(message, "32", f"{qty.normalize():f}")
        values["price"][row] = rate.quantize(_PRICE_PLACES, context=_WIDE)
        values["price_type"][row] = "FX_RATE"
        if in_quote:
            values["qty"][row] = contra[row] or _WIDE.divide(qty, rate).quantize(_QTY_PLACES, context=_WIDE)
            values["side"][row] = _OTHER_SIDE.get(values["side"][row], values["side"][row])
            values["trade_ccy"][row] = pair.quote
            values["gross_money"][row] = qty
    if not turned:
        return {}
    kinds = {"qty": TYPES["qty"].arrow, "price": TYPES["price"].arrow, "gross_money": TYPES["money"].arrow}
    return {name: pa.array(values[name], kinds.get(name, pa.string())) for name in names}


def _in_quote(qty: Decimal, contra: Decimal | None, rate: Decimal) -> bool:
    """Whether the contra amount shows that the quantity is in the quoted currency."""
    if not contra:
        return False
    as_base, as_quote = _WIDE.multiply(qty, rate), _WIDE.divide(qty, rate)
    return abs(as_quote - contra) <= _NEAR * contra and abs(as_base - contra) > _NEAR * contra
