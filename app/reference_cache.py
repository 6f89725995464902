"""Reference data as the normaliser wants it, read once and again only when the tables grew."""

import threading
from dataclasses import replace
from pathlib import Path

from ingest.dialects.dialect import load_dialects
from ingest.fix.codec.jit import Jit
from ingest.normalise_reference import Reference, load_reference
from warehouse.port import Warehouse

_VERSION_SQL = """
SELECT (SELECT count(*) FROM account_map) AS accounts, (SELECT count(*) FROM identifier_history) AS identifiers,
  (SELECT count(*) FROM instrument) AS instruments, (SELECT count(*) FROM calendar_override) AS overrides
"""


class ReferenceCache:
    """Hands the current Reference to every Normalize call; thread-safe."""

    def __init__(self, warehouse: Warehouse, dialects: Path | None = None, jit: Jit | None = None) -> None:
        """`dialects` is a folder of dialects besides those shipped; `jit` the compiled lane where it is wanted.

        Raises PermanentError for a wrong dialect.
        """
        self._jit = jit
        self._warehouse, self._folder = warehouse, dialects
        self._dialects = load_dialects(dialects)
        self._lock = threading.Lock()
        self._version: tuple[int, ...] | None = None
        self._reference: Reference | None = None

    def warm(self) -> None:
        """Make the compiled lane ready beside the work, where it is wanted."""
        if self._jit is not None:
            self._jit.warm()

    def refresh(self) -> None:
        """Read the dialect files again; raises PermanentError for a wrong one and then keeps those in force."""
        dialects = load_dialects(self._folder)
        with self._lock:
            self._dialects, self._reference = dialects, None

    def current(self) -> Reference:
        """The reference data as the warehouse holds it now."""
        row = self._warehouse.query(_VERSION_SQL).to_pylist()[0]
        version = tuple(int(count) for count in row.values())
        with self._lock:
            if self._reference is None or version != self._version:
                reference = load_reference(self._warehouse, self._dialects)
                self._reference, self._version = replace(reference, jit=self._jit), version
            return self._reference
