"""Facts as they were known at a time: which column says when, and their copy into a warehouse of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from domain.fields import Kind
from domain.schema import TABLES
from ingest.reference_rows import KNOWN_AT
from warehouse.port import Warehouse
from warehouse.sql import timestamp

# When a fact of each table came to be known.
KNOWN_WHEN: Mapping[str, str] = {
    "execution_log": "as_of",
    "trade_event": "recv_time_utc",
    "raw_message": "recv_ts",
    "quarantine": "recv_ts",
    "quarantine_retry": "retried_at",
    "position_snapshot": "recv_time_utc",
    "cash_entry": "recv_time_utc",
    "settlement_status": "recv_time_utc",
    "book_named": "named_at",
    "affirmation": "recv_time_utc",
    "acknowledgement": "recv_time_utc",
    "sequence_gap": "recv_time_utc",
    "session_state": "recv_time_utc",
    "file_manifest": "recv_time_utc",
    "action": "acted_at",
    "match_decision": "decided_at",
    "ticket_outbox": "created_as_of",
    "ticket_delivery": "attempted_at",
    "ticket_seen": "seen_at",
    "break_latency": "committed_ts",
    "parked_batch": "as_of",
    "table_read": "read_at",
    "day_close": "closed_at",
    "alert": "noted_at",
    "notification": "noted_at",
    "proof_run": "ran_at",
    "match_terms": "noted_at",
    "audit_entry": "ts_utc",
    "audit_root": "signed_at",
}
# Known with the trade they belong to.
OF_A_TRADE = ("trade_fee", "trade_identifier")
# Read from the message's time of receipt, but known only once the message was read again.
_REREAD = (
    "trade_event", "position_snapshot", "cash_entry", "settlement_status", "affirmation", "acknowledgement",
)  # fmt: skip
_NOT_YET_REREAD = (
    " AND NOT EXISTS (SELECT 1 FROM quarantine_retry q WHERE q.execution = f.execution"
    " AND q.retried_at > CAST(:at AS TIMESTAMP_NTZ(9)))"
)
# A position or an entry under its name is known from when the name was.
_NAMED = ("position_snapshot", "cash_entry")
_NOT_YET_NAMED = (
    " AND f.record_id NOT IN (SELECT n.record_id FROM book_named n WHERE n.named_at > CAST(:at AS TIMESTAMP_NTZ(9)))"
)
# Scores are written by Score and survive a replay, which makes the same changes again.
_SCORES = (
    "SELECT f.* FROM break_score f WHERE EXISTS (SELECT 1 FROM execution_log x WHERE x.execution = f.execution"
    " AND x.as_of <= CAST(:at AS TIMESTAMP_NTZ(9)))"
)
# The bulk of a day; read in pieces of whole executions.
_LARGE = ("raw_message", "trade_event")
_PIECE_ROWS = 200_000
REFERENCE = tuple(name for name, table in TABLES.items() if table.kind is Kind.REFERENCE)


@dataclass(frozen=True, slots=True)
class Cut:
    """A SELECT over one table with its parameters; a large one is read in pieces of whole executions.

    `execution` is the one every copied row is said to come from, None to keep its own.
    """

    table: str
    sql: str
    params: Mapping[str, object]
    execution: str | None = None

    @property
    def large(self) -> bool:
        """Whether the table is the bulk of a day."""
        return self.table in _LARGE


def known_by(at_ns: int) -> list[Cut]:
    """What was known at `at_ns` (UTC ns), runs first: a run that is copied must find its facts.

    Of reference data, what was learnt by then; business days are computed, not learnt.
    """
    at = {"at": timestamp(at_ns)}
    cuts = [Cut(name, f"SELECT f.* FROM {name} f WHERE {_by(name)}", at) for name in KNOWN_WHEN]
    trades = f"SELECT f.record_id FROM trade_event f WHERE {_by('trade_event')}"
    cuts += [Cut(name, f"SELECT t.* FROM {name} t WHERE t.record_id IN ({trades})", at) for name in OF_A_TRADE]
    cuts.append(Cut("break_score", _SCORES, at))
    return cuts + [_learnt(name, at) for name in REFERENCE]


def _learnt(table: str, at: Mapping[str, object]) -> Cut:
    if KNOWN_AT not in TABLES[table].columns:
        return Cut(table, f"SELECT f.* FROM {table} f", {})
    said = f"f.{KNOWN_AT} IS NULL OR f.{KNOWN_AT} <= CAST(:at AS TIMESTAMP_NTZ(9))"
    return Cut(table, f"SELECT f.* FROM {table} f WHERE {said}", at)


def _by(table: str) -> str:
    said = f"f.{KNOWN_WHEN[table]} <= CAST(:at AS TIMESTAMP_NTZ(9))"
    said += _NOT_YET_NAMED if table in _NAMED else ""
    return said + _NOT_YET_REREAD if table in _REREAD else said


def copy(source: Warehouse, target: Warehouse, cuts: list[Cut]) -> dict[str, int]:
    """Append what the cuts select to the tables of `target`, which is migrated and empty; rows per table."""
    rows = {}
    for cut in cuts:
        rows[cut.table] = sum(target.append(cut.table, _told(piece, cut)) for piece in _pieces(source, cut))
    return rows


def _told(piece: pa.Table, cut: Cut) -> pa.Table:
    if cut.execution is None or "execution" not in piece.column_names:
        return piece
    at = piece.schema.get_field_index("execution")
    return piece.set_column(at, "execution", pa.repeat(pa.scalar(cut.execution), piece.num_rows))


def _pieces(source: Warehouse, cut: Cut) -> Iterator[pa.Table]:
    if not cut.large:
        yield source.query(cut.sql, cut.params)
        return
    counted = source.query(
        f"SELECT f.execution, count(*) AS n FROM ({cut.sql}) f GROUP BY f.execution ORDER BY f.execution", cut.params
    ).to_pylist()
    first, rows = None, 0
    for row in counted:
        first, rows = first if first is not None else row["execution"], rows + row["n"]
        if rows >= _PIECE_ROWS:
            yield _piece(source, cut, first, row["execution"])
            first, rows = None, 0
    if first is not None:
        yield _piece(source, cut, first, counted[-1]["execution"])


def _piece(source: Warehouse, cut: Cut, first: str, last: str) -> pa.Table:
    return source.query(
        f"SELECT f.* FROM ({cut.sql}) f WHERE f.execution >= :first AND f.execution <= :last",
        {**cut.params, "first": first, "last": last},
    )


def counted(source: Warehouse, cuts: list[Cut]) -> list[int]:
    """How many rows each cut selects: with the rules, what the state at a time depends on."""
    return [int(source.query(f"SELECT count(*) AS n FROM ({c.sql}) q", c.params)["n"][0].as_py()) for c in cuts]
