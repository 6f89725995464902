"""Closing prices of a day, for valuation and variation margin."""

import numpy as np

from simulator.flow.rng import rng
from simulator.market.world import World
from simulator.records import I64

# Closes scatter around the world's price; a day's trades do too, so there is no trend to follow.
_DAILY = 0.012


def closes(world: World, seed: int, day: int) -> I64:
    """Each instrument's closing price on `day` (days since 1970) in PRICE_UNITs, a whole number of ticks."""
    lines = world.instruments
    moves = np.clip(rng(seed, day, "closes").normal(0, _DAILY, len(lines)), -4 * _DAILY, 4 * _DAILY)
    ticks = np.rint(lines.price * (1 + moves) / lines.tick).astype(np.int64)
    made: I64 = np.maximum(ticks, 1) * lines.tick
    return made
