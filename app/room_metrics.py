"""Metrics under the names dashboards of reconciliations use (`recon_...`), made when they are scraped."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from app.installation import Installation
from app.summary import UNACCEPTED
from domain.taxonomy import Severity
from warehouse.audit_log import plain_rows

_NANOSECONDS = 1e9
_AGES_SECONDS = (300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 172_800.0, 432_000.0, 1_728_000.0)
# The same values under another name.
_SAME: Mapping[str, str] = MappingProxyType(
    {
        "tieout_state_duration_seconds": "recon_state_duration_seconds",
        "tieout_outbox_depth": "recon_outbox_depth",
        "tieout_outbox_oldest_seconds": "recon_outbox_oldest_seconds",
        "tieout_ticket_requests": "recon_ticket_requests",
        "tieout_ticket_request_duration_seconds": "recon_ticket_request_duration_seconds",
        "tieout_ticket_circuit_state": "recon_ticket_circuit_state",
        "tieout_ticket_sync_lag_seconds": "recon_ticket_sync_lag_seconds",
    }
)
_SUFFIXES = ("", "_total", "_bucket", "_count", "_sum")
_SEEN_SQL = """
SELECT m.feed, count(CASE WHEN m.outcome = 'FACT' THEN 1 END) AS facts, max(m.recv_ts) AS seen
FROM raw_message m GROUP BY m.feed ORDER BY m.feed
"""
_OPEN_SQL = f"""
SELECT b.code, b.severity, count(*) AS n, sum(b.exposure_base) AS risk
FROM recon_break b WHERE b.state = 'OPEN' AND {UNACCEPTED} GROUP BY b.code, b.severity ORDER BY b.code, b.severity
"""
_SINCE_SQL = (
    f"SELECT b.opened_at FROM recon_break b WHERE b.state = 'OPEN' AND {UNACCEPTED} AND b.opened_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True, eq=False)
class RoomMetrics:
    """Feeds, codes, priorities and states are few, so they may be labels; no break, account or user is one."""

    installation: Installation
    registry: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        """The families of metrics, as prometheus_client asks for them."""
        yield from self._renamed()
        yield from self._feeds()
        yield from self._breaks()

    def _renamed(self) -> Iterator[Metric]:
        names = [name + suffix for name in _SAME for suffix in _SUFFIXES]
        for family in self.registry.restricted_registry(names).collect():
            yield _as(family, _SAME[family.name])
            if family.name == "tieout_state_duration_seconds":  # the tasks are the stages of a run
                yield _as(family, "recon_match_duration_seconds", {"state": "stage"})

    def _feeds(self) -> Iterator[Metric]:
        received = CounterMetricFamily("recon_trades_received", "Messages that became facts", labels=["source"])
        seen = GaugeMetricFamily(
            "recon_feed_last_seen_timestamp_seconds", "When the feed's last message came, Unix time", labels=["source"]
        )
        for row in plain_rows(self.installation.warehouse.query(_SEEN_SQL)):
            received.add_metric([row["feed"]], row["facts"])
            seen.add_metric([row["feed"]], row["seen"] / _NANOSECONDS)
        yield from (received, seen)

    def _breaks(self) -> Iterator[Metric]:
        here, base = self.installation, self.installation.settings.base_currency
        broken = GaugeMetricFamily("recon_breaks_open", "Open breaks", labels=["type", "priority"])
        risk = GaugeMetricFamily(
            "recon_break_value_at_risk", "Exposure of open breaks, as far as it is known",
            labels=["currency_base", "priority"],
        )  # fmt: skip
        at_risk = {_priority(severity): 0.0 for severity in reversed(Severity)}
        for row in here.warehouse.query(_OPEN_SQL).to_pylist():
            broken.add_metric([row["code"], _priority(row["severity"])], row["n"])
            at_risk[_priority(row["severity"])] += float(row["risk"] or 0)
        for priority, amount in at_risk.items():
            risk.add_metric([base, priority], amount)
        now = here.clock.now_ns()
        since = plain_rows(here.warehouse.query(_SINCE_SQL))
        yield from (broken, risk, _ages([max(0.0, (now - row["opened_at"]) / _NANOSECONDS) for row in since]))


def _priority(severity: int) -> str:
    """1 to 5, as the ticket of a break of this severity has it."""
    return str(len(Severity) - int(severity))


def _ages(seconds: list[float]) -> Metric:
    counts = [0] * (len(_AGES_SECONDS) + 1)
    for one in seconds:
        counts[bisect_left(_AGES_SECONDS, one)] += 1
    bounds = [*map(str, _AGES_SECONDS), "+Inf"]
    family = HistogramMetricFamily("recon_break_age_seconds", "How long the breaks that are open have been open")
    family.add_metric([], list(zip(bounds, accumulate(counts), strict=True)), sum(seconds))
    return family


def _as(family: Metric, name: str, labels: Mapping[str, str] = MappingProxyType({})) -> Metric:
    """The family under another name, with labels renamed."""
    found = Metric(name, family.documentation, family.type, family.unit)
    for sample in family.samples:
        renamed = {labels.get(label, label): value for label, value in sample.labels.items()}
        found.add_sample(name + sample.name.removeprefix(family.name), renamed, sample.value)
    return found
