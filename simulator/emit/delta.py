"""Prime broker DELTA's end-of-day trade file: fixed width, BOF header, record A per booking version, EOF trailer."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import ids
from simulator.emit.context import Context, covers, currency, effect, has, in_chunks, own, side_words, uti
from simulator.emit.text import choose, coded, date, decimal, glue, moment, run_together, wall
from simulator.market.universe import in_32nds
from simulator.market.world import Asset
from simulator.records import I64, PRICE_UNIT, Index, Records, Side, Source

SOURCE = Source.DELTA
_ZONE = "America/New_York"
_DATE = "%m/%d/%Y"
_CHUNK = 50_000
_ASSETS = {
    Asset.EQUITY: "EQTY", Asset.ETF: "ETF", Asset.OPTION: "OPTN", Asset.FUTURE: "FUTR", Asset.FX_SPOT: "FXSP",
    Asset.FX_FWD: "FXFW", Asset.FX_NDF: "FXND", Asset.BOND: "BOND", Asset.CDS: "CRDS", Asset.TRS: "TRSW",
}  # fmt: skip
_UNITS = {Asset.OPTION: "C", Asset.FUTURE: "C", Asset.BOND: "F", Asset.CDS: "F"}
_LETTERS = ("B", "S", "SS", "SX", "BC")
_THIRTY_SECOND = PRICE_UNIT // 32
# Behind the 32nds: nothing, a quarter, a half or three quarters of one.
_QUARTERS = ("", "2", "+", "7")
# Last digit of an account number: where a trade goes in the account.
_MARGIN, _SHORT = "2", "3"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of record A. `kind`: X text, left-justified; R text, right-justified; 9 digits with leading zeros;
    S digits with leading zeros and a sign behind, which counts in the width. `decimals` are implied."""

    name: str
    width: int
    kind: str = "X"
    decimals: int = 0


LAYOUT = (
    Field("record_type", 1), Field("trade_reference", 20), Field("version", 4, "9"), Field("status", 1),
    Field("account", 20), Field("order_reference", 20), Field("security_id_type", 1), Field("security_id", 36),
    Field("symbol", 36), Field("asset", 4), Field("side", 2), Field("open_close", 1), Field("quantity", 16, "S"),
    Field("quantity_unit", 1), Field("price", 18, "R"), Field("currency", 3), Field("multiplier", 8, "9"),
    Field("gross", 18, "S", 4), Field("accrued", 16, "S", 4), Field("commission", 14, "S", 4),
    Field("sec_fee", 12, "S", 4), Field("exchange_fee", 12, "S", 4), Field("tax", 14, "S", 4),
    Field("net", 18, "S", 4), Field("settle_currency", 3), Field("fx_rate", 16, "9", 8), Field("trade_date", 10),
    Field("settle_date", 10), Field("time", 6), Field("executing_broker", 8), Field("expiry", 10),
    Field("strike", 16, "9", 8), Field("put_call", 1), Field("coupon", 8, "9", 2), Field("uti", 44),
    Field("upfront", 18, "S", 4), Field("filler", 12),
)  # fmt: skip
WIDTH = sum(field.width for field in LAYOUT)


def heads(records: Records) -> Index:
    """DELTA's rows."""
    return np.flatnonzero(own(records, SOURCE))


def write(context: Context, records: Records, rows: Index) -> Iterator[bytes]:
    """A file of the records at `rows`, dated as the latest of them, in pieces; ASCII, lines of WIDTH characters."""
    mine = records.take(rows)
    shown = date(mine.day.max(initial=0, keepdims=True), _DATE)[0].as_py()
    yield f"{f'BOF      GTDE      DELTA TRADE DATE EXECUTIONS      {shown}':<{WIDTH}}\n".encode()
    for part in in_chunks(len(mine), _CHUNK):
        cells = _cells(context, mine.take(part))
        yield run_together(glue(*(_fitted(field, cells[field.name]) for field in LAYOUT), "\n"))
    yield f"{f'EOF      GTDE      {len(mine):010d}':<{WIDTH}}\n".encode()


def _fitted(field: Field, cell: "pa.StringArray | I64 | str") -> "pa.StringArray | str":
    """A column in the width of its field. Raises ValueError where something does not fit."""
    if isinstance(cell, str):
        return f"{cell:<{field.width}}"
    if field.kind in "9S":
        numbers = np.asarray(cell, dtype=np.int64)
        text = ids.number_text(np.abs(numbers), field.width - (field.kind == "S"))
        text = glue(text, choose(numbers < 0, "-", "+")) if field.kind == "S" else text
    else:
        text = pc.utf8_rpad(cell, field.width) if field.kind == "X" else pc.utf8_lpad(cell, field.width)
    longest = pc.max(pc.utf8_length(text)).as_py() or 0
    if longest > field.width:
        raise ValueError(f"{field.name}: {longest} characters do not fit {field.width}")
    return text


def _cells(context: Context, mine: Records) -> "dict[str, pa.StringArray | I64 | str]":
    """Text or numbers of each field of LAYOUT."""
    identifier, source = context.security(mine, has(mine, 1))
    asset = context.term(mine, "asset")
    quantity, unit = _quantity(context, mine)
    expires = context.term(mine, "expiry").astype(np.int32)
    return {
        "record_type": "A",
        "trade_reference": ids.uids(mine, SOURCE),
        "version": mine.version.astype(np.int64),
        "status": coded(mine.status, ("N", "C", "X", "R")),
        "account": _account(context, mine),
        "order_reference": context.order_id(mine),
        "security_id_type": _recoded(source),
        "security_id": identifier,
        "symbol": context.instrument(mine, "symbol"),
        "asset": coded(asset, [_ASSETS[kind] for kind in Asset]),
        "side": _side(context, mine),
        "open_close": effect(mine),
        "quantity": quantity,
        "quantity_unit": unit,
        "price": _price(context, mine),
        "currency": currency(mine.ccy),
        "multiplier": mine.multiplier,
        "gross": mine.gross,
        "accrued": mine.accrued,
        "commission": mine.commission,
        "sec_fee": mine.fee_sec,
        "exchange_fee": mine.fee_exchange,
        "tax": mine.tax,
        "net": mine.net,
        "settle_currency": currency(mine.settle_ccy),
        "fx_rate": mine.fx_rate,
        "trade_date": date(mine.trade_date, _DATE),
        "settle_date": date(mine.settle_date, _DATE),
        "time": choose(has(mine, 6), "", moment(wall(mine.event_ns, _ZONE), "", "", "%H%M%S")),
        "executing_broker": context.broker(mine),
        "expiry": date(expires, _DATE),
        "strike": context.term(mine, "strike").astype(np.int64),
        "put_call": coded(context.term(mine, "put_call") + 1, ("", "P", "C")),
        "coupon": mine.coupon.astype(np.int64),
        "uti": uti(mine),
        "upfront": mine.upfront,
        "filler": "",
    }


def _recoded(source: pa.StringArray) -> pa.StringArray:
    """SecurityIDSource(22) as DELTA's letters: ISIN, CUSIP, SEDOL or ticker."""
    place = pc.index_in(source, pa.array(["4", "1", "2", "8"])).to_numpy(zero_copy_only=False)
    return coded(place, ("I", "C", "S", "T"))


def _account(context: Context, mine: Records) -> pa.StringArray:
    """Office, base and a last digit for the type, 3 for shorts; with N28 the master account and no type."""
    master = has(mine, 28)
    short = (mine.side == Side.SELL_SHORT) | (mine.side == Side.SELL_SHORT_EXEMPT) | covers(context, mine)
    name = glue(context.account(mine, "alias"), choose(short, _SHORT, _MARGIN))
    return choose(master, context.account(mine, "master"), name) if master.any() else name


def _side(context: Context, mine: Records) -> pa.StringArray:
    """Side(54), with N04 in letters."""
    letters = has(mine, 4)
    codes = ids.number_text(mine.side.astype(np.int64))
    return choose(letters, side_words(context, mine, _LETTERS), codes) if letters.any() else codes


def _quantity(context: Context, mine: Records) -> tuple[I64, pa.StringArray]:
    """Quantity and what it counts: S shares or units of currency, F face, C contracts; with N09 options in shares.

    With N03 sales are negative.
    """
    in_shares = has(mine, 9) & context.is_asset(mine, Asset.OPTION)
    quantity = np.where(in_shares, mine.qty * mine.multiplier, mine.qty)
    quantity = np.where(has(mine, 3) & (mine.side != Side.BUY), -quantity, quantity)
    unit = coded(context.term(mine, "asset"), [_UNITS.get(kind, "S") for kind in Asset])
    return quantity, choose(in_shares, "S", unit)


def _price(context: Context, mine: Records) -> pa.StringArray:
    """Price with its decimals; with N10 a Treasury future's in 32nds and quarters of one, where it has no others."""
    text = decimal(mine.price, PRICE_UNIT, mine.price_dp)
    quarter = _THIRTY_SECOND // 4
    ticks = has(mine, 10) & in_32nds(context.world)[mine.instrument] & (mine.price % quarter == 0)
    if not ticks.any():
        return text
    whole, rest = np.divmod(mine.price // quarter, 128)
    parts = ids.number_text(whole), "-", ids.number_text(rest // 4, 2), coded(rest % 4, _QUARTERS)
    return choose(ticks, glue(*parts), text)
