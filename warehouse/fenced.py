"""A warehouse whose every write is refused once somebody else was given the right to it: fencing by tokens."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from domain.errors import TransientError
from warehouse.port import Params, Warehouse

# Who may write what: the newest token of each right that was ever shown here.
_DDL = "CREATE TABLE IF NOT EXISTS write_fence (name VARCHAR NOT NULL, token BIGINT NOT NULL)"
_KNOW = "INSERT INTO write_fence SELECT :name, 0 WHERE NOT EXISTS (SELECT 1 FROM write_fence f WHERE f.name = :name)"
_SHOW = """
UPDATE write_fence SET token = :token WHERE name = :name AND token <= :token
  AND NOT EXISTS (SELECT 1 FROM write_fence f WHERE f.name = :name AND f.token > :token)
"""
_SHAPE = ("create", "drop", "alter")

Rights = Callable[[], AbstractContextManager[Mapping[str, int]]]


class FencedWarehouse:
    """The warehouse of another adapter, for writers of which there are several.

    `rights` gives, for the time of one write, the names and tokens of what the calling thread writes under. Each is
    compared inside the write's own transaction with the newest one ever shown, so a writer that was replaced (and does
    not know) changes nothing: TransientError, since whoever tries again has newer rights or none. Reading is free.
    """

    def __init__(self, warehouse: Warehouse, rights: Rights) -> None:
        self._warehouse, self._rights = warehouse, rights
        warehouse.execute(_DDL)
        self._known: set[str] = set()
        self._inside = threading.local()

    def query(self, sql: str, params: Params | None = None) -> pa.Table:
        return self._warehouse.query(sql, params)

    def execute(self, sql: str, params: Params | None = None) -> int:
        # The shape of a table is nobody's right, and Snowflake would end the transaction at it.
        if self._is_inside() or sql.lstrip()[:6].lower().startswith(_SHAPE):
            return self._warehouse.execute(sql, params)
        with self.transaction():
            return self._warehouse.execute(sql, params)

    def append(self, table: str, rows: pa.Table) -> int:
        if self._is_inside() or not rows.num_rows:
            return self._warehouse.append(table, rows)
        with self.transaction():
            return self._warehouse.append(table, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._rights() as tokens:
            for name in tokens.keys() - self._known:
                self._warehouse.execute(_KNOW, {"name": name})
                self._known.add(name)
            with self._warehouse.transaction():
                for name, token in tokens.items():
                    self.show(name, token)
                self._inside.now = True
                try:
                    yield
                finally:
                    self._inside.now = False

    def show(self, name: str, token: int) -> None:
        """Make `token` the newest of this right; TransientError when a newer one was shown before."""
        if not self._warehouse.execute(_SHOW, {"name": name, "token": token}):
            raise TransientError(f"fenced: {name} belongs to another worker by now")

    def _is_inside(self) -> bool:
        """Whether the calling thread's transaction is open, and was let in."""
        return getattr(self._inside, "now", False)

    def checkpoint(self) -> None:
        self._warehouse.checkpoint()

    def close(self) -> None:
        self._warehouse.close()
