"""Metrics: Prometheus names of the service, in one place; no break id, account or user is ever a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The service's metrics on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.messages = Counter(
            "tieout_messages", "Messages taken from the raw log, by outcome", ["outcome"], registry=registry
        )
        self.executions = Counter("tieout_executions", "Executions ended, by status", ["status"], registry=registry)
        self.state_seconds = Histogram(
            "tieout_state_duration_seconds",
            "Duration of a Task state",
            ["state"],
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self.task_failures = Counter(
            "tieout_task_failures", "Task attempts that failed, by state", ["state"], registry=registry
        )
        self.latency_seconds = Histogram(
            "tieout_break_latency_seconds",
            "Arrival of a break's last member to the commit that shows it",
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self.breaks_open = Gauge("tieout_breaks_open", "Open breaks, by severity", ["severity"], registry=registry)
        self.breaks_accepted = Gauge(
            "tieout_breaks_accepted", "Breaks accepted within their tolerance, not open", registry=registry
        )
        self.outbox_depth = Gauge("tieout_outbox_depth", "Ticket rows waiting for the ticket system", registry=registry)
        self.lag = Gauge("tieout_lane_behind_messages", "Durable messages not yet planned", ["lane"], registry=registry)
        self.late = Gauge(
            "tieout_lane_behind_seconds", "Age of what was read last against the newest of the lane (Kinesis)",
            ["lane"], registry=registry,
        )  # fmt: skip
        self.executions_now = Gauge(
            "tieout_executions_now", "Executions on record, by status", ["status"], registry=registry
        )

        self.alerts = Gauge("tieout_alerts", "Alerts that stand, by kind", ["kind"], registry=registry)
        self.proof_differences = Gauge(
            "tieout_proof_differences", "Differences the last proof found; 0 also before the first", registry=registry
        )
        self.proof_time = Gauge(
            "tieout_proof_timestamp_seconds", "When the last proof ran, Unix time; 0 before the first",
            registry=registry,
        )  # fmt: skip

    def text(self) -> str:
        """The exposition format for /metrics."""
        return generate_latest(self.registry).decode("utf-8")
