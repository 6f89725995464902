"""Bytes of a delimited file as records: where each starts, ends and which line it is on, quotes respected."""

import csv
import io

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


class Records:
    """The non-empty records of a file, addressed by position; all arrays run in parallel."""

    __slots__ = ("_outside", "data", "ends", "lines", "octets", "starts")

    def __init__(self, data: bytes) -> None:
        if b"\n" not in data:
            data = data.replace(b"\r", b"\n")
        self.data = data
        self.octets = np.frombuffer(data, dtype=np.uint8)
        self._outside = self._outside_quotes()
        breaks = np.flatnonzero(self.octets == _NEWLINE)
        ends = breaks if self._outside is None else breaks[self._outside[breaks]]
        starts = np.concatenate(([0], ends + 1)).astype(np.int64)
        ends = np.concatenate((ends, [len(self.octets)])).astype(np.int64)
        lines = np.searchsorted(breaks, starts, side="left").astype(np.int64) + 1
        ends = ends - ((ends > starts) & (self.octets[np.maximum(ends - 1, 0)] == _RETURN))
        filled = ends > starts
        self.starts, self.ends, self.lines = starts[filled], ends[filled], lines[filled]

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, at: int) -> bytes:
        """The record's bytes without its line end."""
        return self.data[self.starts[at] : self.ends[at]]

    def cells(self, at: int, delimiter: str) -> list[str]:
        """The record's cells, trimmed (for the few rows that are looked at one by one)."""
        text = self.raw(at).decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", " ")
        # A cell may be as long as it likes: it is this record's, not the file's, problem.
        csv.field_size_limit(max(csv.field_size_limit(), len(text)))
        row = next(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter), [])
        return [cell.strip() for cell in row]

    def cell_counts(self, delimiter: str) -> Offsets:
        """How many cells every record has."""
        marks = self.octets == ord(delimiter)
        if self._outside is not None:
            marks &= self._outside
        running = np.concatenate(([0], np.cumsum(marks, dtype=np.int32)))
        counts: Offsets = (running[self.ends] - running[self.starts] + 1).astype(np.int64)
        return counts

    def _outside_quotes(self) -> npt.NDArray[np.bool_] | None:
        """True where no quote is open; None when there are no quotes or a stray one (then lines are records)."""
        quotes = self.octets == _QUOTE
        opened = np.cumsum(quotes, dtype=np.int32) & 1
        if not len(opened) or not quotes.any() or opened[-1]:
            return None
        outside: npt.NDArray[np.bool_] = opened == 0
        return outside
