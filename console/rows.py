"""Arrow tables as plain rows: microsecond datetimes (UTC, naive), dates, decimals and text."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

Row = dict[str, object]


def rows(table: pa.Table) -> list[Row]:
    """Every row as a dict. Nanosecond times are cut to microseconds, the finest a Python datetime holds."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.timestamp("us"), safe=False))
    found: list[Row] = table.to_pylist()
    return found


def epoch_ms(value: object) -> int | None:
    """A UTC-naive datetime as milliseconds since 1970, for scripts; None stays None."""
    return int(value.replace(tzinfo=UTC).timestamp() * 1000) if isinstance(value, datetime) else None


def text(row: Mapping[str, object], name: str) -> str:
    """The column as text, empty for NULL."""
    value = row.get(name)
    return "" if value is None else str(value)


def whole(row: Mapping[str, object], name: str) -> int:
    """The column as an integer, 0 for NULL."""
    value = row.get(name)
    return int(value) if isinstance(value, (int, Decimal)) else 0


def decimal(row: Mapping[str, object], name: str) -> Decimal | None:
    """The column as an exact decimal, None for NULL."""
    value = row.get(name)
    return Decimal(value) if isinstance(value, (int, Decimal)) else None
