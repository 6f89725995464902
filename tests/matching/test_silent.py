"""A feed that brings nothing is one break, and what is missing there waits instead of flooding the queue."""

from matching.levels.port import FeedTerms
from tests.matching.desk import SECOND, T0, Desk, ours, theirs

# 14:30 UTC is 9:30 in New York; the file is due at 18:30, late at 18:45.
FEEDS = (
    FeedTerms("oms", "INTERNAL", "MERIDIAN", 30),
    FeedTerms("alpha", "PB", "ALPHA", 60),
    FeedTerms(
        "charlie",
        "PB",
        "CHARLIE",
        120,
        "trades",
        "XNYS",
        (("12:00", "America/New_York"), ("18:30", "America/New_York")),
    ),
)
LATE = T0 + (9 * 3_600 + 15 * 60) * SECOND
NEXT_DAY = T0 + 24 * 3_600 * SECOND


def mine(uid: str, **more: object) -> dict[str, object]:
    return ours(uid, pb_id="CHARLIE", **more)


def test_a_file_that_is_not_due_yet_leaves_nothing_missing(desk: Desk) -> None:
    desk.match([mine("E1"), ours("E2", qty="7")], feeds=FEEDS)
    desk.match(as_of=T0 + 3_600 * SECOND, feeds=FEEDS)
    assert desk.breaks() == ["T01"], "ALPHA speaks at once, CHARLIE's file comes in the evening"
    assert desk.breaks("EXPECTED") == ["I06", "T01"]


def test_a_silent_feed_is_one_break_and_its_missing_bookings_wait(desk: Desk) -> None:
    desk.match([mine("E1"), mine("E2", qty="7", instrument_id="IBM-ID")], feeds=FEEDS)
    desk.match(as_of=LATE - SECOND, feeds=FEEDS)
    assert desk.breaks() == []
    desk.match(as_of=LATE, feeds=FEEDS)
    assert desk.breaks() == ["I06"] and desk.breaks("EXPECTED") == ["T01", "T01"]
    [row] = desk.table("select headline, severity, pb_id from recon_break where code = 'I06'")
    assert row["headline"].startswith("What CHARLIE should have sent is not there: nothing for 2026-11-24")
    assert row["severity"] == 4
    desk.match(as_of=NEXT_DAY, feeds=FEEDS)
    assert desk.breaks() == ["I06"], "still nothing: they wait for the next slot"


def test_what_is_really_missing_opens_once_the_feed_speaks(desk: Desk) -> None:
    desk.match([mine("E1"), mine("E2", qty="7", instrument_id="IBM-ID")], feeds=FEEDS)
    desk.match(as_of=LATE, feeds=FEEDS)
    desk.match([theirs("B1", "E1", feed="charlie", level="ALLOCATION")], as_of=LATE + 60 * SECOND, feeds=FEEDS)
    assert desk.breaks() == ["T01"]
    states = desk.table("select code, state from recon_break order by code, state")
    assert [tuple(row.values()) for row in states] == [("I06", "CURED"), ("T01", "OPEN")]
