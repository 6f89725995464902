"""What a reconciliation found, as plain data: summary, breaks, groups and quarantine in a fixed order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.report_rows import (
    BREAKS,
    GROUPS,
    QUARANTINE,
    SCHEMA_VERSION,
    Json,
    Places,
    Row,
    break_row,
    group_row,
    in_order,
    quarantine_row,
    rows,
    text_of,
)
from domain.taxonomy import Severity
from warehouse.port import Warehouse

# Of breaks, those that are open at the end.
_OPEN = f"{BREAKS} WHERE b.state = 'OPEN'"
# Every record that can be matched in short, and those of breaks in full: a field comparison needs all columns.
_RECORDS = """
SELECT record_id, message_id, feed, source_role, trade_uid, version, file, line FROM trade_event
WHERE status IN ('NEW', 'CORRECT', 'CANCEL')
"""
_BROKEN = """
SELECT e.* FROM trade_event e WHERE EXISTS (SELECT 1 FROM recon_break_member m WHERE m.record_id = e.record_id)
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
    """Everything the writers need. `summary`, `breaks`, `groups` and `quarantine` are JSON-ready."""

    summary: Json
    breaks: list[Json]
    groups: list[Json]
    quarantine: list[Json]

    @property
    def tied_out(self) -> bool:
        """No break and nothing in quarantine."""
        return not self.breaks and not self.quarantine

    def as_json(self) -> Json:
        """One object with all four parts."""
        return {
            "schema": f"tieout.report/{SCHEMA_VERSION}",
            "summary": self.summary,
            "breaks": self.breaks,
            "groups": self.groups,
            "quarantine": self.quarantine,
        }


def build_report(warehouse: Warehouse, context: Context) -> Report:
    """Read the outcome of the match from the warehouse; the order depends on content alone."""
    records = {row["record_id"]: row for row in rows(warehouse, _RECORDS)}
    state = "SELECT record_id, is_live FROM trade_state"
    alive = {row["record_id"]: row["is_live"] for row in rows(warehouse, state)}
    broken = {row["record_id"]: row for row in rows(warehouse, _BROKEN)}
    break_sides = _members(warehouse, "recon_break_member", "break_id", broken)
    group_sides = _members(warehouse, "match_member", "group_id", records)
    breaks = [break_row(row, break_sides.get(row["break_id"], {}), context.places) for row in rows(warehouse, _OPEN)]
    breaks.sort(key=_break_order)
    groups = [group_row(row, group_sides.get(row["group_id"], {}), context.places) for row in rows(warehouse, GROUPS)]
    groups.sort(key=lambda g: (g["pb_id"] or "", g["level"], g["pass_id"], _keys(g["left"]), _keys(g["right"])))
    quarantine = [quarantine_row(row, context.places) for row in rows(warehouse, QUARANTINE)]
    quarantine.sort(key=lambda q: (q["source"], q["file"] or "", q["line"] or 0, q["reason"], q["quarantine_id"]))
    matched = {m["record_id"] for sides in group_sides.values() for side in sides.values() for m in side}
    live = [row for key, row in records.items() if alive.get(key, True)]
    summary = _summary(context, breaks, groups, quarantine, live, matched)
    return Report(summary, breaks, groups, quarantine)


def _members(warehouse: Warehouse, table: str, key: str, records: Mapping[str, Row]) -> dict[str, dict[str, list[Row]]]:
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows(warehouse, f"SELECT {key}, side, record_id FROM {table}"):
        record = records.get(row["record_id"])
        if record is not None:
            found.setdefault(row[key], {}).setdefault(row["side"], []).append(record)
    for sides in found.values():
        sides.update({side: in_order(members) for side, members in sides.items()})
    return found


def _summary(
    context: Context,
    breaks: list[Json],
    groups: list[Json],
    quarantine: list[Json],
    live: Sequence[Row],
    matched: set[str],
) -> Json:
    severities = Counter(b["severity"] for b in breaks)
    codes = Counter(b["code"] for b in breaks)
    exposure: dict[str, Decimal] = {}
    for item in breaks:
        if item["exposure"] is not None and item["ccy"]:
            exposure[item["ccy"]] = exposure.get(item["ccy"], Decimal(0)) + abs(Decimal(item["exposure"]))
    counts = dict(context.counts)
    received = counts.pop("received")
    ours = [row for row in live if row["source_role"] == "INTERNAL"]
    theirs = [row for row in live if row["source_role"] != "INTERNAL"]
    return {
        "schema": f"tieout.summary/{SCHEMA_VERSION}",
        "tied_out": not breaks and not quarantine,
        "as_of": _instant(context.as_of_ns),
        "rule_set": context.rule_set,
        "rule_set_hash": context.rule_set_hash,
        "rows": {"received": received, **counts, "complete": received == sum(counts.values())},
        "trades": {
            "ours": len(ours),
            "theirs": len(theirs),
            "ours_matched": sum(1 for row in ours if row["record_id"] in matched),
            "theirs_matched": sum(1 for row in theirs if row["record_id"] in matched),
        },
        "groups": len(groups),
        "breaks": len(breaks),
        "quarantined": len(quarantine),
        "by_severity": {s.name: severities[s.name] for s in sorted(Severity, reverse=True) if severities[s.name]},
        "by_code": dict(sorted(codes.items())),
        "exposure": {ccy: text_of(value) for ccy, value in sorted(exposure.items())},
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


def _break_order(item: Json) -> tuple[Any, ...]:
    money = item["exposure_base"] or item["exposure"]
    return (
        -Severity[item["severity"]],
        -abs(Decimal(money)) if money is not None else Decimal(0),
        item["code"],
        item["pb_id"] or "",
        item["account_id"] or "",
        item["symbol"] or item["instrument_id"] or "",
        item["break_id"],
    )


def _keys(members: list[Json]) -> list[str]:
    return [f"{m['source']}\x1f{m['trade_uid']}\x1f{m['version']:09d}" for m in members]


def _instant(ns: int) -> str:
    whole, fraction = divmod(ns, 1_000_000_000)
    text = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"
