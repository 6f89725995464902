"""What the makers of breaks work with: the draft, the trades still untouched, draws, times; and what they hand back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from simulator.faults.draft import Draft, Row
from simulator.faults.pool import Pool
from simulator.flow import timing
from simulator.market.world import Asset, World
from simulator.profiles import Profile
from simulator.records import MONEY_UNIT, PRICE_UNIT, SECOND_NS, Bool, Source, Status

CENT = MONEY_UNIT // 100
_SOON_SECONDS = (600, 6_600)
_PERCENT = (Asset.BOND, Asset.CDS)
_FX = (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF)


@dataclass(frozen=True, slots=True)
class Planted:
    """A break as planted: records by row of the draft, times in UTC ns, `stake` in MONEY_UNITs of currency `ccy`."""

    code: str
    group: int
    pb: int
    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    field: str
    true: str
    shown: str
    stake: int
    ccy: int
    injected_at: int
    ours_at: int | None
    theirs_at: int | None
    detectable_at: int
    cured_at: int | None = None
    case: str = ""


@dataclass(frozen=True, slots=True)
class Trade:
    """A candidate picked: its group, the broker's record (row and content) and the fund's records."""

    at: int
    group: int
    row: int
    theirs: Row
    ours: tuple[int, ...]
    ours_at: int

    @property
    def first(self) -> int:
        """The first of the fund's records."""
        return self.ours[0]


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything a maker may draw on."""

    world: World
    profile: Profile
    day: int
    draft: Draft
    pool: Pool
    random: Generator

    def trade(self, at: int) -> Trade:
        """The candidate `at` of the pool."""
        row, ours = int(self.pool.row[at]), self.pool.fund_rows(at)
        known = int(self.pool.records.arrive_ns[list(ours)].max())
        return Trade(at, int(self.pool.group[at]), row, self.draft.row(row), ours, known)

    def asset(self, row: Row) -> Asset:
        """The asset class of a record's instrument."""
        return Asset(int(self.world.instruments.asset[row["instrument"]]))

    def is_asset(self, *assets: Asset) -> Bool:
        """Candidates in instruments of one of these classes."""
        return np.isin(self.world.instruments.asset[self.pool.column("instrument")], assets)

    def of(self, *sources: Source) -> Bool:
        """Candidates booked at one of these brokers."""
        return np.isin(self.pool.source, sources)

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        return int(self.random.integers(count))

    def between(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        return int(self.random.integers(low, high + 1))

    def sign(self) -> int:
        """1 or -1."""
        return 1 - 2 * self.below(2)

    def gross(self, row: Row) -> int:
        """Quantity by price as money of `value_ccy`; what the record would show as gross."""
        asset = self.asset(row)
        if asset in _PERCENT:
            return _divide(row["qty"] * row["price"], PRICE_UNIT) * CENT
        return _divide(row["qty"] * row["price"] * row["multiplier"], PRICE_UNIT // 100) * CENT

    def value_ccy(self, row: Row) -> int:
        """The currency of a record's gross amount: for currency pairs the second one."""
        pair = self.asset(row) in _FX
        return int(self.world.instruments.ccy2[row["instrument"]]) if pair else int(row["ccy"])

    def step(self, row: Row) -> int:
        """The smallest change of price that is a whole tick and can be seen in the decimals the record shows."""
        shown = 10 ** (8 - row["price_dp"])
        tick = int(self.world.instruments.tick[row["instrument"]])
        return int(-(-tick // shown) * shown)

    def files(self, source: int) -> bool:
        """Whether the broker sends files."""
        return timing.sends_files(Source(source), self.profile.charlie_fix)

    def due(self, source: int, known_at: int) -> int:
        """When a record of `source` about something known at `known_at` is late."""
        return int(timing.due(Source(source), np.array([known_at], np.int64), self.profile.charlie_fix)[0])

    def soon(self, row: Row) -> int | None:
        """When the same source can say something further the same day: 10 to 110 minutes later, or its next file."""
        source, arrived = row["source"], row["arrive_ns"]
        if not self.files(source):
            return arrived + self.between(*_SOON_SECONDS) * SECOND_NS
        following = int(timing.slot_after(Source(source), np.array([arrived], np.int64))[0])
        return following if following <= timing.local_ns(self.day, time(23, 59)) else None

    def later(self, row: Row) -> int:
        """As `soon`; for a source without another file that day the same file."""
        return self.soon(row) or row["arrive_ns"]

    def following(self, row: Row, status: Status, arrive_at: int, **changes: int) -> Row:
        """The next version of a record, as its source sends it at `arrive_at`."""
        return {
            **row,
            "status": int(status),
            "serial": self.draft.serial(row["source"]),
            "prev": row["serial"],
            "version": row["version"] + 1,
            "arrive_ns": arrive_at,
            "noise": 0,
            **changes,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """How a code is planted: where it may be, and what is done to a trade (None: not this one).

    `uses` is off where the trade only serves as a pattern and stays as it is.
    """

    mask: Bool
    make: Callable[[Trade], Planted | None]
    uses: bool = True


Planner = Callable[[Bench], Plan]


class Mates:
    """Which rows share a key."""

    def __init__(self, keys: npt.NDArray[np.int64]) -> None:
        self._keys = keys
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def of(self, key: int) -> list[int]:
        """The rows with a key."""
        first, last = np.searchsorted(self._sorted, [key, key + 1])
        found: list[int] = self._order[first:last].tolist()
        return found

    def shared(self) -> Bool:
        """Rows whose key another row has too."""
        _, place, count = np.unique(self._keys, return_inverse=True, return_counts=True)
        found: Bool = count[place] > 1
        return found


def differs(trade: Trade, code: str, field: str, true: object, shown: object, stake: tuple[int, int]) -> Planted:
    """The label of a booking that states something else than the fund; `stake` is (amount, currency)."""
    arrived = trade.theirs["arrive_ns"]
    return Planted(
        code=code,
        group=trade.group,
        pb=trade.theirs["source"],
        ours=trade.ours,
        theirs=(trade.row,),
        field=field,
        true=str(true),
        shown=str(shown),
        stake=abs(stake[0]),
        ccy=stake[1],
        injected_at=arrived,
        ours_at=trade.ours_at,
        theirs_at=arrived,
        detectable_at=max(arrived, trade.ours_at),
    )


def cure(bench: Bench, trade: Trade, planted: Planted) -> Planted | None:
    """Let the broker correct a wrong booking later the same day; None where it has no way to."""
    arrive_at = bench.soon(trade.theirs)
    if arrive_at is None:
        return None
    made = bench.draft.add(bench.following(trade.theirs, Status.CORRECT, arrive_at))
    return replace(planted, theirs=(*planted.theirs, made), cured_at=arrive_at)


def _divide(numerator: int, denominator: int) -> int:
    half = (abs(numerator) + denominator // 2) // denominator
    return half if numerator >= 0 else -half
