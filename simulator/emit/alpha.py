"""Prime broker ALPHA: FIX 4.4 TradeCaptureReport(AE), our ExecID or IndividualAllocID in SecondaryExecID(527)."""

import numpy as np
import pyarrow as pa

from simulator import ids
from simulator.emit import fields
from simulator.emit.context import Context, currency, effect, has, own
from simulator.emit.text import choose, coded, date, tags, utc
from simulator.records import Index, Records, Source

BEGIN = "FIX.4.4"
SENDER = "ALPHA"
SOURCE = Source.ALPHA
# Counterparties whose names are not ASCII: free text that must not matter to anybody.
_NAMES = ("Crédit Hallaine SA, Genève", "Zürcher Kontor AG", "Øresund Fondsmæglerselskab A/S")


def heads(records: Records) -> Index:
    """Rows that head a message: each record of ALPHA's."""
    return np.flatnonzero(own(records, SOURCE))


def render(context: Context, records: Records, rows: Index) -> tuple[pa.StringArray, pa.StringArray]:
    """MsgType(35) and body of the records at `rows`."""
    mine = records.take(rows)
    none = np.zeros(len(mine), np.bool_)
    refused = fields.rejected(mine)
    seconds, tomorrow = has(mine, 6), has(mine, 26)
    at = utc(mine.event_ns)
    named = choose(has(mine, 29), coded(mine.serial % len(_NAMES), _NAMES), "")
    body = tags(
        [
            (571, ids.uids(mine, SOURCE)),
            (487, fields.status_codes(mine, "0", "2", "1")),
            (856, "0"),
            (572, ids.referred(mine, SOURCE)),
            (939, choose(refused, "1", "")),
            (751, choose(refused, "99", "")),
            (527, ids.quoted(mine)),
            (570, "N"),
            *fields.instrument_pairs(context, mine, none, has(mine, 1)),
            (32, ids.number_text(mine.qty)),
            (31, fields.price_text(mine)),
            (423, fields.price_type(context, mine)),
            (30, context.instrument(mine, "mic")),
            (75, date(mine.trade_date)),
            (60, choose(seconds, utc(mine.event_ns, "s"), at) if seconds.any() else at),
            (63, choose(tomorrow, "2", "")),
            (64, choose(tomorrow, "", date(mine.settle_date))),
            (15, currency(mine.ccy)),
            *fields.settle_pairs(mine),
            *fields.otc_pairs(mine),
            (552, "1"),
            (54, fields.side(mine)),
            (37, context.order_id(mine)),
            (11, context.client_order_id(mine)),
            (0, fields.parties((context.broker(mine), "D", "1"), (named, "D", "17"))),
            (1, context.account(mine, "alias")),
            (77, effect(mine)),
            *fields.cost_pairs(mine),
            (0, fields.fee_group(mine)),
            (58, choose(refused, "Not affirmed: trade is rejected", "")),
            *fields.chatter(mine),
        ]
    )
    return pa.array(["AE"] * len(mine), pa.string()), body
