"""A delimited file as columns of text: header found by its names, every row with its line and exact bytes."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ingest.files.read import Decoded, FileRefused
from ingest.files.records import Offsets, Records

_HEADER_SEARCH_ROWS = 60
_HEADER_NAMES_MIN = 3
DELIMITERS = (",", "\t", ";", "|")
_TOTALS_COLUMNS = 3
_COUNTED = r"(?:record|row|trade|line|item)s?"
_TOTALS = (
    rf"^\W*((grand\s+|sub[\s-]?)?totals?|trailer|trl|tlr|eof|end\s+of\s+(file|report)|{_COUNTED}[\s_]*(count|total)s?"
    rf"|(number|count|no\.?)\s+of\s+{_COUNTED}|\d{{1,9}}\s+{_COUNTED})\b|^\W*{_COUNTED}\s*[:=]"
)
_DECLARED = re.compile(
    rf"(?:{_COUNTED}[\s_]*(?:count|total)s?|{_COUNTED}|count|trailer|trl|tlr)[\s:=,;|\t\"]{{1,4}}(\d{{1,12}})(?![.\d])"
    rf"|(\d{{1,12}})\s+{_COUNTED}\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """One row that is not data: its line, its bytes and why (`repeated_header`, `totals_row`, `cell_count`)."""

    line: int
    raw: bytes
    why: str
    detail: str


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Text columns (trimmed, named by position `c0`, `c1`, …), with line numbers and bytes row by row."""

    header: tuple[str, ...]
    header_line: int
    header_raw: bytes
    delimiter: str
    text: pa.Table
    lines: Offsets
    raws: tuple[bytes, ...]
    ignored: tuple[Span, ...]
    bad: tuple[Span, ...]
    declared_rows: int | None


def read_table(
    source: Decoded, file: str, known: Callable[[str], bool], delimiters: Sequence[str] = DELIMITERS
) -> CsvTable:
    """The table in `source`. `known` says whether a header is one the caller looks for.

    Raises FileRefused (`no_header`) when no row among the first 60 holds at least three known names.
    """
    records = Records(source.data)
    at, delimiter, header = _find_header(records, file, known, delimiters)
    rows = _Rows(records, at, delimiter, len(header))
    text = rows.columns()
    keep = rows.set_totals_aside(text)
    good = rows.good[keep]
    return CsvTable(
        header=header,
        header_line=int(records.lines[at]),
        header_raw=records.raw(at),
        delimiter=delimiter,
        text=text.filter(pa.array(keep)),
        lines=records.lines[good],
        raws=tuple(records.raw(row) for row in good),
        ignored=tuple(sorted(rows.ignored, key=lambda span: span.line)),
        bad=tuple(rows.bad),
        declared_rows=rows.declared,
    )


def _find_header(
    records: Records, file: str, known: Callable[[str], bool], delimiters: Sequence[str]
) -> tuple[int, str, tuple[str, ...]]:
    best = (_HEADER_NAMES_MIN - 1, -1, ",", [""])
    for at in range(min(len(records), _HEADER_SEARCH_ROWS)):
        for delimiter in delimiters:
            if delimiter.encode() in records.raw(at):
                cells = records.cells(at, delimiter)
                score = len({cell for cell in cells if cell and known(cell)})
                if score > best[0]:
                    best = (score, at, delimiter, cells)
    if best[1] < 0:
        line = int(records.lines[0]) if len(records) else 0
        first = ", ".join(records.raw(0).decode("utf-8", "replace").split(",")[:6])[:80] if len(records) else ""
        raise FileRefused(
            file, line, "no_header", f"no header row found in the first 60 rows (the first one reads: {first!r})"
        )
    return best[1], best[2], tuple(best[3])


class _Rows:
    """The records after the header, sorted into data, ignored and bad."""

    def __init__(self, records: Records, header_at: int, delimiter: str, width: int) -> None:
        self.records, self.delimiter, self.width = records, delimiter, width
        self.ignored: list[Span] = []
        self.bad: list[Span] = []
        self.declared: int | None = None
        self._repaired: dict[int, bytes] = {}
        counts = records.cell_counts(delimiter)
        header = records.raw(header_at)
        good = []
        same_length = records.ends - records.starts == len(header)
        for at in range(header_at + 1, len(records)):
            if same_length[at] and records.raw(at) == header:
                self._ignore(at, "repeated_header", "the header row again")
            elif counts[at] == width or self._repair(at):
                good.append(at)
        self.good: npt.NDArray[np.int64] = np.array(good, dtype=np.int64)

    def _ignore(self, at: int, why: str, detail: str) -> None:
        self.ignored.append(Span(int(self.records.lines[at]), self.records.raw(at), why, detail))

    def _repair(self, at: int) -> bool:
        """Whether a row of the wrong width is data after all (only empty cells beyond the header)."""
        cells = self.records.cells(at, self.delimiter)
        if not any(cells):
            return False
        if len(cells) > self.width and not any(cells[self.width :]):
            self._repaired[at] = _line(cells[: self.width], self.delimiter)
            return True
        if re.search(_TOTALS, next(filter(None, cells)), re.IGNORECASE):
            self._totals(at)
        else:
            detail = f"the row has {len(cells)} cells, the header {self.width}"
            self.bad.append(Span(int(self.records.lines[at]), self.records.raw(at), "cell_count", detail))
        return False

    def _totals(self, at: int) -> None:
        found = _DECLARED.search(self.records.raw(at).decode("utf-8", "replace"))
        if found:
            self.declared = int(found.group(1) or found.group(2))
        self._ignore(at, "totals_row", "a totals or trailer row")

    def columns(self) -> pa.Table:
        """All good rows as trimmed text columns `c0`, `c1`, …"""
        names = [f"c{index}" for index in range(self.width)]
        if not len(self.good):
            return pa.table({name: pa.array([], pa.string()) for name in names})
        body = b"\n".join(self._repaired.get(at) or self.records.raw(at) for at in self.good.tolist())
        try:
            table = pacsv.read_csv(
                pa.BufferReader(body),
                read_options=pacsv.ReadOptions(column_names=names, block_size=max(len(body) + 1, 1 << 20)),
                parse_options=pacsv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, ignore_empty_lines=False
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
                ),
            )
        except pa.ArrowInvalid:
            table = None
        if table is None or table.num_rows != len(self.good):  # stray quotes: row by row, as a spreadsheet would
            rows = [(self.records.cells(at, self.delimiter) + [""] * self.width)[: self.width] for at in self.good]
            table = pa.table({name: [row[index] for row in rows] for index, name in enumerate(names)})
        return pa.table({name: pc.utf8_trim_whitespace(table[name]) for name in names})

    def set_totals_aside(self, text: pa.Table) -> npt.NDArray[np.bool_]:
        """Which good rows to keep: totals and wholly empty ones go."""
        keep = np.ones(text.num_rows, dtype=bool)
        if not text.num_rows:
            return keep
        empty = np.zeros(text.num_rows, dtype=np.int64)
        for name in text.column_names:
            empty += pc.equal(text[name], "").to_numpy()
        marked = np.zeros(text.num_rows, dtype=bool)
        for name in text.column_names[:_TOTALS_COLUMNS]:
            marked |= pc.match_substring_regex(text[name], _TOTALS, ignore_case=True).to_numpy()
        keep &= empty < self.width
        # A totals row leaves cells open; a security called "Total" does not.
        for row in np.flatnonzero(marked & (empty * 3 >= self.width) & keep):
            self._totals(int(self.good[row]))
            keep[row] = False
        return keep


def _line(cells: list[str], delimiter: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow(cells)
    return out.getvalue().encode("utf-8")
