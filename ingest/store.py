"""Stores a normalised batch once: the same messages, or the same events told again, change nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.errors import PermanentError
from domain.schema import TABLES
from ingest.increments import with_increments
from ingest.normalise import DUPLICATE, FACT, Normalised
from ingest.reference_rows import fresh_rows, is_reference
from warehouse.port import Warehouse

# Keys of the batch at hand, so that the warehouse compares them; empty between batches.
_STAGE_DDL = "CREATE TABLE IF NOT EXISTS ingest_stage (execution VARCHAR NOT NULL, event_key VARCHAR NOT NULL)"
_STAGE_THERE = "SELECT 1 AS there FROM ingest_stage LIMIT 0"
_KNOWN_KEYS = """
SELECT DISTINCT s.event_key FROM ingest_stage s
WHERE s.execution = :execution AND EXISTS (
  SELECT 1 FROM trade_event t WHERE t.event_key = s.event_key AND t.trade_date BETWEEN :first AND :last)
"""
_KNOWN_RECORDS = """
SELECT f.record_id FROM {table} f
WHERE f.record_id IN (SELECT s.event_key FROM ingest_stage s WHERE s.execution = :execution)
"""
_CLEAR_STAGE = "DELETE FROM ingest_stage WHERE execution = :execution"
_KNOWN_MESSAGES = "SELECT message_id FROM raw_message WHERE session = :session AND number BETWEEN :first AND :last"
_COUNTS = "SELECT outcome, count(*) AS messages FROM raw_message WHERE execution = :execution GROUP BY outcome"


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages stored under one execution by effective outcome; `messages` is the sum of the others."""

    messages: int
    facts: int
    duplicates: int
    session: int
    quarantined: int
    ignored: int


def store(
    warehouse: Warehouse, normalised: Normalised, execution: str, beside: Mapping[str, pa.Table] | None = None
) -> Counts:
    """Append the batch in one transaction and say what became of its messages.

    A message already stored is skipped whole. A trade whose event key is known, from the warehouse or from earlier in
    the batch, is not stored again; nor is another fact whose record_id is known, nor a row of reference data whose
    identity and first day are. A message that brings nothing new is
    a DUPLICATE. The counts are read back by execution name, so running an execution again returns the same numbers.
    `beside` is rows of other tables that are appended with them.
    """
    put(warehouse, normalised, execution, beside)
    return counts_of(warehouse, execution)


def put(
    warehouse: Warehouse, normalised: Normalised, execution: str, beside: Mapping[str, pa.Table] | None = None
) -> Counts | None:
    """`store` that only says what became of this batch; None where some of it was stored before."""
    prepare(warehouse)
    with warehouse.transaction():
        known = _stored_messages(warehouse, normalised.messages)
        messages = _without(normalised.messages, "message_id", known)
        if len(known):
            normalised = _told_by(normalised, messages["message_id"])
        messages = _effective(messages, _append_facts(warehouse, normalised, execution))
        for table, rows in (
            ("raw_message", _executed(messages, execution)),
            ("quarantine", _executed(normalised.quarantine, execution)),
            *(beside or {}).items(),
        ):
            if rows.num_rows:
                warehouse.append(table, rows)
    return None if len(known) else _counted(messages["outcome"])


def store_again(warehouse: Warehouse, normalised: Normalised, execution: str) -> pa.Table:
    """Append the facts of messages that are stored already, inside the caller's transaction.

    Returns `message_id` and `outcome` of each message now, DUPLICATE where it brought nothing new.
    """
    mine = _told_by(normalised, normalised.messages["message_id"])
    return _effective(normalised.messages, _append_facts(warehouse, mine, execution)).select(["message_id", "outcome"])


def prepare(warehouse: Warehouse) -> None:
    """Make the scratch table of this room where absent; outside a transaction."""
    try:
        # Who only reads waits for nobody.
        warehouse.query(_STAGE_THERE)
    except PermanentError:
        warehouse.execute(_STAGE_DDL)


def _told_by(normalised: Normalised, messages: pa.ChunkedArray) -> Normalised:
    """What came of some of the messages."""
    return replace(
        normalised,
        trades=_with(normalised.trades, "message_id", messages),
        quarantine=_with(normalised.quarantine, "message_id", messages),
        facts={table: _with(rows, "message_id", messages) for table, rows in normalised.facts.items()},
    )


def _append_facts(warehouse: Warehouse, normalised: Normalised, execution: str) -> pa.ChunkedArray:
    """Store what is new of the facts; returns the ids of the messages that brought something."""
    trades = _kept(normalised.trades, _first_seen(warehouse, normalised.trades, execution))
    trades = with_increments(warehouse, trades, execution)
    others = {table: _new_records(warehouse, table, rows, execution) for table, rows in normalised.facts.items()}
    for table, rows in (
        ("trade_event", _executed(trades, execution)),
        ("trade_fee", _with(normalised.fees, "record_id", trades["record_id"])),
        ("trade_identifier", _with(normalised.identifiers, "record_id", trades["record_id"])),
        *((table, _executed(rows.drop_columns(["message_id"]), execution)) for table, rows in others.items()),
    ):
        if rows.num_rows:
            warehouse.append(table, rows)
    telling = [trades["message_id"], *(rows["message_id"] for rows in others.values())]
    return pa.chunked_array([chunk for column in telling for chunk in column.chunks], pa.string())


def _stored_messages(warehouse: Warehouse, messages: pa.Table) -> pa.ChunkedArray:
    sessions = messages.group_by("session").aggregate([("number", "min"), ("number", "max")]).to_pylist()
    found = [
        warehouse.query(
            _KNOWN_MESSAGES,
            {"session": row["session"], "first": row["number_min"], "last": row["number_max"]},
        )["message_id"]
        for row in sessions
    ]
    return pa.chunked_array([chunk for column in found for chunk in column.chunks], pa.string())


def _first_seen(warehouse: Warehouse, trades: pa.Table, execution: str) -> pa.ChunkedArray:
    """True for trades whose event key is neither stored nor earlier in this batch."""
    keys = trades["event_key"]
    if not len(keys):
        return pa.chunked_array([], pa.bool_())
    days = pc.min_max(trades["trade_date"]).as_py()
    warehouse.append("ingest_stage", _staged(execution, keys))
    parameters = {"execution": execution, "first": days["min"], "last": days["max"]}
    known = warehouse.query(_KNOWN_KEYS, parameters)["event_key"]
    warehouse.execute(_CLEAR_STAGE, {"execution": execution})
    first = np.zeros(len(keys), dtype=np.bool_)
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy()
    first[np.unique(codes, return_index=True)[1]] = True
    return pc.and_(pa.chunked_array([pa.array(first)]), pc.invert(pc.is_in(keys, known)))


def _new_records(warehouse: Warehouse, table: str, rows: pa.Table, execution: str) -> pa.Table:
    """The rows whose record_id is neither stored nor earlier in this batch; reference data as `fresh_rows` says."""
    if is_reference(table):
        return fresh_rows(warehouse, TABLES[table], rows)
    ids = rows["record_id"]
    if not len(ids):
        return rows
    warehouse.append("ingest_stage", _staged(execution, ids))
    known = warehouse.query(_KNOWN_RECORDS.format(table=table), {"execution": execution})["record_id"]
    warehouse.execute(_CLEAR_STAGE, {"execution": execution})
    first = np.zeros(len(ids), dtype=np.bool_)
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    first[np.unique(codes, return_index=True)[1]] = True
    return _kept(rows, pc.and_(pa.chunked_array([pa.array(first)]), pc.invert(pc.is_in(ids, known))))


def _effective(messages: pa.Table, with_new_facts: pa.ChunkedArray) -> pa.Table:
    """FACT becomes DUPLICATE where none of the message's trades and other facts was new."""
    told_before = pc.and_(
        pc.equal(messages["outcome"], FACT), pc.invert(pc.is_in(messages["message_id"], with_new_facts))
    )
    outcome = pc.if_else(told_before, DUPLICATE, messages["outcome"])
    return messages.set_column(messages.schema.get_field_index("outcome"), messages.schema.field("outcome"), outcome)


def _executed(table: pa.Table, execution: str) -> pa.Table:
    at = table.schema.get_field_index("execution")
    if at < 0:
        return table
    return table.set_column(at, table.schema.field(at), pa.repeat(pa.scalar(execution), table.num_rows))


def _with(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return _kept(table, pc.is_in(table[column], values)) if table.num_rows else table


def _without(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return _kept(table, pc.invert(pc.is_in(table[column], values))) if len(values) else table


def _kept(table: pa.Table, which: pa.ChunkedArray) -> pa.Table:
    """The rows that stay; nearly always all of them, and then none is copied."""
    return table if pc.all(which, min_count=0).as_py() else table.filter(which)


def _staged(execution: str, keys: pa.ChunkedArray) -> pa.Table:
    return pa.table({"execution": pa.repeat(pa.scalar(execution), len(keys)), "event_key": keys})


def counts_of(warehouse: Warehouse, execution: str) -> Counts:
    """What is stored under one execution."""
    rows = warehouse.query(_COUNTS, {"execution": execution}).to_pylist()
    return _counts({row["outcome"]: row["messages"] for row in rows})


def together(several: Sequence[Counts]) -> Counts:
    """The sum of what became of parts."""
    return Counts(*(sum(values) for values in zip(*map(astuple, several), strict=True)))


def _counted(outcomes: pa.ChunkedArray) -> Counts:
    counted = pc.value_counts(outcomes.combine_chunks())
    return _counts({row["values"]: row["counts"] for row in counted.to_pylist()})


def _counts(found: Mapping[str, int]) -> Counts:
    return Counts(
        messages=sum(found.values()),
        facts=found.get("FACT", 0),
        duplicates=found.get("DUPLICATE", 0),
        session=found.get("SESSION", 0),
        quarantined=found.get("QUARANTINE", 0),
        ignored=found.get("IGNORED", 0),
    )
