"""A flow being spoiled: single rows are read, changed, added and dropped as plain integers, then written in one go."""

from dataclasses import fields

import numpy as np

from simulator.flow.fees import charge, recompute
from simulator.market.world import World
from simulator.records import RECORD_DTYPES, Bool, Records, Source

# One record: column -> integer.
Row = dict[str, int]
# Unknown records are numbered this far above the real ones of their source.
_UNKNOWN = 1_000_000
_NAMES = tuple(f.name for f in fields(Records))


class Draft:
    """Changes to a flow's records. Rows are numbered as in `base`; added ones go on from there."""

    def __init__(self, base: Records, day: int) -> None:
        self._size = len(base)
        self._columns = {name: getattr(base, name) for name in _NAMES}
        self._edits: dict[str, dict[int, int]] = {}
        self._added: list[Row] = []
        self._dropped: list[int] = []
        self._repriced: set[int] = set()
        self._charged: set[int] = set()
        self._unknown = _UNKNOWN
        today = base.day == day
        self._serials = {source: int(base.serial[today & (base.source == source)].max(initial=0)) for source in Source}

    def row(self, at: int) -> Row:
        """A copy of a record as it stands now."""
        if at >= self._size:
            return dict(self._added[at - self._size])
        row = {name: int(column[at]) for name, column in self._columns.items()}
        for name, edited in self._edits.items():
            if at in edited:
                row[name] = edited[at]
        return row

    def edit(self, at: int, **values: int) -> None:
        """Replace some columns of a record."""
        if at >= self._size:
            self._added[at - self._size].update(values)
            return
        for name, value in values.items():
            self._edits.setdefault(name, {})[at] = value

    def add(self, row: Row) -> int:
        """Append a record; its number."""
        self._added.append(dict(row))
        return self._size + len(self._added) - 1

    def drop(self, at: int) -> None:
        """Leave a record out of the finished flow; until then it can still be read."""
        self._dropped.append(at)

    def part(self, *rows: int) -> None:
        """These records belong to no match any more."""
        for at in rows:
            self.edit(at, group=0)

    def reprice(self, at: int) -> None:
        """Let gross and net follow from the record's quantity, price and the like."""
        self._repriced.add(at)

    def charge(self, at: int) -> None:
        """Let fees, gross and net follow from the record's instrument, quantity and price."""
        self._charged.add(at)

    def serial(self, source: int) -> int:
        """The next free serial of a source."""
        self._serials[Source(source)] += 1
        return self._serials[Source(source)]

    def unknown(self, source: int) -> int:
        """A serial that no record of a source has: what a reference to nothing points at."""
        self._unknown += 1
        return self._serials[Source(source)] + self._unknown

    def finish(self, world: World) -> tuple[Records, Bool]:
        """All records, changed, with the added ones at the end; and which of them are to be kept."""
        columns = {}
        for name, dtype in RECORD_DTYPES.items():
            column = np.concatenate([self._columns[name], np.array([row[name] for row in self._added], dtype)])
            edits = self._edits.get(name, {})
            column[np.fromiter(edits.keys(), np.int64, len(edits))] = np.fromiter(edits.values(), dtype, len(edits))
            columns[name] = column
        records = Records(**columns)
        for rows, apply in ((self._charged, charge), (self._repriced - self._charged, recompute)):
            at = np.array(sorted(rows), np.int64)
            if len(at):
                made = apply(records.take(at), world)
                for name in ("commission", "fee_sec", "fee_exchange", "tax", "accrued", "gross", "net", "upfront"):
                    getattr(records, name)[at] = getattr(made, name)
        keep = np.ones(len(records), np.bool_)
        keep[self._dropped] = False
        return records, keep
