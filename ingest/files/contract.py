"""What a row trades, and in which units it says so: asset class, contract terms, quantities and prices of their own."""

from decimal import Decimal
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.files import codes
from ingest.files.aliases import key_of
from ingest.files.sheet import Mask, Sheet, nulls
from ingest.files.times import dates

Columns = dict[str, pa.Array]

_ASSET_WORDS = """
EQUITY: equity equities stock commonstock stk cs ps adr gdr share shares eqty eq
ETF: etf fund
OPTION: option options opt equityoption listedoption
FUTURE: future futures fut
BOND: bond bonds fixedincome corp corporatebond govt treasury ust muni
FX_SPOT: fxspot fx spot cash currency forex
FX_FWD: fxfwd fxforward forward fwd
FX_NDF: fxndf ndf
FX_SWAP: fxswap
CDS: cds creditdefaultswap
IRS: irs interestrateswap
TRS: trs totalreturnswap
CFD: cfd
"""
_DERIVATIVES = pa.array(["OPTION", "FUTURE"])
_KEEP_SIDES = pa.array(["OPTION", "FUTURE", "FX_SPOT", "FX_FWD", "FX_NDF", "FX_SWAP"])
_NOTIONAL = pa.array(["BOND", "CDS", "IRS", "FX_SPOT", "FX_FWD", "FX_NDF", "FX_SWAP"])
_PRICE_TYPES = MappingProxyType(
    {"BOND": "PERCENT_PAR", "FX_SPOT": "FX_RATE", "FX_FWD": "FX_RATE", "FX_NDF": "FX_RATE", "CDS": "POINTS_UPFRONT"}
)
# Factors of (quantity, price) that make face and percent of par.
_BOND_FORMS = MappingProxyType({"PERCENT": (1, 1), "FRACTION": (1, 100), "THOUSANDS": (1000, 1)})
_CLOSE_ENOUGH = (Decimal(1) / 3, Decimal(3))
_TICKS = r"^(?P<s>-?)(?P<w>\d+)-(?P<t>\d{2})(?P<q>[0-9+]?)$"
_EIGHTHS = MappingProxyType({"": 0, "0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "+": 4, "5": 5, "6": 6, "7": 6})
_PUT_CALL = MappingProxyType({"P": "PUT", "PUT": "PUT", "0": "PUT", "C": "CALL", "CALL": "CALL", "1": "CALL"})
_EFFECT = MappingProxyType({"O": "OPEN", "OPEN": "OPEN", "C": "CLOSE", "CLOSE": "CLOSE"})


def read_asset(sheet: Sheet) -> pa.Array:
    """Asset class per row through the file's own codes, else the usual words; a word nobody knows stays as it is."""
    own = sheet.mapping.asset_classes
    words = {word: name for line in _ASSET_WORDS.strip().splitlines() for name, _, rest in [line.partition(":")]
             for word in rest.split()}  # fmt: skip
    return codes.by_unique(
        sheet.cells("asset_class"), lambda text: own.get(text) or words.get(key_of(text)) or text.upper()
    )


def unit_columns(asset: pa.Array) -> Columns:
    """qty_unit and price_type as the asset class has them."""
    derivative, notional = (pc.fill_null(pc.is_in(asset, kinds), False) for kinds in (_DERIVATIVES, _NOTIONAL))
    price = codes.by_unique(pc.fill_null(asset, "?"), lambda text: _PRICE_TYPES.get(text, "PER_UNIT"))
    return {
        "qty_unit": pc.if_else(derivative, "CONTRACTS", pc.if_else(notional, "NOTIONAL", "UNITS")),
        "price_type": price,
    }


def decimal_ticks(sheet: Sheet) -> pa.Array:
    """Price cells, those in 32nds and eighths of one (`110-16+`) as decimals with all their digits."""
    cells = sheet.cells("price")
    if not sheet.mapping.thirty_seconds:
        return cells
    parts = pc.extract_regex(cells, _TICKS)
    ticks: Mask = pc.is_valid(parts).to_numpy(zero_copy_only=False)
    sheet.mark(ticks, "PRICE_32NDS")
    return codes.by_unique(cells, _from_ticks) if ticks.any() else cells


def _from_ticks(text: str) -> str:
    whole, dash, rest = text.partition("-")
    if not (dash and whole.isdecimal() and rest[:2].isdecimal() and len(rest) in (2, 3) and int(rest[:2]) < 32):
        return text
    eighths = _EIGHTHS.get(rest[2:])
    return text if eighths is None else str(int(whole) + Decimal(int(rest[:2]) * 8 + eighths) / 256)


def own_units(sheet: Sheet, found: Columns, scale: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Quantity and price in `found` brought to the asset class's units; returns the digits of the price as shown then.

    Options counted in shares become contracts. A bond's gross amount proves whether its price is a percentage or a
    part of one, and its face whole or in thousands; without a gross amount the usual form is taken.
    """
    _contracts(sheet, found)
    forms = sheet.mapping.bond_forms
    bonds = pc.fill_null(pc.equal(found["asset_class"], "BOND"), False).to_numpy(zero_copy_only=False)
    if not forms or not bonds.any():
        return scale
    scale = scale.copy()
    qty, price = found["qty"].to_pylist(), found["price"].to_pylist()
    gross = found["gross_money"].to_pylist() if "gross_money" in found else [None] * sheet.count
    turned = np.zeros(sheet.count, dtype=bool)
    for row in np.flatnonzero(bonds).tolist():
        form = _form(forms, qty[row], price[row], gross[row])
        if form is None or form == "PERCENT":
            continue
        of_qty, of_price = _BOND_FORMS[form]
        qty[row], price[row] = qty[row] * of_qty, price[row] * of_price
        scale[row] -= 2 if of_price > 1 else 0
        turned[row] = True
    sheet.mark(turned, "UNIT_FROM_GROSS")
    found["qty"], found["price"] = pa.array(qty, TYPES["qty"].arrow), pa.array(price, TYPES["price"].arrow)
    return np.maximum(scale, 0)


def _form(forms: tuple[str, ...], qty: Decimal | None, price: Decimal | None, gross: Decimal | None) -> str | None:
    if qty is None or price is None:
        return None
    if not gross or not qty or not price:
        return forms[0]
    ratios = {form: abs(qty * price * _BOND_FORMS[form][0] * _BOND_FORMS[form][1] / 100 / gross) for form in forms}
    fits = [form for form, ratio in ratios.items() if _CLOSE_ENOUGH[0] < ratio < _CLOSE_ENOUGH[1]]
    return fits[0] if fits else forms[0]


def _contracts(sheet: Sheet, found: Columns) -> None:
    """Quantities of contracts that are written in what they stand for."""
    units = sheet.mapping.quantity_units
    if not units or "multiplier" not in found:
        return
    unit = codes.by_unique(sheet.cells("quantity_unit"), lambda text: units.get(text, "?"))
    sheet.fail(
        pc.fill_null(pc.equal(unit, "?"), False).to_numpy(zero_copy_only=False),
        "enum_unmapped", "quantity_unit", "is no known unit; add it under quantity_units",
    )  # fmt: skip
    shares = pc.and_(pc.equal(unit, "UNITS"), pc.is_in(found["asset_class"], _DERIVATIVES))
    rows = np.flatnonzero(pc.fill_null(shares, False).to_numpy(zero_copy_only=False)).tolist()
    if not rows:
        return
    qty, multiplier = found["qty"].to_pylist(), found["multiplier"].to_pylist()
    odd, turned = np.zeros(sheet.count, dtype=bool), np.zeros(sheet.count, dtype=bool)
    for row in rows:
        if qty[row] is None or not multiplier[row] or multiplier[row] == 1:
            continue
        if qty[row] % multiplier[row]:
            odd[row] = True
        else:
            qty[row], turned[row] = qty[row] / multiplier[row], True
    sheet.fail(odd, "bad_number", "qty", "is no whole number of contracts")
    sheet.mark(turned, "QTY_IN_SHARES")
    found["qty"] = pa.array(qty, TYPES["qty"].arrow)


def read_terms(sheet: Sheet, found: Columns, is_day_first: bool) -> Columns:
    """Expiry, maturity or fixing date by asset class, strike, put or call, coupon, open or close, version."""
    asset = found["asset_class"]
    days, bad = dates(sheet.cells("expiry"), is_day_first, sheet.mapping.date_format == "EXCEL")
    sheet.fail(bad, "bad_date", "expiry", "is not a date Tieout can read")
    none = pa.scalar(None, pa.date32())
    derivative = pc.fill_null(pc.is_in(asset, _DERIVATIVES), False)
    fixing = pc.fill_null(pc.equal(asset, "FX_NDF"), False)
    coupon = found.pop("coupon", pa.nulls(sheet.count, TYPES["rate"].arrow))
    if sheet.mapping.coupon_percent:
        coupon = pa.array([None if c is None else c / 100 for c in coupon.to_pylist()], TYPES["rate"].arrow)
    return {
        "expiry": pc.if_else(derivative, days, none),
        "fixing_date": pc.if_else(fixing, days, none),
        "maturity": pc.if_else(pc.or_(derivative, fixing), none, days),
        "strike": found.get("strike", pa.nulls(sheet.count, TYPES["price"].arrow)),
        "put_call": codes.by_unique(sheet.cells("put_call"), lambda text: _PUT_CALL.get(text.upper())),
        "coupon": coupon,
        "position_effect": codes.by_unique(sheet.cells("position_effect"), lambda text: _EFFECT.get(text.upper())),
    }


def by_open_close(sheet: Sheet, side: pa.Array, effect: pa.Array, asset: pa.Array) -> pa.Array:
    """A purchase that closes covers; where the file says so a sale that opens is short.

    Contracts and currencies keep their sides.
    """
    contracts = pc.fill_null(pc.is_in(asset, _KEEP_SIDES), False)
    stated = pc.and_(pc.invert(contracts), pc.is_valid(effect))
    covers = pc.and_(stated, pc.and_(pc.equal(side, "BUY"), pc.equal(effect, "CLOSE")))
    side = pc.if_else(pc.fill_null(covers, False), "BUY_COVER", side)
    if not sheet.mapping.open_close_sides:
        return side
    short = pc.and_(stated, pc.and_(pc.equal(side, "SELL"), pc.equal(effect, "OPEN")))
    return pc.if_else(pc.fill_null(short, False), "SELL_SHORT", side)


def contract_evidence(found: Columns) -> pa.Array:
    """Expiry, put or call and strike as they are appended to a symbol: one root names many contracts."""
    strikes = [None if s is None else f"{s.normalize():f}" for s in found["strike"].to_pylist()]
    put_call = pc.utf8_slice_codeunits(found["put_call"], 0, 1)
    parts: list[pa.Array] = [found["expiry"].cast(pa.string()), put_call, pa.array(strikes, pa.string())]
    told = [pc.if_else(nulls_mask(part), "", pc.binary_join_element_wise("", part, ":")) for part in parts]
    return pc.binary_join_element_wise(*told, "")


def nulls_mask(values: pa.Array) -> pa.Array:
    """Where a column is null, as an Arrow mask."""
    return pa.array(nulls(values))
