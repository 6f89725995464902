"""Set-ups that tempt a reconciliation into a wrong answer: two breaks in one trade, twins, offsets, near misses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from simulator.calendars import next_settle
from simulator.faults.bench import CENT, Bench, Mates, Planted, Trade, cure
from simulator.faults.pool import spread
from simulator.faults.trade_chain import Orders, cancelled_by_broker, cancelled_by_fund
from simulator.faults.trade_economics import wrong_price, wrong_qty, wrong_settle
from simulator.faults.trade_existence import at_broker, unknown_trade
from simulator.faults.trade_money import wrong_commission
from simulator.flow.book import BY_FILL
from simulator.market.world import CURRENCIES, Asset
from simulator.records import MONEY_UNIT, PRICE_UNIT, Bool, Level

_WHOLE = tuple(CURRENCIES.index(code) for code in ("JPY", "KRW"))
_ROUND_LOT = 100
_CHEAP, _DEAR = 80 * PRICE_UNIT, 130 * PRICE_UNIT
_LEAST_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Case:
    """An adversarial set-up as planted: the broker's rows involved, and its labels (none where nothing is wrong)."""

    name: str
    rows: tuple[int, ...]
    breaks: tuple[Planted, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """A set-up: which codes it plants, where it may be, and how it is made of a trade (None: not of this one)."""

    codes: tuple[str, ...]
    mask: Bool
    make: Callable[[Trade], Case | None]


Stage = Callable[[Bench], Scene]


def play(bench: Bench, stage: Stage, number: int) -> list[Case]:
    """Plant up to `number` cases of a set-up."""
    scene, made = stage(bench), list[Case]()
    if bench.profile.codes and not set(scene.codes) <= set(bench.profile.codes):
        return []
    for at in spread(bench.random, bench.pool, scene.mask, number).tolist():
        if len(made) == number:
            break
        if not bench.pool.free[at]:
            continue
        case = scene.make(bench.trade(at))
        if case is not None:
            bench.pool.free[at] = False
            breaks = tuple(replace(planted, case=case.name) for planted in case.breaks)
            made.append(Case(case.name, case.rows, breaks))
    return made


def two_breaks(bench: Bench) -> Scene:
    """Quantity and settlement date of one booking are wrong: two labels."""
    lines, dates = (bench.pool.column(name).astype(np.int32) for name in ("instrument", "settle_date"))
    later = next_settle(bench.world, lines, dates)

    def make(trade: Trade) -> Case:
        first = wrong_qty(bench, trade, trade.theirs["qty"] - max(1, trade.theirs["qty"] // 4))
        second = wrong_settle(bench, trade, int(later[trade.at]))
        return Case("two_breaks", (trade.row,), (first, second))

    return Scene(("T05", "T14"), _plain(bench) & (bench.pool.column("qty") > 1), make)


def break_and_cure(bench: Bench) -> Scene:
    """A wrong price that the broker corrects the same day."""

    def make(trade: Trade) -> Case | None:
        move = max(trade.theirs["price"] // 50 // bench.step(trade.theirs), 3) * bench.step(trade.theirs)
        cured = cure(bench, trade, wrong_price(bench, trade, trade.theirs["price"] + move))
        return None if cured is None else Case("break_and_cure", (trade.row,), (cured,))

    live = bench.of(*BY_FILL)
    return Scene(("T06",), _plain(bench) & live & (bench.pool.column("gross") > 1_000 * MONEY_UNIT), make)


def twins_swapped(bench: Bench) -> Scene:
    """Two executions alike to the millisecond; the broker quotes the id of each for the other. Nothing is wrong."""
    mates = _Twins(bench)

    def make(trade: Trade) -> Case | None:
        other = mates.other(trade)
        if other is None:
            return None
        bench.draft.edit(trade.row, cross=other.theirs["cross"])
        bench.draft.edit(other.row, cross=trade.theirs["cross"])
        return Case("twins_swapped", (trade.row, other.row), ())

    return Scene((), mates.mask, make)


def wrong_twin_cancelled(bench: Bench) -> Scene:
    """The fund cancels one of two twins, the broker cancels the other: one label each."""
    mates, orders = _Twins(bench), Orders(bench)

    def make(trade: Trade) -> Case | None:
        other = mates.other(trade)
        if other is None:
            return None
        first, second = cancelled_by_fund(bench, orders, trade), cancelled_by_broker(bench, other)
        return Case("wrong_twin_cancelled", (trade.row, other.row), (first, second))

    return Scene(("T22",), mates.mask, make)


def offsetting(bench: Bench) -> Scene:
    """Too much on one trade, as much too little on another of the same account and line: the position is right."""
    pool = bench.pool
    key = (pool.column("account") * 4096 + pool.column("instrument")) * 8 + pool.column("side")
    mates = Mates(key)

    def make(trade: Trade) -> Case | None:
        others = [at for at in mates.of(int(key[trade.at])) if at != trade.at and pool.free[at] and not pool.twin[at]]
        if not others:
            return None
        other = bench.trade(others[bench.below(len(others))])
        if other.theirs["qty"] < 2:
            return None
        pool.free[other.at] = False
        moved = max(1, min(trade.theirs["qty"], other.theirs["qty"]) // 2)
        more = wrong_qty(bench, trade, trade.theirs["qty"] + moved)
        less = wrong_qty(bench, other, other.theirs["qty"] - moved)
        return Case("offsetting", (trade.row, other.row), (more, less))

    return Scene(("T05",), _plain(bench) & mates.shared(), make)


def inside_tolerance(bench: Bench) -> Scene:
    """A price within half a unit of the digits shown, or a commission within a cent or a per cent: no break."""
    price = bench.pool.alone & (bench.pool.column("price") >= _DEAR)
    half, tolerance = _half_units(bench), _commission_tolerance(bench)

    def make(trade: Trade) -> Case:
        if price[trade.at] and bench.below(2):
            moved, digits = _visible(int(half[trade.at]) * 8 // 10)
            wrong_price(bench, trade, trade.theirs["price"] + moved * bench.sign(), decimals=digits)
        else:
            wrong_commission(bench, trade, trade.theirs["commission"] + int(tolerance[trade.at]))
        return Case("inside_tolerance", (trade.row,), ())

    # What the commission moves must stay within the tolerance of the net amount: 0.02 or half a basis point.
    modest = tolerance <= np.maximum(np.abs(bench.pool.column("net")) // 25_000, 2 * CENT)
    return Scene((), _plain(bench) & (bench.pool.column("commission") > 0) & modest, make)


def outside_tolerance(bench: Bench) -> Scene:
    """The same just beyond: T06 or T16."""
    pool = bench.pool
    price = pool.alone & (pool.column("price") <= _CHEAP) & (pool.column("qty") >= _ROUND_LOT)
    # Each execution of a block may have been rounded by a cent.
    half, tolerance = _half_units(bench), np.maximum(_commission_tolerance(bench), pool.count * _units(bench))

    def make(trade: Trade) -> Case:
        if price[trade.at] and bench.below(2):
            moved, digits = _visible(int(half[trade.at]) * 12 // 10)
            shown = trade.theirs["price"] + moved * bench.sign()
            planted = wrong_price(bench, trade, shown, decimals=digits)
        else:
            unit = MONEY_UNIT if trade.theirs["ccy"] in _WHOLE else CENT
            moved = (int(tolerance[trade.at]) // unit + 1) * unit
            planted = wrong_commission(bench, trade, trade.theirs["commission"] + moved)
        return Case("outside_tolerance", (trade.row,), (planted,))

    # Two decimals: with more, half a unit is too little money to be a break of the price.
    return Scene(("T06", "T16"), _plain(bench) & (pool.column("commission") > 0) & (half == PRICE_UNIT // 200), make)


def two_brokers(bench: Bench) -> Scene:
    """The same trade is booked at a second broker too, under orders unknown to us: T02 there, the first is right."""
    accounts, present = bench.world.accounts, set(bench.profile.pbs)
    letters = np.array(["?", *"ABCDE"])[accounts.pb]
    shown = np.isin(letters, sorted(present))

    def make(trade: Trade) -> Case | None:
        there = np.flatnonzero(shown & (accounts.pb != trade.theirs["source"]))
        if not len(there):
            return None
        stray = {
            **trade.theirs, **at_broker(bench, trade, int(there[bench.below(len(there))])),
            "cross": 0, "order": -1, "group": 0, "cum_qty": 0, "order_qty": 0, "noise": 0, "uti": 0,
        }  # fmt: skip
        row = bench.draft.add(stray)
        bench.draft.reprice(row)
        return Case("two_brokers", (trade.row, row), (unknown_trade(bench, row),))

    return Scene(("T02",), _plain(bench), make)


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "twins_swapped": twins_swapped,
        "wrong_twin_cancelled": wrong_twin_cancelled,
        "offsetting": offsetting,
        "two_breaks": two_breaks,
        "break_and_cure": break_and_cure,
        "inside_tolerance": inside_tolerance,
        "outside_tolerance": outside_tolerance,
        "two_brokers": two_brokers,
    }
)


class _Twins:
    """Pairs of executions that one broker booked and nobody can tell apart."""

    def __init__(self, bench: Bench) -> None:
        self._bench, pool = bench, bench.pool
        columns = [pool.column(name) for name in ("source", "order", "qty", "price", "event_ns")]
        table = np.stack(columns, axis=1)
        single = pool.alone & pool.twin & bench.of(*BY_FILL) & (pool.column("level") == Level.FILL)
        rows = np.flatnonzero(single)
        _, place, count = np.unique(table[rows], axis=0, return_inverse=True, return_counts=True)
        place = place.reshape(-1)
        self._keys = -1 - np.arange(len(single))
        self._keys[rows] = place
        self._mates = Mates(self._keys)
        self.mask: Bool = np.zeros(len(single), np.bool_)
        self.mask[rows] = count[place] == 2

    def other(self, trade: Trade) -> Trade | None:
        """The twin of a trade, taken from the pool."""
        pool = self._bench.pool
        others = [at for at in self._mates.of(int(self._keys[trade.at])) if at != trade.at and pool.free[at]]
        if not others:
            return None
        pool.free[others[0]] = False
        return self._bench.trade(others[0])


def _plain(bench: Bench) -> Bool:
    return ~bench.pool.twin & bench.is_asset(Asset.EQUITY, Asset.ETF)


def _half_units(bench: Bench) -> "np.typing.NDArray[np.int64]":
    """Half a unit of the coarser precision the two sides show, at least of two digits."""
    pool = bench.pool
    ours = pool.records.price_dp[pool.ours[pool.first]]
    digits = np.maximum(np.minimum(pool.column("price_dp"), ours), _LEAST_DIGITS)
    return PRICE_UNIT // 2 // 10 ** digits.astype(np.int64)


def _visible(moved: int) -> tuple[int, int]:
    """A change of price and the decimals it takes to show it."""
    digits = 8
    while digits and moved % 10 == 0:
        moved //= 10
        digits -= 1
    return moved * 10 ** (8 - digits), digits


def _commission_tolerance(bench: Bench) -> "np.typing.NDArray[np.int64]":
    """The larger of a cent (a yen) and one per cent, in whole units."""
    units = _units(bench)
    made: np.typing.NDArray[np.int64] = np.maximum(bench.pool.column("commission") // 100 // units, 1) * units
    return made


def _units(bench: Bench) -> "np.typing.NDArray[np.int64]":
    return np.where(np.isin(bench.pool.column("ccy"), _WHOLE), MONEY_UNIT, CENT)
