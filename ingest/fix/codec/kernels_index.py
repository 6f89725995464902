"""The compiled lane of the normaliser: the field index, first positions, and text gathered into one column."""

import numpy as np
from numba.extending import register_jitable

from ingest.fix.codec.kernels_values import parse_digits
from ingest.fix.codec.simd import (
    bit_count,
    first_bit,
    high64,
    load8,
    number,
    put,
    put1,
    put4,
    separators64,
    short,
    store8,
)

_ZERO, _ONE, _THREE, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(8)
_EQUALS = np.uint64(0x3D3D3D3D3D3D3D3D)
_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_MOST_DIGITS = 7


def count_separators(octets, size):
    """How many of the first `size` bytes are SOH; whole blocks are read."""
    count = _ZERO
    for block in range(0, size, 64):
        bits = separators64(octets, block)
        if size - block < 64:
            bits &= (_ONE << np.uint64(size - block)) - _ONE
        count += bit_count(bits)
    return np.int64(count)


@register_jitable
def tag_of(octets, start, end):
    """(tag, start of its value) of the token from start to end: -1 and the start itself where it is no field."""
    text = load8(octets, start)
    match = text ^ _EQUALS
    match = (match - _ONES) & ~match & _TOPS
    digits = np.int64(first_bit(match) >> _THREE)
    if digits < 1 or digits > _MOST_DIGITS or start + digits + 1 > end:
        return -1, start
    tag, good = parse_digits(text, digits)
    return (tag, start + digits + 1) if good else (-1, start)


def index_tokens(octets, ends, messages, first, message, tag, start, value, end):
    """Every token of messages that follow each other and end at `ends`: its message, tag, start, value and end.

    `first` gets each message's first token and, behind them, the number of all.
    """
    count, at = 0, 0
    for here in range(messages):
        stop = number(ends, here)
        put(first, here, count)
        token = at
        for block in range(at, stop, 64):
            bits = separators64(octets, block)
            if stop - block < 64:
                bits &= (_ONE << np.uint64(stop - block)) - _ONE
            while bits:
                close = block + np.int64(first_bit(bits))
                bits &= bits - _ONE
                found, content = tag_of(octets, token, close)
                put(message, count, here)
                put(tag, count, found)
                put(start, count, token)
                put(value, count, content)
                put(end, count, close)
                count += 1
                token = close + 1
        at = stop
    put(first, messages, count)


def first_positions(tags, fields, owners, slots, known, size, table):
    """Into `table[slot, owner]` the first field of each tag that has a slot; an owner of -1 is none."""
    for field in range(fields - 1, -1, -1):
        tag, owner = number(tags, field), number(owners, field)
        if tag >= 0 and tag < known and owner >= 0:
            slot = short(slots, tag)
            if slot >= 0:
                put(table, slot * size + owner, field)


def gather_sizes(value_start, value_end, fields, rows, offsets, valid):
    """Arrow offsets of the values at `fields` (-1 none), a byte per row: has it one; their size."""
    total = 0
    put4(offsets, 0, 0)
    for row in range(rows):
        field = number(fields, row)
        size = number(value_end, field) - number(value_start, field) if field >= 0 else 0
        total += size
        put4(offsets, row + 1, total)
        put1(valid, row, 1 if size > 0 else 0)
    return total


def gather_bytes(octets, value_start, value_end, fields, rows, out):
    """The values one behind the other into `out`, which has eight bytes to spare; 1 where all of them are ASCII."""
    at, high = 0, _ZERO
    for row in range(rows):
        field = number(fields, row)
        if field < 0:
            continue
        start, size = number(value_start, field), number(value_end, field) - number(value_start, field)
        for part in range(0, size, 8):
            text = load8(octets, start + part)
            store8(out, at + part, text)
            left = size - part
            high |= (text & _TOPS) if left >= 8 else text & _TOPS & ((_ONE << np.uint64(8 * left)) - _ONE)
        at += size
    return 1 if high == _ZERO else 0


def high_bytes(octets, size):
    """1 where any of the first `size` bytes is not ASCII."""
    for block in range(0, size, 64):
        bits = high64(octets, block)
        if size - block < 64:
            bits &= (_ONE << np.uint64(size - block)) - _ONE
        if bits:
            return 1
    return 0
