"""Normalised files matched in memory: store, match, report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from app.feed_terms import feed_terms
from app.reconcile_inputs import ReconcileError
from app.reconcile_memory import give_back
from app.reconcile_store import store_in_runs
from app.report import Context, FileNote, Report, build_report
from app.report_rows import Places
from ingest.feeds import Feed
from ingest.files.batch import FileBatch
from ingest.normalise import Normalised
from ingest.store import Counts
from matching.engine import match
from matching.levels.status_sql import HOLD_SECONDS
from matching.rules import RuleSet
from warehouse.port import Warehouse

_SECOND_NS = 1_000_000_000
_IGNORED = "IGNORED"
_ARRIVED = "recv_time_utc"
_CHANGES = pa.array(["CORRECT", "CANCEL"])


@dataclass(frozen=True, slots=True)
class Given:
    """What one tie-out works on: the records of every file, how each file was read, and what is worth telling.

    `feeds` are those whose terms count, `accounts` what was inferred: account to prime broker, `manifest` rows of
    file_manifest.
    """

    batch: Normalised
    files: tuple[FileNote, ...]
    places: Places
    feeds: tuple[Feed, ...]
    execution: str
    notes: tuple[str, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    manifest: pa.Table | None = None


def tie_out(warehouse: Warehouse, given: Given, rules: RuleSet, as_of_ns: int | None) -> Report:
    """Store, match and report; `warehouse` is migrated. Without `as_of_ns` (UTC) all grace has passed.

    What is stored is let go before anything is matched: a caller that keeps `given` keeps every message twice.
    """
    held, given = [given.batch], replace(given, batch=_nothing_of(given.batch))
    counts, received, until_ns = _keep(warehouse, given, held, rules, as_of_ns)
    terms = feed_terms(given.feeds)
    pa.default_memory_pool().release_unused()
    # A file of rates says the day they hold from, not when anybody knew them.
    result = match(warehouse, execution=given.execution, as_of=until_ns, rules=rules, feeds=terms, every_rate=True)
    give_back()
    inside = _expected(warehouse) if result.expected else 0
    return build_report(warehouse, _context(given, counts, received, rules, until_ns, inside))


def keep(warehouse: Warehouse, given: Given, rules: RuleSet, as_of_ns: int | None) -> tuple[Counts, int, int]:
    """Store what was read; returns what became of it, the messages received, and the time to match as of (UTC ns)."""
    return _keep(warehouse, given, [given.batch], rules, as_of_ns)


def _keep(
    warehouse: Warehouse, given: Given, held: list[Normalised], rules: RuleSet, as_of_ns: int | None
) -> tuple[Counts, int, int]:
    """Stores what `held` alone has: it is emptied, so that what is stored is let go."""
    batch = held.pop()
    latest_ns = latest(batch.trades)
    batch = replace(
        batch, messages=_received_at(batch.messages, latest_ns), quarantine=_received_at(batch.quarantine, latest_ns)
    )
    hold = HOLD_SECONDS if pc.any(pc.is_in(batch.trades["status"], _CHANGES)).as_py() else 0
    grace = max([rules.default_grace_seconds, hold, *(feed.grace_seconds for feed in given.feeds)])
    until_ns = as_of_ns if as_of_ns is not None else _last(batch, latest_ns) + (grace + 1) * _SECOND_NS
    if given.manifest is not None and given.manifest.num_rows:
        warehouse.append("file_manifest", given.manifest)
    received = batch.messages.num_rows
    held.append(batch)
    del batch
    give_back()
    return store_in_runs(warehouse, held, given.execution), received, until_ns


def _nothing_of(batch: Normalised) -> Normalised:
    return Normalised(
        batch.trades.schema.empty_table(), batch.fees.schema.empty_table(), batch.identifiers.schema.empty_table(),
        batch.messages.schema.empty_table(), batch.quarantine.schema.empty_table(),
    )  # fmt: skip


def _last(batch: Normalised, latest_ns: int) -> int:
    """When the last fact of any kind was received, UTC ns."""
    timed = [rows[_ARRIVED] for rows in batch.facts.values() if _ARRIVED in rows.schema.names]
    known: list[int | None] = [pc.max(column.cast(pa.int64())).as_py() for column in timed]
    return max([latest_ns, *(at for at in known if at is not None)])


def merge(parts: Sequence[Normalised]) -> Normalised:
    """The rows of all parts in their order."""
    return Normalised(
        pa.concat_tables([part.trades for part in parts]),
        pa.concat_tables([part.fees for part in parts]),
        pa.concat_tables([part.identifiers for part in parts]),
        pa.concat_tables([part.messages for part in parts]),
        pa.concat_tables([part.quarantine for part in parts]).combine_chunks(),
        {
            name: pa.concat_tables([part.facts[name] for part in parts if name in part.facts])
            for name in sorted({name for part in parts for name in part.facts})
        },
    )


def known_at(batch: Normalised, as_of_ns: int | None) -> tuple[Normalised, list[str]]:
    """The batch as it was known at `as_of_ns`, trades received later left out, and what to tell about it.

    Raises ReconcileError when nothing would be left.
    """
    if as_of_ns is None:
        return batch, []
    later = pc.greater(batch.trades["recv_time_utc"].cast(pa.int64()), as_of_ns)
    if pc.all(later).as_py() and len(later):
        raise ReconcileError("--as-of: every trade in the files is later than this")
    batch, rows = leave_out(batch, later)
    return batch, [f"{rows} row{' is' if rows == 1 else 's are'} later than --as-of and left out"] if rows else []


def leave_out(batch: Normalised, rows: pa.ChunkedArray) -> tuple[Normalised, int]:
    """The batch without some trades; messages that are left without any count as ignored. Returns how many."""
    trades = batch.trades.filter(pc.invert(rows))
    gone = pc.is_in(batch.messages["message_id"], batch.trades["message_id"].filter(rows).combine_chunks())
    stays = pc.is_in(batch.messages["message_id"], trades["message_id"].combine_chunks())
    ignored = pc.and_(gone, pc.invert(stays))
    outcome = pc.if_else(ignored, _IGNORED, batch.messages["outcome"])
    at = batch.messages.schema.get_field_index("outcome")
    messages = batch.messages.set_column(at, batch.messages.schema.field(at), outcome)
    count = int(pc.sum(ignored).as_py() or 0)
    return replace(batch, trades=trades, messages=messages), count


def places_of(name: str, batch: FileBatch) -> dict[str, tuple[str, int | None]]:
    """File and line of what is in quarantine, by message id; records name their own."""
    return {key: (name, batch.lines.get(key)) for key in batch.normalised.quarantine["message_id"].to_pylist()}


def latest(trades: pa.Table) -> int:
    """When the last trade was received, UTC ns; 0 without trades."""
    return int(pc.max(trades["recv_time_utc"].cast(pa.int64())).as_py() or 0)


def file_note(name: str, path: str, feed: Feed, sha256: str, size: int, batch: FileBatch) -> FileNote:
    """What became of one file that was read."""
    outcomes = batch.normalised.messages["outcome"].value_counts().to_pylist()
    return FileNote(
        name=name, path=path, role=feed.role, party=feed.party, kind=batch.kind.value, encoding=batch.encoding,
        sha256=sha256, size=size, rows=batch.normalised.messages.num_rows,
        counts={str(row["values"]).lower(): int(row["counts"]) for row in outcomes},
        columns=batch.columns, unused=batch.unused, notes=batch.notes,
    )  # fmt: skip


def _received_at(table: pa.Table, ns: int) -> pa.Table:
    at = table.schema.get_field_index("recv_ts")
    moment = pa.repeat(pa.scalar(ns, pa.int64()), table.num_rows).cast(table.schema.field(at).type)
    return table.set_column(at, table.schema.field(at), moment)


def _expected(warehouse: Warehouse) -> int:
    return int(warehouse.query("SELECT count(*) AS n FROM recon_break WHERE state = 'EXPECTED'")["n"][0].as_py())


def _context(given: Given, counts: Counts, received: int, rules: RuleSet, as_of_ns: int, waiting: int) -> Context:
    rows = {"received": received, "facts": counts.facts, "duplicates": counts.duplicates,
            "session": counts.session, "ignored": counts.ignored, "quarantined": counts.quarantined}  # fmt: skip
    told = [f"account {name} taken as held at {pb}" for name, pb in given.accounts.items()]
    told += given.notes
    if waiting:
        told.append(f"{waiting} open item{' is' if waiting == 1 else 's are'} still inside grace and not yet a break")
    return Context(given.files, rows, rules.name, rules.hash, as_of_ns, given.accounts, tuple(told), given.places)
