"""The NumPy lane: values of placed fields as integers, scaled decimals, times, dates and string views."""

import numpy as np

from ingest.fix.codec.block import LOOK, NULL, READ, Bools, Columns, Ints, Octets, Words, empty_columns
from ingest.fix.codec.plan import Kind, Plan
from ingest.fix.index import _digits_to_int
from ingest.fix.times import _days

_INLINE_BYTES = 12
_DAY_NS, _SECOND_NS = 86_400_000_000_000, 1_000_000_000
_LAST_NS_YEAR = 2261
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(8)] + [2**64 - 1], dtype=np.uint64)
_POWERS = np.array([10**n for n in range(19)], dtype=np.int64)
_ROOM = np.array([(2**63 - 1) // 10**n for n in range(19)], dtype=np.int64)
_POINTS, _ONES, _TOPS = (np.uint64(int(digits * 8, 16)) for digits in ("2e", "01", "80"))
_HIGH, _SIX, _LOW, _ZEROS = (np.uint64(int(digits * 8, 16)) for digits in ("f0", "06", "0f", "30"))
_CLOCK = np.uint64(int.from_bytes(b"00:00:00", "little"))
_COLONS, _TWO_DIGITS, _DIGIT = np.uint64(0x0000FF0000FF0000), np.uint64(0x0F0F), np.uint64(0x0F)
_MINUS, _POINT, _ZERO = 45, 46, 48


def read_columns(octets: Octets, words: Words, base: int, plan: Plan, start: Ints, size: Ints) -> Columns:
    """Values of the fields at `start[slot, row]`, `size[slot, row]` bytes long (0 absent); views count from `base`."""
    columns = empty_columns(plan, start.shape[1])
    columns.precision[:] = 0
    for slot, kind in enumerate(plan.kinds.tolist()):
        at, length, place = start[slot], size[slot], columns.place[slot]
        good = length > 0
        if kind == Kind.STRING:
            columns.pairs[place] = string_views(words, base, at, length)
        elif kind == Kind.DECIMAL:
            value, good = decimals(octets, words, at, length, int(plan.scales[slot]))
            columns.pairs[place, :, 0], columns.pairs[place, :, 1] = value, value >> 63
        elif kind == Kind.INT:
            columns.longs[place], good = integers(octets, words, at, length)
        elif kind == Kind.DATE:
            days, _, good = _dates(words[at])
            good &= length == 8
            columns.days[place] = np.where(good, days, 0)
        else:
            columns.longs[place], columns.precision[place], good = timestamps(octets, words, at, length)
        columns.state[slot] = np.where(length > 0, np.where(good, READ, LOOK), NULL)
    return columns


def string_views(words: Words, base: int, at: Ints, size: Ints) -> Ints:
    """Arrow string views: up to 12 bytes inside the view, else four of them and the offset from `base`."""
    head, tail = words[at], words[at + 8]
    inline = np.minimum(size, _INLINE_BYTES)
    views = np.empty((len(at), 2), dtype=np.uint64)
    views[:, 0] = size.astype(np.uint64) | ((head & _MASKS[np.minimum(inline, 4)]) << np.uint64(32))
    rest = ((head >> np.uint64(32)) | (tail << np.uint64(32))) & _MASKS[np.maximum(inline - 4, 0)]
    views[:, 1] = np.where(size > _INLINE_BYTES, (at - base).astype(np.uint64) << np.uint64(32), rest)
    views[size == 0] = 0
    return views.view(np.int64)


def integers(octets: Octets, words: Words, at: Ints, size: Ints) -> tuple[Ints, Bools]:
    """Whole numbers of up to 16 digits, and which are some."""
    minus = octets[at] == _MINUS
    value, good = _whole(words, at + minus, size - minus)
    return np.where(good, np.where(minus, -value, value), 0), good


def _whole(words: Words, at: Ints, size: Ints) -> tuple[Ints, Bools]:
    """Value of 1 to 16 digits, and whether they are."""
    good = (size >= 1) & (size <= 16)
    long = good & (size > 8)
    value, ok = _digits_to_int(words[at], np.clip(np.where(long, size - 8, size), 1, 8))
    if long.any():
        low, low_ok = _digits_to_int(words[np.where(long, at + size - 8, at)], np.full(len(at), 8))
        value, ok = np.where(long, value * 100_000_000 + low, value), ok & (low_ok | ~long)
    return value, good & ok


def decimals(octets: Octets, words: Words, at: Ints, size: Ints, scale: int) -> tuple[Ints, Bools]:
    """Numbers of up to 16 digits and 8 decimals times 10**scale, and which are some and fit."""
    minus = octets[at] == _MINUS
    at, size = at + minus, size - minus
    point = _first_point(words, at, size)
    places = size - point - 1
    good = (size >= 1) & (size <= 16 + (places > 0)) & (places != 0) & (places <= min(8, scale))
    whole, ok = _whole(words, at, np.where(good, point, 1))
    good &= ok & (point >= 1) & (whole < _ROOM[scale])
    value = np.where(good, whole, 0) * _POWERS[scale]
    shown = good & (places > 0)
    if shown.any():
        fraction, ok = _digits_to_int(words[np.where(shown, at + point + 1, at)], np.where(shown, places, 1))
        good &= ok | ~shown
        value += np.where(shown, fraction, 0) * _POWERS[np.where(shown, scale - places, 0)]
    return np.where(good, np.where(minus, -value, value), 0), good


def _first_point(words: Words, at: Ints, size: Ints) -> Ints:
    found = size
    for block in (8, 0):
        inside = size > block
        match = words[np.where(inside, at + block, at)] ^ _POINTS
        match = (match - _ONES) & ~match & _TOPS
        place = block + (np.bitwise_count((match & (~match + np.uint64(1))) - np.uint64(1)) >> np.uint8(3)).astype(
            np.int64
        )
        found = np.where(inside & (match != 0) & (place < size), place, found)
    return found


def timestamps(octets: Octets, words: Words, at: Ints, size: Ints) -> tuple[Ints, Ints, Bools]:
    """UTCTimestamps of 0, 3, 6 or 9 decimals as (nanoseconds since 1970, precision, which are some)."""
    days, year, good = _dates(words[at])
    good &= year <= _LAST_NS_YEAR
    clock = words[at + 9] ^ _CLOCK
    good &= (octets[at + 8] == _MINUS) & ((clock | (clock + _SIX)) & _HIGH == 0) & (clock & _COLONS == 0)
    hour, minute, second = ((clock >> np.uint64(shift)) & _TWO_DIGITS for shift in (0, 24, 48))
    hour, minute, second = ((part & _DIGIT) * np.uint64(10) + (part >> np.uint64(8)) for part in (hour, minute, second))
    good &= (hour < 24) & (minute < 60) & (second < 60)
    seconds = ((hour * np.uint64(60) + minute) * np.uint64(60) + second).view(np.int64)
    nanos = np.where(good, days, 0) * _DAY_NS + seconds * _SECOND_NS
    digits = size - 18
    shown = (digits == 3) | (digits == 6) | (digits == 9)
    good &= (size == 17) | (shown & (octets[at + 17] == _POINT))
    fraction, ok = _digits_to_int(words[at + 18], np.where(shown, np.minimum(digits, 8), 1))
    ninth = octets[at + 26].astype(np.int64) - _ZERO
    nine = digits == 9
    ok &= ~nine | ((ninth >= 0) & (ninth <= 9))
    fraction = np.where(nine, fraction * 10 + ninth, fraction) * _POWERS[np.where(shown, 9 - digits, 0)]
    good &= ok | ~shown
    nanos += np.where(shown, fraction, 0)
    precision = np.where(shown, 2 + digits // 3, 2)
    return np.where(good, nanos, 0), np.where(good, precision, 0), good


def _dates(word: Words) -> tuple[Ints, Ints, Bools]:
    """(days since 1970, year, whether it is a date) of words of eight digits; most batches are of one day."""
    if len(word) > 1 and (word == word[0]).all():
        days, year, good = _dates(word[:1])
        return np.broadcast_to(days, len(word)), np.broadcast_to(year, len(word)), np.repeat(good, len(word))
    good = ((word & _HIGH) == _ZEROS) & (((word + _SIX) & _HIGH) == _ZEROS)
    value = word & _LOW
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    number = ((value * np.uint64(10_000) + (value >> np.uint64(32))) & np.uint64(0xFFFFFFFF)).view(np.int64)
    days, real = _days(number)
    return days, number // 10_000, good & real
