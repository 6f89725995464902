"""Every row a file brought, as evidence: read, set aside, ignored, each with its line and exact bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.read import FileRefused
from ingest.files.sheet import Mask, Problem, Sheet, is_empty
from ingest.files.table import Span


@dataclass(frozen=True, slots=True)
class RawRow:
    """One received row as evidence: header line, newline, row, in the file's own encoding; `line` from 1.

    Files without a header line (fixed width, XML) give the row alone.
    """

    line: int
    raw: bytes
    outcome: str
    problem: Problem | None = None


def set_aside(sheet: Sheet, names: Sequence[str]) -> list[Span]:
    """Rows that are no trades: those the map skips, and a last row of sums with nothing in the columns `names`."""
    drop = np.zeros(sheet.count, dtype=bool)
    header = sheet.table.header
    for name, value in sheet.mapping.skip_rows_where.items():
        if name not in header:
            raise FileRefused("map file", 0, "bad_map", f"skip_rows_where: the file has no column {name!r}")
        cells = sheet.table.text.column(header.index(name))
        drop |= pc.equal(cells, value).to_numpy()
    for name, wanted in sheet.mapping.only_rows_where.items():
        if name in header:
            cells = sheet.table.text.column(header.index(name))
            drop |= ~pc.is_in(cells, pa.array(wanted, pa.string())).to_numpy()
    why = {int(row): "skipped_by_map" for row in np.flatnonzero(drop)}
    if sheet.count:
        last = np.zeros(sheet.count, dtype=bool)
        last[-1] = True
        for name in names:
            if name in sheet.columns:
                last &= is_empty(sheet.cells(name))
        why |= {int(row): "totals_row" for row in np.flatnonzero(last & ~drop)}
        drop |= last
    spans = [
        Span(int(sheet.table.lines[row]), sheet.table.raws[row], reason, reason.replace("_", " "))
        for row, reason in sorted(why.items())
    ]
    if spans:
        sheet.keep_only(~drop)
    return spans


def check_count(sheet: Sheet) -> None:
    """Note a trailer that counts other rows than there are."""
    declared = sheet.table.declared_rows
    have = sheet.count + len(sheet.table.bad)
    if declared is not None and declared != have:
        sheet.notes.append(f"the trailer says {declared} rows, the file has {have}")


def received(
    sheet: Sheet, ignored: list[Span], original: Callable[[bytes], bytes], good: Mask
) -> tuple[tuple[RawRow, ...], tuple[int, ...]]:
    """Every received row in file order, and the positions of the good ones in that order."""
    table = sheet.table
    first = head(sheet)
    entries: list[tuple[int, int, RawRow]] = []
    for row, (line, raw) in enumerate(zip(table.lines.tolist(), table.raws, strict=True)):
        problem = sheet.problems.get(row)
        outcome = "QUARANTINE" if problem else "FACT"
        entries.append((line, row if good[row] else -1, RawRow(line, original(first + raw), outcome, problem)))
    for span in (*table.ignored, *ignored):
        entries.append((span.line, -1, RawRow(span.line, original(first + span.raw), "IGNORED")))
    for span in table.bad:
        problem = Problem(span.why, span.detail)
        entries.append((span.line, -1, RawRow(span.line, original(first + span.raw), "QUARANTINE", problem)))
    entries.sort(key=lambda entry: entry[0])
    positions = [at for at, entry in enumerate(entries) if entry[1] >= 0]
    return tuple(entry[2] for entry in entries), tuple(positions)


def head(sheet: Sheet) -> bytes:
    """What stands before a row in its evidence: the header line, where there is one."""
    return sheet.table.header_raw + b"\n" if sheet.table.header_raw else b""
