"""Small questions to the warehouse that every step of a run asks."""

from collections.abc import Mapping

from matching.scratch import Noted
from warehouse.port import Params, Warehouse


def found(warehouse: Warehouse, what: str, params: Params | None = None) -> bool:
    """Whether there is any row in `what`, a table with its condition."""
    sql = f"select 1 as found from {what} limit 1"
    if isinstance(warehouse, Noted) and warehouse.idle(sql):
        return False
    return bool(warehouse.query(sql, params).num_rows)


def execute(warehouse: Warehouse, sql: str, params: Mapping[str, object]) -> int:
    """Run with only the parameters the statement names; returns the rows affected."""
    return warehouse.execute(sql, {name: value for name, value in params.items() if f":{name}" in sql})
