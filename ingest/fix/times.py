"""FIX times and dates of a batch: UTC nanoseconds with the precision shown, local zones resolved, nothing guessed."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from ingest.fix.index import Bools, FieldIndex, Ints, _digits_to_int

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
_BUCKET_NS = 900 * SECOND_NS  # offsets of all zones since 1970 change on quarter hours
PRECISIONS = ("d", "m", "s", "ms", "us", "ns")
# Instants are nanoseconds in 64 bits, which end in April 2262; a year beyond is read wrong rather than late.
LAST_YEAR = 2261
_EPOCH = date(1970, 1, 1)
_COLONS = np.uint64(0x00003A00003A0000)
_COLON_MASK = np.uint64(0x0000FF0000FF0000)
_ODD_DATE = re.compile(r"(\d{4})[-/.]?(\d\d)[-/.]?(\d\d)(?:[-T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?")
_ODD_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[- T]\s*(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?)?Z?")


def read_dates(index: FieldIndex, fields: Ints) -> tuple[npt.NDArray[np.int32], Bools]:
    """Days since 1970 of `YYYYMMDD` values, and which fields hold a real calendar date."""
    here = np.maximum(fields, 0)
    start, end = index.value_start[here], index.value_end[here]
    value, ok = _digits_to_int(index.words[start], np.full(len(fields), 8))
    days, real = _days(value)
    return days.astype(np.int32), ok & real & (end - start == 8) & (fields >= 0)


def read_times(index: FieldIndex, fields: Ints) -> tuple[Ints, Ints, Bools, Bools]:
    """UTCTimestamp values as (nanoseconds since 1970, precision index, readable, odd).

    Seconds, milli-, micro- and nanoseconds go the fast way; a date alone, minutes, a blank inside, a leap second,
    24:00:00 or more than nine decimals go one by one and are marked odd.
    """
    here = np.maximum(fields, 0)
    start = index.value_start[here]
    length = np.where(fields >= 0, index.value_end[here] - start, 0)
    at = np.minimum(start, len(index.words) - 27)
    day, day_ok = _digits_to_int(index.words[at], np.full(len(fields), 8))
    days, real = _days(day)
    real &= day < (LAST_YEAR + 1) * 10_000
    clock = index.words[at + 9]
    hour, hour_ok = _digits_to_int(clock, np.full(len(fields), 2))
    minute, minute_ok = _digits_to_int(clock >> np.uint64(24), np.full(len(fields), 2))
    second, second_ok = _digits_to_int(clock >> np.uint64(48), np.full(len(fields), 2))
    shaped = (clock & _COLON_MASK) == _COLONS
    good = (index.octets[at + 8] == 45) & shaped & day_ok & real & hour_ok & minute_ok & second_ok
    good &= (hour < 24) & (minute < 60) & (second < 60)
    fraction, fraction_ok = _fraction(index, at, length)
    good &= fraction_ok & (fields >= 0)
    nanos = ((days * 24 + hour) * 60 + minute) * 60 * SECOND_NS + second * SECOND_NS + fraction
    precision = np.select([length == 17, length <= 21, length <= 24], [2, 3, 4], 5)
    odd = np.zeros(len(fields), dtype=np.bool_)
    for row in np.flatnonzero(~good & (length > 0)).tolist():
        found = odd_time(index.value(int(fields[row])).decode("latin-1"))
        if found is not None:
            nanos[row], precision[row] = found
            good[row] = odd[row] = True
    return nanos, precision, good, odd


def _fraction(index: FieldIndex, at: Ints, length: Ints) -> tuple[Ints, Bools]:
    if (length == 17).all():
        return np.zeros(len(at), dtype=np.int64), np.ones(len(at), dtype=np.bool_)
    digits = np.clip(length - 18, 0, 9)
    high, high_ok = _digits_to_int(index.words[at + 18], np.clip(digits, 1, 8))
    ninth = index.octets[at + 26].astype(np.int64) - 48
    nine = digits == 9
    value = np.where(nine, high * 10 + ninth, high) * 10 ** (9 - digits)
    ok = (length >= 19) & (length <= 27) & high_ok & (index.octets[at + 17] == 46)
    ok &= ~nine | ((ninth >= 0) & (ninth <= 9))
    whole = length == 17
    return np.where(whole, 0, value), ok | whole


def odd_time(text: str) -> tuple[int, int] | None:
    """One unusual time as (nanoseconds, precision index), or None: clamps a leap second, rolls 24:00:00 over."""
    match = _ODD_TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups()
    if not 1900 <= int(year) <= LAST_YEAR:
        return None
    try:
        days = (date(int(year), int(month), int(day)) - _EPOCH).days
    except ValueError:
        return None
    if hour is None:
        return days * DAY_NS, 0
    h, m, s = int(hour), int(minute), int(second or 0)
    nanos = int((fraction or "").ljust(9, "0")[:9])
    if s == 60:
        s, nanos = 59, SECOND_NS - 1
    if m > 59 or s > 59 or h > 24 or (h == 24 and (m or s or nanos)):
        return None
    precision = 1 if second is None else 2 + min(3, (len(fraction or "") + 2) // 3)
    return days * DAY_NS + ((h * 60 + m) * 60 + s) * SECOND_NS + nanos, precision


def _days(value: Ints) -> tuple[Ints, Bools]:
    """Days since 1970 of YYYYMMDD integers by the civil calendar, and which are real dates (year 1900 on)."""
    year, month, day = value // 10_000, value // 100 % 100, value % 100
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    longest = lengths[np.where((month >= 1) & (month <= 12), month, 0)] + ((month == 2) & leap)
    shifted = year - (month <= 2)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468
    return days, (year >= 1900) & (day >= 1) & (day <= longest)


def to_utc(local_ns: Ints, zone: str) -> tuple[Ints, Bools]:
    """Wall-clock nanoseconds of a zone to UTC, and which were ambiguous or skipped (a clock change; first reading)."""
    info = ZoneInfo(zone)
    buckets, inverse = np.unique(local_ns // _BUCKET_NS, return_inverse=True)
    offsets, doubtful = np.zeros(len(buckets), dtype=np.int64), np.zeros(len(buckets), dtype=np.bool_)
    for n, bucket in enumerate(buckets.tolist()):
        wall = datetime(1970, 1, 1) + timedelta(seconds=bucket * 900)
        first, second = (wall.replace(tzinfo=info, fold=fold).utcoffset() for fold in (0, 1))
        assert first is not None
        offsets[n], doubtful[n] = int(first.total_seconds()) * SECOND_NS, first != second
    return local_ns - offsets[inverse], doubtful[inverse]


def local_days(utc_ns: Ints, zone: str) -> npt.NDArray[np.int32]:
    """The calendar day (since 1970) in a zone of UTC instants."""
    return (_local_ns(utc_ns, zone) // DAY_NS).astype(np.int32)


def session_days(utc_ns: Ints, zone: str, roll: str | None) -> npt.NDArray[np.int32]:
    """The trade date of UTC instants: the local day, from `roll` (HH:MM) on the next one that is no weekend."""
    if roll is None:
        return local_days(utc_ns, zone)
    hours, minutes = map(int, roll.split(":"))
    before_midnight = DAY_NS - (hours * 60 + minutes) * 60 * SECOND_NS
    days = (_local_ns(utc_ns, zone) + before_midnight) // DAY_NS
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; 5 and 6 are the weekend
    return np.where(weekday >= 5, days + 7 - weekday, days).astype(np.int32)


def _local_ns(utc_ns: Ints, zone: str) -> Ints:
    """UTC instants as nanoseconds on a zone's wall clock."""
    if zone == "UTC":
        return utc_ns
    info = ZoneInfo(zone)
    buckets, inverse = np.unique(utc_ns // _BUCKET_NS, return_inverse=True)
    offsets = np.zeros(len(buckets), dtype=np.int64)
    for n, bucket in enumerate(buckets.tolist()):
        offset = datetime.fromtimestamp(bucket * 900, UTC).astimezone(info).utcoffset()
        assert offset is not None
        offsets[n] = int(offset.total_seconds()) * SECOND_NS
    return utc_ns + offsets[inverse]


def odd_date(text: str) -> int | None:
    """One date in a form that can mean one day only, as days since 1970: `2026-06-04`, a date with a time; or None."""
    match = _ODD_DATE.fullmatch(text.strip())
    try:
        return (date(int(match[1]), int(match[2]), int(match[3])) - _EPOCH).days if match else None
    except ValueError:
        return None
