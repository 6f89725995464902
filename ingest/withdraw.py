"""Messages taken back: what they told leaves the facts again, their bytes go to quarantine with the reason.

For a message of whose facts nothing could be made. Afterwards it is what it would be had the reader refused it.
"""

from collections.abc import Collection

import pyarrow as pa

from domain.schema import KNOWN_BY_HASH
from ingest.normalise import QUARANTINE, QUARANTINE_SCHEMA
from ingest.quarantine import MALFORMED, MATCH_FAILED, quarantine_id
from warehouse.port import Warehouse

_IN = "IN (SELECT s.event_key FROM ingest_stage s WHERE s.execution = :execution)"
_TRADES = f"IN (SELECT t.record_id FROM trade_event t WHERE t.message_id {_IN})"
# Rows of positions and cash, under every name they were told by, came of one message.
_BOOKS = " UNION ALL ".join(
    f"SELECT f.record_id FROM {table} f JOIN raw_message m ON m.feed = f.feed AND m.sha256 = f.raw_sha256"
    f" WHERE m.message_id {_IN}"
    for table in ("position_snapshot", "cash_entry")
)
_STEPS = (
    f"DELETE FROM trade_fee WHERE record_id {_TRADES}",
    f"DELETE FROM trade_identifier WHERE record_id {_TRADES}",
    f"DELETE FROM trade_event WHERE message_id {_IN}",
    # Before the rows themselves: what is told again must not count as replaced.
    f"DELETE FROM book_named WHERE record_id IN ({_BOOKS}) OR replaces IN ({_BOOKS})",
    *(
        f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM raw_message m WHERE m.feed = {table}.feed"
        f" AND m.sha256 = {table}.raw_sha256 AND m.message_id {_IN})"
        for table in KNOWN_BY_HASH
    ),
    f"UPDATE raw_message SET outcome = '{QUARANTINE}' WHERE message_id {_IN}",
)
_MESSAGES = f"SELECT message_id, feed, recv_ts, raw FROM raw_message WHERE message_id {_IN}"
_CLEAR = "DELETE FROM ingest_stage WHERE execution = :execution"


def withdraw(warehouse: Warehouse, messages: Collection[str], why: str, *, execution: str) -> None:
    """Take back the facts of these messages and quarantine their bytes (`match_failed`), in the caller's transaction.

    `ingest.store.prepare` must have been called. Reading the quarantine again (`ingest.retry`) brings the facts back.
    """
    names = pa.array(sorted(messages), pa.string())
    warehouse.append("ingest_stage", pa.table({"execution": [execution] * len(names), "event_key": names}))
    held = warehouse.query(_MESSAGES, {"execution": execution})
    for step in _STEPS:
        warehouse.execute(step, {"execution": execution})
    warehouse.execute(_CLEAR, {"execution": execution})
    count = held.num_rows
    # Taken back once more after it had healed, a message is another row.
    ids = [quarantine_id(name, f"{MATCH_FAILED}|{execution}") for name in held["message_id"].to_pylist()]
    told = {"quarantine_id": ids} | {
        name: [value] * count
        for name, value in {
            "code": MALFORMED, "reason": MATCH_FAILED, "detail": why, "execution": execution,
        }.items()
    }  # fmt: skip
    columns = [
        held[item.name].cast(item.type)
        if item.name in held.column_names
        else pa.array(told.get(item.name, [None] * count), item.type)
        for item in QUARANTINE_SCHEMA
    ]
    warehouse.append("quarantine", pa.Table.from_arrays(columns, schema=QUARANTINE_SCHEMA))
