"""Objects of a landing zone as rows of a lake: one object is read as the service reads that file, and given back."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.reconcile_folder import read_object
from app.reconcile_inputs import read_map
from app.reconcile_match import merge
from domain.schema import TABLES, arrow_schema
from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.files.csv_map import CsvMap
from ingest.files.file_dialect import FileDialect, file_dialect, is_file_dialect
from ingest.normalise import Normalised
from ingest.normalise_reference import Reference, build_reference, extended
from ingest.reference_conflicts import without_contradictions
from ingest.reference_rows import FED

MANIFEST = "file_manifest"
_CORE = ("raw_message", "quarantine", "trade_event", "trade_fee", "trade_identifier")
_FACTS = (
    "position_snapshot", "cash_entry", "settlement_status", "affirmation", "acknowledgement", "sequence_gap", *FED,
)  # fmt: skip
# The manifest is last: an object that is in it is in the lake whole.
LAKE = (*_CORE, *_FACTS, MANIFEST)
KIND = "kind"
# What tells a row of the lake from any other: the object, the message in it, the row of that message.
KEYS = ("src_file", "src_number", "src_row")
DAY = "src_day"
# When the object was written, in the manifest: UTC nanoseconds.
SEEN = "seen_ns"
_ROWS_A_BATCH = 5_000
_BASE = ("account_map", "identifier_history", "instrument", "calendar_override")


class LandingError(Exception):
    """The landing zone does not fit the settings; the text is one line for the person who runs the job."""


@dataclass(frozen=True, slots=True)
class Told:
    """A feed with what its settings name: the column map and the file dialect, read already."""

    feed: Feed
    mapping: CsvMap
    dialect: FileDialect | None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a worker must know to read objects; small, and plain enough to be sent to it.

    `tables` are reference tables as Arrow streams, `fed` those that reference feeds brought.
    """

    feeds: Mapping[str, Told]
    dialects: Mapping[str, Dialect]
    tables: Mapping[str, bytes]
    fed: Mapping[str, bytes] = field(default_factory=dict)

    def reference(self) -> Reference:
        """The reference data, built anew."""
        known = [unpacked(self.tables[name]) if name in self.tables else None for name in _BASE]
        found = build_reference(self.dialects, *known)
        return extended(found, {name: unpacked(rows) for name, rows in self.fed.items()}) if self.fed else found


def told(feed: Feed) -> Told:
    """The feed with its map and dialect. Raises ReconcileError, FileRefused or PermanentError for wrong ones."""
    dialect = file_dialect(feed.dialect) if is_file_dialect(feed.dialect) else None
    return Told(feed, read_map(feed.map), dialect)


def packed(table: pa.Table) -> bytes:
    """The table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def unpacked(stream: bytes) -> pa.Table:
    """The table of an Arrow stream."""
    return pa.ipc.open_stream(stream).read_all()


def claims(names: Iterable[str], feeds: Sequence[Feed]) -> dict[str, str]:
    """Object name (relative to the landing zone) to the feed whose `path_glob` it matches; others are left out.

    Raises LandingError when two feeds claim one object.
    """
    patterns = [(feed.name, _pattern(feed.path_glob)) for feed in feeds if feed.path_glob is not None]
    found: dict[str, str] = {}
    for name in names:
        mine = [feed for feed, pattern in patterns if pattern.fullmatch(name)]
        if len(mine) > 1:
            raise LandingError(f"feeds: {mine[0]!r} and {mine[1]!r}: path_glob: both claim {name}")
        if mine:
            found[name] = mine[0]
    return found


def _pattern(glob: str) -> re.Pattern[str]:
    """As `Path.glob` understands it: `*` stays inside a folder, `**` is any number of folders."""
    parts = [part for part in glob.split("/") if part not in ("", ".")]
    text = ""
    for part in parts:
        if part == "**":
            text += "(?:[^/]+/)*"
            continue
        # fnmatch's own text for one part of a path, with `any character` kept inside the folder.
        inner = fnmatch.translate(part).removeprefix("(?s:").removesuffix(")\\Z")
        text += re.sub(r"(?<!\\)\.", "[^/]", inner) + "/"
    return re.compile(text.removesuffix("/"), re.DOTALL)


def read(knowledge: Knowledge, reference: Reference, feed: str, name: str, data: bytes, seen_ns: int) -> "Lake":
    """One object as the service reads it; what tells no time of receipt was received at `seen_ns` (UTC)."""
    how = knowledge.feeds[feed]
    normalised, manifest = read_object(how.feed, name, data, how.mapping, reference, how.dialect)
    return lake_of(name, normalised, manifest, seen_ns)


def read_reference(
    knowledge: Knowledge, objects: Sequence[tuple[str, str, bytes, int]]
) -> tuple[Knowledge, list["Lake"]]:
    """Objects of reference feeds (feed, name, data, time) in feed order; what is known with them, and their rows.

    Of what contradicts each other inside a feed, or what is known, nothing counts, as everywhere in Tieout.
    """
    lakes: list[Lake] = []
    known = {name: unpacked(rows) for name, rows in knowledge.tables.items()}
    fed: dict[str, pa.Table] = {}
    reference = knowledge.reference()
    for feed in dict.fromkeys(feed for feed, *_ in objects):
        how = knowledge.feeds[feed]
        mine = [(name, data, seen_ns) for of, name, data, seen_ns in objects if of == feed]
        parts = [read_object(how.feed, name, data, how.mapping, reference, how.dialect) for name, data, _ in mine]
        told_here = without_contradictions(merge([part for part, _ in parts]), known)
        for table, rows in told_here.facts.items():
            rows = rows.drop_columns(["message_id"])
            fed[table] = _more(fed.get(table), rows)
            known[table] = _more(known.get(table), rows)
        reference = extended(reference, told_here.facts)
        for (name, _, seen_ns), (part, manifest) in zip(mine, parts, strict=True):
            ids = part.messages["message_id"].combine_chunks()
            lakes.append(lake_of(name, _of(told_here, ids), manifest, seen_ns))
    return replace(knowledge, fed={name: packed(rows) for name, rows in fed.items()}), lakes


def _more(known: pa.Table | None, rows: pa.Table) -> pa.Table:
    return rows if known is None else pa.concat_tables([known.select(rows.column_names).cast(rows.schema), rows])


def _of(batch: Normalised, ids: pa.Array) -> Normalised:
    """The part of the batch that came with the given messages; reference data brings no trades."""

    def mine(rows: pa.Table) -> pa.Table:
        return rows.filter(pc.is_in(rows["message_id"], ids))

    facts = {name: mine(rows) for name, rows in batch.facts.items()}
    return replace(batch, messages=mine(batch.messages), quarantine=mine(batch.quarantine), facts=facts)


@dataclass(frozen=True, slots=True)
class Lake:
    """What one object brings, by lake table, with the columns that tell its rows apart."""

    tables: Mapping[str, pa.Table]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in one shape (`WIDE`): the kind, the keys, and one structure per table, empty but for its own."""
        for kind, rows in self.tables.items():
            if not rows.num_rows:
                continue
            rows = rows.combine_chunks()
            own = pa.StructArray.from_arrays(
                [_chunk(rows[name]) for name in LAKE_SCHEMAS[kind].names], fields=list(LAKE_SCHEMAS[kind])
            )
            columns = {KIND: pa.repeat(pa.scalar(kind), rows.num_rows)} | {n: _chunk(rows[n]) for n in (*KEYS, DAY)}
            columns |= {name: own if name == kind else pa.nulls(rows.num_rows, WIDE.field(name).type) for name in LAKE}
            whole = pa.Table.from_arrays([columns[name] for name in WIDE.names], schema=WIDE)
            yield from whole.to_batches(max_chunksize=_ROWS_A_BATCH)


def lake_of(name: str, normalised: Normalised, manifest: pa.Table, seen_ns: int) -> Lake:
    """Rows of the lake for what was read of one object. A row's day is its trade date, else that of its object."""
    trades = normalised.trades
    stated = manifest["business_date"][0].as_py() if manifest.num_rows else None
    seen = pa.scalar(seen_ns, pa.int64()).cast(pa.timestamp("ns")).cast(pa.timestamp("s"), safe=False)
    day = pa.scalar(stated or seen.as_py().date(), pa.date32())
    numbers, days = _numbers(trades["message_id"]), _chunk(trades["trade_date"])
    tables = {"trade_event": _keyed("trade_event", trades, name, numbers, days)}
    for kind, rows in (("trade_fee", normalised.fees), ("trade_identifier", normalised.identifiers)):
        # They belong to the first message that brought their record.
        first = pc.index_in(_chunk(rows["record_id"]), _chunk(trades["record_id"]))
        tables[kind] = _keyed(kind, rows, name, numbers.take(first), days.take(first))
    for kind, rows in (
        ("raw_message", normalised.messages), ("quarantine", normalised.quarantine), *normalised.facts.items(),
    ):  # fmt: skip
        at = _numbers(rows["message_id"])
        tables[kind] = _keyed(kind, _received(rows, seen_ns), name, at, pa.repeat(day, rows.num_rows))
    entries = manifest.append_column(SEEN, pa.repeat(pa.scalar(seen_ns, pa.int64()), manifest.num_rows))
    nought = pa.repeat(pa.scalar(0, pa.int64()), manifest.num_rows)
    tables[MANIFEST] = _keyed(MANIFEST, entries, name, nought, pa.repeat(day, manifest.num_rows))
    return Lake(tables)


def normalised_of(tables: Mapping[str, pa.Table]) -> tuple[Normalised, pa.Table]:
    """What was read of one object, from its rows in the lake, in the order they were read; and its manifest."""

    def rows(kind: str, extra: str | None = None) -> pa.Table:
        schema = _product_schema(kind, extra)
        table = tables.get(kind)
        if table is None or not table.num_rows:
            return schema.empty_table()
        table = table.sort_by([("src_number", "ascending"), ("src_row", "ascending")])
        return pa.Table.from_arrays([table[f.name].cast(f.type) for f in schema], schema=schema)

    facts = {kind: rows(kind, "message_id") for kind in _FACTS if kind in tables and tables[kind].num_rows}
    core = {kind: rows(kind) for kind in _CORE}
    return Normalised(
        core["trade_event"], core["trade_fee"], core["trade_identifier"], core["raw_message"], core["quarantine"], facts
    ), rows(MANIFEST)


def execution_of(tenant: str, name: str, file_id: str) -> str:
    """The name an object's facts are stored under: the same object, the same name."""
    return sha256("|".join(("lake", tenant, name, file_id)).encode()).hexdigest()[:40]


def split(rows: pa.Table) -> dict[str, pa.Table]:
    """Rows in one shape as tables by kind."""
    found: dict[str, pa.Table] = {}
    for kind in pc.unique(rows[KIND]).to_pylist():
        mine = rows.filter(pc.equal(rows[KIND], kind))
        own = _chunk(mine[kind])
        columns = {name: _chunk(mine[name]) for name in KEYS} | {
            name: own.field(at) for at, name in enumerate(LAKE_SCHEMAS[kind].names)
        }
        found[kind] = pa.table(columns)
    return found


def _numbers(ids: pa.ChunkedArray) -> pa.Array:
    """Each message's number, from its id."""
    return _chunk(pc.replace_substring_regex(ids, "^.*:", "").cast(pa.int64()))


def _keyed(kind: str, table: pa.Table, name: str, numbers: pa.Array, day: pa.Array) -> pa.Table:
    """The table with its keys; a row's place counts the rows of its message, in order."""
    at = numbers.to_numpy(zero_copy_only=False)
    order = np.argsort(at, kind="stable")
    starts = np.flatnonzero(np.diff(at[order], prepend=-1))
    places = np.empty(len(at), dtype=np.int64)
    places[order] = np.arange(len(at)) - np.repeat(starts, np.diff(starts, append=len(at)))
    keys = {
        "src_file": pa.repeat(pa.scalar(name), len(at)),
        "src_number": numbers,
        "src_row": pa.array(places),
        DAY: day,
    }
    return pa.table(keys | {field.name: _plain(table, field) for field in LAKE_SCHEMAS[kind]})


def _plain(table: pa.Table, wanted: pa.Field) -> pa.Array:
    if wanted.name not in table.column_names:
        return pa.nulls(table.num_rows, wanted.type)
    return _chunk(table[wanted.name].cast(wanted.type))


def _received(table: pa.Table, seen_ns: int) -> pa.Table:
    """Messages and quarantine that tell no time of receipt came with their object."""
    place = table.schema.get_field_index("recv_ts")
    if place < 0:
        return table
    field_ = table.schema.field(place)
    times = table["recv_ts"].cast(pa.int64())
    times = pc.if_else(pc.equal(times, 0), seen_ns, times).cast(field_.type)
    return table.set_column(place, field_, times)


def _chunk(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _lake_type(kind: pa.DataType) -> pa.DataType:
    # Spark and Iceberg keep microseconds; nanoseconds since 1970 are kept whole as a number.
    return pa.int64() if pa.types.is_timestamp(kind) else kind


def _product_schema(kind: str, extra: str | None = None) -> pa.Schema:
    schema = arrow_schema(TABLES[kind])
    return schema.append(pa.field(extra, pa.string())) if extra and extra not in schema.names else schema


def _schemas() -> dict[str, pa.Schema]:
    found = {}
    for kind in LAKE:
        schema = _product_schema(kind, "message_id" if kind in _FACTS else None)
        schema = schema.append(pa.field(SEEN, pa.int64())) if kind == MANIFEST else schema
        found[kind] = pa.schema([pa.field(f.name, _lake_type(f.type)) for f in schema])
    return found


LAKE_SCHEMAS: Mapping[str, pa.Schema] = _schemas()
WIDE = pa.schema(
    [
        pa.field(KIND, pa.string()), pa.field("src_file", pa.string()), pa.field("src_number", pa.int64()),
        pa.field("src_row", pa.int64()), pa.field(DAY, pa.date32()),
        *(pa.field(kind, pa.struct(list(schema))) for kind, schema in LAKE_SCHEMAS.items()),
    ]
)  # fmt: skip
