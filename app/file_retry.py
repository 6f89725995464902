"""Quarantined rows of files and tables read again: the whole file from the archive, all rows of a reading of a table
from what is kept of them, by the dialects, maps and reference data of now."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.file_feeds import LANE, archive_of, came_at, not_stored, of_feed, read_archived
from app.reconcile_inputs import ReconcileError
from app.settings import Settings
from app.table_feeds import kept_rows
from domain.errors import PermanentError, TransientError
from domain.facts import QUARANTINE_RETRY
from domain.schema import arrow_schema
from ingest.feeds import Feed
from ingest.files.file_dialect import file_dialect
from ingest.files.manifest import LOADED
from ingest.normalise import Normalised
from ingest.normalise_reference import Reference
from ingest.reference_rows import KNOWN_AT, learnt
from ingest.retry import Selection, nanoseconds, still_held
from ingest.store import prepare, store, store_again
from ingest.tables import LANE as TABLE
from warehouse.port import Warehouse

logger = logging.getLogger(__name__)

Row = dict[str, Any]
_MINE = "SELECT quarantine_id FROM quarantine_retry WHERE execution = :execution"
FILE = """
SELECT file_id, status, recv_time_utc FROM file_manifest WHERE feed = :feed AND name = :name AND status <> 'REPEATED'
QUALIFY row_number() OVER (PARTITION BY feed, name ORDER BY recv_time_utc DESC, status) = 1
"""
_SCHEMA = arrow_schema(QUARANTINE_RETRY)
_MOVED = "the file's rows stand elsewhere now; this one was not found again"


def retry_files(
    settings: Settings, warehouse: Warehouse, reference: Reference, selection: Selection, *, execution: str, at_ns: int,
    only_healed: bool = False,
) -> None:  # fmt: skip
    """Read again what the selection's rows came in, store what can be read now, record what became of each.

    With `only_healed` nothing is recorded of rows that are refused as before. Each row once per execution. A file that
    could not be used at all is loaded whole where it can be used now.
    """
    held = [row for row in still_held(warehouse, selection) if row["lane"].startswith((LANE, TABLE))]
    done = set(warehouse.query(_MINE, {"execution": execution})["quarantine_id"].to_pylist())
    if held:
        prepare(warehouse)
        # A dialect of files may have been mended while the service runs.
        file_dialect.cache_clear()
    feeds = {feed.name: feed for feed in settings.feeds}
    stamp = {"retried_at": at_ns, "execution": execution, "only_healed": only_healed}
    held.sort(key=lambda row: (row["session"], row["number"]))
    for session, rows in groupby(held, key=lambda row: str(row["session"])):
        chosen = [row for row in rows if row["quarantine_id"] not in done]
        feed = feeds.get(chosen[0]["feed"]) if chosen else None
        if feed is None:
            continue
        try:
            again = _table_again if feed.source == "table" else _again
            again(settings, warehouse, reference, feed, session.removeprefix(f"{feed.name}/"), chosen, stamp)
        except (TransientError, MemoryError):
            raise
        except Exception as error:
            # One file that the warehouse refuses keeps no other; where it is the warehouse, this fails as well.
            logger.exception("a file cannot be stored", extra={"feed": feed.name, "run": execution})
            why = {"detail": not_stored(error)}
            _record(warehouse, [_told(row, {"reason": row["reason"], **why}, stamp) for row in chosen])


def _again(
    settings: Settings, warehouse: Warehouse, reference: Reference, feed: Feed, called: str, rows: Sequence[Row],
    stamp: Row,
) -> None:  # fmt: skip
    known = warehouse.query(FILE, {"feed": feed.name, "name": called}).to_pylist()
    try:
        data = archive_of(settings).read(feed.name, known[0]["file_id"]) if known else None
    except PermanentError as error:
        _record(warehouse, [_told(row, {"reason": "no_file", "detail": str(error)}, stamp) for row in rows])
        return
    if data is None:
        return
    batch, entry = read_archived(warehouse, feed, called, data, reference)
    batch = of_feed(batch, feed, nanoseconds(known[0]["recv_time_utc"]))
    batch = _learnt(batch, stamp)
    loads = entry["status"][0].as_py() == LOADED
    if loads and known[0]["status"] != LOADED:
        told = _retried([_told(row, {"outcome": "IGNORED"}, stamp) for row in rows])
        # What is stored of the file till now is the one row that stood for all of it.
        beside = {"file_manifest": came_at(entry, stamp["retried_at"]), "quarantine_retry": told}
        store(warehouse, batch, stamp["execution"], beside)
        return
    _settle(warehouse, batch, rows, stamp)


def _table_again(
    settings: Settings, warehouse: Warehouse, reference: Reference, feed: Feed, called: str, rows: Sequence[Row],
    stamp: Row,
) -> None:  # fmt: skip
    try:
        batch = kept_rows(warehouse, feed, called, reference)
    except (PermanentError, ReconcileError) as error:
        # The map does not fit what was read any more, or is no map.
        _record(warehouse, [_told(row, {"reason": row["reason"], "detail": str(error)}, stamp) for row in rows])
        return
    if batch is not None:
        _settle(warehouse, _learnt(batch, stamp), rows, stamp)


def _learnt(batch: Normalised, stamp: Row) -> Normalised:
    """A row of reference data is learnt when it can be read, not when its file came."""
    facts = {
        name: learnt(t, stamp["retried_at"]) if KNOWN_AT in t.column_names else t for name, t in batch.facts.items()
    }
    return replace(batch, facts=facts)


def _settle(warehouse: Warehouse, batch: Normalised, rows: Sequence[Row], stamp: Row) -> None:
    """Store what can be read of the rows now, and what became of each."""
    with warehouse.transaction():
        outcomes = store_again(warehouse, _only(batch, rows), stamp["execution"])
        became: dict[str, str] = dict(
            zip(outcomes["message_id"].to_pylist(), outcomes["outcome"].to_pylist(), strict=True)
        )
        refused = {row["message_id"]: row for row in batch.quarantine.to_pylist()}
        _record(warehouse, [_told(row, _found(row, became, refused), stamp) for row in rows])


def _found(row: Row, became: Mapping[str, str], refused: Mapping[str, Row]) -> Row:
    """What became of a held row: its outcome, or why it is refused still."""
    name = row["message_id"]
    if name in refused:
        return {part: refused[name][part] for part in ("reason", "detail", "dialect", "dialect_version")}
    if name in became:
        return {"outcome": became[name]}
    if set(became.values()) <= {"QUARANTINE"} and refused:
        # Nothing of the file can be read any more: what is told of it is told of its rows.
        return _found({**row, "message_id": min(refused)}, became, refused)
    # The file's own row, as of a column nobody knew, is gone once it is known; a row that is not found stays.
    return {"outcome": "IGNORED"} if row["number"] == 0 else {"reason": row["reason"], "detail": _MOVED}


def _only(batch: Normalised, rows: Sequence[Row]) -> Normalised:
    """The held messages alone, those whose bytes are the same; only what came of these is stored."""
    held = pa.table({"id": [row["message_id"] for row in rows], "raw": [row["raw"] for row in rows]})
    at = pc.index_in(batch.messages["message_id"], held["id"])
    raws = held["raw"].take(pc.fill_null(at, 0)).cast(batch.messages["raw"].type)
    same = pc.and_(pc.is_valid(at), pc.equal(batch.messages["raw"], raws))
    return replace(batch, messages=batch.messages.filter(same))


def _told(row: Row, became: Row, stamp: Row) -> Row:
    known = {"quarantine_id": row["quarantine_id"], "message_id": row["message_id"]}
    healed = "outcome" in became and became["outcome"] != "QUARANTINE"
    return {**known, "outcome": "QUARANTINE", **became, "healed": healed, **stamp}


def _retried(told: Sequence[Row]) -> pa.Table:
    kept = [row for row in told if row["healed"] or not row["only_healed"]]
    return pa.Table.from_pylist(kept, schema=_SCHEMA)


def _record(warehouse: Warehouse, told: Sequence[Row]) -> None:
    rows = _retried(told)
    if rows.num_rows:
        warehouse.append("quarantine_retry", rows)
