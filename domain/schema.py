"""From the field tables to the Arrow schema, the warehouse DDL and the frozen record."""

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType

import pyarrow as pa

from domain import decisions, derived, facts, reference, tickets, trade
from domain.fields import Table


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """What a field type is in Arrow, in Snowflake-dialect SQL and in Python."""

    arrow: pa.DataType
    sql: str
    python: type


TYPES: Mapping[str, TypeSpec] = MappingProxyType(
    {
        "str": TypeSpec(pa.string(), "VARCHAR", str),
        "int": TypeSpec(pa.int64(), "BIGINT", int),
        "bool": TypeSpec(pa.bool_(), "BOOLEAN", bool),
        "date": TypeSpec(pa.date32(), "DATE", date),
        "ts": TypeSpec(pa.timestamp("ns"), "TIMESTAMP_NTZ(9)", int),
        "qty": TypeSpec(pa.decimal128(28, 10), "NUMBER(28, 10)", Decimal),
        "price": TypeSpec(pa.decimal128(28, 12), "NUMBER(28, 12)", Decimal),
        "rate": TypeSpec(pa.decimal128(28, 12), "NUMBER(28, 12)", Decimal),
        "money": TypeSpec(pa.decimal128(28, 6), "NUMBER(28, 6)", Decimal),
        "json": TypeSpec(pa.string(), "VARCHAR", str),
        "bytes": TypeSpec(pa.binary(), "BINARY", bytes),
    }
)


def _tables(*modules: object) -> dict[str, Table]:
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Table)]
    return {table.name: table for table in found}


TABLES: Mapping[str, Table] = MappingProxyType(_tables(trade, facts, tickets, decisions, reference, derived))
# Facts that know the message they came of by feed and hash, not by its id.
KNOWN_BY_HASH = tuple(
    name for name, table in TABLES.items() if "raw_sha256" in table.columns and "message_id" not in table.columns
)


def arrow_schema(table: Table) -> pa.Schema:
    """The table's Arrow schema; required fields are not nullable."""
    return pa.schema([pa.field(f.name, TYPES[f.type].arrow, nullable=not f.required) for f in table.fields])


def ddl(table: Table) -> str:
    """`CREATE TABLE IF NOT EXISTS` in Snowflake's dialect; no keys or indexes (they are not enforced there)."""
    lines = [f"  {f.name} {TYPES[f.type].sql}{' NOT NULL' if f.required else ''}" for f in table.fields]
    return f"CREATE TABLE IF NOT EXISTS {table.name} (\n" + ",\n".join(lines) + "\n)"


def record_type(table: Table) -> type:
    """A frozen, slotted dataclass with the table's fields; optional ones default to None, times are ns integers."""
    required = [(f.name, TYPES[f.type].python) for f in table.fields if f.required]
    optional = [(f.name, TYPES[f.type].python | None, None) for f in table.fields if not f.required]
    name = "".join(part.capitalize() for part in table.name.split("_"))
    return make_dataclass(name, [*required, *optional], frozen=True, slots=True, kw_only=True)


Trade = record_type(trade.TRADE)
