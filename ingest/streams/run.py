"""Many messages in one piece of memory: what a session received in a row, logged without an object per message."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt


class Run(Sequence[bytes]):
    """Messages side by side in `data`, `ends` being where each one ends. Bytes objects are made when asked for."""

    __slots__ = ("data", "ends")

    def __init__(self, data: bytes, ends: npt.NDArray[np.int64]) -> None:
        self.data, self.ends = data, ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[bytes, ...]: ...

    def __getitem__(self, index: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        at = range(len(self.ends))[index]
        return self.data[int(self.ends[at - 1]) if at else 0 : int(self.ends[at])]

    def __iter__(self) -> Iterator[bytes]:
        start = 0
        for end in self.ends.tolist():
            yield self.data[start:end]
            start = end

    def packed(self) -> bytes:
        """All lengths (4 bytes each, little endian), then all messages: a frame's body."""
        return np.diff(self.ends, prepend=0).astype("<u4").tobytes() + self.data

    def part(self, first: int, last: int) -> "Run":
        """Messages first..last-1 as a run of their own."""
        start = int(self.ends[first - 1]) if first else 0
        return Run(self.data[start : int(self.ends[last - 1])], self.ends[first:last] - start)
