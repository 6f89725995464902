"""What a reconciliation found, as plain data: summary, breaks, groups and quarantine in a fixed order."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from console.diff import FieldGroup, compare_sides
from console.wording import break_name
from domain.taxonomy import Severity, taxonomy
from warehouse.port import Warehouse

Json = dict[str, Any]
Row = Mapping[str, Any]

SCHEMA_VERSION = "1"
_RAW_SHOWN_BYTES = 4_096
_BREAKS = """
SELECT b.break_id, b.generation, b.code, b.severity, b.level, b.pb_id, b.account_id, b.symbol, b.instrument_id, b.side,
  b.trade_date, b.settle_date, b.ccy, b.exposure, b.exposure_base, b.field_family, b.left_value, b.right_value, b.delta,
  b.headline, b.next_step, b.deadline_at, b.rule_id, b.pass_id, b.rule_set_hash, b.group_id, b.component,
  b.superseded_by, b.explains
FROM recon_break b WHERE b.state = 'OPEN'
"""
_BREAK_TEXTS = (
    "break_id", "level", "pb_id", "account_id", "symbol", "instrument_id", "side", "ccy", "field_family", "left_value",
    "right_value", "headline", "next_step", "rule_id", "pass_id", "rule_set_hash", "group_id", "superseded_by",
    "explains",
)  # fmt: skip
# Every record in short, and those of breaks in full: a field comparison needs all columns.
_RECORDS = "SELECT record_id, message_id, feed, source_role, trade_uid, version, file, line FROM trade_event"
_BROKEN = """
SELECT e.* FROM trade_event e WHERE EXISTS (SELECT 1 FROM recon_break_member m WHERE m.record_id = e.record_id)
"""
_GROUPS = """
SELECT group_id, level, pb_id, pass_id, rule_set_hash, cardinality, confidence, residual, interchangeable
FROM match_group
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
    places: Mapping[str, tuple[str, int]]


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
    records = {row["record_id"]: row for row in _rows(warehouse, _RECORDS)}
    state = "SELECT record_id, is_live FROM trade_state"
    alive = {row["record_id"]: row["is_live"] for row in _rows(warehouse, state)}
    broken = {row["record_id"]: row for row in _rows(warehouse, _BROKEN)}
    break_sides = _members(warehouse, "recon_break_member", "break_id", broken)
    group_sides = _members(warehouse, "match_member", "group_id", records)
    breaks = [_break(row, break_sides.get(row["break_id"], {}), context) for row in _rows(warehouse, _BREAKS)]
    breaks.sort(key=_break_order)
    groups = [_group(row, group_sides.get(row["group_id"], {}), context) for row in _rows(warehouse, _GROUPS)]
    groups.sort(key=lambda g: (g["pb_id"] or "", g["level"], g["pass_id"], _keys(g["left"]), _keys(g["right"])))
    quarantine = [_quarantine(row, context) for row in _rows(warehouse, "SELECT * FROM quarantine")]
    quarantine.sort(key=lambda q: (q["source"], q["file"] or "", q["line"] or 0, q["reason"], q["quarantine_id"]))
    matched = {m["record_id"] for sides in group_sides.values() for side in sides.values() for m in side}
    live = [row for key, row in records.items() if alive.get(key, True)]
    summary = _summary(context, breaks, groups, quarantine, live, matched)
    return Report(summary, breaks, groups, quarantine)


def _rows(warehouse: Warehouse, sql: str) -> list[dict[str, Any]]:
    """Rows as dictionaries; times are cut to microseconds, the finest a Python datetime holds."""
    table = warehouse.query(sql)
    for at, field_ in enumerate(table.schema):
        if pa.types.is_timestamp(field_.type):
            table = table.set_column(at, field_.name, table.column(at).cast(pa.timestamp("us"), safe=False))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _members(warehouse: Warehouse, table: str, key: str, records: Mapping[str, Row]) -> dict[str, dict[str, list[Row]]]:
    found: dict[str, dict[str, list[Row]]] = {}
    for row in _rows(warehouse, f"SELECT {key}, side, record_id FROM {table}"):
        record = records.get(row["record_id"])
        if record is not None:
            found.setdefault(row[key], {}).setdefault(row["side"], []).append(record)
    for sides in found.values():
        for members in sides.values():
            members.sort(key=lambda r: (r["feed"], r["trade_uid"], r["version"], r["record_id"]))
    return found


def _member(record: Row, context: Context) -> Json:
    file, line = context.places.get(record["message_id"], (record["file"], record["line"]))
    return {
        "source": record["feed"],
        "trade_uid": record["trade_uid"],
        "version": record["version"],
        "file": file,
        "line": line,
    }


def _break(row: Row, sides: Mapping[str, Sequence[Row]], context: Context) -> Json:
    code = taxonomy()[row["code"]]
    left, right = sides.get("L", ()), sides.get("R", ())
    text = {name: row[name] for name in _BREAK_TEXTS}
    return {
        "schema": f"tieout.break/{SCHEMA_VERSION}",
        **text,
        "code": code.code,
        "name": code.name,
        "title": break_name(code.code),
        "severity": Severity(row["severity"]).name,
        "owner": code.owner,
        "trade_date": _text(row["trade_date"]),
        "settle_date": _text(row["settle_date"]),
        "deadline_at": _text(row["deadline_at"]),
        "exposure": _text(row["exposure"]),
        "exposure_base": _text(row["exposure_base"]),
        "delta": _text(row["delta"]),
        "left": [_member(record, context) for record in left],
        "right": [_member(record, context) for record in right],
        "fields": list(_fields(compare_sides(left, right))),
    }


def _fields(groups: Iterable[FieldGroup]) -> Iterable[Json]:
    """The comparison of both sides; marked pieces are kept so that every writer highlights the same characters."""
    for group in groups:
        for row in group.rows:
            yield {
                "name": row.name,
                "label": row.label,
                "group": group.title,
                "status": row.status,
                "left": [[span.text, span.changed] for span in row.left],
                "right": [[span.text, span.changed] for span in row.right],
            }


def _group(row: Row, sides: Mapping[str, Sequence[Row]], context: Context) -> Json:
    return {
        "schema": f"tieout.group/{SCHEMA_VERSION}",
        "group_id": row["group_id"],
        "level": row["level"],
        "pb_id": row["pb_id"],
        "pass_id": row["pass_id"],
        "rule_set_hash": row["rule_set_hash"],
        "cardinality": row["cardinality"],
        "confidence": _text(row["confidence"]),
        "residual": _text(row["residual"]),
        "interchangeable": bool(row["interchangeable"]),
        "left": [_member(record, context) for record in sides.get("L", ())],
        "right": [_member(record, context) for record in sides.get("R", ())],
    }


def _quarantine(row: Row, context: Context) -> Json:
    file, line = context.places.get(row["message_id"], (None, None))
    raw: bytes = row["raw"]
    return {
        "schema": f"tieout.quarantine/{SCHEMA_VERSION}",
        "quarantine_id": row["quarantine_id"],
        "source": row["feed"],
        "file": file,
        "line": line,
        "code": row["code"],
        "reason": row["reason"],
        "detail": row["detail"],
        "raw": raw[:_RAW_SHOWN_BYTES].decode("utf-8", "backslashreplace"),
        "raw_bytes": len(raw),
    }


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
        "exposure": {ccy: _text(value) for ccy, value in sorted(exposure.items())},
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


def _text(value: object) -> str | None:
    """Decimals without padding zeros, dates and times in ISO form."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _instant(ns: int) -> str:
    whole, fraction = divmod(ns, 1_000_000_000)
    text = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def dump(value: object) -> str:
    """Compact JSON with sorted keys: the same content gives the same bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
