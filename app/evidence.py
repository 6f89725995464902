"""The evidence for one break in the service: raw bytes, fields, rule, score, ticket, history; as data and as text."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from app.file_feeds import LANE
from domain.errors import PermanentError
from ingest.originals import Originals
from warehouse.port import Warehouse

if TYPE_CHECKING:
    from matching.rules import RuleSet

Json = dict[str, Any]

_QUEUE_SQL = "SELECT * FROM break_queue WHERE break_id = :b"
# Of trades, of facts that are no trades (known by the hash of their message), and of what could not be read.
_RAW_SQL = """
WITH member AS (
  SELECT side, record_id FROM recon_break_member WHERE break_id = :b
), told AS (
  SELECT record_id, feed, raw_sha256, line FROM position_snapshot
  UNION ALL SELECT record_id, feed, raw_sha256, line FROM cash_entry
  UNION ALL SELECT record_id, feed, raw_sha256, line FROM settlement_status
  UNION ALL SELECT record_id, feed, raw_sha256, CAST(NULL AS BIGINT) FROM affirmation
  UNION ALL SELECT record_id, feed, raw_sha256, CAST(NULL AS BIGINT) FROM acknowledgement
), of_member AS (
  SELECT m.side, e.message_id, e.line FROM member m JOIN trade_event e ON e.record_id = m.record_id
  UNION SELECT m.side, q.message_id, q.line FROM member m JOIN quarantine q ON q.quarantine_id = m.record_id
  UNION
  SELECT m.side, min(r.message_id), min(t.line) FROM member m JOIN told t ON t.record_id = m.record_id
    JOIN raw_message r ON r.sha256 = t.raw_sha256 AND r.feed = t.feed
  GROUP BY m.side, m.record_id
)
SELECT m.side, r.message_id, r.feed, r.recv_ts, r.sha256, r.raw, r.session, r.lane, m.line
FROM of_member m JOIN raw_message r ON r.message_id = m.message_id
ORDER BY m.side, r.message_id
"""
_CHANGES_SQL = """
SELECT as_of, kind, code, generation FROM break_change WHERE break_id = :b ORDER BY as_of, generation, change_id
"""
_ACTIONS_SQL = """
SELECT acted_at, actor, kind, reason, assignee FROM action WHERE break_id = :b ORDER BY acted_at, action_id
"""
_TICKET_SQL = """
SELECT d.attempted_at, o.operation, d.outcome, d.ticket_number, d.detail
FROM ticket_outbox o JOIN ticket_delivery d ON d.outbox_key = o.outbox_key
WHERE o.break_id = :b ORDER BY d.attempted_at, o.outbox_key, d.attempt
"""


def evidence_of(warehouse: Warehouse, break_id: str, rules: "RuleSet", originals: Originals) -> Json:
    """Everything that explains a break, ready for JSON: decimals and times as text. Raises KeyError if unknown."""
    from matching.explain import evidence  # not above: the command line only words what the service found

    found = evidence(warehouse, break_id, rules)
    rows = warehouse.query(_QUEUE_SQL, {"b": break_id})
    queue = _plain_table(rows)[0] if rows.num_rows else {}
    return {
        "break_id": break_id,
        "headline": found["break"]["headline"],
        "next_step": found["break"]["next_step"],
        "state": queue.get("state", found["break"]["state"]),
        "code": found["break"]["code"],
        "rule": _plain(found["rule"]),
        "fields": _plain(found["fields"]),
        "raw": [
            _raw(row, originals) for row in _plain_table(warehouse.query(_RAW_SQL, {"b": break_id}), keep=("raw",))
        ],
        "score": {name: queue.get(name) for name in ("score", "p_value", "model_version")},
        "reasons": json.loads(queue.get("reasons") or "[]"),
        "ticket": {name: queue.get(name) for name in ("ticket_number", "sys_id")},
        "history": _history(warehouse, break_id),
    }


def explain_text(item: Json) -> str:
    """The evidence as text for a terminal."""
    return "\n".join(_lines(item))


def _lines(item: Json) -> Iterator[str]:
    yield f"{item['break_id']}  {item['code']}  {item['state']}"
    yield item["headline"]
    yield f"next: {item['next_step']}"
    yield ""
    for row in item["fields"]:
        if row["left"] or row["right"]:
            mark = "≠" if row["differs"] else " "
            yield f"{mark} {row['field']:<18}{_joined(row['left']):<34}{_joined(row['right'])}"
    rule = item["rule"]
    yield f"\nrule      {rule['rule_id'] or '-'} by pass {rule['pass_id']}, rule set {rule['rule_set_hash'][:16]}"
    score = item["score"]
    if score["score"] is not None:
        yield f"score     {float(score['score']):.3f} by model {str(score['model_version'])[:12]}"
        yield from (f"          {reason['text']}" for reason in item["reasons"] if "text" in reason)
    else:
        yield "score     none yet"
    yield f"ticket    {item['ticket']['ticket_number'] or 'none'}"
    yield "\nhistory"
    yield from (f"  {row['at']}  {row['what']}" for row in item["history"])
    yield "\nraw messages"
    for row in item["raw"]:
        where = f"{row['file']} line {row['line'] or '?'}" if row["file"] else row["message_id"]
        yield f"  {row['side']}  {row['feed']}  {where}  received {row['recv_ts']}"
        yield f"     sha256 {row['sha256']}"
        yield f"     {row['text']}"


def _history(warehouse: Warehouse, break_id: str) -> list[Json]:
    rows = [
        {"at": row["as_of"], "what": f"{row['kind'].lower()} as {row['code']}"}
        for row in _plain_table(warehouse.query(_CHANGES_SQL, {"b": break_id}))
    ]
    rows += [
        {"at": row["acted_at"], "what": _words(row["actor"], row["kind"], row["assignee"], row["reason"])}
        for row in _plain_table(warehouse.query(_ACTIONS_SQL, {"b": break_id}))
    ]
    rows += [
        {
            "at": row["attempted_at"],
            "what": _words("ticket", row["ticket_number"], row["operation"], row["outcome"].lower()),
        }
        for row in _plain_table(warehouse.query(_TICKET_SQL, {"b": break_id}))
    ]
    return sorted(rows, key=lambda row: str(row["at"]))


def _words(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)


def _raw(row: Json, originals: Originals) -> Json:
    shown = {name: value for name, value in row.items() if name not in ("raw", "session", "lane")}
    # What came in a file is found there: its name below the settings' folder, and the line from 1.
    shown["file"] = row["session"].removeprefix(f"{row['feed']}/") if row["lane"].startswith(LANE) else None
    try:
        raw = originals.of(row)
    except PermanentError as error:
        return {**shown, "text": f"({error})", "hex": ""}
    return {**shown, "text": raw.replace(b"\x01", b"|").decode("utf-8", "backslashreplace"), "hex": raw.hex()}


def _plain_table(table: Any, keep: tuple[str, ...] = ()) -> list[Json]:
    """Rows with nanosecond times as ISO text and decimals as text."""
    names = table.column_names
    for index, name in enumerate(names):
        if str(table.schema.field(name).type).startswith("timestamp"):
            table = table.set_column(index, name, table[name].cast("string"))
    return [{k: v if k in keep else _plain(v) for k, v in row.items()} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value


def _joined(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values)
