"""Repetitions that must change nothing: 43=Y replays, 97=Y resends, unmarked duplicates, a reconnect's replay."""

import numpy as np
from numpy.random import Generator

from simulator.delivery.schedule import Damage, Schedule, joined
from simulator.records import I64, SECOND_NS, Bool

# A reconnect sends this many of the latest messages again.
RECONNECT_MESSAGES = 300


def again(rng: Generator, plan: Schedule, chosen: Bool, marked: float) -> Schedule:
    """The plan with each `chosen` message sent once more under a number of its own, up to two minutes later.

    A share `marked` of them says 97=Y, the others do not say that they are repetitions.
    """
    rows = np.flatnonzero(chosen)
    extra = plan.take(rows)
    delay = rng.integers(1, 120, len(rows)) * SECOND_NS
    resend = rng.random(len(rows)) < marked
    return joined(plan, extra.with_(at_ns=extra.at_ns + delay, poss_resend=resend))


def replays(rng: Generator, plan: Schedule, chosen: Bool) -> Schedule:
    """43=Y copies of the `chosen` messages of a numbered plan, up to a minute later, number and content kept."""
    extra = plan.take(np.flatnonzero(chosen & whole(plan)))
    delay = rng.integers(1, 60, len(extra)) * SECOND_NS
    return _marked(extra, extra.at_ns + delay)


def reconnect(rng: Generator, plan: Schedule, count: int = RECONNECT_MESSAGES) -> Schedule:
    """43=Y copies of the latest `count` messages before a moment late in the plan, as after a lost connection."""
    plan = plan.take(np.flatnonzero(whole(plan)))
    if len(plan) < 4:
        return plan.take(np.zeros(0, np.int64))
    at = int(rng.integers(len(plan) * 6 // 10, len(plan) * 9 // 10))
    extra = plan.take(np.arange(max(0, at - count), at))
    # They leave together, a microsecond apart, before anything new does.
    return _marked(extra, plan.at_ns[at] + np.arange(1, len(extra) + 1, dtype=np.int64) * 1_000)


def whole(plan: Schedule) -> Bool:
    """Transmissions a counterparty would repeat: those that carry a message, be its checksum right or not."""
    made: Bool = np.isin(plan.damage, (Damage.NONE, Damage.CHECKSUM, Damage.LENGTH))
    return made


def _marked(extra: Schedule, at_ns: I64) -> Schedule:
    first = np.where(extra.orig_ns > 0, extra.orig_ns, extra.at_ns)
    return extra.with_(at_ns=at_ns, poss_dup=True, orig_ns=first, damage=0)
