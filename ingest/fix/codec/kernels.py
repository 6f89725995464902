"""The compiled lane: framing, one message after the other, in loops numba turns into machine code.

Names of arrays are addresses (see `ingest.fix.codec.simd`); a word is a numpy.uint64, and never meets a signed integer
in an expression, which numba would turn into a float.
"""

import numpy as np
from numba.extending import register_jitable

from ingest.fix.codec.kernels_place import place_fields
from ingest.fix.codec.kernels_values import parse_digits
from ingest.fix.codec.plan import Reason
from ingest.fix.codec.simd import bit_count, byte_sum64, first_bit, high64, load8, number, octet, put, separators64

# Plain ints: numba takes no enums.
NO_HEADER, LENGTH_CAP, LENGTH = int(Reason.NO_HEADER), int(Reason.LENGTH_CAP), int(Reason.LENGTH)
CHECKSUM, MSG_TYPE, GARBAGE = int(Reason.CHECKSUM), int(Reason.MSG_TYPE), int(Reason.GARBAGE)
GOOD, INCOMPLETE = 0, -1
STEP_ROWS = 256  # converted while their bytes are still in the cache
_SOH, _LF = 1, 10
_ZERO, _ONE, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(8)
_BEGIN = np.uint64(int.from_bytes(b"8=FIX", "little"))
_BEGIN_MASK = np.uint64(0xFFFFFFFFFF)
_LENGTH = np.uint64(int.from_bytes(b"\x019=", "little"))
_TRAILER = np.uint64(int.from_bytes(b"\x0110=", "little"))
_TRAILER_MASK = np.uint64(0xFFFFFFFF)
_MSG_TYPE = np.uint64(int.from_bytes(b"35=", "little"))
_THREE_BYTES = np.uint64(0xFFFFFF)


@register_jitable
def is_start(octets, at, limit):
    """True where `8=FIX` stands whole."""
    return at + 5 <= limit and (load8(octets, at) & _BEGIN_MASK) == _BEGIN


@register_jitable
def next_start(octets, at, limit):
    """The next `8=FIX` behind a separator or a line feed, -1 where none is whole."""
    for place in range(at, limit - 4):
        before = octet(octets, place - 1)
        if before in (_SOH, _LF) and is_start(octets, place, limit):
            return place
    return -1


@register_jitable
def frame(octets, at, limit, cap):
    """(GOOD, INCOMPLETE or a Reason, end, place of 35=) of the message at a start, CheckSum not yet looked at."""
    place = at + 5
    while place < limit and place < at + 22 and octet(octets, place) != _SOH:
        place += 1
    if place + 3 > limit:
        return INCOMPLETE, at, at
    if (load8(octets, place) & _THREE_BYTES) != _LENGTH:
        return NO_HEADER, at, at
    place += 3
    first, length = place, 0
    while place < limit and place < first + 9:
        digit = octet(octets, place) - 48
        if digit < 0 or digit > 9:
            break
        length = length * 10 + digit
        place += 1
    if place >= limit:
        return INCOMPLETE, at, at
    if place == first or octet(octets, place) != _SOH:
        return NO_HEADER, at, at
    end = place + 1 + length + 7
    if end - at > cap:
        return LENGTH_CAP, at, at
    if end > limit:
        return INCOMPLETE, at, at
    if (load8(octets, end - 8) & _TRAILER_MASK) != _TRAILER or octet(octets, end - 1) != _SOH:
        return LENGTH, at, at
    if (load8(octets, place + 1) & _THREE_BYTES) != _MSG_TYPE or octet(octets, place + 4) == _SOH:
        return MSG_TYPE, at, at
    return GOOD, end, place + 1


@register_jitable
def find_stops(octets, start, end, stops):
    """Places of the separators of a message into `stops`, behind the one before it; (fields, right CheckSum, ASCII)."""
    count, total, high = _ONE, 0, _ZERO
    put(stops, 0, start - 1)
    for block in range(start, end, 64):
        left = end - block
        bits = separators64(octets, block)
        if left < 64:
            bits &= (_ONE << np.uint64(left)) - _ONE
        total += byte_sum64(octets, block, left)
        high |= high64(octets, block)
        found = bit_count(bits)
        # Eight at a time whether they are there or not: no branch to guess wrong.
        at = count
        while True:
            for step in range(8):
                put(stops, at + np.uint64(step), np.uint64(block) + first_bit(bits))
                bits &= bits - _ONE
            at += _EIGHT
            if bits == _ZERO:
                break
        count += found
    for at in range(end - 7, end):
        total -= octet(octets, at)
    stated, digits = parse_digits(load8(octets, end - 4), 3)
    return np.int64(count) - 1, digits and stated == total & 255, high == _ZERO


@register_jitable
def decode_run(
    octets, limit, cap, table, multiplier, shift, levels, columns, keys, slots, values, target, stops, facts, known,
    filled, pos, root, messages, most, rejects, most_rejects, state,
):  # fmt: skip
    """Messages from state[0] on until the whole messages, the arrays, or STEP_ROWS rows end; how many rows.

    `state`: position, messages, rows, rejects, 1 for bytes beyond ASCII, and why it stopped (0 no whole message any
    more, 1 an array is full, 2 STEP_ROWS rows are there, 3 one message has more rows than there is room for).
    `messages` gets start, end and rows (-1 irregular) of each; `rejects` start, end and reason.
    """
    at, rows, count, refused, why = number(state, 0), 0, number(state, 1), number(state, 3), 1
    while count < most and refused < most_rejects:
        if rows >= STEP_ROWS:
            why = 2
            break
        begins = is_start(octets, at, limit)
        code, end, kind_at = GARBAGE, at, at
        if begins:
            code, end, kind_at = frame(octets, at, limit, cap)
        fields, ascii = 0, True
        if code == GOOD:
            fields, right, ascii = find_stops(octets, at, end, stops)
            code = GOOD if right else CHECKSUM
        if code == INCOMPLETE:
            why = 0
            break
        if code != GOOD:
            end = next_start(octets, at + 1, limit)
            if end < 0:
                why = 0
                break
            put(rejects, refused * 3, at)
            put(rejects, refused * 3 + 1, end)
            put(rejects, refused * 3 + 2, code)
            refused += 1
            at = end
            continue
        found = place_fields(
            octets, kind_at, fields, table, multiplier, shift, levels, columns, keys, slots, values, target, stops,
            facts, known, filled, pos, rows * (columns + 1), root,
        )  # fmt: skip
        if found < 0:
            why = 2 if rows > 0 else 3
            break
        if not ascii:
            put(state, 4, 1)
        put(messages, count * 3, at)
        put(messages, count * 3 + 1, end)
        put(messages, count * 3 + 2, found if found > 0 else -1)
        count += 1
        rows += found
        at = end
    put(state, 0, at)
    put(state, 1, count)
    put(state, 3, refused)
    put(state, 5, why)
    return rows
