"""Poison: a batch that cannot be taken whole is split down to the messages at fault, which go to quarantine."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa

from domain.errors import PermanentError, TransientError
from ingest.normalise import MESSAGE_SCHEMA, QUARANTINE, QUARANTINE_SCHEMA, Normalised, RawBatch, joined, normalise
from ingest.normalise_hash import sha256_hex
from ingest.normalise_reference import Reference
from ingest.normalise_trades import FEE_SCHEMA, IDENTIFIER_SCHEMA, TRADE_SCHEMA
from ingest.quarantine import MALFORMED, READER_FAILED, quarantine_id
from ingest.store import Counts, counts_of, put, together
from ingest.suspects import LONE_DEATHS_MAX, Suspects
from warehouse.port import Warehouse

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_SHOWN_CHARS = 300
_TAKEN = "SELECT message_id FROM raw_message WHERE execution = :e"
_DEADLY = f"The process ended {LONE_DEATHS_MAX} times while it read this message."
# The world, the settings or the machine, not a message: splitting would only blame the innocent.
_NOT_THE_MESSAGE = (TransientError, MemoryError)


@dataclass(slots=True)
class _Blamed:
    """How many messages of one batch may be set aside before it is our own fault rather than theirs."""

    limit: int
    of: int
    found: int = 0

    def one_more(self, error: Exception | None) -> None:
        self.found += 1
        if self.found > self.limit:
            raise PermanentError(
                f"more than {self.limit} of {self.of} messages fail, so it is not the messages: {_said(error)}"
            ) from error


def take(
    warehouse: Warehouse, batch: RawBatch, reference: Reference, execution: str, *, suspects: Suspects, limit: int
) -> Counts:
    """Normalise and store a batch; what no message of it may prevent, none prevents.

    A message that makes reading or storing fail, or under which the process kept dying, becomes a quarantine row
    (`reader_failed`) with its bytes; the others are stored as if it had never been there. Running it again changes
    nothing. Raises TransientError as store and stream do, PermanentError for settings that are wrong, for a warehouse
    that takes nothing, and when more than `limit` messages of the batch would have to be set aside.
    """
    blamed = _Blamed(limit, len(batch.messages))
    known: set[str] = set()
    became: list[Counts | None] = []
    if suspects.died_before(execution):
        logger.warning("the process died while it read this range; it is read with care", extra={"run": execution})
        known = set(warehouse.query(_TAKEN, {"e": execution})["message_id"].to_pylist())
    try:
        for part in suspects.parts(execution, len(batch.messages)):
            mine = [n for n in range(part.first, part.last) if batch.message_ids[n] not in known]
            if part.deadly and mine:
                became.append(_quarantine(warehouse, chosen(batch, mine), reference, execution, _DEADLY, blamed))
            elif mine:
                of = batch if len(mine) == blamed.of else chosen(batch, mine)
                became += _store(warehouse, of, reference, execution, blamed)
    except Exception:
        suspects.forget(execution)
        raise
    fresh = [one for one in became if one is not None]
    # What was there before counts, too.
    return together(fresh) if fresh and len(fresh) == len(became) and not known else counts_of(warehouse, execution)


def normalise_with_care(batch: RawBatch, reference: Reference, limit: int | None = None) -> Normalised:
    """`normalise`, where a message that the reader fails on becomes a quarantine row instead of an exception.

    Raises PermanentError for settings that are wrong and when more than `limit` messages (None: any number) fail.
    """
    count = len(batch.messages)
    return _normalised(batch, reference, _Blamed(count if limit is None else limit, count))


def poisoned(batch: RawBatch, reference: Reference, error: Exception) -> Normalised:
    """The messages as quarantine rows that say what the warehouse answered when they were to be stored."""
    return set_aside(batch, reference, f"Storing failed: {_said(error)}")


def chosen(batch: RawBatch, positions: Sequence[int]) -> RawBatch:
    """The messages at these positions as a batch of their own."""

    def pick(column: Sequence[_T]) -> list[_T]:
        return [column[n] for n in positions]

    return replace(
        batch,
        messages=pick(batch.messages),
        message_ids=pick(batch.message_ids),
        numbers=pick(batch.numbers),
        sessions=pick(batch.sessions),
        recv_ts=np.asarray(batch.recv_ts, dtype=np.int64)[np.asarray(positions)],
        feeds=pick(batch.feeds),
        lines=pick(batch.lines) if batch.lines is not None else None,
        prefixes=pick(batch.prefixes) if batch.prefixes is not None else None,
    )


def set_aside(batch: RawBatch, reference: Reference, why: str) -> Normalised:
    """Every message of the batch as a quarantine row with its bytes, and nothing else."""
    rows = []
    for at, feed in enumerate(batch.feeds):
        spoken = reference.dialects.get(feed.dialect)
        rows.append(
            {
                "quarantine_id": quarantine_id(batch.message_ids[at], READER_FAILED),
                "message_id": batch.message_ids[at],
                "feed": feed.name,
                "recv_ts": int(batch.recv_ts[at]),
                "code": MALFORMED,
                "reason": READER_FAILED,
                "detail": why,
                "raw": batch.messages[at],
                "execution": "",
                "dialect": spoken.name if spoken else None,
                "dialect_version": spoken.version if spoken else None,
                "file": batch.file,
                "line": batch.lines[at] if batch.lines is not None else None,
            }
        )
    return Normalised(
        TRADE_SCHEMA.empty_table(),
        FEE_SCHEMA.empty_table(),
        IDENTIFIER_SCHEMA.empty_table(),
        _messages(batch),
        pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA),
    )


def _store(
    warehouse: Warehouse, batch: RawBatch, reference: Reference, execution: str, blamed: _Blamed
) -> list[Counts | None]:
    """Store the batch, in halves where the warehouse refuses it, in order: what comes first is known first."""
    normalised = _normalised(batch, reference, blamed)
    try:
        return [put(warehouse, normalised, execution)]
    except _NOT_THE_MESSAGE:
        raise
    except Exception as error:
        logger.warning("%d messages cannot be stored together: %s", len(batch.messages), _said(error))
        if len(batch.messages) == 1:
            why = f"Storing failed: {_said(error)}"
            return [_quarantine(warehouse, batch, reference, execution, why, blamed, error)]
        halves = (_store(warehouse, half, reference, execution, blamed) for half in _halves(batch))
        return [became for half in halves for became in half]


def _quarantine(
    warehouse: Warehouse,
    batch: RawBatch,
    reference: Reference,
    execution: str,
    why: str,
    blamed: _Blamed,
    error: Exception | None = None,
) -> Counts | None:
    blamed.one_more(error)
    # A warehouse that does not take this row either is what fails, not the message: its own error goes on.
    became = put(warehouse, set_aside(batch, reference, why), execution)
    logger.error("message %s goes to quarantine: %s", batch.message_ids[0], why)
    return became


def _normalised(batch: RawBatch, reference: Reference, blamed: _Blamed) -> Normalised:
    try:
        return normalise(batch, reference)
    except (*_NOT_THE_MESSAGE, PermanentError):
        raise
    except Exception as error:
        if len(batch.messages) == 1:
            blamed.one_more(error)
            logger.exception("message %s goes to quarantine", batch.message_ids[0])
            return set_aside(batch, reference, f"The reader failed: {_said(error)}")
    return joined([_normalised(half, reference, blamed) for half in _halves(batch)])


def _halves(batch: RawBatch) -> tuple[RawBatch, RawBatch]:
    middle, count = len(batch.messages) // 2, len(batch.messages)
    return chosen(batch, range(middle)), chosen(batch, range(middle, count))


def _said(error: Exception | None) -> str:
    text = " ".join(str(error).split())
    shown = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
    return shown if isinstance(error, PermanentError) else f"{type(error).__name__}: {shown}"


def _messages(batch: RawBatch) -> pa.Table:
    count = len(batch.messages)
    columns: dict[str, object] = {
        "message_id": batch.message_ids,
        "lane": [batch.lane] * count,
        "session": batch.sessions,
        "number": list(batch.numbers),
        "feed": [feed.name for feed in batch.feeds],
        "recv_ts": np.asarray(batch.recv_ts, dtype=np.int64),
        "sha256": sha256_hex(batch.messages),
        "length": [len(message) for message in batch.messages],
        "msg_type": [None] * count,
        "outcome": [QUARANTINE] * count,
        "raw": list(batch.messages),
        "execution": [""] * count,
    }
    arrays = [
        value if isinstance(value := columns[item.name], pa.Array) else pa.array(value, item.type)
        for item in MESSAGE_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=MESSAGE_SCHEMA)
