"""The NumPy lane's short cut: messages of one shape share the places of their fields, so one look serves them all.

A shape is a sequence of tags with the counts of its groups. It is learnt from the first message that has it, read field
by field; every other message is compared with it field by field before it is believed, so a shape never guesses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ingest.fix.codec.block import Bools, Ints, Words
from ingest.fix.codec.frames import Frames
from ingest.fix.codec.plan import Plan

_MOST_SHAPES = 8  # of one number of fields: what has more is read field by field
_WORD = 8

Placed = tuple[tuple[Ints, Ints], Ints]


@dataclass(frozen=True, slots=True)
class Shape:
    """One sequence of tags: `word & mask == key` for every field; `rows[r, c]` is the field of column c, -1 for none.

    `filled` are fields whose being empty would change what a row shows.
    """

    key: Words
    mask: Words
    value: Ints
    rows: Ints
    filled: Ints


class Shapes:
    """The shapes seen so far, by their number of fields; filled by `place`, one per lane."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[int, list[Shape]] = {}

    def place(self, words: Words, frames: Frames, slowly: Callable[[Frames], Placed]) -> Placed:
        """((start, size) of the value per column and row, rows per message), as `slowly` gives it for all messages."""
        if not len(frames.start):
            return slowly(frames)
        columns = len(self._plan.columns)
        word = words[frames.token_start]
        found: list[tuple[Shape, Ints]] = []
        left: list[Ints] = []
        for size, members in _by_size(frames.count):
            rest = members
            for shape in self._shapes(size, word, words, frames, slowly, members):
                fits = _fits(shape, word, frames, rest)
                if fits.any():
                    found.append((shape, rest[fits]))
                    rest = rest[~fits]
                if not len(rest):
                    break
            if len(rest):
                left.append(rest)
        rest = np.sort(np.concatenate(left)) if left else np.zeros(0, dtype=np.int64)
        (first, length), told = slowly(_part(frames, rest))
        rows = np.zeros(len(frames.start), dtype=np.int64)
        rows[rest] = told
        for shape, members in found:
            rows[members] = len(shape.rows)
        shown = np.maximum(rows, 0)
        base = np.cumsum(shown) - shown
        starts, sizes = (np.zeros((int(shown.sum()), columns), dtype=np.int64) for _ in range(2))
        if len(rest):
            at = _rows(base[rest], shown[rest])
            starts[at], sizes[at] = first.T, length.T
        for shape, members in found:
            at = (base[members][:, None] + np.arange(len(shape.rows))).ravel()
            starts[at], sizes[at] = _values(shape, frames, members, columns)
        return (np.ascontiguousarray(starts.T), np.ascontiguousarray(sizes.T)), rows

    def _shapes(
        self, size: int, word: Words, words: Words, frames: Frames, slowly: Callable[[Frames], Placed], members: Ints
    ) -> Iterator[Shape]:
        """Known shapes of `size` fields, then new ones as long as messages are left that none of them fits."""
        known = self._known.setdefault(size, [])
        rest = members
        for shape in known:
            yield shape
        while len(known) < _MOST_SHAPES:
            for shape in known:
                rest = rest[~_fits(shape, word, frames, rest)] if len(rest) else rest
            if not len(rest):
                return
            tries = (_learn(self._plan, words, _part(frames, rest[n : n + 1]), slowly) for n in {0, len(rest) // 2})
            learnt = next((shape for shape in tries if shape is not None), None)
            if learnt is None:
                return
            known.append(learnt)
            yield learnt


def _by_size(count: Ints) -> Iterator[tuple[int, Ints]]:
    """Messages by their number of fields."""
    order = np.argsort(count, kind="stable")
    sizes, first = np.unique(count[order], return_index=True)
    yield from zip(sizes.tolist(), np.split(order, first[1:]), strict=True)


def _fits(shape: Shape, word: Words, frames: Frames, members: Ints) -> Bools:
    first = frames.first[members][:, None]
    fits: Bools = ((word[first + np.arange(len(shape.key))] & shape.mask) == shape.key).all(axis=1)
    if len(shape.filled):
        token = first + shape.filled
        fits &= (frames.token_end[token] > frames.token_start[token] + shape.value[shape.filled]).all(axis=1)
    return fits


def _values(shape: Shape, frames: Frames, members: Ints, columns: int) -> tuple[Ints, Ints]:
    """Start and size of the values, a row of the result per row of each message."""
    field = np.maximum(shape.rows, 0).ravel()
    token = frames.first[members][:, None] + field
    start = frames.token_start[token] + shape.value[field]
    length = (frames.token_end[token] - start) * (shape.rows >= 0).ravel()
    return start.reshape(-1, columns), length.reshape(-1, columns)


def _part(frames: Frames, members: Ints) -> Frames:
    """The frames of some messages, in order."""
    count = frames.count[members]
    first = np.cumsum(count) - count
    token = np.arange(int(count.sum())) + np.repeat(frames.first[members] - first, count)
    return Frames(
        frames.start[members], frames.end[members], first, count, frames.token_start[token], frames.token_end[token],
        frames.rejects, frames.position,
    )  # fmt: skip


def _rows(base: Ints, count: Ints) -> Ints:
    """base, base + 1, ... for each count."""
    opens = np.cumsum(count) - count
    return np.asarray(np.arange(int(count.sum())) + np.repeat(base - opens, count))


def _learn(plan: Plan, words: Words, one: Frames, slowly: Callable[[Frames], Placed]) -> Shape | None:
    """The shape of a message; None where its fields' places do not follow from its tags and counts alone."""
    (start, length), rows = slowly(one)
    if rows[0] < 1:
        return None
    parts = [words[at : at + 1].tobytes() for at in one.token_start.tolist()]
    sizes = (one.token_end - one.token_start + 1).tolist()
    counts = {b"%d=" % tag for tag in plan.groups}
    tags = [part[: part.find(b"=") + 1] for part in parts]
    key, mask = [], []
    for part, tag, size in zip(parts, tags, sizes, strict=True):
        kept = len(tag)
        if tag in counts:
            # How often an entry follows decides the rows: the whole field must be the same.
            kept = size
        if not tag or kept > _WORD:
            return None
        key.append(part[:kept].ljust(_WORD, b"\0"))
        mask.append((b"\xff" * kept).ljust(_WORD, b"\0"))
    values = np.array([len(tag) for tag in tags], dtype=np.int64)
    table = _fields(one, values, start.T, length.T)
    filled = np.zeros(0, dtype=np.int64)
    if counts.intersection(tags):
        # In an entry an empty value gives way to the message's own.
        giving = {b"%d=" % column.tag for column in plan.columns if column.level == "row"}
        filled = np.array([field for field, tag in enumerate(tags) if tag in giving], dtype=np.int64)
        if (one.token_end[filled] == one.token_start[filled] + values[filled]).any():
            return None
    return Shape(_as_words(key), _as_words(mask), values, table, filled)


def _fields(one: Frames, value: Ints, start: Ints, length: Ints) -> Ints:
    """Which field each value of the only message is: -1 where there is none."""
    field: Ints = np.searchsorted(one.token_start + value, start)
    # What is absent stands at the first field, BeginString(8), which is never empty.
    return np.where((length == 0) & (field == 0), -1, field)


def _as_words(parts: list[bytes]) -> Words:
    return np.frombuffer(b"".join(parts), dtype="<u8").astype(np.uint64)
