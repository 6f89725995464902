"""What a reconciliation found, as plain data: summary, breaks, groups and quarantine in a fixed order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.report_breaks import OpenBreaks, open_breaks
from app.report_groups import group_rows
from app.report_lazy import LazyRows
from app.report_rows import QUARANTINE, SCHEMA_VERSION, Json, Places, Row, quarantine_row, rows, text_of
from domain.taxonomy import Severity
from warehouse.port import Warehouse

# Live records that can be matched, by side and whether they are in a group.
_LIVE = """
SELECT e.source_role,
  CASE WHEN EXISTS (SELECT 1 FROM match_member m WHERE m.record_id = e.record_id) THEN 1 ELSE 0 END AS matched,
  count(*) AS records
FROM trade_event e
WHERE e.status IN ('NEW', 'CORRECT', 'CANCEL')
  AND NOT EXISTS (SELECT 1 FROM trade_state s WHERE s.record_id = e.record_id AND NOT s.is_live)
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class FileNote:
    """One input file: who sent it, what it is and what became of its rows."""

    name: str
    path: str
    role: str
    party: str
    kind: str
    encoding: str
    sha256: str
    size: int
    rows: int
    counts: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What the warehouse does not know: the files, the counts, the rule set and what was inferred."""

    files: tuple[FileNote, ...]
    counts: Mapping[str, int]
    rule_set: str
    rule_set_hash: str
    as_of_ns: int
    accounts: Mapping[str, str]
    notes: tuple[str, ...]
    places: Places


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the writers need, JSON-ready. Breaks and groups are worked out when they are looked at."""

    summary: Json
    breaks: LazyRows
    groups: LazyRows
    quarantine: list[Json]

    @property
    def tied_out(self) -> bool:
        """No break and nothing in quarantine."""
        return not self.breaks and not self.quarantine

    def parts(self) -> Mapping[str, str | Json | Sequence[Json]]:
        """What makes one JSON object of it."""
        return {
            "schema": f"tieout.report/{SCHEMA_VERSION}",
            "summary": self.summary,
            "breaks": self.breaks,
            "groups": self.groups,
            "quarantine": self.quarantine,
        }


def build_report(warehouse: Warehouse, context: Context) -> Report:
    """Read the outcome of the match from the warehouse; the order depends on content alone."""
    breaks = open_breaks(warehouse, context.places)
    groups = group_rows(warehouse)
    quarantine = [quarantine_row(row, context.places) for row in rows(warehouse, QUARANTINE)]
    quarantine.sort(key=lambda q: (q["source"], q["file"] or "", q["line"] or 0, q["reason"], q["quarantine_id"]))
    summary = _summary(context, breaks, len(groups), len(quarantine), rows(warehouse, _LIVE))
    return Report(summary, breaks.rows, groups, quarantine)


def _summary(context: Context, breaks: OpenBreaks, groups: int, quarantined: int, live: Sequence[Row]) -> Json:
    trades = {"ours": 0, "theirs": 0, "ours_matched": 0, "theirs_matched": 0}
    for row in live:
        side = "ours" if row["source_role"] == "INTERNAL" else "theirs"
        trades[side] += row["records"]
        trades[f"{side}_matched"] += row["records"] if row["matched"] else 0
    counts = dict(context.counts)
    received = counts.pop("received")
    return {
        "schema": f"tieout.summary/{SCHEMA_VERSION}",
        "tied_out": len(breaks.rows) == breaks.accepted and not quarantined,
        "as_of": _instant(context.as_of_ns),
        "rule_set": context.rule_set,
        "rule_set_hash": context.rule_set_hash,
        "rows": {"received": received, **counts, "complete": received == sum(counts.values())},
        "trades": trades,
        "groups": groups,
        "breaks": len(breaks.rows) - breaks.accepted,
        "accepted": breaks.accepted,
        "quarantined": quarantined,
        "by_severity": {s.name: breaks.severities[s] for s in sorted(Severity, reverse=True) if breaks.severities[s]},
        "by_code": dict(sorted(breaks.codes.items())),
        "exposure": {ccy: text_of(value) for ccy, value in sorted(breaks.exposure.items())},
        "accounts": dict(sorted(context.accounts.items())),
        "notes": list(context.notes),
        "files": [_file(note) for note in context.files],
    }


def _file(note: FileNote) -> Json:
    return {
        "name": note.name,
        "path": note.path,
        "role": note.role,
        "party": note.party,
        "kind": note.kind,
        "encoding": note.encoding,
        "sha256": note.sha256,
        "bytes": note.size,
        "rows": note.rows,
        "counts": dict(note.counts),
        "columns": dict(note.columns),
        "unused_columns": list(note.unused),
        "notes": list(note.notes),
    }


def _instant(ns: int) -> str:
    whole, fraction = divmod(ns, 1_000_000_000)
    text = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"
