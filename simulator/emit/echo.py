"""Prime broker ECHO's morning file: XML in the manner of a Flex query, one Trade element per booking version.

Prices may be in pence (currency GBX); amounts never are. Costs are negative, cash and quantities of sales as they move.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import ids
from simulator.emit.context import PENCE, Context, currency, effect, has, in_chunks, money, own, uti
from simulator.emit.text import choose, coded, date, decimal, glue, moment, plain, run_together, wall
from simulator.market.world import CURRENCIES, Asset
from simulator.records import I64, PRICE_UNIT, Bool, Effect, Index, Records, Side, Source, Status, divide

SOURCE = Source.ECHO
_ZONE = "America/New_York"
_CHUNK = 50_000
_ACCOUNT = "F1029000"
_CATEGORIES = {
    Asset.EQUITY: "STK", Asset.ETF: "STK", Asset.OPTION: "OPT", Asset.FUTURE: "FUT", Asset.FX_SPOT: "CASH",
    Asset.FX_FWD: "FXFWD", Asset.FX_NDF: "FXNDF", Asset.BOND: "BOND", Asset.CDS: "CDS", Asset.TRS: "TRS",
}  # fmt: skip
_FIRST_CONID = 265_598
_COUPON_UNIT = 100
# Inverse rates have ten decimals.
_INVERSE_UNIT = 10**10
_NAMES = ("Crédit Hallaine SA, Genève", "東和証券 TOWA", "Zürcher Kontor AG")


def heads(records: Records) -> Index:
    """ECHO's rows."""
    return np.flatnonzero(own(records, SOURCE))


def write(context: Context, records: Records, rows: Index) -> Iterator[bytes]:
    """A file of the records at `rows`, dated as the latest of them, in pieces; UTF-8."""
    mine = records.take(rows)
    shown = date(mine.day.max(initial=0, keepdims=True))[0].as_py()
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<FlexQueryResponse queryName="MERIDIAN_TRADES" type="AF">\n'
        f'<FlexStatements count="1">\n<FlexStatement accountId="{_ACCOUNT}" fromDate="{shown}" toDate="{shown}" '
        'period="LastBusinessDay">\n<Trades>\n'
    ).encode()
    for part in in_chunks(len(mine), _CHUNK):
        yield run_together(_elements(_attributes(context, mine.take(part))))
    yield b"</Trades>\n</FlexStatement>\n</FlexStatements>\n</FlexQueryResponse>\n"


def _elements(attributes: Mapping[str, "pa.StringArray | str"]) -> pa.StringArray:
    parts: list[Any] = []
    close = "<Trade"
    for name, value in attributes.items():
        parts += [f'{close} {name}="', value]
        close = '"'
    return glue(*parts, '" />\n')


def _attributes(context: Context, mine: Records) -> "dict[str, pa.StringArray | str]":
    """The attributes of each Trade, in the order of the file; empty ones stay, as in real statements."""
    turned = _turned(context, mine)
    return {
        **_names(context, mine),
        **_security(context, mine),
        **_deal(context, mine, turned),
        "netCash": money(mine.net),
        "proceeds": money(np.where(mine.side == Side.BUY, -mine.gross, mine.gross)),
        "accruedInt": money(np.where(mine.side == Side.BUY, -mine.accrued, mine.accrued)),
        "ibCommission": money(-mine.commission),
        "ibCommissionCurrency": currency(mine.ccy),
        "taxes": money(-mine.tax),
        "secFee": money(-mine.fee_sec),
        "exchangeFee": money(-mine.fee_exchange),
        "settleCurrency": currency(mine.settle_ccy),
        "settleFxRate": choose(mine.fx_rate != 0, plain(mine.fx_rate, PRICE_UNIT), ""),
        "execBroker": context.broker(mine),
        "counterparty": _counterparty(context, mine),
        "uti": uti(mine),
        "coupon": choose(mine.coupon != 0, plain(mine.coupon.astype(np.int64), _COUPON_UNIT), ""),
        "upfront": choose(mine.upfront != 0, money(mine.upfront), ""),
        "levelOfDetail": "EXECUTION",
    }


def _names(context: Context, mine: Records) -> "dict[str, pa.StringArray | str]":
    """Who and which: a trade keeps tradeID over its versions, the last digits of ibExecID count them."""
    uid = ids.uids(mine, SOURCE)
    day = ids.day_text(mine.day)
    row, version = ids.number_text(mine.serial, 8), ids.number_text(mine.version.astype(np.int64), 2)
    earlier = choose(mine.prev != 0, glue(day, ids.number_text(mine.prev, 8)), "")
    cancelled = mine.status == Status.CANCEL
    return {
        "accountId": context.account(mine, "alias"),
        "tradeID": uid,
        "transactionID": glue(day, row),
        "origTradeID": ids.referred(mine, SOURCE),
        "origTransactionID": earlier,
        "ibExecID": glue("0000e", day, ".", ids.number_text(mine.root, 8), ".01.", version),
        "ibOrderID": glue("1", context.order_id(mine, "")),
        "orderReference": context.client_order_id(mine),
        "transactionType": choose(cancelled, "TradeCancel", "ExchTrade"),
        "notes": coded(mine.status, ("", "Co", "Ca", "Rj")),
    }


def _inverse(context: Context, mine: Records) -> Bool:
    """Currency trades told as the inverse pair (N11)."""
    found: Bool = has(mine, 11) & context.is_asset(mine, Asset.FX_SPOT, Asset.FX_FWD)
    return found


def _turned(context: Context, mine: Records) -> Bool:
    """Currency trades told in their second currency: as the inverse pair, or an NDF in its fixing currency (N12)."""
    found: Bool = _inverse(context, mine) | (has(mine, 12) & context.is_asset(mine, Asset.FX_NDF))
    return found


def _security(context: Context, mine: Records) -> dict[str, pa.StringArray]:
    table = context.world.instruments
    expires = context.term(mine, "expiry").astype(np.int32)
    strike = context.term(mine, "strike").astype(np.int64)
    escaped = pa.array([escape(str(name), {'"': "&quot;"}) for name in table.name], pa.string())
    symbol = pc.replace_substring(context.instrument(mine, "symbol"), "/", ".")
    symbol = choose(context.currency_pair(mine), symbol, context.instrument(mine, "symbol"))
    inverse = _inverse(context, mine)
    if inverse.any():
        pairs = pc.replace_substring_regex(symbol, r"^([A-Z]{3})\.([A-Z]{3})", r"\2.\1")
        symbol = choose(inverse, pairs, symbol)
    return {
        "assetCategory": coded(context.term(mine, "asset"), [_CATEGORIES[asset] for asset in Asset]),
        "symbol": symbol,
        "description": escaped.take(pa.array(mine.instrument)),
        "conid": ids.number_text(mine.instrument.astype(np.int64) + _FIRST_CONID),
        "isin": context.instrument(mine, "isin"),
        "cusip": context.instrument(mine, "cusip"),
        "sedol": context.instrument(mine, "sedol"),
        "listingExchange": context.instrument(mine, "mic"),
        "multiplier": ids.number_text(mine.multiplier),
        "strike": choose(strike > 0, plain(strike, PRICE_UNIT), ""),
        "expiry": date(expires),
        "putCall": coded(context.term(mine, "put_call") + 1, ("", "P", "C")),
    }


def _deal(context: Context, mine: Records, turned: Bool) -> "dict[str, pa.StringArray | str]":
    """Side, size, price and dates; a cancel repeats the trade with the sign reversed and `(Ca.)` behind the side."""
    pence, cancelled = has(mine, 7), mine.status == Status.CANCEL
    buys = (mine.side == Side.BUY) != turned
    side = choose(buys, "BUY", "SELL")
    negative = buys == cancelled
    second = coded(np.maximum(context.term(mine, "ccy2"), 0), CURRENCIES)
    ccy = choose(turned, second, currency(mine.ccy)) if turned.any() else currency(mine.ccy)
    at = wall(mine.event_ns, _ZONE)
    return {
        "currency": choose(pence, PENCE[0], ccy) if pence.any() else ccy,
        "buySell": choose(cancelled, glue(side, " (Ca.)"), side),
        "openCloseIndicator": _open_close(context, mine),
        "quantity": glue(choose(negative, "-", ""), _size(mine, turned)),
        "tradePrice": _price(mine, _inverse(context, mine), pence),
        "dateTime": moment(at, "%Y%m%d", ";", "%H%M%S"),
        "tradeDate": date(mine.trade_date),
        "settleDateTarget": date(mine.settle_date),
    }


def _size(mine: Records, turned: Bool) -> pa.StringArray:
    text = ids.number_text(mine.qty)
    return choose(turned, money(mine.gross), text) if turned.any() else text


def _price(mine: Records, inverse: Bool, pence: Bool) -> pa.StringArray:
    """The price as the record shows it, in pence two decimals fewer; the inverse pair's with ten decimals."""
    scale: I64 = np.where(pence, 100, 1).astype(np.int64)
    digits = np.maximum(mine.price_dp.astype(np.int64) - np.where(pence, 2, 0), 0)
    text = decimal(mine.price * scale, PRICE_UNIT, digits)
    if not inverse.any():
        return text
    rate = divide(np.full(len(mine), PRICE_UNIT * _INVERSE_UNIT), np.maximum(mine.price, 1))
    whole, rest = np.divmod(rate, _INVERSE_UNIT)
    return choose(inverse, glue(ids.number_text(whole), ".", ids.number_text(rest, 10)), text)


def _open_close(context: Context, mine: Records) -> pa.StringArray:
    """O or C: what is stated of contracts; of the rest short sales open and covers and sales of longs close."""
    short = (mine.side == Side.SELL_SHORT) | (mine.side == Side.SELL_SHORT_EXEMPT)
    bought = (mine.side == Side.BUY) & (mine.effect != Effect.CLOSE)
    derived = choose(short | bought, "O", "C")
    return choose(mine.effect != Effect.NONE, effect(mine), derived)


def _counterparty(context: Context, mine: Records) -> pa.StringArray:
    """The executing broker's name; with N29 one that is not ASCII."""
    names = [escape(broker.other_name) for broker in context.world.brokers]
    foreign = has(mine, 29)
    text = coded(mine.broker, names)
    return choose(foreign, coded(mine.serial % len(_NAMES), _NAMES), text) if foreign.any() else text
