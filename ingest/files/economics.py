"""The economics of a sheet as canonical columns: side and status, exact quantities and money, dates, identifiers."""

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.files import codes
from ingest.files.contract import decimal_ticks
from ingest.files.numbers import Cleaned, decimal_mark, numbers
from ingest.files.sheet import Mask, Sheet, is_empty, nulls
from ingest.files.times import Times, dates, day_first, from_epoch, times

Columns = dict[str, pa.Array]

_NUMBERS: Mapping[str, str] = {
    "qty": "qty", "price": "price", "multiplier": "qty", "commission": "money", "net_money": "money",
    "gross_money": "money", "accrued_interest": "money", "fx_rate": "rate", "strike": "price", "coupon": "rate",
}  # fmt: skip
_CHECKED = {"isin": codes.isin, "cusip": codes.cusip, "sedol": codes.sedol, "figi": codes.figi}
_BUYS = {"BUY", "BUY_COVER"}


def read_numbers(sheet: Sheet, file: str) -> tuple[Columns, Cleaned]:
    """Quantity, price and money as exact decimals, and the price as it was shown (for its digits)."""
    given = [name for name in _NUMBERS if sheet.has(name)]
    mark = sheet.mapping.decimal or decimal_mark([sheet.cells(name) for name in given], file)
    if mark == "," and not sheet.mapping.decimal:
        sheet.notes.append("numbers are written with a decimal comma")
    found: Columns = {}
    price: Cleaned | None = None
    for name in given:
        cells = decimal_ticks(sheet) if name == "price" else sheet.cells(name)
        cleaned = numbers(cells, TYPES[_NUMBERS[name]].arrow, mark)
        sheet.fail(cleaned.bad, "bad_number", name, "is not a number Tieout can hold exactly")
        found[name] = cleaned.values
        price = cleaned if name == "price" else price
    for name in ("qty", "price"):
        sheet.fail_empty(name, nulls(found[name]))
    if price is None:
        raise AssertionError("resolve() guarantees a price column")
    return found, price


def read_sides(sheet: Sheet, numbers_of: Columns) -> Columns:
    """Side and status; the quantity becomes positive. BUY with a negative quantity is read as the map says."""
    mapping = sheet.mapping
    cells = sheet.cells("side")
    side = codes.by_unique(cells, lambda text: codes.side_of(text, mapping.sides).side)
    cancel = codes.by_unique(cells, lambda text: "CANCEL" if codes.side_of(text, mapping.sides).is_cancel else None)
    other = mapping.other_statuses or None
    status = codes.by_unique(sheet.cells("status"), lambda text: codes.status_of(text, mapping.statuses) or other)
    status = pc.if_else(pc.equal(sheet.cells("status"), ""), "NEW", status)
    sheet.fail(nulls(status), "status_unmapped", "status", "is not a known status; add it under statuses in the map")
    zero = pa.scalar(Decimal(0), numbers_of["qty"].type)
    negative = pc.fill_null(pc.less(numbers_of["qty"], zero), False)
    if mapping.signed_quantity or not sheet.has("side"):
        side = pc.coalesce(side, pc.if_else(negative, "SELL", "BUY"))
    sheet.fail(
        nulls(side) & ~is_empty(cells), "side_unmapped", "side", "is not a known side; add it under sides in the map"
    )
    sheet.fail_empty("side", nulls(side))
    buys = pc.and_(negative, pc.fill_null(pc.is_in(side, pa.array(sorted(_BUYS))), False))
    if mapping.negative_buy == "CANCEL":
        cancel = pc.if_else(buys, "CANCEL", cancel)
    elif mapping.negative_buy == "SELL":
        side = pc.if_else(buys, "SELL", side)
    else:
        what = "is negative on a buy: a cancel or a sell? Set negative_buy in the map"
        sheet.fail(buys.to_numpy(zero_copy_only=False), "negative_buy", "qty", what)
    numbers_of["qty"] = pc.abs(numbers_of["qty"])
    is_zero = pc.fill_null(pc.equal(numbers_of["qty"], zero), False).to_numpy(zero_copy_only=False)
    sheet.fail(is_zero, "zero_quantity", "qty", "is no quantity")
    return {"side": side, "status": pc.coalesce(cancel, status)}


def read_dates(sheet: Sheet, file: str, zone: str) -> tuple[Columns, Times, bool]:
    """Trade and settlement date, the time of the trade, and whether the day stands first in 03/04/2026.

    A trade date missing beside a full time is taken from it.
    """
    mapping = sheet.mapping
    dated = [(sheet.columns.get(name, name), sheet.cells(name)) for name in ("trade_date", "settle_date", "event_time")
             if sheet.has(name)]  # fmt: skip
    first = day_first(dated, mapping.date_format, file, sheet.table.header_line)
    excel = mapping.date_format == "EXCEL"
    found: Columns = {}
    for name in ("trade_date", "settle_date"):
        cells = sheet.cells(name)
        if name == "trade_date" and sheet.has("event_time"):
            cells = pc.if_else(pc.equal(cells, ""), sheet.cells("event_time"), cells)
        found[name], bad = dates(cells, first, excel)
        sheet.fail(bad, "bad_date", name, "is not a date Tieout can read")
    sheet.fail_empty("trade_date", nulls(found["trade_date"]))
    moments = times(sheet.cells("event_time"), found["trade_date"], first, zone)
    if mapping.epoch_times:
        moments = from_epoch(sheet.cells("event_time"), moments)
    only_date, _ = dates(sheet.cells("event_time"), first, excel)
    undated = moments.bad & nulls(only_date)
    sheet.fail(undated, "bad_time", "event_time", "is not a time Tieout can read")
    return found, moments, first


def read_money(sheet: Sheet, found: Columns, price_scale: npt.NDArray[np.int64]) -> Columns:
    """Currencies with minor units folded into the price, gross money computed exactly, amounts as magnitudes."""
    cells = sheet.cells("trade_ccy")
    sheet.fail_empty("trade_ccy", is_empty(cells))
    ccy = codes.by_unique(cells, lambda text: codes.minor_unit(text)[0])
    odd = codes.by_unique(ccy, lambda text: None if codes.is_currency(text) else "odd")
    sheet.fail(~nulls(odd), "bad_currency", "trade_ccy", "is not a currency code")
    minor = pc.equal(codes.by_unique(cells, lambda text: "minor" if codes.minor_unit(text)[1] > 1 else None), "minor")
    minor = pc.fill_null(minor, False)
    quoted = found["price"]
    if pc.any(minor).as_py():
        sheet.notes.append("prices in pence or cents were folded into the major currency")
        hundredth = pc.multiply(quoted.cast(pa.decimal256(38, 12)), pa.scalar(Decimal("0.01"), pa.decimal256(4, 2)))
        quoted = pc.if_else(minor, pc.round(hundredth, 12).cast(pa.decimal128(28, 12)), quoted)
    multiplier = found.get("multiplier", pa.nulls(sheet.count, TYPES["qty"].arrow))
    multiplier = pc.coalesce(multiplier, pa.scalar(Decimal(1), TYPES["qty"].arrow))
    sheet.mark(minor.to_numpy(zero_copy_only=False), "MINOR_UNIT")
    gross = _exact_product(found["qty"], quoted, multiplier)
    percent = pc.equal(found["price_type"], "PERCENT_PAR")
    gross = pc.if_else(percent, _hundredths(gross), gross)
    gross = pc.if_else(pc.equal(found["price_type"], "POINTS_UPFRONT"), None, gross)
    scale = price_scale + np.where(minor.to_numpy(zero_copy_only=False), 2, 0)
    settle_ccy = codes.by_unique(sheet.cells("settle_ccy"), lambda text: codes.minor_unit(text)[0])
    return {
        "trade_ccy": ccy,
        "settle_ccy": pc.coalesce(settle_ccy, ccy),
        "price": quoted,
        "price_scale": pa.array(scale, pa.int64()),
        "multiplier": multiplier,
        "gross_money": pc.coalesce(_magnitude(found, "gross_money", sheet), gross),
        "net_money": _cash(_magnitude(found, "net_money", sheet), found["side"]),
        "accrued_interest": _magnitude(found, "accrued_interest", sheet),
        "commission": _commission(found, sheet),
    }


def read_identifiers(sheet: Sheet) -> Columns:
    """Security identifiers whose check digit holds. A damaged one is dropped where another identifies the security.

    `identifier` with the type beside it stands for a column of that name; without a type its check digit says what it
    is, and what proves to be nothing is a symbol.
    """
    spare = _by_type(sheet)
    found: Columns = {"symbol": codes.by_unique(_first(sheet.cells("symbol"), spare["symbol"]), lambda text: text)}
    damaged: dict[str, Mask] = {}
    for name, check in _CHECKED.items():
        cells = _first(sheet.cells(name), spare[name])
        found[name] = codes.by_unique(cells, check)
        damaged[name] = nulls(found[name]) & ~is_empty(cells)
    nothing = np.ones(sheet.count, dtype=bool)
    for values in found.values():
        nothing &= nulls(values)
    for name, rows in damaged.items():
        if rows.any():
            sheet.notes.append(f"{int(rows.sum())} {name.upper()} failed the check digit and were not used")
            sheet.mark(rows, "ID_CHECK")
        sheet.fail(rows & nothing, "bad_identifier", name, f"is not a valid {name.upper()}", "I03")
    name = next((name for name in ("symbol", *_CHECKED) if sheet.has(name)), "symbol")
    sheet.fail_empty(name, nothing)
    return found


def _first(cells: pa.Array, others: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(cells, ""), others, cells)


def _by_type(sheet: Sheet) -> Columns:
    """The `identifier` column taken apart by what each cell is; empty where it is another kind."""
    names = ("isin", "cusip", "sedol", "figi", "symbol")
    nothing = pa.repeat(pa.scalar(""), sheet.count)
    if not sheet.has("identifier"):
        return dict.fromkeys(names, nothing)
    cells, own = sheet.cells("identifier"), sheet.mapping.identifier_types
    said = codes.by_unique(sheet.cells("identifier_type"), lambda text: own.get(text) or _usual_type(text))
    proved = codes.by_unique(cells, lambda text: next((n for n, check in _CHECKED.items() if check(text)), "symbol"))
    kind = pc.if_else(is_empty_mask(sheet.cells("identifier_type")), proved, said)
    unknown = nulls(kind) & ~is_empty(cells)
    sheet.fail(unknown, "enum_unmapped", "identifier_type", "is no known kind of identifier")
    return {name: pc.if_else(pc.fill_null(pc.equal(kind, name), False), cells, nothing) for name in names}


def is_empty_mask(cells: pa.Array) -> pa.Array:
    """Where a text column has nothing, as an Arrow mask."""
    return pc.equal(cells, "")


def _usual_type(text: str) -> str | None:
    word = text.casefold()
    return word if word in (*_CHECKED, "symbol") else "symbol" if word == "ticker" else None


def _hundredths(amounts: pa.Array) -> pa.Array:
    """A hundredth of each amount, to six places."""
    small = pc.multiply(amounts.cast(pa.decimal256(38, 6)), pa.scalar(Decimal("0.01"), pa.decimal256(4, 2)))
    return pc.round(small, 6, "half_to_even").cast(pa.decimal128(28, 6))


def _exact_product(qty: pa.Array, price: pa.Array, multiplier: pa.Array) -> pa.Array:
    """qty x price x multiplier to six places, exactly; null where it does not fit the money type."""
    wide = pc.multiply(qty.cast(pa.decimal256(28, 10)), price.cast(pa.decimal256(28, 12)))
    ones = pa.scalar(Decimal(1), multiplier.type)
    if not pc.all(pc.fill_null(pc.equal(multiplier, ones), True)).as_py():
        wide = pc.multiply(pc.round(wide, 12).cast(pa.decimal256(46, 12)), multiplier.cast(pa.decimal256(28, 10)))
    rounded = pc.round(wide, 6, "half_to_even")
    limit = pa.scalar(Decimal(10) ** 21, pa.decimal256(28, 0)).cast(rounded.type)
    fits = pc.less(pc.abs(rounded), limit)
    return pc.if_else(fits, rounded, None).cast(pa.decimal128(28, 6))


def _magnitude(found: Columns, name: str, sheet: Sheet) -> pa.Array:
    return pc.abs(found[name]) if name in found else pa.nulls(sheet.count, TYPES["money"].arrow)


def _cash(net: pa.Array, side: pa.Array) -> pa.Array:
    """Net money as cash moves: a buy pays, so it is negative, whichever sign the file writes."""
    buys = pc.fill_null(pc.is_in(side, pa.array(sorted(_BUYS))), False)
    return pc.if_else(buys, pc.negate(net), net)


def _commission(found: Columns, sheet: Sheet) -> pa.Array:
    """Commission as a cost, as the map says costs are signed; else commissions that are all negative are costs."""
    if "commission" not in found:
        return pa.nulls(sheet.count, TYPES["money"].arrow)
    values = found["commission"]
    highest = pc.min_max(values)["max"].as_py()
    lowest = pc.min_max(values)["min"].as_py()
    if sheet.mapping.cost_sign:
        return pc.negate(values) if sheet.mapping.cost_sign == "negative" else values
    if lowest is not None and lowest < 0 and highest <= 0:
        sheet.notes.append("commissions are written as negative amounts")
        return pc.negate(values)
    return values
