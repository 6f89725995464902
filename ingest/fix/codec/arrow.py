"""A block's arrays as an Arrow record batch, without copying values."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.fix.codec.block import READ, Columns
from ingest.fix.codec.plan import PRECISIONS, Kind, Plan, arrow_type
from ingest.fix.values import as_text, objects

_PRECISION_NAMES = pa.array(PRECISIONS, pa.string())


def record_batch(plan: Plan, columns: Columns, data: pa.Buffer, *, ascii_only: bool) -> pa.RecordBatch:
    """The plan's columns. `data` is what long strings point into.

    Text that is not ASCII is read as UTF-8 where it is valid, else as Latin-1, which keeps every byte.
    """
    arrays: list[pa.Array] = []
    for slot, column in enumerate(plan.columns):
        state, place, kind = columns.state[slot], columns.place[slot], Kind(int(plan.kinds[slot]))
        here, nulls = _validity(state)
        if kind == Kind.STRING:
            arrays.append(_strings(columns.pairs[place], here, nulls, data, ascii_only))
            continue
        held = columns.pairs if kind == Kind.DECIMAL else columns.days if kind == Kind.DATE else columns.longs
        values = held[place]
        arrays.append(pa.Array.from_buffers(arrow_type(column), len(state), [here, pa.py_buffer(values)], nulls))
        if column.precision:
            codes = pa.Array.from_buffers(pa.int8(), len(state), [here, pa.py_buffer(columns.precision[place])], nulls)
            arrays.append(pa.DictionaryArray.from_arrays(codes, _PRECISION_NAMES))
    return pa.RecordBatch.from_arrays(arrays, schema=plan.schema)


def _validity(state: npt.NDArray[np.uint8]) -> tuple[pa.Buffer | None, int]:
    """The validity bitmap (None without nulls) and the number of nulls."""
    nulls = len(state) - int(np.count_nonzero(state))
    if not nulls:
        return None, 0
    return pa.py_buffer(np.packbits(state == READ, bitorder="little")), nulls


def _strings(
    views: npt.NDArray[np.int64], here: pa.Buffer | None, nulls: int, data: pa.Buffer, ascii_only: bool
) -> pa.Array:
    buffers = [here, pa.py_buffer(views), data]
    if ascii_only:
        return pa.Array.from_buffers(pa.string_view(), len(views), buffers, nulls)
    binary = pa.Array.from_buffers(pa.binary_view(), len(views), buffers, nulls).cast(pa.binary())
    try:
        return binary.cast(pa.string()).cast(pa.string_view())
    except pa.ArrowInvalid:
        texts = [None if value is None else as_text(value) for value in objects(binary)]
        return pa.array(texts, pa.string()).cast(pa.string_view())
