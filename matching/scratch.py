"""Which tables a run knows to be empty: it asks nothing of them, and the next one has only the others to empty."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from weakref import WeakKeyDictionary

import pyarrow as pa

from matching.tables import EMPTIED
from matching.void import emptied_by, void
from warehouse.port import Params, Warehouse

# Scratch tables that may hold what an earlier run put there.
_LEFT: WeakKeyDictionary[Warehouse, set[str]] = WeakKeyDictionary()


class Noted:
    """A warehouse that knows of tables that are empty, and leaves out what can do nothing because of them.

    Inside one transaction, whose statements all go through it. Scratch tables are known from the start, others once
    somebody has looked.
    """

    def __init__(self, inner: Warehouse, left: set[str]) -> None:
        self._inner, self._left = inner, left
        self._empty = set(EMPTIED)

    def know(self, empty: Iterable[str]) -> None:
        """These tables have no row now."""
        self._empty.update(empty)

    def idle(self, sql: str) -> bool:
        """Whether the statement would find nothing, so that it need not be asked."""
        return void(sql).holds(self._empty)

    def settled(self) -> None:
        """What the run did is committed: only what it left in the scratch tables is in them."""
        self._left &= EMPTIED - self._empty

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        return self._inner.query(sql, params)

    def execute(self, sql: str, params: Params | None = None) -> int:
        if self.idle(sql):
            return 0
        rows = self._inner.execute(sql, params)
        if rows and (table := _filled_by(sql)):
            self._fill(table)
        if table := emptied_by(sql):
            self._empty.add(table)
        return rows

    def append(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows:
            self._fill(table)
        return self._inner.append(table, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._inner.transaction():
            yield

    def checkpoint(self) -> None:
        self._inner.checkpoint()

    def close(self) -> None:
        self._inner.close()

    def _fill(self, table: str) -> None:
        self._empty.discard(table)
        if table in EMPTIED:
            self._left.add(table)


@lru_cache(maxsize=4096)
def _filled_by(sql: str) -> str | None:
    found = re.match(r"\s*insert\s+into\s+(\w+)", sql, re.IGNORECASE)
    return found.group(1).lower() if found else None


def cleared(warehouse: Warehouse) -> Noted:
    """The warehouse with its scratch tables empty: a run starts from nothing, whatever a previous one left behind."""
    left = _LEFT.setdefault(warehouse, set(EMPTIED))
    for name in sorted(left):
        warehouse.execute(f"delete from {name}")
    return Noted(warehouse, left)


def forget(warehouse: Warehouse) -> None:
    """Nothing is known of the scratch tables any more: after a run whose transaction was, or may yet be, taken back."""
    _LEFT.pop(warehouse, None)
