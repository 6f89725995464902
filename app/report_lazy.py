"""Rows of a report that are worked out when they are looked at: few in memory, however many there are."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

from app.report_rows import Json, dump

CHUNK_ROWS = 2_000


class LazyRows(Sequence[Json]):
    """Rows in a fixed order, worked out a chunk at a time and not kept."""

    def __init__(
        self,
        count: int,
        rows: Callable[[int, int], list[Json]],
        texts: Callable[[int, int], list[str]] | None = None,
    ) -> None:
        """`rows` gives the rows from one position up to another, `texts` the same as lines of JSON."""
        self._count, self._rows = count, rows
        self._texts = texts or (lambda first, last: [dump(row) for row in rows(first, last)])

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Json: ...
    @overload
    def __getitem__(self, at: slice) -> list[Json]: ...
    def __getitem__(self, at: int | slice) -> Json | list[Json]:
        if isinstance(at, slice):
            first, last, step = at.indices(self._count)
            if step != 1:
                return [self[n] for n in range(first, last, step)]
            return self._rows(first, max(first, last))
        place = range(self._count)[at]
        return self._rows(place, place + 1)[0]

    def __iter__(self) -> Iterator[Json]:
        for first, last in self._chunks():
            yield from self._rows(first, last)

    def texts(self) -> Iterator[list[str]]:
        """Lines of compact JSON with sorted keys, a chunk at a time."""
        for first, last in self._chunks():
            yield self._texts(first, last)

    def _chunks(self) -> Iterator[tuple[int, int]]:
        for first in range(0, self._count, CHUNK_ROWS):
            yield first, min(first + CHUNK_ROWS, self._count)
