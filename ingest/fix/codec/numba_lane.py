"""The compiled lane as an object: the plan's tables and the scratch space its machine code works in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.fix.codec.block import Block, Octets, empty_columns
from ingest.fix.codec.plan import Plan

BLOCK_ROWS = 32_768
REJECTS = 4_096
_STEP_ROWS, _SHAPES, _SHAPE_FIELDS, _SHAPE_ROWS, _SHAPE_FACTS = 256, 256, 128, 8, 5
_NOTHING = np.uint64(2**64 - 1)
_DONE, _NO_ROOM = 0, 3


class NumbaLane:
    """Decodes by `plan` with the compiled block function; bit for bit what the NumPy lane gives. For one thread."""

    name = "numba"

    def __init__(self, plan: Plan, block: Callable[..., None]) -> None:
        self._plan, self._block = plan, block
        width = len(plan.columns) + 1
        self._table = np.stack([plan.keys, plan.slots.astype(np.uint64)], axis=1).ravel()
        self._places = np.array(empty_columns(plan, 0).place, dtype=np.int64)
        self._target = np.zeros(width, dtype=np.int64)
        self._facts = np.zeros(_SHAPES * _SHAPE_FACTS, dtype=np.int64)
        self._known = np.zeros(_SHAPES * _SHAPE_FIELDS * 3, dtype=np.uint64)
        self._filled = np.zeros(_SHAPES * _SHAPE_ROWS * width * 2, dtype=np.uint64)
        self._fields = [np.zeros(0, dtype=np.uint64)] * 4
        self._pos = np.full(2 * _STEP_ROWS * width, _NOTHING, dtype=np.uint64)

    def decode(self, octets: Octets, start: int, limit: int, cap: int) -> Block:
        """Messages from `start` on until a block of rows is full or none ends before `limit`."""
        if len(self._fields[0]) < cap + 16:
            self._fields = [np.zeros(cap + 16, dtype=np.uint64) for _ in range(4)]
        plan, width = self._plan, len(self._plan.columns) + 1
        rows = BLOCK_ROWS
        while True:
            columns = empty_columns(plan, rows)
            messages, rejects = np.empty((rows, 3), dtype=np.int64), np.empty((REJECTS, 3), dtype=np.int64)
            state = np.zeros(6, dtype=np.int64)
            state[0] = start
            keys, slots, values, stops = self._fields
            arrays = (
                self._table, plan.levels, plan.kinds, plan.scales, self._places, keys, slots, values, self._target,
                stops, self._facts, self._known, self._filled, self._pos, messages, rejects, state, columns.longs,
                columns.precision, columns.days, columns.pairs, columns.state,
            )  # fmt: skip
            self._block(
                _address(octets), limit, cap, start, plan.multiplier, plan.shift, width - 1, rows,
                len(self._pos) // width, REJECTS, *map(_address, arrays),
            )  # fmt: skip
            if state[5] != _NO_ROOM or state[1] or state[3]:
                break
            # One message alone has more rows than there is room for.
            self._pos = np.full(2 * len(self._pos), _NOTHING, dtype=np.uint64)
            rows = max(rows, len(self._pos) // width + 1)
        position, count, found, refused, odd, why = state.tolist()
        return Block(messages[:count], rejects[:refused], columns.cut(found), not odd, position, why == _DONE)


def _address(array: npt.NDArray[Any]) -> np.uint64:
    """Where a contiguous array's memory is."""
    return np.uint64(array.ctypes.data)
