"""Reference data that says two things of one: what is known stays, and rows that contradict are set aside."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.fields import Table
from domain.schema import TABLES
from ingest.normalise import QUARANTINE, QUARANTINE_SCHEMA, Normalised
from ingest.quarantine import MALFORMED, quarantine_id
from ingest.reference_rows import KNOWN_AT, is_reference, row_keys

REASON = "contradiction"
DETAIL = "says something else than another row of the same thing from the same day on; correct by a later valid_from"
_SEPARATOR = "\x1f"


def without_contradictions(batch: Normalised, known: Mapping[str, pa.Table]) -> Normalised:
    """The batch without the messages one of whose rows differs from the row `known` has of that thing and day.

    Rows of the batch that differ among each other are all set aside: nothing says which is right, and so the order of
    files does not matter. Each such message is a quarantine row with its bytes.
    """
    refused = sorted({name for table in batch.facts for name in _refused(batch, table, known.get(table))})
    if not refused:
        return batch
    wrong = pa.array(refused, pa.string())
    gone = pc.is_in(batch.messages["message_id"], wrong)
    outcome = pc.if_else(gone, QUARANTINE, batch.messages["outcome"])
    at = batch.messages.schema.get_field_index("outcome")
    return replace(
        batch,
        messages=batch.messages.set_column(at, batch.messages.schema.field(at), outcome),
        quarantine=pa.concat_tables([batch.quarantine, _quarantined(batch.messages.filter(gone))]),
        facts={name: rows.filter(pc.invert(pc.is_in(rows["message_id"], wrong))) for name, rows in batch.facts.items()},
    )


def contradicting(table: Table, rows: pa.Table, known: pa.Table | None) -> npt.NDArray[np.bool_]:
    """Which rows say something else than the known row of the same thing from the same day on, or than each other.

    Where one is known, only what differs from it contradicts; else all of a thing's rows that are not the same.
    Columns that `rows` lacks are not held against what is known.
    """
    mine = rows.select([name for name in table.columns if name in rows.column_names and name != KNOWN_AT])
    both = pa.concat_tables([known.select(mine.column_names).cast(mine.schema), mine]) if known is not None else mine
    texts = [row_keys(table, rows)] if known is None else [row_keys(table, known), row_keys(table, rows)]
    keys = pa.concat_arrays(texts).dictionary_encode().indices.to_numpy()
    content = _content(both).dictionary_encode().indices.to_numpy()
    stored = both.num_rows - mine.num_rows
    told = np.full(int(keys.max(initial=-1)) + 1, -1, dtype=np.int64)
    told[keys[:stored]] = content[:stored]
    keys, content = keys[stored:], content[stored:]
    pairs = np.unique(np.stack([keys, content]), axis=1)
    doubtful = np.bincount(pairs[0], minlength=len(told)) > 1
    found: npt.NDArray[np.bool_] = np.where(told[keys] >= 0, told[keys] != content, doubtful[keys])
    return found


def _refused(batch: Normalised, table: str, known: pa.Table | None) -> list[str]:
    """Messages whose row of this table contradicts another."""
    rows = batch.facts[table]
    if not is_reference(table) or not rows.num_rows:
        return []
    found: list[str] = rows["message_id"].filter(pa.array(contradicting(TABLES[table], rows, known))).to_pylist()
    return found


def _content(rows: pa.Table) -> pa.Array:
    texts = [pc.fill_null(rows[name].combine_chunks().cast(pa.string()), "") for name in rows.column_names]
    return pc.binary_join_element_wise(*texts, _SEPARATOR)


def _quarantined(messages: pa.Table) -> pa.Table:
    rows = [
        {
            "quarantine_id": quarantine_id(row["message_id"], REASON), "message_id": row["message_id"],
            "feed": row["feed"], "recv_ts": row["recv_ts"], "code": MALFORMED, "reason": REASON, "detail": DETAIL,
            "raw": row["raw"], "execution": "",
        }
        for row in messages.to_pylist()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=QUARANTINE_SCHEMA)
