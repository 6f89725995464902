"""Amounts of a trade, all exact: quantity, price, gross, commission, net; minor currency units folded into major."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.fix.flags import Flag
from ingest.fix.values import scales
from ingest.normalise_instrument import fill_multiplier
from ingest.normalise_part import Extract, nulls_of
from ingest.normalise_reference import Terms
from ingest.normalise_units import (
    converted_price_type,
    counted_in_units,
    fill_mode,
    minor_prices,
    price_column,
    signed_sides,
)
from ingest.quarantine import BAD_QUANTITY

_QTY, _MONEY = TYPES["qty"].arrow, TYPES["money"].arrow
_CENT = Decimal("0.01")
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_BUY_SIDES = pa.array(["BUY", "BUY_COVER", "SUBSCRIBE", "BORROW"])
_PRICED = pa.array(["PER_UNIT", "FX_RATE", "PERCENT_PAR"])


def money_columns(extract: Extract, columns: dict[str, pa.Array], terms: Sequence[Terms | None]) -> dict[str, pa.Array]:
    """side, qty, price, price_scale, multiplier, currencies, fx_rate, the money columns; problems go to the messages.

    `columns` has side, price_type, asset_class; `terms` is what the security master says of each row's instrument.
    """
    minor, trade_ccy = _currency(extract, "trade_ccy", default=extract.part.dialect.default_ccy)
    settle_minor, settle_ccy = _currency(extract, "settle_ccy", default=None)
    side, price_type = columns["side"], columns["price_type"]
    stated = fill_multiplier(extract, extract.decimal("multiplier", "qty"), terms)
    qty, price, scale, side = _qty_and_price(extract, side, columns["asset_class"], stated)
    multiplier = pc.fill_null(stated, pa.scalar(Decimal(1), _QTY))
    price_type = converted_price_type(extract, price_type, columns["asset_class"])
    priced = pc.is_in(price_type, _PRICED)
    percent = pc.equal(price_type, "PERCENT_PAR")
    price_minor = pc.or_(minor, minor_prices(extract, trade_ccy, terms))
    price = _cents(extract, "price", price, price_minor)
    scale = pc.if_else(price_minor, pc.add(scale, 2), scale)
    extract.part.mark(extract.message[price_minor.to_numpy(zero_copy_only=False)], Flag.MINOR_UNIT)
    computed = gross_money(qty, price, multiplier, percent)
    computed = pc.if_else(pc.fill_null(priced, False), computed, pa.scalar(None, _MONEY))
    gross = pc.coalesce(_cents(extract, "gross_money", extract.decimal("gross_money", "money"), minor), computed)
    accrued = extract.decimal("accrued_interest", "money")
    # No settlement currency means the trade currency, and so its unit.
    settle_minor = pc.if_else(pc.is_null(settle_ccy), minor, settle_minor)
    net = _cents(extract, "net_money", extract.decimal("net_money", "money"), settle_minor)
    buying = pc.and_(pc.fill_null(pc.is_in(side, _BUY_SIDES), False), pc.fill_null(pc.greater(net, _zero()), False))
    extract.require("trade_ccy", nulls_of(trade_ccy), "default_ccy")
    return {
        "side": side,
        "price_type": price_type,
        "qty": qty,
        "price": price,
        "price_scale": scale,
        "multiplier": multiplier,
        "trade_ccy": trade_ccy,
        "settle_ccy": pc.coalesce(settle_ccy, trade_ccy),
        "fx_rate": extract.decimal("fx_rate", "rate"),
        "gross_money": gross,
        "accrued_interest": _cents(extract, "accrued_interest", accrued, minor),
        "commission": _commission(extract, qty, computed, minor),
        "net_money": pc.if_else(buying, pc.negate(net), net).cast(_MONEY),
    }


def _zero() -> pa.Scalar:
    return pa.scalar(Decimal(0), _MONEY)


def _currency(extract: Extract, name: str, default: str | None) -> tuple[pa.Array, pa.Array]:
    """Whether the currency is a minor unit (GBX), and the major currency it belongs to."""
    code = extract.text(name)
    if default is not None:
        code = pc.fill_null(code, default)
    folds = extract.part.dialect.minor_units
    encoded = code.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    minor = pa.array([c in folds for c in known], pa.bool_()).take(encoded.indices)
    major = pa.array([folds.get(c, c) for c in known], pa.string()).take(encoded.indices)
    return pc.fill_null(minor, False), major


def _cents(extract: Extract, name: str, column: pa.Array, minor: pa.Array) -> pa.Array:
    """Hundredths where the unit was minor; a value that cannot be divided exactly is a problem of its message."""
    if not pc.any(minor).as_py():
        return column
    kind = column.type
    folded = pc.multiply(column.cast(pa.decimal256(28, kind.scale)), pa.scalar(_CENT, pa.decimal256(3, 2)))
    result = pc.if_else(minor, folded, column.cast(folded.type))
    try:
        return result.cast(kind)
    except pa.ArrowInvalid:
        half = Decimal(1).scaleb(-kind.scale)
        fits = [v is None or v == v.quantize(half, context=_WIDE) for v in result.to_pylist()]
        extract.refuse(name, ~np.array(fits, dtype=np.bool_))
        return pc.if_else(pa.array(fits), result, pa.scalar(None, result.type)).cast(kind)


def _qty_and_price(
    extract: Extract, side: pa.Array, asset: pa.Array, multiplier: pa.Array
) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    qty, (price, shown) = extract.decimal("qty", "qty"), price_column(extract, asset)
    qty, price, shown = fill_mode(extract, qty, price, shown)
    scale = scales(shown)
    side = signed_sides(extract, qty, side)
    cancels = pc.equal(extract.status, "CANCEL")
    bare = pc.and_(cancels, pc.or_(pc.is_null(qty), pc.is_null(price)))
    qty, price = (
        pc.if_else(bare, pc.fill_null(column, pa.scalar(Decimal(0), column.type)), column) for column in (qty, price)
    )
    bare_messages = extract.message[bare.to_numpy(zero_copy_only=False)]
    extract.part.mark(bare_messages, Flag.NO_ECONOMICS)
    extract.require("qty", nulls_of(qty))
    extract.require("price", nulls_of(price))
    if extract.part.dialect.qty_sign != "unsigned":
        qty = pc.abs(qty).cast(_QTY)
    not_positive = pc.and_(pc.less_equal(qty, pa.scalar(Decimal(0), _QTY)), pc.invert(cancels))
    wrong = pc.fill_null(not_positive, False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(wrong).tolist():
        detail = f"{extract.label('qty')} is {qty[row].as_py().normalize():f}; a trade needs a positive quantity."
        extract.part.problems.add(int(extract.message[row]), BAD_QUANTITY, detail)
    return counted_in_units(extract, qty, asset, multiplier), price, scale, side


def gross_money(qty: pa.Array, price: pa.Array, multiplier: pa.Array, percent: pa.Array) -> pa.Array:
    """qty x price x multiplier (/ 100 for a percentage of par), rounded once, half to even, to six places.

    A product too large for the money type is null.
    """
    percent = pc.fill_null(percent, False)
    other = pc.or_(percent, pc.fill_null(pc.not_equal(multiplier, pa.scalar(Decimal(1), _QTY)), True))
    found = _product(qty, price)
    if found is None:
        return _one_by_one(qty, price, multiplier, percent)
    if not pc.any(other).as_py():
        return found
    parts = [column.filter(other) for column in (qty, price, multiplier, percent)]
    scaled = _scaled_product(*parts)
    return pc.replace_with_mask(found, other, _one_by_one(*parts) if scaled is None else scaled)


def _one_by_one(qty: pa.Array, price: pa.Array, multiplier: pa.Array, percent: pa.Array) -> pa.Array:
    rows = zip(qty.to_pylist(), price.to_pylist(), multiplier.to_pylist(), percent.to_pylist(), strict=True)
    values = [
        None
        if q is None or p is None
        else rounded(_WIDE.multiply(_WIDE.multiply(q, p), _WIDE.multiply(m, _CENT) if hundredth else m))
        for q, p, m, hundredth in rows
    ]
    return pa.array(values, _MONEY)


def _scaled_product(qty: pa.Array, price: pa.Array, multiplier: pa.Array, percent: pa.Array) -> pa.Array | None:
    """None where a value has more digits than the exact product has room for."""
    try:
        plain = pc.multiply(qty.cast(pa.decimal128(18, 4)), price.cast(pa.decimal128(19, 8)))
        part = pc.if_else(percent, pa.scalar(_CENT, pa.decimal128(3, 2)), pa.scalar(Decimal(1), pa.decimal128(3, 2)))
        factor = pc.multiply(multiplier.cast(pa.decimal128(14, 4)), part)
        whole = pc.multiply(plain.cast(pa.decimal256(38, 12)), factor.cast(pa.decimal256(18, 6)))
        return pc.round(whole, 6, "half_to_even").cast(_MONEY)
    except pa.ArrowInvalid:
        return None


def _product(left: pa.Array, right: pa.Array) -> pa.Array | None:
    try:
        small = pc.multiply(left.cast(pa.decimal128(18, 4)), right.cast(pa.decimal128(19, 8)))
    except pa.ArrowInvalid:
        small = pc.multiply(left.cast(pa.decimal256(28, 10)), right.cast(pa.decimal256(28, 12)))
    try:
        return pc.round(small, 6, "half_to_even").cast(_MONEY)
    except pa.ArrowInvalid:
        return None


def rounded(value: Decimal) -> Decimal | None:
    """Half-even to six places, None when the money type cannot hold it."""
    result = value.quantize(Decimal("0.000001"), rounding=ROUND_HALF_EVEN, context=_WIDE)
    return result if result.adjusted() < _MONEY.precision - _MONEY.scale else None


def _commission(extract: Extract, qty: pa.Array, gross: pa.Array, minor: pa.Array) -> pa.Array:
    """Commission(12) as an amount: CommType(13) 1 per unit, 2 percent of gross, 3 or absent already an amount."""
    if not extract.has("commission"):
        return pa.nulls(len(extract), _MONEY)
    kind = extract.text("commission_type")
    if not pc.any(pc.is_in(kind, pa.array(["1", "2"]))).as_py():
        return _cents(extract, "commission", extract.decimal("commission", "money"), minor)
    rates = extract.decimal("commission", "price").to_pylist()
    amounts: list[Decimal | None] = []
    for rate, basis, units, value in zip(rates, kind.to_pylist(), qty.to_pylist(), gross.to_pylist(), strict=True):
        if rate is None or (basis == "1" and units is None) or (basis == "2" and value is None):
            amounts.append(None)
            continue
        of = units if basis == "1" else _WIDE.multiply(value, _CENT) if basis == "2" else Decimal(1)
        amounts.append(rounded(_WIDE.multiply(rate, of)))
    return _cents(extract, "commission", pa.array(amounts, _MONEY), minor)
