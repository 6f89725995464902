"""Where one installation keeps its files: every path below the data directory, named once."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data directory of one tenant."""

    root: Path

    @property
    def raw(self) -> Path:
        """Segment log: one directory per lane."""
        return self.root / "raw"

    @property
    def sessions(self) -> Path:
        """FIX session numbers and the acceptor's status."""
        return self.root / "sessions"

    @property
    def dictionaries(self) -> Path:
        """Imported FIX dictionaries, one file per version."""
        return self.root / "dictionaries"

    @property
    def warehouse(self) -> Path:
        """DuckDB file, held by the worker alone."""
        return self.root / "warehouse.duckdb"

    @property
    def engine(self) -> Path:
        """SQLite file of the state machine and the ledger."""
        return self.root / "executions.sqlite"

    @property
    def tickets(self) -> Path:
        """SQLite file of the embedded ticket service."""
        return self.root / "tickets.sqlite"

    @property
    def ticket_budget(self) -> Path:
        """What is left of the ticket system's hourly budget."""
        return self.root / "tickets.budget.json"

    @property
    def forward(self) -> Path:
        """The forwarder's positions."""
        return self.root / "forward.json"

    @property
    def suspects(self) -> Path:
        """What the worker is reading right now, so that a message that kills it is found."""
        return self.root / "suspects"

    @property
    def service(self) -> Path:
        """Address and token of the running service (mode 0600)."""
        return self.root / "service.json"

    @property
    def lock(self) -> Path:
        """Held by the one service of this installation."""
        return self.root / "service.lock"

    @property
    def ready(self) -> Path:
        """What each child published when it became ready."""
        return self.root / "ready"

    @property
    def audit_key(self) -> Path:
        """Private key that signs the audit trail's roots (mode 0600)."""
        return self.root / "audit" / "key.pem"

    @property
    def audit_roots(self) -> Path:
        """The audit trail's signed roots, one JSON object a line."""
        return self.root / "audit" / "roots.jsonl"

    @property
    def files(self) -> Path:
        """Files of feeds as they came, a folder per feed."""
        return self.root / "files"

    @property
    def as_known(self) -> Path:
        """States of the past that were asked for, one DuckDB file each; may be deleted at any time."""
        return self.root / "as-known"

    def create(self) -> "DataDir":
        """Make the folders; the root is for its owner only."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (self.raw, self.sessions, self.ready):
            path.mkdir(exist_ok=True)
        return self
