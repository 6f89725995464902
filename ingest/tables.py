"""Records that already live in a warehouse table: what is new there, as delimited rows that are kept as evidence."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from domain.errors import PermanentError
from ingest.feeds import Feed, TableSource
from ingest.files.batch import FileBatch, batch_of_rows
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import FileDialect
from ingest.normalise import Normalised
from ingest.normalise_reference import Reference
from ingest.reference_rows import KNOWN_AT
from warehouse.port import Warehouse
from warehouse.sql import timestamp

LANE = "table:"
_SECOND_NS = 1_000_000_000
_KNOWN = """
SELECT DISTINCT m.sha256 FROM raw_message m
WHERE m.feed = :feed AND m.sha256 IN (SELECT s.event_key FROM ingest_stage s WHERE s.execution = :execution)
"""
_CLEAR = "DELETE FROM ingest_stage WHERE execution = :execution"


@dataclass(frozen=True, slots=True)
class Window:
    """What a table holds from the last reading on: its newest watermark as text, and how many rows."""

    until: str | None
    rows: int


def lane(feed: Feed) -> str:
    """The lane of a table's rows; no stream has one of this name."""
    return f"{LANE}{feed.name}"


def window(source: Warehouse, table: TableSource, after: str | None) -> Window:
    """What there is to read after the watermark `after` (None: everything). Raises what the warehouse raises."""
    where, params = _where(source, table, after, None)
    newest = f"max({table.watermark})" if table.watermark else "NULL"
    found = source.query(f"SELECT {newest} AS newest, count(*) AS n FROM {table.name}{where}", params)
    return Window(_text(found["newest"])[0], int(found["n"][0].as_py()))


def read_table(source: Warehouse, table: TableSource, after: str | None = None, until: str | None = None) -> pa.Table:
    """The rows from watermark `after` (less the overlap) to `until`, both included, and those without a watermark.

    Every cell is text, the rows are sorted by what they say: the same rows give the same table in any order.
    """
    where, params = _where(source, table, after, until)
    found = source.query(f"SELECT * FROM {table.name}{where}", params)
    texts = pa.table([pa.array(_text(column), pa.string()) for column in found.columns], names=found.column_names)
    first = [table.watermark.lower()] if table.watermark else []
    names = [*first, *(name for name in texts.column_names if name.lower() not in first)]
    actual = {name.lower(): name for name in texts.column_names}
    return texts.sort_by([(actual[name.lower()], "ascending") for name in names])


def new_rows(warehouse: Warehouse, rows: pa.Table, feed: Feed, execution: str) -> pa.Table:
    """The rows that were not received from this feed before; needs `ingest.store.prepare`."""
    if not rows.num_rows:
        return rows
    hashes = pa.array([sha256(raw).hexdigest() for raw in _raws(rows)], pa.string())
    with warehouse.transaction():
        # A run that was cut short may have left its keys.
        warehouse.execute(_CLEAR, {"execution": execution})
        stage = {"execution": pa.array([execution] * len(hashes)), "event_key": hashes}
        warehouse.append("ingest_stage", pa.table(stage))
        known = warehouse.query(_KNOWN, {"feed": feed.name, "execution": execution})["sha256"]
        warehouse.execute(_CLEAR, {"execution": execution})
    return rows.filter(pc.invert(pc.is_in(hashes, known.combine_chunks())))


def batch_of_table(
    rows: pa.Table, feed: Feed, mapping: CsvMap, reference: Reference, dialect: FileDialect | None = None
) -> FileBatch:
    """The rows as a file would give them; bad ones are set aside with their reason.

    The batch is named after the table and the content of its rows, so that no two batches number alike.
    Raises FileRefused when the map does not fit the table.
    """
    source = feed.table
    if source is None:
        raise PermanentError(f"feed {feed.name}: no table")
    raws = _raws(rows)
    name = f"{source.name}@{sha256(b''.join(raws)).hexdigest()[:12]}"
    return batch_of_text(_delimited(rows), name, feed, mapping, reference, dialect)


def batch_of_text(
    data: bytes, name: str, feed: Feed, mapping: CsvMap, reference: Reference, dialect: FileDialect | None = None
) -> FileBatch:
    """The same of rows that are delimited text already, under the batch's name. Raises FileRefused likewise."""
    batch = batch_of_rows(data, name, feed, mapping, reference, dialect=dialect)
    messages = batch.normalised.messages
    place = messages.schema.get_field_index("lane")
    lanes = pa.repeat(pa.scalar(lane(feed)), messages.num_rows)
    messages = messages.set_column(place, messages.schema.field(place), lanes)
    return replace(batch, normalised=replace(batch.normalised, messages=messages))


def delimited_again(raws: Sequence[bytes]) -> bytes:
    """Rows as they are kept, as one delimited text again."""
    header, _, _ = raws[0].partition(b"\n")
    return b"\n".join([header, *(raw.partition(b"\n")[2] for raw in raws), b""])


def received_at(normalised: Normalised, at_ns: int) -> Normalised:
    """The same, received at `at_ns` (UTC ns)."""
    return replace(
        normalised,
        trades=_stamped(normalised.trades, "recv_time_utc", at_ns),
        messages=_stamped(normalised.messages, "recv_ts", at_ns),
        quarantine=_stamped(normalised.quarantine, "recv_ts", at_ns),
        facts={
            name: _stamped(_stamped(rows, "recv_time_utc", at_ns), KNOWN_AT, at_ns)
            for name, rows in normalised.facts.items()
        },
    )


def _stamped(rows: pa.Table, column: str, at_ns: int) -> pa.Table:
    place = rows.schema.get_field_index(column)
    if place < 0:
        return rows
    field = rows.schema.field(place)
    return rows.set_column(place, field, pa.repeat(pa.scalar(at_ns, pa.int64()), rows.num_rows).cast(field.type))


def _where(
    source: Warehouse, table: TableSource, after: str | None, until: str | None
) -> tuple[str, dict[str, object]]:
    if not table.watermark or (after is None and until is None):
        return "", {}
    kind = source.query(f"SELECT {table.watermark} AS mark FROM {table.name} WHERE 1 = 0").schema.field("mark").type
    params: dict[str, object] = {}
    bounds = []
    if after is not None:
        params["low"] = _lowered(after, kind, table.overlap_seconds)
        bounds.append(f"{table.watermark} >= cast(:low AS {_sql_type(kind)})")
    if until is not None:
        params["until"] = until
        bounds.append(f"{table.watermark} <= cast(:until AS {_sql_type(kind)})")
    return f" WHERE ({' AND '.join(bounds)}) OR {table.watermark} IS NULL", params


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "timestamp_ntz(9)"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_integer(kind):
        return "number(38, 0)"
    if pa.types.is_decimal(kind):
        return f"number(38, {kind.scale})"
    if pa.types.is_string(kind):
        return "varchar"
    raise PermanentError(f"a watermark is a time, a date, a number or a text, not {kind}")


def _lowered(after: str, kind: pa.DataType, overlap_seconds: int) -> str:
    if not overlap_seconds or not pa.types.is_timestamp(kind):
        return after
    moment = pa.scalar(after).cast(pa.timestamp("ns")).cast(pa.int64()).as_py()
    return timestamp(moment - overlap_seconds * _SECOND_NS)


def _text(column: pa.ChunkedArray) -> list[str | None]:
    """Cells as text, exactly: a decimal keeps the digits of its column, a time its nanoseconds where it has any."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        whole = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()).to_pylist()
        return [None if ns is None else timestamp(ns).removesuffix("000").removesuffix(".000000") for ns in whole]
    return [None if value is None else _cell(value) for value in column.to_pylist()]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _lines(rows: pa.Table) -> tuple[str, list[str]]:
    columns = [column.to_pylist() for column in rows.columns]
    return _line(rows.column_names), [_line(row) for row in zip(*columns, strict=True)]


def _line(cells: Sequence[str | None]) -> str:
    sink = io.StringIO()
    # A row is one line: whatever breaks lines inside a cell becomes a space.
    csv.writer(sink, lineterminator="").writerow([" ".join((cell or "").splitlines()) for cell in cells])
    return sink.getvalue()


def _delimited(rows: pa.Table) -> bytes:
    header, lines = _lines(rows)
    return "\n".join([header, *lines, ""]).encode()


def _raws(rows: pa.Table) -> list[bytes]:
    """Each row as it is kept: header, newline, row."""
    header, lines = _lines(rows)
    return [f"{header}\n{line}".encode() for line in lines]
