"""The compiled lane: values of placed fields as integers, scaled decimals, times, dates and string views."""

import numpy as np
from numba.extending import register_jitable

from ingest.fix.codec.plan import Kind
from ingest.fix.codec.simd import first_bit, load8, number, octet, put, put1, put4, word

INT, DECIMAL, TIMESTAMP, DATE, STRING = (int(kind) for kind in Kind)
LENGTH_BITS = 24
_LENGTH_MASK, _LENGTH_BITS = np.uint64((1 << LENGTH_BITS) - 1), np.uint64(LENGTH_BITS)
_NOTHING = np.uint64(2**64 - 1)
_EIGHT = np.uint64(8)
_ZEROS = np.uint64(0x3030303030303030)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIX = np.uint64(0x0606060606060606)
_LOW = np.uint64(0x0F0F0F0F0F0F0F0F)
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_FOURS = np.uint64(0x0000FFFF0000FFFF)
_WHOLE = np.uint64(0xFFFFFFFF)
_POINTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_CLOCK = np.uint64(int.from_bytes(b"00:00:00", "little"))
_DIGIT = np.uint64(0xF)
_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_POWERS = np.array([10**n for n in range(19)], dtype=np.int64)
_ROOM = np.array([(2**63 - 1) // 10**n for n in range(19)], dtype=np.int64)
_DAY_SECONDS, _SECOND_NS = 86_400, 1_000_000_000
_FIRST_YEAR, _LAST_NS_YEAR = 1900, 2261
_INLINE_BYTES = 12


@register_jitable
def parse_digits(text, count):
    """Value of the first `count` (1 to 8) bytes of a word, and whether all of them are digits."""
    text = (text << np.uint64((8 - count) * 8)) | ((_ZEROS >> _EIGHT) >> np.uint64((count - 1) * 8))
    ok = ((text & _HIGH) == _ZEROS) & (((text + _SIX) & _HIGH) == _ZEROS)
    value = text & _LOW
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & _PAIRS
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & _FOURS
    value = (value * np.uint64(10_000) + (value >> np.uint64(32))) & _WHOLE
    return np.int64(value), ok


@register_jitable
def parse_whole(octets, at, size):
    """Value of 1 to 16 digits, and whether they are all digits."""
    if size <= 8:
        return parse_digits(load8(octets, at), size)
    high, good = parse_digits(load8(octets, at), size - 8)
    low, also = parse_digits(load8(octets, at + size - 8), 8)
    return high * 100_000_000 + low, good and also


@register_jitable
def find_point(octets, at, size):
    """Place of the first `.` among up to 16 bytes, else `size`."""
    for block in range(0, size, 8):
        match = load8(octets, at + block) ^ _POINTS
        match = (match - _ONES) & ~match & _TOPS
        if match != np.uint64(0):
            return min(block + np.int64(first_bit(match) >> np.uint64(3)), size)
    return size


@register_jitable
def read_int(octets, at, size):
    """A whole number of up to 16 digits, and whether it is one."""
    negative = octet(octets, at) == 45
    at, size = at + negative, size - negative
    if size < 1 or size > 16:
        return 0, False
    value, ok = parse_whole(octets, at, size)
    return -value if negative else value, ok


@register_jitable
def read_decimal(octets, at, size, scale):
    """A number of up to 16 digits and 8 decimals times 10**scale, and whether it is one and fits."""
    negative = octet(octets, at) == 45
    at, size = at + negative, size - negative
    if size < 1 or size > 17:
        return 0, False
    point = find_point(octets, at, size)
    decimals = size - point - 1
    if point < 1 or point > 16 or decimals == 0 or decimals > 8 or decimals > scale or size > 17 - (decimals < 0):
        return 0, False
    value, ok = parse_whole(octets, at, point)
    if not ok or value >= _ROOM[scale]:
        return 0, False
    value *= _POWERS[scale]
    if decimals > 0:
        fraction, ok = parse_digits(load8(octets, at + point + 1), decimals)
        value += fraction * _POWERS[scale - decimals]
    return -value if negative else value, ok


@register_jitable
def civil_days(value):
    """Days since 1970 of a YYYYMMDD number, and whether it is a date from 1900 on."""
    year, month, day = value // 10_000, value // 100 % 100, value % 100
    if year < _FIRST_YEAR or month < 1 or month > 12 or day < 1 or day > 31:
        return 0, False
    if day > 28:
        leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
        longest = 28 + leap if month == 2 else 30 + ((month + (month > 7)) & 1)
        if day > longest:
            return 0, False
    shifted = year - (month <= 2)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468, True


@register_jitable
def read_clock(octets, at, size):
    """(nanoseconds of the day, precision, readable) of `-HH:MM:SS` with none, 3, 6 or 9 decimals, from its `-`."""
    clock = load8(octets, at + 1) ^ _CLOCK
    if (
        octet(octets, at) != 45
        or ((clock | (clock + _SIX)) & _HIGH) != np.uint64(0)
        or (clock & np.uint64(0xFF0000FF0000))
    ):
        return 0, 0, False
    hour = (clock & _DIGIT) * np.uint64(10) + ((clock >> np.uint64(8)) & _DIGIT)
    minute = ((clock >> np.uint64(24)) & _DIGIT) * np.uint64(10) + ((clock >> np.uint64(32)) & _DIGIT)
    second = ((clock >> np.uint64(48)) & _DIGIT) * np.uint64(10) + ((clock >> np.uint64(56)) & _DIGIT)
    if hour > np.uint64(23) or minute > np.uint64(59) or second > np.uint64(59):
        return 0, 0, False
    nanos = np.int64((hour * np.uint64(60) + minute) * np.uint64(60) + second) * _SECOND_NS
    if size == 9:
        return nanos, 2, True
    digits = size - 10
    if octet(octets, at + 9) != 46 or (digits != 3 and digits != 6 and digits != 9):
        return 0, 0, False
    fraction, ok = parse_digits(load8(octets, at + 10), min(digits, 8))
    if digits == 9:
        ninth = octet(octets, at + 18) - 48
        fraction, ok = fraction * 10 + ninth, ok and 0 <= ninth <= 9
    return nanos + fraction * _POWERS[9 - digits], 2 + digits // 3, ok


@register_jitable
def times_column(octets, places, slot, width, first, rows, out, precision, valid):
    """Timestamps; the day of the value before is kept, as most are of one day."""
    known, days, real = np.uint64(0), 0, False
    for row in range(first, first + rows):
        place = word(places, slot)
        slot += width
        size = np.int64(place & _LENGTH_MASK) if place != _NOTHING else 0
        good, nanos, shown = False, 0, 0
        if size >= 17 and size <= 27:
            at = np.int64(place >> _LENGTH_BITS)
            text = load8(octets, at)
            if text != known:
                value, ok = parse_digits(text, 8)
                days, real = civil_days(value)
                known, real = text, real and ok and value // 10_000 <= _LAST_NS_YEAR
            nanos, shown, good = read_clock(octets, at + 8, size - 8)
            good = good and real
        put(out, row, days * _DAY_SECONDS * _SECOND_NS + nanos if good else 0)
        put1(precision, row, shown if good else 0)
        put1(valid, row, 0 if size == 0 else 1 if good else 2)


@register_jitable
def dates_column(octets, places, slot, width, first, rows, out, valid):
    """Dates of eight digits."""
    for row in range(first, first + rows):
        place = word(places, slot)
        slot += width
        size = np.int64(place & _LENGTH_MASK) if place != _NOTHING else 0
        days, good = 0, False
        if size == 8:
            value, ok = parse_digits(load8(octets, np.int64(place >> _LENGTH_BITS)), 8)
            days, good = civil_days(value)
            good = good and ok
        put4(out, row, days if good else 0)
        put1(valid, row, 0 if size == 0 else 1 if good else 2)


@register_jitable
def numbers_column(octets, places, slot, width, first, rows, out, valid):
    """Whole numbers."""
    for row in range(first, first + rows):
        place = word(places, slot)
        slot += width
        size = np.int64(place & _LENGTH_MASK) if place != _NOTHING else 0
        value, good = 0, False
        if size > 0:
            value, good = read_int(octets, np.int64(place >> _LENGTH_BITS), size)
        put(out, row, value if good else 0)
        put1(valid, row, 0 if size == 0 else 1 if good else 2)


@register_jitable
def decimals_column(octets, places, slot, width, first, rows, scale, out, valid):
    """Scaled decimals as 128-bit integers, low word first."""
    for row in range(first, first + rows):
        place = word(places, slot)
        slot += width
        size = np.int64(place & _LENGTH_MASK) if place != _NOTHING else 0
        value, good = 0, False
        if size > 0:
            value, good = read_decimal(octets, np.int64(place >> _LENGTH_BITS), size, scale)
        value = value if good else 0
        put(out, 2 * row, value)
        put(out, 2 * row + 1, value >> 63)
        put1(valid, row, 0 if size == 0 else 1 if good else 2)


@register_jitable
def views_column(octets, places, slot, width, first, rows, base, out, valid):
    """Arrow string views: up to 12 bytes inside the view, else four of them and the offset from `base`."""
    for row in range(first, first + rows):
        place = word(places, slot)
        slot += width
        size = np.int64(place & _LENGTH_MASK) if place != _NOTHING else 0
        head, tail = np.uint64(0), np.uint64(0)
        if size > 0:
            at = np.int64(place >> _LENGTH_BITS)
            text = load8(octets, at)
            if size <= _INLINE_BYTES:
                rest = (text >> np.uint64(32)) | (load8(octets, at + 8) << np.uint64(32))
                text &= (np.uint64(1) << np.uint64(8 * min(size, 4))) - np.uint64(1)
                tail = rest & ((np.uint64(1) << np.uint64(8 * max(size - 4, 0))) - np.uint64(1)) if size < 12 else rest
            else:
                tail = np.uint64(at - base) << np.uint64(32)
            head = np.uint64(size) | (text << np.uint64(32))
        put(out, 2 * row, head)
        put(out, 2 * row + 1, tail)
        put1(valid, row, 0 if size == 0 else 1)


@register_jitable
def convert(octets, base, pos, columns, kinds, scales, places, first, rows, longs, precision, days, pairs, valid, room):
    """Values of every column into rows `first` on; `valid` is 0 absent, 1 read, 2 for the exact lane.

    `room` is how many rows each column of the output arrays has.
    """
    width = columns + 1
    for slot in range(columns):
        kind, before = number(kinds, slot), np.uint64(number(places, slot) * room)
        state = valid + np.uint64(slot * room)
        if kind == TIMESTAMP:
            out, shown = longs + (before << np.uint64(3)), precision + before
            times_column(octets, pos, slot, width, first, rows, out, shown, state)
        elif kind == INT:
            numbers_column(octets, pos, slot, width, first, rows, longs + (before << np.uint64(3)), state)
        elif kind == DATE:
            dates_column(octets, pos, slot, width, first, rows, days + (before << np.uint64(2)), state)
        elif kind == DECIMAL:
            out = pairs + (before << np.uint64(4))
            decimals_column(octets, pos, slot, width, first, rows, number(scales, slot), out, state)
        else:
            views_column(octets, pos, slot, width, first, rows, base, pairs + (before << np.uint64(4)), state)
