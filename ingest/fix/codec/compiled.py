"""The compiled lane's one entry: framing, placement and conversion of a block, with its explicit signature."""

from collections.abc import Callable
from typing import Any

from numba import njit, types

from ingest.fix.codec.kernels import decode_run
from ingest.fix.codec.kernels_place import NOTHING
from ingest.fix.codec.kernels_values import convert
from ingest.fix.codec.simd import number, put

ARRAYS = 22


def _block(
    octets, limit, cap, base, multiplier, shift, columns, room, step, most_rejects,
    table, levels, kinds, scales, places, keys, slots, values, target, stops, facts, known, filled, pos,
    messages, rejects, state, longs, precision, days, pairs, valid,
):  # fmt: skip
    """Decode until no whole message is left or an array is full; `room` is rows, `step` the rows `pos` has room for."""
    root = (step - 1) * (columns + 1)
    why = 2
    while why == 2:
        done = number(state, 2)
        if room - done < step:
            put(state, 5, 1)
            break
        rows = decode_run(
            octets, limit, cap, table, multiplier, shift, levels, columns, keys, slots, values, target, stops, facts,
            known, filled, pos, root, messages, room, rejects, most_rejects, state,
        )  # fmt: skip
        convert(
            octets, base, pos, columns, kinds, scales, places, done, rows, longs, precision, days, pairs, valid, room
        )
        for at in range(rows * (columns + 1)):
            put(pos, at, NOTHING)
        put(state, 2, done + rows)
        why = number(state, 5)


def signature() -> Any:
    """Every argument is a number or an address, so that one signature fits any input."""
    i64, u64 = types.int64, types.uint64
    return types.void(u64, i64, i64, i64, u64, u64, i64, i64, i64, i64, *([u64] * ARRAYS))


def compile_block(*, cache: bool) -> Callable[..., None]:
    """The lane's machine code, from the cache where there is one."""
    compiled: Callable[..., None] = njit([signature()], cache=cache, nogil=True, error_model="numpy")(_block)
    return compiled
