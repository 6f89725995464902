"""Watches the FIX sessions of the settings: one that is absent inside its hours, or lacks messages, becomes a fact."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.beside import begin, counts_as
from app.installation import Installation
from app.paths import DataDir
from app.session_facts import KIND
from domain.ids import digest128
from ingest.feeds import Feed
from ingest.session.status import SessionStatus, read_status
from matching.deadlines import business_days
from orchestrator.port import FINISHED
from warehouse.audit_log import plain_rows

logger = logging.getLogger(__name__)

Json = dict[str, Any]
LOOK_SECONDS = 1.0
# A session that comes back, or a gap that is filled, within this time is no news.
PATIENCE_SECONDS = 10
# A status file older than this says nothing about who is connected.
STALE_SECONDS = 60
_SECOND_NS = 1_000_000_000
_ABSENT = """
SELECT feed, since FROM session_state WHERE kind IN ('ABSENT', 'PRESENT')
QUALIFY row_number() OVER (PARTITION BY feed ORDER BY seen_at DESC, since DESC) = 1 AND kind = 'ABSENT'
"""
# Gaps of sessions; those of files have a file.
_GAPS = """
SELECT g.record_id, g.feed, g.gap_first, g.gap_last, g.seen_at FROM sequence_gap g
WHERE g.file IS NULL AND NOT EXISTS (
  SELECT 1 FROM session_state s WHERE s.gap_id = g.record_id AND s.kind IN ('FILLED', 'LOST'))
"""


@dataclass(slots=True)
class SessionWatch:
    """Looks at the acceptor's status file and starts an execution of the state machine for what changed."""

    installation: Installation
    _look_at: float = float("-inf")
    _running: str | None = None
    _seen: dict[str, int] = field(default_factory=dict)

    def step(self) -> bool:
        """One look, when its time has come; True when an execution was started."""
        here = self.installation
        if self._running is not None:
            if here.engine.describe(self._running).status not in FINISHED:
                return False
            self._running = None
        now = here.clock.monotonic()
        if now < self._look_at or not here.settings.own_sessions():
            return False
        self._look_at = now + LOOK_SECONDS
        events = self.look()
        if events:
            self._start(events)
        return bool(events)

    def look(self) -> list[Json]:
        """What changed since the last look, as rows of `sequence_gap` and `session_state` without their execution."""
        here = self.installation
        now_ns = here.clock.now_ns()
        status = read_status(DataDir(here.settings.data_dir).sessions)
        fresh = status is not None and now_ns - status.at < STALE_SECONDS * _SECOND_NS
        rows = {row.session: row for row in status.sessions} if status is not None and fresh else {}
        absent = {row["feed"]: row["since"] for row in plain_rows(here.warehouse.query(_ABSENT))}
        gaps = plain_rows(here.warehouse.query(_GAPS))
        events: list[Json] = []
        for feed, session in here.settings.own_sessions():
            row = rows.get(session.name)
            events += self._presence(feed, row, absent.get(feed.name), now_ns)
            if row is not None:
                events += self._gaps(feed, row, [gap for gap in gaps if gap["feed"] == feed.name], now_ns)
        return events

    def _presence(self, feed: Feed, row: SessionStatus | None, since: int | None, now_ns: int) -> list[Json]:
        key = f"absent|{feed.name}"
        if row is not None and row.connected:
            self._seen.pop(key, None)
            return [_state(feed, "PRESENT", since, now_ns)] if since is not None else []
        if since is not None:
            return []
        if not self._expected(feed, now_ns):
            self._seen.pop(key, None)
            return []
        first = self._seen.setdefault(key, now_ns)
        return [_state(feed, "ABSENT", first, now_ns)] if self._patient(first, now_ns) else []

    def _gaps(self, feed: Feed, row: SessionStatus, known: list[Json], now_ns: int) -> list[Json]:
        events = []
        for gap in known:
            # Numbers that begin anew leave behind what never came.
            kind = "FILLED" if row.next_in > gap["gap_last"] else "LOST" if row.next_in < gap["gap_first"] else None
            if kind is not None:
                events.append(_state(feed, kind, gap["seen_at"], now_ns, gap["record_id"]))
        key = f"gap|{feed.name}|{row.gap_first}"
        for old in [name for name in self._seen if name.startswith(f"gap|{feed.name}|") and name != key]:
            del self._seen[old]
        if row.gap_last and not any(gap["gap_first"] <= row.gap_first <= gap["gap_last"] for gap in known):
            first = self._seen.setdefault(key, now_ns)
            if self._patient(first, now_ns):
                events.append(_gap(feed, row, first, now_ns))
        return events

    def _patient(self, first_ns: int, now_ns: int) -> bool:
        return now_ns - first_ns >= PATIENCE_SECONDS * _SECOND_NS

    def _expected(self, feed: Feed, now_ns: int) -> bool:
        """Whether the session must be there now: it has hours, is inside them, and its market is open that day."""
        if feed.session is None or feed.session.hours is None:
            return False
        schedule = feed.session.hours.schedule
        if schedule.period(now_ns) is None:
            return False
        today = datetime.fromtimestamp(now_ns / _SECOND_NS, UTC).astimezone(ZoneInfo(schedule.zone)).date()
        return business_days(self.installation.warehouse).is_open(feed.calendar, today)

    def _start(self, events: list[Json]) -> None:
        here = self.installation
        name = f"session-{digest128(here.settings.tenant, *sorted(event['record_id'] for event in events))}"
        for event in events:
            logger.warning("session of %s: %s", event["feed"], event.get("kind", "messages are missing"))
        begin(here, name, KIND, counts_as(here, here.clock.now_ns()), count=len(events), events=events)
        self._running = name


def _state(feed: Feed, kind: str, since: int | None, now_ns: int, gap_id: str | None = None) -> Json:
    session = feed.session.name if feed.session else ""
    return {
        "record_id": digest128("session", feed.name, kind, str(since), gap_id or "", str(now_ns)), "feed": feed.name,
        "session": session, "kind": kind, "since": since, "seen_at": now_ns, "gap_id": gap_id, "recv_time_utc": now_ns,
    }  # fmt: skip


def _gap(feed: Feed, row: SessionStatus, first_ns: int, now_ns: int) -> Json:
    return {
        "record_id": digest128("gap", feed.name, row.session, str(row.gap_first), str(first_ns)), "feed": feed.name,
        "sender": feed.session.target_comp_id if feed.session else "", "gap_first": row.gap_first,
        "gap_last": row.gap_last, "seen_at": first_ns, "recv_time_utc": now_ns,
    }  # fmt: skip
