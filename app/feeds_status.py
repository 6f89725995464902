"""Feeds as the console shows them: what the settings say, what the acceptor reports, what was stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.file_status import last_files
from app.paths import DataDir
from app.settings import Settings
from domain.clock import Clock
from ingest.feeds import Feed, FeedSlot
from ingest.session.status import read_status
from warehouse.port import Warehouse

SLOT_ALLOWANCE = timedelta(minutes=15)
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FeedsStatus:
    """Lists the feeds' state each time it is called."""

    settings: Settings
    warehouse: Warehouse
    clock: Clock

    def __call__(self) -> Sequence[Mapping[str, Any]]:
        status = read_status(DataDir(self.settings.data_dir).sessions)
        sessions = {row.session: row for row in status.sessions} if status else {}
        stored = {
            row["feed"]: row["n"]
            for row in self.warehouse.query("SELECT feed, count(*) AS n FROM raw_message GROUP BY feed").to_pylist()
        }
        files = last_files(self.settings, self.warehouse)
        rows = []
        for feed in self.settings.feeds:
            file = files.get(feed.name)
            session = sessions.get(feed.session.name) if feed.session else None
            rows.append(
                {
                    "name": feed.name,
                    "role": feed.role,
                    "party": feed.party,
                    "dialect": feed.dialect,
                    "session": feed.session.name if feed.session else feed.path_glob,
                    # A folder is no connection.
                    "connected": None if feed.session is None else bool(session and session.connected),
                    "last_recv_ts": (session.last_recv_ts or None) if session else file["at"] if file else None,
                    "received": session.received if session else 0,
                    "stored": stored.get(feed.name, 0),
                    "late": self.late(feed, session.last_recv_ts if session else file["at"] if file else 0),
                    "file": file,
                }
            )
        return rows

    def late(self, feed: Feed, last_recv_ns: int) -> bool:
        """Whether a slot of today has passed, with its allowance, on an open day, and nothing came for it.

        What comes by session came for it since midnight, a file since the slot before it.
        """
        for slot in feed.slots:
            zone = ZoneInfo(slot.zone)
            now = datetime.fromtimestamp(self.clock.now_ns() / _NANOSECONDS, zone)
            due = _at(slot, now) + SLOT_ALLOWANCE
            since = _before(feed, slot, now) if feed.session is None else _midnight(now)
            if now > due and self._open(feed.calendar, now) and last_recv_ns < since.timestamp() * _NANOSECONDS:
                return True
        return False

    def _open(self, calendar: str, now: datetime) -> bool:
        found = self.warehouse.query(
            "SELECT is_open FROM calendar_day WHERE calendar = :c AND day = :d", {"c": calendar, "d": now.date()}
        )
        return bool(found["is_open"][0].as_py()) if found.num_rows else now.weekday() < 5


def _at(slot: FeedSlot, day: datetime) -> datetime:
    hour, minute = map(int, slot.at.split(":"))
    return day.astimezone(ZoneInfo(slot.zone)).replace(hour=hour, minute=minute, second=0, microsecond=0)


def _midnight(day: datetime) -> datetime:
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def _before(feed: Feed, slot: FeedSlot, day: datetime) -> datetime:
    """When the slot before this one was late: today's, else the last of yesterday."""
    found = [_at(other, day - timedelta(days=back)) for other in feed.slots for back in (0, 1)]
    return max(at for at in found if at < _at(slot, day)) + SLOT_ALLOWANCE
