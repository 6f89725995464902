"""The time of receipt a recorded log writes before each message: `2026-11-20T14:30:01.123456789Z 8=FIX...`."""

import re
from calendar import timegm
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import lru_cache

from ingest.fix.sniff import Found

_STAMP = re.compile(
    rb"\s*(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?(?=[\s,;|]|$)[\s,;|]*"
)
_SECOND_NS = 1_000_000_000


def stamped(found: Iterable[Found]) -> tuple[list[Found], list[int]]:
    """Every piece with its time of receipt in UTC ns, 0 where its line starts with none (no zone means UTC).

    Lines that hold no message lose their stamp: what was received is what follows it.
    """
    pieces, times = [], []
    for piece in found:
        match = _STAMP.match(piece.prefix if piece.is_message else piece.raw)
        at_ns = _nanoseconds(*match.groups()) if match else 0
        if match and at_ns and not piece.is_message:
            piece = replace(piece, raw=piece.raw[match.end() :], prefix=match[0])
        pieces.append(piece)
        times.append(at_ns)
    return pieces, times


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
