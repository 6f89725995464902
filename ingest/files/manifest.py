"""The manifest: one row per file received, whether it was loaded, empty, stopped or came before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from domain.schema import TABLES, arrow_schema

LOADED, EMPTY, STOPPED, REPEATED = "LOADED", "EMPTY", "STOPPED", "REPEATED"
_SCHEMA = arrow_schema(TABLES["file_manifest"])


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: `received_ns` is when it came as far as is known (UTC), `detail` why it was not loaded."""

    sha256: str
    feed: str
    name: str
    size: int
    row_count: int
    status: str
    business_date: date | None = None
    slot: str | None = None
    detail: str | None = None
    received_ns: int = 0


def manifest_table(entries: Sequence[FileEntry]) -> pa.Table:
    """Rows of `file_manifest`."""
    columns: dict[str, list[object]] = {
        "file_id": [entry.sha256 for entry in entries],
        "recv_time_utc": [entry.received_ns for entry in entries],
    }
    for name in ("feed", "name", "size", "row_count", "business_date", "slot", "status", "detail"):
        columns[name] = [getattr(entry, name) for entry in entries]
    return pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in _SCHEMA], schema=_SCHEMA)
