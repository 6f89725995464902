"""The corruptor: a clean day in, the same day with labelled breaks and harmless variations out."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from simulator.faults import trade_chain, trade_economics, trade_existence, trade_money
from simulator.faults.adversarial import STAGES, Case, play
from simulator.faults.bench import Bench, Planner, Planted, cure
from simulator.faults.draft import Draft
from simulator.faults.label import labels, names_of
from simulator.faults.noise import split, split_rows, with_noise
from simulator.faults.pool import Pool, make_pool, spread
from simulator.faults.rates import cured, planned
from simulator.flow.rng import rng
from simulator.flow.trades import Trades
from simulator.market.world import World
from simulator.profiles import Profile
from simulator.records import Bool, Records, Source, Status
from simulator.truth import BreakTruth, Member

PLANNERS: Mapping[str, Planner] = MappingProxyType(
    {
        **trade_existence.PLANNERS,
        **trade_economics.PLANNERS,
        **trade_money.PLANNERS,
        **trade_chain.PLANNERS,
    }
)
# The codes that few trades can show come first, so that the others leave them enough.
_ORDER = (
    "T30", "T20", "T19", "T21", "T11", "T29", "T09", "T15", "T08", "T04", "T28", "T17", "T18", "T12", "T25", "T13",
    "T26", "T22", "T23", "T24", "T03", "T02", "T07", "T27", "T10", "T14", "T05", "T06", "T16", "T01",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SetUp:
    """An adversarial set-up: the brokers' records it is about and the ids of its labels, none where all is well."""

    name: str
    members: tuple[Member, ...]
    break_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corrupted:
    """A spoiled day; `short` says how many of a code the day had no trade for."""

    trades: Trades
    breaks: list[BreakTruth]
    cases: list[SetUp]
    short: Mapping[str, int]


def bookings(records: Records) -> int:
    """Records at prime brokers that are not a later version of another."""
    return int(((records.source != Source.OMS) & (records.status == Status.NEW)).sum())


def corrupt(seed: int, day: int, world: World, profile: Profile, trades: Trades) -> Corrupted:
    """Plant the breaks `profile` asks for on a clean day, then the benign variations; `trades` stays as it is."""
    clean = trades.records
    pool = make_pool(clean, day)
    draft = Draft(clean, day)
    planted, short = _plant(seed, day, world, profile, draft, pool)
    cases = _adversarial(seed, day, world, profile, draft, pool)
    everything = [*planted, *(each for case in cases for each in case.breaks)]
    halves = split_rows(seed, day, profile, pool)
    records, keep = draft.finish(world)
    rows = {row for each in everything for row in (*each.ours, *each.theirs)}
    rows |= {row for case in cases for row in case.rows}
    names = names_of(records, rows)
    made = labels(world, day, records, everything, names)
    spoiled: Bool = np.zeros(len(records) + len(halves), np.bool_)
    spoiled[list(rows)] = True
    keep = np.concatenate([keep, np.ones(len(halves), np.bool_)])
    records = split(records, pool.row[halves], {source: draft.serial(source) for source in Source})
    single = pool.row[pool.alone]
    records = with_noise(seed, day, world, profile, Trades(trades.orders, records), spoiled, single)
    shown = records if keep.all() else records.take(keep)
    ids = iter(label.break_id for label in made[len(planted) :])
    played = [
        SetUp(case.name, tuple(names[row] for row in case.rows), tuple(next(ids) for _ in case.breaks))
        for case in cases
    ]
    return Corrupted(Trades(trades.orders, shown), made, played, MappingProxyType(short))


def _plant(
    seed: int, day: int, world: World, profile: Profile, draft: Draft, pool: Pool
) -> tuple[list[Planted], dict[str, int]]:
    counts = planned(profile, bookings(pool.records))
    made, short = list[Planted](), dict[str, int]()
    for code in _ORDER:
        if not counts[code]:
            continue
        bench = Bench(world, profile, day, draft, pool, rng(seed, day, f"fault {code}"))
        repaired = cured(code, counts[code])
        late = trade_existence.booked_late if code == "T01" else PLANNERS[code]
        found = _of_code(bench, PLANNERS[code], counts[code], repair=False)
        found += _of_code(bench, late, repaired, repair=code != "T01")
        missing = counts[code] + repaired - len(found)
        if missing:
            short[code] = missing
        made += found
    return made, short


def _of_code(bench: Bench, planner: Planner, number: int, repair: bool) -> list[Planted]:
    """Up to `number` breaks; with `repair` the broker corrects each of them later."""
    made = list[Planted]()
    if not number:
        return made
    plan, pool = planner(bench), bench.pool
    for at in spread(bench.random, pool, plan.mask & ~pool.twin, number).tolist():
        if len(made) == number:
            break
        # A maker may have used up a candidate of its own while it looked at another.
        if not pool.free[at]:
            continue
        trade = bench.trade(at)
        if repair and bench.soon(trade.theirs) is None:
            continue
        planted = plan.make(trade)
        if planted is None:
            continue
        if repair:
            planted = cure(bench, trade, planted) or planted
        pool.free[at] = not plan.uses
        made.append(planted)
    return made


def _adversarial(seed: int, day: int, world: World, profile: Profile, draft: Draft, pool: Pool) -> list[Case]:
    if profile.breaks == "none":
        return []
    made = []
    for name, stage in STAGES.items():
        if profile.cases and name not in profile.cases:
            continue
        bench = Bench(world, profile, day, draft, pool, rng(seed, day, f"case {name}"))
        made += play(bench, stage, profile.adversarial)
    return made
