"""Housekeeping in idle moments: segments sealed, old executions and copies let go, the warehouse folded."""

from dataclasses import dataclass

from app.archive import Keeper
from app.file_feeds import let_files_go
from app.installation import Installation

EVERY_SECONDS = 600.0
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(slots=True)
class Housekeeping:
    """Runs its chores at most every ten minutes, and only when nothing else is to be done."""

    installation: Installation
    last: float = float("-inf")
    sealing: bool = False

    def run_if_due(self) -> bool:
        """Do the chores if it is time; True when they were done."""
        here = self.installation
        now = here.clock.monotonic()
        if now - self.last < EVERY_SECONDS and not self.sealing:
            return False
        # One segment at a time: what arrives meanwhile does not wait for the others.
        self.sealing = Keeper(here.settings, here.ledger, here.engine).step(here.clock.now_ns())
        if self.sealing:
            return True
        self.last = now
        days = here.settings.archive.warehouse_days
        if days is not None:
            here.originals.let_go(here.warehouse, here.clock.now_ns() - days * _DAY_NS)
        let_files_go(here.settings, here.warehouse, here.clock.now_ns())
        here.engine.prune(here.clock.now_ns() - here.settings.worker.execution_retention_days * _DAY_NS)
        with here.leading() as leads:
            # The warehouse is everybody's; raw log, files and executions are each worker's own.
            if leads:
                here.auditor.follow()
                here.warehouse.checkpoint()
        return True
