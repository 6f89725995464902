"""Grouping: which records were put together, link by link; interchangeable twins may be swapped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.scoring.intervals import Rate
from simulator.scoring.read import Key
from simulator.scoring.result import Links, Reported, Standing
from simulator.scoring.truth import Truth

Codes = NDArray[np.int64]
_SHIFT = np.int64(32)
_LOW = np.int64(0xFFFFFFFF)

Numbers = Sequence[int] | NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Grouping:
    """Links between the two sides.

    `precision`: of the links the groups make, how many are right. `recall`: of the true links, how many are made by a
    group or shown together by an open break (a broken pair is in no group). `wrong` and `missing` hold some examples.
    """

    groups: int
    precision: Rate
    recall: Rate
    wrong: tuple[tuple[Key, Key], ...] = ()
    missing: tuple[tuple[Key, Key], ...] = ()

    @property
    def perfect(self) -> bool:
        """Every link right and every true link there."""
        return self.precision.hits == self.precision.trials and self.recall.hits == self.recall.trials


@dataclass(frozen=True, slots=True)
class _Counted:
    """Links as sorted codes with how often each occurs; `others` are links that cannot be right."""

    codes: Codes
    counts: Codes
    others: int = 0

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.others


def grouping(truth: Truth, links: Links, reported: Iterable[Reported], examples: int) -> Grouping:
    """Compare the links of the result with those of the truth."""
    shown_left, shown_right = _shown(truth, reported)
    same = _same(truth)
    true = _counted(truth.left, truth.right, same)
    large, others = _large(links, true, same)
    made = _counted(links.left, links.right, same, large, others)
    # A pair both in a group and in a break is one link, so both are listed together before they are counted.
    left, right = np.concatenate([links.left, shown_left]), np.concatenate([links.right, shown_right])
    found = _counted(left, right, same, large) if shown_left else made
    correct, recalled = _common(true, made), _common(true, found)
    return Grouping(
        groups=links.groups,
        precision=Rate(int(correct.sum()), made.total),
        recall=Rate(int(recalled.sum()), true.total),
        wrong=_named(truth, made.codes, made.counts - _common(made, true), examples),
        missing=_named(truth, true.codes, true.counts - recalled, examples),
    )


def _shown(truth: Truth, reported: Iterable[Reported]) -> tuple[list[int], list[int]]:
    """Links that open breaks show: their left records with their right ones, as far as the truth knows them."""
    left: list[int] = []
    right: list[int] = []
    for one in reported:
        if one.standing is not Standing.OPEN and one.standing is not Standing.BY_PERSON:
            continue
        ours, theirs = ([n for n in map(truth.names.find, side) if n is not None] for side in (one.left, one.right))
        groups = _groups(truth, theirs)
        for number in ours:
            # A break may name thousands of records; those of other groups are no link to be found.
            near = theirs if len(ours) * len(theirs) <= 10_000 else groups.get(_group(truth, number), [])
            left += [number] * len(near)
            right += near
    return left, right


def _group(truth: Truth, number: int) -> int:
    return truth.group_of[number] if number < len(truth.group_of) else -1


def _groups(truth: Truth, numbers: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number in numbers:
        found.setdefault(_group(truth, number), []).append(number)
    return found


def _same(truth: Truth) -> Codes:
    """Each record's number, or that of the twin that stands for it."""
    same = np.arange(len(truth.names), dtype=np.int64)
    stands: dict[Key, int] = {}
    for key in {*truth.twin, *truth.twin.values()}:
        number = truth.names.find(key)
        if number is not None:
            same[number] = stands.setdefault(truth.same(key), number)
    return same


def _counted(left: Numbers, right: Numbers, same: Codes, more: Codes | None = None, others: int = 0) -> _Counted:
    """Different links with twins folded, how often each occurs; a link listed twice counts once."""
    plain = np.unique(_pair(np.asarray(left, np.int64), np.asarray(right, np.int64)))
    folded = _pair(same[plain >> _SHIFT], same[plain & _LOW])
    codes, counts = np.unique(folded if more is None else np.concatenate([folded, more]), return_counts=True)
    return _Counted(codes, counts.astype(np.int64), others)


def _pair(left: Codes, right: Codes) -> Codes:
    """Links have no direction: the smaller number stands in the upper half."""
    codes: Codes = (np.minimum(left, right) << _SHIFT) | np.maximum(left, right)
    return codes


def _common(one: _Counted, other: _Counted) -> Codes:
    """For each code of `one`, how often both have it."""
    if not len(other.codes):
        return np.zeros(len(one.codes), np.int64)
    place = np.minimum(np.searchsorted(other.codes, one.codes), len(other.codes) - 1)
    there = other.codes[place] == one.codes
    common: Codes = np.where(there, np.minimum(one.counts, other.counts[place]), 0)
    return common


def _large(links: Links, true: _Counted, same: Codes) -> tuple[Codes, int]:
    """Of groups too large to list: links that may be right, and how many others they make."""
    kept: list[Codes] = [np.empty(0, np.int64)]
    others = 0
    for left, right in links.large:
        ours, theirs = _tally(left, same), _tally(right, same)
        either = np.union1d(ours[0], theirs[0])
        # A true link inside has its smaller end, by which the links are sorted, among the group's records.
        first, last = np.searchsorted(true.codes, either << _SHIFT), np.searchsorted(true.codes, (either + 1) << _SHIFT)
        near = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        one, other = true.codes[near] >> _SHIFT, true.codes[near] & _LOW
        times = _times(ours, one) * _times(theirs, other) + _times(theirs, one) * _times(ours, other)
        inside = np.repeat(true.codes[near], np.minimum(times, true.counts[near]))
        kept.append(inside)
        others += len(left) * len(right) - len(inside)
    return np.concatenate(kept), others


def _tally(numbers: Numbers, same: Codes) -> tuple[Codes, Codes]:
    values, counts = np.unique(same[np.asarray(numbers)], return_counts=True)
    return values, counts.astype(np.int64)


def _times(tally: tuple[Codes, Codes], wanted: Codes) -> Codes:
    values, counts = tally
    place = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    times: Codes = np.where(values[place] == wanted, counts[place], 0)
    return times


def _named(truth: Truth, codes: Codes, counts: Codes, most: int) -> tuple[tuple[Key, Key], ...]:
    chosen = codes[counts > 0][:most]
    return tuple((truth.names.key(int(code >> _SHIFT)), truth.names.key(int(code & _LOW))) for code in chosen)
