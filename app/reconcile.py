"""Ties out files with no service running: read, normalise, match in memory, report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from app.reconcile_inputs import Loaded, ReconcileError, load, read_map, sources, write_draft
from app.reconcile_links import align_names, infer_prime_brokers, link_accounts, link_instruments
from app.reconcile_rules import rule_set
from app.report import Context, FileNote, Report, build_report
from app.report_files import csv_text, json_text, write_folder
from app.report_html import html_text
from app.report_table import write_table
from ingest.files.read import FileRefused
from ingest.normalise import Normalised
from ingest.store import Counts, store
from matching.engine import FeedTerms, match
from matching.rules import RuleSet
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

FORMATS = ("table", "json", "csv", "html")
TIED_OUT, HAS_BREAKS, UNUSABLE = 0, 1, 2
_SECOND_NS = 1_000_000_000
_IGNORED = "IGNORED"


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """The command's arguments as given."""

    ours: tuple[Path, ...]
    against: tuple[str, ...]
    rules: Path | None = None
    tolerances: Path | None = None
    mapping: Path | None = None
    as_of: str | None = None
    out: Path | None = None
    format: str = "table"


def run(options: ReconcileOptions, out: TextIO, err: TextIO) -> int:
    """Exit status: 0 tied out, 1 breaks or quarantined rows, 2 unusable input (one line on `err` says which)."""
    try:
        report = reconcile(options)
        if options.out is not None:
            _write_folder(report, options.out)
    except ReconcileError as error:
        err.write(f"tieout: {error}\n")
        return UNUSABLE
    _write(report, options.format, out)
    return TIED_OUT if report.tied_out else HAS_BREAKS


def reconcile(options: ReconcileOptions) -> Report:
    """The report of one tie-out. Raises ReconcileError with one line for the user."""
    if options.format not in FORMATS:
        raise ReconcileError(f"--format {options.format!r}: expected one of {', '.join(FORMATS)}")
    as_of_ns = parse_as_of(options.as_of)
    rules = rule_set(options.rules, options.tolerances)
    found = sources(options.ours, options.against)
    try:
        loaded = load(found, read_map(options.mapping))
    except FileRefused as error:
        raise ReconcileError(f"{error}{write_draft(error, found)}") from None
    return _match(loaded, rules, as_of_ns)


def parse_as_of(text: str | None) -> int | None:
    """UTC nanoseconds of an ISO 8601 time (no zone means UTC). Raises ReconcileError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ReconcileError(f"--as-of {text!r}: expected a UTC time such as 2026-11-20T20:45:00Z") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * _SECOND_NS + whole.microseconds * 1_000


def _match(loaded: Sequence[Loaded], rules: RuleSet, as_of_ns: int | None) -> Report:
    merged, notes = _known_at(_merge([item.batch.normalised for item in loaded]), as_of_ns)
    parties = sorted({item.source.feed.party for item in loaded if item.source.feed.role == "PB"})
    merged, accounts, linked = _linked(merged, parties)
    merged, away = _held_elsewhere(merged, parties)
    notes = [*linked, *away, *notes]
    trades = merged.trades
    latest_ns = _latest(trades)
    merged = Normalised(
        trades, merged.fees, merged.identifiers, _received_at(merged.messages, latest_ns),
        _received_at(merged.quarantine, latest_ns),
    )  # fmt: skip
    grace = max(rules.default_grace_seconds, *(item.source.feed.grace_seconds for item in loaded))
    until_ns = as_of_ns if as_of_ns is not None else latest_ns + (grace + 1) * _SECOND_NS
    execution = sha256("".join(item.source.sha256 for item in loaded).encode()).hexdigest()[:40]
    feeds = {item.source.feed.name: item.source.feed for item in loaded}
    terms = [FeedTerms(feed.name, feed.role, feed.party, feed.grace_seconds) for feed in feeds.values()]
    warehouse = DuckDbWarehouse(":memory:")
    try:
        migrate(warehouse)
        counts = store(warehouse, merged, execution)
        result = match(warehouse, execution=execution, as_of=until_ns, rules=rules, feeds=terms)
        inside = _expected(warehouse) if result.expected else 0
        context = _context(loaded, counts, rules, until_ns, accounts, [*notes, *_waiting(inside)], merged.messages)
        return build_report(warehouse, context)
    finally:
        warehouse.close()


def _linked(batch: Normalised, parties: Sequence[str]) -> tuple[Normalised, dict[str, str], list[str]]:
    """The batch with what the files say about each other applied; account → prime broker as inferred; notes."""
    trades, recognised = link_instruments(batch.trades)
    trades, aliases = link_accounts(trades)
    trades, renamed = align_names(trades, parties)
    trades, accounts, notes = infer_prime_brokers(trades, parties)
    linked = Normalised(trades, batch.fees, batch.identifiers, batch.messages, batch.quarantine)
    return linked, accounts, [*([recognised] if recognised else []), *aliases, *renamed, *notes]


def _merge(parts: Sequence[Normalised]) -> Normalised:
    return Normalised(
        pa.concat_tables([part.trades for part in parts]).combine_chunks(),
        pa.concat_tables([part.fees for part in parts]),
        pa.concat_tables([part.identifiers for part in parts]),
        pa.concat_tables([part.messages for part in parts]).combine_chunks(),
        pa.concat_tables([part.quarantine for part in parts]).combine_chunks(),
    )


def _known_at(batch: Normalised, as_of_ns: int | None) -> tuple[Normalised, list[str]]:
    """The batch as it was known at `as_of_ns`: trades sent later are left out."""
    if as_of_ns is None:
        return batch, []
    later = pc.greater(batch.trades["recv_time_utc"].cast(pa.int64()), as_of_ns)
    if pc.all(later).as_py():
        raise ReconcileError("--as-of: every trade in the files is later than this")
    batch, rows = _leave_out(batch, later)
    return batch, [f"{rows} row{' is' if rows == 1 else 's are'} later than --as-of and left out"] if rows else []


def _held_elsewhere(batch: Normalised, parties: Sequence[str]) -> tuple[Normalised, list[str]]:
    """Our trades at prime brokers whose file was not given are out of scope, not breaks."""
    trades = batch.trades
    ours = pc.equal(trades["source_role"], "INTERNAL")
    known = pc.or_kleene(pc.is_null(trades["pb_id"]), pc.is_in(trades["pb_id"], pa.array(parties, pa.string())))
    away = pc.and_(ours, pc.invert(known))
    names = sorted(set(trades.filter(away)["pb_id"].to_pylist()))
    if not names:
        return batch, []
    batch, rows = _leave_out(batch, away)
    told = f"{rows} of our rows {'is' if rows == 1 else 'are'} held at {', '.join(names)}: no file given, left out"
    return batch, [told]


def _leave_out(batch: Normalised, rows: pa.ChunkedArray) -> tuple[Normalised, int]:
    """The batch without some trades; messages that are left without any count as ignored. Returns how many."""
    trades = batch.trades.filter(pc.invert(rows))
    gone = pc.is_in(batch.messages["message_id"], batch.trades.filter(rows)["message_id"].combine_chunks())
    stays = pc.is_in(batch.messages["message_id"], trades["message_id"].combine_chunks())
    ignored = pc.and_(gone, pc.invert(stays))
    outcome = pc.if_else(ignored, _IGNORED, batch.messages["outcome"])
    at = batch.messages.schema.get_field_index("outcome")
    messages = batch.messages.set_column(at, batch.messages.schema.field(at), outcome)
    count = int(pc.sum(ignored).as_py() or 0)
    return Normalised(trades, batch.fees, batch.identifiers, messages, batch.quarantine), count


def _latest(trades: pa.Table) -> int:
    return int(pc.max(trades["recv_time_utc"].cast(pa.int64())).as_py())


def _received_at(table: pa.Table, ns: int) -> pa.Table:
    at = table.schema.get_field_index("recv_ts")
    moment = pa.repeat(pa.scalar(ns, pa.int64()), table.num_rows).cast(table.schema.field(at).type)
    return table.set_column(at, table.schema.field(at), moment)


def _expected(warehouse: DuckDbWarehouse) -> int:
    return int(warehouse.query("SELECT count(*) AS n FROM recon_break WHERE state = 'EXPECTED'")["n"][0].as_py())


def _waiting(breaks: int) -> list[str]:
    told = f"{breaks} open item{' is' if breaks == 1 else 's are'} still inside grace and not yet a break"
    return [told] if breaks else []


def _context(
    loaded: Sequence[Loaded],
    counts: Counts,
    rules: RuleSet,
    as_of_ns: int,
    accounts: dict[str, str],
    notes: Sequence[str],
    messages: pa.Table,
) -> Context:
    files = []
    places: dict[str, tuple[str, int]] = {}
    for item in loaded:
        batch, source = item.batch, item.source
        outcomes = batch.normalised.messages["outcome"].value_counts().to_pylist()
        files.append(
            FileNote(
                name=source.name, path=str(source.path), role=source.feed.role, party=source.feed.party,
                kind=batch.kind.value, encoding=batch.encoding, sha256=source.sha256, size=len(source.data),
                rows=batch.normalised.messages.num_rows,
                counts={str(row["values"]).lower(): int(row["counts"]) for row in outcomes},
                columns=batch.columns, unused=batch.unused, notes=batch.notes,
            )
        )  # fmt: skip
        places |= {message_id: (source.name, line) for message_id, line in batch.lines.items()}
    rows = {"received": messages.num_rows, "facts": counts.facts, "duplicates": counts.duplicates,
            "session": counts.session, "ignored": counts.ignored, "quarantined": counts.quarantined}  # fmt: skip
    told = [f"account {name} taken as held at {pb}" for name, pb in accounts.items()]
    return Context(tuple(files), rows, rules.name, rules.hash, as_of_ns, accounts, (*told, *notes), places)


def _write_folder(report: Report, folder: Path) -> None:
    try:
        write_folder(report, folder)
    except OSError as error:
        raise ReconcileError(f"--out {folder}: {(error.strerror or str(error)).lower()}") from None


def _write(report: Report, form: str, out: TextIO) -> None:
    if form == "table":
        write_table(report, out)
    else:
        out.write({"json": json_text, "csv": csv_text, "html": html_text}[form](report))
