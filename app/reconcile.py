"""Ties out files with no service running: read, normalise, match in memory, report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from app.as_known_files import known_files, only_known
from app.reconcile_ahead import Ahead, readers
from app.reconcile_folder import read_feeds
from app.reconcile_inputs import Loaded, ReconcileError, Source, load, read_map, sources, write_draft
from app.reconcile_lane import bytes_of, compiled_lane
from app.reconcile_links import align_names, infer_prime_brokers, link_accounts, link_instruments
from app.reconcile_match import Given, file_note, known_at, latest, leave_out, merge, places_of, tie_out
from app.reconcile_memory import seldom_collected
from app.reconcile_rules import rule_set
from app.reconcile_shelf import Shelf
from app.reference import LoadedFile, load_calendars, load_files
from app.reference_held import as_messages, rows_set_aside
from app.report import FileNote, Report
from app.report_files import csv_text, json_pieces, write_folder
from app.report_html import html_text
from app.report_table import write_table
from app.settings import Settings, SettingsError
from app.settings import load as load_settings
from ingest.dialects.dialect import load_dialects
from ingest.files.csv_map import CsvMap
from ingest.files.read import FileRefused
from ingest.normalise import Normalised
from ingest.normalise_reference import load_reference
from ingest.reference_rows import FED
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import OutOfMemory, Warehouse

FORMATS = ("table", "json", "csv", "html")
TIED_OUT, HAS_BREAKS, UNUSABLE = 0, 1, 2
# What the warehouse may take (MB) before it goes to disk; reading and reporting need as much again.
MEMORY_MB = 2560
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """The command's arguments as given."""

    ours: tuple[Path, ...] = ()
    against: tuple[str, ...] = ()
    rules: Path | None = None
    tolerances: Path | None = None
    mapping: Path | None = None
    as_of: str | None = None
    as_known_at: str | None = None
    out: Path | None = None
    format: str = "table"
    config: Path | None = None
    memory_mb: int = MEMORY_MB


def run(options: ReconcileOptions, out: TextIO, err: TextIO) -> int:
    """Exit status: 0 tied out, 1 breaks or quarantined rows, 2 unusable input or too little memory (`err` says)."""
    try:
        with seldom_collected():
            report = reconcile(options)
            if options.out is not None:
                _write_folder(report, options.out)
            _write(report, options.format, out)
    except (ReconcileError, SettingsError) as error:
        err.write(f"tieout: {error}\n")
        return UNUSABLE
    except OutOfMemory as error:
        err.write(
            f"tieout: the warehouse ran out of memory: {error}\n"
            f"tieout: it may take {options.memory_mb} MB; let it take more with --memory-mb\n"
        )
        return UNUSABLE
    except MemoryError as error:
        err.write(f"tieout: this machine (or the limit of this process) ran out of memory: {error}\n")
        return UNUSABLE
    return TIED_OUT if report.tied_out else HAS_BREAKS


def reconcile(options: ReconcileOptions) -> Report:
    """The report of one tie-out. Raises ReconcileError or SettingsError with one line for the user."""
    if options.format not in FORMATS:
        raise ReconcileError(f"--format {options.format!r}: expected one of {', '.join(FORMATS)}")
    if options.config is not None:
        return _by_settings(options, options.config)
    if not options.ours and not options.against:
        raise ReconcileError("nothing to tie out: give our files and --against FILE, or --config FILE")
    if not options.ours:
        raise ReconcileError("none of our own files given beside --against")
    as_of_ns, known_ns = _times(options)
    rules = rule_set(options.rules, options.tolerances)
    found = sources(options.ours, options.against)
    try:
        given = _two_sides(found, read_map(options.mapping), as_of_ns, known_ns)
    except FileRefused as error:
        raise ReconcileError(f"{error}{write_draft(error, found)}") from None
    with _in_memory(options.memory_mb) as warehouse:
        return tie_out(warehouse, given, rules, as_of_ns)


def _by_settings(options: ReconcileOptions, config: Path) -> Report:
    """Every feed of the settings from its files, with the settings' rules and reference data."""
    if options.ours or options.against:
        raise ReconcileError("give either files or --config, not both")
    if options.mapping is not None:
        raise ReconcileError("--map: with --config, a feed's column map is its `map` in the settings")
    as_of_ns, known_ns = _times(options)
    settings = load_settings(config)
    rules = rule_set(options.rules or settings.rules, options.tolerances)
    size = bytes_of(settings, config.resolve().parent)
    with (
        TemporaryDirectory(prefix="tieout-") as aside, readers(size) as ahead,
        _in_memory(options.memory_mb) as warehouse,
    ):  # fmt: skip
        waiting = [given_by(settings, config, warehouse, as_of_ns, known_ns, Shelf(Path(aside)), ahead)]
        return tie_out(warehouse, waiting.pop(), rules, as_of_ns)


def given_by(
    settings: Settings,
    config: Path,
    warehouse: Warehouse,
    as_of_ns: int | None,
    known_ns: int | None = None,
    shelf: Shelf | None = None,
    ahead: Ahead | None = None,
) -> Given:
    """What the files of the settings' feeds say, with reference data and calendars loaded into `warehouse`.

    With a `shelf` records that are many wait there until they are stored; files may be read `ahead`.
    """
    loaded = load_files(warehouse, settings)
    fed = [name for name in FED if any(feed.contents == "reference" for feed in settings.feeds)]
    known = {name: warehouse.query(f"SELECT * FROM {name}") for name in fed}
    dialects = load_dialects(settings.dialects)
    base = config.resolve().parent
    reference = replace(load_reference(warehouse, dialects), jit=compiled_lane(settings, base))
    read = read_feeds(settings, base, reference, known, keep_raw=False, shelf=shelf, ahead=ahead, known_ns=known_ns)
    given = _with_reference(read, loaded)
    batch, unknown = only_known(given.batch, known_ns)
    batch, later = known_at(batch, as_of_ns)
    load_calendars(warehouse, datetime.fromtimestamp(latest(batch.trades) // _SECOND_NS, UTC).date())
    files = known_files(given.manifest, known_ns)
    return replace(given, batch=batch, manifest=files, notes=(*given.notes, *unknown, *later))


def _with_reference(given: Given, files: Sequence[LoadedFile]) -> Given:
    """With the rows of the settings' reference files that contradict others, in quarantine as those of feeds are."""
    messages, bad = as_messages(files, 0)
    if not bad.num_rows:
        return given
    batch = replace(
        given.batch, messages=pa.concat_tables([given.batch.messages, messages]),
        quarantine=pa.concat_tables([given.batch.quarantine, bad]).combine_chunks(),
    )  # fmt: skip
    held = bad.select(["message_id", "file", "line"]).to_pylist()
    counts = {file.path: len(file.contradicting) for file in files if file.contradicting}
    return replace(
        given, batch=batch, places={**given.places, **{row["message_id"]: (row["file"], row["line"]) for row in held}},
        notes=(*given.notes, *(f"{path.name}: {rows_set_aside(n)}" for path, n in counts.items())),
    )  # fmt: skip


@contextmanager
def _in_memory(memory_mb: int) -> Iterator[DuckDbWarehouse]:
    """A migrated warehouse that is gone afterwards, with what of it does not fit into memory on disk."""
    with TemporaryDirectory(prefix="tieout-") as spill:
        warehouse = DuckDbWarehouse(":memory:", memory_limit_mb=memory_mb, spill_folder=Path(spill))
        try:
            migrate(warehouse)
            yield warehouse
        finally:
            warehouse.close()


def parse_as_of(text: str | None, option: str = "--as-of") -> int | None:
    """UTC nanoseconds of an ISO 8601 time (no zone means UTC). Raises ReconcileError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ReconcileError(f"{option} {text!r}: expected a UTC time such as 2026-11-20T20:45:00Z") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * _SECOND_NS + whole.microseconds * 1_000


def _times(options: ReconcileOptions) -> tuple[int | None, int | None]:
    """The time of the state and the time of knowledge (UTC ns): without the first, the state is as of the second."""
    known_ns = parse_as_of(options.as_known_at, "--as-known-at")
    as_of_ns = parse_as_of(options.as_of)
    return (known_ns if as_of_ns is None else as_of_ns), known_ns


def _two_sides(found: Sequence[Source], mapping: CsvMap, as_of_ns: int | None, known_ns: int | None) -> Given:
    """Our files and theirs, with what they say about each other applied."""
    loaded = load(found, mapping)
    batch, unknown = only_known(merge([item.batch.normalised for item in loaded]), known_ns)
    batch, later = known_at(batch, as_of_ns)
    parties = sorted({item.source.feed.party for item in loaded if item.source.feed.role == "PB"})
    batch, accounts, linked = _linked(batch, parties)
    batch, away = _held_elsewhere(batch, parties)
    feeds = {item.source.feed.name: item.source.feed for item in loaded}
    places: dict[str, tuple[str, int | None]] = {}
    for item in loaded:
        places |= places_of(item.source.name, item.batch)
    return Given(
        batch, tuple(_note(item) for item in loaded), places, tuple(feeds.values()),
        sha256("".join(item.source.sha256 for item in loaded).encode()).hexdigest()[:40],
        (*linked, *away, *unknown, *later), accounts,
    )  # fmt: skip


def _note(item: Loaded) -> FileNote:
    source = item.source
    return file_note(source.name, str(source.path), source.feed, source.sha256, len(source.data), item.batch)


def _linked(batch: Normalised, parties: Sequence[str]) -> tuple[Normalised, dict[str, str], list[str]]:
    """The batch with what the files say about each other applied; account → prime broker as inferred; notes."""
    trades, recognised = link_instruments(batch.trades)
    trades, aliases = link_accounts(trades)
    trades, renamed = align_names(trades, parties)
    trades, accounts, notes = infer_prime_brokers(trades, parties)
    return replace(batch, trades=trades), accounts, [*([recognised] if recognised else []), *aliases, *renamed, *notes]


def _held_elsewhere(batch: Normalised, parties: Sequence[str]) -> tuple[Normalised, list[str]]:
    """Our trades at prime brokers whose file was not given are out of scope, not breaks."""
    trades = batch.trades
    ours = pc.equal(trades["source_role"], "INTERNAL")
    known = pc.or_kleene(pc.is_null(trades["pb_id"]), pc.is_in(trades["pb_id"], pa.array(parties, pa.string())))
    away = pc.and_(ours, pc.invert(known))
    names = sorted(set(trades["pb_id"].filter(away).to_pylist()))
    if not names:
        return batch, []
    batch, rows = leave_out(batch, away)
    told = f"{rows} of our rows {'is' if rows == 1 else 'are'} held at {', '.join(names)}: no file given, left out"
    return batch, [told]


def _write_folder(report: Report, folder: Path) -> None:
    try:
        write_folder(report, folder)
    except OSError as error:
        raise ReconcileError(f"--out {folder}: {(error.strerror or str(error)).lower()}") from None


def _write(report: Report, form: str, out: TextIO) -> None:
    if form == "table":
        write_table(report, out)
    elif form == "json":
        out.writelines(json_pieces(report))
    else:
        out.write({"csv": csv_text, "html": html_text}[form](report))
