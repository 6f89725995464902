"""The audit trail in the warehouse: entries appended to the chain, and read back in order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from domain.audit import Entry, entry
from domain.decisions import AUDIT_ENTRY
from domain.schema import arrow_schema
from warehouse.port import Warehouse

_CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be told: who did what to what. `payload` has a canonical form (domain.audit)."""

    actor: str
    action: str
    about: str
    payload: object


def append_entries(warehouse: Warehouse, deeds: Iterable[Deed], ts_utc: int) -> int:
    """Append one entry per deed (`ts_utc` in ns); returns how many.

    Call it inside the transaction that writes what is told, so that neither is without the other.
    """
    last, rows = newest(warehouse), []
    for deed in deeds:
        last = entry(last, max(ts_utc, last.ts_utc if last else 0), deed.actor, deed.action, deed.about, deed.payload)
        rows.append(last)
    if not rows:
        return 0
    schema = arrow_schema(AUDIT_ENTRY)
    columns = {
        field.name: pa.array([getattr(row, field.name) for row in rows], pa.int64()).cast(field.type)
        if field.name == "ts_utc"
        else pa.array([getattr(row, field.name) for row in rows], field.type)
        for field in schema
    }
    return warehouse.append(AUDIT_ENTRY.name, pa.table(columns))


def newest(warehouse: Warehouse) -> Entry | None:
    """The last entry, None before the first."""
    sql = "SELECT * FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)"
    found = [_entry(row) for row in plain_rows(warehouse.query(sql))]
    return found[-1] if found else None


def entries(warehouse: Warehouse, after: int = 0) -> Iterator[Entry]:
    """Every entry behind sequence number `after`, in order, read in bounded pieces."""
    while True:
        sql = f"SELECT * FROM audit_entry WHERE seq > :after ORDER BY seq, hash LIMIT {_CHUNK_ROWS}"
        found = [_entry(row) for row in plain_rows(warehouse.query(sql, {"after": after}))]
        yield from found
        if len(found) < _CHUNK_ROWS:
            return
        after = found[-1].seq


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as dicts, times as integer UTC nanoseconds."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.timestamp("ns")).cast(pa.int64()))
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
