"""What a lane makes of a run of bytes: messages, rejected spans and columns as plain arrays, before they are Arrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ingest.fix.codec.plan import Kind, Plan

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PAD_BYTES = 128  # readable behind the last byte a lane looks at: it reads whole words and blocks
NULL, READ, LOOK = 0, 1, 2  # a value is absent, read, or left to the exact lane


@dataclass(frozen=True, slots=True)
class Columns:
    """Values by kind: integers and times, precisions, dates, 128-bit pairs (decimals, string views), and what they are.

    `place[slot]` is the column's place among those of its kind. `state` holds NULL, READ or LOOK.
    """

    place: tuple[int, ...]
    longs: Ints
    precision: npt.NDArray[np.int8]
    days: npt.NDArray[np.int32]
    pairs: Ints
    state: npt.NDArray[np.uint8]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.state.shape[1])

    def cut(self, rows: int) -> "Columns":
        """The first rows."""
        return Columns(
            self.place, self.longs[:, :rows], self.precision[:, :rows], self.days[:, :rows], self.pairs[:, :rows],
            self.state[:, :rows],
        )  # fmt: skip

    def put(self, slot: int, row: int, plan: Plan, value: int | None, precision: int) -> None:
        """One value of the exact lane in its place; None is null."""
        self.state[slot, row] = NULL if value is None else READ
        held, place, kind = value or 0, self.place[slot], plan.kinds[slot]
        if kind == Kind.DECIMAL:
            low = held & (2**64 - 1)
            self.pairs[place, row] = low - 2**64 if low >= 2**63 else low, held >> 64
        elif kind == Kind.DATE:
            self.days[place, row] = held
        else:
            self.longs[place, row] = held
            self.precision[place, row] = precision

    def insert(self, at: Ints, other: "Columns") -> "Columns":
        """The other's rows before the rows at the given places."""

        def put(mine: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.insert(mine, at, theirs, axis=1)

        return Columns(
            self.place, put(self.longs, other.longs), put(self.precision, other.precision), put(self.days, other.days),
            put(self.pairs, other.pairs), put(self.state, other.state),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """One run of a lane over a buffer.

    `messages` has start, end and rows (-1: left to the exact lane) of each message; `rejects` start, end and Reason.
    `position` is the first byte not dealt with; `done` says that no whole message follows it in the buffer.
    """

    messages: Ints
    rejects: Ints
    columns: Columns
    ascii: bool
    position: int
    done: bool


class Lane(Protocol):
    """One way of decoding a run of bytes."""

    @property
    def name(self) -> str:
        """`numpy` or `numba`."""
        ...

    def decode(self, octets: Octets, start: int, limit: int, cap: int) -> Block:
        """The messages from `start` on that end before `limit`, or the first block of them."""
        ...


def empty_columns(plan: Plan, rows: int) -> Columns:
    """Room for so many rows."""
    place, sizes = _places(plan)
    longs, days, pairs = sizes
    return Columns(
        place,
        np.empty((longs, rows), np.int64),
        np.empty((longs, rows), np.int8),
        np.empty((days, rows), np.int32),
        np.empty((pairs, rows, 2), np.int64),
        np.empty((len(plan.columns), rows), np.uint8),
    )


def _places(plan: Plan) -> tuple[tuple[int, ...], Sequence[int]]:
    group = {Kind.INT: 0, Kind.TIMESTAMP: 0, Kind.DATE: 1, Kind.DECIMAL: 2, Kind.STRING: 2}
    sizes, place = [0, 0, 0], []
    for kind in plan.kinds.tolist():
        place.append(sizes[group[Kind(kind)]])
        sizes[group[Kind(kind)]] += 1
    return tuple(place), sizes
