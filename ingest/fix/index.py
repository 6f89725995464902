"""Vectorised field index over a batch of FIX messages: every tag and value as offsets into one joined buffer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ingest.fix.flags import INTEGRITY as INTEGRITY
from ingest.fix.flags import Flag as Flag
from ingest.fix.tags import DATA_FIELDS

if TYPE_CHECKING:
    from ingest.fix.codec.batch_kernels import BatchKernels

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_PAD_BYTES = 96  # the compiled lane reads whole blocks
_ZERO = ord("0")
_EQUALS, _ONES, _TOPS, _ZEROS = (
    np.uint64(int(digits * 8, 16)) for digits in ("3d", "01", "80", "30")
)  # one byte, eight times
_HIGH, _SIX, _LOW = (np.uint64(int(digits * 8, 16)) for digits in ("f0", "06", "0f"))
_HIGH_4, _SIX_4, _LOW_4, _THREES_4 = (np.uint32(int(digits * 4, 16)) for digits in ("f0", "06", "0f", "33"))


@dataclass(frozen=True, slots=True)
class FieldIndex:
    """Offsets of every field of a batch, in wire order.

    `message`, `tag`, `start`, `value_start`, `value_end` have one entry per field; a token that is no field (no `=`,
    or no number before it) has tag -1. `first` has one entry per message plus one: its first field. `flags` holds
    `Flag` bits per message. `octets` and `words` view the joined bytes, `words[i]` being the eight bytes from i.
    """

    data: bytes
    octets: npt.NDArray[np.uint8]
    words: Words
    message_start: Ints
    message_end: Ints
    first: Ints
    message: Ints
    tag: Ints
    start: Ints
    value_start: Ints
    value_end: Ints
    flags: Ints
    kernels: "BatchKernels | None" = field(default=None, compare=False, repr=False)

    @property
    def count(self) -> int:
        """Number of messages."""
        return len(self.message_start)

    def value(self, field: int) -> bytes:
        """The bytes of one field's value."""
        return self.data[self.value_start[field] : self.value_end[field]]

    def raw(self, message: int) -> bytes:
        """One message in wire form."""
        return self.data[self.message_start[message] : self.message_end[message]]


def index_fields(messages: Sequence[bytes], kernels: "BatchKernels | None" = None) -> FieldIndex:
    """Tokenise messages in wire form (SOH after every field; a missing last SOH is added). Never raises on bad bytes.

    Data fields (96, 213, 355, ...) are taken by the length in the field before them, so embedded SOH and `=` survive;
    a length that does not lead to a field boundary is flagged and ignored. `kernels` make the same index, faster.
    """
    closed = all(map(bytes.endswith, messages, repeat(b"\x01")))
    framed = messages if closed else [m if m.endswith(b"\x01") else m + b"\x01" for m in messages]
    lengths = np.fromiter(map(len, framed), dtype=np.int64, count=len(framed))
    data = b"".join([*framed, bytes(_PAD_BYTES)])
    octets = np.frombuffer(data, dtype=np.uint8)
    words: Words = np.ndarray(shape=(len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    message_end = np.cumsum(lengths)
    message_start = message_end - lengths
    if kernels is not None:
        first, message, tag, start, value_start, end = kernels.tokens(octets, message_end)
    else:
        end = np.flatnonzero(octets == 1)
        start = np.empty_like(end)
        start[:1] = 0
        start[1:] = end[:-1] + 1
        tag, value_start = _tags(words, start, end)
        first = np.append(np.searchsorted(end, message_start), len(end))
        message = np.repeat(np.arange(len(framed)), np.diff(first))
    index = FieldIndex(
        data, octets, words, message_start, message_end, first, message, tag, start, value_start, end,
        np.zeros(len(framed), dtype=np.int64), kernels,
    )  # fmt: skip
    index = _merge_data_fields(index)
    _flag_integrity(index)
    _flag_tokens(index)
    return index


def _tags(words: Words, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Tag numbers (or -1) and value starts: find `=` in the first eight bytes, then read the digits before it."""
    word = words[start]
    match = word ^ _EQUALS
    match = (match - _ONES) & ~match & _TOPS
    digits = np.bitwise_count((match & (~match + np.uint64(1))) - np.uint64(1)) >> np.uint8(3)
    # Four bytes hold nearly every tag; arithmetic on them costs half of eight.
    bits: npt.NDArray[np.uint32] = digits.astype(np.uint32) << np.uint32(3)
    aligned: npt.NDArray[np.uint32] = word.astype(np.uint32) << (np.uint32(32) - bits)
    aligned |= np.uint32(0x303030) >> (bits - np.uint32(8))
    ok = ((aligned & _HIGH_4) | (((aligned + _SIX_4) & _HIGH_4) >> np.uint32(4))) == _THREES_4
    value = aligned & _LOW_4
    value = (value * np.uint32(10) + (value >> np.uint32(8))) & np.uint32(0x00FF00FF)
    tag = ((value * np.uint32(100) + (value >> np.uint32(16))) & np.uint32(0xFFFF)).astype(np.int64)
    wide = np.flatnonzero(digits > 4)
    if len(wide):
        tag[wide], ok[wide] = _digits_to_int(word[wide], digits[wide].astype(np.int64))
        ok[wide] &= digits[wide] < 8
    value_start = start + digits
    value_start += 1
    bad = ~ok | (value_start > end) | (digits == 0)
    if bad.any():
        tag[bad], value_start[bad] = -1, start[bad]
    return tag, value_start


def _digits_to_int(word: Words, digits: Ints) -> tuple[Ints, Bools]:
    """Value of the first `digits` (1 to 8) ASCII bytes of each word, and whether they are all decimal digits."""
    shift = (np.clip(digits, 1, 8) << 3).astype(np.uint64)
    aligned = word << (np.uint64(64) - shift)
    aligned |= np.where(shift < 64, _ZEROS >> np.minimum(shift, np.uint64(63)), np.uint64(0))
    ok = ((aligned & _HIGH) == _ZEROS) & (((aligned + _SIX) & _HIGH) == _ZEROS)
    value = aligned & _LOW
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = (value * np.uint64(10_000) + (value >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return value.astype(np.int64), ok


def read_ints(index: FieldIndex, fields: Ints) -> tuple[Ints, Bools]:
    """Whole numbers of one to eight digits at the given fields; False where a value is anything else or absent (-1)."""
    here = np.maximum(fields, 0)
    start, length = index.value_start[here], index.value_end[here] - index.value_start[here]
    value, ok = _digits_to_int(index.words[start], length)
    return value, ok & (length > 0) & (length <= 8) & (fields >= 0)


def _merge_data_fields(index: FieldIndex) -> FieldIndex:
    lengths = np.flatnonzero(np.isin(index.tag, np.fromiter(DATA_FIELDS, dtype=np.int64)))
    if not len(lengths):
        return index
    keep = np.ones(len(index.tag), dtype=np.bool_)
    value_end = index.value_end.copy()
    value, ok = read_ints(index, lengths)
    for at, size, readable in zip(lengths.tolist(), value.tolist(), ok.tolist(), strict=True):
        data_field = at + 1
        same = data_field < len(index.tag) and index.message[data_field] == index.message[at]
        if not keep[at] or not same or index.tag[data_field] != DATA_FIELDS[int(index.tag[at])]:
            continue
        end = int(index.value_start[data_field]) + size
        if not readable or end >= index.message_end[index.message[at]] or index.octets[end] != 1:
            index.flags[index.message[at]] |= Flag.DATA_LENGTH
            continue
        value_end[data_field] = end
        keep[data_field + 1 : int(np.searchsorted(index.value_end, end, side="right"))] = False
    first = np.append(0, np.cumsum(keep))[index.first]
    return FieldIndex(
        index.data, index.octets, index.words, index.message_start, index.message_end, first,
        index.message[keep], index.tag[keep], index.start[keep], index.value_start[keep], value_end[keep],
        index.flags, index.kernels,
    )  # fmt: skip


def _flag_integrity(index: FieldIndex) -> None:
    """CheckSum(10) over the bytes before it and BodyLength(9) up to it, for all messages at once."""
    if not index.count:
        return
    last, head = index.first[1:] - 1, index.first[:-1]
    has_sum = index.tag[last] == 10
    body_end = np.where(has_sum, index.start[last], index.message_end)
    bounds = np.stack([index.message_start, body_end], axis=1).ravel()
    actual = np.add.reduceat(index.octets, bounds, dtype=np.uint8)[::2].astype(np.int64)
    declared, readable = read_ints(index, last)
    three = (index.value_end[last] - index.value_start[last]) == 3
    index.flags[~has_sum] |= Flag.NO_CHECKSUM
    index.flags[has_sum & ~(readable & three & (declared == actual))] |= Flag.CHECKSUM
    second = np.minimum(head + 1, last)
    has_length = index.tag[second] == 9
    declared, readable = read_ints(index, second)
    index.flags[~has_length] |= Flag.NO_LENGTH
    index.flags[has_length & ~(readable & (declared == body_end - index.value_end[second] - 1))] |= Flag.LENGTH
    third = np.minimum(head + 2, last)
    in_order = (index.tag[head] == 8) & has_length & (index.tag[third] == 35)
    index.flags[~in_order] |= Flag.HEADER_ORDER


def _flag_tokens(index: FieldIndex) -> None:
    # A token that is no field, or a tag written with leading zeros (`054=`).
    odd = (index.tag < 0) | ((index.octets[index.start] == _ZERO) & (index.value_start - index.start > 2))
    if odd.any():
        np.bitwise_or.at(index.flags, index.message[odd], int(Flag.ODD_TAG))
    empty = (index.value_end == index.value_start) & (index.tag >= 0)
    if empty.any():
        np.bitwise_or.at(index.flags, index.message[empty], int(Flag.EMPTY_VALUE))
