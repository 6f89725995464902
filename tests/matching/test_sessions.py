"""A session that is not there inside its hours is one break, and what is missing from it waits; gaps heal."""

import pyarrow as pa
import pytest

from domain.schema import TABLES, arrow_schema
from matching.levels.port import FeedTerms
from matching.levels.sessions import ALLOWANCE_SECONDS
from tests.matching.desk import SECOND, T0, Desk, ours, theirs

FEEDS = (
    FeedTerms("oms", "INTERNAL", "MERIDIAN", 30),
    FeedTerms("alpha", "PB", "ALPHA", 60),
    FeedTerms("bravo", "PB", "BRAVO", 60),
)


def state(desk: Desk, execution: str, feed: str, kind: str, since: int, seen: int, gap: str | None = None) -> None:
    """A fact as the worker stores it."""
    put(desk, "session_state", {
        "record_id": f"{feed}-{kind}-{since}", "feed": feed, "session": f"{feed}-s", "kind": kind, "since": since,
        "seen_at": seen, "gap_id": gap, "recv_time_utc": seen, "execution": execution,
    })  # fmt: skip


def put(desk: Desk, name: str, row: dict[str, object]) -> None:
    schema = arrow_schema(TABLES[name])
    columns = [
        pa.array([row[f.name]], pa.int64()).cast(f.type) if pa.types.is_timestamp(f.type)
        else pa.array([row[f.name]], f.type)
        for f in schema
    ]  # fmt: skip
    desk.warehouse.append(name, pa.Table.from_arrays(columns, schema=schema))


def match(desk: Desk, name: str, rows: list[dict[str, object]], at: int) -> None:
    desk.match(rows, execution=name, as_of=at, feeds=FEEDS)


def test_an_absent_session_is_one_break_and_what_is_missing_waits(desk: Desk) -> None:
    gone = T0 + 10 * SECOND
    match(desk, "a", [ours("E1"), ours("E2", qty="7")], T0)
    state(desk, "b", "alpha", "ABSENT", gone, gone)
    match(desk, "b", [], gone)
    assert desk.breaks() == [] and desk.breaks("EXPECTED") == ["I06", "T01", "T01"]
    match(desk, "c", [ours("E3", qty="9"), ours("E4", qty="5", pb_id="BRAVO")], T0 + 20 * SECOND)
    match(desk, "d", [], T0 + 300 * SECOND)
    assert desk.breaks() == ["T01"], "BRAVO is there, and lacks a booking"
    match(desk, "e", [], gone + ALLOWANCE_SECONDS * SECOND)
    assert desk.breaks() == ["I06", "T01"]
    [row] = desk.table("select headline, severity from recon_break where code = 'I06'")
    assert (
        row["headline"].startswith("What ALPHA should have sent is not there: session alpha-s") and row["severity"] == 4
    )
    match(desk, "f", [], gone + 5 * 3_600 * SECOND)
    assert desk.breaks() == ["I06", "T01"], "one break however long it lasts"
    back = gone + 6 * 3_600 * SECOND
    state(desk, "g", "alpha", "PRESENT", gone, back)
    match(desk, "g", [], back)
    assert desk.breaks() == ["T01"] and len(desk.breaks("EXPECTED")) == 3, "a backlog has its grace"
    match(desk, "h", [theirs("B1", "E1"), theirs("B2", "E2", qty="7")], back + SECOND)
    match(desk, "i", [], back + 61 * SECOND)
    assert desk.breaks() == ["T01", "T01"], "E3 is really missing"
    assert "I06" in desk.breaks("CURED")


def test_a_refusal_stays_one_while_a_session_is_away(desk: Desk) -> None:
    match(desk, "a", [ours("E1"), theirs("X1", "E1", status="REJECT"), ours("E2", qty="7")], T0)
    state(desk, "b", "alpha", "ABSENT", T0 + SECOND, T0 + SECOND)
    match(desk, "b", [], T0 + SECOND)
    assert desk.breaks() == ["T25"] and desk.breaks("EXPECTED") == ["I06", "T01"]


def test_our_own_session_absent_lets_their_bookings_wait(desk: Desk) -> None:
    state(desk, "a", "oms", "ABSENT", T0, T0)
    match(desk, "a", [theirs("B1", "E1")], T0)
    match(desk, "b", [], T0 + 600 * SECOND)
    assert desk.breaks() == [] and desk.breaks("EXPECTED") == ["I06", "T02"]
    state(desk, "c", "oms", "PRESENT", T0, T0 + 700 * SECOND)
    match(desk, "c", [ours("E1")], T0 + 700 * SECOND)
    assert desk.breaks() == [] and desk.breaks("EXPECTED") == []


@pytest.mark.parametrize("kind", ["FILLED", "LOST"])
def test_a_gap_heals_when_it_is_filled_and_not_when_it_is_lost(desk: Desk, kind: str) -> None:
    put(desk, "sequence_gap", {
        "record_id": "gap-1", "feed": "alpha", "sender": "ALPHA", "gap_first": 5, "gap_last": 8, "seen_at": T0,
        "file": None, "line": None, "recv_time_utc": T0, "execution": "a",
    })  # fmt: skip
    match(desk, "a", [], T0)
    assert desk.breaks("EXPECTED") == ["I05"]
    match(desk, "b", [], T0 + 60 * SECOND)
    assert desk.breaks() == ["I05"]
    state(desk, "c", "alpha", kind, T0, T0 + 90 * SECOND, "gap-1")
    match(desk, "c", [], T0 + 90 * SECOND)
    assert desk.breaks() == ([] if kind == "FILLED" else ["I05"])
