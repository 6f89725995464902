"""Units a dialect speaks in: fractions and pence, thousands and underlyings, signs, totals instead of fills."""

import re
from collections.abc import Sequence
from decimal import Context, Decimal, Inexact

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.fix.flags import Flag
from ingest.fix.values import decimals
from ingest.normalise_part import Extract
from ingest.normalise_reference import Terms
from ingest.quarantine import BAD_QUANTITY, NOT_EXACT

_QTY, _PRICE = TYPES["qty"].arrow, TYPES["price"].arrow
_FRACTION = re.compile(r"([0-9]+)[-']([0-9]{2})([0-9+])?")
_BASES = {"32nds": 32, "64ths": 64}
_BASE_OF_TYPE = {"17": 32, "18": 64}  # PriceType(423): product ticks in thirty-seconds, in sixty-fourths
# The digit after the 32nds counts eighths; 5 and 7 are also written for a half and three quarters, so they say nothing.
_EIGHTHS = {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "6": 6, "+": 4, None: 0}
_EXACT = Context(prec=60, traps=[Inexact])
_SCALE = {"hundreds": Decimal(100), "thousands": Decimal(1000)}
# What a record of an order's total keeps in `ext`, by tag: its report's own id, last price, total and average as sent.
EXEC_ID, LAST_PRICE, CUMULATED, AVERAGE = "17", "31", "14", "6"
_BUYS = pa.array(["BUY", "BUY_COVER", "SUBSCRIBE", "BORROW"])


def price_column(extract: Extract, asset: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The price, and its text for the digits shown: `99-16+` becomes 99.515625 where 32nds are spoken of.

    They are where the dialect says so or PriceType(423) is 17 or 18; anywhere else the text is no number.
    """
    text = extract.text("price")
    fractions = pc.fill_null(pc.match_substring_regex(text, "[0-9][-'][0-9]"), False)
    if not pc.any(fractions).as_py():
        return extract.decimal("price", "price"), text
    kinds, own = extract.text("price_type").to_pylist(), _BASES.get(extract.part.dialect.price_fraction)
    values = text.to_pylist()
    for row in np.flatnonzero(fractions.to_numpy(zero_copy_only=False)).tolist():
        base = _BASE_OF_TYPE.get(kinds[row] or "", own)
        found = from_fraction(values[row], base) if base else None
        if found is not None:
            extract.part.note(int(extract.message[row]), "31", values[row])
            extract.part.mark(extract.message[row : row + 1], Flag.PRICE_FORM)
            values[row] = found
    shown = pa.array(values, pa.string())
    column, refused = decimals(shown, _PRICE)
    extract.refuse("price", refused)
    return column, shown


def from_fraction(text: str, base: int) -> str | None:
    """`99-16+` in 32nds as a decimal text, exact; None for anything that is no such price or could mean two."""
    match = _FRACTION.fullmatch(text.strip())
    if match is None or int(match[2]) >= base or match[3] not in _EIGHTHS:
        return None
    parts = Decimal(int(match[2]) * 8 + _EIGHTHS[match[3]])
    return f"{_EXACT.add(Decimal(match[1]), _EXACT.divide(parts, Decimal(base * 8))):f}"


def converted_price_type(extract: Extract, price_type: pa.Array, asset: pa.Array) -> pa.Array:
    """What a price in ticks is once it was read as a decimal: percent of par for a bond, else per unit."""
    ticks = pc.equal(price_type, "TICKS")
    if not pc.any(ticks).as_py():
        return price_type
    converted = pa.array((extract.part.index.flags[extract.message] & Flag.PRICE_FORM) > 0)
    plain = pc.if_else(pc.fill_null(pc.equal(asset, "BOND"), False), "PERCENT_PAR", "PER_UNIT")
    return pc.if_else(pc.and_(pc.fill_null(ticks, False), converted), plain, price_type)


def minor_prices(extract: Extract, ccy: pa.Array, terms: Sequence[Terms | None]) -> pa.Array:
    """Whether a price is in pence, cents or agorot though the currency is the major one: dialect or security master.

    Only where the currency has such a unit: a price per 100 of anything else is none.
    """
    dialect = extract.part.dialect
    nothing = pa.array(np.zeros(len(extract), dtype=np.bool_))
    if dialect.price_unit == "major" and not dialect.price_units:
        return nothing
    # GBX and the like were folded with the currency already.
    folded = pc.fill_null(pc.is_in(extract.text("trade_ccy"), pa.array(sorted(dialect.minor_units))), False)
    foldable = pc.fill_null(pc.is_in(ccy, pa.array(sorted(set(dialect.minor_units.values())))), False)
    minor = pc.or_(nothing, dialect.price_unit == "minor")
    if dialect.price_unit == "instrument":
        minor = pa.array([one is not None and one.price_unit == "MINOR" for one in terms], pa.bool_())
    for column in (ccy, extract.text("venue_mic")):
        for name, unit in dialect.price_units.items():
            minor = pc.if_else(pc.fill_null(pc.equal(column, name), False), unit == "minor", minor)
    return pc.and_(pc.and_(minor, foldable), pc.invert(folded))


def signed_sides(extract: Extract, qty: pa.Array, side: pa.Array) -> pa.Array:
    """The side where quantities carry a sign: a negative buy is what the dialect says, or refused."""
    dialect = extract.part.dialect
    if dialect.qty_sign == "unsigned":
        return side
    negative = pc.fill_null(pc.less(qty, pa.scalar(Decimal(0), _QTY)), False)
    extract.part.mark(extract.message[negative.to_numpy(zero_copy_only=False)], Flag.SIGNED_QTY)
    buys = pc.and_(negative, pc.fill_null(pc.is_in(side, _BUYS), False))
    if dialect.negative_buy == "sell":
        return pc.if_else(buys, "SELL", side)
    if dialect.negative_buy == "cancel":
        extract.status = pc.if_else(buys, "CANCEL", extract.status)
        return side
    for row in np.flatnonzero(buys.to_numpy(zero_copy_only=False)).tolist():
        shown = f"{qty[row].as_py().normalize():f}"
        detail = f"A buy of {shown}: a cancel or a sell? Set negative_buy in dialect {dialect.name}."
        extract.part.problems.add(int(extract.message[row]), BAD_QUANTITY, detail)
    return side


def counted_in_units(extract: Extract, qty: pa.Array, asset: pa.Array, multiplier: pa.Array) -> pa.Array:
    """Quantities in single units or contracts, where the dialect counts hundreds, thousands or the underlying."""
    units = extract.part.dialect.qty_unit
    if not units or not len(extract):
        return qty
    values, assets, sizes = qty.to_pylist(), asset.to_pylist(), multiplier.to_pylist()
    for row, value in enumerate(values):
        unit = units.get(assets[row] or "", units.get("*", "units"))
        if unit == "units" or value is None:
            continue
        message = int(extract.message[row])
        try:
            values[row] = _EXACT.multiply(value, _SCALE[unit]) if unit in _SCALE else _contracts(value, sizes[row])
        except (Inexact, ValueError) as error:
            told = f"{extract.label('qty')} {value.normalize():f} in {unit}: {error or 'no whole number'}."
            extract.part.problems.add(message, NOT_EXACT, told)
            continue
        extract.part.mark(extract.message[row : row + 1], Flag.QTY_UNIT)
        extract.part.note(message, "32", f"{value.normalize():f}")
    return pa.array(values, _QTY)


def _contracts(units: Decimal, size: Decimal | None) -> Decimal:
    if not size:
        raise ValueError("no contract size in the message or the security master")
    found = units / size
    if found != found.to_integral_value():
        raise ValueError(f"no whole number of contracts of {size.normalize():f}")
    return found


def fill_mode(extract: Extract, qty: pa.Array, price: pa.Array, shown: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Quantity, price and the price's text of reports that tell totals: CumQty(14) and AvgPx(6) of the order so far.

    Such a report replaces the order's earlier ones: the record is the order's, its version the quantity so far. What
    `ingest.increments` needs to tell the fills apart is noted: the report's own id, last and average price as sent.
    """
    mode = extract.part.dialect.fill_mode
    if mode == "incremental" or extract.family.name != "EXECUTION":
        return qty, price, shown
    total, average = extract.decimal("cum_qty", "qty"), extract.decimal("avg_price", "price")
    extract.part.mark(extract.message, Flag.CUMULATIVE)
    kept = ((EXEC_ID, "trade_uid"), (LAST_PRICE, "price"), (CUMULATED, "cum_qty"), (AVERAGE, "avg_price"))
    for tag, name in kept:
        for message, told in zip(extract.message.tolist(), extract.text(name).to_pylist(), strict=True):
            if told is not None:
                extract.part.note(message, tag, told)
    return pc.coalesce(total, qty), pc.coalesce(average, price), pc.coalesce(extract.text("avg_price"), shown)


def order_ids(extract: Extract, uid: pa.Array, qty: pa.Array) -> tuple[pa.Array, pa.Array] | None:
    """Identity and version of records that tell an order's total; None where each report is a fill of its own."""
    if extract.part.dialect.fill_mode == "incremental" or extract.family.name != "EXECUTION":
        return None
    whole = [int(value) if value is not None else 1 for value in qty.to_pylist()]
    return pc.coalesce(extract.text("order_id"), uid), pa.array(whole, pa.int64())
