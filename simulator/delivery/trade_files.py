"""Trade files of brokers that send no FIX: which rows go into which file, under which name, and when it comes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from simulator.delivery.file_faults import GRACE_NS, Sent
from simulator.emit import charlie, delta, echo
from simulator.flow.timing import DAY_NS, EPOCH, SLOTS, business_day, local_ns, slot_after
from simulator.records import Index, Records, Source

_EMITTERS: Mapping[Source, Any] = {Source.CHARLIE: charlie, Source.DELTA: delta, Source.ECHO: echo}


@dataclass(frozen=True, slots=True)
class TradeFile:
    """One file to write: name inside the folder, the cut it shows (UTC nanoseconds), its rows of the records."""

    source: Source
    name: str
    cut_ns: int
    rows: Index


def planned_files(source: Source, records: Records) -> Iterator[TradeFile]:
    """The files of `source`; a record that comes within grace of a cut still makes it. `records` are its own alone."""
    rows = _EMITTERS[source].heads(records)
    cuts = slot_after(source, records.arrive_ns[rows] - GRACE_NS - 1)
    for cut in np.unique(cuts).tolist():
        yield TradeFile(source, _name(source, cut), cut, rows[cuts == cut])


def _name(source: Source, cut_ns: int) -> str:
    # Cuts are at daytime in New York, so that the UTC day is the local one.
    day = cut_ns // DAY_NS
    if source is Source.ECHO:
        # The morning's statement is of the day before.
        return f"echo/flex_{_stamp(business_day(day, -1))}.xml"
    if source is Source.DELTA:
        return f"delta/GTDE_{_stamp(day)}.txt"
    number = [local_ns(day, at) for at in SLOTS[source]].index(cut_ns) + 1
    return f"charlie/trades_{_stamp(day)}_{number}.csv"


def _stamp(day: int) -> str:
    return f"{EPOCH + timedelta(days=day):%Y%m%d}"


def write_file(folder: Path, context: Any, records: Records, file: TradeFile) -> Sent:
    """Write one file in pieces."""
    path = folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        out.writelines(_EMITTERS[file.source].write(context, records, file.rows))
    return Sent(file.source, file.name, file.cut_ns, len(file.rows))


def column_map() -> Mapping[str, Any]:
    """CHARLIE's column map as it stands beside its files."""
    made: Mapping[str, Any] = charlie.column_map()
    return made
