"""The NumPy lane: where messages begin and end in a chunk, checked as a whole; damage is looked at one by one."""

from dataclasses import dataclass

import numpy as np

from ingest.fix.codec.block import Bools, Ints, Octets, Words
from ingest.fix.codec.plan import Reason
from ingest.fix.index import _digits_to_int

_BEGIN, _BEGIN_MASK = np.uint64(int.from_bytes(b"8=FIX", "little")), np.uint64(0xFFFFFFFFFF)
_TRAILER, _TRAILER_MASK = np.uint64(int.from_bytes(b"\x0110=", "little")), np.uint64(0xFFFFFFFF)
_LENGTH, _LENGTH_MASK = np.uint64(int.from_bytes(b"9=", "little")), np.uint64(0xFFFF)
_TYPE, _TYPE_MASK = np.uint64(int.from_bytes(b"35=", "little")), np.uint64(0xFFFFFF)
_SOH, _LF, _EIGHT = 1, 10, 56
_HEAD_BYTES = 22
INCOMPLETE = 0


@dataclass(frozen=True, slots=True)
class Frames:
    """Messages of a chunk and their fields: `first` and `count` are each message's first field and how many it has.

    `position` is the first byte not dealt with: nothing whole begins there any more.
    """

    start: Ints
    end: Ints
    first: Ints
    count: Ints
    token_start: Ints
    token_end: Ints
    rejects: Ints
    position: int

    def owner(self) -> Ints:
        """The message of each field."""
        return np.repeat(np.arange(len(self.start)), self.count)


def cut_frames(octets: Octets, words: Words, start: int, limit: int, cap: int) -> Frames:
    """Frame the bytes from `start` to `limit`: BodyLength, cap, CheckSum; else go on at the next `8=FIX`."""
    ends = np.flatnonzero(octets[start:limit] == _SOH) + start
    candidates = _candidates(octets, words, ends, start, limit)
    ends_at, good = _whole_messages(octets, words, ends, candidates, cap, limit)
    taken, rejects, position = _chain(octets, start, limit, cap, candidates, ends_at, good)
    begin, finish = candidates[taken], ends_at[taken]
    if not len(begin):
        none = np.zeros(0, dtype=np.int64)
        return Frames(none, none, none, none, none, none, rejects, position)
    first = np.searchsorted(ends, begin)
    count = np.searchsorted(ends, finish) - first
    opens = np.cumsum(count) - count
    if (finish[:-1] == begin[1:]).all():
        token_end = ends[first[0] : first[0] + int(count.sum())]
    else:
        token_end = ends[np.arange(int(count.sum())) + np.repeat(first - opens, count)]
    token_start = np.empty_like(token_end)
    np.add(token_end[:-1], 1, out=token_start[1:])
    token_start[opens] = begin
    return Frames(begin, finish, opens, count, token_start, token_end, rejects, position)


def _candidates(octets: Octets, words: Words, ends: Ints, start: int, limit: int) -> Ints:
    """Where `8=FIX` stands: at the start, behind a separator or behind a line feed."""
    starts = ends + 1
    starts = np.append(start, starts[octets[starts] == _EIGHT])
    feeds = np.flatnonzero(octets[start:limit] == _LF)
    if len(feeds):
        starts = np.unique(np.concatenate([starts, feeds + start + 1]))
    starts = starts[starts + 5 <= limit]
    found: Ints = starts[(words[starts] & _BEGIN_MASK) == _BEGIN]
    return found


def _whole_messages(octets: Octets, words: Words, ends: Ints, at: Ints, cap: int, limit: int) -> tuple[Ints, Bools]:
    """End of each candidate as its BodyLength says, and which are whole and right in every respect."""
    if not len(at) or len(ends) < 4:
        return at.copy(), np.zeros(len(at), dtype=np.bool_)
    token = np.minimum(np.searchsorted(ends, at), len(ends) - 3)
    head, length_end = ends[token], ends[token + 1]
    good = (head >= at) & (head - at <= _HEAD_BYTES) & ((words[head + 1] & _LENGTH_MASK) == _LENGTH)
    size = length_end - head - 3
    # Nine digits are looked at one by one.
    good &= (size >= 1) & (size <= 8)
    length, digits = _digits_to_int(words[head + 3], np.clip(size, 1, 8))
    end = np.where(good & digits, length_end + 1 + length + 7, limit + 1)
    good &= digits & (end <= limit) & (end - at <= cap)
    end = np.where(good, end, at + 8)
    good &= ((words[end - 8] & _TRAILER_MASK) == _TRAILER) & (octets[end - 1] == _SOH)
    good &= ((words[length_end + 1] & _TYPE_MASK) == _TYPE) & (octets[length_end + 4] != _SOH)
    # The last sum would run to the end of the whole buffer.
    span = octets[: int(end.max())]
    total = np.add.reduceat(span, np.stack([at, end - 7], axis=1).ravel(), dtype=np.uint8)[::2]
    stated, digits = _digits_to_int(words[end - 4], np.full(len(at), 3))
    return end, good & digits & (stated == total)


def _chain(
    octets: Octets, start: int, limit: int, cap: int, at: Ints, end: Ints, good: Bools
) -> tuple[Ints, Ints, int]:
    """The candidates that are messages when read from the start on, the spans between them, and where reading ends."""
    whole = len(at)
    if whole and at[0] == start and good[:-1].all() and (end[:-1] == at[1:]).all():
        # Nothing but messages; the last may go on behind the chunk.
        taken = np.arange(whole if good[-1] else whole - 1)
        position = int(end[-1]) if good[-1] else int(at[-1])
        reason, _ = (INCOMPLETE, position) if good[-1] else check_message(octets, position, limit, cap)
        if reason == INCOMPLETE and not (good[-1] and position < limit):
            return taken, np.zeros((0, 3), dtype=np.int64), position
    return _chain_slowly(octets, start, limit, cap, at, end, good)


def _chain_slowly(
    octets: Octets, start: int, limit: int, cap: int, at: Ints, end: Ints, good: Bools
) -> tuple[Ints, Ints, int]:
    places, ends, right = at.tolist(), end.tolist(), good.tolist()
    taken: list[int] = []
    rejects: list[tuple[int, int, int]] = []
    position, n, count = start, 0, len(places)
    while True:
        while n < count and places[n] < position:
            n += 1
        here = n < count and places[n] == position
        if here and right[n]:
            taken.append(n)
            position = ends[n]
            continue
        reason, stop = check_message(octets, position, limit, cap) if here else (int(Reason.GARBAGE), position)
        if here and reason < 0:
            taken.append(n)
            end[n] = ends[n] = position = stop
            continue
        following = n + 1 if here else n
        if reason == INCOMPLETE or following >= count:
            break
        rejects.append((position, places[following], reason))
        position = places[following]
    return np.array(taken, dtype=np.int64), np.array(rejects, dtype=np.int64).reshape(-1, 3), position


def check_message(octets: Octets, at: int, limit: int, cap: int) -> tuple[int, int]:
    """Why the message at an `8=FIX` is none (a Reason), INCOMPLETE, or -1 with its end when it is one after all."""
    head = octets[at : min(limit, at + 64)].tobytes()
    place = head.find(b"\x01", 5, _HEAD_BYTES)
    place = min(_HEAD_BYTES, len(head)) if place < 0 else place
    if place + 3 > len(head):
        return INCOMPLETE, at
    if head[place : place + 3] != b"\x019=":
        return int(Reason.NO_HEADER), at
    first = place = place + 3
    while place < len(head) and place < first + 9 and 48 <= head[place] <= 57:
        place += 1
    if place >= len(head):
        return INCOMPLETE, at
    if place == first or head[place] != _SOH:
        return int(Reason.NO_HEADER), at
    end = at + place + 1 + int(head[first:place]) + 7
    if end - at > cap:
        return int(Reason.LENGTH_CAP), at
    if end > limit:
        return INCOMPLETE, at
    raw = octets[at:end].tobytes()
    if raw[-8:-4] != b"\x0110=" or raw[-1] != _SOH:
        return int(Reason.LENGTH), at
    kind = raw[place + 1 : place + 5]
    if kind[:3] != b"35=" or kind[3:] == b"\x01":
        return int(Reason.MSG_TYPE), at
    if not raw[-4:-1].isdigit() or int(raw[-4:-1]) != sum(raw[:-7]) % 256:
        return int(Reason.CHECKSUM), at
    return -1, end
