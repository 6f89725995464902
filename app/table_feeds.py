"""Feeds whose records live in a warehouse table: opened where they are, read once, stored as facts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from app.build import snowflake_login
from app.reconcile_inputs import read_map
from app.settings import Settings
from domain.address import Address
from domain.errors import PermanentError
from domain.facts import TABLE_READ
from domain.schema import arrow_schema
from ingest.feeds import Feed, TableSource
from ingest.files.batch import FileBatch
from ingest.files.file_dialect import FileDialect, file_dialect, is_file_dialect
from ingest.normalise import Normalised
from ingest.normalise_reference import Reference
from ingest.reference_conflicts import without_contradictions
from ingest.store import Counts, prepare, store
from ingest.tables import batch_of_table, batch_of_text, delimited_again, new_rows, read_table, received_at
from warehouse.duckdb import DuckDbWarehouse
from warehouse.port import Warehouse
from warehouse.snowflake import SnowflakeWarehouse

KIND = "table"
_LAST = """
SELECT until_mark, window_rows FROM table_read WHERE feed = :feed
QUALIFY row_number() OVER (ORDER BY read_at DESC, execution DESC) = 1
"""
# Number 0 is the reading itself: what is new in its columns.
_KEPT = """
SELECT m.raw, m.recv_ts FROM raw_message m WHERE m.feed = :feed AND m.session = :session AND m.number > 0
ORDER BY m.number
"""
_READ = "SELECT execution FROM table_read WHERE execution = :execution AND feed = :feed"


@contextmanager
def opened(settings: Settings, table: TableSource, own: Warehouse | None = None) -> Iterator[Warehouse]:
    """The warehouse the table is in: `own` (Tieout's, opened already) or another, opened to read and closed again.

    Raises TransientError when it is out of reach, PermanentError or SettingsError when it cannot be what is meant.
    """
    address = Address.parse(table.warehouse or settings.warehouse)
    if own is not None and not table.warehouse:
        yield own
        return
    if address.scheme == "snowflake":
        source: Warehouse = SnowflakeWarehouse(snowflake_login(settings, address))
    else:
        path = address.path or str(settings.data_dir / "warehouse.duckdb")
        source = DuckDbWarehouse(path, read_only=True)
    try:
        yield source
    finally:
        source.close()


def batch_of(rows: pa.Table, feed: Feed, reference: Reference) -> FileBatch:
    """The rows by the feed's map or file dialect. Raises FileRefused or ReconcileError when they do not fit."""
    return batch_of_table(rows, feed, read_map(feed.map), reference, _dialect(feed))


def kept_rows(own: Warehouse, feed: Feed, called: str, reference: Reference) -> Normalised | None:
    """What the rows of one reading, by its name, say by the map and reference data of now, from what is kept of them.

    They have the ids and the time of receipt they had. None where nothing is kept. Raises like `batch_of`.
    """
    rows = own.query(_KEPT, {"feed": feed.name, "session": f"{feed.name}/{called}"})
    raws: list[bytes] = rows["raw"].to_pylist()
    if not raws or not all(raws):
        return None
    batch = batch_of_text(delimited_again(raws), called, feed, read_map(feed.map), reference, _dialect(feed))
    return _settled(own, feed, received_at(batch.normalised, rows["recv_ts"].cast(pa.int64())[0].as_py()))


def _dialect(feed: Feed) -> FileDialect | None:
    return file_dialect(feed.dialect) if is_file_dialect(feed.dialect) else None


def _settled(own: Warehouse, feed: Feed, normalised: Normalised) -> Normalised:
    """Without rows of reference data that contradict what is known, as for files."""
    if feed.contents != "reference":
        return normalised
    return without_contradictions(normalised, {name: own.query(f"SELECT * FROM {name}") for name in normalised.facts})


def whole_table(settings: Settings, feed: Feed, reference: Reference) -> FileBatch:
    """Every row the feed's table has now. Raises like `opened` and `batch_of`."""
    table = _table(feed)
    with opened(settings, table) as source:
        return batch_of(read_table(source, table), feed, reference)


def pull(
    settings: Settings, own: Warehouse, feed: Feed, reference: Reference, execution: str, as_of: int,
    after: str | None, until: str | None,
) -> Counts:  # fmt: skip
    """Store what the feed's table has between two watermarks and was not received before; says what became of it.

    A second call with the same execution stores nothing. `as_of` (UTC ns) is when the rows count as received.
    """
    table = _table(feed)
    with opened(settings, table, own) as source:
        rows = read_table(source, table, after, until)
    prepare(own)
    fresh = new_rows(own, rows, feed, execution)
    if fresh.num_rows:
        told = received_at(batch_of(fresh, feed, reference).normalised, as_of)
        counts = store(own, _settled(own, feed, told), execution)
    else:
        counts = Counts(0, 0, 0, 0, 0, 0)
    if not own.query(_READ, {"execution": execution, "feed": feed.name}).num_rows:
        read = {
            "execution": execution, "feed": feed.name, "name": table.name, "after_mark": after, "until_mark": until,
            "window_rows": rows.num_rows, "new_rows": fresh.num_rows, "read_at": as_of,
        }  # fmt: skip
        own.append("table_read", pa.Table.from_pylist([read], schema=arrow_schema(TABLE_READ)))
    return counts


def last_read(own: Warehouse, feed: Feed) -> tuple[str | None, int]:
    """The newest watermark read of the feed's table, and how many rows the last reading saw."""
    rows = own.query(_LAST, {"feed": feed.name}).to_pylist()
    return (rows[0]["until_mark"], int(rows[0]["window_rows"])) if rows else (None, -1)


def _table(feed: Feed) -> TableSource:
    if feed.table is None:
        raise PermanentError(f"feed {feed.name}: the settings name no table")
    return feed.table
