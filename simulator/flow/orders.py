"""A day's orders before they are filled: names by popularity, sides and marks, accounts or blocks, sizes, spans."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from simulator.calendars import settle_dates
from simulator.flow.rng import rng
from simulator.flow.timing import business_day, open_lines, sessions
from simulator.market.universe import KINDS, kinds, weights
from simulator.market.world import World
from simulator.profiles import Profile
from simulator.records import I8, I16, I32, I64, SECOND_NS, Bool, Columns, Effect, Orders, Side, Source

# Kinds of instrument as numbers, in the order of KINDS.
EQUITY, OPTION, FUTURE, FX, BOND, OTC = range(len(KINDS))

_MEDIAN_SHARES, _SIZE_SIGMA = 1_300, 1.48
_MEAN_FILL = 262
_EXTRA_FILLS = {OPTION: 2.0, FUTURE: 3.0}
_MOST_ACCOUNTS = 5
_ALGO_SHARE = 0.55
_SELL_SHARE, _SHORT_SHARE, _EXEMPT_SHARE, _COVER_SHARE = 0.33, 0.35, 0.02, 0.10
_AS_OF_SHARE = 0.001
_CROSS_SHARE = 0.04
RULES = 4

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Draft(Columns):
    """Orders as decided before any fill, one row each; `account` -1 is a block, `fills` how many it will get.

    `span_ns` is how long its execution takes; `as_of` marks trades of the previous day (`trade_date`) that only come
    in today; `cross` those that settle in US dollars though the market trades another currency.
    """

    kind: I8
    instrument: I32
    side: I8
    effect: I8
    account: I16
    broker: I8
    rule: I8
    fills: I64
    start_ns: I64
    span_ns: I64
    trade_date: I32
    settle_date: I32
    as_of: Bool
    cross: Bool


def draw_orders(seed: int, day: int, world: World, profile: Profile) -> Draft:
    """As many orders as it takes for exactly `profile.fills` executions, in order of their start."""
    random = rng(seed, day, "orders")
    popularity = weights(world) * open_lines(world, day)
    kind, fills = _sized(random, world, profile, popularity)
    rows = len(kind)
    instrument = _instruments(random, world, kind, popularity)
    side, effect = _sides(random, kind)
    as_of = random.random(rows) < _AS_OF_SHARE
    if rows >= 500 and not as_of.any():
        as_of[rows // 2] = True
    start, span = _times(random, world, instrument, kind, day)
    before = business_day(day, -1)
    trade_date = np.where(as_of, before, day).astype(np.int32)
    settle = np.where(as_of, settle_dates(world, instrument, before), settle_dates(world, instrument, day))
    lines = world.instruments
    draft = Draft(
        kind=kind,
        instrument=instrument,
        side=side,
        effect=effect,
        account=_accounts(random, world, profile, kind),
        broker=random.integers(0, len(world.brokers), rows).astype(np.int8),
        rule=random.integers(0, RULES, rows).astype(np.int8),
        fills=fills,
        start_ns=start - (day - trade_date.astype(np.int64)) * 86_400 * SECOND_NS,
        span_ns=span,
        trade_date=trade_date,
        settle_date=settle.astype(np.int32),
        as_of=as_of,
        cross=(kind == EQUITY) & (lines.ccy[instrument] != 0) & (random.random(rows) < _CROSS_SHARE),
    )
    return draft.take(np.argsort(draft.start_ns, kind="stable"))


def finished(draft: Draft, day: int, qty: I64) -> Orders:
    """The orders as they are handed on; `qty` is what each of them was for."""
    rows = len(draft)
    return Orders(
        number=np.arange(1, rows + 1, dtype=np.int64),
        day=np.full(rows, day, np.int32),
        instrument=draft.instrument,
        side=draft.side,
        effect=draft.effect,
        qty=qty,
        account=draft.account,
        broker=draft.broker,
        rule=draft.rule,
        settle_date=draft.settle_date,
        start_ns=draft.start_ns,
    )


def accounts_of(world: World, profile: Profile) -> npt.NDArray[np.int64]:
    """Rows of the accounts held at the profile's prime brokers."""
    sources = [source for source in Source if source and source.name[0] in profile.pbs]
    return np.flatnonzero(np.isin(world.accounts.pb, sources))


def _sized(random: Generator, world: World, profile: Profile, popularity: Weights) -> tuple[I8, I64]:
    """The kind and the number of fills of each order; the numbers add up to `profile.fills`."""
    traded = np.bincount(kinds(world), popularity, len(KINDS)) > 0
    mix = np.array([profile.mix.get(name, 0) for name in KINDS]) * traded
    mix = mix / mix.sum()
    drawn: list[I8] = []
    counts: list[I64] = []
    missing = profile.fills
    while missing > 0:
        kind = random.choice(len(mix), missing // 8 + 50, p=mix).astype(np.int8)
        count = _counts(random, kind, profile.most_fills)
        drawn.append(kind)
        counts.append(count)
        missing -= int(count.sum())
    kind, count = np.concatenate(drawn), np.concatenate(counts)
    last = int(np.searchsorted(np.cumsum(count), profile.fills))
    kind, count = kind[: last + 1], count[: last + 1]
    count[last] -= int(count.sum()) - profile.fills
    return kind, count


def _counts(random: Generator, kind: I8, most: int) -> I64:
    shares = random.lognormal(np.log(_MEDIAN_SHARES), _SIZE_SIGMA, len(kind))
    count = np.clip(np.rint(shares / _MEAN_FILL), 1, most).astype(np.int64)
    count[kind >= FX] = 1
    for number, mean in _EXTRA_FILLS.items():
        of = kind == number
        count[of] = 1 + random.poisson(mean, int(of.sum()))
    return count


def _instruments(random: Generator, world: World, kind: I8, popularity: Weights) -> I32:
    made = np.zeros(len(kind), np.int32)
    for number in range(len(KINDS)):
        of = np.flatnonzero(kind == number)
        lines = np.flatnonzero(kinds(world) == number)
        if len(of):
            share = popularity[lines] / popularity[lines].sum()
            made[of] = random.choice(lines, len(of), p=share)
    return made


def _sides(random: Generator, kind: I8) -> tuple[I8, I8]:
    rows = len(kind)
    sell = random.random(rows) < np.where(kind == EQUITY, _SELL_SHARE, 0.5)
    short = sell & (kind == EQUITY) & (random.random(rows) < _SHORT_SHARE)
    exempt = short & (random.random(rows) < _EXEMPT_SHARE)
    side = np.where(sell, Side.SELL, Side.BUY)
    side = np.where(short, Side.SELL_SHORT, side)
    side = np.where(exempt, Side.SELL_SHORT_EXEMPT, side)
    draw = random.random(rows)
    cover = (kind == EQUITY) & ~sell & (draw < _COVER_SHARE)
    listed = (kind == OPTION) | (kind == FUTURE)
    effect = np.where(listed, np.where(draw < 0.6, Effect.OPEN, Effect.CLOSE), Effect.NONE)
    effect = np.where(cover, Effect.CLOSE, effect)
    return side.astype(np.int8), effect.astype(np.int8)


def _accounts(random: Generator, world: World, profile: Profile, kind: I8) -> I16:
    held = accounts_of(world, profile)
    account = held[random.integers(0, len(held), len(kind))]
    block = (kind == EQUITY) & (random.random(len(kind)) < profile.blocks_percent / 100) & (len(held) > 1)
    return np.where(block, -1, account).astype(np.int16)


def block_accounts(random: Generator, world: World, profile: Profile, blocks: int) -> tuple[I64, I64]:
    """For each block up to five different accounts (rows of a matrix) and how many of them take part, 2 to 5."""
    held = accounts_of(world, profile)
    chosen = np.argsort(random.random((blocks, len(held))), axis=1)[:, :_MOST_ACCOUNTS]
    most = min(_MOST_ACCOUNTS, len(held))
    return held[chosen], random.integers(2, most + 1, blocks)


def _times(random: Generator, world: World, instrument: I32, kind: I8, day: int) -> tuple[I64, I64]:
    """Start and span of the executions: half of the orders are worked for about half an hour, the rest in seconds."""
    rows = len(kind)
    opening, length = sessions(world, instrument, day)
    algo = (random.random(rows) < _ALGO_SHARE) & (kind <= FUTURE)
    slow = random.integers(600_000, 3_000_000, rows)
    quick = random.integers(1_000, 60_000, rows)
    span = np.where(algo, slow, quick) * 1_000_000
    start = opening + (random.random(rows) * (length - span)).astype(np.int64) // 1_000_000 * 1_000_000
    return start, span
