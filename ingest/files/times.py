"""Date and time cells: unambiguous forms are read; day/month order is proved by the file or asked for, not guessed."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.read import FileRefused

Mask = npt.NDArray[np.bool_]

_EPOCH = date(1970, 1, 1)
_EXCEL_EPOCH = date(1899, 12, 30)
_DAY_NS = 86_400_000_000_000
_YEARS = (1990, 2100)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$")
_COMPACT = re.compile(r"^(\d{4})(\d{2})(\d{2})$")
_NUMERIC = re.compile(r"^(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})$")
_DAY_NAME = re.compile(r"^(\d{1,2})[-_ /.]?([A-Za-z]{3,9})[-_ /.,]*(\d{4}|\d{2})$")
_NAME_DAY = re.compile(r"^([A-Za-z]{3,9})[. ]+(\d{1,2})(?:st|nd|rd|th)?,? +(\d{4})$")
_TIME = (
    r"^(?P<d>.*?)[T ;,-]*?(?P<h>\d{1,2}):?(?P<m>\d{2})(?::?(?P<s>\d{2})(?:[.,](?P<f>\d{1,12}))?)?"
    r"\s*(?P<p>[AaPp][Mm])?\s*(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2})?$"
)


@dataclass(frozen=True, slots=True)
class Times:
    """A time column: UTC nanoseconds (0 where bad or empty), which cells are bad or empty, precision, zone source."""

    ns: npt.NDArray[np.int64]
    bad: Mask
    empty: Mask
    precision: pa.Array
    tz_source: pa.Array


def day_first(columns: Iterable[tuple[str, pa.ChunkedArray]], stated: str, file: str, line: int) -> bool:
    """Whether 03/04/2026 is 3 April in this file. `stated` is the map's date format.

    Raises FileRefused (`ambiguous_dates`, `mixed_dates`) when the cells leave the order open or contradict each other.
    """
    if stated in ("DD/MM/YYYY", "MM/DD/YYYY"):
        return stated == "DD/MM/YYYY"
    day = month = open_ = None
    for name, column in columns:
        for text in pc.unique(column).to_pylist():
            found = _NUMERIC.match(_date_part(text))
            if not found or found.group(2) == ".":
                continue
            first, second = int(found.group(1)), int(found.group(3))
            if first > 12:
                day = day or (name, text)
            elif second > 12:
                month = month or (name, text)
            elif first != second:
                open_ = open_ or (name, text)
    if day and month:
        detail = f"dates are written both ways: {day[1]!r} in {day[0]}, {month[1]!r} in {month[0]}"
        raise FileRefused(file, line, "mixed_dates", detail + "; set date_format in a map file")
    if open_ and not day and not month:
        detail = f"{open_[0]} {open_[1]!r} could be day/month or month/day and no row settles it"
        hint = '; set date_format: "DD/MM/YYYY" or "MM/DD/YYYY" in a map file (--map)'
        raise FileRefused(file, line, "ambiguous_dates", detail + hint)
    return bool(day)


def dates(column: pa.ChunkedArray, is_day_first: bool, excel: bool) -> tuple[pa.Array, Mask]:
    """The column as date32, and which cells are bad; empty cells are null."""

    def parse(text: str) -> int | None:
        day = parse_date(_date_part(text), is_day_first, excel)
        return None if day is None else (day - _EPOCH).days

    values, bad = _by_unique(column, parse)
    return pc.cast(values, pa.int32()).cast(pa.date32()), bad


def parse_date(text: str, is_day_first: bool, excel: bool = False) -> date | None:
    """One date in any of the known forms, or None."""
    if excel and re.fullmatch(r"\d{5}(\.\d+)?", text):
        return _EXCEL_EPOCH + timedelta(days=int(text[:5]))
    for pattern in (_ISO, _COMPACT):
        if found := pattern.match(text):
            return _date(int(found.group(1)), int(found.group(2)), int(found.group(3)))
    if found := _NUMERIC.match(text):
        first, second = int(found.group(1)), int(found.group(3))
        day, month = (first, second) if is_day_first or found.group(2) == "." else (second, first)
        return _date(_year(found.group(4)), month, day)
    if found := _DAY_NAME.match(text):
        return _date(_year(found.group(3)), _month(found.group(2)), int(found.group(1)))
    if found := _NAME_DAY.match(text):
        return _date(int(found.group(3)), _month(found.group(1)), int(found.group(2)))
    return None


def times(column: pa.ChunkedArray, trade_dates: pa.Array, is_day_first: bool, zone: str) -> Times:
    """The column as UTC; a time without a date takes the row's trade date, one without a zone takes `zone`."""
    text = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    count = len(text)
    empty = pc.equal(text, "").to_numpy(zero_copy_only=False)
    parts = pc.extract_regex(text, _TIME)
    matched = pc.is_valid(parts).to_numpy(zero_copy_only=False)
    group = {name: pc.fill_null(pc.struct_field(parts, name), "") for name in "dhmsfpz"}
    days, days_bad = _days(group["d"], trade_dates, is_day_first)
    hour, minute, second = (_ints(group[name]) for name in "hms")
    half = pc.utf8_lower(group["p"])
    afternoon, morning = (pc.equal(half, name).to_numpy(zero_copy_only=False) for name in ("pm", "am"))
    hour = np.where(afternoon & (hour < 12), hour + 12, np.where(morning & (hour == 12), 0, hour))
    fraction = _ints(pc.utf8_slice_codeunits(pc.utf8_rpad(group["f"], 9, "0"), 0, 9))
    bad = (~matched | days_bad | (hour > 23) | (minute > 59) | (second > 60)) & ~empty
    second = np.minimum(second, 59)  # a leap second is clamped
    local = days * _DAY_NS + ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction
    usable = ~bad & ~empty
    local = np.where(usable, local, 0)
    stated = pc.not_equal(group["z"], "").to_numpy(zero_copy_only=False)
    ns = np.where(stated, local - _offsets(group["z"]), _to_utc(local, zone))
    width = pc.utf8_length(group["f"]).to_numpy()
    has_seconds = pc.not_equal(group["s"], "").to_numpy(zero_copy_only=False)
    names = np.select([~has_seconds, width == 0, width <= 3, width <= 6], ["m", "s", "ms", "us"], default="ns")
    source = np.where(stated, "utc", zone or "utc")
    return Times(np.where(usable, ns, 0).astype(np.int64), bad, empty, pa.array(names[:count]), pa.array(source))


def from_epoch(column: pa.Array, others: Times) -> Times:
    """The column's cells that count seconds, milli-, micro- or nanoseconds since 1970; the rest as in `others`."""
    counts = pc.fill_null(pc.match_substring_regex(column, r"^[0-8]\d{9}(\d{3}){0,3}$"), False)
    mine: Mask = counts.to_numpy(zero_copy_only=False)
    digits = pc.utf8_length(column).to_numpy(zero_copy_only=False)
    scale = 10 ** np.clip(19 - digits, 0, 9).astype(np.int64)
    ns = np.where(mine, _ints(pc.if_else(counts, column, "0")) * scale, others.ns)
    words = pa.array(np.select([digits == 10, digits == 13, digits == 16], ["s", "ms", "us"], default="ns"))
    return Times(
        ns, others.bad & ~mine, others.empty, pc.if_else(counts, words, others.precision),
        pc.if_else(counts, "utc", others.tz_source),
    )  # fmt: skip


def _days(text: pa.Array, trade_dates: pa.Array, is_day_first: bool) -> tuple[npt.NDArray[np.int64], Mask]:
    def parse(part: str) -> int | None:
        day = parse_date(part.strip(" T;,-"), is_day_first)
        return None if day is None else (day - _EPOCH).days

    days, bad = _by_unique(pa.chunked_array([text]), parse)
    own = pc.fill_null(trade_dates.cast(pa.int32()).cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    alone = pc.equal(text, "").to_numpy(zero_copy_only=False)
    found = pc.fill_null(days, 0).to_numpy(zero_copy_only=False)
    return np.where(alone, own, found), bad | (alone & (own < 0))


def _to_utc(local: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    if not zone or zone.upper() == "UTC":
        return local
    naive = pa.array(local).cast(pa.timestamp("ns"))
    aware = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest")
    moved: npt.NDArray[np.int64] = aware.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return moved


def _offsets(zone: pa.Array) -> npt.NDArray[np.int64]:
    digits = pc.replace_substring_regex(pc.replace_substring_regex(zone, r"^(Z|UTC|GMT)$", ""), r"[^0-9]", "")
    value = _ints(digits)
    sign = np.where(pc.starts_with(zone, "-").to_numpy(zero_copy_only=False), -1, 1)
    result: npt.NDArray[np.int64] = sign * (value // 100 * 60 + value % 100) * 60_000_000_000
    return result


def _ints(text: pa.Array) -> npt.NDArray[np.int64]:
    filled = pc.if_else(pc.equal(text, ""), "0", text)
    values: npt.NDArray[np.int64] = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _by_unique(column: pa.ChunkedArray, parse: Callable[[str], int | None]) -> tuple[pa.Array, Mask]:
    coded = pc.dictionary_encode(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    words = coded.dictionary.to_pylist()
    parsed = [parse(word) if word else None for word in words]
    wrong = pa.array([bool(word) and value is None for word, value in zip(words, parsed, strict=True)], pa.bool_())
    values = pa.array(parsed, pa.int64()).take(coded.indices)
    bad: Mask = wrong.take(coded.indices).to_numpy(zero_copy_only=False)
    return values, bad


def _date_part(text: str) -> str:
    """The date of a cell that may carry a time as well (`2026-06-23 00:00:00`, `20260623;143000`)."""
    return re.split(r"(?<=\d)[T ;]+(?=\d{1,2}:?\d{2})", text.strip(), maxsplit=1)[0].strip()


def _year(text: str) -> int:
    return int(text) + 2000 if len(text) == 2 else int(text)


def _month(name: str) -> int:
    key = name[:3].lower()
    return _MONTHS.index(key) + 1 if key in _MONTHS else 0


def _date(year: int, month: int, day: int) -> date | None:
    if not _YEARS[0] <= year <= _YEARS[1]:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None
