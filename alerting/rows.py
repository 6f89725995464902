"""Rows of the ticket outbox and its deliveries, to and from Arrow."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from domain.schema import TABLES, arrow_schema
from warehouse.port import Warehouse

OPEN, UPDATE, NOTE, ASSIGN, RESOLVE, REOPEN = "open", "update", "note", "assign", "resolve", "reopen"
REISSUE = "reissue"  # another ticket of the same break and generation: the one before was closed for good
STORM_PREFIX = "storm-"  # break_id of rows about a storm's parent ticket
DELIVERED, RETRY, DEAD = "DELIVERED", "RETRY", "DEAD"
# Identities per statement: few sizes, so that the text of a statement is translated once; reading them costs, too.
_CHUNKS = (4, 20, 100)


# Breaks with a ticket: opened more often than resolved (active), how many rows they have, and their newest opening.
STANDING_TICKETS = """
told AS (
  SELECT break_id, generation,
    sum(CASE WHEN operation IN ('open', 'reopen') THEN 1 WHEN operation = 'resolve' THEN -1 ELSE 0 END) AS balance,
    count(*) AS rows_so_far
  FROM ticket_outbox GROUP BY break_id, generation
), opened AS (
  SELECT break_id, generation, sys_id, payload AS opening FROM ticket_outbox
  WHERE operation IN ('open', 'reissue')
  QUALIFY row_number() OVER (PARTITION BY break_id, generation ORDER BY created_as_of DESC, outbox_key DESC) = 1
), ticket AS (
  SELECT t.break_id, t.generation, t.balance, t.rows_so_far, o.sys_id, o.opening
  FROM told t JOIN opened o ON o.break_id = t.break_id AND o.generation = t.generation
)"""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One thing to do to a ticket. `created_as_of` is UTC ns; the `seq` in `payload` orders the rows of a ticket."""

    outbox_key: str
    break_id: str
    generation: int
    change_id: str
    operation: str
    sys_id: str
    payload: Mapping[str, Any]
    created_as_of: int
    execution: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """What came of sending one outbox row. `attempted_at` is UTC ns."""

    outbox_key: str
    attempt: int
    outcome: str
    http_status: int | None
    detail: str
    ticket_number: str | None
    attempted_at: int


def outbox_key(break_id: str, generation: int, operation: str, change_id: str) -> str:
    """The identity of an outbox row: the same change asks for the same thing once."""
    return f"{break_id}|{generation}|{operation}|{change_id}"


def append_outbox(warehouse: Warehouse, rows: Sequence[OutboxRow]) -> int:
    """Add rows to ticket_outbox; returns how many."""
    return warehouse.append("ticket_outbox", _table("ticket_outbox", rows)) if rows else 0


def append_deliveries(warehouse: Warehouse, rows: Sequence[DeliveryRow]) -> int:
    """Add rows to ticket_delivery; returns how many."""
    return warehouse.append("ticket_delivery", _table("ticket_delivery", rows)) if rows else 0


def _table(name: str, rows: Sequence[OutboxRow] | Sequence[DeliveryRow]) -> pa.Table:
    schema = arrow_schema(TABLES[name])
    names = [field.name for field in fields(rows[0])]
    columns = {column: [_cell(getattr(row, column)) for row in rows] for column in names}
    return pa.table({column: pa.array(values, schema.field(column).type) for column, values in columns.items()})


def _cell(value: object) -> object:
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, Mapping) else value


def records(table: pa.Table) -> list[dict[str, Any]]:
    """Arrow rows as dictionaries; timestamps become integer UTC nanoseconds (datetime would cut them)."""
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns")).cast(pa.int64())
        columns[name.lower()] = column.to_pylist()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def select_by_ids(warehouse: Warehouse, sql: str, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of `sql`, which holds one `IN (:ids)`, for all `ids`; a hundred at a time."""
    wanted = sorted(set(ids))
    found: list[dict[str, Any]] = []
    for start in range(0, len(wanted), _CHUNKS[-1]):
        chunk = wanted[start : start + _CHUNKS[-1]]
        size = next(size for size in _CHUNKS if size >= len(chunk))
        padded = chunk + [chunk[-1]] * (size - len(chunk))
        params = {f"id{index}": value for index, value in enumerate(padded)}
        marks = ", ".join(f":{name}" for name in params)
        found.extend(records(warehouse.query(sql.replace(":ids", marks), params)))
    return found
