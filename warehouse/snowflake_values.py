"""Values on their way to Snowflake and back: bound parameters, Parquet files, results with the types of the port."""

import io
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.port import Params
from warehouse.sql import timestamp

_PIECES = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::|:(?P<name>[A-Za-z_][A-Za-z0-9_]*)", re.DOTALL
)
_NUMBERS = re.compile(r"^-?[0-9]+$")
# What the connector calls the types of a result's columns.
_FIXED, _REAL, _TEXT, _DATE, _BINARY, _BOOLEAN = 0, 1, 2, 3, 11, 13
_TIMES = frozenset({4, 6, 7, 8})


@lru_cache(maxsize=4096)
def positional(text: str) -> tuple[str, tuple[str, ...]]:
    """The statement with `?` for every `:name`, and the names in their order; literals and casts stay untouched."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found["name"] is None:
            return found[0]
        names.append(found["name"])
        return "?"

    return _PIECES.sub(place, text), tuple(names)


def bound(sql: str, params: Params | None) -> tuple[str, list[object] | None]:
    """Statement and values in the order they are bound; raises KeyError naming a parameter nobody gave."""
    text, names = positional(sql)
    given = params or {}
    return text, [plain(given[name]) for name in names] or None


def plain(value: object) -> object:
    """A value the connector binds without loss: decimals and times as text, which the column's type reads back."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value


def cells(rows: pa.Table) -> list[list[object]]:
    """The rows as values to bind: text for what is neither number nor flag, so that nothing is rounded on the way."""
    columns = [_texts(column) for column in rows.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _texts(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return [None if ns is None else timestamp(ns) for ns in _nanoseconds(column).to_pylist()]
    return [v.isoformat() if isinstance(v, date) else plain(v) for v in column.to_pylist()]


def parquet(rows: pa.Table) -> io.BytesIO:
    """The rows as a Parquet file with names in capitals.

    Times are text: a Parquet time loses its nanoseconds on Snowflake, depending on the format's options; as text it
    is cast by the column it is loaded into.
    """
    columns = [_portable(column) for column in rows.columns]
    names = [name.upper() for name in rows.column_names]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), sink, compression="snappy", store_schema=False)
    sink.seek(0)
    return sink


def _portable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _portable(column.cast(kind.value_type))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return pc.strftime(_nanoseconds(column).cast(pa.timestamp("ns")), format="%Y-%m-%d %H:%M:%S")
    return column


def _nanoseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.timestamp("ns")).cast(pa.int64())


def result(table: pa.Table, description: Sequence[Any]) -> pa.Table:
    """The result with names in lower case and one Arrow type per SQL type, whatever the batches were sent as."""
    columns = [_typed(table.column(at), column) for at, column in enumerate(description)]
    return pa.table(columns, names=[column.name.lower() for column in description])


def result_of_rows(rows: Sequence[Sequence[object]], description: Sequence[Any]) -> pa.Table:
    """The same for rows that came as Python values (results without an Arrow form)."""
    found = [pa.array([row[at] for row in rows]) for at in range(len(description))]
    return result(pa.table(found, names=[str(at) for at in range(len(description))]), description)


def _typed(column: pa.ChunkedArray, described: Any) -> pa.ChunkedArray:
    code = described.type_code
    if code == _FIXED:
        return _number(column, described.precision or 38, described.scale or 0)
    kinds = {_REAL: pa.float64(), _TEXT: pa.string(), _DATE: pa.date32(), _BINARY: pa.binary(), _BOOLEAN: pa.bool_()}
    if code in _TIMES:
        return column.cast(pa.timestamp("ns"))
    kind = kinds.get(code, column.type)
    return column if column.type == kind else column.cast(kind)


def _number(column: pa.ChunkedArray, precision: int, scale: int) -> pa.ChunkedArray:
    if scale:
        return column.cast(pa.decimal128(precision, scale))
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.decimal128(38, 0))
