"""A file by its dialect: the table in it whatever the container, its columns found, what changed in its layout."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ingest.files.aliases import key_of
from ingest.files.file_dialect import FileDialect
from ingest.files.fixed_table import read_fixed
from ingest.files.read import Decoded, FileRefused, decode
from ingest.files.sheet_table import sheet_as_csv
from ingest.files.table import DELIMITERS, CsvTable, read_table
from ingest.files.times import parse_date
from ingest.files.xml_table import read_xml

_HEAD = 4096


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A table, which header each canonical column was found under, what is new in the layout, the date it states."""

    table: CsvTable
    columns: Mapping[str, str]
    source: Decoded
    drift: tuple[str, ...]
    stated_date: date | None


def lay_out(data: bytes, file: str, dialect: FileDialect) -> LaidOut:
    """The file as a table. Raises FileRefused when it is not what the dialect says it is."""
    source = sheet_as_csv(data, file, dialect.sheet) if dialect.kind == "xls" else decode(data)
    if dialect.fixed is not None:
        table = read_fixed(source, file, dialect.fixed)
    elif dialect.xml is not None:
        # The parser reads the encoding from the document itself.
        table, source = read_xml(data, file, dialect.xml), Decoded(data, "utf-8")
    else:
        table = read_table(source, file, dialect.knows, ("\t",) if dialect.kind == "tab" else DELIMITERS)
    empty = dialect.xml is not None and not table.text.num_rows
    columns = {} if empty else _found(table, file, dialect)
    return LaidOut(table, columns, source, () if empty else _drift(table.header, dialect), _stated(source, dialect))


def _found(table: CsvTable, file: str, dialect: FileDialect) -> dict[str, str]:
    present: dict[str, str] = {}
    for name in table.header:
        present.setdefault(key_of(name), name)
    columns = {}
    for name, headers in dialect.columns.items():
        found = next((present[key_of(header)] for header in headers if key_of(header) in present), None)
        if found is not None:
            columns[name] = found
    lacking = [name for name in dialect.required() if name not in {*columns, *dialect.constants}]
    if not lacking and not dialect.required_any(columns):
        lacking = [next(name for name in dialect.columns if name in ("symbol", "isin", "identifier"))]
    if lacking:
        wanted = " or ".join(dialect.columns.get(lacking[0], (lacking[0],)))
        shown = ", ".join(name for name in table.header if name)[:400]
        detail = f"no column {wanted} for {lacking[0]}; the header reads: {shown}"
        raise FileRefused(file, table.header_line, "missing_column", detail)
    return columns


def _drift(header: Sequence[str], dialect: FileDialect) -> tuple[str, ...]:
    """What is new in the header: columns nobody told of, columns in another place than the dialect lists them."""
    if not dialect.fixed_columns:
        return ()
    places = {key_of(name): at for at, names in enumerate(dialect.columns.values()) for name in names}
    new = [name for name in header if name and not dialect.knows(name)]
    told = [f"new column {name!r}" for name in new]
    order = [(places[key_of(name)], name) for name in header if key_of(name) in places]
    moved = next((name for (_, name), (_, here) in zip(sorted(order), order, strict=True) if name != here), None)
    told += [f"column {moved!r} is in another place"] if moved else []
    return tuple(told)


def _stated(source: Decoded, dialect: FileDialect) -> date | None:
    if dialect.date_in_file is None:
        return None
    found = re.search(dialect.date_in_file, source.data[:_HEAD].decode("utf-8", "replace"))
    return parse_date(found.group(1), dialect.date_format == "DD/MM/YYYY") if found else None
