"""What a log holds, as places in its bytes: a message's bytes are there once, however many messages there are."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.fix.proven import Ints

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """One entry per piece in every array: `data` has its prefix from `prefix_starts` to `starts`, itself to `ends`.

    `lines` counts from 1. What is no message (`are_messages`) is a line of other text.
    """

    data: bytes
    prefix_starts: Ints
    starts: Ints
    ends: Ints
    lines: Ints
    are_messages: Bools

    def raws(self, places: Iterable[int]) -> list[bytes]:
        """The bytes of some pieces."""
        return self._between(self.starts, self.ends, places)

    def prefixes(self, places: Iterable[int]) -> list[bytes]:
        """What stood before some pieces on their lines."""
        return self._between(self.prefix_starts, self.starts, places)

    def _between(self, first: Ints, behind: Ints, places: Iterable[int]) -> list[bytes]:
        at, data = np.fromiter(places, np.int64), self.data
        return [data[a:b] for a, b in zip(first[at].tolist(), behind[at].tolist(), strict=True)]

    def __len__(self) -> int:
        return len(self.starts)


class Collected:
    """Pieces as they are found, in their order."""

    def __init__(self, data: bytes) -> None:
        self._data, self._kinds = data, bytearray()
        self._places = tuple(array("q") for _ in range(3))

    def add(self, prefix_start: int, start: int, end: int, *, is_message: bool) -> None:
        """One piece, as `Pieces` has it."""
        for column, place in zip(self._places, (prefix_start, start, end), strict=True):
            column.append(place)
        self._kinds.append(is_message)

    def add_messages(self, prefix_starts: Ints, starts: Ints, ends: Ints) -> None:
        """Many messages at once."""
        for column, places in zip(self._places, (prefix_starts, starts, ends), strict=True):
            column.frombytes(places.astype(np.int64).tobytes())
        self._kinds += b"\x01" * len(starts)

    def pieces(self, newlines: Ints) -> Pieces:
        """All of them; `newlines` is where lines end."""
        before, starts, ends = (np.array(column, dtype=np.int64) for column in self._places)
        lines = np.searchsorted(newlines, starts) + 1
        return Pieces(self._data, before, starts, ends, lines, np.array(self._kinds, dtype=np.bool_))
