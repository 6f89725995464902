"""The field tables: Arrow, DDL and records agree, and the canonical trade covers its FIX sources."""

import dataclasses
from decimal import Decimal

import pyarrow as pa
import pytest

from domain.fields import Kind
from domain.schema import TABLES, TYPES, arrow_schema, ddl, record_type
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate


@pytest.mark.parametrize("name", sorted(TABLES))
def test_schema_ddl_and_record_have_the_same_columns(name: str) -> None:
    table = TABLES[name]
    assert tuple(arrow_schema(table).names) == table.columns
    assert all(f"  {column} " in ddl(table) for column in table.columns)
    record = record_type(table)
    assert {field.name for field in dataclasses.fields(record)} == set(table.columns)


def test_records_are_frozen_and_want_their_required_fields() -> None:
    rate = record_type(TABLES["fx_rate"])
    made = rate(from_ccy="GBP", to_ccy="USD", rate=Decimal("1.25"), valid_from=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.rate = Decimal(1)
    with pytest.raises(TypeError):
        rate(from_ccy="GBP")


def test_money_price_and_quantity_are_exact_decimals_everywhere() -> None:
    floats = [(t.name, f.name) for t in TABLES.values() for f in t.fields if pa.types.is_floating(TYPES[f.type].arrow)]
    assert floats == []


def test_migration_creates_every_table_with_the_declared_types_and_is_repeatable() -> None:
    warehouse = DuckDbWarehouse()
    assert migrate(warehouse) == migrate(warehouse)
    for table in TABLES.values():
        schema = warehouse.query(f"SELECT * FROM {table.name}").schema
        assert schema.names == list(table.columns)
        for field in table.fields:
            assert schema.field(field.name).type == TYPES[field.type].arrow, (table.name, field.name)


def test_kinds_are_complete() -> None:
    assert {t.kind for t in TABLES.values()} == {Kind.FACT, Kind.DERIVED, Kind.REFERENCE}
    assert TABLES["trade_event"].kind is Kind.FACT and TABLES["recon_break"].kind is Kind.DERIVED
