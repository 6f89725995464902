"""Prime broker CHARLIE: FIX 4.4 AllocationReport(AS), one per order and account, average price at four decimals."""

from decimal import ROUND_HALF_UP, Decimal

from simulator.ledger import CANCEL, CORRECT, NEW, Leg
from simulator.wire import compact, utc_ms

BEGIN = "FIX.4.4"
SENDER = "CHARLIE"
_TRANS_TYPE = {NEW: "0", CORRECT: "1", CANCEL: "2"}
_CENT = Decimal("0.01")


def render(leg: Leg) -> tuple[str, list[tuple[int, str]]]:
    """MsgType and body tags of one leg; net money is gross plus commission on buys, minus commission on sales."""
    order, line = leg.order, leg.order.instrument
    price = f"{leg.price:.4f}"
    gross = (leg.qty * leg.price).quantize(_CENT, ROUND_HALF_UP)
    net = gross + leg.commission if leg.side == "1" else gross - leg.commission
    tags = [(755, f"R{leg.uid}"), (70, leg.uid), (71, _TRANS_TYPE[leg.status])]
    if leg.prev_uid:
        tags.append((72, leg.prev_uid))
    source, identifier = line.identifiers[0]
    tags += [
        (626, "1"),
        (794, "3"),
        (87, "0"),
        (857, "1"),
        (73, "1"),
        (11, order.client_order_id),
        (37, order.order_id),
        (54, leg.side),
        (55, line.symbol.replace(".", "") if line.ccy == "USD" else line.broker_symbol),
        (48, identifier),
        (22, source),
        (53, str(leg.qty)),
        (6, price),
        (15, line.ccy),
        (75, compact(order.trade_date)),
        (60, utc_ms(leg.event_ns)),
        (64, compact(leg.settle_date)),
        (78, "1"),
        (79, leg.account.alias),
        (80, str(leg.qty)),
        (153, price),
        (154, f"{net:.2f}"),
        (12, f"{leg.commission:.2f}"),
        (13, "3"),
    ]
    return "AS", tags
