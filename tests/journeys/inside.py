"""One installation opened in this process: messages go straight into its raw log, the worker is stepped by the test."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.bookkeeping import Bookkeeper
from app.installation import Installation, open_installation
from app.metrics import Metrics
from app.settings import load
from app.worker import Worker
from domain.clock import SystemClock
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream

PATIENCE_SECONDS = 60.0


class Inside:
    """The stores of one installation and its worker, without processes and sockets."""

    def __init__(self, installation: Installation, log: SegmentStream) -> None:
        self.installation, self.log = installation, log
        self.warehouse = installation.warehouse
        self.clock = SystemClock()
        self.worker = Worker(
            tenant=installation.settings.tenant,
            stream=installation.stream,
            engine=installation.engine,
            ledger=installation.ledger,
            limits=installation.settings.worker,
            clock=self.clock,
            due=installation.due,
            on_ended=Bookkeeper(installation.warehouse, installation.engine, Metrics(), installation.auditor).ended,
            leases=installation.leases,
            matched=installation.matched,
        )

    def append(self, session: str, messages: Sequence[bytes], recv_ts: int | None = None) -> None:
        """Make messages durable, as the acceptor does; `recv_ts` is now unless given (UTC ns)."""
        at = self.clock.now_ns() if recv_ts is None else recv_ts
        first = self.log.tail(session).number + 1
        self.log.append([Envelope(session, first, at, tuple(messages), first + len(messages))])

    def feed(self, streams: Mapping[str, Sequence[bytes]]) -> None:
        """Append every session whole, in the mapping's order, and reconcile."""
        for session, messages in streams.items():
            self.append(session, messages)
        self.settle()

    def settle(self) -> None:
        """Step the worker until nothing is left to do."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.worker.step() or not self.worker.idle or self.installation.engine.counts().get("RUNNING", 0):
            assert time.monotonic() < deadline, f"never quiet: {self.worker.lag()}"
            time.sleep(0.005)

    def end_of_input(self) -> dict[str, Any]:
        """The sweep that ends all grace; the tie-out after it."""
        self.settle()
        self.worker.request_final_sweep()
        self.settle()
        return self.installation.summary()

    def rows(self, sql: str, **params: object) -> list[dict[str, Any]]:
        """What a query on the warehouse answers."""
        found: list[dict[str, Any]] = self.warehouse.query(sql, params or None).to_pylist()
        return found

    def one(self, sql: str, **params: object) -> Any:
        """The single value a query answers."""
        (row,) = self.rows(sql, **params)
        (value,) = row.values()
        return value

    def runs(self, status: str) -> list[Any]:
        """Executions that ended like this, oldest first."""
        return list(reversed(self.installation.engine.list(status, 1_000)))


@contextlib.contextmanager
def inside(config: Path) -> Iterator[Inside]:
    """Open the installation of a settings file."""
    settings = load(config)
    with open_installation(settings) as installation:
        log = SegmentStream(settings.data_dir / "raw")
        try:
            yield Inside(installation, log)
        finally:
            log.close()
