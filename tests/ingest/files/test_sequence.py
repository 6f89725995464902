"""Gaps in the numbers of a log: what is one, and what merely looks like one."""

import pyarrow as pa
import pytest

from ingest.files.sequence import sequence_gaps


def message(number: object, *more: str, kind: str = "8", sender: str = "ALPHA") -> bytes:
    fields = ["8=FIX.4.4", "9=100", f"35={kind}", f"49={sender}", "56=TIEOUT", f"34={number}", *more, "10=000"]
    return "".join(f"{field}\x01" for field in fields).encode()


def gaps(*raws: bytes) -> list[tuple[str, int, int]]:
    count = len(raws)
    table = pa.table(
        {
            "message_id": [f"m{n}" for n in range(count)],
            "raw": pa.array(raws, pa.binary()),
            "outcome": ["FACT" if b"10=" in raw else "QUARANTINE" for raw in raws],
            "recv_ts": pa.array(range(count), pa.int64()).cast(pa.timestamp("ns")),
        }
    )
    found = sequence_gaps(table, "alpha", "alpha.fix", {f"m{n}": n + 1 for n in range(count)})
    return [(row["sender"], row["gap_first"], row["gap_last"]) for row in found.to_pylist()]


def test_numbers_that_never_come_are_a_gap_and_say_where_it_shows() -> None:
    assert gaps(message(2), message(3), message(7), message(8)) == [("ALPHA", 4, 6)]
    assert gaps(message(100), message(101)) == [], "a log may begin anywhere"


@pytest.mark.parametrize(
    "raws",
    [
        (message(1), message(3), message(2, "43=Y")),
        (message(1), message(3), message(2)),
        (message(1), message(2), message(2, "43=Y"), message(1, "43=Y"), message(3)),
        (message(1), message(2), message(1, kind="A"), message(2)),
        (message(1), message(2, "123=Y", "36=9", kind="4"), message(9)),
        (message(1, sender="A"), message(5, sender="B"), message(2, sender="A"), message(6, sender="B")),
        (message(1), b"8=FIX.4.4\x019=100\x0135=8\x0149=ALPHA\x0156=TIEOUT\x0134=", message(3)),
        (message(1).replace(b"\x01", b"|"), message(2).replace(b"\x01", b"|")),
    ],
    ids=["resent", "late", "replayed", "began anew", "gap filled", "two senders", "damaged", "other separator"],
)
def test_what_is_no_gap(raws: tuple[bytes, ...]) -> None:
    assert gaps(*raws) == []


def test_a_new_beginning_does_not_hide_a_gap() -> None:
    assert gaps(message(1), message(2), message(4), message(1, kind="A"), message(3)) == [
        ("ALPHA", 3, 3), ("ALPHA", 2, 2),
    ]  # fmt: skip
