"""Feeds of files as people and monitoring see them: the last file, what became of all, and how long ago it was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.file_poller import FilePoller
from app.file_settings import reads_files
from app.installation import Installation
from app.settings import Settings
from warehouse.audit_log import plain_rows
from warehouse.port import Warehouse

Json = dict[str, Any]
_NANOSECONDS = 1e9
_LAST = """
SELECT f.feed, f.name, f.status, f.row_count, f.size, f.detail, f.recv_time_utc FROM file_manifest f
QUALIFY row_number() OVER (PARTITION BY f.feed ORDER BY f.recv_time_utc DESC, f.name DESC) = 1
"""
_COUNTS = """
SELECT feed, status, count(*) AS files, CAST(sum(row_count) AS BIGINT) AS total FROM file_manifest GROUP BY feed, status
"""
_BAD = "SELECT count(*) AS n FROM raw_message WHERE session = :session AND outcome = 'QUARANTINE'"


def last_files(settings: Settings, warehouse: Warehouse) -> Mapping[str, Json]:
    """The last file of every feed of files: `name`, `status`, `rows`, `quarantined`, `detail` and `at` (UTC ns)."""
    feeds = {feed.name for feed in settings.feeds if reads_files(feed)}
    found: dict[str, Json] = {}
    for row in plain_rows(warehouse.query(_LAST)) if feeds else []:
        if row["feed"] in feeds:
            bad = warehouse.query(_BAD, {"session": f"{row['feed']}/{row['name']}"})["n"][0].as_py()
            found[row["feed"]] = {
                "name": row["name"], "status": row["status"], "rows": row["row_count"], "quarantined": int(bad),
                "detail": row["detail"], "at": row["recv_time_utc"],
            }  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, eq=False)
class FileMetrics:
    """Asked when the metrics are scraped; feeds are few and named in the settings, so they may be labels."""

    installation: Installation
    poller: FilePoller

    def register(self, registry: CollectorRegistry) -> None:
        """Have the values of this installation told from now on."""
        if any(reads_files(feed) for feed in self.installation.settings.feeds):
            registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The families of metrics, as prometheus_client asks for them."""
        here, now = self.installation, self.installation.clock.now_ns()
        files = CounterMetricFamily("tieout_files", "Files received, by what became of them", labels=["feed", "status"])
        rows = CounterMetricFamily("tieout_file_rows", "Rows of files that were loaded", labels=["feed"])
        waiting = GaugeMetricFamily("tieout_files_waiting", "Files that are there and not read yet", labels=["feed"])
        since = GaugeMetricFamily("tieout_file_age_seconds", "Since the last file was received", labels=["feed"])
        names = {feed.name for feed in here.settings.feeds if reads_files(feed)}
        for row in here.warehouse.query(_COUNTS).to_pylist():
            if row["feed"] in names:
                files.add_metric([row["feed"], row["status"].lower()], row["files"])
                if row["status"] == "LOADED":
                    rows.add_metric([row["feed"]], row["total"])
        for feed, count in self.poller.waiting().items():
            waiting.add_metric([feed], count)
        for row in plain_rows(here.warehouse.query(_LAST)):
            if row["feed"] in names:
                since.add_metric([row["feed"]], max(0.0, (now - row["recv_time_utc"]) / _NANOSECONDS))
        yield from (files, rows, waiting, since)
