"""What is odd about a message as a whole, marked before anything is read of it; nothing here refuses a message."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.fix.flags import Flag
from ingest.fix.index import Bools, FieldIndex, Ints
from ingest.fix.tags import DATA_FIELDS, TAGS
from ingest.normalise_part import Part
from ingest.quarantine import is_placeholder, swallowed_field

# Free text may hold anything; data fields hold what their length says.
_FREE_TEXT = np.array([58, 147, 148, *DATA_FIELDS.values()], dtype=np.int64)
_OPENS_TEMPLATE = np.zeros(256, dtype=np.bool_)
_OPENS_TEMPLATE[list(b"<{*?#")] = True
_MAY_OPEN_TEMPLATE = _OPENS_TEMPLATE.copy()
_MAY_OPEN_TEMPLATE[list(b"0X")] = True
_EIGHT_ZEROS = np.uint64(int.from_bytes(b"00000000", "little"))
_THREE_X, _THREE_BYTES = np.uint64(int.from_bytes(b"XXX", "little")), np.uint64(0xFFFFFF)
# Message types that FIX.4.0 to FIX.4.2 do not have.
_NEWER_TYPES = pa.array(["AE", "AR", "AD", "AQ", "AS", "AT", "AK", "AU", "AN", "AO", "AP", "AX", "BG"])
_OLD_VERSION = re.compile(rb"8=FIX\.4\.[0-2]\x01")
_TENOR = re.compile(r"[DWMY][0-9]{1,3}")


def _codes(text: str) -> Bools:
    table = np.zeros(256, dtype=np.bool_)
    table[list(text.encode())] = True
    return table


# Codes that are shown or kept and decide nothing: one outside the list is marked, not refused.
_ONE_LETTER = {
    39: _codes("0123456789ABCDE"), 22: _codes("123456789ABCDEFGHIJKLMNPQRSTUVWXYZ"), 77: _codes("OCRFDN"),
    63: _codes("0123456789ABC"), 40: _codes("123456789ABCDEFGHIJKLMPQRSTUVWXYZ"), 59: _codes("0123456789ABC"),
    829: _codes("0123456789"), 13: _codes("12345678"),
}  # fmt: skip
_NUMBERS = {828: range(66), 829: range(61), 423: range(1, 30)}


def mark_messages(part: Part) -> None:
    """Set the flags of what is odd about each message of the part."""
    index = part.index
    for field in _swallowing(index):
        _mark(index, field, Flag.SWALLOWED)
    for field in _templates(index):
        _mark(index, field, Flag.PLACEHOLDER)
    for field in _odd_codes(index):
        _mark(index, field, Flag.ENUM_ODD)
    newer = pc.fill_null(pc.is_in(part.message_type, _NEWER_TYPES), False).to_numpy(zero_copy_only=False)
    for message in np.flatnonzero(newer).tolist():
        start = int(index.message_start[message])
        if _OLD_VERSION.match(index.data, start):
            index.flags[message] |= int(Flag.VERSION)


def _mark(index: FieldIndex, field: int, flag: Flag) -> None:
    index.flags[index.message[field]] |= int(flag)


def _swallowing(index: FieldIndex) -> list[int]:
    """Fields whose value seems to hold another field, its delimiter lost."""
    # Every field has a `=` of its own; only where there are more can one be swallowed.
    if np.count_nonzero(index.octets == ord("=")) == np.count_nonzero(index.tag >= 0):
        return []
    equals = np.add.reduceat(index.octets == ord("="), index.message_start, dtype=np.int64)
    fields = np.bincount(index.message[index.tag >= 0], minlength=index.count)
    suspects = np.flatnonzero(equals > fields)
    if not len(suspects):
        return []
    candidates = np.flatnonzero(np.isin(index.message, suspects) & (index.tag >= 0) & ~np.isin(index.tag, _FREE_TEXT))
    return [n for n in candidates.tolist() if swallowed_field(index.value(n).decode("latin-1"))]


def _templates(index: FieldIndex) -> list[int]:
    """Fields that still hold a word of a template."""
    fields = np.flatnonzero(_MAY_OPEN_TEMPLATE[index.octets[index.value_start]])
    start = index.value_start[fields]
    head = index.words[start]
    opens = _OPENS_TEMPLATE[index.octets[start]] | (head == _EIGHT_ZEROS)
    opens |= (head & _THREE_BYTES) == _THREE_X
    opens &= index.value_end[fields] > start
    return [n for n in fields[opens].tolist() if is_placeholder(index.value(n).decode("latin-1"))]


def _odd_codes(index: FieldIndex) -> list[int]:
    found: list[int] = []
    for tag, allowed in _ONE_LETTER.items():
        fields = np.flatnonzero(index.tag == tag)
        length = index.value_end[fields] - index.value_start[fields]
        fields = fields[(length > 0) & ~((length == 1) & allowed[index.octets[index.value_start[fields]]])]
        found += [n for n in fields.tolist() if not _fine(tag, index.value(n).decode("latin-1"))]
    for tag in _NUMBERS.keys() - _ONE_LETTER.keys():
        fields = np.flatnonzero(index.tag == tag)
        found += [n for n in fields.tolist() if not _fine(tag, index.value(n).decode("latin-1"))]
    return found


def _fine(tag: int, text: str) -> bool:
    if tag == 63 and _TENOR.fullmatch(text):
        return True
    return not text or (tag in _NUMBERS and text.isascii() and text.isdigit() and int(text) in _NUMBERS[tag])


def mark_group_tails(part: Part, messages: Ints, first: Ints, last: Ints) -> None:
    """Mark messages whose last group entry ends with tags nobody knows: they may belong to the message instead.

    `messages`, `first` and `last` are the rows of a group and their fields; a single entry leaves nothing to doubt.
    """
    several = np.flatnonzero(np.append(False, messages[1:] == messages[:-1]))
    if not len(several):
        return
    ends = several[np.append(messages[several][1:] != messages[several][:-1], True)]
    tags = part.index.tag
    for row in ends.tolist():
        tail = tags[first[row] : last[row]]
        others = set(tags[first[row - 1] : last[row - 1]].tolist())
        if any(tag not in TAGS and tag not in others for tag in tail[tail > 0].tolist()):
            part.index.flags[messages[row]] |= int(Flag.GROUP_TAIL)


_HALF_HOUR_NS = 1_800_000_000_000
_NEAR_NS = 90_000_000_000
_LEAST_MESSAGES = 5
_SHARE = 0.8


def zone_offset(sent_ns: Ints, event_ns: Ints) -> int | None:
    """Half hours by which SendingTime(52) is ahead of TransactTime(60), if that is what most messages say.

    None where the two agree, where they differ by anything else than a whole or half hour, or where fewer than five
    messages speak. It is evidence for a person, who may set `tz60`; nothing is corrected by it.
    """
    if len(sent_ns) < _LEAST_MESSAGES:
        return None
    difference = sent_ns - event_ns
    halves = np.round(np.median(difference) / _HALF_HOUR_NS)
    agree = np.abs(difference - halves * _HALF_HOUR_NS) <= _NEAR_NS
    return int(halves) if halves and agree.mean() >= _SHARE else None


def mark_zone(part: Part, messages: Ints, sent_ns: Ints, event_ns: Ints, known: Bools) -> None:
    """Mark the messages whose TransactTime(60) seems to be local though the dialect says UTC."""
    if part.dialect.tz60 != "UTC" or not known.any():
        return
    halves = zone_offset(sent_ns[known], event_ns[known])
    if halves is None:
        return
    near = known & (np.abs(sent_ns - event_ns - halves * _HALF_HOUR_NS) <= _NEAR_NS)
    np.bitwise_or.at(part.index.flags, messages[near], int(Flag.TZ60_SUSPECT))
    told: Any = f"52 is {halves / 2:+g} h from 60; if 60 is local time, set tz60 in dialect {part.dialect.name}"
    for message in messages[near].tolist():
        part.note(message, "tz60", told)
