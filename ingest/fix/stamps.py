"""The time of receipt a recorded log writes before each message: `2026-11-20T14:30:01.123456789Z 8=FIX...`."""

import re
from calendar import timegm
from dataclasses import replace
from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ingest.fix.index import Ints
from ingest.fix.pieces import Pieces

_STAMP = re.compile(
    rb"\s*(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?(?=[\s,;|]|$)[\s,;|]*"
)
_SECOND_NS = 1_000_000_000
# So many at a time: what they need goes with them.
_ROWS = 65_536


def stamped(found: Pieces) -> tuple[Pieces, Ints]:
    """The pieces, and for each its time of receipt in UTC ns, 0 where its line starts with none (no zone means UTC).

    Lines that hold no message lose their stamp: what was received is what follows it.
    """
    times, starts = _plain_times(found), found.starts.copy()
    for at in np.flatnonzero(times < 0).tolist():
        is_message = found.are_messages[at]
        (told,) = found.prefixes([at]) if is_message else found.raws([at])
        match = _STAMP.match(told)
        times[at] = _nanoseconds(*match.groups()) if match else 0
        if match and times[at] and not is_message:
            starts[at] += match.end()
    return replace(found, starts=starts), times


def _plain_times(found: Pieces) -> Ints:
    """Times written as nearly all logs write them, `2026-11-20T14:30:01.123456789Z `; -1 for any other text."""
    times = np.full(len(found), -1, dtype=np.int64)
    octets, lengths = np.frombuffer(found.data, dtype=np.uint8), found.starts - found.prefix_starts
    for length in np.unique(lengths).tolist():
        if not len("2026-11-20T14:30:01Z ") <= length <= len("2026-11-20T14:30:01.123456789Z "):
            continue
        rows = np.flatnonzero(lengths == length)
        for some in np.split(rows, range(_ROWS, len(rows), _ROWS)):
            times[some] = _read_plain(octets[found.prefix_starts[some, None] + np.arange(length)])
    return times


def _read_plain(text: npt.NDArray[np.uint8]) -> Ints:
    form = b"0000-00-00T00:00:00" + (b"." + b"0" * (text.shape[1] - 22) if text.shape[1] > 21 else b"") + b"Z "
    if len(form) != text.shape[1]:
        return np.full(len(text), -1, dtype=np.int64)
    wanted = np.frombuffer(form, dtype=np.uint8)
    digit = wanted == ord("0")
    digits = (text - np.uint8(ord("0"))).astype(np.int64)
    fine = (digits[:, digit] <= 9).all(axis=1) & (text[:, ~digit] == wanted[~digit]).all(axis=1)

    def number(first: int, last: int) -> Ints:
        found: Ints = digits[:, first:last] @ 10 ** np.arange(last - first - 1, -1, -1, dtype=np.int64)
        return found

    days, codes = np.unique(number(0, 4) * 10_000 + number(5, 7) * 100 + number(8, 10), return_inverse=True)
    midnights = [_midnight(*(b"%02d" % part for part in (n // 10_000, n // 100 % 100, n % 100))) for n in days.tolist()]
    midnight = np.array([-1 if at is None else at for at in midnights], dtype=np.int64)[codes]
    hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
    fine &= (midnight >= 0) & (hour <= 23) & (minute <= 59) & (second <= 59)
    places = text.shape[1] - 22
    fraction = number(20, 20 + places) * 10 ** (9 - places) if places > 0 else np.int64(0)
    nanos = (midnight + (hour * 60 + minute) * 60 + second) * _SECOND_NS + fraction
    return np.where(fine, nanos, -1)


def _nanoseconds(
    year: bytes, month: bytes, day: bytes, hour: bytes, minute: bytes, second: bytes, fraction: bytes | None,
    zone: bytes | None,
) -> int:  # fmt: skip
    midnight = _midnight(year, month, day)
    if midnight is None or hour > b"23" or minute > b"59" or second > b"60":
        return 0
    seconds = midnight + (int(hour) * 60 + int(minute)) * 60 + min(int(second), 59)
    if zone and zone != b"Z":
        digits = zone[1:].replace(b":", b"")
        offset = (int(digits[:2]) * 60 + int(digits[2:])) * 60
        seconds += offset if zone.startswith(b"-") else -offset
    return seconds * _SECOND_NS + int((fraction or b"").ljust(9, b"0"))


@lru_cache(maxsize=64)
def _midnight(year: bytes, month: bytes, day: bytes) -> int | None:
    """Seconds since 1970 of a day; None for a day no calendar has, or one no log was written on."""
    if not b"1970" <= year <= b"2261":  # what nanoseconds in 64 bits hold
        return None
    try:
        return timegm(date(int(year), int(month), int(day)).timetuple())
    except ValueError:
        return None
