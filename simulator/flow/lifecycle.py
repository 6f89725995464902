"""What happens to executions afterwards: busts and corrections, same day or next morning, some of them twice."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from simulator.flow.fees import charge
from simulator.flow.fills import Fills, segment_sums
from simulator.flow.rng import rng
from simulator.flow.rows import Basis
from simulator.flow.timing import MS_NS, business_day, morning
from simulator.records import I64, Bool, Records, Status, divide

_BUSTS, _CORRECTIONS = 0.002, 0.005
_AGAIN, _AGAIN_BUST = 0.15, 0.35
_TO_ORIGINAL = 0.5
_DELAY_SECONDS = (90, 2_400)
_AGAIN_SECONDS = (90, 1_200)
_MOST_TICKS = 3
# Average prices are shown to a millionth.
_AVERAGE_STEP = 100

# Columns of a state: what an order has bought or sold so far and what it cost.
QTY, NOTIONAL = 0, 1
_COSTS = ("commission", "fee_sec", "fee_exchange", "tax", "accrued")


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Later versions of executions: `records`, and what each of them changes in its order's totals (`delta`).

    `delta` has the columns of a state (quantity, notional, costs); the fund knows it at `records.arrive_ns`.
    """

    records: Records
    delta: I64

    @property
    def order(self) -> I64:
        """The order each change belongs to."""
        return self.records.order.astype(np.int64)

    @property
    def known_ns(self) -> I64:
        """When the fund hears of each change."""
        return self.records.arrive_ns


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What each order amounts to as executed (`base`, orders by state columns), and the changes since."""

    base: I64
    changes: Changes

    def at(self, orders: I64, known_ns: I64) -> I64:
        """State of `orders` with the changes known by a moment for each of them."""
        moment = np.full(len(self.base), -1, np.int64)
        moment[orders] = known_ns
        known = self.changes.known_ns <= moment[self.changes.order]
        made = np.zeros_like(self.base)
        np.add.at(made, self.changes.order[known], self.changes.delta[known])
        return self.base[orders] + made[orders]

    def last_change(self, orders: I64) -> I64:
        """When the last change of each of `orders` is known; 0 without one."""
        made = np.zeros(len(self.base), np.int64)
        np.maximum.at(made, self.changes.order, self.changes.known_ns)
        return made[orders]

    def last_bust(self, orders: I64) -> I64:
        """When the last cancel of each of `orders` is known; 0 without one."""
        made = np.zeros(len(self.base), np.int64)
        bust = self.changes.records.status == Status.CANCEL
        np.maximum.at(made, self.changes.order[bust], self.changes.known_ns[bust])
        return made[orders]


def draw_changes(base: Basis, own: Records, next_day_percent: int) -> Changes:
    """Busts of 0.2% and corrections of 0.5% of the fund's executions `own`, some of the corrections changed again.

    `next_day_percent` of the corrections come the next morning.
    """
    random = rng(base.seed, base.day, "lifecycle")
    busts, corrections = round(len(own) * _BUSTS), round(len(own) * _CORRECTIONS)
    chosen = random.choice(len(own), busts + corrections, replace=False)
    bust = np.arange(len(chosen)) < busts
    first = _changed(random, base, own.take(chosen), bust, _DELAY_SECONDS)
    first = first.with_(serial=len(own) + 1 + np.arange(len(first)))
    next_day = np.flatnonzero(~bust & (random.random(len(chosen)) >= 1 - next_day_percent / 100))
    arrive = first.arrive_ns.copy()
    arrive[next_day] = morning(random, business_day(base.day, 1), len(next_day))
    first = first.with_(arrive_ns=arrive)
    again = np.flatnonzero(~bust & (random.random(len(chosen)) < _AGAIN))
    # A bust the day after would be a cancel of a settled position: those are corrections again.
    rebust = (random.random(len(again)) < _AGAIN_BUST) & ~np.isin(again, next_day)
    earlier = first.take(again)
    second = _changed(random, base, earlier, rebust, _AGAIN_SECONDS)
    original = random.random(len(again)) < _TO_ORIGINAL
    second = second.with_(
        serial=len(own) + 1 + len(first) + np.arange(len(second)),
        prev=np.where(original, earlier.root, earlier.serial),
    )
    records = Records.concat([first, second])
    before = Records.concat([own.take(chosen), earlier])
    return Changes(records, state_of(records) - state_of(before))


def _changed(random: Generator, base: Basis, before: Records, bust: Bool, seconds: tuple[int, int]) -> Records:
    """The next version of records: a cancel, or a correction of the price by up to three ticks."""
    rows = len(before)
    ticks = random.integers(1, _MOST_TICKS + 1, rows) * random.choice([-1, 1], rows)
    tick = base.world.instruments.tick[before.instrument]
    moved = before.price + ticks * tick
    moved = np.where(moved > 0, moved, before.price - ticks * tick)
    delay = random.integers(seconds[0] * 1_000, seconds[1] * 1_000, rows) * MS_NS
    after = before.with_(
        status=np.where(bust, Status.CANCEL, Status.CORRECT),
        price=np.where(bust, before.price, moved),
        version=before.version + 1,
        prev=before.serial,
        arrive_ns=before.arrive_ns + delay,
        noise=0,
    )
    return charge(after, base.world)


def state_of(records: Records) -> I64:
    """What each record amounts to, as a row of state columns; a cancel amounts to nothing."""
    columns = [records.qty, records.qty * records.price, *(getattr(records, name) for name in _COSTS)]
    made: I64 = np.stack(columns, axis=1)
    made[records.status == Status.CANCEL] = 0
    return made


def costs_of(state: I64) -> dict[str, I64]:
    """The cost columns of a state by name."""
    return {name: state[:, 2 + number] for number, name in enumerate(_COSTS)}


def executed(own: Records, fills: Fills, changes: Changes) -> State:
    """What each order amounts to over its executions, and after each change."""
    columns = [own.qty, own.qty * own.price, *(getattr(own, name) for name in _COSTS)]
    return State(np.stack([segment_sums(column, fills.first) for column in columns], axis=1), changes)


def with_running(own: Records, changes: Changes, state: State) -> tuple[Records, Changes]:
    """Both with order quantity, cumulative quantity and average price as of each event, as the fund reports them."""
    both = Records.concat([own, changes.records])
    qty = np.concatenate([own.qty, changes.delta[:, QTY]])
    notional = np.concatenate([own.qty * own.price, changes.delta[:, NOTIONAL]])
    happened = np.concatenate([own.event_ns, changes.known_ns])
    sequence = np.lexsort((happened, both.order))
    starts = np.flatnonzero(np.diff(both.order[sequence], prepend=-1))
    cum, spent = (_running(column[sequence], starts) for column in (qty, notional))
    average = np.where(cum > 0, divide(spent, np.maximum(cum, 1) * _AVERAGE_STEP) * _AVERAGE_STEP, 0)
    made = {name: np.empty(len(both), np.int64) for name in ("cum_qty", "avg_price")}
    made["cum_qty"][sequence], made["avg_price"][sequence] = cum, average
    both = both.with_(order_qty=state.base[both.order, QTY], **made)
    split = len(own)
    later = Changes(both.take(slice(split, None)), changes.delta)
    return both.take(slice(0, split)), later


def _running(values: I64, starts: I64) -> I64:
    """Sums so far within runs that begin at `starts`; sums over all runs may wrap, differences stay exact."""
    total = np.cumsum(values)
    before = total[starts] - values[starts]
    lengths = np.diff(np.append(starts, len(values)))
    made: I64 = total - np.repeat(before, lengths)
    return made
