"""Which trades can be spoiled: groups of one plain booking at a broker whose label can only mean one thing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from simulator.records import I8, I64, Bool, Index, Level, Records, Source, Status

# A day's serials, accounts and the like are mixed into one number to compare economics; equal numbers, equal trades.
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """One row per candidate trade, which is told by one record at a broker and one or more of the fund's.

    `row` is the broker's record, `ours[first : first + count]` the fund's; `alone` says that the fund's is a single
    fill, `twin` that the broker has another booking of the same economics, `free` that no label names the trade yet
    (changed in place).
    """

    records: Records
    group: I64
    source: I8
    row: Index
    first: Index
    count: I64
    ours: Index
    alone: Bool
    twin: Bool
    free: Bool

    def column(self, name: str) -> npt.NDArray[np.int64]:
        """A column of the broker's records, one value per candidate."""
        found: npt.NDArray[np.int64] = getattr(self.records, name)[self.row]
        return found

    def fund_rows(self, at: int) -> tuple[int, ...]:
        """The fund's records of a candidate."""
        start = int(self.first[at])
        return tuple(self.ours[start : start + int(self.count[at])].tolist())


def make_pool(records: Records, day: int) -> Pool:
    """The candidates of `day`: no lifecycle, no as-of trades, exactly one record at the broker."""
    grouped = np.flatnonzero(records.group > 0)
    groups, place = np.unique(records.group[grouped], return_inverse=True)
    broker = records.source[grouped] != Source.OMS
    plain = (records.status[grouped] == Status.NEW) & (records.version[grouped] == 1)
    plain &= (records.trade_date[grouped] == day) & (records.day[grouped] == day)
    size = len(groups)
    theirs, ours = np.bincount(place[broker], minlength=size), np.bincount(place[~broker], minlength=size)
    fit = (theirs == 1) & (ours >= 1) & (np.bincount(place[~plain], minlength=size) == 0)
    row = np.zeros(size, np.int64)
    row[place[broker]] = grouped[broker]
    fund = grouped[~broker]
    fund = fund[np.argsort(place[~broker], kind="stable")]
    first = np.cumsum(ours) - ours
    chosen = np.flatnonzero(fit)
    single = (ours == 1) & (records.level[fund[np.minimum(first, max(len(fund) - 1, 0))]] == Level.FILL)
    return Pool(
        records=records,
        group=groups[chosen],
        source=records.source[row[chosen]],
        row=row[chosen],
        first=first[chosen],
        count=ours[chosen],
        ours=fund,
        alone=single[chosen],
        twin=repeated(economics(records, row))[chosen],
        free=np.ones(len(chosen), np.bool_),
    )


def economics(records: Records, rows: Index) -> npt.NDArray[np.uint64]:
    """A number per record that is the same for trades nobody can tell apart by their terms."""
    made = np.zeros(len(rows), np.uint64)
    for name in ("source", "account", "instrument", "side", "qty", "price"):
        made = (made ^ getattr(records, name)[rows].astype(np.uint64)) * _MIX
        made ^= made >> np.uint64(29)
    return made


def repeated(values: npt.NDArray[np.uint64]) -> Bool:
    """Where a value occurs more than once."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    found: Bool = count[place] > 1
    return found


def spread(random: Generator, pool: Pool, mask: Bool, wanted: int) -> Index:
    """Candidates in the order to try them: random, but the brokers share about half of the wanted ones equally."""
    found = random.permutation(np.flatnonzero(mask & pool.free))
    source = pool.source[found]
    by_source = np.argsort(source, kind="stable")
    counts = np.bincount(source, minlength=len(Source))
    rank = np.empty(len(found), np.int64)
    rank[by_source] = np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts)
    early = rank < -(-wanted // (2 * max(int((counts > 0).sum()), 1)))
    return np.concatenate([found[early], found[~early]])
