"""Executions of the orders: sizes in round and odd lots, prices that walk by ticks, times, identical twins."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from simulator.flow.orders import BOND, EQUITY, FUTURE, FX, OPTION, OTC, Draft
from simulator.flow.rng import rng
from simulator.market.world import Asset, World
from simulator.records import I8, I64, Bool

# Repetitions; each makes two fills alike.
_TWIN_SHARE = 0.033
_MS = 1_000_000
_SWING = 200  # an order's first price lies within one part in this of the line's price
_MOST_TICKS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """One row per execution, an order's rows one after the other in order of time.

    `order` is a row of the draft, `first` the row of each order's first fill, `twin` marks a fill that repeats the
    one before it in everything but its id, or is so repeated.
    """

    order: I64
    first: I64
    qty: I64
    price: I64
    event_ns: I64
    twin: Bool


def draw_fills(seed: int, day: int, world: World, draft: Draft) -> Fills:
    """All executions of the day's orders."""
    random = rng(seed, day, "fills")
    first = np.concatenate(([0], np.cumsum(draft.fills)[:-1])).astype(np.int64)
    order = np.repeat(np.arange(len(draft.fills)), draft.fills)
    copy = random.random(len(order)) < _TWIN_SHARE
    copy[first] = False
    copy &= draft.kind[order] == EQUITY
    origin = np.maximum.accumulate(np.where(copy, 0, np.arange(len(order))))
    twin = copy.copy()
    twin[:-1] |= copy[1:]
    qty = _sizes(random, world, draft, order)
    price = _prices(random, world, draft, order, first)
    event = _times(random, draft, order, first)
    return Fills(order, first, qty[origin], price[origin], event[origin], twin)


def segment_sums(values: I64, first: I64) -> I64:
    """Sums of consecutive runs that start at `first`."""
    made: I64 = np.add.reduceat(values, first)
    return made


def _sizes(random: Generator, world: World, draft: Draft, order: I64) -> I64:
    kind = draft.kind[order]
    qty = np.empty(len(order), np.int64)
    for number, draw in _DRAWS.items():
        of = kind == number
        qty[of] = draw(random, int(of.sum()))
    swap = np.flatnonzero(world.instruments.asset[draft.instrument[order]] == Asset.TRS)
    qty[swap] = 100 * random.integers(10, 500, len(swap))
    return qty


def _shares(random: Generator, rows: int) -> I64:
    """38% exactly 100, 22% 200 to 500, a quarter odd lots, the rest a tail of round lots."""
    draw = random.random(rows)
    made = np.full(rows, 100, np.int64)
    made = np.where(draw >= 0.38, 100 * random.integers(2, 6, rows), made)
    made = np.where(draw >= 0.60, random.integers(1, 100, rows), made)
    tail = np.clip(np.rint(random.lognormal(np.log(8), 0.6, rows)), 6, 200).astype(np.int64)
    return np.where(draw >= 0.85, 100 * tail, made)


def _contracts(random: Generator, rows: int) -> I64:
    return np.clip(np.rint(random.lognormal(np.log(6), 1.0, rows)), 1, 250).astype(np.int64)


def _lots(random: Generator, rows: int) -> I64:
    return np.clip(np.rint(random.lognormal(np.log(4), 0.9, rows)), 1, 150).astype(np.int64)


def _amounts(random: Generator, rows: int) -> I64:
    """FX: steps of 50,000 up to 12 million of the dealt currency."""
    return 50_000 * np.clip(np.rint(random.lognormal(np.log(30), 0.9, rows)), 2, 240).astype(np.int64)


def _faces(random: Generator, rows: int) -> I64:
    return 50_000 * np.clip(np.rint(random.lognormal(np.log(20), 1.0, rows)), 1, 400).astype(np.int64)


def _notionals(random: Generator, rows: int) -> I64:
    return 1_000_000 * random.integers(1, 26, rows)


_DRAWS = {EQUITY: _shares, OPTION: _contracts, FUTURE: _lots, FX: _amounts, BOND: _faces, OTC: _notionals}


def _prices(random: Generator, world: World, draft: Draft, order: I64, first: I64) -> I64:
    """Prices walk by at most a tick from fill to fill, from a start within half a per cent of the line's price."""
    lines = world.instruments
    base, tick = lines.price[draft.instrument], lines.tick[draft.instrument]
    reach = np.clip(base // (_SWING * tick), 1, _MOST_TICKS)
    start = base + tick * random.integers(-reach, reach + 1)
    step: I8 = random.choice(np.array([-1, 0, 0, 0, 1], np.int8), len(order))
    walk = np.cumsum(step, dtype=np.int64)
    walk -= (walk[first])[order]
    price: I64 = np.maximum(start[order] + walk * tick[order], tick[order])
    return price


def _times(random: Generator, draft: Draft, order: I64, first: I64) -> I64:
    """Moments in ms spread over each order's span with exponential gaps."""
    gaps = random.standard_exponential(len(order))
    at = np.cumsum(gaps)
    at -= (at[first] - gaps[first])[order]
    total = at[first + draft.fills - 1] + random.standard_exponential(len(first))
    share = at / total[order]
    made: I64 = draft.start_ns[order] + (share * draft.span_ns[order]).astype(np.int64) // _MS * _MS
    return made
