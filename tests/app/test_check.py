"""The completeness check, its alerts, and the close of a day that depends on it."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from app.check import as_text, check, raise_alerts
from app.days import CloseRefused, Days
from app.days import as_text as day_text
from domain.clock import ManualClock
from domain.principal import Principal
from domain.schema import TABLES, arrow_schema
from ingest.feeds import Feed
from ingest.files.manifest import LOADED, STOPPED, FileEntry, manifest_table
from matching.rules import load_rules
from tests.matching.desk import DAY, LATE, SECOND, T0, Desk, emptied, ours, theirs
from warehouse.duckdb import DuckDbWarehouse

FEEDS = tuple(
    Feed.model_validate({"name": name, "role": role, "party": party})
    for name, role, party in (("oms", "INTERNAL", "MERIDIAN"), ("alpha", "PB", "ALPHA"))
)
CAROL = Principal("carol", "user", frozenset({"analyst", "approver"}))
ANNE = Principal("anne", "user", frozenset({"analyst"}))
# 22:00 in New York on the trade date.
EVENING = 1_795_575_600 * SECOND
Row = dict[str, Any]


@pytest.fixture
def desk(one_warehouse: DuckDbWarehouse) -> Desk:
    return Desk(load_rules(), emptied(one_warehouse))


def received(desk: Desk, rows: list[Row], outcome: str = "FACT") -> None:
    """The messages behind rows, as Normalize stores them."""
    schema = arrow_schema(TABLES["raw_message"])
    full = [
        {
            "message_id": row["message_id"], "lane": "l", "session": row["feed"], "number": n, "feed": row["feed"],
            "recv_ts": T0, "sha256": row["raw_sha256"], "length": 3, "outcome": outcome, "raw": b"abc",
            "execution": "x",
        }
        for n, row in enumerate(rows)
    ]  # fmt: skip
    columns = {
        f.name: pa.array([row.get(f.name) for row in full], pa.int64()).cast(f.type)
        if pa.types.is_timestamp(f.type)
        else pa.array([row.get(f.name) for row in full], f.type)
        for f in schema
    }
    desk.warehouse.append("raw_message", pa.table(columns))


def sound(desk: Desk) -> list[Row]:
    rows = [ours("E1"), theirs("A1", "E1"), ours("E2", qty="7")]
    received(desk, rows)
    desk.match(rows, as_of=LATE)
    return rows


def test_what_was_received_is_accounted_for_and_every_live_trade_has_its_place(desk: Desk) -> None:
    sound(desk)
    result = check(desk.warehouse)
    assert result.holds
    [alpha, oms] = result.feeds
    assert (oms.received, oms.live, oms.grouped, oms.broken) == (2, 2, 1, 1)
    assert (alpha.received, alpha.live, alpha.grouped) == (1, 1, 1)
    assert as_text(result).endswith("\ncomplete")
    assert [one.feed for one in check(desk.warehouse, feed="oms", day=DAY).feeds] == ["oms"]
    assert check(desk.warehouse, day=date(2026, 11, 23)).feeds == ()


def test_each_difference_is_told_and_is_a_critical_alert_until_it_is_gone(desk: Desk) -> None:
    rows = sound(desk)
    lost = {**rows[0], "message_id": "oms:lost", "raw_sha256": "lost"}
    received(desk, [lost])
    received(desk, [{**lost, "message_id": "oms:held"}], outcome="QUARANTINE")
    result = check(desk.warehouse, feed="oms")
    assert result.feeds[0].problems == (
        "1 message counted as facts without a fact", "1 message in quarantine without a reason",
    )  # fmt: skip
    assert "NOT complete" in as_text(result)
    assert raise_alerts(desk.warehouse, result, T0) == 2
    assert raise_alerts(desk.warehouse, result, T0 + 1) == 2, "nothing is raised twice"
    desk.warehouse.execute("delete from raw_message where message_id in ('oms:lost', 'oms:held')")
    assert raise_alerts(desk.warehouse, check(desk.warehouse, feed="oms"), T0 + 2) == 0
    told = desk.table("select state, severity, count(*) as n from alert group by state, severity order by state")
    assert [tuple(row.values()) for row in told] == [("CLEARED", "CRITICAL", 2), ("RAISED", "CRITICAL", 2)]


def test_a_file_that_was_loaded_has_a_message_for_each_of_its_rows(desk: Desk) -> None:
    rows = sound(desk)
    files = [
        FileEntry(f"{name}{count}", "oms", name, 9, count, status)
        for name, count, status in (
            ("whole.csv", 1, LOADED), ("short.csv", 3, LOADED), ("gone.csv", 2, LOADED), ("bad.csv", 4, STOPPED),
        )
    ]  # fmt: skip
    desk.warehouse.append("file_manifest", manifest_table(files))
    names = ("whole.csv", "short.csv", "short.csv")
    for row, name in zip(rows, names, strict=True):
        sql = "update raw_message set session = :session, feed = 'oms' where message_id = :id"
        desk.warehouse.execute(sql, {"session": f"oms/{name}", "id": row["message_id"]})
    assert "2 files with fewer messages than rows" in check(desk.warehouse, feed="oms").feeds[0].problems


def test_a_day_is_closed_by_an_approver_after_its_cut_offs(desk: Desk) -> None:
    sound(desk)
    clock = ManualClock(T0)
    days = Days(desk.warehouse, FEEDS, clock)
    assert days.markets() == ["XNYS"]
    with pytest.raises(CloseRefused, match="the cut-off 21:00 America/New_York has not passed"):
        days.close(DAY, "XNYS", CAROL, "")
    clock.advance((EVENING - T0) / SECOND)
    with pytest.raises(CloseRefused, match="anne may not close a day"):
        days.close(DAY, "XNYS", ANNE, "")
    closed = days.close(DAY, "XNYS", CAROL, "looked at with the desk")
    assert (closed.state, closed.closed_by, closed.adjustments) == ("CLOSED", "carol", ())
    assert days.close(DAY, "XNYS", CAROL, "again").closed_by == "carol"
    assert len(desk.table("select * from day_close")) == 1


def test_what_comes_after_the_close_is_an_adjustment(desk: Desk) -> None:
    sound(desk)
    clock = ManualClock(EVENING)
    days = Days(desk.warehouse, FEEDS, clock)
    days.close(DAY, "XNYS", CAROL, "")
    late = [ours("E9", qty="55")]
    received(desk, late)
    desk.match(late, as_of=EVENING + 2 * 86_400 * SECOND)
    after = days.status(DAY, "XNYS")
    assert len(after.adjustments) == 1 and "adjustments since the close: 1" in day_text(after)
    following = days.status(date(2026, 11, 25), "XNYS")
    assert [one["age_days"] for one in following.carried] == [1, 1]


def test_a_late_feed_and_a_difference_keep_the_day_open(desk: Desk) -> None:
    rows = sound(desk)
    received(desk, [{**rows[0], "message_id": "oms:lost", "raw_sha256": "lost"}])
    days = Days(desk.warehouse, FEEDS, ManualClock(EVENING))
    with pytest.raises(CloseRefused, match="the completeness check fails: oms: 1 message counted"):
        days.close(DAY, "XNYS", CAROL, "")
    assert "cannot be closed" in day_text(days.status(DAY, "XNYS"))
    with pytest.raises(CloseRefused, match="no business day"):
        days.close(date(2026, 11, 22), "XNYS", CAROL, "")
