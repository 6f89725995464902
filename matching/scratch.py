"""Which scratch tables a session has ever filled: a run empties those alone, and asks nothing of the others."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from weakref import WeakKeyDictionary

import pyarrow as pa

from matching.tables import EMPTIED
from warehouse.port import Params, Warehouse

_FILLED: WeakKeyDictionary[Warehouse, set[str]] = WeakKeyDictionary()


class Noted:
    """A warehouse that notes the scratch tables which statements put rows into.

    A table once noted stays so, whatever a rollback brings back.
    """

    def __init__(self, inner: Warehouse, filled: set[str]) -> None:
        self._inner, self._filled = inner, filled

    def never(self, table: str) -> bool:
        """Whether it is a scratch table that nothing was ever put into."""
        return table in EMPTIED and table not in self._filled

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        return self._inner.query(sql, params)

    def execute(self, sql: str, params: Params | None = None) -> int:
        rows = self._inner.execute(sql, params)
        if rows and (table := _filled_by(sql)):
            self._filled.add(table)
        return rows

    def append(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows:
            self._filled.add(table)
        return self._inner.append(table, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._inner.transaction():
            yield

    def checkpoint(self) -> None:
        self._inner.checkpoint()

    def close(self) -> None:
        self._inner.close()


@lru_cache(maxsize=4096)
def _filled_by(sql: str) -> str | None:
    found = re.match(r"\s*insert\s+into\s+(work_\w+)", sql, re.IGNORECASE)
    return found.group(1).lower() if found else None


def cleared(warehouse: Warehouse) -> Noted:
    """The warehouse with its scratch tables empty: a run starts from nothing, whatever a previous one left behind."""
    known = _FILLED.get(warehouse)
    for name in sorted(EMPTIED if known is None else EMPTIED & known):
        warehouse.execute(f"delete from {name}")
    return Noted(warehouse, _FILLED.setdefault(warehouse, set()))
