"""A table being read: cells by canonical name, and the first thing wrong with each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.files.csv_map import Conventions
from ingest.files.table import CsvTable

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot become a trade."""

    reason: str
    detail: str
    code: str = "I01"


@dataclass(slots=True)
class Sheet:
    """The rows of one file by canonical column; `problems` holds the first problem of a row, by its position."""

    table: CsvTable
    columns: Mapping[str, str]
    mapping: Conventions
    problems: dict[int, Problem] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    marks: dict[str, Mask] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Rows, good and bad."""
        return int(self.table.text.num_rows)

    def has(self, name: str) -> bool:
        """Whether the file or a constant gives this column."""
        return name in self.columns or name in self.mapping.constants

    def cells(self, name: str) -> pa.Array:
        """The column's text, the map's constant, or empty cells."""
        if name in self.columns:
            position = self.table.header.index(self.columns[name])
            cells = self.table.text.column(position).combine_chunks()
            constant = self.mapping.constants.get(name)
            return pc.if_else(pc.equal(cells, ""), constant, cells) if constant else cells
        return pa.repeat(pa.scalar(self.mapping.constants.get(name, "")), self.count)

    def fail(self, rows: Mask, reason: str, name: str, what: str, code: str = "I01") -> None:
        """Note a problem for every row marked that has none yet; `what` follows the cell in the sentence."""
        if rows.any():
            self.fail_cells(rows, reason, self.columns.get(name, name), self.cells(name), what, code)

    def fail_cells(self, rows: Mask, reason: str, header: str, cells: pa.Array, what: str, code: str = "I01") -> None:
        """As `fail`, for cells of a column that has no canonical name."""
        for row in np.flatnonzero(rows).tolist():
            if row not in self.problems:
                shown = str(cells[row].as_py())[:60]
                self.problems[row] = Problem(
                    reason, f"{header} {shown!r} {what}" if shown else f"{header} is empty", code
                )

    def fail_empty(self, name: str, empty: Mask) -> None:
        """A required cell is empty."""
        self.fail(empty, "missing_required_field", name, "is empty")

    def mark(self, rows: Mask, flag: str) -> None:
        """Remember how the marked rows were treated: the flag is kept with the record."""
        if rows.any():
            self.marks[flag] = self.marks.get(flag, np.zeros(self.count, dtype=bool)) | rows

    def flags(self) -> pa.Array:
        """Comma list of each row's flags, null where it has none."""
        shown = pa.nulls(self.count, pa.string())
        for flag, rows in sorted(self.marks.items()):
            longer = pc.binary_join_element_wise(shown, flag, ",", null_handling="skip")
            shown = pc.if_else(pa.array(rows), longer, shown)
        return shown

    def good(self) -> Mask:
        """Rows without a problem."""
        mask = np.ones(self.count, dtype=bool)
        mask[list(self.problems)] = False
        return mask

    def keep_only(self, rows: Mask) -> None:
        """Drop rows from the table (before anything was noted about them)."""
        table = self.table
        at = np.flatnonzero(rows)
        self.table = CsvTable(
            table.header, table.header_line, table.header_raw, table.delimiter, table.text.filter(pa.array(rows)),
            table.lines[at], tuple(table.raws[row] for row in at), table.ignored, table.bad, table.declared_rows,
        )  # fmt: skip


def is_empty(cells: pa.Array) -> Mask:
    """Where a text column has nothing."""
    empty: Mask = pc.equal(cells, "").to_numpy(zero_copy_only=False)
    return empty


def nulls(values: pa.Array) -> Mask:
    """Where a column is null."""
    missing: Mask = pc.is_null(values).to_numpy(zero_copy_only=False)
    return missing
