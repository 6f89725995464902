"""A run before it is written: every day's trades, what is wrong with them, and the books, as one set of columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from simulator.books.make import make_books
from simulator.books.shapes import State
from simulator.calendars import trading_days
from simulator.delivery.labels import Labels
from simulator.delivery.strangers import Strangers, chosen, wider
from simulator.faults.corrupt import corrupt
from simulator.faults.rates import planned
from simulator.flow.day import trade_day
from simulator.flow.rng import rng
from simulator.flow.timing import EPOCH
from simulator.flow.trades import Trades
from simulator.ids import BY_ROOT, SERIAL_DIGITS, day_text
from simulator.market.universe import make_world
from simulator.market.world import World
from simulator.profiles import Profile
from simulator.records import I64, Bool, Orders, Records, Source, Status
from simulator.truth import BreakTruth, TruthRow
from simulator.truth_file import live

_AFFIRMATION = "T27"
# Day and serial at the end of every record's id.
_ID_END = re.compile(rf"(\d{{6}}\d{{{SERIAL_DIGITS}}})$")


@dataclass(frozen=True, slots=True)
class Run:
    """All days of a profile. `world` knows more than the reference files, which are made from `known`.

    `planted` are the truth rows of the flow and the books; `labels` collects those of the way. `spoiled` marks the
    records a label names. `files` are the books by path, `arrivals` when each comes (UTC nanoseconds); `troubles` how
    many of each I-code the way shall bring, `short` how many of a code no trade was found for.
    """

    profile: Profile
    seed: int
    days: tuple[int, ...]
    known: World
    world: World
    trades: Trades
    planted: list[TruthRow]
    labels: Labels
    spoiled: Bool
    files: Mapping[str, bytes]
    arrivals: Mapping[str, int]
    troubles: Mapping[str, int]
    short: Mapping[str, int]

    @property
    def sources(self) -> tuple[Source, ...]:
        """The fund and the prime brokers of the profile."""
        return (Source.OMS, *(source for source in Source if source is not Source.OMS and _takes_part(self, source)))

    @property
    def trade_dates(self) -> tuple[date, ...]:
        """The days as dates."""
        return tuple(EPOCH + timedelta(days=day) for day in self.days)


def _takes_part(run: Run, source: Source) -> bool:
    return source.name[0] in run.profile.pbs


@dataclass(slots=True)
class _Made:
    """What the days so far have brought."""

    parts: list[Trades] = field(default_factory=list)
    spoiled: list[Bool] = field(default_factory=list)
    planted: list[TruthRow] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    books: State | None = None


def make_run(profile: Profile, seed: int, first: date, *, books: bool = True) -> Run:
    """Every day of the profile from `first` on; `books` adds positions, cash, settlement and affirmations."""
    known = make_world(seed)
    world = wider(known)
    days = tuple((day - EPOCH).days for day in trading_days(first, profile.days))
    made, labels = _Made(), Labels()
    for day in days:
        _add_day(made, labels, profile, seed, day, (known, world), books)
    return Run(
        profile, seed, days, known, world, _joined(made.parts), made.planted, labels, np.concatenate(made.spoiled),
        made.files, made.arrivals, made.troubles, made.short,
    )  # fmt: skip


def _add_day(
    made: _Made, labels: Labels, profile: Profile, seed: int, day: int, worlds: tuple[World, World], books: bool
) -> None:
    known, world = worlds
    clean = trade_day(seed, day, known, profile)
    numbers = planned(profile, _bookings(clean.records))
    corrupted = corrupt(seed, day, known, profile, clean)
    shown = corrupted.trades
    spoiled = _named(shown.records, corrupted.breaks)
    draw = rng(seed, day, "strangers")
    strangers = chosen(draw, known, shown, spoiled, numbers["I03"], numbers["I04"])
    # Without affirmations nobody can see that one is missing.
    made.planted += [row for row in corrupted.breaks if books or row.code != _AFFIRMATION]
    for code, number in corrupted.short.items():
        made.short[code] = made.short.get(code, 0) + number
    if books:
        # No books hold what nobody can name: such trades are in neither side's positions.
        kept = [_without(trades, strangers) for trades in (clean, shown)]
        day_books = make_books(seed, day, known, profile, kept[0], kept[1], corrupted.breaks, made.books)
        made.files |= day_books.files
        made.arrivals |= day_books.arrivals
        made.planted += [*day_books.breaks, *day_books.consequences]
        made.books = day_books.closing
        spoiled |= _named(shown.records, day_books.breaks)
    del clean
    shown = strangers.moved(world, shown)
    made.planted += labels.strangers(world, shown.records, live(shown.records), strangers)
    made.parts.append(shown)
    made.spoiled.append(spoiled | strangers.touches(shown.records))
    for code in ("I01", "I02", "I05", "I06", "I07"):
        made.troubles[code] = made.troubles.get(code, 0) + (numbers[code] if profile.transport else 0)


def _bookings(records: Records) -> int:
    """What brokers book on a clean day: the first versions of their records."""
    return int(((records.source != Source.OMS) & (records.status == Status.NEW)).sum())


def _without(trades: Trades, strangers: Strangers) -> Trades:
    keep = ~strangers.touches(trades.records)
    return trades if keep.all() else Trades(trades.orders, trades.records.take(keep))


def _named(records: Records, breaks: Sequence[BreakTruth]) -> Bool:
    """Records that a label names, whichever version of them, and those of the same trades."""
    wanted: dict[str, set[int]] = {}
    for row in breaks:
        for member in (*row.internal_ids, *row.external_ids):
            found = _ID_END.search(member.uid)
            if found:
                wanted.setdefault(member.source, set()).add(int(found[1]))
    made = np.zeros(len(records), np.bool_)
    for source in Source:
        rows = np.flatnonzero(records.source == source)
        if len(rows) and source.name in wanted:
            mine = np.array(sorted(wanted[source.name]), np.int64)
            made[rows] = np.isin(_id_ends(records.take(rows), source), mine)
    groups = np.unique(records.group[made & (records.group > 0)])
    named: Bool = made | np.isin(records.group, groups)
    return named


def _id_ends(records: Records, source: Source) -> I64:
    """The digits each record's id ends in, as a number: naming all of a big day to find a few takes long."""
    days, place = np.unique(records.day, return_inverse=True)
    dates = np.array([int(text) for text in day_text(days).to_pylist()], np.int64)
    ends: I64 = dates[place] * 10**SERIAL_DIGITS + (records.root if source in BY_ROOT else records.serial)
    return ends


def _joined(parts: Sequence[Trades]) -> Trades:
    if len(parts) == 1:
        return parts[0]
    moved, before = [], 0
    for part in parts:
        order = np.where(part.records.order >= 0, part.records.order + before, -1)
        moved.append(part.records.with_(order=order))
        before += len(part.orders)
    return Trades(Orders.concat([part.orders for part in parts]), Records.concat(moved))
