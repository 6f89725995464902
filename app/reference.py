"""Reference data loaded into the warehouse: files as they are read, and business calendars."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.reference_file import Line, lines, read
from app.settings import Settings
from domain.fields import Table
from domain.schema import TABLES
from ingest.calendars import calendar_days
from ingest.reference_conflicts import contradicting
from ingest.reference_rows import KNOWN_AT, fresh_rows, learnt
from warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file that was loaded: how many of its rows are new, and those left out, each saying something else than another
    row of the same thing from the same day on."""

    path: Path
    table: str
    added: int
    contradicting: tuple[Line, ...] = ()


def learnt_at(warehouse: Warehouse, now_ns: int) -> int | None:
    """When rows that are loaded now count as learnt: what an installation starts with was known all along."""
    ran = warehouse.query("SELECT 1 AS one FROM execution_log LIMIT 1")
    return now_ns if ran.num_rows else None


def load(warehouse: Warehouse, table: Table, rows: pa.Table, known_at: int | None = None) -> int:
    """Append the rows that are not there yet; loading the same rows again adds nothing.

    They are learnt at `known_at` (UTC ns), without it known all along.
    """
    fresh = fresh_rows(warehouse, table, rows)
    return warehouse.append(table.name, learnt(fresh, known_at) if KNOWN_AT in table.columns else fresh)


def checked(path: Path, table: Table) -> LoadedFile:
    """What the file says by itself: its rows, and those that contradict each other. Raises SettingsError."""
    rows = read(path, table)
    wrong = contradicting(table, rows, None)
    return LoadedFile(path, table.name, rows.num_rows, _lines(path, wrong))


def load_file(warehouse: Warehouse, path: Path, table: Table, known_at: int | None = None) -> LoadedFile:
    """Load the file's rows but those that contradict what is known or each other. Raises SettingsError."""
    rows = read(path, table)
    wrong = contradicting(table, rows, warehouse.query(f"SELECT * FROM {table.name}"))
    added = load(warehouse, table, rows.filter(pa.array(~wrong)), known_at)
    return LoadedFile(path, table.name, added, _lines(path, wrong))


def _lines(path: Path, wrong: npt.NDArray[np.bool_]) -> tuple[Line, ...]:
    found = lines(path) if wrong.any() else []
    return tuple(found[at] for at in np.flatnonzero(wrong))


def load_files(warehouse: Warehouse, settings: Settings, known_at: int | None = None) -> list[LoadedFile]:
    """Load the files named in the settings. Raises SettingsError for the first that cannot be read as its table."""
    named = settings.reference.model_dump().items()
    return [load_file(warehouse, path, TABLES[name], known_at) for name, path in named if path is not None]


def load_calendars(warehouse: Warehouse, today: date) -> None:
    """Load two years of business calendars around `today`."""
    overrides = warehouse.query("SELECT * FROM calendar_override ORDER BY calendar, day, valid_from").to_pylist()
    days = calendar_days(today - timedelta(days=400), today + timedelta(days=400), overrides=overrides)
    load(warehouse, TABLES["calendar_day"], days)
