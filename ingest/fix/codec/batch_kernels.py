"""What the normaliser takes from the compiled lane: tokens, first positions, texts and hashes of a whole batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit, types

from ingest.fix.codec.kernels_index import (
    count_separators,
    first_positions,
    gather_bytes,
    gather_sizes,
    index_tokens,
)
from ingest.fix.codec.kernels_sha import has_instructions, sha256_many

Ints = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]
Slots = npt.NDArray[np.int16]
READ_BEHIND_BYTES = 72  # what must be readable behind the bytes handed in
_DIGEST_BYTES = 32


class BatchKernels:
    """Compiled functions over arrays; each gives, bit for bit, what the NumPy lane of its caller gives.

    Arrays are contiguous. Any number of threads may use one object.
    """

    def __init__(self, *, cache: bool) -> None:
        """Compile, or load from the cache."""
        i64, u64, none = types.int64, types.uint64, types.void

        def compiled(function: Callable[..., Any], result: Any, *arguments: Any) -> Any:
            return njit([result(*arguments)], cache=cache, nogil=True, error_model="numpy")(function)

        self._count = compiled(count_separators, i64, u64, i64)
        self._tokens = compiled(index_tokens, none, u64, u64, i64, *[u64] * 6)
        self._first = compiled(first_positions, none, u64, i64, u64, u64, i64, i64, u64)
        self._sizes = compiled(gather_sizes, i64, u64, u64, u64, i64, u64, u64)
        self._bytes = compiled(gather_bytes, i64, u64, u64, u64, u64, i64, u64)
        self._sha = compiled(sha256_many, none, u64, u64, i64, i64, u64, u64) if has_instructions() else None

    def tokens(self, octets: Octets, message_end: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
        """(first, message, tag, start, value_start, value_end) of messages side by side that end at `message_end`."""
        size = int(message_end[-1]) if len(message_end) else 0
        fields = self._count(_address(octets), size)
        first = np.empty(len(message_end) + 1, dtype=np.int64)
        message, tag, start, value, end = (np.empty(fields, dtype=np.int64) for _ in range(5))
        self._tokens(
            _address(octets), _address(message_end), len(message_end), _address(first),
            *map(_address, (message, tag, start, value, end)),
        )  # fmt: skip
        return first, message, tag, start, value, end

    def first_positions(self, tags: Ints, owners: Ints, slots: Slots, count: int, size: int) -> Ints:
        """Table [slot, owner] of the first field of each tag that has a slot, -1 where there is none."""
        table = np.full((count, size), -1, dtype=np.int64)
        self._first(_address(tags), len(tags), _address(owners), _address(slots), len(slots), size, _address(table))
        return table

    def texts(self, octets: Octets, value_start: Ints, value_end: Ints, fields: Ints) -> pa.Array | None:
        """The values of the fields as Arrow strings, empty and absent (-1) ones null; None if one is not ASCII."""
        rows = len(fields)
        fields = np.ascontiguousarray(fields)
        offsets, valid = np.empty(rows + 1, dtype=np.int32), np.empty(rows, dtype=np.bool_)
        places = (_address(value_start), _address(value_end), _address(fields), rows)
        size = self._sizes(*places, _address(offsets), _address(valid))
        if size > np.iinfo(np.int32).max:
            return None
        out = np.empty(size + 8, dtype=np.uint8)
        if not self._bytes(_address(octets), *places, _address(out)):
            return None
        present = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.Array.from_buffers(pa.string(), rows, [present, pa.py_buffer(offsets), pa.py_buffer(out[:size])])

    def digests(self, data: int, bounds: npt.NDArray[Any], count: int) -> Octets | None:
        """SHA-256 of the texts between the bounds (32 or 64 bit) at an address; None where it cannot be done."""
        if self._sha is None:
            return None
        out, room = np.empty(count * _DIGEST_BYTES, dtype=np.uint8), np.empty(192, dtype=np.uint8)
        self._sha(np.uint64(data), _address(bounds), int(bounds.itemsize == 8), count, _address(room), _address(out))
        return out


def _address(array: npt.NDArray[Any]) -> np.uint64:
    return np.uint64(array.ctypes.data)
