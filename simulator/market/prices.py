"""Closing prices: where each line of the world closes on a day, a step away from where it trades."""

import numpy as np

from simulator.flow.rng import rng
from simulator.market.world import World
from simulator.records import I64, divide

# Ten-thousandths: a normal day's move is one percent.
_MOVE = 100
_WHOLE = 10_000


def closes(world: World, seed: int, day: int) -> I64:
    """The closing price of every instrument on `day`, whole ticks in PRICE_UNITs; at least one tick."""
    lines = world.instruments
    moves = np.rint(rng(seed, day, "market.close").normal(0, _MOVE, len(lines))).astype(np.int64)
    ticks = divide(lines.price // lines.tick * (_WHOLE + moves.clip(-5 * _MOVE, 5 * _MOVE)), _WHOLE)
    made: I64 = np.maximum(ticks, 1) * lines.tick
    return made
