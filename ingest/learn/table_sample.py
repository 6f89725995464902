"""A table to learn from: named columns of text cells, and what the cells of one column look like."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cached_property

from ingest.files import codes, times
from ingest.files.file_dialect import XmlLayout
from ingest.files.read import decode
from ingest.files.records import Records
from ingest.files.sheet_table import sheet_as_csv
from ingest.files.table import read_table
from ingest.files.xml_table import read_xml

SAMPLE_ROWS_MAX = 20_000
_XML_BYTES = 1 << 20
_ELEMENT = re.compile(r"<([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*\"[^\"<]*\"){6,})")
_HEAD_ROWS = 60
_HEAD_CELLS_MIN = 4
_GROUPED = re.compile(r"^-?\d{1,3}(,\d{3})+(\.\d+)?$")
_COMMA = re.compile(r"^-?\d{1,3}(\.\d{3})*,\d+$")
_CLOCK = re.compile(r"(?P<h>\d{1,2}):?(?P<m>\d{2})(?::?(?P<s>\d{2})(?:[.,]\d{1,9})?)?$")
_ID = re.compile(r"(?=.*[0-9])[A-Za-z0-9._:/-]{4,64}")
_TEXT = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Column:
    """One column: its header and its cells, trimmed; empty text where a row has nothing."""

    header: str
    cells: tuple[str, ...]

    @cached_property
    def filled(self) -> tuple[str, ...]:
        """The cells that say something."""
        return tuple(cell for cell in self.cells if cell)

    @cached_property
    def values(self) -> Counter[str]:
        """Distinct values with their counts."""
        return Counter(self.filled)

    @cached_property
    def numbers(self) -> tuple[Decimal | None, ...]:
        """The cells as decimals, None where one is no number."""
        return tuple(number(cell) for cell in self.cells)

    @property
    def fill(self) -> float:
        """Share of rows with a value."""
        return len(self.filled) / len(self.cells) if self.cells else 0.0

    @property
    def distinct(self) -> float:
        """Distinct values per value."""
        return len(self.values) / len(self.filled) if self.filled else 0.0

    def part(self, right: object) -> float:
        """Share of values for which `right(value)` holds."""
        assert callable(right)
        good = sum(count for value, count in self.values.items() if right(value))
        return good / len(self.filled) if self.filled else 0.0

    @cached_property
    def numeric(self) -> float:
        """Share of values that are numbers."""
        return self.part(lambda cell: number(cell) is not None)

    @cached_property
    def dated(self) -> float:
        """Share of values that are a date without a time, in some form."""
        return self.part(lambda cell: is_date(cell) and not has_clock(cell))

    @cached_property
    def clocked(self) -> float:
        """Share of values with a time of day."""
        return self.part(has_clock)

    @cached_property
    def identifying(self) -> float:
        """Share of values that could be ids: letters and digits with a digit among them."""
        return self.part(lambda cell: bool(_ID.fullmatch(cell)) and not is_date(cell))


@dataclass(frozen=True)
class Sample:
    """Columns of equal length, in file order."""

    columns: Mapping[str, Column]

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(next(iter(self.columns.values())).cells) if self.columns else 0

    def column(self, header: str | None) -> Column | None:
        """The column with this header."""
        return self.columns.get(header) if header else None


def read_samples(files: Sequence[tuple[str, bytes]]) -> Sample:
    """The rows of delimited files with the same header, as one sample. Raises FileRefused where there is no table."""
    parts: dict[str, list[str]] = {}
    seen = 0
    for name, data in files:
        source = decode(data)
        known = _header_of(source.data)
        table = read_table(source, name, lambda cell, names=known: cell in names)  # type: ignore[misc]
        for at, header in enumerate(table.header):
            cells = table.text.column(at).to_pylist()[: SAMPLE_ROWS_MAX - min(seen, SAMPLE_ROWS_MAX)]
            if header:
                parts.setdefault(header, [""] * seen).extend(cells)
        seen = max((len(cells) for cells in parts.values()), default=0)
        parts = {header: cells + [""] * (seen - len(cells)) for header, cells in parts.items()}
    return Sample({header: Column(header, tuple(cells)) for header, cells in parts.items()})


def read_workbook_samples(files: Sequence[tuple[str, bytes]], sheet: str = "") -> Sample:
    """The rows of a sheet of workbooks as one sample. Raises FileRefused for what is no workbook or has no table."""
    return read_samples([(name, sheet_as_csv(data, name, sheet).data) for name, data in files])


def record_element(data: bytes) -> str | None:
    """The element of an XML statement that is repeated most and carries attributes; None where there is none."""
    starts = Counter(name for name, _ in _ELEMENT.findall(data[:_XML_BYTES].decode("utf-8", "replace")))
    return starts.most_common(1)[0][0] if starts else None


def read_xml_samples(files: Sequence[tuple[str, bytes]], record: str) -> Sample:
    """The elements called `record` of XML statements as one sample. Raises FileRefused for what is no such document."""
    parts: dict[str, list[str]] = {}
    seen = 0
    for name, data in files:
        table = read_xml(data, name, XmlLayout(record=record))
        for at, header in enumerate(table.header):
            parts.setdefault(header, [""] * seen).extend(table.text.column(at).to_pylist())
        seen += table.text.num_rows
        parts = {header: cells + [""] * (seen - len(cells)) for header, cells in parts.items()}
    return Sample({header: Column(header, tuple(cells[:SAMPLE_ROWS_MAX])) for header, cells in parts.items()})


def _header_of(data: bytes) -> frozenset[str]:
    """The cells of the likeliest header row: the widest early row whose cells are texts, all different."""
    records = Records(data)
    best: tuple[int, frozenset[str]] = (_HEAD_CELLS_MIN - 1, frozenset())
    for at in range(min(len(records), _HEAD_ROWS)):
        for delimiter in (",", "\t", ";", "|"):
            cells = [cell.strip() for cell in records.cells(at, delimiter)]
            words = [cell for cell in cells if cell and _TEXT.search(cell) and not is_date(cell)]
            if len(words) > best[0] and len(set(cells)) >= len(cells) - 2 and len(words) >= 0.9 * len(cells):
                best = (len(words), frozenset(words))
    return best[1]


def number(cell: str) -> Decimal | None:
    """A number cell in the usual ways of writing one; a comma alone before one or two digits is a decimal mark."""
    text = cell.replace(" ", "").replace("\u00a0", "").replace("'", "")
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1]}"
    if text.endswith("-") and len(text) > 1:
        text = f"-{text[:-1]}"
    if _GROUPED.match(text):
        text = text.replace(",", "")
    elif _COMMA.match(text):
        text = text.replace(".", "").replace(",", ".")
    if not text or text[0] not in "-+.0123456789":
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def is_date(cell: str) -> bool:
    """Whether the cell (or its part before a time) is a date in any known form, day or month first."""
    return as_date(cell, True) is not None or as_date(cell, False) is not None


def as_date(cell: str, day_first: bool) -> date | None:
    """The cell's date."""
    return times.parse_date(times._date_part(cell), day_first)


def has_clock(cell: str) -> bool:
    """Whether a time of day stands behind a date."""
    return times._date_part(cell) != cell.strip() and is_date(cell)


def as_moment(cell: str, day_first: bool) -> datetime | None:
    """Date and time as they stand, without a zone; None where either is missing."""
    day = as_date(cell, day_first)
    clock = _CLOCK.search(cell)
    if day is None or clock is None or not has_clock(cell):
        return None
    hour, minute, second = int(clock["h"]), int(clock["m"]), int(clock["s"] or 0)
    return datetime.combine(day, time(hour, minute, min(second, 59))) if hour < 24 and minute < 60 else None


def is_isin(cell: str) -> bool:
    """An ISIN by its check digit."""
    return codes.isin(cell) is not None


def is_cusip(cell: str) -> bool:
    """A CUSIP by its check digit."""
    return len(cell) >= 8 and codes.cusip(cell) is not None


def is_sedol(cell: str) -> bool:
    """A SEDOL by its check digit."""
    return len(cell) >= 6 and codes.sedol(cell) is not None
