"""Decisions: recorded as facts with their audit entry; what takes two people waits for the second."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from alerting.playbook import Playbook
from app import decision_kinds as kinds
from app.decision_kinds import ActionRefused, Payload, Row
from app.decision_settings import DecisionSettings
from domain.clock import Clock
from domain.decisions import MATCH_DECISION
from domain.facts import ACTION
from domain.fields import Table
from domain.principal import NotAllowed, Principal
from domain.schema import arrow_schema
from warehouse.audit_log import Deed, append_entries, plain_rows
from warehouse.port import Warehouse

_BEFORE = ("code", "severity", "state", "left_value", "right_value", "delta", "exposure_base", "assignee")
_OF_A_BREAK = ("generation", "latest_change_id", "resolution", "engine_state", "trade_date")
_EFFECTS = {"force_match": "FORCE", "unmatch": "APART", "release": "FREE", "map_identifier": "NAMED"}
_LIFECYCLE = frozenset({"resolve", "close", "accept", "suppress", "dk"})
_ONE = "SELECT * FROM break_queue WHERE break_id = :b"
_PROPOSAL = "SELECT * FROM decision WHERE action_id = :a"
_PENDING = """
SELECT d.action_id, d.break_id, d.kind, d.actor, d.reason, d.payload, d.before, d.acted_at,
  q.code, q.symbol, q.severity, q.headline, q.latest_change_id = d.change_id AS is_current
FROM decision d LEFT JOIN break_queue q ON q.break_id = d.break_id
WHERE d.status = 'PENDING' ORDER BY d.acted_at, d.action_id
"""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Records what people decide; `told` is called so that the ticket hears of it soon.

    `playbooks` by code say which steps and outcomes there are.
    """

    warehouse: Warehouse
    clock: Clock
    told: Callable[[str], None]
    limits: DecisionSettings = field(default_factory=DecisionSettings)
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)

    def record(self, break_id: str, who: Principal, kind: str, reason: str, payload: Payload) -> str:
        """Append one decision, or the proposal of one, and return its id.

        Raises ActionRefused for what makes no sense and NotAllowed for who may not: what takes two people is proposed
        by a person, so that nobody proposes as a service what he approves. `break_id` of an unmatch may be a match
        group's id.
        """
        reason = reason.strip()
        kinds.checked(kind, reason, payload)
        if not who.may_decide:
            raise NotAllowed(f"{who.name} may look, not decide")
        with self.warehouse.transaction():
            found = self._subject(break_id, kind)
            self._refuse(kind, found)
            kept = self._payload(kind, found, payload)
            row = self._row(found, who, kind, reason, kept)
            if row["needs_approval"] and who.kind != "user":
                raise NotAllowed(f"{kind} takes two people here: sign in as a person to propose it")
            self._append(row)
            if not row["needs_approval"]:
                self._take_effect(row["action_id"], kind, kept, found)
        self.told(str(row["break_id"]))
        return str(row["action_id"])

    def answer(self, proposal_id: str, who: Principal, verdict: str, reason: str = "") -> str:
        """Approve, reject or withdraw a proposal; returns the id of the answer.

        Raises NotAllowed for a service, for who lacks the role and for the proposer's own approval.
        """
        if verdict not in kinds.VERDICTS:
            raise ActionRefused(f"unknown verdict {verdict!r}; use one of {', '.join(kinds.VERDICTS)}")
        with self.warehouse.transaction():
            proposal = self._proposal(proposal_id)
            _may_answer(who, verdict, proposal)
            found = self._subject(proposal["break_id"], proposal["kind"])
            if verdict == "approve":
                self._still_true(proposal, found)
            row = self._row(found, who, verdict, reason.strip(), {})
            row |= {"target_id": proposal_id, "needs_approval": None, "change_id": proposal["change_id"]}
            self._append(row)
            if verdict == "approve":
                self._take_effect(proposal_id, proposal["kind"], kinds.loads(proposal["payload"]), found)
        self.told(str(row["break_id"]))
        return str(row["action_id"])

    def pending(self) -> list[Row]:
        """Proposals that wait for a second person, oldest first; times as UTC ns, decimals as text."""
        found = plain_rows(self.warehouse.query(_PENDING))
        for row in found:
            row["payload"], row["before"] = kinds.loads(row["payload"]), kinds.loads(row["before"])
        return found

    def _subject(self, break_id: str, kind: str) -> Row:
        rows = plain_rows(self.warehouse.query(_ONE, {"b": break_id}))
        if rows:
            return rows[0]
        if kind == kinds.RULES_KIND:
            return {**dict.fromkeys((*_BEFORE, *_OF_A_BREAK)), "break_id": break_id, "group_id": None}
        group = self.warehouse.query("SELECT 1 AS one FROM match_group WHERE group_id = :g", {"g": break_id})
        if kind != "unmatch" or not group.num_rows:
            raise ActionRefused(f"no open or past break {break_id}")
        nothing = dict.fromkeys((*_BEFORE, *_OF_A_BREAK))
        return {**nothing, "break_id": break_id, "group_id": break_id}

    def _refuse(self, kind: str, found: Row) -> None:
        why = kinds.refused_in_state(kind, found)
        if why is not None:
            raise ActionRefused(f"this break cannot take {kind!r}: {why}")
        waits = self.warehouse.query(
            "SELECT actor FROM decision WHERE break_id = :b AND kind = :k AND status = 'PENDING'",
            {"b": found["break_id"], "k": kind},
        )["actor"].to_pylist()
        if waits:
            raise ActionRefused(f"{waits[0]} has proposed this already; it waits for a second person")

    def _payload(self, kind: str, found: Row, payload: Payload) -> dict[str, Any]:
        """What is kept with the decision: its own values, and the records it is about as they are now."""
        kept: dict[str, Any] = dict(payload)
        kept.pop("records", None)
        kept |= kinds.by_the_book(kind, payload, self.playbooks.get(found["code"] or ""))
        if kind == "force_match":
            others = [part.strip() for part in kinds.text(payload, "with").split(",") if part.strip()]
            breaks = [found, *(self._subject(other, kind) for other in others)]
            kept["records"] = kinds.forced_records(self.warehouse, breaks)
        if kind == "unmatch":
            kept["records"] = kinds.grouped_records(self.warehouse, found["group_id"] or "")
        if kind == "release":
            kept["records"] = kinds.decided_records(self.warehouse, found["break_id"])
        return kept

    def _row(self, found: Row, who: Principal, kind: str, reason: str, payload: dict[str, Any]) -> Row:
        until = kinds.until_ns(payload["until"], self.clock.now_ns(), self.limits) if kind == "suppress" else None
        row: Row = dict.fromkeys(ACTION.columns)
        return row | {
            "action_id": uuid.uuid4().hex,
            "break_id": found["break_id"],
            "actor": who.name,
            "principal": who.kind,
            "kind": kind,
            "reason": reason or None,
            "assignee": kinds.text(payload, "assignee") or None if kind == "assign" else None,
            # A refused booking waits for its prime broker to take it back.
            "party": kinds.text(payload, "party") if kind == "wait" else "PB" if kind == "dk" else None,
            "until_at": until,
            "change_id": found["latest_change_id"],
            "generation": found["generation"],
            "needs_approval": kind in kinds.KINDS and kinds.needs_second(kind, found, self.limits),
            "before": json.dumps({name: found[name] for name in _BEFORE}, sort_keys=True, default=str),
            "payload": json.dumps(payload, sort_keys=True),
            "acted_at": self._later(),
        }

    def _later(self) -> int:
        """Now, and later than every decision so far: their order is part of what they mean."""
        last = plain_rows(self.warehouse.query("SELECT max(acted_at) AS last FROM action"))[0]["last"]
        return max(self.clock.now_ns(), (last or 0) + 1)

    def _append(self, row: Row) -> None:
        self.warehouse.append(ACTION.name, _table(ACTION, [row]))
        deed = Deed(row["actor"], f"break.{row['kind']}", row["action_id"], told(row))
        append_entries(self.warehouse, [deed], row["acted_at"])

    def _take_effect(self, action_id: str, kind: str, payload: Mapping[str, Any], found: Row) -> None:
        if kind == "map_identifier":
            today = datetime.fromtimestamp(self.clock.now_ns() // 1_000_000_000, UTC).date()
            since: date = found["trade_date"] or today
            kinds.write_mapping(self.warehouse, payload, since, self._later())
        if kind in _EFFECTS:
            # A name is about no record in particular: what is stored is read again.
            records = [(found["break_id"], "L")] if kind == "map_identifier" else payload["records"]
            rows = [
                {
                    "decision_id": action_id,
                    "kind": _EFFECTS[kind],
                    "record_id": record,
                    "side": side,
                    "decided_at": self._later(),
                    "execution": f"decision-{action_id}",
                }
                for record, side in records
            ]
            self.warehouse.append(MATCH_DECISION.name, _table(MATCH_DECISION, rows))

    def _proposal(self, proposal_id: str) -> Row:
        found = plain_rows(self.warehouse.query(_PROPOSAL, {"a": proposal_id}))
        if not found or not found[0]["needs_approval"]:
            raise ActionRefused(f"no proposal {proposal_id}")
        if found[0]["status"] != "PENDING":
            raise ActionRefused(f"this proposal was {found[0]['status'].lower()} already")
        return found[0]

    def _still_true(self, proposal: Row, found: Row) -> None:
        """What is approved is what was proposed: a break that changed meanwhile needs a new proposal."""
        stale = proposal["kind"] in _LIFECYCLE and found["latest_change_id"] != proposal["change_id"]
        if proposal["kind"] == "force_match":
            records = [record for record, _ in kinds.loads(proposal["payload"])["records"]]
            live = self.warehouse.query(
                "SELECT record_id FROM trade_state WHERE is_live AND record_id IN (SELECT m.record_id FROM"
                " recon_break_member m JOIN recon_break b ON b.break_id = m.break_id WHERE b.state = 'OPEN')"
            )["record_id"].to_pylist()
            stale = not set(records) <= set(live)
        if stale:
            raise ActionRefused("the break has changed since this was proposed; withdraw it and propose again")


def told(row: Row) -> Row:
    """The fact as the audit trail tells it: every column that says something."""
    return {name: row[name] for name in ACTION.columns if row.get(name) is not None}


def _may_answer(who: Principal, verdict: str, proposal: Row) -> None:
    if verdict == "withdraw":
        if who.name != proposal["actor"]:
            raise NotAllowed(f"only {proposal['actor']} may withdraw this")
        return
    if who.kind != "user":
        raise NotAllowed(f"a service cannot {verdict}; sign in as a person")
    if not who.may_approve:
        raise NotAllowed(f"{who.name} lacks the role approver")
    if who.name == proposal["actor"]:
        raise NotAllowed(f"{who.name} proposed this; another person has to {verdict} it")


def _table(table: Table, rows: list[Row]) -> pa.Table:
    columns = {}
    for column in arrow_schema(table):
        values = [row.get(column.name) for row in rows]
        if pa.types.is_timestamp(column.type):
            columns[column.name] = pa.array(values, pa.int64()).cast(column.type)
        else:
            columns[column.name] = pa.array(values, column.type)
    return pa.table(columns)
