"""Stores a large tie-out's records run by run, each let go once it is stored, so that nothing is held twice."""

from collections import deque
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.reconcile_memory import give_back
from ingest.normalise import Normalised
from ingest.store import Counts, store
from warehouse.port import Warehouse

RUN_MESSAGES = 131_072
_Ints = npt.NDArray[np.int64]


def without_raw(messages: pa.Table) -> pa.Table:
    """Messages without their bytes; hash and length stay."""
    at = messages.schema.get_field_index("raw")
    nothing = pa.repeat(pa.scalar(b"", messages.schema.field(at).type), messages.num_rows)
    return messages.set_column(at, messages.schema.field(at), nothing)


def store_in_runs(warehouse: Warehouse, held: list[Normalised], execution: str, size: int = RUN_MESSAGES) -> Counts:
    """As `store` of the one batch in `held`, which is taken out of it, some messages at a time in their order."""
    runs = deque(_runs(held.pop(), size))
    while True:
        counts = store(warehouse, runs.popleft(), execution)
        give_back()
        if not runs:
            return counts


def _runs(batch: Normalised, size: int) -> list[Normalised]:
    """The batch cut by messages: what came of a message goes with it, and with a trade what belongs to it."""
    messages = batch.messages
    count = max(1, -(-messages.num_rows // size))
    if count == 1:
        return [batch]
    ids = messages["message_id"]
    trades = np.append(_places(batch.trades["message_id"], ids) // size, -1)
    trade_ids = batch.trades["record_id"]
    facts = {name: _cut(rows, _places(rows["message_id"], ids) // size, count) for name, rows in batch.facts.items()}
    columns = zip(
        _cut(batch.trades, trades[:-1], count),
        _cut(batch.fees, trades[_places(batch.fees["record_id"], trade_ids)], count),
        _cut(batch.identifiers, trades[_places(batch.identifiers["record_id"], trade_ids)], count),
        _cut(messages, np.arange(messages.num_rows) // size, count),
        _cut(batch.quarantine, _places(batch.quarantine["message_id"], ids) // size, count),
        strict=True,
    )
    return [
        Normalised(own, fees, identifiers, told, bad, {name: runs[at] for name, runs in facts.items()})
        for at, (own, fees, identifiers, told, bad) in enumerate(columns)
    ]


def _places(values: pa.ChunkedArray, among: pa.ChunkedArray) -> _Ints:
    """Where each value first is among the others, -1 where it is not."""
    found: _Ints = pc.fill_null(pc.index_in(values, among), -1).to_numpy().astype(np.int64)
    return found


def _cut(table: pa.Table, runs: _Ints, count: int) -> list[pa.Table]:
    """The table's rows of each run in their order, those of none (-1) left out; no copy where they are together."""
    if (np.diff(runs) < 0).any():
        order = np.argsort(runs, kind="stable")
        table, runs = table.take(pa.array(order)), runs[order]
    bounds = np.searchsorted(runs, np.arange(count + 1))
    return [table.slice(first, last - first) for first, last in pairwise(bounds.tolist())]
