"""The compiled lane: which field of a message fills which column of which row, learned once per shape of message."""

import numpy as np
from numba.extending import register_jitable

from ingest.fix.codec.kernels_values import LENGTH_BITS, parse_digits
from ingest.fix.codec.plan import Level
from ingest.fix.codec.simd import first_bit, load8, number, put, word

MESSAGE_LEVEL, ROW_LEVEL = int(Level.MESSAGE), int(Level.ROW)
NOTHING = np.uint64(2**64 - 1)
# A shape: fields, rows, filled places, the counting field (-1 none), entries announced.
FIELDS, ROWS, FILLED, COUNTER, ANNOUNCED, FACTS = 0, 1, 2, 3, 4, 5
SHAPES, SHAPE_FIELDS, SHAPE_ROWS = 256, 128, 8
_SHAPE_SHIFT = np.uint64(56)
_SHAPE_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FIVE_BYTES, _COUNT_BITS = np.uint64(0xFFFFFFFFFF), np.uint64(40)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_TWO, _BYTE, _THREE, _EIGHT, _NINE = np.uint64(2), np.uint64(0xFF), np.uint64(3), np.uint64(8), np.uint64(9)
_FIRST_DIGIT = np.uint64(ord("1"))
_EQUALS = np.uint64(0x3D3D3D3D3D3D3D3D)
_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_TRAILER_KEY = np.uint64(int.from_bytes(b"10=", "little"))
_LENGTH_BITS = np.uint64(LENGTH_BITS)


@register_jitable
def look_up(octets, stops, count, table, multiplier, shift, nothing, keys, slots, values):
    """Key, slot and start of the value of every field; whether any is special, and whether all are fields.

    `table` holds key and slot in turn; stop n is the SOH before field n.
    """
    largest, odd = _ZERO, False
    for at in range(count):
        field, stop = word(stops, at) + _ONE, word(stops, at + 1)
        text = load8(octets, field)
        match = text ^ _EQUALS
        match = (match - _ONES) & ~match & _TOPS
        key = text & (match ^ (match - _ONE))
        value = field + (first_bit(match) >> _THREE) + _ONE
        odd |= (match == _ZERO) | (value > stop) | ((text & _BYTE) - _FIRST_DIGIT > _EIGHT)
        hashed = (key * multiplier) >> shift << _ONE
        slot = word(table, hashed + _ONE) if word(table, hashed) == key else nothing
        largest = max(largest, slot)
        put(keys, at, key)
        put(slots, at, slot)
        put(values, at, value)
    return largest > nothing, not odd


@register_jitable
def place_plain(count, slots, columns, pos, row):
    """The fields of a message that is one row into `pos` from `row` on; False where a slot was taken already."""
    once = True
    for at in range(count):
        slot = number(slots, at)
        if slot < columns:
            once &= word(pos, row + slot) == NOTHING
            put(pos, row + slot, at)
    return once


@register_jitable
def group_count(octets, value, stop):
    """Entries a group announces: 0 where it is empty, -1 where that cannot be read."""
    if stop <= value or stop - value > _EIGHT:
        return -1
    count, digits = parse_digits(load8(octets, value), np.int64(stop - value))
    return count if digits else -1


@register_jitable
def open_group(pos, levels, columns, target, row, root):
    """The fields so far are the message's: they move to the spare row at `root`, entries begin at `row`."""
    for slot in range(columns):
        put(pos, root + slot, word(pos, row + slot))
        put(pos, row + slot, NOTHING)
        put(target, slot, (root if number(levels, slot) == MESSAGE_LEVEL else row) + slot)


@register_jitable
def close_group(pos, levels, columns, values, stops, row, rows, root):
    """Message values into every entry, those before the group into entries without their own.

    False where it hung on a value being empty: then the shape says nothing about the next message.
    """
    general = True
    for slot in range(columns):
        shared, level = word(pos, root + slot), number(levels, slot)
        for entry in range(rows):
            at = row + entry * (columns + 1) + slot
            own = word(pos, at)
            none = own == NOTHING
            if level == ROW_LEVEL and not none and shared != NOTHING:
                general = False
                none = word(values, own) == word(stops, own + _ONE)
            if level == MESSAGE_LEVEL or (level == ROW_LEVEL and none):
                put(pos, at, shared)
        put(pos, root + slot, NOTHING)
    return general


@register_jitable
def place_grouped(octets, stops, count, keys, slots, values, levels, columns, pos, target, row, root):
    """Field numbers of a message with special fields into rows from `row` on; (rows, counting field, announced).

    Rows -1: they do not fit; 0: data fields, a slot taken twice, or a group that does not add up.
    """
    for slot in range(columns):
        put(target, slot, row + slot)
    rows, announced, counter, irregular, delimiter = 1, 0, -1, False, _ZERO
    for at in range(count):
        slot = number(slots, at)
        if announced > 0:
            if at == counter + 1:
                delimiter, rows = word(keys, at), 0
                irregular |= delimiter == _TRAILER_KEY
            if word(keys, at) == delimiter:
                rows += 1
                if row + rows * (columns + 1) > root:
                    return -1, counter, announced
                for own in range(columns):
                    if number(levels, own) != MESSAGE_LEVEL:
                        put(target, own, row + (rows - 1) * (columns + 1) + own)
        if slot < columns:
            here = number(target, slot)
            irregular |= word(pos, here) != NOTHING
            put(pos, here, at)
        elif slot == columns + 2:
            irregular = True
        elif slot == columns + 1 and announced == 0:
            announced, counter = group_count(octets, word(values, at), word(stops, at + 1)), at
            irregular |= announced < 0
            if announced > 0:
                open_group(pos, levels, columns, target, row, root)
    if irregular or (announced > 0 and rows != announced):
        rows = 0
    return rows, counter, announced


@register_jitable
def shape_of(octets, kind_at, count):
    """Where a message of this type and number of fields keeps its shape."""
    text = (load8(octets, kind_at) & _FIVE_BYTES) ^ (np.uint64(count) << _COUNT_BITS)
    return np.int64((text * _SHAPE_MULTIPLIER) >> _SHAPE_SHIFT)


@register_jitable
def same_shape(octets, stops, count, shape, facts, known):
    """True where the message has the very tags of a known shape, and as many entries."""
    fact, first = shape * FACTS, shape * SHAPE_FIELDS * 3
    if number(facts, fact + FIELDS) != count:
        return False
    different = _ZERO
    for at in range(count):
        text = load8(octets, word(stops, at) + _ONE)
        different |= (text & word(known, first + at * 3 + 1)) ^ word(known, first + at * 3)
    if different != _ZERO:
        return False
    at = number(facts, fact + COUNTER)
    if at < 0:
        return True
    value = word(stops, at) + word(known, first + at * 3 + 2)
    return group_count(octets, value, word(stops, at + 1)) == number(facts, fact + ANNOUNCED)


@register_jitable
def learn_shape(stops, count, rows, counter, announced, keys, values, pos, row, columns, shape, facts, known, filled):
    """Keep which field fills which place, for the next message with these tags.

    `known` holds key, mask and size (one more than the tag with its `=`) of each field in turn, `filled` place and
    field.
    """
    fact, first, width = shape * FACTS, shape * SHAPE_FIELDS * 3, columns + 1
    put(facts, fact + FIELDS, 0)
    if count > SHAPE_FIELDS or rows > SHAPE_ROWS:
        return
    for at in range(count):
        size = word(values, at) - word(stops, at)
        put(known, first + 3 * at, word(keys, at))
        put(known, first + 3 * at + 1, ~_ZERO >> ((_NINE - size) << _THREE))
        put(known, first + 3 * at + 2, size)
    first, places = shape * SHAPE_ROWS * width * 2, 0
    for at in range(rows * width):
        if word(pos, row + at) != NOTHING:
            put(filled, first + 2 * places, at)
            put(filled, first + 2 * places + 1, word(pos, row + at))
            places += 1
    put(facts, fact + ROWS, rows)
    put(facts, fact + FILLED, places)
    put(facts, fact + COUNTER, counter)
    put(facts, fact + ANNOUNCED, announced)
    put(facts, fact + FIELDS, count)


@register_jitable
def fill_rows(stops, shape, columns, facts, known, filled, pos, row):
    """Offset and length of the fields of a known shape into its places."""
    sizes, places = shape * SHAPE_FIELDS * 3 + 2, shape * SHAPE_ROWS * (columns + 1) * 2
    for at in range(number(facts, shape * FACTS + FILLED)):
        place, source = number(filled, places + 2 * at), number(filled, places + 2 * at + 1)
        value = word(stops, source) + word(known, sizes + 3 * source)
        put(pos, row + place, (value << _LENGTH_BITS) | (word(stops, source + 1) - value))


@register_jitable
def resolve_rows(stops, values, pos, row, size):
    """Field numbers in `pos` become offset and length."""
    for at in range(row, row + size):
        source = word(pos, at)
        if source != NOTHING:
            value = word(values, source)
            put(pos, at, (value << _LENGTH_BITS) | (word(stops, source + _ONE) - value))


@register_jitable
def place_fields(
    octets, kind_at, count, table, multiplier, shift, levels, columns, keys, slots, values, target, stops, facts, known,
    filled, pos, row, root,
):  # fmt: skip
    """Place a message's fields into `pos`, a row of slots after the other from `row` on: rows, 0 irregular, -1 no room.

    A place is offset and length; `root` is the spare row and the end of the room. Irregular: a data field, a tag twice
    in one row, a group that does not add up, a token that is no field. Then nothing stays written.
    """
    shape = shape_of(octets, kind_at, count)
    if same_shape(octets, stops, count, shape, facts, known):
        rows = number(facts, shape * FACTS + ROWS)
        if row + rows * (columns + 1) > root:
            return -1
        fill_rows(stops, shape, columns, facts, known, filled, pos, row)
        return rows
    special, fields = look_up(octets, stops, count, table, multiplier, shift, np.uint64(columns), keys, slots, values)
    rows, counter, announced, general = 1, -1, 0, True
    if not fields:
        return 0
    if special:
        rows, counter, announced = place_grouped(
            octets, stops, count, keys, slots, values, levels, columns, pos, target, row, root
        )
        if announced > 0 and rows > 0:
            general = close_group(pos, levels, columns, values, stops, row, rows, root)
    elif not place_plain(count, slots, columns, pos, row):
        rows = 0
    if rows <= 0:
        for at in range(row, root + columns + 1):
            put(pos, at, NOTHING)
        return rows
    if general:
        learn_shape(
            stops, count, rows, counter, announced, keys, values, pos, row, columns, shape, facts, known, filled
        )
    resolve_rows(stops, values, pos, row, rows * (columns + 1))
    return rows
