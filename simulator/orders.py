"""Orders and fills: a Zipf-like choice of names, order sizes with a tail, fills that walk the price by ticks."""

from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

from simulator.calendars import settle_date
from simulator.ledger import Fill, Order
from simulator.universe import Account, Instrument, Universe

_SECOND_NS = 1_000_000_000
_SPAN_SECONDS = 600
_CENT = Decimal("0.01")
_PX6 = Decimal("0.000001")

# market -> (zone, first order hour and minute, seconds during which orders start)
_HOURS = {
    "USD": (ZoneInfo("America/New_York"), time(9, 30), 22_500),
    "GBP": (ZoneInfo("Europe/London"), time(8, 0), 28_000),
    "EUR": (ZoneInfo("Europe/Berlin"), time(9, 0), 28_000),
}
_PER_SHARE = {"ALPHA": Decimal("0.0050"), "BRAVO": Decimal("0.0040"), "CHARLIE": Decimal("0.0060")}
_EUROPE_RATE = Decimal("0.0002")


def make_fills(rng: Random, world: Universe, trade_date: date, fills: int) -> list[Fill]:
    """Exactly `fills` executions of the fund's orders, in order of time within each order."""
    weights = [1_000 // (rank + 3) for rank in range(len(world.instruments))]
    lines = list(world.instruments)
    rng.shuffle(lines)
    cumulative = list(accumulate(weights))
    made: list[Fill] = []
    number = 0
    while len(made) < fills:
        number += 1
        line = rng.choices(lines, cum_weights=cumulative)[0]
        account = world.accounts[rng.randrange(len(world.accounts))]
        count = min(rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 15)), fills - len(made))
        made += _order_fills(rng, _Draft(number, line, account, trade_date), count, len(made))
    return made


class _Draft:
    """An order before its size is known."""

    def __init__(self, number: int, line: Instrument, account: Account, trade_date: date) -> None:
        self.number, self.line, self.account, self.trade_date = number, line, account, trade_date

    def order(self, side: str, qty: int) -> Order:
        day = f"{self.trade_date:%y%m%d}"
        return Order(
            order_id=f"MO{day}{self.number:05d}",
            client_order_id=f"MC{day}-{self.number:05d}",
            account=self.account,
            instrument=self.line,
            side=side,
            qty=qty,
            trade_date=self.trade_date,
            settle_date=settle_date(self.line.mic, self.trade_date),
        )


def _order_fills(rng: Random, draft: _Draft, count: int, done: int) -> list[Fill]:
    sizes = [_fill_size(rng) for _ in range(count)]
    order = draft.order(rng.choices(("1", "2", "5"), cum_weights=(50, 83, 100))[0], sum(sizes))
    line = draft.line
    at_ns = _start_ns(rng, line, draft.trade_date)
    span_ns = _SPAN_SECONDS * _SECOND_NS // max(count, 1)
    price = line.price + line.tick * rng.randrange(-60, 61)
    made: list[Fill] = []
    cum, notional = 0, Decimal(0)
    for index, qty in enumerate(sizes):
        if made and rng.randrange(100) < 8:
            qty, price = _twin(sizes, index, made[-1])  # same second, price and size: two real, identical fills
        else:
            price = max(line.tick, price + line.tick * rng.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2)))
            at_ns += rng.randrange(40_000_000, span_ns)
        cum += qty
        notional += qty * price
        average = (notional / cum).quantize(_PX6, ROUND_HALF_UP)
        exec_id = f"ME{draft.trade_date:%y%m%d}{done + index + 1:06d}"
        made.append(Fill(exec_id, order, qty, price, commission(order, qty, price), at_ns, cum, average))
    return made


def _twin(sizes: list[int], index: int, before: Fill) -> tuple[int, Decimal]:
    # The order's total was fixed from `sizes`; taking the earlier size is only allowed when it keeps that total.
    return (before.qty, before.price) if sizes[index] == before.qty else (sizes[index], before.price)


def _fill_size(rng: Random) -> int:
    draw = rng.randrange(100)
    if draw < 38:
        return 100
    if draw < 60:
        return 100 * rng.randrange(2, 6)
    if draw < 85:
        return rng.randrange(1, 100)
    return 100 * rng.choice((6, 8, 10, 12, 15, 20, 30, 50))


def _start_ns(rng: Random, line: Instrument, trade_date: date) -> int:
    zone, opening, seconds = _HOURS[line.ccy]
    start = int(datetime.combine(trade_date, opening, zone).timestamp())
    return (start + rng.randrange(seconds)) * _SECOND_NS + rng.randrange(1_000) * 1_000_000


def commission(order: Order, qty: int, price: Decimal) -> Decimal:
    """The agreed commission in the instrument's currency: per share in the US, 2 bp of notional elsewhere, >= 0.01."""
    if order.instrument.ccy == "USD":
        amount = _PER_SHARE.get(order.account.pb, _PER_SHARE["ALPHA"]) * qty
    else:
        amount = _EUROPE_RATE * qty * price
    return max(_CENT, amount.quantize(_CENT, ROUND_HALF_UP))
