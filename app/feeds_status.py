"""Feeds as the console shows them: what the settings say, what the acceptor reports, what was stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.paths import DataDir
from app.settings import Settings
from ingest.session.status import read_status
from warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class FeedsStatus:
    """Lists the feeds' state each time it is called."""

    settings: Settings
    warehouse: Warehouse

    def __call__(self) -> Sequence[Mapping[str, Any]]:
        status = read_status(DataDir(self.settings.data_dir).sessions)
        sessions = {row.session: row for row in status.sessions} if status else {}
        stored = {
            row["feed"]: row["n"]
            for row in self.warehouse.query("SELECT feed, count(*) AS n FROM raw_message GROUP BY feed").to_pylist()
        }
        rows = []
        for feed in self.settings.feeds:
            session = sessions.get(feed.session.name) if feed.session else None
            rows.append(
                {
                    "name": feed.name,
                    "role": feed.role,
                    "party": feed.party,
                    "dialect": feed.dialect,
                    "session": feed.session.name if feed.session else feed.path_glob,
                    "connected": bool(session and session.connected),
                    "last_recv_ts": (session.last_recv_ts or None) if session else None,
                    "received": session.received if session else 0,
                    "stored": stored.get(feed.name, 0),
                    "late": False,
                }
            )
        return rows
