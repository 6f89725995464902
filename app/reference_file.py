"""CSV files of reference data: read and checked against the field tables, with the line each row stands on."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from app.settings import SettingsError
from domain.fields import Kind, Table
from domain.schema import TABLES, TYPES
from ingest.reference_rows import KNOWN_AT

REFERENCE_TABLES = tuple(name for name, table in TABLES.items() if table.kind is Kind.REFERENCE)
_LINE_END = b"\n"


def table_for(path: Path, name: str | None = None) -> Table:
    """The reference table a file is for: `name`, else the file's stem. Raises SettingsError listing the tables."""
    table = TABLES.get(name or path.stem)
    if table is None or table.kind is not Kind.REFERENCE:
        raise SettingsError(f"{path}: not a reference table; name it one of {', '.join(REFERENCE_TABLES)} (.csv)")
    return table


def read(path: Path, table: Table) -> pa.Table:
    """The file's rows with the table's types. Raises SettingsError naming file, line or column, and reason."""
    if not path.is_file():
        raise SettingsError(f"{path}: no such reference file")
    try:
        header = next(csv.reader(io.StringIO(_text(path), newline="")), [])
        stated = [name for name in table.columns if name != KNOWN_AT]
        unknown = [name for name in header if name not in stated]
        missing = [field.name for field in table.fields if field.required and field.name not in header]
        twice = [name for name in header if header.count(name) > 1]
        if unknown or missing or twice:
            kinds = (("unknown", unknown), ("missing", missing), ("repeated", twice))
            problem = next(f"{kind} column {names[0]!r}" for kind, names in kinds if names)
            raise SettingsError(f"{path}: {problem}; expected {', '.join(stated)}")
        text = _columns(path, header)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise SettingsError(f"{path}: {_problem(path, error)}") from None
    columns = {}
    for field in table.fields:
        if field.name in header:
            columns[field.name] = _cast(path, text[field.name], field.name, TYPES[field.type].arrow)
            if field.required and columns[field.name].null_count:
                line = lines(path)[columns[field.name].to_pylist().index(None)].number
                raise SettingsError(f"{path}, line {line}: {field.name} is empty")
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a reference file as it stands there: the number of its (first) line, from 1, and its bytes."""

    number: int
    raw: bytes


def lines(path: Path) -> list[Line]:
    """The lines of the file's rows, in the order of `read`; a quoted value may hold line ends."""
    texts = list(io.StringIO(_text(path), newline=""))
    reader, found, start = csv.reader(texts), list[Line](), 0
    for record in reader:
        raw = "".join(texts[start : reader.line_num]).rstrip("\r\n")
        if record:
            found.append(Line(start + 1, raw.encode()))
        start = reader.line_num
    return found[1:]


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


def _columns(path: Path, header: list[str]) -> pa.Table:
    return pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=True, null_values=[""]
        ),
    )


def _problem(path: Path, error: Exception) -> str:
    """Why a file cannot be read as a table, in one line."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return f"line {path.read_bytes().count(_LINE_END, 0, error.start) + 1} is no UTF-8 text"
    width = None
    for line in lines(path) if not isinstance(error, csv.Error) else []:
        cells = len(next(csv.reader(io.StringIO(line.raw.decode(), newline=""))))
        width = width or len(next(csv.reader(io.StringIO(_text(path), newline=""))))
        if cells != width:
            return f"line {line.number} has {cells} columns, the header {width}"
    return f"cannot be read: {error}"


def _cast(path: Path, column: pa.ChunkedArray, name: str, target: pa.DataType) -> pa.ChunkedArray:
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        for at, value in enumerate(column.to_pylist()):
            try:
                pa.array([value]).cast(target)
            except pa.ArrowInvalid:
                told = f"{path}, line {lines(path)[at].number}: {name} {value!r} is not a {target}"
                raise SettingsError(told) from None
        raise
