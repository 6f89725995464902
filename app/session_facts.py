"""Facts about live sessions, as the worker saw them: absences and gaps, stored by the execution that tells of them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from domain.facts import SEQUENCE_GAP, SESSION_STATE
from domain.fields import Table
from domain.schema import arrow_schema
from warehouse.port import Warehouse

Json = dict[str, Any]
# The kind of an execution that brings such facts.
KIND = "session"


def store_events(warehouse: Warehouse, events: Sequence[Json], execution: str) -> None:
    """Append what was seen as facts of the execution; what is stored already is left out."""
    with warehouse.transaction():
        for table in (SEQUENCE_GAP, SESSION_STATE):
            wanted = [event for event in events if ("gap_first" in event) == (table is SEQUENCE_GAP)]
            known = (
                set(warehouse.query(f"SELECT record_id FROM {table.name}")["record_id"].to_pylist()) if wanted else ()
            )
            new = [event | {"execution": execution} for event in wanted if event["record_id"] not in known]
            if new:
                warehouse.append(table.name, _table(table, new))


def _table(table: Table, rows: Sequence[Json]) -> pa.Table:
    schema = arrow_schema(table)
    columns = []
    for column in schema:
        values = [row.get(column.name) for row in rows]
        is_time = pa.types.is_timestamp(column.type)
        columns.append(pa.array(values, pa.int64()).cast(column.type) if is_time else pa.array(values, column.type))
    return pa.Table.from_arrays(columns, schema=schema)
