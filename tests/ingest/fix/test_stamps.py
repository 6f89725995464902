"""The time of receipt at the start of a recorded line."""

import pytest

from ingest.fix.sniff import find_pieces
from ingest.fix.stamps import stamped


@pytest.mark.parametrize(
    ("stamp", "at_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("2026-11-20 14:30:01.5+01:00", 1_795_181_401_500_000_000),
        ("2261-12-31T23:59:60Z", 9_214_646_399_000_000_000),
        ("2262-12-31T00:00:00Z", 0),
        ("9999-12-31T00:00:00Z", 0),
        ("1969-12-31T00:00:00Z", 0),
        ("0000-00-00T00:00:00Z", 0),
    ],
)
def test_only_times_that_nanoseconds_hold_are_times_of_receipt(stamp: str, at_ns: int) -> None:
    pieces, times = stamped(find_pieces(f"{stamp} 8=FIX.4.4|35=8|\n".encode()))
    assert times.tolist() == [at_ns] and pieces.raws([0]) == [b"8=FIX.4.4|35=8|"]


@pytest.mark.parametrize("stamp", ["2026-11-20T14:30:01.123456789Z", "2026-11-20T14:30:01Z", "2026-11-20T23:59:60.5Z"])
def test_a_plain_time_is_the_same_as_one_written_otherwise(stamp: str) -> None:
    pieces = find_pieces(f"{stamp} 8=FIX.4.4|35=8|\n{stamp.replace('T', ' ')}, 8=FIX.4.4|35=8|\n".encode())
    _, times = stamped(pieces)
    assert times[0] == times[1] > 0
