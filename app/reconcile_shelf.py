"""Records of a large tie-out laid aside in files until they are stored: they take memory only while they are used."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from app.reconcile_memory import give_back
from app.reconcile_store import without_raw
from ingest.normalise import Normalised

# Less than this is kept in memory.
WORTH_BYTES = 16 * 2**20
_RAW = "raw"


@dataclass(frozen=True, slots=True)
class Laid:
    """Records in a file: where each table begins, and what of the batch is not there."""

    path: Path
    places: Mapping[str, int]
    rest: Normalised


@dataclass(slots=True)
class Shelf:
    """Files in one folder, which its owner removes; each is deleted by the system once nothing of it is in use.

    `own`: other processes have files in the folder too.
    """

    folder: Path
    worth_bytes: int = WORTH_BYTES
    own: bool = False
    _count: int = 0

    def lay(self, batch: Normalised) -> Normalised:
        """The same batch, its tables in files where they are large; the messages' bytes in one of their own."""
        if sum(table.nbytes for table in _tables(batch).values()) < self.worth_bytes:
            return batch
        raw = batch.messages.select([_RAW])
        own = _mapped(*self._written({**_tables(batch), "messages": without_raw(batch.messages)}))
        at = batch.messages.schema.get_field_index(_RAW)
        messages = own["messages"]
        if any(len(chunk.buffers()[2] or b"") for chunk in raw[_RAW].chunks):
            raw = _mapped(*self._written({_RAW: raw}))[_RAW]
            messages = messages.set_column(at, batch.messages.schema.field(at), raw[_RAW])
        give_back()
        return _with_tables(batch, {**own, "messages": messages})

    def put(self, batch: Normalised) -> Laid:
        """All of the batch but its quarantine in a file, for another process to take."""
        path, places = self._written(_tables(batch))
        nothing = {name: table.schema.empty_table() for name, table in _tables(batch).items()}
        give_back()
        return Laid(path, places, _with_tables(batch, nothing))

    def _written(self, tables: Mapping[str, pa.Table]) -> tuple[Path, Mapping[str, int]]:
        """A new file with the tables in their chunks, and where each begins."""
        self._count += 1
        mine = f"{os.getpid()}-{self._count}" if self.own else str(self._count)
        path, places = self.folder / f"records-{mine}", dict[str, int]()
        with pa.OSFile(str(path), "wb") as out:
            for name, table in tables.items():
                places[name] = out.tell()
                with pa.ipc.new_stream(out, table.schema) as writer:
                    writer.write_table(table)
        return path, places


def taken(laid: Laid) -> Normalised:
    """What another process put into a file, which is gone once nothing of it is in use."""
    return _with_tables(laid.rest, _mapped(laid.path, laid.places))


def _mapped(path: Path, places: Mapping[str, int]) -> dict[str, pa.Table]:
    with pa.memory_map(str(path)) as mapped:
        whole = mapped.read_buffer()
    path.unlink()
    return {name: pa.ipc.open_stream(whole.slice(at)).read_all() for name, at in places.items()}


def _tables(batch: Normalised) -> dict[str, pa.Table]:
    named = {f"facts.{name}": rows for name, rows in batch.facts.items()}
    return {
        "trades": batch.trades, "fees": batch.fees, "identifiers": batch.identifiers, "messages": batch.messages,
        **named,
    }  # fmt: skip


def _with_tables(batch: Normalised, tables: Mapping[str, pa.Table]) -> Normalised:
    return replace(
        batch, trades=tables["trades"], fees=tables["fees"], identifiers=tables["identifiers"],
        messages=tables["messages"], facts={name: tables[f"facts.{name}"] for name in batch.facts},
    )  # fmt: skip
