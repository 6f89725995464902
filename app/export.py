"""A state as it was known, as one folder for an examiner: originals, what was made of them, decisions and the trail."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from app.as_known_facts import REFERENCE
from app.verify import PARTS, trail_lines
from domain.errors import PermanentError
from domain.ids import digest128
from ingest.originals import HERE, Originals
from warehouse.port import Warehouse

Json = dict[str, Any]
_PIECE = 20_000
_MESSAGES = f"""
SELECT number, message_id, feed, recv_ts, sha256, msg_type, outcome, execution, raw FROM raw_message
WHERE session = :session AND number > :after ORDER BY number, message_id LIMIT {_PIECE}
"""
_INDEX = ("message_id", "feed", "session", "number", "recv_ts", "msg_type", "outcome", "execution", "sha256", "file",
          "offset", "length")  # fmt: skip
_MEMBERS = """
SELECT m.{key}, m.side, m.record_id, coalesce(e.feed, f.feed) AS feed, e.message_id,
  coalesce(e.trade_uid, f.trade_uid) AS uid, coalesce(e.file, f.file) AS file, coalesce(e.line, f.line) AS line
FROM {table} m LEFT JOIN trade_event e ON e.record_id = m.record_id LEFT JOIN member_fact f ON f.record_id = m.record_id
ORDER BY 1, 2, 3
"""
# File and what it holds; every table says when each row was known.
_TABLES: Mapping[str, str] = {
    "breaks.csv": "SELECT * FROM break_queue ORDER BY break_id",
    "expected.csv": "SELECT * FROM recon_break WHERE state = 'EXPECTED' ORDER BY break_id",
    "break_members.csv": _MEMBERS.format(key="break_id", table="recon_break_member"),
    "break_history.csv": "SELECT * FROM break_change ORDER BY as_of, break_id, generation, change_id",
    "groups.csv": "SELECT * FROM match_group ORDER BY group_id",
    "group_members.csv": _MEMBERS.format(key="group_id", table="match_member"),
    "trades.csv": "SELECT * FROM trade_event ORDER BY recv_time_utc, record_id",
    "positions.csv": "SELECT * FROM position_snapshot ORDER BY recv_time_utc, record_id",
    "cash.csv": "SELECT * FROM cash_entry ORDER BY recv_time_utc, record_id",
    "settlement.csv": "SELECT * FROM settlement_status ORDER BY recv_time_utc, record_id",
    "affirmations.csv": "SELECT * FROM affirmation ORDER BY recv_time_utc, record_id",
    "acknowledgements.csv": "SELECT * FROM acknowledgement ORDER BY recv_time_utc, record_id",
    "quarantine.csv": "SELECT quarantine_id, message_id, feed, recv_ts, code, reason, detail, dialect, dialect_version,"
    " file, line FROM quarantine ORDER BY recv_ts, quarantine_id",
    "decisions.csv": "SELECT * FROM action ORDER BY acted_at, action_id",
    "tickets.csv": "SELECT o.outbox_key, o.break_id, o.generation, o.operation, o.sys_id, o.created_as_of, o.payload,"
    " d.attempt, d.outcome, d.http_status, d.ticket_number, d.attempted_at, d.detail FROM ticket_outbox o"
    " LEFT JOIN ticket_delivery d ON d.outbox_key = o.outbox_key ORDER BY o.created_as_of, o.outbox_key, d.attempt",
    "runs.csv": "SELECT * FROM execution_log ORDER BY seq, execution",
    "alerts.csv": "SELECT * FROM alert ORDER BY noted_at, alert_id",
    "days_closed.csv": "SELECT * FROM day_close ORDER BY closed_at, close_id",
}
# Calendars are computed, not given.
_REFERENCE = tuple(name for name in REFERENCE if name != "calendar_day")
_README = """The state of tenant {tenant} as it was known at {when}.

manifest.json   time, rule set, software, counts, and the digest of the open breaks
originals/      every message received by then, byte for byte: one file per session, messages one after the other, each
                followed by a line feed that is not its own. index.csv says where each begins, how long it is, when it
                was received (UTC, ns) and its SHA-256
state/          what was made of them by then: breaks, their members and history, groups, facts, quarantine, decisions,
                tickets, runs of the matching, alerts, signed days. Times are UTC; amounts are exact
reference/      instruments, accounts, rates and what else the matching used, as known by then
trail/          the audit trail up to then: tieout verify --in trail
SHA256SUMS      the hash of every file: sha256sum -c SHA256SUMS

breaks.csv holds breaks that were open or had ended; expected.csv what was still inside its grace. Each break leads by
break_members.csv to its message and from there by index.csv to the bytes.
{notes}"""


class ExportRefused(PermanentError):
    """The folder cannot be written; the text says why."""


@dataclass(frozen=True, slots=True)
class About:
    """What the folder says about itself; `summary` is the tie-out of the state."""

    tenant: str
    when: str
    made_at: str
    rules: str
    rule_set_hash: str
    version: str
    summary: Json
    originals: Originals = HERE


def export(warehouse: Warehouse, out: Path, about: About) -> Json:
    """Write the folder; returns the manifest. Raises ExportRefused when it exists with something in it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportRefused(f"{out}: exists and is not an empty folder")
    try:
        # What was traded is not for everyone on the machine.
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in ("originals", "state", "reference", "trail"):
            (out / folder).mkdir(exist_ok=True)
        messages = _originals(warehouse, out / "originals", about.originals)
        rows = {name: _table(warehouse, sql, out / "state" / name) for name, sql in _TABLES.items()}
        for name in _REFERENCE:
            _table(warehouse, f"SELECT * FROM {name} ORDER BY 1, 2, 3", out / "reference" / f"{name}.csv")
        for part in PARTS:
            with (out / "trail" / f"{part}.jsonl").open("w", encoding="utf-8") as handle:
                handle.writelines(trail_lines(warehouse, part))
        manifest = _manifest(about, messages, rows)
        (out / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        notes = "".join(f"\nNote: {note}.\n" for note in about.summary["as_known"]["notes"])
        (out / "README.txt").write_text(
            _README.format(tenant=about.tenant, when=about.when, notes=notes), encoding="utf-8"
        )
        _sums(out)
    except OSError as error:
        raise ExportRefused(f"{out}: {(error.strerror or str(error)).lower()}") from None
    return manifest


def _manifest(about: About, messages: int, rows: Mapping[str, int]) -> Json:
    summary = about.summary
    return {
        "tenant": about.tenant,
        "as_known_at": about.when,
        "made_at": about.made_at,
        "software": f"tieout {about.version}",
        "rules": {"name": about.rules, "hash": about.rule_set_hash},
        "messages": messages,
        "rows": dict(rows),
        "open_breaks": sum(row["count"] for row in summary["breaks"]),
        "open_breaks_digest": summary["digest"],
        "runs_replayed": summary["as_known"]["runs"],
        "received_not_matched_then": summary["as_known"]["unmatched_then"],
        "notes": summary["as_known"]["notes"],
    }


def _originals(warehouse: Warehouse, folder: Path, originals: Originals) -> int:
    """The bytes of every session and where each message lies in them; returns how many messages."""
    sessions = warehouse.query("SELECT DISTINCT session FROM raw_message ORDER BY session")["session"].to_pylist()
    total = 0
    with pa_csv.CSVWriter(folder / "index.csv", pa.schema([(name, pa.string()) for name in _INDEX])) as index:
        for session in sessions:
            name, offset = _file_name(session), 0
            with (folder / name).open("wb") as handle:
                for piece in _pieces(warehouse, session):
                    raw = [originals.of(row) for row in piece.select(["message_id", "sha256", "raw"]).to_pylist()]
                    starts = []
                    for message in raw:
                        starts.append(offset)
                        handle.write(message + b"\n")
                        offset += len(message) + 1
                    count = piece.num_rows
                    columns = {
                        **{column: piece[column] for column in piece.column_names},
                        "session": pa.array([session] * count),
                        "file": pa.array([name] * count),
                        "offset": pa.array(starts, pa.int64()),
                        "length": pa.array([len(message) for message in raw], pa.int64()),
                    }
                    index.write_table(as_text(pa.table({column: columns[column] for column in _INDEX})))
                    total += count
    return total


def _pieces(warehouse: Warehouse, session: str) -> Iterator[pa.Table]:
    after = -1
    while (piece := warehouse.query(_MESSAGES, {"session": session, "after": after})).num_rows:
        yield piece
        after = piece["number"][-1].as_py()


def _file_name(session: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", session).strip("._") or "session"
    return f"{plain[:80]}.raw" if plain == session else f"{plain[:80]}-{digest128(session)[:8]}.raw"


def _table(warehouse: Warehouse, sql: str, file: Path) -> int:
    rows = warehouse.query(sql)
    pa_csv.write_csv(as_text(rows), file)
    return int(rows.num_rows)


def as_text(rows: pa.Table) -> pa.Table:
    """Every column as text: exact decimals, times in UTC to the nanosecond."""
    return pa.table({name: _text(rows[name]) for name in rows.column_names})


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    if pa.types.is_timestamp(column.type):
        text = pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")
    return text


def _sums(out: Path) -> None:
    lines = [f"{_sha256(path)}  {path.relative_to(out).as_posix()}\n" for path in _files(out)]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def _files(out: Path) -> Iterable[Path]:
    return sorted((path for path in out.rglob("*") if path.is_file()), key=lambda path: path.as_posix())


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
