"""The proof: everything derived again in one batch, held against what micro-batches made of the same facts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.alerts import settle
from app.as_known_facts import KNOWN_WHEN, OF_A_TRADE, REFERENCE, Cut, copy
from app.feed_terms import feed_terms
from domain.clock import Clock
from domain.facts import PROOF_RUN
from domain.ids import digest128
from domain.schema import TABLES, arrow_schema
from domain.taxonomy import Severity
from ingest.feeds import Feed
from matching.engine import match
from matching.finish import rows_of
from matching.rules import RuleSet
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse

Json = dict[str, Any]
KIND, SUBJECT = "proof", "derived tables"
_RUN = "proof"
_SHOWN = 5
_MATCHED = "EXISTS (SELECT 1 FROM execution_log x WHERE x.execution = f.execution)"
# Matching looks at a message's hash and outcome, never at its bytes.
_NO_BYTES = {"raw": "CAST('' AS BINARY)"}
_NOT_COPIED = frozenset({"execution_log", "alert", "proof_run", "audit_entry", "audit_root", "break_latency",
                         "ticket_outbox", "ticket_delivery", "ticket_seen", "parked_batch", "table_read",
                         "match_terms"})  # fmt: skip
_BREAKS = """
SELECT break_id, code, state, coalesce(left_value, '') AS l, coalesce(right_value, '') AS r,
  coalesce(CAST(delta AS VARCHAR), '') AS d, level, coalesce(account_id, '') AS account,
  coalesce(instrument_id, '') AS instrument, coalesce(side, '') AS side, CAST(trade_date AS VARCHAR) AS day
FROM recon_break WHERE state <> 'CURED'
"""
_GROUPS = "SELECT group_id, pass_id, cardinality FROM match_group"
_NEWEST = "SELECT as_of, seq FROM execution_log ORDER BY seq DESC LIMIT 1"
_OTHER_RULES = "SELECT count(*) AS n FROM recon_break WHERE state <> 'CURED' AND rule_set_hash <> :h"
_LAST_PROOF = "SELECT * FROM proof_run ORDER BY ran_at DESC, proof_id LIMIT 1"
Rows = Counter[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, and every kind of difference in words; `differences` is 0 when both are the same."""

    as_of_ns: int
    seq: int
    facts: int
    breaks: int
    groups: int
    differences: int
    detail: tuple[str, ...]
    took_ms: int

    def text(self) -> str:
        """For a person."""
        what = f"{self.facts:,} trades, {self.breaks:,} open or expected breaks, {self.groups:,} groups"
        if not self.differences:
            return f"proved: one batch gives what the micro-batches gave ({what}; {self.took_ms / 1000:,.1f} s)"
        return "\n".join([f"NOT proved: {self.differences:,} differences ({what})", *self.detail])


@dataclass(frozen=True, slots=True)
class Prover:
    """Proves one installation's derived tables; what differs is an alert until a later proof finds it gone."""

    warehouse: Warehouse
    folder: Path
    rules: RuleSet
    feeds: tuple[Feed, ...]
    tenant: str
    clock: Clock

    def run(self) -> Proof:
        """Derive the matched facts again in one batch as of the newest run, compare, and record the outcome."""
        started = self.clock.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.folder / ".proof.duckdb"
        for leftover in (file, file.with_name(f"{file.name}.wal")):
            leftover.unlink(missing_ok=True)
        scratch = DuckDbWarehouse(file, clock=self.clock, threads=1)
        try:
            migrate(scratch)
            # One transaction: the facts and what was derived from them, of the same moment.
            with self.warehouse.transaction():
                newest = rows_of(self.warehouse.query(_NEWEST))
                facts = copy(self.warehouse, scratch, _cuts())["trade_event"]
                breaks, groups = _rows(self.warehouse, _BREAKS), _rows(self.warehouse, _GROUPS)
                stale = int(self.warehouse.query(_OTHER_RULES, {"h": self.rules.hash})["n"][0].as_py())
            as_of, seq = (newest[0]["as_of"], newest[0]["seq"]) if newest else (0, 0)
            match(
                scratch, execution=_RUN, as_of=as_of, rules=self.rules, feeds=feed_terms(self.feeds),
                tenant=self.tenant,
            )  # fmt: skip
            found = _differences(breaks, _rows(scratch, _BREAKS), "break") + _differences(
                groups, _rows(scratch, _GROUPS), "group"
            )
        finally:
            scratch.close()
            file.unlink(missing_ok=True)
        if found and stale:
            found.append((0, f"{stale:,} breaks were derived under other rules than those in force: tieout rebuild"))
        proof = Proof(
            as_of, seq, facts, breaks.total(), groups.total(), sum(n for n, _ in found),
            tuple(text for _, text in found), round((self.clock.monotonic() - started) * 1000),
        )  # fmt: skip
        self._record(proof)
        return proof

    def _record(self, proof: Proof) -> None:
        at_ns = self.clock.now_ns()
        with self.warehouse.transaction():
            self.warehouse.append(PROOF_RUN.name, _row(proof, self.rules.hash, at_ns))
            now = {"incremental and batch": "; ".join(proof.detail)} if proof.differences else {}
            settle(self.warehouse, KIND, SUBJECT, now, Severity.CRITICAL.name, at_ns)


def newest_proof(warehouse: Warehouse) -> Json | None:
    """The last proof's row, times as UTC ns; None before the first."""
    found = rows_of(warehouse.query(_LAST_PROOF))
    return dict(found[0]) if found else None


def _cuts() -> list[Cut]:
    """Every fact a Match run has taken up, all of one execution: one batch finds them together."""
    cuts = []
    for name in KNOWN_WHEN:
        if name in _NOT_COPIED:
            continue
        columns = TABLES[name].columns
        listed = ", ".join(f"{_NO_BYTES[c]} AS {c}" if c in _NO_BYTES else f"f.{c}" for c in columns)
        matched = "execution" in columns
        where = f" WHERE {_MATCHED}" if matched else ""
        cuts.append(Cut(name, f"SELECT {listed} FROM {name} f{where}", {}, _RUN if matched else None))
    whole = [Cut(name, f"SELECT * FROM {name}", {}) for name in (*OF_A_TRADE, *REFERENCE)]
    return cuts + whole


def _rows(warehouse: Warehouse, sql: str) -> Rows:
    found = warehouse.query(sql)
    return Counter(zip(*(found[name].cast(pa.string()).to_pylist() for name in found.column_names), strict=True))


def _differences(kept: Rows, derived: Rows, what: str) -> list[tuple[int, str]]:
    """Rows of one side alone, in words with their number; interchangeable twins count as equal."""
    alone, missing = kept - derived, derived - kept
    if what == "break":
        alone, missing = _without_twins(alone, missing)
    found = []
    for rows, said in ((alone, "only as kept"), (missing, "only in one batch")):
        if rows:
            shown = ", ".join(f"{row[0][:12]} {row[1]}" for row in sorted(rows)[:_SHOWN])
            more = ", ..." if len(rows) > _SHOWN else ""
            found.append((rows.total(), f"{rows.total():,} {what}{'s' * (rows.total() != 1)} {said}: {shown}{more}"))
    return found


def _without_twins(alone: Rows, missing: Rows) -> tuple[Rows, Rows]:
    """Breaks that differ in nothing but which of several equal trades they name are the same."""
    both = _nameless(alone) & _nameless(missing)
    return _less(alone, Counter(both)), _less(missing, Counter(both))


def _nameless(rows: Mapping[tuple[str, ...], int]) -> Rows:
    counted: Rows = Counter()
    for row, count in rows.items():
        counted[row[1:]] += count
    return counted


def _less(rows: Rows, equal: Rows) -> Rows:
    left: Rows = Counter()
    for row in _spread(rows):
        if equal[row[1:]] > 0:
            equal[row[1:]] -= 1
        else:
            left[row] += 1
    return left


def _spread(rows: Rows) -> Iterable[tuple[str, ...]]:
    return sorted(rows.elements())


def _row(proof: Proof, rule_set_hash: str, at_ns: int) -> pa.Table:
    row = {
        "proof_id": digest128("proof", str(proof.seq), str(at_ns)), "as_of": proof.as_of_ns, "seq": proof.seq,
        "rule_set_hash": rule_set_hash, "facts": proof.facts, "breaks": proof.breaks, "groups": proof.groups,
        "differences": proof.differences, "detail": "; ".join(proof.detail) or None, "took_ms": proof.took_ms,
        "ran_at": at_ns,
    }  # fmt: skip
    schema = arrow_schema(PROOF_RUN)
    columns = [
        pa.array([row[field.name]], pa.int64()).cast(field.type)
        if pa.types.is_timestamp(field.type)
        else pa.array([row[field.name]], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
