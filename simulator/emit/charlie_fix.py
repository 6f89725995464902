"""Prime broker CHARLIE over FIX: 4.4 AllocationReport(AS), one per order and account at the average price."""

import numpy as np
import pyarrow as pa

from simulator import ids
from simulator.emit import fields
from simulator.emit.context import Context, currency, effect, has, money, own, shown_net
from simulator.emit.text import choose, coded, date, glue, tags, utc
from simulator.records import Index, Records, Source

BEGIN = "FIX.4.4"
SENDER = "CHARLIE"
SOURCE = Source.CHARLIE


def heads(records: Records) -> Index:
    """Rows that head a message: each record of CHARLIE's."""
    return np.flatnonzero(own(records, SOURCE))


def render(context: Context, records: Records, rows: Index) -> tuple[pa.StringArray, pa.StringArray]:
    """MsgType(35) and body of the records at `rows`."""
    mine = records.take(rows)
    none = np.zeros(len(mine), np.bool_)
    uid, qty, price = ids.uids(mine, SOURCE), ids.number_text(mine.qty), fields.price_text(mine)
    refused = fields.rejected(mine)
    body = tags(
        [
            (755, glue("R", uid)),
            (70, uid),
            (71, fields.status_codes(mine, "0", "1", "2")),
            (72, ids.referred(mine, SOURCE)),
            (626, "1"),
            (794, "3"),
            (87, coded(refused.astype(np.int8), ("0", "1"))),
            (88, choose(refused, "99", "")),
            (857, "1"),
            (73, "1"),
            (11, context.client_order_id(mine)),
            (37, context.order_id(mine)),
            (54, fields.side(mine)),
            *fields.instrument_pairs(context, mine, has(mine, 2), none),
            (53, qty),
            (6, price),
            (423, fields.price_type(context, mine)),
            (15, currency(mine.ccy)),
            (0, fields.parties((context.broker(mine), "D", "1"))),
            (75, date(mine.trade_date)),
            (60, utc(mine.event_ns)),
            (64, date(mine.settle_date)),
            *fields.settle_pairs(mine),
            (77, effect(mine)),
            *fields.otc_pairs(mine),
            (78, "1"),
            (79, context.account(mine, "alias")),
            (80, qty),
            (153, price),
            (12, money(mine.commission)),
            (13, "3"),
            (154, money(shown_net(mine))),
            (742, choose(mine.accrued != 0, money(mine.accrued), "")),
            (0, fields.fee_group(mine)),
            (58, choose(refused, "Rejected: unknown to the client's prime account", "")),
        ]
    )
    return pa.array(["AS"] * len(mine), pa.string()), body
