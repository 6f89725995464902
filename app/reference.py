"""Reference data: CSV files checked against the field tables and loaded into the warehouse."""

import csv
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from app.settings import Settings, SettingsError
from domain.fields import Kind, Table
from domain.schema import TABLES, TYPES
from ingest.calendars import calendar_days
from ingest.reference_rows import fresh_rows
from warehouse.port import Warehouse

REFERENCE_TABLES = tuple(name for name, table in TABLES.items() if table.kind is Kind.REFERENCE)


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
    with path.open(newline="", encoding="utf-8-sig") as handle:
        header = next(csv.reader(handle), [])
    unknown = [name for name in header if name not in table.columns]
    missing = [field.name for field in table.fields if field.required and field.name not in header]
    if unknown or missing:
        problem = f"unknown column {unknown[0]!r}" if unknown else f"missing column {missing[0]!r}"
        raise SettingsError(f"{path}: {problem}; expected {', '.join(table.columns)}")
    text = pa_csv.read_csv(
        path,
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=True, null_values=[""]
        ),
    )
    columns = {}
    for field in table.fields:
        if field.name in header:
            columns[field.name] = _cast(path, text[field.name], field.name, TYPES[field.type].arrow)
            if field.required and columns[field.name].null_count:
                line = columns[field.name].to_pylist().index(None) + 2
                raise SettingsError(f"{path}, line {line}: {field.name} is empty")
    return pa.table(columns)


def _cast(path: Path, column: pa.ChunkedArray, name: str, target: pa.DataType) -> pa.ChunkedArray:
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        for line, value in enumerate(column.to_pylist(), start=2):
            try:
                pa.array([value]).cast(target)
            except pa.ArrowInvalid:
                raise SettingsError(f"{path}, line {line}: {name} {value!r} is not a {target}") from None
        raise


def load(warehouse: Warehouse, table: Table, rows: pa.Table) -> int:
    """Append the rows that are not there yet; loading the same file again adds nothing."""
    return warehouse.append(table.name, fresh_rows(warehouse, table, rows))


def load_all(warehouse: Warehouse, settings: Settings, today: date) -> None:
    """Load the files named in the settings and two years of business calendars around `today`."""
    load_files(warehouse, settings)
    load_calendars(warehouse, today)


def load_files(warehouse: Warehouse, settings: Settings) -> None:
    """Load the files named in the settings. Raises SettingsError for the first that is wrong."""
    for name, path in settings.reference.model_dump().items():
        if path is not None:
            load(warehouse, TABLES[name], read(path, TABLES[name]))


def load_calendars(warehouse: Warehouse, today: date) -> None:
    """Load two years of business calendars around `today`."""
    overrides = warehouse.query("SELECT * FROM calendar_override ORDER BY calendar, day, valid_from").to_pylist()
    days = calendar_days(today - timedelta(days=400), today + timedelta(days=400), overrides=overrides)
    load(warehouse, TABLES["calendar_day"], days)
