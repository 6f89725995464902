"""What an engine tells of its executions: as they stand, their events, counts; and forgetting the old ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import PermanentError
from orchestrator.port import Execution, HistoryEvent
from orchestrator.report import counts, definition_of, executions, history, statistics
from orchestrator.retention import prune
from orchestrator.store import Store


class Records:
    """The reading side of an engine; everything here may be called by any thread."""

    store: Store

    def describe(self, name: str) -> Execution:
        """The execution as it stands; raises PermanentError when there is none."""
        found = executions(self.store, "WHERE name = ?", (name,))
        if not found:
            raise PermanentError(f"ExecutionDoesNotExist: {name}")
        return found[0]

    def definition_of(self, name: str) -> Mapping[str, Any]:
        """The definition an execution runs by, not to be changed; raises PermanentError when there is none."""
        return definition_of(self.store, name)

    def history(self, name: str) -> Sequence[HistoryEvent]:
        """Its events in order."""
        return history(self.store, name)

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Execution]:
        """The newest executions, newest first."""
        where, params = ("WHERE status = ?", (status,)) if status else ("", ())
        return executions(self.store, f"{where} ORDER BY started_at DESC, name LIMIT ?", (*params, limit))

    def counts(self) -> Mapping[str, int]:
        """How many executions have each status."""
        return counts(self.store)

    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """Per state: `count` entered, `succeeded`, `failed`, `p50_ms` and `p99_ms` of its tasks (None without any)."""
        return statistics(self.store)

    def prune(self, older_than_ns: int) -> int:
        """Forget executions that succeeded before a time (UTC ns); returns how many.

        What failed stays: it may hold a parked batch that only a redrive brings back.
        """
        return prune(self.store, older_than_ns)
