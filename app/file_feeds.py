"""Files of feeds that the service took in: read from the archive, stored once as facts, each with a manifest row."""

import logging
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from app.paths import DataDir
from app.reconcile_folder import read_with_places, refused_object
from app.reconcile_inputs import read_map
from app.settings import Settings
from domain.errors import TransientError
from domain.schema import TABLES, arrow_schema
from ingest.feeds import Feed
from ingest.files.archive import FileArchive, Receipt
from ingest.files.manifest import LOADED, REPEATED, FileEntry, manifest_table
from ingest.normalise import QUARANTINE_SCHEMA, Normalised
from ingest.normalise_reference import Reference
from ingest.reference_conflicts import without_contradictions
from ingest.store import Counts, counts_of, store
from ingest.tables import received_at
from warehouse.port import Warehouse

logger = logging.getLogger(__name__)

KIND = "file"
# The lane of rows that came in files; no stream has one of such a name.
LANE = "file:"
_DAY_NS = 86_400 * 1_000_000_000
_READ = "SELECT name, file_id FROM file_manifest WHERE feed = :feed"
_KNOWN = "SELECT name, status FROM file_manifest WHERE feed = :feed AND file_id = :file ORDER BY name"


def archive_of(settings: Settings) -> FileArchive:
    """The files this installation received."""
    return FileArchive(DataDir(settings.data_dir).files)


def unread(archive: FileArchive, warehouse: Warehouse, feed: str) -> list[Receipt]:
    """Files of the feed that were received and that no execution has read, oldest first."""
    read = {(row["name"], row["file_id"]) for row in warehouse.query(_READ, {"feed": feed}).to_pylist()}
    return [one for one in archive.receipts(feed) if (one.called, one.sha256) not in read]


def let_files_go(settings: Settings, warehouse: Warehouse, now_ns: int) -> int:
    """Delete the bytes of files that were read, where their feed's retention class says so; returns how many.

    That they came stays known, and what they told stays in the warehouse.
    """
    archive, gone = archive_of(settings), 0
    for feed in archive.feeds() if settings.archive.keep_days else []:
        days = settings.archive.days(feed)
        if days is not None:
            read = warehouse.query(_READ, {"feed": feed})
            gone += archive.let_go(feed, now_ns - days * _DAY_NS, set(read["file_id"].to_pylist()))
    return gone


def take_file(
    settings: Settings, warehouse: Warehouse, feed: Feed, reference: Reference, task: dict[str, object]
) -> Counts:
    """Store what one received file tells; says what became of its rows.

    `task` names it: `called`, `file` (SHA-256), `size`, `refused`, `as_of` (when it counts as received, UTC ns) and
    `execution`. A second call stores nothing; nor does the content of a file of this feed that was loaded before. A
    file that cannot be used is one row in quarantine. Raises PermanentError when the archive does not hold it.
    """
    execution, called, digest = str(task["execution"]), str(task["called"]), str(task["file"])
    size, as_of = int(str(task["size"])), int(str(task["as_of"]))
    known = {
        row["name"]: row["status"] for row in warehouse.query(_KNOWN, {"feed": feed.name, "file": digest}).to_pylist()
    }
    if called in known:
        return counts_of(warehouse, execution)
    first = next((name for name, status in known.items() if status == LOADED), None)
    if first is not None:
        told = f"the same content as {first}, not read again"
        again = manifest_table(
            [FileEntry(digest, feed.name, called, size, 0, REPEATED, detail=told, received_ns=as_of)]
        )
        warehouse.append("file_manifest", again)
        return counts_of(warehouse, execution)
    archive, refused = archive_of(settings), str(task.get("refused") or "")
    if refused:
        batch, entry = refused_object(feed, called, archive.head(feed.name, digest), size, digest, refused)
        return _stored(warehouse, feed, batch, entry, as_of, execution)
    data = archive.read(feed.name, digest)
    batch, entry = read_archived(warehouse, feed, called, data, reference)
    try:
        return _stored(warehouse, feed, batch, entry, as_of, execution)
    except (TransientError, MemoryError):
        raise
    except Exception as error:
        # One file that the warehouse refuses must not keep the feed; where it is the warehouse, this fails as well.
        logger.exception("a file cannot be stored", extra={"feed": feed.name, "run": execution})
        batch, entry = refused_object(feed, called, data, size, digest, not_stored(error))
        return _stored(warehouse, feed, batch, entry, as_of, execution)


def not_stored(error: Exception) -> str:
    """Why the warehouse does not take a file's rows, in one line."""
    return f"cannot be stored: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def read_archived(
    warehouse: Warehouse, feed: Feed, called: str, data: bytes, reference: Reference
) -> tuple[Normalised, pa.Table]:
    """The file read as `tieout reconcile` reads it, and its manifest row; where its quarantined rows stand is told."""
    batch, entry, places = read_with_places(feed, called, data, read_map(feed.map), reference)
    if feed.contents == "reference":
        known = {name: warehouse.query(f"SELECT * FROM {name}") for name in batch.facts}
        batch = without_contradictions(batch, known)
    return replace(batch, quarantine=_placed(batch.quarantine, places, called)), entry


def of_feed(normalised: Normalised, feed: Feed, at_ns: int) -> Normalised:
    """The same, received at `at_ns` (UTC) in the lane of this feed's files."""
    batch = received_at(normalised, at_ns)
    place = batch.messages.schema.get_field_index("lane")
    lanes = pa.repeat(pa.scalar(f"{LANE}{feed.name}"), batch.messages.num_rows)
    return replace(batch, messages=batch.messages.set_column(place, batch.messages.schema.field(place), lanes))


def came_at(entry: pa.Table, at_ns: int) -> pa.Table:
    """Manifest rows of files received at `at_ns` (UTC)."""
    schema = arrow_schema(TABLES["file_manifest"])
    moment = pa.repeat(pa.scalar(at_ns, pa.int64()), entry.num_rows).cast(schema.field("recv_time_utc").type)
    return entry.set_column(entry.schema.get_field_index("recv_time_utc"), schema.field("recv_time_utc"), moment)


def _stored(warehouse: Warehouse, feed: Feed, batch: Normalised, entry: pa.Table, as_of: int, execution: str) -> Counts:
    return store(warehouse, of_feed(batch, feed, as_of), execution, {"file_manifest": came_at(entry, as_of)})


def _placed(bad: pa.Table, places: dict[str, tuple[str, int | None]], called: str) -> pa.Table:
    """Quarantine rows with the file and the line they stand in."""
    if not bad.num_rows:
        return bad
    ids = bad["message_id"].to_pylist()
    lines = pa.array([places.get(name, (called, None))[1] for name in ids], QUARANTINE_SCHEMA.field("line").type)
    files = pa.repeat(pa.scalar(called), bad.num_rows)
    for name, values in (("file", files), ("line", pc.coalesce(bad["line"], lines))):
        place = bad.schema.get_field_index(name)
        bad = bad.set_column(place, QUARANTINE_SCHEMA.field(name), values)
    return bad
