"""Benign variations: bits of how a record is written, for the emitters to show, and bookings split in two rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from simulator.calendars import next_settle
from simulator.faults.pool import Pool
from simulator.flow.rng import rng
from simulator.flow.trades import Trades
from simulator.market.universe import in_32nds
from simulator.market.world import CURRENCIES, Asset, World
from simulator.profiles import Profile
from simulator.records import I64, MONEY_UNIT, Bool, Index, Level, Records, Source, Status

SPLIT = 18
_ALWAYS = 1.0
# broker -> variation -> share of the records it applies to. Conventions of a whole feed are ALWAYS, whatever the
# profile asks; the rest is multiplied by the profile's `noise`.
SHARES: Mapping[Source, Mapping[int, float]] = MappingProxyType(
    {
        Source.OMS: {20: 0.005, 21: 0.02},
        Source.ALPHA: {
            1: 0.60, 6: 0.50, 14: 0.20, 19: 0.01, 20: 0.005, 21: 0.02, 23: 0.60, 24: 0.05, 26: 0.02, 29: 0.01,
        },
        Source.BRAVO: {
            1: 0.60, 2: 0.15, 5: _ALWAYS, 7: _ALWAYS, 14: 0.20, 15: _ALWAYS, 16: _ALWAYS, 19: 0.01, 20: 0.005,
            21: 0.02, 23: 0.60, 24: 0.05, 28: _ALWAYS,
        },
        Source.CHARLIE: {
            2: 0.15, 3: _ALWAYS, 4: _ALWAYS, 5: _ALWAYS, 6: 0.50, 8: _ALWAYS, 13: _ALWAYS, 14: 0.20, 16: 0.30,
            17: _ALWAYS,
        },
        Source.DELTA: {
            1: 0.60, 3: _ALWAYS, 4: _ALWAYS, 6: 0.50, 9: 0.50, 10: _ALWAYS, 13: _ALWAYS, 17: _ALWAYS, 28: 0.30,
        },
        Source.ECHO: {
            3: _ALWAYS, 4: _ALWAYS, 5: _ALWAYS, 7: _ALWAYS, 11: 0.50, 12: 0.50, 13: _ALWAYS, 17: _ALWAYS, 29: 0.01,
        },
    }
)  # fmt: skip
# CHARLIE over FIX writes by FIX's rules.
_CHARLIE_FIX = MappingProxyType({2: 0.15, 13: _ALWAYS, 17: _ALWAYS})
_SPLIT_SHARE = 0.02
_GBP = CURRENCIES.index("GBP")
_WHOLE = tuple(CURRENCIES.index(code) for code in ("JPY", "KRW"))
# Another time or a second copy would blur what a label says of its records.
_ON_THE_WAY = (20, 21)


@dataclass(frozen=True, slots=True, eq=False)
class _Flow:
    """The records of one source, and what decides where a variation applies."""

    world: World
    records: Records
    averaged: Bool
    by_order: Bool
    spoiled: Bool

    def asset(self, *assets: Asset) -> Bool:
        return np.isin(self.world.instruments.asset[self.records.instrument], assets)


def with_noise(
    seed: int, day: int, world: World, profile: Profile, trades: Trades, spoiled: Bool, single: Index
) -> Records:
    """The day's records with their variations on.

    `spoiled` records belong to a label, which a repetition or another way to count would blur; `single` are the rows
    of bookings that stand for one execution alone.
    """
    records = trades.records
    noise = records.noise.copy()
    averaged = (records.source != Source.OMS) & (records.level == Level.ALLOCATION)
    averaged[single] = False
    by_order = averaged & (records.order >= 0)
    by_order[by_order] = trades.orders.account[records.order[by_order]] >= 0
    for source, shares in SHARES.items():
        rows = np.flatnonzero(records.source == source)
        if not len(rows):
            continue
        if source is Source.CHARLIE and profile.charlie_fix:
            shares = _CHARLIE_FIX
        flow = _Flow(world, records.take(rows), averaged[rows], by_order[rows], spoiled[rows])
        random = rng(seed, day, f"noise {source.name}")
        for number, share in shares.items():
            on = _applies(flow, number)
            if share < _ALWAYS:
                on = on & (random.random(len(rows), np.float32) < share * profile.noise)
            noise[rows] |= on.astype(np.int64) << number
    return records.with_(noise=noise)


def _applies(flow: _Flow, number: int) -> Bool:
    """Which records of a flow a variation can be shown on."""
    records, lines = flow.records, flow.world.instruments
    line = records.instrument
    share = flow.asset(Asset.EQUITY, Asset.ETF)
    plain: Bool = np.ones(len(records), np.bool_)
    if number in _ON_THE_WAY:
        plain = ~flow.spoiled & ((records.source != Source.OMS) | (records.level == Level.FILL))
    table: dict[int, Callable[[], Bool]] = {
        1: lambda: (lines.cusip[line] != "") | (lines.sedol[line] != ""),
        2: lambda: lines.symbol[line] != lines.broker_symbol[line],
        3: lambda: records.side != 1,
        7: lambda: (records.ccy == _GBP) & share,
        8: lambda: flow.asset(Asset.BOND),
        9: lambda: flow.asset(Asset.OPTION) & ~flow.spoiled,
        10: lambda: in_32nds(flow.world)[line],
        11: lambda: flow.asset(Asset.FX_SPOT, Asset.FX_FWD) & ~flow.spoiled,
        12: lambda: flow.asset(Asset.FX_NDF) & ~flow.spoiled,
        13: lambda: flow.averaged,
        15: lambda: records.commission > 0,
        16: lambda: (records.fee_sec != 0) | (records.fee_exchange != 0) | (records.tax != 0),
        17: lambda: flow.by_order,
        26: lambda: _tomorrow(flow),
    }
    return table[number]() & plain if number in table else plain


def _tomorrow(flow: _Flow) -> Bool:
    """Where the settlement date shown is the next settlement day, and nothing is wrong with the dates."""
    records = flow.records
    following = next_settle(flow.world, records.instrument, records.trade_date)
    found: Bool = (records.settle_date == following) & flow.asset(Asset.EQUITY, Asset.ETF) & ~flow.spoiled
    return found


def split_rows(seed: int, day: int, profile: Profile, pool: Pool) -> Index:
    """Candidates of the pool whose booking the broker writes in two rows: 2% of them, none of a label's."""
    random: Generator = rng(seed, day, "split")
    fit = pool.free & ~pool.twin & (pool.column("qty") > 1)
    made: Index = np.flatnonzero(fit & (random.random(len(fit)) < _SPLIT_SHARE * profile.noise))
    return made


def split(records: Records, rows: Index, first_serial: Mapping[Source, int]) -> Records:
    """The records with those at `rows` in two, the second halves at the end; all money adds up to what it was.

    `first_serial` is the next free serial of each source.
    """
    whole = records.take(rows)
    part: I64 = np.maximum(whole.qty * (1 + np.arange(len(rows)) % 3) // 4, 1)
    unit = np.where(np.isin(whole.ccy, _WHOLE) | np.isin(whole.settle_ccy, _WHOLE), MONEY_UNIT, MONEY_UNIT // 100)
    columns = {"qty": (part, whole.qty - part)}
    for name in ("gross", "accrued", "commission", "fee_sec", "fee_exchange", "tax", "net", "upfront"):
        amount = getattr(whole, name)
        # In whole cents or yen, so that both halves can be written; in floats, because the exact product may not fit.
        less = np.rint(amount.astype(np.float64) * part / whole.qty / unit).astype(np.int64) * unit
        columns[name] = (less, amount - less)
    noise = whole.noise | (1 << SPLIT)
    serial = np.zeros(len(rows), np.int64)
    for source in Source:
        of = np.flatnonzero(whole.source == source)
        serial[of] = first_serial.get(source, 0) + np.arange(len(of))
    second = whole.with_(
        noise=noise, serial=serial, root=serial, status=Status.NEW, **{name: pair[1] for name, pair in columns.items()}
    )
    for name, (value, _) in columns.items():
        getattr(records, name)[rows] = value
    records.noise[rows] = noise
    return Records.concat([records, second])
