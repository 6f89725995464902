"""Which rows of reference data are new: every name of an instrument, every party's alias, every day's price, once."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from domain.schema import TABLES, TYPES
from ingest.reference_rows import fresh_rows
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

DAY = date(2026, 11, 20)
NAME = {"instrument_id": "I-1", "id_source": "4", "id_value": "US0378331005", "valid_from": DAY}
ALIAS = {"alias": "A1", "party": "*", "account_id": "F1", "valid_from": DAY}
PRICE = {"instrument_id": "I-1", "price_date": DAY, "price": "1.5", "ccy": "USD", "valid_from": DAY}


def rows(table: str, *given: dict[str, Any]) -> pa.Table:
    types = {field.name: TYPES[field.type].arrow for field in TABLES[table].fields}
    return pa.table({name: pa.array([row[name] for row in given]).cast(types[name]) for name in given[0]})


@pytest.mark.parametrize(
    ("table", "first", "others"),
    [
        ("identifier_history", NAME, [{"id_source": "1", "id_value": "037833100"}, {"valid_from": date(2026, 11, 21)}]),
        ("account_map", ALIAS, [{"party": "ALPHA"}, {"alias": "A2"}]),
        ("close_price", PRICE, [{"price_date": date(2026, 11, 19)}]),
    ],
)
def test_a_row_is_new_by_its_identity_and_its_first_day(
    table: str, first: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    several = rows(table, first, *({**first, **other} for other in others), first)
    fresh = fresh_rows(warehouse, TABLES[table], several)
    assert fresh.num_rows == 1 + len(others), "the same row twice in one file is one row"
    warehouse.append(table, fresh)
    assert fresh_rows(warehouse, TABLES[table], several).num_rows == 0
    assert fresh_rows(warehouse, TABLES[table], several.slice(0, 0)).num_rows == 0
    later = rows(table, {**first, "valid_from": date(2027, 1, 1)})
    assert fresh_rows(warehouse, TABLES[table], later).num_rows == 1
