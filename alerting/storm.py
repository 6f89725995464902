"""Storms: many breaks of one cause share a parent ticket that counts and lists them, instead of a ticket each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alerting.evidence_file import file, table
from alerting.port import TicketKey
from alerting.render import Renderer
from alerting.rows import (
    OPEN,
    RESOLVE,
    STORM_PREFIX,
    UPDATE,
    OutboxRow,
    append_outbox,
    outbox_key,
    records,
    select_by_ids,
)
from alerting.triage import TriagePolicy, impact_urgency
from domain.ids import digest128
from domain.taxonomy import Severity
from domain.traceparent import traceparent
from warehouse.port import Warehouse
from warehouse.sql import timestamp

_MINUTE_NS = 60 * 1_000_000_000
_SHOWN = 20
_STANDING = f"""
SELECT break_id, generation, sys_id, count(*) AS rows_so_far,
  sum(CASE operation WHEN 'open' THEN 1 WHEN 'resolve' THEN -1 ELSE 0 END) AS balance,
  max(change_id) AS newest
FROM ticket_outbox WHERE break_id LIKE '{STORM_PREFIX}%' GROUP BY break_id, generation, sys_id
ORDER BY break_id, generation
"""
_RECENT = """
SELECT b.code, b.pb_id, count(*) AS n FROM ticket_outbox o JOIN recon_break b ON b.break_id = o.break_id
WHERE o.operation = 'open' AND o.created_as_of >= CAST(:since AS TIMESTAMP_NTZ(9)) GROUP BY b.code, b.pb_id
"""
_CHILDREN = f"""
WITH child AS (
  SELECT sys_id, break_id, generation,
    sum(CASE WHEN operation IN ('open', 'reopen') THEN 1 WHEN operation = 'resolve' THEN -1 ELSE 0 END) AS balance
  FROM ticket_outbox WHERE sys_id IN (:ids) AND break_id NOT LIKE '{STORM_PREFIX}%'
  GROUP BY sys_id, break_id, generation
)
SELECT c.sys_id, c.generation, c.balance, b.break_id, b.code, b.pb_id, b.severity, b.account_id, b.symbol,
  b.instrument_id, b.trade_date, b.ccy, b.exposure, b.exposure_base, b.left_value, b.right_value, b.delta,
  b.deadline_at, b.headline, b.generation AS current_generation, b.state
FROM child c JOIN recon_break b ON b.break_id = c.break_id
ORDER BY c.sys_id, b.severity DESC, coalesce(b.exposure_base, 0) DESC, b.break_id
"""
_LISTED = (
    "break_id", "state", "code", "pb_id", "account_id", "symbol", "instrument_id", "trade_date", "left_value",
    "right_value", "delta", "exposure", "ccy", "headline",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Storm:
    """One parent ticket: the id its rows carry, which storm of its cause it is, its key and how far its rows go."""

    storm_id: str
    generation: int
    key: TicketKey
    rows_so_far: int
    active: bool
    newest: str = ""


class Storms:
    """The storms of an installation, as the outbox knows them now."""

    def __init__(self, warehouse: Warehouse, policy: TriagePolicy) -> None:
        self._warehouse = warehouse
        self._policy = policy
        self._known: dict[str, Storm] = {}
        for one in records(warehouse.query(_STANDING)):
            key = policy.key_of(one["break_id"], one["generation"], one["sys_id"])
            self._known[one["break_id"]] = Storm(
                one["break_id"], one["generation"], key, one["rows_so_far"], one["balance"] > 0, one["newest"]
            )

    def joined(self, opens: Sequence[Mapping[str, Any]], as_of: int) -> dict[tuple[str, int], Storm]:
        """The storm of each opening that has one, by break and generation; `as_of` is UTC ns."""
        if not self._policy.storm_size:
            return {}
        causes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for one in opens:
            causes.setdefault((one["code"], one["pb_id"] or ""), []).append(one)
        recent = self._recent(as_of) if causes else {}
        found: dict[tuple[str, int], Storm] = {}
        for cause, members in causes.items():
            storm = self._storm(cause, len(members) + recent.get(cause, 0))
            if storm is not None:
                found |= {(one["break_id"], one["generation"]): storm for one in members}
        return found

    def of(self, storm_id: str) -> Storm | None:
        """The newest storm with this id."""
        return self._known.get(storm_id)

    def active(self) -> list[Storm]:
        """Storms whose parent ticket is open."""
        return [storm for storm in self._known.values() if storm.active]

    def _storm(self, cause: tuple[str, str], size: int) -> Storm | None:
        policy = self._policy
        # Another storm in the shadow: what went live meanwhile does not join it.
        storm_id = STORM_PREFIX + digest128(policy.pilot.namespace(policy.namespace, *cause), *cause)
        known = self._known.get(storm_id)
        if known is not None and known.active:
            return known
        if size < self._policy.storm_size:
            return None
        generation = known.generation + 1 if known else 1
        made = Storm(storm_id, generation, policy.key(storm_id, generation, code=cause[0], pb_id=cause[1]), 0, True)
        self._known[storm_id] = made
        return made

    def _recent(self, as_of: int) -> dict[tuple[str, str], int]:
        since = timestamp(max(as_of - self._policy.storm_window_minutes * _MINUTE_NS, 0))
        rows = records(self._warehouse.query(_RECENT, {"since": since}))
        return {(row["code"], row["pb_id"] or ""): row["n"] for row in rows}


def parent_rows(
    warehouse: Warehouse,
    policy: TriagePolicy,
    storms: Iterable[Storm],
    execution: str,
    as_of: int,
    *,
    refresh: bool = False,
) -> list[OutboxRow]:
    """What the parents are to be told: opened, resolved when no child is left and, with `refresh`, brought up to date.

    Updates are left to `refresh`, so that a storm that grows for an hour does not ask for a request per batch.
    """
    wanted = {storm.key.sys_id: storm for storm in storms}
    children: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    for row in select_by_ids(warehouse, _CHILDREN, wanted):
        children[row["sys_id"]].append(row)
    rows = []
    for sys_id, storm in wanted.items():
        there = [row for row in children[sys_id] if row["balance"] > 0]
        told = _parent(storm, there, len(children[sys_id]), policy, execution, as_of, refresh)
        if told is not None:
            rows.append(told)
    return rows


def refresh(warehouse: Warehouse, policy: TriagePolicy, execution: str, as_of: int) -> int:
    """Bring the parents of active storms up to date; returns how many rows that took. `as_of` is UTC ns."""
    with warehouse.transaction():
        active = Storms(warehouse, policy).active()
        return append_outbox(warehouse, parent_rows(warehouse, policy, active, execution, as_of, refresh=True))


def _parent(
    storm: Storm,
    there: Sequence[Mapping[str, Any]],
    ever: int,
    policy: TriagePolicy,
    execution: str,
    as_of: int,
    refresh: bool,
) -> OutboxRow | None:
    state = digest128(*(f"{row['break_id']}|{row['generation']}|{row['severity']}" for row in there))
    operation = OPEN if not storm.rows_so_far else UPDATE if there else RESOLVE
    change = f"{storm.rows_so_far:09d}:{state}"
    stale = storm.newest.partition(":")[2] != state
    if not ever or (operation == UPDATE and not (refresh and stale)):
        return None
    payload: dict[str, object] = {"seq": storm.rows_so_far, "correlation_id": storm.key.correlation_id}
    payload["traceparent"] = traceparent(execution)
    if operation == RESOLVE:
        words = f"All {ever:,} breaks of this ticket cleared."
        payload |= {"note": words, "close_code": policy.close_code, "close_notes": words, "auto": True}
    else:
        payload |= _texts(there, ever, policy) | {"list": True}
        if operation == UPDATE:
            payload["note"] = f"{len(there):,} breaks are open now, of {ever:,} that belonged to this ticket."
    name = outbox_key(storm.storm_id, storm.generation, operation, change)
    return OutboxRow(
        name, storm.storm_id, storm.generation, change, operation, storm.key.sys_id, payload, as_of, execution
    )


def _texts(there: Sequence[Mapping[str, Any]], ever: int, policy: TriagePolicy) -> dict[str, object]:
    renderer = Renderer(policy.templates, policy.console_url)
    worst = there[0]
    severities = Counter(row["severity"] for row in there)
    known = [row["exposure_base"] for row in there if row["exposure_base"] is not None]
    deadlines = [row["deadline_at"] for row in there if row["deadline_at"] is not None]
    values = {
        "count": len(there),
        "ever": ever,
        "severities": ", ".join(f"{severities[level]:,} {Severity(level).name}" for level in sorted(severities)[::-1]),
        "exposure": sum(known, Decimal(0)) if known else None,
        "unknown": len(there) - len(known),
        "deadline_at": min(deadlines) if deadlines else None,
        "shown": there[:_SHOWN],
        "more": max(len(there) - _SHOWN, 0),
    }  # fmt: skip
    impact, urgency = impact_urgency(worst["severity"])
    facts = {name: str(worst[name] or "") for name in ("code", "pb_id", "ccy")} | {"severity": str(worst["severity"])}
    return {
        "short_description": renderer.storm("short_description", worst, values),
        "description": renderer.storm("description", worst, values),
        "impact": impact,
        "urgency": urgency,
        "group": policy.group(worst["code"], worst["pb_id"] or ""),
        "due": timestamp(min(deadlines))[:19] if deadlines else "",
        "facts": facts,
    }


def children_file(warehouse: Warehouse, sys_id: str) -> dict[str, str]:
    """The parent ticket's breaks as a CSV file, those still open first."""
    rows = [
        {**row, "state": "open" if row["balance"] > 0 else "cleared"}
        for row in select_by_ids(warehouse, _CHILDREN, [sys_id])
    ]
    return file("breaks", table(_LISTED, sorted(rows, key=lambda one: one["balance"] <= 0)))
