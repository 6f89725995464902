"""Approval of rule sets: proposed by one person, approved by another, bound to the hash of what they saw."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.decision_kinds import RULES_KIND, ActionRefused
from app.decisions import Decisions
from app.settings import Settings, SettingsError
from domain.principal import Principal
from matching.rules import RuleSet
from warehouse.audit_log import plain_rows
from warehouse.port import Warehouse

PREFIX = "rules-"
_OF_HASH = "SELECT * FROM decision WHERE kind = :k AND break_id = :b ORDER BY acted_at DESC, action_id DESC"
_ALL = "SELECT * FROM decision WHERE kind = :k ORDER BY acted_at, action_id"


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule set that was put forward: who proposed it, what became of it and who said so."""

    hash: str
    name: str
    status: str
    proposer: str
    approver: str | None
    reason: str
    proposal_id: str

    def __str__(self) -> str:
        said = {"PENDING": "waits for a second person", "APPROVED": f"approved by {self.approver}"}
        what = said.get(self.status, f"{self.status.lower()} by {self.approver}")
        return f"{self.hash[:12]}  {self.name}  proposed by {self.proposer} ({self.proposal_id[:12]}), {what}"


def propose(decisions: Decisions, rules: RuleSet, who: Principal, reason: str) -> str:
    """Put a rule set forward; returns the proposal's id. Raises ActionRefused where it is approved or waits already."""
    if is_approved(decisions.warehouse, rules.hash):
        raise ActionRefused(f"rule set {rules.hash[:12]} is approved already")
    payload = {"hash": rules.hash, "name": rules.name, "rules": rules.canonical}
    return decisions.record(PREFIX + rules.hash, who, RULES_KIND, reason, payload)


def is_approved(warehouse: Warehouse, rule_set_hash: str) -> bool:
    """Whether two people stand behind exactly this content."""
    found = warehouse.query(_OF_HASH, {"k": RULES_KIND, "b": PREFIX + rule_set_hash})["status"].to_pylist()
    return "APPROVED" in found


def standings(warehouse: Warehouse) -> list[Standing]:
    """Every rule set that was put forward, oldest first."""
    return [_standing(row) for row in plain_rows(warehouse.query(_ALL, {"k": RULES_KIND}))]


def require_approved(settings: Settings, warehouse: Warehouse, rules: RuleSet) -> None:
    """Raises SettingsError naming the hash when approvals are on and the rule file is not approved.

    The rule set that ships with Tieout needs no approval.
    """
    if settings.rules is None or not settings.decisions.approve_rules or is_approved(warehouse, rules.hash):
        return
    raise SettingsError(
        f"rules: {settings.rules}: rule set {rules.hash} is not approved; `tieout rules propose` puts it forward and"
        " another person approves it with `tieout rules approve`"
    )


def _standing(row: Mapping[str, Any]) -> Standing:
    payload = json.loads(row["payload"])
    return Standing(
        payload["hash"], payload["name"], row["status"], row["actor"], row["approver"], row["reason"] or "",
        row["action_id"],
    )  # fmt: skip
