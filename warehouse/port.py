"""The warehouse port: five verbs over SQL written once in Snowflake's dialect, results as Arrow tables."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa

Params = Mapping[str, object]


class OutOfMemory(MemoryError):
    """The store needs more memory than it has or may take: no fault of any row. `str(e)` says what ran out."""


class Warehouse(Protocol):
    """Facts, reference data and derived tables of one tenant.

    SQL is in Snowflake's dialect, restricted to the portable subset (INSERT..SELECT, NOT EXISTS, QUALIFY, CTEs;
    no MERGE, VARIANT, ASOF, and no division in predicates), with named parameters written `:name`.
    Times travel as text from `warehouse.sql.timestamp` or as Arrow `timestamp[ns]`, decimals as `Decimal`.
    What the store has no memory for raises OutOfMemory.
    """

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        """Rows of a SELECT: committed state, or the open transaction's own state inside it. Thread-safe."""
        ...

    def execute(self, sql: str, params: Params | None = None) -> int:
        """Run one statement; returns the number of rows it affected."""
        ...

    def append(self, table: str, rows: pa.Table) -> int:
        """Insert Arrow rows by column name (absent columns become NULL); returns how many."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing for the calling thread; rolls back on any exception. Nesting is an error."""
        ...

    def checkpoint(self) -> None:
        """Fold what was written into its lasting form, where the store has one; for idle gaps."""
        ...

    def close(self) -> None:
        """Release the store; a second call does nothing."""
        ...
