"""Prime broker BRAVO: FIX 4.2 ExecutionReport(8), New York local times, account aliases, pence, custom fee tags."""

from decimal import ROUND_UP, Decimal
from zoneinfo import ZoneInfo

from simulator.ledger import CANCEL, CORRECT, NEW, Leg
from simulator.universe import Instrument
from simulator.wire import compact, local_seconds, plain

BEGIN = "FIX.4.2"
SENDER = "BRAVO"
_NEW_YORK = ZoneInfo("America/New_York")
_TRANS_TYPE = {NEW: "0", CANCEL: "1", CORRECT: "2"}
_SEC_FEE_RATE = Decimal("0.0000278")
_CENT = Decimal("0.01")


def render(leg: Leg) -> tuple[str, list[tuple[int, str]]]:
    """MsgType and body tags of one leg: London lines in pence with 15=GBX or GBp, commission(12) included."""
    order, line = leg.order, leg.order.instrument
    pence = line.ccy == "GBP" and leg.minor_units
    scale = 100 if pence else 1
    leaves = max(order.qty - leg.cum_qty, 0)
    source, identifier = line.identifiers[-1]
    tags = [(37, f"BO{order.order_id[2:]}"), (17, leg.uid), (20, _TRANS_TYPE[leg.status])]
    if leg.prev_uid:
        tags.append((19, leg.prev_uid))
    tags += [
        (11, order.client_order_id),
        (150, "2" if leaves == 0 else "1"),
        (39, "2" if leaves == 0 else "1"),
        (1, leg.account.alias),
        (55, line.broker_symbol),
        (48, identifier),
        (22, source),
        (54, leg.side),
        (32, str(leg.qty)),
        (31, f"{leg.price * scale:.4f}"),
        (14, str(leg.cum_qty)),
        (151, str(leaves)),
        (6, f"{leg.avg_price * scale:.4f}"),
        (15, _minor_code(line) if pence else line.ccy),
        (60, local_seconds(leg.event_ns, _NEW_YORK)),
        (75, compact(order.trade_date)),
        (64, compact(leg.settle_date)),
        (12, plain(leg.commission * scale)),
        (13, "3"),
        (9001, plain(fees(leg))),
    ]
    if leg.cross_uid:
        tags.append((9002, leg.cross_uid))
    return "8", tags


def _minor_code(line: Instrument) -> str:
    # Both spellings occur in the market; which one a line gets is fixed so that corrections agree with originals.
    return "GBX" if line.symbol < "H" else "GBp"


def fees(leg: Leg) -> Decimal:
    """The SEC fee on sales of US lines, rounded up to the cent; zero otherwise."""
    if leg.side == "1" or leg.order.instrument.ccy != "USD":
        return Decimal(0)
    return (_SEC_FEE_RATE * leg.qty * leg.price).quantize(_CENT, ROUND_UP)
