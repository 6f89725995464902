"""One session's day on the wire: who sends over FIX, and its messages with all that happens to them on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from simulator.delivery import damage, gaps, repeats, schedule
from simulator.delivery.gaps import Gap
from simulator.delivery.logs import Session
from simulator.delivery.schedule import Damage, Schedule
from simulator.emit import alpha, bravo, charlie_fix, oms
from simulator.records import I64, Bool, Records, Source, noisy

_EMITTERS: dict[Source, Any] = {
    Source.OMS: oms, Source.ALPHA: alpha, Source.BRAVO: bravo, Source.CHARLIE: charlie_fix,
}  # fmt: skip
REPLAYED, REPEATED, OVERTAKEN = 19, 20, 21
# Messages that are lost at first and resent.
_LOST_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Trouble:
    """How much goes wrong on one session: unbookable messages, wrong checksums, gaps nobody fills."""

    malformed: int = 0
    unproven: int = 0
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """A session, its schedule, and the gaps in it; `noise` are bits that the way adds to the session's records."""

    session: Session
    plan: Schedule
    gaps: Sequence[Gap]
    noise: I64


def over_fix(source: Source, charlie_fix: bool) -> bool:
    """Whether the source sends FIX messages; the others send files."""
    return source in _EMITTERS and (source is not Source.CHARLIE or charlie_fix)


def session(source: Source, context: Any, records: Records) -> Session:
    """The session of `source`; `records` are its own alone."""
    return Session(source.name, _EMITTERS[source], context, records)


def quiet(of: Session) -> Schedule:
    """Every message once and nothing else."""
    return schedule.numbered(schedule.first_sends(of.emitter.heads(of.records), of.records.arrive_ns))


def undisturbed(of: Session) -> Planned:
    """The session with nothing happening on the way."""
    return Planned(of, quiet(of), (), np.zeros(len(of.records), np.int64))


def disturbed(
    rng: Generator, of: Session, spoiled: Bool, trouble: Trouble, *, on_wire: bool = False, idle_ns: int = 0
) -> Planned:
    """The session with repetitions, overtaking, gaps and damage; messages a label names come once and in time.

    `spoiled` marks the records named. `on_wire` leaves out what a live session repairs or refuses by itself. Silences
    longer than `idle_ns` are filled with heartbeats (0: never).
    """
    bits = of.records.noise
    plan = schedule.first_sends(of.emitter.heads(of.records), of.records.arrive_ns)
    plan = schedule.late(rng, plan, noisy(bits[plan.row], OVERTAKEN) & ~spoiled[plan.row])
    plan = repeats.again(rng, plan, noisy(bits[plan.row], REPEATED), marked=0.0)
    # Half of what is said to be a repetition comes under a new number (97=Y), half under the old one (43=Y).
    replayed = noisy(bits, REPLAYED)
    anew = replayed & (rng.random(len(bits)) < 0.5)
    plan = repeats.again(rng, plan, anew[plan.row], marked=1.0)
    plan = damage.malformed(rng, plan, trouble.malformed, _plain(plan, spoiled), on_wire)
    if on_wire:
        plan = _awake(plan, idle_ns) if idle_ns else plan
        left_out = np.zeros(len(plan), np.int64)
    else:
        plan = damage.unproven(rng, plan, trouble.unproven, _plain(plan, spoiled))
        left_out = gaps.skips(rng, plan, trouble.gaps)
    plan = schedule.numbered(plan, skips=left_out)
    missing = gaps.unfilled(plan, left_out)
    copies = [
        repeats.replays(rng, plan, (replayed & ~anew)[plan.row] & ~plan.poss_resend),
        repeats.reconnect(rng, plan),
    ]
    if not on_wire:
        lost = (rng.random(len(plan)) < _LOST_SHARE) & _plain(plan, spoiled)
        plan = gaps.filled(rng, plan, lost)
    plan = schedule.joined(plan, *copies)
    return Planned(of, plan, missing, _added(plan, len(bits)))


def _plain(plan: Schedule, spoiled: Bool) -> Bool:
    """Messages that nothing was done to yet and no label names."""
    made: Bool = (plan.damage == Damage.NONE) & ~spoiled[plan.row] & ~plan.poss_resend & ~plan.poss_dup
    return made


def _added(plan: Schedule, records: int) -> I64:
    """Noise bits of what the plan repeats."""
    made = np.zeros(records, np.int64)
    np.bitwise_or.at(made, plan.row[plan.poss_dup | plan.poss_resend], 1 << REPLAYED)
    return made


def _awake(plan: Schedule, step: int) -> Schedule:
    """The plan with a heartbeat every `step` ns where nothing else is said."""
    beats = np.diff(plan.at_ns) // step
    rows = np.repeat(np.arange(len(beats)), beats)
    if not len(rows):
        return plan
    ends = np.cumsum(beats)
    number = np.arange(len(rows)) - np.repeat(ends - beats, beats) + 1
    extra = plan.take(rows)
    return schedule.joined(plan, extra.with_(at_ns=extra.at_ns + number * step, damage=Damage.IDLE))
