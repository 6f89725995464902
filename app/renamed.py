"""Stored trades that named a stranger, read again once a person said who it is: a new version under the new name.

A mapping does not change what was received. Where the message of a live trade flagged I03 or I04 now names another
instrument or account, a version of the trade is added that corrects the identity and nothing else; it is known from
the time of the run that adds it, and matching takes it up as any other correction. Rows of files and tables are asked
for their name by what is stored of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from app.renamed_rows import EVIDENCE, named_now
from domain.ids import digest128
from ingest.feeds import Feed, feeds_by_session
from ingest.normalise import RawBatch
from ingest.normalise_reference import Reference
from ingest.originals import HERE, Originals
from ingest.poison import normalise_with_care
from matching.tables import prepare
from warehouse.port import Warehouse

MOST_AT_ONCE = 5_000
# A name given that no Match run has taken up.
_MAPPED = """
SELECT 1 AS one FROM match_decision d WHERE d.kind = 'NAMED'
  AND NOT EXISTS (SELECT 1 FROM execution_log x WHERE x.execution = d.execution) LIMIT 1
"""
_STRANGE = (
    "v.is_tip AND NOT v.held AND v.status <> 'CANCEL' AND (e.flags LIKE '%I03!_%' ESCAPE '!'"
    " OR e.flags LIKE '%I04!_%' ESCAPE '!')"
)
_TRADES = f"""
SELECT e.* FROM trade_event e JOIN match_version v ON v.record_id = e.record_id
WHERE {_STRANGE} ORDER BY e.record_id
"""
_MESSAGES = f"""
SELECT v.record_id, v.uid, m.message_id, m.raw, m.sha256, m.session, m.number, m.lane, m.recv_ts
FROM trade_event e JOIN match_version v ON v.record_id = e.record_id JOIN raw_message m ON m.message_id = e.message_id
WHERE {_STRANGE} ORDER BY v.record_id
"""
_ROWS = f"""
SELECT v.record_id, v.uid, m.session
FROM trade_event e JOIN match_version v ON v.record_id = e.record_id JOIN raw_message m ON m.message_id = e.message_id
WHERE {_STRANGE} ORDER BY v.record_id
"""
# The record that a message is read as is the first of its versions.
_VERSIONS = f"""
SELECT v.record_id, o.record_id AS first_id FROM match_version v JOIN trade_event e ON e.record_id = v.record_id
  JOIN match_version o ON o.root_id = v.root_id
WHERE {_STRANGE}
"""
# What says who and what it is; money and the settlement date follow from it where the quantity is as it was.
_IDENTITY = ("instrument_id", "account_id", "pb_id", "custodian_id", "strategy", "asset_class", "multiplier", "flags")
_FOLLOWS = ("gross_money", "net_money", "settle_date")

Row = Mapping[str, Any]


def mapped(warehouse: Warehouse) -> bool:
    """Whether somebody named a stranger since the last Match run."""
    return bool(warehouse.query(_MAPPED).num_rows)


def read_again(
    warehouse: Warehouse,
    feeds: Sequence[Feed],
    reference: Reference,
    *,
    execution: str,
    at_ns: int,
    originals: Originals = HERE,
) -> int:
    """Add a version of every live trade whose stranger has a name now; returns how many.

    A second call adds nothing: a version is known by the trade and the name it gives. `originals` has the bytes of
    which the warehouse let its copy go.
    """
    prepare(warehouse)
    stored = warehouse.query(_TRADES)
    place = {record: number for number, record in enumerate(stored["record_id"].to_pylist())}
    added = 0
    # One piece of the messages after the other: what they say takes far more memory than what is stored of it.
    pieces = _of_messages(warehouse, feeds, reference, originals)
    for pairs in chain(pieces, [_of_rows(warehouse, feeds, reference, stored)]):
        told = [(place[record], uid, read) for record, uid, read in pairs]
        added += _add(warehouse, stored, told, execution, at_ns)
    return added


def _of_messages(
    warehouse: Warehouse, feeds: Sequence[Feed], reference: Reference, originals: Originals
) -> Iterator[list[tuple[str, str, Row]]]:
    """Trades of FIX messages with what these say now: record, uid, and that; so many at a time."""
    sessions = feeds_by_session(feeds)
    messages = [row for row in _plain(warehouse.query(_MESSAGES)) if row["session"] in sessions]
    if not messages:
        return
    first: dict[str, list[str]] = {}
    for row in warehouse.query(_VERSIONS).to_pylist():
        first.setdefault(row["record_id"], []).append(row["first_id"])
    for start in range(0, len(messages), MOST_AT_ONCE):
        piece = messages[start : start + MOST_AT_ONCE]
        told = _told(originals.known(piece), sessions, reference)
        known = ((row, next((told[one] for one in first[row["record_id"]] if one in told), None)) for row in piece)
        yield [(row["record_id"], row["uid"], read) for row, read in known if read is not None]


def _of_rows(
    warehouse: Warehouse, feeds: Sequence[Feed], reference: Reference, stored: pa.Table
) -> list[tuple[str, str, Row]]:
    """Trades of files and tables with whom they name now: record, uid, and that.

    A feed may have both, files and a session: what came of a message tells, not its feed.
    """
    parties, sessions = {feed.name: feed.party for feed in feeds}, feeds_by_session(feeds)
    rows = warehouse.query(_ROWS).to_pylist()
    uids = {row["record_id"]: row["uid"] for row in rows if row["session"] not in sessions}
    names = dict.fromkeys(("record_id", "feed", "qty", *_IDENTITY, *_FOLLOWS, *EVIDENCE))
    return [
        (row["record_id"], uids[row["record_id"]], {**row, **named_now(row, parties[row["feed"]], reference)})
        for row in stored.select([*names]).to_pylist()
        if row["record_id"] in uids and row["feed"] in parties
    ]


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    nanoseconds = table["recv_ts"].cast(pa.timestamp("ns")).cast(pa.int64())
    rows: list[dict[str, Any]] = table.set_column(
        table.column_names.index("recv_ts"), "recv_ts", nanoseconds
    ).to_pylist()
    return rows


def _told(rows: Sequence[Row], feeds: Mapping[str, Feed], reference: Reference) -> dict[str, Row]:
    """What the messages say now, by record id."""
    once = list({row["message_id"]: row for row in rows}.values())
    if not once:
        return {}
    batch = RawBatch(
        messages=[row["raw"] for row in once],
        message_ids=[row["message_id"] for row in once],
        numbers=[row["number"] for row in once],
        lane=once[0]["lane"],
        sessions=[row["session"] for row in once],
        recv_ts=pa.array([row["recv_ts"] for row in once], pa.int64()).to_numpy(),
        feeds=[feeds[row["session"]] for row in once],
    )
    trades = normalise_with_care(batch, reference).trades.select(["record_id", "qty", *_IDENTITY, *_FOLLOWS])
    return {row["record_id"]: row for row in trades.to_pylist()}


def _add(
    warehouse: Warehouse, stored: pa.Table, pairs: Sequence[tuple[int, str, Row]], execution: str, at_ns: int
) -> int:
    names = stored.select(["record_id", "instrument_id", "account_id", "qty", *_FOLLOWS]).to_pylist()
    fresh = []
    for place, uid, read in pairs:
        old = names[place]
        if (old["instrument_id"], old["account_id"]) != (read["instrument_id"], read["account_id"]):
            new_id = digest128("renamed", old["record_id"], read["instrument_id"], read["account_id"])
            money = read if old["qty"] == read["qty"] else old
            fresh.append((place, uid, new_id, {**read, **{name: money[name] for name in _FOLLOWS}}))
    known = set(_known(warehouse, [new_id for _, _, new_id, _ in fresh]))
    fresh = [one for one in fresh if one[2] not in known]
    if not fresh:
        return 0
    rows = stored.take([place for place, *_ in fresh])
    old_ids = rows["record_id"].to_pylist()
    new_ids = [new_id for _, _, new_id, _ in fresh]
    count = len(fresh)
    values: dict[str, Any] = {name: [read[name] for *_, read in fresh] for name in (*_IDENTITY, *_FOLLOWS)}
    values |= {
        "record_id": new_ids,
        "event_key": [digest128("renamed event", new_id) for new_id in new_ids],
        "trade_uid": [uid for _, uid, _, _ in fresh],
        "prev_uid": [None] * count,
        "status": ["CORRECT"] * count,
        "recv_time_utc": [at_ns] * count,
        "execution": [execution] * count,
    }  # fmt: skip
    for name, column in values.items():
        index = rows.column_names.index(name)
        kind = rows.schema.field(index).type
        array = pa.array(column, pa.int64()).cast(kind) if name == "recv_time_utc" else pa.array(column, kind)
        rows = rows.set_column(index, name, array)
    with warehouse.transaction():
        for table in ("trade_fee", "trade_identifier"):
            _copy(warehouse, table, dict(zip(old_ids, new_ids, strict=True)))
        warehouse.append("trade_event", rows)
    return count


def _known(warehouse: Warehouse, ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    places = ", ".join(f":id{number}" for number in range(len(ids)))
    sql = f"SELECT record_id FROM trade_event WHERE record_id IN ({places})"
    found: list[str] = warehouse.query(sql, {f"id{number}": one for number, one in enumerate(ids)})[
        "record_id"
    ].to_pylist()
    return found


def _copy(warehouse: Warehouse, table: str, renamed: Mapping[str, str]) -> None:
    """What belongs to a trade belongs to its new version."""
    places = ", ".join(f":id{number}" for number in range(len(renamed)))
    params = {f"id{number}": one for number, one in enumerate(renamed)}
    rows = warehouse.query(f"SELECT * FROM {table} WHERE record_id IN ({places})", params)
    if rows.num_rows:
        ids = pa.array([renamed[one] for one in rows["record_id"].to_pylist()], rows["record_id"].type)
        warehouse.append(table, rows.set_column(rows.column_names.index("record_id"), "record_id", ids))
