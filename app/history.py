"""History to try rules on: the facts of an installation, or of a folder of files, in a scratch warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from app import build
from app.client import running
from app.feed_terms import feed_terms
from app.reconcile import given_by
from app.reconcile_inputs import ReconcileError
from app.reconcile_match import keep
from app.reference import load_calendars
from app.settings import Settings, load
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from domain.fields import Kind, Table
from domain.schema import TABLES
from matching.levels.port import FeedTerms
from matching.levels.status_sql import HOLD_SECONDS
from matching.rules import RuleSet
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse

SETTINGS_NAME = "tieout.yaml"
_SECOND_NS = 1_000_000_000
# What says nothing about trades and books, and what matching itself recorded.
_LEFT = frozenset({
    "execution_log", "ticket_outbox", "ticket_delivery", "ticket_seen", "break_latency", "parked_batch", "audit_entry",
    "audit_root", "notification", "match_terms",
})  # fmt: skip
_RAW = "raw"


class HistoryError(Exception):
    """There is no history to use; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class History:
    """Facts in a scratch warehouse, the terms to match them by, and the time (UTC ns) by which all grace has passed."""

    name: str
    settings: Settings
    warehouse: Warehouse
    feeds: tuple[FeedTerms, ...]
    as_of: int


@contextmanager
def open_history(place: Path, rules: RuleSet, settings_file: Path | None = None) -> Iterator[History]:
    """The history at `place`: a data directory, a settings file or a folder that holds one.

    An installation's own facts are taken where it has any, else the files its feeds name. Nothing of it is changed.
    Raises HistoryError or SettingsError.
    """
    config, settings = _settings(place, settings_file)
    scratch = DuckDbWarehouse(":memory:")
    try:
        migrate(scratch)
        if place.is_dir() and (place / "warehouse.duckdb").is_file():
            settings = settings.model_copy(update={"data_dir": place})
        if _has_facts(settings):
            name, as_of = str(settings.data_dir), _copied(settings, scratch, rules)
        else:
            given = given_by(settings, config, scratch, None)
            _counts, _received, as_of = keep(scratch, given, rules, None)
            name = str(config.parent)
        yield History(name, settings, scratch, tuple(feed_terms(settings.feeds)), as_of)
    except ReconcileError as error:
        raise HistoryError(str(error)) from None
    finally:
        scratch.close()


def _settings(place: Path, given: Path | None) -> tuple[Path, Settings]:
    inside = [place / SETTINGS_NAME, place.parent / SETTINGS_NAME] if place.is_dir() else [place]
    config = given or next((path for path in inside if path.is_file()), None)
    if config is None:
        what = (
            f"no {SETTINGS_NAME} in it or beside it; name the settings with --config" if place.exists() else "not there"
        )
        raise HistoryError(f"{place}: {what}")
    return config, load(config)


def _has_facts(settings: Settings) -> bool:
    address = settings.address("warehouse")
    if address.scheme != "duckdb":
        return True
    return Path(address.path or str(settings.data_dir / "warehouse.duckdb")).is_file()


def _copied(settings: Settings, scratch: Warehouse, rules: RuleSet) -> int:
    """Copy every fact and all reference data; returns the time by which all grace has passed, UTC ns."""
    if running(settings.data_dir) is not None:
        raise HistoryError(f"{settings.data_dir}: a service is running on it; stop it first, or name a copy")
    try:
        source = build.open_warehouse(settings, SystemClock())
    except (PermanentError, TransientError) as error:
        raise HistoryError(f"{settings.data_dir}: {error}") from None
    try:
        for table in TABLES.values():
            if table.kind is not Kind.DERIVED and table.name not in _LEFT:
                scratch.append(table.name, _rows(source, table))
        times = source.query(
            "SELECT max(t.seen) AS last FROM (SELECT max(recv_ts) AS seen FROM raw_message"
            " UNION ALL SELECT max(as_of) FROM execution_log) t"
        )["last"].cast("int64")
    finally:
        source.close()
    last = times[0].as_py()
    if last is None:
        raise HistoryError(f"{settings.data_dir}: nothing was received here yet")
    load_calendars(scratch, datetime.fromtimestamp(last // _SECOND_NS, UTC).date())
    rollup = [one.grace_seconds for one in rules.passes if one.kind == "rollup"]
    graces = [rules.default_grace_seconds, HOLD_SECONDS, *rollup, *(feed.grace_seconds for feed in settings.feeds)]
    return int(last) + (max(graces) + 1) * _SECOND_NS


def _rows(source: Warehouse, table: Table) -> pa.Table:
    """A table's rows without the bytes of messages, which no rule reads."""
    kept = [name for name in table.columns if name != _RAW]
    rows = source.query(f"SELECT {', '.join(kept)} FROM {table.name}")
    if _RAW not in table.columns:
        return rows
    return rows.append_column(_RAW, pa.repeat(pa.scalar(b"", pa.binary()), rows.num_rows))
