"""Writes the ticket outbox: one row per break change that a ticket must hear of; running it again adds nothing."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from alerting.evidence_file import evidence_file
from alerting.port import TicketKey
from alerting.render import Renderer, number
from alerting.rows import (
    NOTE,
    OPEN,
    REISSUE,
    REOPEN,
    RESOLVE,
    STANDING_TICKETS,
    UPDATE,
    OutboxRow,
    append_outbox,
    outbox_key,
    records,
    select_by_ids,
)
from alerting.storm import Storm, Storms, parent_rows
from alerting.told import Told
from alerting.triage import TriagePolicy, impact_urgency
from domain.taxonomy import Severity
from domain.traceparent import trace_id, traceparent
from warehouse.port import Warehouse
from warehouse.sql import timestamp

# Order of changes: the recorded order of the Match runs (lanes may carry as_of out of order), then as_of.
LATEST_CHANGE = """
latest AS (
  SELECT c.break_id, c.generation, c.change_id, c.kind, c.execution
  FROM break_change c JOIN wanted w ON w.break_id = c.break_id AND w.generation = c.generation
  LEFT JOIN (SELECT execution, max(seq) AS seq FROM execution_log GROUP BY execution) e ON e.execution = c.execution
  QUALIFY row_number() OVER (
    PARTITION BY c.break_id, c.generation
    ORDER BY coalesce(e.seq, 9223372036854775807) DESC, c.as_of DESC,
      CASE c.kind WHEN 'EXPECTED' THEN 0 WHEN 'OPENED' THEN 1 WHEN 'REOPENED' THEN 1 WHEN 'CHANGED' THEN 2 ELSE 3 END
        DESC,
      c.change_id DESC
  ) = 1
)"""
_SCORES = """
scores AS (
  SELECT c.break_id, c.generation, s.score, s.p_value, s.reasons, s.model_version
  FROM break_score s JOIN break_change c ON c.change_id = s.change_id
  JOIN wanted w ON w.break_id = c.break_id AND w.generation = c.generation
  QUALIFY row_number() OVER (PARTITION BY c.break_id, c.generation ORDER BY c.as_of DESC, c.change_id DESC) = 1
)"""
# What people decided about the break as it is now: nothing is asked of anybody.
_DECIDED = """EXISTS (
    SELECT 1 FROM decision a WHERE a.break_id = {b}.break_id AND a.kind IN ('resolve', 'close', 'accept')
      AND a.status IN ('DONE', 'APPROVED') AND a.change_id = l.change_id)"""
_OPENS = f"""
WITH wanted AS (
  SELECT b.break_id, b.generation FROM recon_break b
  WHERE b.state = 'OPEN' AND NOT EXISTS (
    SELECT 1 FROM ticket_outbox o
    WHERE o.break_id = b.break_id AND o.generation = b.generation AND o.operation = 'open')
), {LATEST_CHANGE}, {_SCORES}
SELECT b.*, l.change_id, l.execution AS found_by, s.score, s.p_value, s.reasons, s.model_version
FROM recon_break b
JOIN latest l ON l.break_id = b.break_id AND l.generation = b.generation
LEFT JOIN scores s ON s.break_id = b.break_id AND s.generation = b.generation
WHERE (b.code IN ({{always}})
    OR (b.code NOT IN ({{never}}) AND (s.score >= :min_score OR (b.severity >= {{least}}
      AND (b.exposure_base IS NULL OR abs(b.exposure_base) >= :min_exposure)))))
  AND NOT {_DECIDED.format(b="b")}
  AND NOT EXISTS (SELECT 1 FROM break_acceptance y WHERE y.break_id = b.break_id AND y.generation = b.generation)
ORDER BY b.severity DESC, b.opened_at, b.break_id LIMIT :row_limit
"""
_FOLLOW_UPS = f"""
WITH {STANDING_TICKETS}, untold AS (
  SELECT DISTINCT c.break_id, c.generation
  FROM break_change c JOIN ticket t ON t.break_id = c.break_id AND t.generation = c.generation
  WHERE NOT EXISTS (SELECT 1 FROM ticket_outbox o WHERE o.break_id = c.break_id AND o.change_id = c.change_id)
), wanted AS (
  SELECT t.break_id, t.generation, t.balance, t.rows_so_far, t.sys_id, t.opening
  FROM ticket t JOIN recon_break b ON b.break_id = t.break_id
  LEFT JOIN untold u ON u.break_id = t.break_id AND u.generation = t.generation
  WHERE u.break_id IS NOT NULL OR (t.generation < b.generation AND t.balance > 0)
), {LATEST_CHANGE}, {_SCORES}
SELECT b.*, b.generation AS current_generation, w.generation AS ticket_generation, w.balance, w.rows_so_far,
  w.sys_id, w.opening, l.change_id, l.execution AS found_by, s.score, s.p_value, s.reasons, s.model_version
FROM wanted w
JOIN latest l ON l.break_id = w.break_id AND l.generation = w.generation
JOIN recon_break b ON b.break_id = w.break_id
LEFT JOIN scores s ON s.break_id = w.break_id AND s.generation = w.generation
WHERE (w.generation < b.generation AND w.balance > 0)
  OR (w.generation = b.generation AND b.state <> 'EXPECTED' AND NOT EXISTS (
    SELECT 1 FROM ticket_outbox o
    WHERE o.break_id = w.break_id AND o.generation = w.generation AND o.change_id = l.change_id)
  AND NOT (b.state = 'OPEN' AND w.balance <= 0 AND {_DECIDED.format(b="w")}))
ORDER BY b.break_id, w.generation LIMIT :row_limit
"""
_EVIDENCE = """
SELECT m.break_id, m.side, t.feed, t.trade_uid, t.side AS trade_side, t.qty, t.symbol, t.instrument_id, t.price,
  t.trade_ccy, t.account_id
FROM recon_break_member m JOIN trade_event t ON t.record_id = m.record_id
WHERE m.break_id IN (:ids)
ORDER BY m.break_id, m.side, t.event_time_utc, t.record_id
"""
_NO_CODE = "-"
_NO_SCORE = Decimal(10) ** 15  # above every score


def write(
    warehouse: Warehouse, execution: str, as_of: int, policy: TriagePolicy, limit: int = 5_000, told: Told | None = None
) -> int:
    """Add outbox rows for every break whose latest state its ticket does not know; returns how many.

    `as_of` is UTC ns. At most `limit` tickets are opened and `limit` followed up; the rest waits for the next call.
    `told` remembers between the calls of a process what need not be looked at again.
    """
    told = told or Told()
    try:
        with warehouse.transaction():
            news = told.is_news(warehouse)
            follow_ups = records(warehouse.query(_FOLLOW_UPS, {"row_limit": limit})) if news else []
            written = _written(warehouse, execution, as_of, policy, _openings(warehouse, policy, limit), follow_ups)
            # Inside, so that nobody's change comes between; what is not committed after all is not told.
            told.all_told(written, complete=len(follow_ups) < limit)
            return written
    except BaseException:
        told.forget()
        raise


def _written(
    warehouse: Warehouse,
    execution: str,
    as_of: int,
    policy: TriagePolicy,
    opens: Sequence[Mapping[str, Any]],
    follow_ups: Sequence[Mapping[str, Any]],
) -> int:
    if not opens and not follow_ups:
        return 0
    storms = Storms(warehouse, policy)
    joined = storms.joined(opens, as_of)
    texts = _Texts(warehouse, policy, [*opens, *follow_ups], execution, as_of)
    touched = {storm.storm_id: storm for storm in joined.values()}
    rows = [
        texts.row(OPEN, one, one["generation"], 0, joined.get((one["break_id"], one["generation"]))) for one in opens
    ]
    for one in follow_ups:
        operation = _follow_up(one)
        if operation:
            row, storm = _followed(texts, operation, one, storms)
            rows.append(row)
            touched |= {storm.storm_id: storm} if storm else {}
    append_outbox(warehouse, rows)
    parents = parent_rows(warehouse, policy, touched.values(), execution, as_of)
    return len(rows) + append_outbox(warehouse, parents)


def _followed(
    texts: "_Texts", operation: str, one: Mapping[str, Any], storms: Storms
) -> tuple[OutboxRow, Storm | None]:
    """The row of a follow-up, and the storm whose parent has to hear of it."""
    opening = json.loads(one["opening"])
    key = TicketKey(one["sys_id"], opening["correlation_id"])
    storm = storms.of(str(opening.get("storm", "")))
    generation, seq = one["ticket_generation"], one["rows_so_far"]
    if "storm" not in opening:
        return texts.row(operation, one, generation, seq, key=key), None
    if storm is not None and storm.active and storm.key == key:
        return texts.row(operation, one, generation, seq, storm), storm
    # The storm is over: a break of it that is open again gets a ticket of its own.
    if operation == REOPEN:
        return texts.row(REISSUE, one, generation, seq, again=1), None
    return texts.row(NOTE if operation == UPDATE else operation, one, generation, seq, key=key, over=True), None


def _openings(warehouse: Warehouse, policy: TriagePolicy, limit: int) -> list[dict[str, Any]]:
    params: dict[str, object] = {"min_severity": int(policy.min_severity), "row_limit": limit}
    params["min_score"] = _NO_SCORE if policy.min_score is None else policy.min_score
    params["min_exposure"] = policy.min_exposure
    marks = {}
    for name, codes in (("always", policy.always), ("never", policy.never)):
        listed = sorted(codes) or [_NO_CODE]
        params |= {f"{name}{index}": code for index, code in enumerate(listed)}
        marks[name] = ", ".join(f":{name}{index}" for index in range(len(listed)))
    cases = ""
    for index, (code, severity) in enumerate(sorted(policy.code_severity.items())):
        params |= {f"code{index}": code, f"least{index}": int(severity)}
        cases += f" WHEN :code{index} THEN :least{index}"
    marks["least"] = f"CASE b.code{cases} ELSE :min_severity END" if cases else ":min_severity"
    return records(warehouse.query(_OPENS.format(**marks), params))


def _follow_up(row: Mapping[str, Any]) -> str:
    """What a ticket must be told of its break's latest change; a ticket is active while opened more than resolved."""
    active = row["balance"] > 0
    if row["ticket_generation"] < row["current_generation"]:
        return RESOLVE if active else ""
    if row["state"] == "CURED":
        return RESOLVE if active else NOTE
    return UPDATE if active else REOPEN


class _Texts:
    """Payloads of outbox rows, with the evidence of all breaks at hand read at once."""

    def __init__(
        self,
        warehouse: Warehouse,
        policy: TriagePolicy,
        breaks: Sequence[Mapping[str, Any]],
        execution: str,
        as_of: int,
    ) -> None:
        self._policy = policy
        self._execution, self._as_of = execution, as_of
        self._renderer = Renderer(policy.templates, policy.console_url)
        self._evidence: dict[str, list[dict[str, Any]]] = {}
        for record in select_by_ids(warehouse, _EVIDENCE, (one["break_id"] for one in breaks)):
            self._evidence.setdefault(record["break_id"], []).append(record)

    def row(
        self,
        operation: str,
        one: Mapping[str, Any],
        generation: int,
        seq: int,
        storm: Storm | None = None,
        *,
        key: TicketKey | None = None,
        again: int = 0,
        over: bool = False,
    ) -> OutboxRow:
        """One row. In a `storm` the parent's rows speak: this one only says that the break belongs to it.

        `key` is the ticket's where it is not the break's first; `over` is a storm that has ended.
        """
        break_id, change_id = one["break_id"], one["change_id"]
        own = self._policy.key(break_id, generation, again, code=one["code"], pb_id=one["pb_id"] or "")
        used = storm.key if storm else key or own
        payload: dict[str, object] = {"seq": seq, "correlation_id": used.correlation_id}
        payload["traceparent"] = traceparent(one["found_by"])
        if storm or over:
            payload["storm"] = storm.storm_id if storm else "over"
        else:
            payload |= self._payload(operation, one, generation)
        name = outbox_key(break_id, generation, operation, change_id)
        return OutboxRow(
            name, break_id, generation, change_id, operation, used.sys_id, payload, self._as_of, self._execution
        )

    def _payload(self, operation: str, one: Mapping[str, Any], generation: int) -> dict[str, object]:
        if operation in (RESOLVE, NOTE):
            came_back = one["generation"] if generation < one["generation"] else None
            note = self._renderer.note("cured", one, came_back)
            return {"note": note, "close_code": self._policy.close_code, "close_notes": note, "auto": True}
        impact, urgency = impact_urgency(one["severity"])
        evidence = self._evidence.get(one["break_id"], [])
        content: dict[str, object] = {
            "short_description": self._renderer.short_description(one),
            "description": self._renderer.description(
                one,
                evidence,
                _score(one),
                self._policy.checks.get(one["code"], ()),
                trace_id(one["found_by"]) if self._policy.traced else "",
            ),
            "impact": impact,
            "urgency": urgency,
            "group": self._policy.group(one["code"], one["pb_id"] or ""),
            "due": _due(one["deadline_at"]),
            "facts": self._facts(one),
        }
        if operation in (OPEN, REISSUE):
            return content | ({"files": [evidence_file(evidence)]} if self._policy.attach_evidence else {})
        return content | {"note": self._renderer.note("changed" if operation == UPDATE else "reopened", one)}

    def _facts(self, one: Mapping[str, Any]) -> dict[str, str]:
        """What a tenant's own fields can be filled with (`ticketing.records.on_open`)."""
        plain_names = ("break_id", "code", "pb_id", "level", "symbol", "account_id", "ccy", "trade_date")
        facts = {name: str(one[name] if one[name] is not None else "") for name in plain_names}
        money = {name: number(one[name]) if one[name] is not None else "" for name in ("exposure", "exposure_base")}
        named = {"severity": Severity(one["severity"]).name, "deadline": _due(one["deadline_at"])}
        return facts | money | named | {"link": self._renderer.link(one["break_id"])}


def _due(ns: int | None) -> str:
    """`YYYY-MM-DD HH:MM:SS` UTC, as ServiceNow takes a date-time; empty for none."""
    return timestamp(ns)[:19] if ns is not None else ""


def _score(one: Mapping[str, Any]) -> dict[str, Any] | None:
    if one["score"] is None:
        return None
    try:
        reasons = json.loads(one["reasons"] or "[]")
    except ValueError:
        reasons = []
    texts = [_reason(reason) for reason in reasons] if isinstance(reasons, list) else []
    return {name: one[name] for name in ("score", "p_value", "model_version")} | {"reasons": texts}


def _reason(reason: object) -> str:
    """A reason as text: the words of an explained feature, or the value itself."""
    if isinstance(reason, dict):
        return str(reason.get("text") or ", ".join(f"{key} {value}" for key, value in reason.items()))
    return str(reason)
