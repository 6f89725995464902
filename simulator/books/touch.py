"""Which records the planted trade breaks are about, and so which positions and balances they may move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.ids import uids
from simulator.records import I64, Bool, Records, Source
from simulator.truth import BreakTruth


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """Pairs of a record's row and a label's place: the records a label names, and all others of their groups."""

    row: I64
    label: I64
    ids: tuple[str, ...]
    codes: tuple[str, ...]

    def mask(self, rows: int) -> Bool:
        """True for each of `rows` records that any label is about."""
        made: Bool = np.zeros(rows, np.bool_)
        made[self.row] = True
        return made

    def keys(self, keys: I64, wanted: Bool, but: frozenset[str]) -> I64:
        """The keys, given per record, that labels of any code but some are about, where `wanted`."""
        counts = np.array([code not in but for code in self.codes], np.bool_)
        used = wanted[self.row] & counts[self.label]
        made: I64 = np.unique(keys[self.row[used]])
        return made

    def why(self, keys: I64, wanted: Bool) -> dict[int, tuple[str, ...]]:
        """Break ids by key, where `keys` and `wanted` (is it there at all) are given per record."""
        used = wanted[self.row]
        pairs = np.unique(np.stack([keys[self.row[used]], self.label[used]], axis=1), axis=0)
        made: dict[int, tuple[str, ...]] = {}
        starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1)).tolist()
        for start, end in zip(starts, (*starts, len(pairs))[1:], strict=True):
            made[int(pairs[start, 0])] = tuple(self.ids[at] for at in pairs[start:end, 1].tolist())
        return made


def touched(records: Records, labels: Sequence[BreakTruth]) -> Touched:
    """The records that `labels` name in any of their versions, and the records grouped with those."""
    ids = tuple(label.break_id for label in labels)
    named: dict[str, tuple[list[str], list[int]]] = {}
    for at, label in enumerate(labels):
        for member in (*label.internal_ids, *label.external_ids):
            texts, places = named.setdefault(member.source, ([], []))
            texts.append(member.uid)
            places.append(at)
    parts = [_hits(records, source, *named[source.name]) for source in Source if source.name in named]
    row = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
    place = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
    grouped = records.group[row] > 0
    members = np.unique(np.stack([records.group[row[grouped]], place[grouped]], axis=1), axis=0)
    at_member, at_record = joined(members[:, 0], records.group)
    pairs = np.stack([np.concatenate([row, at_record]), np.concatenate([place, members[at_member, 1]])], axis=1)
    pairs = np.unique(pairs, axis=0)
    return Touched(pairs[:, 0], pairs[:, 1], ids, tuple(label.code for label in labels))


def _hits(records: Records, source: Source, texts: list[str], places: list[int]) -> tuple[I64, I64]:
    rows = np.flatnonzero(records.source == source)
    if not len(rows):
        return rows, rows
    wanted = pc.unique(pa.array(texts, pa.string()))
    found = _places(uids(records.take(rows), source), wanted)
    named = _places(pa.array(texts, pa.string()), wanted)
    at_text, at_row = joined(named, np.where(found >= 0, found, -2))
    return rows[at_row], np.array(places, np.int64)[at_text]


def _places(texts: pa.StringArray, wanted: pa.StringArray) -> I64:
    made: I64 = pc.fill_null(pc.index_in(texts, value_set=wanted), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return made


def joined(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> tuple[I64, I64]:
    """Places in `left` and `right` of every pair of equal values."""
    kept = np.flatnonzero(np.isin(right, left))
    order = kept[np.argsort(right[kept], kind="stable")]
    first = np.searchsorted(right[order], left, side="left")
    count = np.searchsorted(right[order], left, side="right") - first
    at_left = np.repeat(np.arange(len(left)), count)
    within = np.arange(len(at_left)) - np.repeat(np.cumsum(count) - count, count)
    return at_left, order[np.repeat(first, count) + within]


def merged(*why: Mapping[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
    """The ids of all mappings by key, each once, in order."""
    made: dict[int, tuple[str, ...]] = {}
    for one in why:
        for key, ids in one.items():
            made[key] = tuple(dict.fromkeys((*made.get(key, ()), *ids)))
    return made
