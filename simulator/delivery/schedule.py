"""When each message of a FIX session leaves, under which number and marks: columns, one row per transmission."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator

from simulator.records import I8, I64, SECOND_NS, Bool, Columns, Index

# MsgSeqNum(34) 1 is the Logon of whoever plays the session.
FIRST_SEQ = 2
# A message that is overtaken is this late as a rule, and at most; the other side's grace is much longer.
_LATE_NS, _LATEST_NS = 4 * SECOND_NS, 12 * SECOND_NS


class Damage(IntEnum):
    """What is wrong with the bytes of one transmission; IDLE is a heartbeat in its place."""

    NONE = 0
    TRUNCATED = 1
    GARBAGE = 2
    CHECKSUM = 3
    LENGTH = 4
    NONSENSE = 5
    IDLE = 6


# Damaged lines that take no number: the message itself follows whole under the number its torso shows.
_UNNUMBERED = (Damage.TRUNCATED, Damage.GARBAGE)


@dataclass(frozen=True, slots=True, eq=False)
class Schedule(Columns):
    """Transmissions in the order they leave.

    `row` is the record that heads the message (an index into the session's records); `at_ns` the sending time and
    `orig_ns` the first one of a replay (0: none), both UTC nanoseconds; `seq` MsgSeqNum(34), 0 while not numbered.
    """

    row: I64
    at_ns: I64
    seq: I64
    poss_dup: Bool
    poss_resend: Bool
    orig_ns: I64
    damage: I8


def first_sends(heads: Index, arrive_ns: I64) -> Schedule:
    """Each message once, not numbered, by time; `arrive_ns` has one entry per record."""
    return in_order(
        Schedule(
            row=heads.astype(np.int64),
            at_ns=arrive_ns[heads].astype(np.int64),
            seq=np.zeros(len(heads), np.int64),
            poss_dup=np.zeros(len(heads), np.bool_),
            poss_resend=np.zeros(len(heads), np.bool_),
            orig_ns=np.zeros(len(heads), np.int64),
            damage=np.zeros(len(heads), np.int8),
        )
    )


def in_order(plan: Schedule) -> Schedule:
    """The transmissions by time; those of one instant stay as they are."""
    return plan.take(np.argsort(plan.at_ns, kind="stable"))


def joined(*plans: Schedule) -> Schedule:
    """All transmissions of the plans, by time."""
    return in_order(Schedule.concat(plans))


def late(rng: Generator, plan: Schedule, chosen: Bool) -> Schedule:
    """The plan with the `chosen` transmissions late: the next one overtakes them, unless it is long in coming."""
    delay = (rng.random(len(plan)) * _LATE_NS).astype(np.int64) + SECOND_NS // 2
    following = np.append(plan.at_ns[1:], plan.at_ns[-1:]) + SECOND_NS // 1_000
    at_ns = np.clip(following, plan.at_ns + delay, plan.at_ns + _LATEST_NS)
    return in_order(plan.with_(at_ns=np.where(chosen, at_ns, plan.at_ns)))


def numbered(plan: Schedule, first: int = FIRST_SEQ, skips: I64 | None = None) -> Schedule:
    """MsgSeqNum(34) for every transmission in order; `skips` are how many numbers are left out before each.

    A damaged line that takes no number shows that of the message after it.
    """
    takes = ~np.isin(plan.damage, _UNNUMBERED)
    before: I64 = np.cumsum(takes) - takes
    left_out = np.zeros(len(plan), np.int64) if skips is None else np.cumsum(skips)
    return plan.with_(seq=first + before + left_out)


def spans(plan: Schedule) -> tuple[int, int]:
    """The first and the last sending time, UTC nanoseconds; (0, 0) of no transmission."""
    return (int(plan.at_ns[0]), int(plan.at_ns[-1])) if len(plan) else (0, 0)
