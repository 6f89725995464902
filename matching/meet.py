"""Which passes can pair anything, told from the keys of the free records, where these are few enough to be fetched.

A pass pairs records of one component that are equal in its keys. Whether any two are costs nothing to see with the
keys at hand; planning the pass costs milliseconds. Records that passes take meanwhile only leave fewer to meet.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from matching.keys import sides_of
from matching.rules import (
    AggregatePass,
    EconomicsPass,
    ExactPass,
    NearMissPass,
    Pass,
    RunsPass,
    SubsetsPass,
    TolerancePass,
)
from warehouse.port import Warehouse

# More free records than this, of both sides together, are left to the warehouse.
FEW = 1_000
_KEYED = (ExactPass, EconomicsPass, AggregatePass, TolerancePass, NearMissPass, RunsPass, SubsetsPass)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What records must have in common for a pass to find anything: columns of ours and theirs that are equal, in the
    same component, of so many records at least."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    least: int = 2


def meeting(rule: Pass) -> Meeting | None:
    """What the pass asks for; None where it is no question of equal keys."""
    if not isinstance(rule, _KEYED):
        return None
    pairs = sides_of(rule.keys)
    if isinstance(rule, ExactPass) and rule.variants:
        pairs = pairs[1:]
    several = isinstance(rule, (RunsPass, SubsetsPass)) or (isinstance(rule, AggregatePass) and rule.several)
    return Meeting(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), 3 if several else 2)


class Free:
    """The keys of the free records of both sides."""

    def __init__(self, left: pa.Table, right: pa.Table) -> None:
        self._sides = (left, right)
        self._columns: dict[tuple[int, str], list[object]] = {}
        self._told: dict[Meeting, bool] = {}

    def has(self, leg: str, name: str) -> bool:
        """Whether any record of the side has anything in the column."""
        return any(value is not None for value in self._column("lr".index(leg), name))

    def values(self, leg: str, name: str) -> Sequence[object]:
        """A column of one side."""
        return self._column("lr".index(leg), name)

    def may(self, asked: Meeting) -> bool:
        """Whether any records meet."""
        if asked not in self._told:
            left, right = self._counted(0, asked.left), self._counted(1, asked.right)
            self._told[asked] = any(key in right and n + right[key] >= asked.least for key, n in left.items())
        return self._told[asked]

    def _counted(self, side: int, names: Sequence[str]) -> Counter[tuple[object, ...]]:
        columns = [self._column(side, name) for name in ("component", *names)]
        # What is unknown equals nothing.
        return Counter(key for key in zip(*columns, strict=True) if None not in key)

    def _column(self, side: int, name: str) -> list[object]:
        at = (side, name)
        if at not in self._columns:
            self._columns[at] = self._sides[side].column(name).to_pylist()
        return self._columns[at]


def free(warehouse: Warehouse, names: Sequence[str]) -> Free:
    """The columns `names` of the free records of both sides, as they are now."""
    shown = ", ".join(names)
    return Free(*(warehouse.query(f"select {shown} from work_{leg}") for leg in ("l", "r")))
