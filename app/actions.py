"""Analyst actions: recorded as facts, mirrored to the ticket's journal through the outbox."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from domain.clock import Clock
from domain.errors import PermanentError
from domain.facts import ACTION
from domain.schema import arrow_schema
from warehouse.port import Warehouse

KINDS = ("assign", "comment", "resolve", "reopen")
NEEDS_REASON = ("comment", "resolve", "reopen")


class ActionRefused(PermanentError):
    """The action cannot be taken; the text says why, for the person who tried."""


@dataclass(frozen=True, slots=True)
class Actions:
    """Records what a person decides about a break; `told` is called so that the ticket hears of it soon."""

    warehouse: Warehouse
    clock: Clock
    told: Callable[[str], None]

    def record(self, break_id: str, actor: str, kind: str, reason: str, payload: Mapping[str, object]) -> str:
        """Append one action and return its id; raises ActionRefused for an unknown break, kind or missing reason."""
        if kind not in KINDS:
            raise ActionRefused(f"unknown action {kind!r}; use one of {', '.join(KINDS)}")
        reason = reason.strip()
        if kind in NEEDS_REASON and not reason:
            raise ActionRefused(f"{kind} needs a reason")
        assignee = str(payload.get("assignee", "")).strip() or None
        if kind == "assign" and assignee is None:
            raise ActionRefused("assign needs an assignee")
        found = self.warehouse.query(
            "SELECT latest_change_id, state FROM break_queue WHERE break_id = :b", {"b": break_id}
        ).to_pylist()
        if not found:
            raise ActionRefused(f"no open or past break {break_id}")
        if kind == "reopen" and found[0]["state"] != "RESOLVED":
            raise ActionRefused("only a resolved break can be reopened")
        if kind == "resolve" and found[0]["state"] == "RESOLVED":
            raise ActionRefused("the break is resolved already")
        row = {
            "action_id": uuid.uuid4().hex,
            "break_id": break_id,
            "actor": actor,
            "kind": kind,
            "reason": reason or None,
            "assignee": assignee,
            "change_id": found[0]["latest_change_id"],
            "payload": json.dumps(dict(payload), sort_keys=True),
            "acted_at": self.clock.now_ns(),
        }
        self.warehouse.append("action", pa.Table.from_pylist([row], schema=arrow_schema(ACTION)))
        self.told(break_id)
        return str(row["action_id"])
