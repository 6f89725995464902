"""The NumPy lane, default and oracle: a chunk of the buffer tokenised, framed, placed and converted at once."""

import numpy as np

from ingest.fix.codec.block import PAD_BYTES, Block, Bools, Ints, Octets, Words
from ingest.fix.codec.frames import Frames, cut_frames
from ingest.fix.codec.numpy_shapes import Shapes
from ingest.fix.codec.plan import Level, Plan
from ingest.fix.codec.values import read_columns
from ingest.fix.index import _digits_to_int

CHUNK_BYTES = 1 << 20  # small enough for the caches, large enough that the fixed cost of NumPy does not count
_EQUALS, _ONES, _TOPS = (np.uint64(int(digits * 8, 16)) for digits in ("3d", "01", "80"))
_TRAILER_KEY = np.uint64(int.from_bytes(b"10=", "little"))


class NumpyLane:
    """Decodes by `plan`; needs nothing but NumPy."""

    name: str = "numpy"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._shapes = Shapes(plan)

    def decode(self, octets: Octets, start: int, limit: int, cap: int) -> Block:
        """The messages that begin in the next chunk from `start` and end before `limit`."""
        words: Words = np.ndarray(shape=(len(octets) - 7,), dtype="<u8", buffer=octets, strides=(1,))
        size = max(CHUNK_BYTES, 2 * cap + PAD_BYTES)
        while True:
            end = min(limit, start + size)
            frames = cut_frames(octets, words, start, end, cap)
            if frames.position > start or end == limit:
                break
            size *= 2
        (first, length), rows = self._shapes.place(words, frames, lambda part: place(words, part, self._plan))
        messages = np.stack([frames.start, frames.end, rows], axis=1)
        read = read_columns(octets, words, start, self._plan, first, length)
        plain = not (octets[start : frames.position] > 127).any()
        return Block(messages, frames.rejects, read, plain, frames.position, end == limit)


def place(words: Words, frames: Frames, plan: Plan) -> tuple[tuple[Ints, Ints], Ints]:
    """((start, size) of the value per column and row, rows per message: -1 for one left to the exact lane)."""
    count, columns = len(frames.start), len(plan.columns)
    owner = frames.owner()
    key, value, regular = _keys(words, frames, owner)
    hashed = ((key * plan.multiplier) >> plan.shift).view(np.int64)
    slot = plan.slots[hashed]
    wanted = np.flatnonzero((plan.keys[hashed] == key) & (slot != columns))
    slot = slot[wanted]
    special = slot > columns
    opens = wanted[:0]
    if special.any():
        regular[owner[wanted[slot == columns + 2]]] = False
        opens = wanted[slot == columns + 1]
        wanted, slot = wanted[~special], slot[~special]
    entry, announced = _entries(words, frames, owner, key, value, opens, wanted, regular)
    rows = np.maximum(announced, 1)
    base = np.cumsum(rows) - rows
    total, whose = int(rows.sum()), owner[wanted]
    row = base[whose]
    if len(opens):
        # Values of the message itself stand behind all entry rows, so that both share one table.
        of_message = (announced[whose] > 0) & ((entry < 0) | (plan.levels[slot] == Level.MESSAGE))
        row = np.where(of_message, total + whose, row + np.maximum(entry, 0))
    flat = row * columns + slot
    cells = np.full((total + count) * columns, -1, dtype=np.int64)
    cells[flat] = wanted
    if np.count_nonzero(cells >= 0) != len(wanted):
        twice = np.bincount(flat, minlength=len(cells))[flat] > 1
        regular[whose[twice]] = False
    table = cells.reshape(-1, columns)
    own = table[:total]
    if len(opens) or not regular.all():
        row_message = np.repeat(np.arange(count), rows)
        _share(own, table[total:], row_message, announced, plan, value, frames.token_end)
        own = own[regular[row_message]]
    own = np.ascontiguousarray(own.T)
    if not len(owner):
        return (own, own), rows
    found = own >= 0
    own *= found
    start, end = value[own], frames.token_end[own]
    return (start, (end - start) * found), np.where(regular, rows, -1)


def _keys(words: Words, frames: Frames, owner: Ints) -> tuple[Words, Ints, Bools]:
    """Key and start of the value of every field, and which messages hold nothing but fields."""
    word = words[frames.token_start]
    match = word ^ _EQUALS
    match = (match - _ONES) & ~match & _TOPS
    key = word & (match ^ (match - np.uint64(1)))
    digits = np.bitwise_count((match & (~match + np.uint64(1))) - np.uint64(1)) >> np.uint8(3)
    value = frames.token_start + digits + 1
    lead = (word & np.uint64(0xFF)) - np.uint64(ord("1"))
    odd = (match == 0) | (value > frames.token_end) | (lead > np.uint64(8))
    regular = np.ones(len(frames.start), dtype=np.bool_)
    if odd.any():
        regular[owner[odd]] = False
        value = np.minimum(value, frames.token_end)
    return key, value, regular


def _entries(
    words: Words, frames: Frames, whose: Ints, key: Words, value: Ints, counters: Ints, wanted: Ints, regular: Bools
) -> tuple[Ints, Ints]:
    """Entry per wanted field (-1 before the group or without one) and entries per message.

    A message whose group does not add up is marked as not regular.
    """
    none = np.full(len(wanted), -1, dtype=np.int64)
    announced = np.zeros(len(frames.start), dtype=np.int64)
    if not len(counters):
        return none, announced
    size = frames.token_end[counters] - value[counters]
    number, readable = _digits_to_int(words[value[counters]], np.clip(size, 1, 8))
    readable &= (size >= 1) & (size <= 8)
    # The first count that is not zero opens the group, or spoils the message; those behind it count nothing.
    telling = counters[~readable | (number > 0)]
    owner, first = np.unique(whose[telling], return_index=True)
    number, readable = number[~readable | (number > 0)][first], readable[~readable | (number > 0)][first]
    telling = telling[first]
    delimiter = key[telling + 1]
    good = readable & (delimiter != _TRAILER_KEY)
    regular[owner[~good]] = False
    owner, telling, number, delimiter = owner[good], telling[good], number[good], delimiter[good]
    opening = np.zeros(len(frames.start), dtype=np.uint64)
    opening[owner] = delimiter
    behind = np.full(len(frames.start), len(key), dtype=np.int64)
    behind[owner] = telling
    # A field of key 0 does not exist: messages without a group open nothing.
    opens = np.flatnonzero(key == np.repeat(opening, frames.count))
    opens = opens[opens > behind[whose[opens]]]
    found = np.bincount(whose[opens], minlength=len(announced))[owner]
    regular[owner[found != number]] = False
    announced[owner[found == number]] = number[found == number]
    message = whose[wanted]
    running = np.zeros(len(key) + 1, dtype=np.int64)
    running[opens + 1] = 1
    np.cumsum(running, out=running)
    entry = running[wanted + 1] - running[frames.first][message] - 1
    return np.where(announced[message] > 0, entry, -1), announced


def _share(own: Ints, shared: Ints, row_message: Ints, announced: Ints, plan: Plan, value: Ints, stop: Ints) -> None:
    """Message values into every entry, those before the group into entries without their own."""
    grouped = np.flatnonzero(announced[row_message] > 0)
    rows, lent = own[grouped], shared[row_message[grouped]]
    here = np.maximum(rows, 0)
    none = (rows < 0) | (value[here] == stop[here])
    takes = np.where(plan.levels == Level.MESSAGE, True, (plan.levels == Level.ROW) & none)
    takes &= (plan.levels == Level.MESSAGE) | (lent >= 0)
    own[grouped] = np.where(takes, lent, rows)
