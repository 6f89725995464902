"""Prime broker BRAVO: FIX 4.2 ExecutionReport(8), New York times, own account codes, pence, all fees in one tag."""

import numpy as np
import pyarrow as pa

from simulator import ids
from simulator.emit import fields
from simulator.emit.context import PENCE, Context, currency, effect, fees, has, money, own, shown_net
from simulator.emit.text import Pair, choose, coded, date, local, plain, tags
from simulator.records import I64, MONEY_UNIT, Bool, Index, Level, Records, Source

BEGIN = "FIX.4.2"
SENDER = "BRAVO"
SOURCE = Source.BRAVO
_ZONE = "America/New_York"
# Commissions per unit have up to eight decimals.
_RATE_UNIT = 10**8


def heads(records: Records) -> Index:
    """Rows that head a message: each record of BRAVO's."""
    return np.flatnonzero(own(records, SOURCE))


def render(context: Context, records: Records, rows: Index) -> tuple[pa.StringArray, pa.StringArray]:
    """MsgType(35) and body of the records at `rows`; all prices and costs of a line in pence are in pence."""
    mine = records.take(rows)
    pence = has(mine, 7)
    scale = np.where(pence, 100, 1).astype(np.int64)
    account = context.account(mine, "alias")
    shared = mine.level == Level.ALLOCATION
    pairs: list[Pair] = [
        (37, context.order_id(mine, "BO")),
        (17, ids.uids(mine, SOURCE)),
        (20, fields.status_codes(mine, "0", "2", "1")),
        (19, ids.referred(mine, SOURCE)),
        (11, context.client_order_id(mine)),
        *_progress(mine),
        (1, account),
        *fields.instrument_pairs(context, mine, has(mine, 2), has(mine, 1), split=True),
        (54, fields.side(mine)),
        (77, effect(mine)),
        (32, ids.number_text(mine.qty)),
        (31, fields.price_text(mine, scale)),
        (423, fields.price_type(context, mine)),
        (30, context.instrument(mine, "mic")),
        (15, _currency(context, mine, pence)),
        *fields.settle_pairs(mine),
        (60, local(mine.event_ns, _ZONE)),
        (75, date(mine.trade_date)),
        (64, date(mine.settle_date)),
        (76, context.broker(mine, "mpid")),
        *_costs(mine, scale),
        (79, choose(shared, account, "")),
        *fields.otc_pairs(mine),
        (9002, ids.quoted(mine)),
        *fields.chatter(mine),
    ]
    return pa.array(["8"] * len(mine), pa.string()), tags(pairs)


def _progress(mine: Records) -> list[Pair]:
    """Status, cumulated and open quantity; a booking by account is complete in itself."""
    alone = mine.cum_qty == 0
    cumulated = np.where(alone, mine.qty, mine.cum_qty)
    leaves = np.where(alone, 0, np.maximum(mine.order_qty - mine.cum_qty, 0))
    refused = fields.rejected(mine)
    code = coded(np.where(refused, 2, (leaves == 0).astype(np.int64)), ("1", "2", "8"))
    number = ids.number_text
    return [
        (150, code),
        (39, code),
        (103, choose(refused, "99", "")),
        (58, choose(refused, "Rejected: account not enabled", "")),
        (14, number(cumulated)),
        (151, number(leaves)),
        (6, fields.price_text(mine.with_(price=np.where(alone, mine.price, mine.avg_price), noise=0))),
    ]


def _currency(context: Context, mine: Records, pence: Bool) -> pa.StringArray:
    """Trade currency; both spellings of pence occur, one per line so that corrections agree with originals."""
    text = currency(mine.ccy)
    return choose(pence, coded(mine.instrument % 2, PENCE), text) if pence.any() else text


def _costs(mine: Records, scale: I64) -> list[Pair]:
    """Commission, with N15 per unit where that is the very same amount; net in settlement currency; fees in 9001."""
    absolute = money(mine.commission * scale)
    exact = mine.commission * (_RATE_UNIT // MONEY_UNIT)
    rate = exact // np.maximum(mine.qty, 1)
    by_unit = has(mine, 15) & (rate * mine.qty == exact) & (mine.commission > 0)
    shown = choose(by_unit, plain(rate * scale, _RATE_UNIT), absolute) if by_unit.any() else absolute
    return [
        (12, shown),
        (13, choose(by_unit, "1", "3")),
        (381, money(mine.gross * scale)),
        (159, choose(mine.accrued != 0, money(mine.accrued * scale), "")),
        (118, money(shown_net(mine))),
        (9001, money(fees(mine))),
    ]
