"""Prime broker ALPHA: FIX 4.4 TradeCaptureReport(AE), one per fill, our ExecID in SecondaryExecID(527)."""

from simulator.ledger import CANCEL, CORRECT, NEW, Leg
from simulator.wire import compact, utc_ms

BEGIN = "FIX.4.4"
SENDER = "ALPHA"
_TRANS_TYPE = {NEW: "0", CANCEL: "1", CORRECT: "2"}


def render(leg: Leg) -> tuple[str, list[tuple[int, str]]]:
    """MsgType and body tags of one leg; prices carry six decimals whatever the tick."""
    order, line = leg.order, leg.order.instrument
    tags = [(571, leg.uid), (487, _TRANS_TYPE[leg.status]), (856, "0")]
    if leg.prev_uid:
        tags.append((572, leg.prev_uid))
    if leg.cross_uid:
        tags.append((527, leg.cross_uid))
    tags += [
        (570, "N"),
        (55, line.symbol.partition(".")[0] if line.ccy != "USD" else line.symbol),
        (48, line.isin),
        (22, "4"),
        (32, str(leg.qty)),
        (31, f"{leg.price:.6f}"),
        (75, compact(order.trade_date)),
        (60, utc_ms(leg.event_ns)),
        (64, compact(leg.settle_date)),
        (15, line.ccy),
        (552, "1"),
        (54, leg.side),
        (37, order.order_id),
        (11, order.client_order_id),
        (1, leg.account.alias),
        (12, f"{leg.commission:.2f}"),
        (13, "3"),
    ]
    return "AE", tags
