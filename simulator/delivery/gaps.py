"""Sequence gaps of a FIX session: some are filled by a resend moments later, some never (I05)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from simulator.delivery.schedule import Damage, Schedule, in_order
from simulator.records import I64, SECOND_NS, Bool

_LONGEST = 6


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` to `last` never came; `seen_ns` is when the next higher one did (UTC nanoseconds)."""

    first: int
    last: int
    seen_ns: int

    @property
    def name(self) -> str:
        """How a result can point at it: `seq:120-125`, or `seq:120-120` for one number."""
        return f"seq:{self.first}-{self.last}"


def skips(rng: Generator, plan: Schedule, count: int) -> I64:
    """How many numbers to leave out before each transmission: `count` gaps of 1 to 6, none before the first.

    What was lost are messages that no trade hangs on, such as order states: the trades themselves are all there.
    """
    made = np.zeros(len(plan), np.int64)
    places = np.flatnonzero(plan.damage == Damage.NONE)
    places = places[places > 0]
    count = min(count, len(places))
    if count:
        made[rng.choice(places, count, replace=False)] = rng.integers(1, _LONGEST + 1, count)
    return made


def unfilled(plan: Schedule, left_out: I64) -> Sequence[Gap]:
    """The gaps of a numbered plan that `skips` made, in order."""
    rows = np.flatnonzero(left_out)
    return [
        Gap(int(plan.seq[row] - left_out[row]), int(plan.seq[row] - 1), int(plan.at_ns[row])) for row in rows.tolist()
    ]


def filled(rng: Generator, plan: Schedule, chosen: Bool) -> Schedule:
    """The plan with the `chosen` messages lost at first and resent (43=Y, number kept) 2 to 20 seconds later."""
    delay = rng.integers(2, 20, len(plan)) * SECOND_NS
    return in_order(
        plan.with_(
            at_ns=plan.at_ns + np.where(chosen, delay, 0),
            orig_ns=np.where(chosen, plan.at_ns, plan.orig_ns),
            poss_dup=plan.poss_dup | chosen,
        )
    )
