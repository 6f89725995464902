"""A block over accounts: four ways to round the shares of a quantity so that they still add up to it."""

import numpy as np
import numpy.typing as npt

from simulator.records import I8, I64

LARGEST_REMAINDER, LAST_TAKES_REST, FIRST_TAKES_RESIDUE, BANKERS = range(4)


def split(qty: I64, weights: I64, rule: I8) -> I64:
    """`qty` of each row over the columns by `weights` (0: takes no part), rounded by the row's `rule`.

    Every row adds up to its quantity; shares may be zero where there is less to split than accounts. The weights of
    a row are positive integers from the left, then zeros.
    """
    total = weights.sum(axis=1, keepdims=True)
    exact = qty[:, None] * weights
    floor: I64 = exact // total
    rest = exact % total
    made: I64 = floor.copy()
    for number, apply in enumerate((_largest, _last, _first, _bankers)):
        rows = np.flatnonzero(rule == number)
        made[rows] = apply(qty[rows], floor[rows], rest[rows], weights[rows], total[rows])
    return made


def _largest(qty: I64, floor: I64, rest: I64, weights: I64, total: I64) -> I64:
    """One more to each of the largest remainders, the leftmost first among equals, until nothing is left."""
    left = qty - floor.sum(axis=1)
    order = np.argsort(-rest, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape).copy(), axis=1)
    made: I64 = floor + (rank < left[:, None])
    return made


def _last(qty: I64, floor: I64, rest: I64, weights: I64, total: I64) -> I64:
    """Everybody rounded down, the last account takes what is left."""
    return _give(floor, qty - floor.sum(axis=1), (weights > 0).sum(axis=1) - 1)


def _first(qty: I64, floor: I64, rest: I64, weights: I64, total: I64) -> I64:
    """Everybody rounded down, the residue goes to the house's account, the first."""
    return _give(floor, qty - floor.sum(axis=1), np.zeros(len(qty), np.int64))


def _bankers(qty: I64, floor: I64, rest: I64, weights: I64, total: I64) -> I64:
    """Everybody rounded half to even, the difference corrected on the largest share."""
    twice = 2 * rest
    up = (twice > total) | ((twice == total) & (floor % 2 == 1))
    made = floor + up
    return _give(made, qty - made.sum(axis=1), made.argmax(axis=1))


def _give(shares: I64, amount: I64, column: npt.NDArray[np.int64]) -> I64:
    made = shares.copy()
    made[np.arange(len(made)), column] += amount
    return made
