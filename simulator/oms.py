"""The fund's order management system: FIX 4.4 ExecutionReport(8), one per fill, with the prime broker in Parties."""

from simulator.ledger import CANCEL, NEW, Leg
from simulator.wire import compact, plain, utc_ms

BEGIN = "FIX.4.4"
SENDER = "MERIDIAN_OMS"
_EXEC_TYPE = {NEW: "F", "CORRECT": "G", CANCEL: "H"}


def render(leg: Leg) -> tuple[str, list[tuple[int, str]]]:
    """MsgType and body tags of one leg."""
    order, line = leg.order, leg.order.instrument
    leaves = order.qty - leg.cum_qty
    tags = [
        (37, order.order_id),
        (11, order.client_order_id),
        (17, leg.uid),
        (150, _EXEC_TYPE[leg.status]),
        (39, "2" if leaves == 0 else "1"),
        (1, leg.account.account_id),
        (55, line.symbol),
        (48, line.isin),
        (22, "4"),
        (54, leg.side),
        (38, str(order.qty)),
        (32, str(leg.qty)),
        (31, plain(leg.price)),
        (14, str(leg.cum_qty)),
        (151, str(leaves)),
        (6, plain(leg.avg_price)),
        (15, line.ccy),
        (60, utc_ms(leg.event_ns)),
        (75, compact(order.trade_date)),
        (64, compact(leg.settle_date)),
        (12, plain(leg.commission)),
        (13, "3"),
        (453, "1"),
        (448, order.account.pb),
        (447, "D"),
        (452, "4"),
    ]
    if leg.prev_uid:
        tags.insert(3, (19, leg.prev_uid))
    return "8", tags
