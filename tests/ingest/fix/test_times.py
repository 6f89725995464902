"""Times: every precision, odd forms, zones."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.fix.index import index_fields
from ingest.fix.times import PRECISIONS, local_days, read_dates, read_times, to_utc

_EPOCH = datetime(1970, 1, 1)


def read(*texts: str) -> list[tuple[int, str, bool] | None]:
    """(nanoseconds, precision, odd) per text, None where it cannot be read."""
    index = index_fields([f"60={text}\x01".encode() for text in texts])
    nanos, precision, ok, odd = read_times(index, np.arange(len(texts)))
    return [
        (int(n), PRECISIONS[p], bool(o)) if good else None
        for n, p, good, o in zip(nanos, precision, ok, odd, strict=True)
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1950, 1, 1), datetime(2099, 12, 31)),
            st.sampled_from([0, 3, 6, 9]),
            st.integers(0, 999),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_times_equal_datetime(values: list[tuple[datetime, int, int]]) -> None:
    texts, expected = [], []
    for at, digits, nanos in values:
        fraction = f"{at.microsecond:06d}{nanos:03d}"[:digits]
        texts.append(at.strftime("%Y%m%d-%H:%M:%S") + (f".{fraction}" if digits else ""))
        whole = (at.replace(microsecond=0) - _EPOCH) // timedelta(seconds=1) * 10**9
        expected.append((whole + int(fraction.ljust(9, "0") or 0), {0: "s", 3: "ms", 6: "us", 9: "ns"}[digits], False))
    assert read(*texts) == expected


def test_odd_times_are_read_and_marked() -> None:
    base = int(datetime(2026, 6, 4, tzinfo=UTC).timestamp()) * 10**9
    second = 10**9
    assert read("20260604", "20260604-09:30", "20260604- 09:30:00", "20260604-24:00:00", "20260604-23:59:60") == [
        (base, "d", True),
        (base + 34_200 * second, "m", True),
        (base + 34_200 * second, "s", True),
        (base + 86_400 * second, "s", True),
        (base + 86_400 * second - 1, "s", True),
    ]
    assert read("20260604-09:30:00.123456789012") == [(base + 34_200 * second + 123_456_789, "ns", True)]


@pytest.mark.parametrize(
    "text",
    ["00000000-00:00:00.000", "<TIME>", "20260230-10:00:00", "20260604-25:00:00", "20260604-10:61:00", "2026", "x"],
)
def test_times_that_do_not_exist_are_refused(text: str) -> None:
    assert read(text) == [None]


def test_dates() -> None:
    texts = ["20240229", "20230229", "20261301", "2026060", "202606041", "99991231", "2026060a"]
    index = index_fields([f"75={text}\x01".encode() for text in texts])
    days, ok = read_dates(index, np.arange(len(texts)))
    assert ok.tolist() == [True, False, False, False, False, True, False]
    assert days[0] == (date(2024, 2, 29) - date(1970, 1, 1)).days
    assert days[5] == (date(9999, 12, 31) - date(1970, 1, 1)).days


def test_local_times_follow_the_zone_and_doubt_is_reported() -> None:
    walls = [datetime(2026, 1, 5, 9, 30), datetime(2026, 7, 6, 9, 30), datetime(2026, 11, 1, 1, 30)]
    nanos = np.array([(wall - _EPOCH) // timedelta(microseconds=1) * 1000 for wall in walls])
    utc, doubtful = to_utc(nanos, "America/New_York")
    assert ((utc - nanos) // (3600 * 10**9)).tolist() == [5, 4, 4]
    assert doubtful.tolist() == [False, False, True]


def test_trade_date_of_an_evening_session() -> None:
    late = np.array([int(datetime(2026, 6, 5, 2, 0, tzinfo=UTC).timestamp()) * 10**9])
    days = [date(1970, 1, 1) + timedelta(days=int(local_days(late, zone)[0])) for zone in ("UTC", "America/New_York")]
    assert days == [date(2026, 6, 5), date(2026, 6, 4)]


@pytest.mark.parametrize("year", ["0001", "1899", "2262", "2999", "9999"])
def test_a_year_that_nanoseconds_cannot_hold_is_not_read(year: str) -> None:
    for text in (f"{year}0604-13:30:01", f"{year}0604-13:30:01.123456789", f"{year}0604", f"{year}0604-13:30"):
        assert read(text) == [None]
    assert read("22611231-23:59:59")[0] is not None
