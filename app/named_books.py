"""Positions and cash that named a stranger, told again once reference data says who or what it is.

What was received does not change: a row under its name by now stands in the place of the one before (`book_named`), as
if the name had been known when it came. Rows that could not be used without the name are read again from quarantine.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.file_feeds import archive_of, read_archived
from app.file_retry import FILE, retry_files
from app.reconcile_inputs import ReconcileError
from app.settings import Settings
from app.table_feeds import kept_rows
from domain.errors import PermanentError
from domain.facts import BOOK_NAMED
from domain.ids import digest128
from domain.schema import TABLES, arrow_schema
from ingest.feeds import Feed, feeds_by_session
from ingest.normalise import RawBatch
from ingest.normalise_reference import Reference
from ingest.originals import HERE, Originals
from ingest.poison import normalise_with_care
from ingest.retry import Selection, nanoseconds
from matching.levels.books import note_reference, reference_counts
from matching.tables import prepare
from warehouse.port import Warehouse

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Key = tuple[Any, ...]
# Reference data that gives names, and the reasons for which rows wait for it in quarantine.
NAMES = ("account_map", "identifier_history", "instrument")
REASONS = ("unknown_instrument", "unknown_account")
BOOKS = ("position_snapshot", "cash_entry")
_LEVEL = "names"
# Where nobody knew the security, its id is made of an identifier: `ISIN:US0378331005`.
_STRANGE = """
SELECT f.* FROM {table} f
WHERE (f.flags LIKE '%I03!_ID!_UNKNOWN%' ESCAPE '!' OR f.flags LIKE '%I04!_%' ESCAPE '!'
    OR f.instrument_id LIKE '%:%' OR f.account_id IN ({accounts}))
  AND f.record_id NOT IN (SELECT n.replaces FROM book_named n)
ORDER BY f.feed, f.file, f.record_id
"""
_ACCOUNTS = """
SELECT DISTINCT f.feed, f.account_id, f.pb_id FROM {table} f
WHERE f.record_id NOT IN (SELECT n.replaces FROM book_named n) ORDER BY 1, 2, 3
"""
_MESSAGES = """
SELECT m.message_id, m.raw, m.sha256, m.session, m.number, m.lane, m.recv_ts FROM raw_message m
WHERE m.feed = :feed AND m.sha256 = :sha256 ORDER BY m.message_id LIMIT 1
"""
_NAMED = ("account_id", "instrument_id", "pb_id", "flags")


def grown(warehouse: Warehouse) -> Mapping[str, int] | None:
    """How much there is of the reference data that names strangers, None where nothing came since `seen`."""
    prepare(warehouse)
    counts = reference_counts(warehouse, NAMES)
    kept = warehouse.query("SELECT name, n FROM match_reference WHERE level = :level", {"level": _LEVEL}).to_pylist()
    return None if {row["name"]: row["n"] for row in kept} == counts else counts


def seen(warehouse: Warehouse, counts: Mapping[str, int]) -> None:
    """Strangers were asked for their names by this much of the reference data."""
    with warehouse.transaction():
        note_reference(warehouse, _LEVEL, counts)


def name_books(
    settings: Settings, warehouse: Warehouse, reference: Reference, *, execution: str, at_ns: int,
    originals: Originals = HERE,
) -> int:  # fmt: skip
    """Tell stored rows again whose stranger has a name now; returns how many. A second call adds nothing."""
    added = 0
    for table in BOOKS:
        aliases = _renamed_accounts(settings, warehouse, reference, table)
        params = {f"a{n}": alias for n, alias in enumerate(aliases)}
        listed = ", ".join(f":{name}" for name in params) or "NULL"
        rows = warehouse.query(_STRANGE.format(table=table, accounts=listed), params)
        if rows.num_rows:
            named = dict(_named(settings, warehouse, reference, table, rows.to_pylist(), originals))
            added += _add(warehouse, table, rows, named, execution, at_ns)
    return added


def _renamed_accounts(settings: Settings, warehouse: Warehouse, reference: Reference, table: str) -> list[str]:
    """Accounts as rows have them that the account map calls otherwise by now, says the broker of, or should know."""
    party = {feed.name: feed.party for feed in settings.feeds}
    found = set()
    for row in warehouse.query(_ACCOUNTS.format(table=table)).to_pylist():
        whose = party.get(row["feed"], "")
        match = reference.account(whose, row["account_id"], None)
        named = match and (match.account_id != row["account_id"] or (match.pb_id and row["pb_id"] is None))
        if named or reference.is_unmapped(whose, row["account_id"], match):
            found.add(row["account_id"])
    return sorted(found)


def read_held(settings: Settings, warehouse: Warehouse, reference: Reference, *, execution: str, at_ns: int) -> None:
    """Rows of files that wait in quarantine for a name, read again; those refused as before are left as they are."""
    for reason in REASONS:
        retry_files(
            settings, warehouse, reference, Selection(reason=reason), execution=f"{execution}-{reason}", at_ns=at_ns,
            only_healed=True,
        )  # fmt: skip


def _named(
    settings: Settings, warehouse: Warehouse, reference: Reference, table: str, rows: Sequence[Row],
    originals: Originals,
) -> Iterator[tuple[str, Row]]:  # fmt: skip
    """Record id and what the row says by now, of rows that say something else."""
    feeds = {feed.name: feed for feed in settings.feeds}
    for (name, file), some in groupby(rows, key=lambda row: (row["feed"], row["file"])):
        feed, told = feeds.get(name), list(some)
        if feed is None:
            continue
        now: Mapping[Key, Row] = {}
        if feed.source == "table":
            now = _of_table(warehouse, reference, table, feed, file)
        elif file is not None and feed.session is None:
            now = _of_file(settings, warehouse, reference, table, feed, file)
        else:
            now = _of_messages(settings, warehouse, reference, table, feed, told, originals)
        for row in told:
            new = now.get(_key(row))
            if new is not None and any(new[part] != row[part] for part in _NAMED):
                yield row["record_id"], new


def _of_file(
    settings: Settings, warehouse: Warehouse, reference: Reference, table: str, feed: Any, file: str
) -> Mapping[Key, Row]:
    """The file's rows as they are read now; none where its bytes are gone."""
    known = warehouse.query(FILE, {"feed": feed.name, "name": file}).to_pylist()
    try:
        data = archive_of(settings).read(feed.name, known[0]["file_id"]) if known else None
    except PermanentError:
        data = None
    if data is None:
        return {}
    batch, _ = read_archived(warehouse, feed, file, data, reference)
    return {_key(row): row for row in _rows(batch.facts.get(table))}


def _of_table(warehouse: Warehouse, reference: Reference, table: str, feed: Feed, reading: str) -> Mapping[Key, Row]:
    """The rows of one reading of a table as they are read now; none where the map does not fit them any more."""
    try:
        batch = kept_rows(warehouse, feed, reading, reference)
    except (PermanentError, ReconcileError) as error:
        logger.warning("rows of a table stay as they are: %s", error, extra={"feed": feed.name})
        return {}
    return {_key(row): row for row in _rows(batch.facts.get(table) if batch is not None else None)}


def _of_messages(
    settings: Settings, warehouse: Warehouse, reference: Reference, table: str, feed: Any, told: Sequence[Row],
    originals: Originals,
) -> Mapping[Key, Row]:  # fmt: skip
    """What the messages of these rows say now."""
    sessions = feeds_by_session(settings.feeds)
    found: list[Row] = []
    for sha256 in sorted({row["raw_sha256"] for row in told}):
        rows = warehouse.query(_MESSAGES, {"feed": feed.name, "sha256": sha256}).to_pylist()
        found += [row for row in originals.known(rows) if row["session"] in sessions]
    if not found:
        return {}
    batch = RawBatch(
        messages=[row["raw"] for row in found],
        message_ids=[row["message_id"] for row in found],
        numbers=[row["number"] for row in found],
        lane=found[0]["lane"],
        sessions=[row["session"] for row in found],
        recv_ts=pa.array([nanoseconds(row["recv_ts"]) for row in found], pa.int64()).to_numpy(),
        feeds=[sessions[row["session"]] for row in found],
    )
    return {_key(row): row for row in _rows(normalise_with_care(batch, reference).facts.get(table))}


def _rows(facts: pa.Table | None) -> list[Row]:
    rows: list[Row] = facts.to_pylist() if facts is not None else []
    return rows


def _key(row: Row) -> Key:
    """What tells a row from the others of its file or message, whatever the names."""
    if row["file"] is not None:
        return row["file"], row["line"], row["raw_sha256"]
    return row["raw_sha256"], row.get("snapshot_type"), row.get("long_qty"), row.get("short_qty"), row.get("price")


def _add(
    warehouse: Warehouse, table: str, stored: pa.Table, named: Mapping[str, Row], execution: str, at_ns: int
) -> int:
    if not named:
        return 0
    old = [name for name in stored["record_id"].to_pylist() if name in named]
    rows = stored.filter(pc.is_in(stored["record_id"], pa.array(old)))
    told = [named[name] for name in old]
    new = [digest128("named", name, *(row[part] or "" for part in _NAMED)) for name, row in zip(old, told, strict=True)]
    own = [name for name in ("entry_uid",) if name in TABLES[table].columns]
    values = {name: [row[name] for row in told] for name in (*_NAMED, *own)}
    values |= {"record_id": new, "execution": [execution] * len(old)}
    for name, column in values.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array(column, rows.schema.field(place).type))
    stands = {"record_id": new, "replaces": old, "execution": values["execution"]}
    schema = arrow_schema(BOOK_NAMED)
    moments = pa.repeat(pa.scalar(at_ns, pa.int64()), len(old)).cast(schema.field("named_at").type)
    with warehouse.transaction():
        warehouse.append(table, rows)
        warehouse.append(BOOK_NAMED.name, pa.table({**stands, "named_at": moments}))
    return len(old)
