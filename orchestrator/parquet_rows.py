"""The rows of a Parquet file as JSON: a Map's items."""

import base64
import datetime as dt
import io
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from orchestrator.object_bodies import unreadable

_ROWS_AT_ONCE = 1024


def rows(data: bytes) -> Iterator[dict[str, Any]]:
    """One object a row, by column; decimals, dates and times are text, binary is base64, what is no number null.

    Raises States.ItemReaderFailed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                for row in batch.to_pylist():
                    yield {name: _json(value) for name, value in row.items()}
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(f"the object is not a Parquet file that can be read: {str(error)[:200]}") from None


def _json(value: Any) -> Any:
    """Exact: a decimal would lose digits as a JSON number of the engine."""
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int)) else str(value)
