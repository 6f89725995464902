"""Bookkeeping after each execution: how long a break took to show, and the metrics."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from app.alerts import standing
from app.audit import Auditor
from app.build_engine import ServiceEngine
from app.metrics import Metrics
from app.proof import newest_proof
from app.summary import UNACCEPTED
from domain.facts import BREAK_LATENCY
from domain.schema import arrow_schema
from domain.taxonomy import Severity
from warehouse.port import Warehouse

# Breaks found by comparison as their last member arrived; what waited for grace to end is not a latency.
_OPENED_SQL = """
SELECT c.change_id, CAST(max(e.recv_time_utc) AS TIMESTAMP_NTZ(9)) AS received_ts
FROM break_change c
JOIN recon_break b ON b.break_id = c.break_id
JOIN recon_break_member m ON m.break_id = c.break_id
JOIN trade_event e ON e.record_id = m.record_id
WHERE c.execution = :e AND c.kind IN ('OPENED', 'REOPENED') AND b.due_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM break_latency l WHERE l.change_id = c.change_id)
GROUP BY c.change_id
"""
_MESSAGES_SQL = "SELECT outcome, count(*) AS n FROM raw_message WHERE execution = :e GROUP BY outcome"
_OPEN_SQL = f"SELECT b.severity, count(*) AS n FROM recon_break b WHERE b.state = 'OPEN' AND {UNACCEPTED} GROUP BY 1"
_ACCEPTED_SQL = f"SELECT count(*) AS n FROM recon_break b WHERE b.state = 'OPEN' AND NOT ({UNACCEPTED})"
_PENDING_SQL = """
SELECT count(*) AS n FROM ticket_outbox o WHERE NOT EXISTS (
  SELECT 1 FROM ticket_delivery d WHERE d.outbox_key = o.outbox_key AND d.outcome IN ('DELIVERED', 'DEAD'))
"""
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bookkeeper:
    """Turns ended executions into latencies and metrics."""

    warehouse: Warehouse
    engine: ServiceEngine
    metrics: Metrics
    auditor: Auditor

    def ended(self, execution: str, status: str) -> None:
        """Record what one execution did and let the audit trail follow; harmless when called again."""
        self.book(execution, status)
        self.follow()

    def follow(self) -> None:
        """Let the audit trail follow what executions did."""
        self.auditor.follow()

    def book(self, execution: str, status: str) -> None:
        """Latencies and metrics of one execution that ended."""
        self.metrics.executions.labels(status).inc()
        entered: dict[int, Any] = {}
        committed: int | None = None
        for event in self.engine.history(execution):
            name = event.details.get("name", "")
            if event.type == "TaskStateEntered":
                entered[0] = (name, event.timestamp_ns)
            elif event.type == "TaskFailed" and 0 in entered:
                self.metrics.task_failures.labels(entered[0][0]).inc()
            elif event.type == "TaskSucceeded" and 0 in entered:
                state, since = entered[0]
                self.metrics.state_seconds.labels(state).observe((event.timestamp_ns - since) / _NANOSECONDS)
                committed = event.timestamp_ns if state == "Match" else committed
        for row in self.warehouse.query(_MESSAGES_SQL, {"e": execution}).to_pylist():
            self.metrics.messages.labels(row["outcome"]).inc(row["n"])
        if committed is not None:
            self._latency(execution, committed)

    def text(self, lag: dict[str, int], late: dict[str, float] | None = None) -> str:
        """Prometheus text with the gauges as of now."""
        open_now = {row["severity"]: row["n"] for row in self.warehouse.query(_OPEN_SQL).to_pylist()}
        for severity in Severity:
            self.metrics.breaks_open.labels(severity.name).set(open_now.get(int(severity), 0))
        self.metrics.breaks_accepted.set(self.warehouse.query(_ACCEPTED_SQL)["n"][0].as_py())
        self.metrics.outbox_depth.set(self.warehouse.query(_PENDING_SQL)["n"][0].as_py())
        for lane, behind in lag.items():
            self.metrics.lag.labels(lane).set(behind)
        for lane, seconds in (late or {}).items():
            self.metrics.late.labels(lane).set(seconds)
        for status, count in self.engine.counts().items():
            self.metrics.executions_now.labels(status).set(count)
        self._alerts()
        return self.metrics.text()

    def _alerts(self) -> None:
        stand = [str(row["kind"]) for row in standing(self.warehouse)]
        for kind in ("completeness", "proof", *stand):
            self.metrics.alerts.labels(kind).set(stand.count(kind))
        proof = newest_proof(self.warehouse)
        if proof is not None:
            self.metrics.proof_differences.set(proof["differences"])
            self.metrics.proof_time.set(proof["ran_at"] // _NANOSECONDS)

    def _latency(self, execution: str, committed_ns: int) -> None:
        opened = self.warehouse.query(_OPENED_SQL, {"e": execution})
        if not opened.num_rows:
            return
        received = opened["received_ts"].cast(pa.int64()).to_pylist()
        rows = pa.table(
            {
                "change_id": opened["change_id"],
                "received_ts": opened["received_ts"],
                "committed_ts": pa.array([committed_ns] * opened.num_rows, pa.int64()).cast(pa.timestamp("ns")),
            }
        )
        self.warehouse.append("break_latency", rows.cast(arrow_schema(BREAK_LATENCY)))
        for value in received:
            self.metrics.latency_seconds.observe(max(0, committed_ns - value) / _NANOSECONDS)
