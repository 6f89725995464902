"""Columns of integers as columns of text: exact decimals, dates, UTC and local times, FIX fields; no row is looped."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.ids import day_text
from simulator.records import I8, I32, I64, SECOND_NS, Bool, divide

SOH = "\x01"
_DAY_SECONDS = 86_400
_BUCKET_NS = 900 * SECOND_NS  # offsets of all zones since 1970 change on quarter hours
_HALF = 10_000  # fractions are looked up in two halves of four digits
_DIGITS = {"m": 0, "s": 0, "ms": 3, "us": 6, "ns": 9}

# Tag, and its text per row or for all rows; tag 0 holds ready fields that end in SOH (a repeating group).
Pair = tuple[int, Any]


def glue(*parts: Any) -> pa.StringArray:
    """The parts joined row by row; plain strings stand in every row. At least one part is a column."""
    return pc.binary_join_element_wise(*parts, "")


def choose(mask: Bool, yes: Any, no: Any) -> pa.StringArray:
    """`yes` where the mask is on, else `no`; each a column or one text."""
    return pc.if_else(pa.array(mask), yes, no)


def coded(values: npt.NDArray[Any], texts: Sequence[str]) -> pa.StringArray:
    """The text at each small number: `texts[value]` per row."""
    return pa.array(texts, pa.string()).take(pa.array(values))


def decimal(values: I64, unit: int, dp: "int | I8 | I64") -> pa.StringArray:
    """Exact decimals with `dp` digits after the point (0 to 8), the same for all rows or one number per row.

    `values` counts 1/`unit`; a digit beyond `dp` rounds half away from zero. Zero digits leave the point out.
    """
    digits = np.broadcast_to(np.asarray(dp, dtype=np.int64), values.shape)
    width = len(str(unit)) - 1
    shown = np.minimum(digits, width)
    if bool((shown < width).any()):
        step = 10 ** (width - shown)
        values = divide(values, step) * step
    whole, rest = np.divmod(np.abs(values), unit)
    high, low = np.divmod(rest * 10 ** (8 - width), _HALF)
    parts = [pa.array(whole).cast(pa.string()), _fractions(True).take(pa.array(np.minimum(digits, 4) * _HALF + high))]
    if bool((digits > 4).any()):
        parts.append(_fractions(False).take(pa.array(np.maximum(digits - 4, 0) * _HALF + low)))
    negative = values < 0
    if negative.any():
        parts.insert(0, choose(negative, "-", ""))
    return glue(*parts)


def plain(values: I64, unit: int, least: int = 0) -> pa.StringArray:
    """The shortest exact decimals: no trailing zeros beyond `least` digits, no exponent."""
    rest = np.abs(values) % unit * 10 ** (8 - (len(str(unit)) - 1))
    high, low = np.divmod(rest, _HALF)
    needed = np.where(low > 0, 4 + _needed()[low], _needed()[high])
    return decimal(values, unit, np.maximum(needed, least))


@cache
def _fractions(first: bool) -> pa.StringArray:
    """Entry `digits * 10000 + value`: the leading digits of a four-digit half, the first one behind the point."""
    point = "." if first else ""
    rows = [f"{point}{value:04d}"[: len(point) + digits] for digits in range(1, 5) for value in range(_HALF)]
    return pa.array([""] * _HALF + rows, pa.string())


@cache
def _needed() -> I64:
    values = np.arange(_HALF)
    needed: I64 = 4 - np.sum([values % 10**power == 0 for power in (1, 2, 3, 4)], axis=0)
    return needed


@cache
def _clocks(form: str) -> pa.StringArray:
    hours, minutes, seconds = (f"{{:0{2}d}}" for _ in range(3))
    pattern = {"%H:%M:%S": f"{hours}:{minutes}:{seconds}", "%H:%M": f"{hours}:{minutes}",
               "%H%M%S": f"{hours}{minutes}{seconds}"}[form]  # fmt: skip
    return pa.array([pattern.format(t // 3600, t // 60 % 60, t % 60) for t in range(_DAY_SECONDS)], pa.string())


@cache
def _thousands() -> pa.StringArray:
    return pa.array([f"{value:03d}" for value in range(1000)], pa.string())


def moment(ns: I64, days: str, between: str, clock: str, digits: int = 0, end: str = "") -> pa.StringArray:
    """Wall-clock nanoseconds since 1970 as text: strftime `days`, `between`, `clock`, then 0, 3, 6 or 9 digits.

    Empty `days` leave the date out; `clock` is `%H:%M:%S`, `%H:%M` or `%H%M%S`. What is not shown is cut off.
    """
    seconds, rest = np.divmod(ns, SECOND_NS)
    day, second = np.divmod(seconds, _DAY_SECONDS)
    parts: list[Any] = [date(day.astype(np.int32), days), between] if days else []
    parts.append(_clocks(clock).take(pa.array(second)))
    for place in range(digits // 3):
        value = rest // 10 ** (6 - 3 * place) % 1000
        parts += ["" if place else ".", _thousands().take(pa.array(value))]
    return glue(*parts, end)


def utc(ns: I64, precision: str = "ms") -> pa.StringArray:
    """UTCTimestamp `YYYYMMDD-HH:MM:SS.sss` of UTC nanoseconds; `precision` is m, s, ms, us or ns."""
    return moment(ns, "%Y%m%d", "-", "%H:%M" if precision == "m" else "%H:%M:%S", _DIGITS[precision])


def log_time(ns: I64) -> pa.StringArray:
    """ISO time of a log line, `2026-11-20T14:30:01.123456789Z`."""
    return moment(ns, "%Y-%m-%d", "T", "%H:%M:%S", 9, "Z")


def wall(ns: I64, zone: str) -> I64:
    """UTC nanoseconds to the wall clock of an IANA zone, in nanoseconds since 1970 as if that were UTC."""
    info = ZoneInfo(zone)
    buckets, inverse = np.unique(ns // _BUCKET_NS, return_inverse=True)
    offsets = np.zeros(len(buckets), dtype=np.int64)
    for at, bucket in enumerate(buckets.tolist()):
        offset = datetime.fromtimestamp(bucket * 900, UTC).astimezone(info).utcoffset()
        offsets[at] = int(offset.total_seconds()) * SECOND_NS if offset else 0
    moved: I64 = ns + offsets[inverse]
    return moved


def local(ns: I64, zone: str, precision: str = "s") -> pa.StringArray:
    """The local time of UTC nanoseconds without any zone marker, in the form of `utc`."""
    return utc(wall(ns, zone), precision)


def date(days: I32, form: str = "%Y%m%d") -> pa.StringArray:
    """Days since 1970 in a strftime form; 0 is no date and gives an empty text."""
    text = day_text(days, form)
    none = days == 0
    return choose(none, "", text) if none.any() else text


def tags(pairs: Sequence[Pair]) -> pa.StringArray:
    """FIX fields `tag=value` in the given order, each closed by SOH; empty values leave their field out."""
    if any(not isinstance(value, str) and not len(value) for _, value in pairs):
        return pa.array([], pa.string())
    parts: list[Any] = []
    pending = ""  # constant text waiting for the next column, so that the join has few parts
    for tag, value in pairs:
        head = f"{tag}=" if tag else ""
        close = SOH if tag else ""
        if isinstance(value, str):
            pending += f"{head}{value}{close}" if value else ""
            continue
        empty = pc.equal(pc.binary_length(value), 0)
        if not pc.any(empty).as_py():
            parts += [pending + head, value] if pending + head else [value]
            pending = close
        elif not pc.all(empty).as_py():
            parts += [pending, pc.if_else(empty, "", glue(head, value, close) if tag else value)]
            pending = ""
    return glue(*parts, pending)


def padded(text: pa.StringArray, width: int) -> pa.StringArray:
    """Leading zeros up to `width` characters, as some systems fill their number fields."""
    return pc.utf8_lpad(text, width, "0")


def joined_groups(texts: pa.StringArray, starts: npt.NDArray[np.int64]) -> pa.StringArray:
    """Neighbouring texts run together: group `i` holds the rows from `starts[i]` up to the next start."""
    texts = texts if texts.offset == 0 else pa.concat_arrays([texts])
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32, count=len(texts) + 1)
    ends = np.append(starts, len(texts))
    made = pa.py_buffer(np.ascontiguousarray(offsets[ends]))
    return pa.StringArray.from_buffers(len(starts), made, texts.buffers()[2])


def grouped(values: I64) -> pa.StringArray:
    """Whole numbers from 0 up with a comma before every third digit."""
    text = pa.array(values).cast(pa.string())
    for power in range(1, 6):
        large = values >= 1000**power
        if not large.any():
            break
        parts: list[Any] = [pa.array(values // 1000**power).cast(pa.string())]
        for place in reversed(range(power)):
            parts += [",", _thousands().take(pa.array(values // 1000**place % 1000))]
        text = choose(large, glue(*parts), text)
    return text


def run_together(texts: pa.StringArray) -> bytes:
    """All texts one after the other, as UTF-8."""
    if not len(texts):
        return b""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    made: bytes = texts.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()
    return made
