"""What people decided, proposed and approved, on its way to the ticket's journal."""

import json
from collections.abc import Mapping
from typing import Any

from alerting.deliver import DeliveryLimits, DeliveryReport, deliver
from alerting.port import Ticketing
from alerting.rows import ASSIGN, NOTE, REOPEN, RESOLVE, STANDING_TICKETS, OutboxRow, append_outbox, outbox_key, records
from alerting.triage import TriagePolicy
from domain.clock import Clock
from domain.errors import TransientError
from warehouse.port import Warehouse
from warehouse.sql import timestamp

# An action belongs to the generation it was taken in; without a known change, to the latest one that has a ticket.
_UNTOLD = f"""
WITH {STANDING_TICKETS}, newest AS (
  SELECT break_id, max(generation) AS generation FROM ticket GROUP BY break_id
)
SELECT a.action_id, a.break_id, a.actor, a.kind, a.reason, a.assignee, a.party, a.until_at, a.payload,
  coalesce(a.needs_approval, FALSE) AS proposed,
  p.kind AS target_kind, p.actor AS target_actor, p.reason AS target_reason,
  t.generation, t.balance, t.rows_so_far, t.sys_id, t.opening
FROM action a
LEFT JOIN action p ON p.action_id = a.target_id
JOIN newest n ON n.break_id = a.break_id
LEFT JOIN break_change c ON c.change_id = a.change_id AND c.break_id = a.break_id
JOIN ticket t ON t.break_id = a.break_id AND t.generation = coalesce(c.generation, n.generation)
WHERE NOT EXISTS (SELECT 1 FROM ticket_outbox o WHERE o.break_id = a.break_id AND o.change_id = a.action_id)
ORDER BY a.acted_at, a.action_id LIMIT :row_limit
"""


# Cheap, and mostly nothing: people act now and then, tickets are written all the time.
_ANY_UNTOLD = """
SELECT a.action_id FROM action a
WHERE NOT EXISTS (SELECT 1 FROM ticket_outbox o WHERE o.break_id = a.break_id AND o.change_id = a.action_id)
  AND a.break_id IN (SELECT t.break_id FROM ticket_outbox t) LIMIT 1
"""


def mirror_actions(warehouse: Warehouse, execution: str, as_of: int, policy: TriagePolicy, limit: int = 5_000) -> int:
    """Add outbox rows for every action on a break with a ticket that the ticket has not heard of; returns how many.

    `as_of` is UTC ns. Actions on a break without a ticket are told when it gets one.
    """
    if not warehouse.query(_ANY_UNTOLD).num_rows:
        return 0
    with warehouse.transaction():
        rows = []
        balance: dict[tuple[str, int], int] = {}
        extra: dict[tuple[str, int], int] = {}
        for one in records(warehouse.query(_UNTOLD, {"row_limit": limit})):
            name = (one["break_id"], one["generation"])
            active = balance.setdefault(name, one["balance"]) > 0
            operation = _operation(one, active)
            balance[name] += {RESOLVE: -1, REOPEN: 1}.get(operation, 0)
            seq = one["rows_so_far"] + extra.get(name, 0)
            extra[name] = extra.get(name, 0) + 1
            rows.append(_row(one, operation, seq, policy, as_of, execution))
        return append_outbox(warehouse, rows)


def mirror_action(
    warehouse: Warehouse,
    ticketing: Ticketing,
    break_id: str,
    policy: TriagePolicy,
    clock: Clock,
    limits: DeliveryLimits | None = None,
) -> DeliveryReport:
    """Tell the ticket of `break_id` at once what analysts did; an outage leaves the rows for the next delivery."""
    written = mirror_actions(warehouse, f"console-{break_id}", clock.now_ns(), policy)
    try:
        return deliver(warehouse, ticketing, clock, limits, break_id)
    except TransientError:
        return DeliveryReport(0, written, 0)


_ENDS = frozenset({"resolve", "accept", "close"})


def _operation(one: Mapping[str, Any], active: bool) -> str:
    """What the ticket is asked to do: a proposal is told, its approval does it."""
    kind = one["target_kind"] if one["kind"] == "approve" else one["kind"]
    if one["proposed"] or one["kind"] in ("reject", "withdraw"):
        return NOTE
    if kind in _ENDS:
        return RESOLVE if active else NOTE
    if kind == "reopen":
        return NOTE if active else REOPEN
    return ASSIGN if kind == "assign" else NOTE


def _row(
    one: Mapping[str, Any], operation: str, seq: int, policy: TriagePolicy, as_of: int, execution: str
) -> OutboxRow:
    break_id, generation, action_id = one["break_id"], one["generation"], one["action_id"]
    opening = json.loads(one["opening"])
    payload: dict[str, object] = {"seq": seq, "correlation_id": opening["correlation_id"], "note": _words(one)}
    if "storm" in opening:
        payload |= {"storm": opening["storm"], "note": f"Break {break_id[:12]}: {payload['note']}"}
    if operation == ASSIGN:
        payload["assignee"] = one["assignee"] or ""
    if operation == RESOLVE:
        said = one["reason"] or one["target_reason"] or f"Resolved by {one['actor']}"
        payload |= {"close_code": policy.close_code, "close_notes": said}
    name = outbox_key(break_id, generation, operation, action_id)
    return OutboxRow(name, break_id, generation, action_id, operation, one["sys_id"], payload, as_of, execution)


_DONE = {
    "resolve": "resolved the break", "reopen": "opened the break again", "close": "closed the break",
    "accept": "accepted the difference", "force_match": "matched the trades by hand",
    "unmatch": "took the match apart", "release": "left the trades to the rules again",
    "map_identifier": "mapped an identifier", "dk": "refused the booking (DK)",
}  # fmt: skip
_ASKED = {
    "resolve": "resolve the break", "close": "close the break", "accept": "write the difference off",
    "force_match": "match the trades by hand", "map_identifier": "map an identifier", "suppress": "suppress the break",
    "dk": "refuse the booking (DK)",
}  # fmt: skip


def _words(one: Mapping[str, Any]) -> str:
    """The work note: who did what in the console, and why."""
    actor, kind, reason = one["actor"], one["kind"], one["reason"] or ""
    if kind == "comment":
        return f"{actor} in Tieout: {reason or _text(one['payload'])}"
    return f"{actor} {_deed(one, kind)} in Tieout" + (f": {reason}" if reason else "")


def _deed(one: Mapping[str, Any], kind: str) -> str:
    asked = _ASKED.get(one["target_kind"] or kind, one["target_kind"] or kind)
    if one["target_kind"]:
        word = {"approve": "approved", "reject": "rejected", "withdraw": "withdrew"}.get(kind, kind)
        return f"{word} what {one['target_actor']} proposed: {asked}"
    if one["proposed"]:
        return f"proposed to {asked}, which a second person has to approve"
    if kind == "assign":
        return f"assigned the break to {one['assignee']}" if one["assignee"] else "removed the assignment"
    if kind == "check":
        return _checked(one["payload"])
    if kind == "wait":
        return f"waits for {one['party']}"
    if kind == "suppress" and one["until_at"]:
        return f"suppressed the break until {timestamp(one['until_at'])[:16]} UTC"
    return _DONE.get(kind, kind)


def _checked(payload: str | None) -> str:
    step = _loads(payload)
    return f'{"checked" if step.get("done", True) else "unchecked"} "{step.get("text", step.get("step", ""))}"'


def _text(payload: str | None) -> str:
    return str(_loads(payload).get("text", ""))


def _loads(payload: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(payload or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
