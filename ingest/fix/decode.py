"""From a field index to record rows: message-level values, one row per repeating-group entry, parties by role."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.fix.index import FieldIndex, Ints, read_ints

# Values picked by role or source get a virtual tag above every real one that can be asked for.
_LARGEST_REAL = 99_999
_PARTY, _NESTED_PARTY, _ALT_ID, _TABLE_SIZE = 100_000, 101_000, 102_000, 103_000


def party(role: int) -> int:
    """Virtual tag of the PartyID(448) whose PartyRole(452) is `role`."""
    return _PARTY + role


def nested_party(role: int) -> int:
    """Virtual tag of the NestedPartyID(524) whose NestedPartyRole(538) is `role`."""
    return _NESTED_PARTY + role


def alt_id(source: str) -> int:
    """Virtual tag of the SecurityAltID(455) whose SecurityAltIDSource(456) is the one-character `source`."""
    return _ALT_ID + ord(source)


def effective_tags(index: FieldIndex) -> Ints:
    """Tag per field for look-ups: empty values count as absent (-1), parties and alternative ids get virtual tags."""
    tags = np.where(index.value_end > index.value_start, index.tag, -1)
    tags[tags > _LARGEST_REAL] = -1
    for value_tag, role_tag, base in ((448, 452, _PARTY), (524, 538, _NESTED_PARTY), (455, 456, _ALT_ID)):
        roles = np.flatnonzero(tags == role_tag)
        values = np.flatnonzero(tags == value_tag)
        if not len(roles) or not len(values):
            continue
        if base == _ALT_ID:
            single = index.value_end[roles] - index.value_start[roles] == 1
            number, ok = index.octets[index.value_start[roles]].astype(np.int64), single
        else:
            number, ok = read_ints(index, roles)
            ok &= number < 1000
        owner = np.searchsorted(values, roles) - 1
        # A group that opens with the role instead of the value pairs forward.
        opens_with_role = index.tag[np.maximum(roles - 1, 0)] == {448: 453, 524: 539, 455: 454}[value_tag]
        if opens_with_role.any():
            forward = np.isin(index.message[roles], index.message[roles[opens_with_role]])
            owner = np.where(forward, owner + 1, owner)
        ok &= (owner >= 0) & (owner < len(values))
        field = values[np.clip(owner, 0, len(values) - 1)]
        ok &= index.message[field] == index.message[roles]
        tags[field[ok]] = base + number[ok]
    return tags


@dataclass(frozen=True, slots=True)
class Segments:
    """Rows as runs of fields: the message of each row, its ordinal there, and its fields [first, last).

    `miscounted` lists (message, declared, found) where the group's count and its entries disagree.
    """

    message: Ints
    ordinal: Ints
    first: Ints
    last: Ints
    miscounted: tuple[tuple[int, int, int], ...] = ()


def whole_messages(index: FieldIndex, messages: Ints) -> Segments:
    """One row per message."""
    return Segments(messages, np.zeros(len(messages), dtype=np.int64), index.first[messages], index.first[messages + 1])


def group_rows(index: FieldIndex, tags: Ints, messages: Ints, count_tag: int) -> Segments:
    """One row per entry of the group counted by `count_tag`; a message without the group is one whole row.

    An entry starts where the tag that opened the first entry repeats, whichever tag the sender put first.
    """
    chosen = np.zeros(index.count, dtype=np.bool_)
    chosen[messages] = True
    counters = np.flatnonzero((tags == count_tag) & chosen[index.message])
    counters = counters[np.unique(index.message[counters], return_index=True)[1]]
    declared, readable = read_ints(index, counters)
    opening = np.minimum(counters + 1, len(tags) - 1)
    here = readable & (declared > 0) & (index.message[opening] == index.message[counters])
    counters, declared, opening = counters[here], declared[here], opening[here]
    grouped = index.message[counters]
    delimiter = np.full(index.count, -2, dtype=np.int64)
    delimiter[grouped] = index.tag[opening]
    begins = np.zeros(index.count, dtype=np.int64)
    begins[grouped] = counters
    starts = np.flatnonzero((index.tag == delimiter[index.message]) & (np.arange(len(tags)) > begins[index.message]))
    row_message = index.message[starts]
    found = np.bincount(row_message, minlength=index.count)[grouped]
    wrong = np.flatnonzero(found != declared)
    miscounted = tuple((int(grouped[n]), int(declared[n]), int(found[n])) for n in wrong)
    starts = starts[~np.isin(row_message, grouped[wrong])]
    row_message = index.message[starts]
    last = np.append(starts[1:], 0)
    closes = np.append(row_message[1:] != row_message[:-1], True) if len(starts) else np.zeros(0, dtype=np.bool_)
    last = np.where(closes, index.first[row_message + 1], last[: len(starts)]) if len(starts) else starts
    plain = np.setdiff1d(messages, grouped)
    merged_message = np.concatenate([row_message, plain])
    order = np.argsort(merged_message, kind="stable")
    message = merged_message[order]
    opened = np.append(True, message[1:] != message[:-1]) if len(message) else np.zeros(0, dtype=np.bool_)
    place = np.arange(len(message))
    ordinal = place - np.maximum.accumulate(np.where(opened, place, 0)) if len(message) else place
    return Segments(
        message,
        ordinal,
        np.concatenate([starts, index.first[plain]])[order],
        np.concatenate([last, index.first[plain + 1]])[order],
        miscounted,
    )


class Rows:
    """Field positions by row and tag, looked up from one dense table per family of messages."""

    __slots__ = ("_anywhere", "_message_tags", "_root", "_slot", "_table", "index", "row_of_field", "segments")

    def __init__(
        self,
        index: FieldIndex,
        tags: Ints,
        segments: Segments,
        wanted: Iterable[int],
        message_tags: frozenset[int] = frozenset(),
    ) -> None:
        self._message_tags = message_tags
        self.index, self.segments = index, segments
        self._slot = {tag: slot for slot, tag in enumerate(dict.fromkeys(wanted))}
        table = np.full(_TABLE_SIZE, -1, dtype=np.int16)
        for tag, slot in self._slot.items():
            table[tag] = slot
        rows, count = len(segments.message), len(self._slot)
        whole = bool((segments.first == index.first[segments.message]).all())
        self._root: Ints | None = None
        if whole and rows == index.count:  # every message is one row: no field lies outside
            self.row_of_field = index.message
            self._table = _first_positions(index, tags, table, index.message, count, rows)
            return
        self.row_of_field = _rows_of_fields(len(tags), segments)
        self._table = _first_positions(index, tags, table, self.row_of_field, count, rows)
        if not whole:
            slots = table[tags]
            outside = np.where(self.row_of_field >= 0, -1, index.message)
            self._root = _first_positions(index, tags, table, outside, count, index.count)
            anywhere = _first_positions(index, tags, table, index.message, count, index.count)
            flat = slots[slots >= 0].astype(np.int64) * index.count + index.message[slots >= 0]
            single = np.bincount(flat, minlength=count * index.count) == 1
            self._anywhere = np.where(single.reshape(count, index.count), anywhere, -1)

    def __len__(self) -> int:
        return len(self.segments.message)

    def find(self, *tags: int) -> Ints:
        """Per row the field of the first tag present, -1 where there is none.

        A tag is looked for in the row, else before the group; a message tag also behind the group, if it is the only
        one of its message.
        """
        if self._root is None:
            return self.own(*tags)
        result = np.full(len(self), -1, dtype=np.int64)
        for tag in tags:
            slot = self._slot[tag]
            message = self.segments.message
            position = np.where(self._table[slot] >= 0, self._table[slot], self._root[slot][message])
            if tag in self._message_tags:
                position = np.where(position >= 0, position, self._anywhere[slot][message])
            result = np.where(result >= 0, result, position)
        return result

    def own(self, *tags: int) -> Ints:
        """As `find`, but only within the row itself (amounts that exist per block and per allocation)."""
        if not tags:
            return np.full(len(self), -1, dtype=np.int64)
        result: Ints = self._table[self._slot[tags[0]]]
        for tag in tags[1:]:
            result = np.where(result >= 0, result, self._table[self._slot[tag]])
        return result


def _rows_of_fields(fields: int, segments: Segments) -> Ints:
    rows = np.full(fields, -1, dtype=np.int64)
    lengths = segments.last - segments.first
    if not len(lengths):
        return rows
    offsets = np.cumsum(lengths) - lengths
    positions = np.repeat(segments.first - offsets, lengths) + np.arange(int(lengths.sum()))
    rows[positions] = np.repeat(np.arange(len(lengths)), lengths)
    return rows


def _first_positions(
    index: FieldIndex, tags: Ints, table: npt.NDArray[np.int16], owners: Ints, count: int, size: int
) -> Ints:
    """Table [slot, owner] of the first field of each tag that has a slot; an owner of -1 is none.

    Later occurrences are written first, so the first one stays.
    """
    if index.kernels is not None:
        return index.kernels.first_positions(tags, owners, table, count, size)
    slots = table[tags]
    found = np.full(count * size, -1, dtype=np.int64)
    fields = np.flatnonzero((slots >= 0) & (owners >= 0))[::-1]
    found[slots[fields].astype(np.int64) * size + owners[fields]] = fields
    return found.reshape(count, size)
