"""Quarantined messages read again: what the present dialects and reference data can read becomes a fact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from domain.errors import TransientError
from domain.facts import QUARANTINE_RETRY
from domain.schema import arrow_schema
from ingest.feeds import Feed
from ingest.normalise import QUARANTINE, Normalised, RawBatch
from ingest.normalise_reference import Reference
from ingest.originals import HERE, Originals
from ingest.poison import normalise_with_care, poisoned
from ingest.store import prepare, store_again
from warehouse.port import Warehouse

# A message may have been quarantined for one reason only; a retry that heals it settles every row it has.
_HEALED = "(SELECT 1 FROM quarantine_retry r WHERE r.quarantine_id = q.quarantine_id AND r.healed)"
_OPEN = f"""
SELECT q.quarantine_id, q.message_id, q.feed, q.recv_ts, q.code, q.reason, q.detail, q.raw, q.dialect,
  q.dialect_version, q.file, q.line, m.session, m.number, m.lane, m.outcome, m.sha256
FROM quarantine q JOIN raw_message m ON m.message_id = q.message_id
WHERE NOT EXISTS {_HEALED}
"""
_MINE = "SELECT quarantine_id FROM quarantine_retry WHERE execution = :execution"
_COUNTS = """
SELECT outcome, count(*) AS n FROM quarantine_retry WHERE execution = :execution GROUP BY outcome
"""
_RETRY_SCHEMA = arrow_schema(QUARANTINE_RETRY)


class Selection(BaseModel):
    """Which quarantined messages: beginnings of their ids, a reason, a feed; nothing given means all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...] = ()
    reason: str | None = None
    feed: str | None = None


@dataclass(frozen=True, slots=True)
class RetryCounts:
    """What became of the messages of one retry; `messages` is the sum of the others."""

    messages: int
    facts: int
    duplicates: int
    session: int
    quarantined: int
    ignored: int


def still_held(warehouse: Warehouse, selection: Selection) -> list[dict[str, Any]]:
    """The quarantined messages of a selection that were not healed yet, by time of receipt."""
    where, params = [""], {}
    if selection.reason is not None:
        where.append("q.reason = :reason")
        params["reason"] = selection.reason
    if selection.feed is not None:
        where.append("q.feed = :feed")
        params["feed"] = selection.feed
    if selection.ids:
        names = [f"id{n}" for n in range(len(selection.ids))]
        where.append("(" + " OR ".join(f"startswith(q.quarantine_id, :{name})" for name in names) + ")")
        params |= dict(zip(names, selection.ids, strict=True))
    sql = _OPEN + " AND ".join(where) + " ORDER BY q.recv_ts, q.quarantine_id"
    found: list[dict[str, Any]] = warehouse.query(sql, params).to_pylist()
    return found


def retry(
    warehouse: Warehouse,
    feeds: Mapping[str, Feed],
    reference: Reference,
    selection: Selection,
    *,
    execution: str,
    at_ns: int,
    originals: Originals = HERE,
) -> RetryCounts:
    """Read the selection again, store what can be read now, and record the outcome of each message.

    Each message once per execution: a second call with its name returns the same counts. A message that the reader or
    the warehouse fails on is refused again and keeps no other from being read. `feeds` are by session; `originals`
    has the bytes of which the warehouse let its copy go. Raises PermanentError where they are gone from there too.
    """
    prepare(warehouse)
    done = set(warehouse.query(_MINE, {"execution": execution})["quarantine_id"].to_pylist())
    held = still_held(warehouse, selection)
    rows = [row for row in held if row["session"] in feeds and row["quarantine_id"] not in done]
    if rows:
        _settle(warehouse, originals.filled(rows), feeds, reference, {"retried_at": at_ns, "execution": execution})
    counts = {row["outcome"]: row["n"] for row in warehouse.query(_COUNTS, {"execution": execution}).to_pylist()}
    return RetryCounts(
        messages=sum(counts.values()),
        facts=counts.get("FACT", 0),
        duplicates=counts.get("DUPLICATE", 0),
        session=counts.get("SESSION", 0),
        quarantined=counts.get(QUARANTINE, 0),
        ignored=counts.get("IGNORED", 0),
    )


def _settle(
    warehouse: Warehouse,
    rows: Sequence[Mapping[str, Any]],
    feeds: Mapping[str, Feed],
    reference: Reference,
    stamp: Mapping[str, Any],
) -> None:
    """Store what the rows' messages tell now, and what became of each; in halves where the warehouse refuses them."""
    normalised = normalise_with_care(_batch(rows, feeds), reference)

    def write(what: Normalised) -> None:
        with warehouse.transaction():
            outcomes = store_again(warehouse, what, stamp["execution"])
            told = [{**row, **stamp} for row in _told(rows, what, outcomes, feeds, reference)]
            warehouse.append("quarantine_retry", pa.Table.from_pylist(told, schema=_RETRY_SCHEMA))

    try:
        write(normalised)
    except (TransientError, MemoryError):
        raise
    except Exception as error:
        if len(rows) == 1:
            write(poisoned(_batch(rows, feeds), reference, error))
            return
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            _settle(warehouse, half, feeds, reference, stamp)


def _batch(rows: Sequence[Mapping[str, Any]], feeds: Mapping[str, Feed]) -> RawBatch:
    return RawBatch(
        messages=[row["raw"] for row in rows],
        message_ids=[row["message_id"] for row in rows],
        numbers=[row["number"] for row in rows],
        lane=rows[0]["lane"],
        sessions=[row["session"] for row in rows],
        recv_ts=np.array([nanoseconds(row["recv_ts"]) for row in rows], dtype=np.int64),
        feeds=[feeds[row["session"]] for row in rows],
    )


def nanoseconds(value: Any) -> int:
    """A time of the warehouse as nanoseconds since 1970."""
    return int(pa.scalar(value, pa.timestamp("ns")).value)


def _told(
    rows: Sequence[Mapping[str, Any]],
    normalised: Normalised,
    outcomes: pa.Table,
    feeds: Mapping[str, Feed],
    reference: Reference,
) -> list[dict[str, Any]]:
    refused = {row["message_id"]: row for row in normalised.quarantine.to_pylist()}
    outcome = dict(zip(outcomes["message_id"].to_pylist(), outcomes["outcome"].to_pylist(), strict=True))
    told = []
    for row in rows:
        message = row["message_id"]
        problem = refused.get(message, {})
        name = feeds[row["session"]].dialect
        known = reference.dialects.get(name)  # none where the dialect is chosen per message
        told.append(
            {
                "quarantine_id": row["quarantine_id"],
                "message_id": message,
                "healed": not problem,
                "outcome": outcome[message],
                "reason": problem.get("reason"),
                "detail": problem.get("detail"),
                "dialect": problem.get("dialect", name),
                "dialect_version": problem.get("dialect_version", known.version if known else None),
            }
        )
    return told
