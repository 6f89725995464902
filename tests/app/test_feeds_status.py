"""Feeds as the console shows them: a feed of files is late when a slot has passed and nothing came for it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.feeds_status import FeedsStatus
from app.file_settings import reads_files
from app.settings import Settings
from domain.clock import ManualClock
from ingest.feeds import Feed, FeedSlot, SessionIdentity
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

MORNING = FeedSlot(name="am", at="06:30", zone="UTC")
NOON = FeedSlot(name="noon", at="12:00", zone="UTC")


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDbWarehouse]:
    with closing(DuckDbWarehouse()) as made:
        migrate(made)
        yield made


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("slots", "last", "now", "late"),
    [
        ((MORNING,), "19 06:35", "20 06:40", False),  # its slot's allowance runs
        ((MORNING,), "19 06:35", "20 06:50", True),
        ((MORNING,), "19 23:00", "20 06:50", False),  # it came the evening before
        ((MORNING, NOON), "20 06:35", "20 12:05", False),
        ((MORNING, NOON), "20 06:35", "20 12:30", True),  # the second one is owed too
        ((MORNING, NOON), "20 11:50", "20 12:30", False),
        ((MORNING,), "19 06:35", "21 06:50", False),  # a Saturday
    ],
)
def test_a_slot_that_passed_with_nothing_is_late(
    tmp_path: Path, warehouse: DuckDbWarehouse, slots: tuple[FeedSlot, ...], last: str, now: str, late: bool
) -> None:
    feed = Feed(name="NG", role="PB", party="NG", path_glob="ng/*.csv", slots=slots)
    status = FeedsStatus(Settings(data_dir=tmp_path, feeds=(feed,)), warehouse, ManualClock(at(now)))
    assert status.late(feed, at(last)) is late
    (row,) = status()
    assert (row["connected"], row["file"], row["last_recv_ts"]) == (None, None, None)


def test_whose_files_the_service_reads() -> None:
    session = SessionIdentity(sender_comp_id="NG", target_comp_id="TIEOUT")
    files = Feed(name="NG", role="PB", party="NG", path_glob="ng/*.csv")
    recorded = Feed(name="NG", role="PB", party="NG", path_glob="ng/*.fix", session=session)
    both = Feed(name="NG", role="PB", party="NG", path_glob="ng/*.fix", session=session, source="files")
    assert [reads_files(feed) for feed in (files, recorded, both)] == [True, False, True]
