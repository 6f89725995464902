"""What the books of a day are: files, truth rows, and the state that the next day opens with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.market.world import Text, World
from simulator.records import I8, I16, I32, I64, Bool, Columns, Records, Source
from simulator.truth import BreakTruth, Consequence

# Positions are one array [broker, account, instrument], cash one [broker, account, currency]; a broker's place is its
# Source (place 0, the fund's, stays empty), so that an account shown at a broker that does not hold it has a place.
BROKERS = len(Source)


@dataclass(frozen=True, slots=True, eq=False)
class Unsettled(Columns):
    """Bookings that move a position but have not settled: place in the position array, settlement day, quantity."""

    cell: I64
    settle_date: I32
    qty: I64


@dataclass(frozen=True, slots=True, eq=False)
class OpenItems(Columns):
    """Bookings that were not wholly settled when last reported; `heals` ones settle by the next report.

    `ssi` is the row of the instruction the broker shows, `status` a settlement.Outcome.
    """

    uid: Text
    source: I8
    account: I16
    settle_date: I32
    qty: I64
    settled: I64
    status: I8
    reason: I8
    ssi: I32
    heals: Bool

    @classmethod
    def none(cls) -> "OpenItems":
        """No rows."""
        whole = np.zeros(0, np.int64)
        small, day = whole.astype(np.int8), whole.astype(np.int32)
        return cls(
            np.zeros(0, np.str_), small, whole.astype(np.int16), day, whole, whole, small, small, day,
            whole.astype(np.bool_),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """How the books closed: positions and cash as the fund and as the brokers hold them, and what is still open.

    `number` counts closed days. `fund_qty` and `broker_qty` are [broker, account, instrument], the cash arrays
    [broker, account, currency] in MONEY_UNITs. `why_qty` and `why_cash` name the breaks behind every place where the
    two differ.
    """

    number: int
    fund_qty: I64
    broker_qty: I64
    fund_cash: I64
    broker_cash: I64
    why_qty: Mapping[int, tuple[str, ...]]
    why_cash: Mapping[int, tuple[str, ...]]
    unsettled: Unsettled
    items: OpenItems


@dataclass(frozen=True, slots=True)
class Books:
    """A day's files by path, the breaks planted in them, what trade breaks entail in them, and the closing state.

    `arrivals` is when each file arrives, UTC ns; `short` says how many of a code the day had no room for.
    """

    files: dict[str, bytes]
    arrivals: dict[str, int]
    breaks: list[BreakTruth]
    consequences: list[Consequence]
    closing: State
    short: dict[str, int]


def brokers_of(pbs: str) -> tuple[Source, ...]:
    """The prime brokers of a profile's letters."""
    return tuple(source for source in Source if source is not Source.OMS and source.name[0] in pbs)


def holder(records: Records, world: World) -> I64:
    """The broker whose books a record belongs in: the one that states it, or for the fund's the account's own."""
    at = world.accounts.pb[np.maximum(records.account, 0)]
    made: I64 = np.where(records.source == Source.OMS, at, records.source).astype(np.int64)
    return made


def booked(records: Records) -> Bool:
    """Records that move somebody's books: those with an account; a block's fills have none."""
    made: Bool = (records.account >= 0) & ((records.source != Source.OMS) | (records.pb > 0))
    return made
