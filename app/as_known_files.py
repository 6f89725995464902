"""Files as they were known at a time: what was received later is left out, of every kind."""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from app.reconcile_inputs import ReconcileError
from ingest.normalise import Normalised
from ingest.reference_rows import KNOWN_AT

_ARRIVED = "recv_time_utc"
_IGNORED = "IGNORED"


def only_known(batch: Normalised, at_ns: int | None) -> tuple[Normalised, list[str]]:
    """The batch without what was received after `at_ns` (UTC), and what to tell; all of it without a time.

    Messages that brought nothing else count as ignored. Raises ReconcileError when no trade would be left.
    """
    if at_ns is None:
        return batch, []
    trades = _until(batch.trades, _ARRIVED, at_ns)
    if batch.trades.num_rows and not trades.num_rows:
        raise ReconcileError("--as-known-at: every trade in the files was received later than this")
    facts = {name: _until(rows, _ARRIVED, at_ns) for name, rows in batch.facts.items()}
    quarantine = _until(batch.quarantine, "recv_ts", at_ns)
    before = _messages([batch.trades, batch.quarantine, *batch.facts.values()])
    after = _messages([trades, quarantine, *facts.values()])
    ids = batch.messages["message_id"]
    lost = pc.and_(pc.is_in(ids, before), pc.invert(pc.is_in(ids, after)))
    at = batch.messages.schema.get_field_index("outcome")
    outcome = pc.if_else(lost, _IGNORED, batch.messages["outcome"])
    messages = batch.messages.set_column(at, batch.messages.schema.field(at), outcome)
    known = replace(batch, trades=trades, facts=facts, quarantine=quarantine, messages=messages)
    count = int(pc.sum(lost).as_py() or 0)
    told = f"{count:,} row{' was' if count == 1 else 's were'} received after --as-known-at and left out"
    return known, [told] if count else []


def known_files(manifest: pa.Table | None, at_ns: int | None) -> pa.Table | None:
    """The manifest's files that had been received by then."""
    return manifest if manifest is None or at_ns is None else _until(manifest, _ARRIVED, at_ns)


def _until(rows: pa.Table, column: str, at_ns: int) -> pa.Table:
    """Rows without a time of receipt were known all along; of reference data it is the time it was learnt."""
    column = KNOWN_AT if KNOWN_AT in rows.column_names else column
    if column not in rows.column_names:
        return rows
    later = pc.greater(rows[column].cast(pa.int64()), at_ns)
    return rows.filter(pc.invert(pc.fill_null(later, False)))


def _messages(tables: Iterable[pa.Table]) -> pa.Array:
    found = [chunk for rows in tables if "message_id" in rows.column_names for chunk in rows["message_id"].chunks]
    return pa.chunked_array(found, pa.string()).combine_chunks()
