"""The fund's order management system: FIX 4.4 ExecutionReport(8) per fill, AllocationInstruction(J) per split block."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from simulator import ids
from simulator.emit import fields
from simulator.emit.context import Context, currency, effect, fees, money, own, shown_net
from simulator.emit.text import Pair, choose, coded, date, decimal, glue, joined_groups, tags, utc
from simulator.market.world import FUND
from simulator.records import PRICE_UNIT, Index, Level, Records, Source

BEGIN = "FIX.4.4"
SENDER = f"{FUND}_OMS"
SOURCE = Source.OMS
_PB_NAMES = ("", *(source.name for source in Source if source is not Source.OMS))
# What the shares of one J have in common: a share that differs in any of these is told in a message of its own.
_SHARED = (
    "order", "version", "status", "arrive_ns", "day", "instrument", "side", "effect", "ccy", "settle_ccy", "fx_rate",
    "multiplier", "trade_date", "settle_date", "broker", "event_ns", "coupon",
)  # fmt: skip


def heads(records: Records) -> Index:
    """Rows that head a message: every fill, and the first share of each allocation instruction."""
    fills = np.flatnonzero(own(records, SOURCE) & (records.level == Level.FILL))
    shares = np.flatnonzero(own(records, SOURCE) & (records.level == Level.ALLOCATION))
    _, first = _instructions(records.take(shares))
    return np.sort(np.concatenate([fills, shares[first]]))


def render(context: Context, records: Records, rows: Index) -> tuple[pa.StringArray, pa.StringArray]:
    """MsgType(35) and body of the messages that `rows` head, in the order of `rows`.

    `records` are all of the day's: the other shares of an instruction are looked up in them.
    """
    split = records.level[rows] == Level.ALLOCATION
    fills, blocks = rows[~split], rows[split]
    types = coded(split.astype(np.int8), ("8", "J"))
    bodies = pa.concat_arrays([_fills(context, records.take(fills)), _blocks(context, records, blocks)])
    if not split.any() or split.all():
        return types, bodies
    place = np.empty(len(rows), np.int64)
    place[np.flatnonzero(~split)] = np.arange(len(fills))
    place[np.flatnonzero(split)] = np.arange(len(fills), len(rows))
    return types, bodies.take(pa.array(place))


def _fills(context: Context, records: Records) -> pa.StringArray:
    none = np.zeros(len(records), np.bool_)
    leaves = np.maximum(records.order_qty - records.cum_qty, 0)
    # A block's fills are charged by share: they say nothing of money.
    alone = records.account >= 0
    pairs: list[Pair] = [
        (37, context.order_id(records)),
        (11, context.client_order_id(records)),
        (17, ids.uids(records, SOURCE)),
        (19, _referred(records)),
        (150, fields.status_codes(records, "F", "G", "H")),
        (39, coded((leaves == 0).astype(np.int8), ("1", "2"))),
        (1, context.account(records, "account_id")),
        *fields.instrument_pairs(context, records, none, none),
        (54, fields.side(records)),
        (77, effect(records)),
        (38, ids.number_text(records.order_qty)),
        (32, ids.number_text(records.qty)),
        (31, fields.price_text(records)),
        (423, fields.price_type(context, records)),
        (14, ids.number_text(records.cum_qty)),
        (151, ids.number_text(leaves)),
        (6, decimal(records.avg_price, PRICE_UNIT, 6)),
        (30, context.instrument(records, "mic")),
        (15, currency(records.ccy)),
        *fields.settle_pairs(records),
        (60, utc(records.event_ns)),
        (75, date(records.trade_date)),
        (64, date(records.settle_date)),
        *fields.cost_pairs(records, known=alone),
        (0, fields.fee_group(records)),
        *fields.otc_pairs(records),
        (0, fields.parties((_prime(records), "D", "4"), (context.broker(records), "D", "1"))),
    ]
    return tags(pairs)


def _referred(records: Records) -> "pa.StringArray | str":
    return ids.referred(records, SOURCE) if (records.prev != 0).any() else ""


def _prime(records: Records) -> pa.StringArray:
    return coded(np.maximum(records.pb, 0), _PB_NAMES)


def _instructions(shares: Records) -> tuple[npt.NDArray[np.int64], Index]:
    """The instruction each share belongs to, numbered from 0, and the first share of each."""
    number = np.zeros(len(shares), np.int64)
    for name in _SHARED:
        column = getattr(shares, name)
        if len(column) and bool((column != column[0]).any()):
            _, place = np.unique(column, return_inverse=True)
            _, number = np.unique(number * (int(place.max()) + 1) + place, return_inverse=True)
    _, first = np.unique(number, return_index=True)
    return number, first


def _blocks(context: Context, records: Records, rows: Index) -> pa.StringArray:
    if not len(rows):
        return pa.array([], pa.string())
    found = np.flatnonzero(own(records, SOURCE) & (records.level == Level.ALLOCATION))
    found = found[np.isin(records.order[found], records.order[rows])]
    number, _ = _instructions(records.take(found))
    wanted = np.full(int(number.max()) + 1, -1, np.int64)
    at_head = np.searchsorted(found, rows)
    wanted[number[at_head]] = np.arange(len(rows))
    keep = np.flatnonzero(wanted[number] >= 0)
    order = keep[np.argsort(wanted[number[keep]], kind="stable")]
    message = wanted[number[order]]
    shares = records.take(found[order])
    starts = np.flatnonzero(np.append(True, message[1:] != message[:-1]))
    counts = np.diff(np.append(starts, len(message)))
    totals = np.add.reduceat(shares.qty, starts)
    entries = joined_groups(_entries(context, shares), starts)
    return _instruction(context, records.take(rows), counts, totals, entries)


def _instruction(
    context: Context,
    block: Records,
    counts: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
    entries: pa.StringArray,
) -> pa.StringArray:
    none = np.zeros(len(block), np.bool_)
    number = ids.number_text
    return tags(
        [
            (70, ids.block_ids(block)),
            (71, fields.status_codes(block, "0", "1", "2")),
            (72, _earlier_blocks(block)),
            (626, "1"),
            (857, "1"),
            (73, "1"),
            (11, context.client_order_id(block)),
            (37, context.order_id(block)),
            (54, fields.side(block)),
            *fields.instrument_pairs(context, block, none, none),
            (53, number(totals)),
            (30, context.instrument(block, "mic")),
            (6, fields.price_text(block)),
            (423, fields.price_type(context, block)),
            (15, currency(block.ccy)),
            (0, fields.parties((context.broker(block), "D", "1"))),
            (75, date(block.trade_date)),
            (60, utc(block.event_ns)),
            (64, date(block.settle_date)),
            *fields.settle_pairs(block),
            (77, effect(block)),
            (78, number(counts)),
            (0, entries),
        ]
    )


def _earlier_blocks(block: Records) -> pa.StringArray:
    """AllocID(70) of the instruction this one replaces or cancels: the one of the version referred to."""
    earlier = ids.block_ids(block.with_(version=ids.earlier_version(block)))
    return choose(block.prev != 0, earlier, "")


def _entries(context: Context, shares: Records) -> pa.StringArray:
    """The allocation group's entry of each share."""
    prime = choose(shares.pb > 0, glue("539=1\x01524=", _prime(shares), "\x01525=D\x01538=4\x01"), "")
    costs: list[Pair] = [
        (12, money(shares.commission)),
        (13, "3"),
        (154, money(shown_net(shares))),
        (742, choose(shares.accrued != 0, money(shares.accrued), "")),
    ]
    charged = fees(shares) != 0
    return tags(
        [
            (79, context.account(shares, "account_id")),
            (467, ids.share_ids(shares)),
            (80, ids.number_text(shares.qty)),
            (0, prime),
            (153, fields.price_text(shares)),
            *costs,
            *([(0, fields.fee_group(shares))] if charged.any() else []),
        ]
    )
