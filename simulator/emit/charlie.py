"""Prime broker CHARLIE's trade files: CSV with a header and a totals row, New York times, one row per booking."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import ids
from simulator.emit.context import Context, currency, effect, fees, has, in_chunks, money, own, side_words, uti
from simulator.emit.text import choose, coded, date, decimal, glue, grouped, moment, plain, run_together, wall
from simulator.market.world import Asset
from simulator.records import I64, MONEY_UNIT, PRICE_UNIT, Bool, Index, Records, Source

SOURCE = Source.CHARLIE
_ZONE = "America/New_York"
_DATE = "%m/%d/%Y"
_CHUNK = 50_000
_STATUS = ("NEW", "CORRECTED", "CANCELLED", "REJECTED")
_WORDS = ("BUY", "SELL", "SELL SHORT", "SELL SHORT EXEMPT", "BUY TO COVER")
_LETTERS = ("B", "S", "SS", "SSE", "BC")
_COUPON_UNIT = 100
_THOUSAND = 1000
# Canonical columns of the headers; the rest is CHARLIE's own.
_COLUMNS = {
    "trade_uid": "Trade ID", "prev_uid": "Original Trade ID", "status": "Status", "account": "Account",
    "asset_class": "Security Type", "symbol": "Symbol", "isin": "ISIN", "cusip": "CUSIP", "sedol": "SEDOL",
    "side": "Side", "qty": "Quantity", "price": "Price", "trade_ccy": "Currency", "multiplier": "Multiplier",
    "gross_money": "Principal", "accrued_interest": "Accrued Interest", "commission": "Commission",
    "net_money": "Net Amount", "settle_ccy": "Settle Currency", "trade_date": "Trade Date",
    "settle_date": "Settlement Date", "event_time": "Execution Time", "order_id": "Order ID",
    "client_order_id": "Client Order ID", "exec_broker_id": "Executing Broker", "uti": "UTI",
}  # fmt: skip


def column_map() -> dict[str, Any]:
    """How a reader is told which header holds what and how cells are written, as the keys of a column map file."""
    return {
        "columns": dict(_COLUMNS), "date_format": "MM/DD/YYYY", "zone": _ZONE, "decimal": ".", "level": "ALLOCATION",
    }  # fmt: skip


def heads(records: Records) -> Index:
    """CHARLIE's rows."""
    return np.flatnonzero(own(records, SOURCE))


def write(context: Context, records: Records, rows: Index) -> Iterator[bytes]:
    """A file of the records at `rows` in pieces: header, one line per record, a totals row with their number."""
    mine = records.take(rows)
    header = list(_cells(context, mine.take(slice(0, 0))))
    yield (",".join(header) + "\n").encode()
    for part in in_chunks(len(mine), _CHUNK):
        cells: list[Any] = []
        for column in _cells(context, mine.take(part)).values():
            cells += [",", column]
        lines = glue(*cells[1:], "\n")
        yield run_together(lines)
    totals = dict.fromkeys(header, "")
    totals |= {header[0]: "TOTAL", header[1]: f"RECORDS: {len(mine)}", "Quantity": str(int(mine.qty.sum()))}
    yield (",".join(totals.values()) + "\n").encode()


def _cells(context: Context, mine: Records) -> dict[str, pa.StringArray]:
    """The columns by header, in file order."""
    letters, grouping = has(mine, 4), has(mine, 14)
    words = side_words(context, mine, _WORDS)
    if letters.any():
        words = choose(letters, side_words(context, mine, _LETTERS), words)
    quantity, price = _size_and_price(context, mine)
    expires = context.term(mine, "expiry").astype(np.int32)
    strike = context.term(mine, "strike").astype(np.int64)
    return {
        "Trade ID": ids.uids(mine, SOURCE),
        "Original Trade ID": ids.referred(mine, SOURCE),
        "Status": coded(mine.status, _STATUS),
        "Account": context.account(mine, "alias"),
        "Security Type": coded(context.term(mine, "asset"), [asset.name for asset in Asset]),
        "Symbol": context.symbol(mine, has(mine, 2)),
        "ISIN": context.instrument(mine, "isin"),
        "CUSIP": context.instrument(mine, "cusip"),
        "SEDOL": context.instrument(mine, "sedol"),
        "Description": glue('"', context.instrument(mine, "name"), '"'),
        "Side": words,
        "Open/Close": effect(mine),
        "Quantity": quantity,
        "Price": price,
        "Currency": currency(mine.ccy),
        "Multiplier": ids.number_text(mine.multiplier),
        "Principal": _amount(mine.gross, grouping),
        "Accrued Interest": money(mine.accrued),
        "Commission": money(mine.commission),
        **_fees(mine),
        "Net Amount": _amount(mine.net, grouping),
        "Settle Currency": currency(mine.settle_ccy),
        "FX Rate": choose(mine.fx_rate != 0, plain(mine.fx_rate, PRICE_UNIT), ""),
        "Trade Date": date(mine.trade_date, _DATE),
        "Settlement Date": date(mine.settle_date, _DATE),
        "Execution Time": _time(mine),
        "Order ID": context.order_id(mine),
        "Client Order ID": context.client_order_id(mine),
        "Executing Broker": context.broker(mine),
        "Expiry": date(expires, _DATE),
        "Strike": choose(strike > 0, plain(strike, PRICE_UNIT), ""),
        "Put/Call": coded(context.term(mine, "put_call") + 1, ("", "P", "C")),
        "Coupon %": choose(mine.coupon != 0, plain(mine.coupon.astype(np.int64), _COUPON_UNIT), ""),
        "UTI": uti(mine),
        "Upfront": choose(mine.upfront != 0, money(mine.upfront), ""),
    }


def _size_and_price(context: Context, mine: Records) -> tuple[pa.StringArray, pa.StringArray]:
    """Quantity and price; with N08 a bond's price is a part of one or its face in thousands, by turns.

    With N03 sales are negative, with N14 thousands are set apart by commas, and cells with commas in quotes.
    """
    bond = has(mine, 8) & context.is_asset(mine, Asset.BOND)
    small = bond & (mine.serial % 2 == 1) & (mine.qty % _THOUSAND == 0)
    qty: I64 = np.where(small, mine.qty // _THOUSAND, mine.qty)
    text = ids.number_text(qty)
    grouping = has(mine, 14) & (qty >= _THOUSAND)
    if grouping.any():
        text = choose(grouping, grouped(qty), text)
    negative = has(mine, 3) & (mine.side != 1)
    if negative.any():
        text = choose(negative, glue("-", text), text)
    if grouping.any():
        text = choose(grouping, glue('"', text, '"'), text)
    of_one = bond & ~small
    price = decimal(mine.price, PRICE_UNIT, mine.price_dp)
    if of_one.any():
        digits = np.minimum(mine.price_dp.astype(np.int64) + 2, 8)
        price = choose(of_one, decimal(mine.price // 100, PRICE_UNIT, digits), price)
    return text, price


def _amount(amounts: I64, grouping: Bool) -> pa.StringArray:
    """Money, where asked for with commas and in quotes."""
    text = money(amounts)
    large = grouping & (np.abs(amounts) >= _THOUSAND * MONEY_UNIT)
    if not large.any():
        return text
    whole, rest = np.divmod(np.abs(amounts), MONEY_UNIT)
    cents = pc.utf8_slice_codeunits(money(rest), 1)
    sign = choose(amounts < 0, '"-', '"')
    return choose(large, glue(sign, grouped(whole), cents, '"'), text)


def _fees(mine: Records) -> dict[str, pa.StringArray]:
    """Fees by kind; with N16 their total alone."""
    merged = has(mine, 16)
    kinds = {"SEC Fee": mine.fee_sec, "Exchange Fee": mine.fee_exchange, "Stamp Tax": mine.tax}
    cells = {name: choose(merged, "", money(amounts)) for name, amounts in kinds.items()}
    return cells | {"Total Fees": choose(merged, money(fees(mine)), "")}


def _time(mine: Records) -> pa.StringArray:
    at = wall(mine.event_ns, _ZONE)
    minutes = has(mine, 6)
    text = moment(at, _DATE, " ", "%H:%M:%S")
    return choose(minutes, moment(at, _DATE, " ", "%H:%M"), text) if minutes.any() else text
