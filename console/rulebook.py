"""The page of the rules in force: passes and break conditions with what they did, limits, and every set before."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.rows import Row, rows, text, whole
from console.view import Deps, page
from warehouse.port import Warehouse

MAX_HISTORY = 50
_KEPT = "SELECT * FROM match_terms ORDER BY after_seq DESC, noted_at DESC, terms_id DESC"
_MATCHED = "SELECT pass_id AS id, count(*) AS n FROM match_group GROUP BY pass_id"
_BROKEN = "SELECT rule_id AS id, count(*) AS n FROM recon_break WHERE state = 'OPEN' GROUP BY rule_id"
_STANDING = "SELECT break_id, status, actor, approver FROM decision WHERE kind = 'adopt_rules' ORDER BY acted_at"
_OF_HASH = "rules-"
_SAID = {"PENDING": "waits for a second person", "APPROVED": "approved"}

# What a kind of pass does, in a few words.
KINDS: Mapping[str, str] = {
    "rollup": "executions with our own allocation of their order",
    "exact": "one with one, by id",
    "economics": "equal terms, by count",
    "aggregate": "many with one block",
    "order": "what is left of one order",
    "tolerance": "one with one, price within tolerance",
    "cancelled": "live beside cancelled",
    "duplicate": "told twice",
    "near_miss": "one field differs",
    "runs": "neighbours in time that add up",
    "subsets": "any few that add up",
    "score": "suggested by the weight of evidence",
    "one_sided": "whatever is left",
}
# Told elsewhere in a row, or what a pass does unless it says otherwise.
_PLAIN = ("id", "kind", "keys")
_USUAL = (("ambiguity", "mutual-best"), ("waits", True))


def _counts(warehouse: Warehouse, sql: str) -> dict[str, int]:
    return {text(row, "id"): whole(row, "n") for row in rows(warehouse.query(sql))}


def _said(value: object) -> str:
    """A setting of a pass as one reads it aloud."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(one)}" for key, one in value.items() if one not in (None, "", [], {}))
    if isinstance(value, list):
        return ", ".join(_said(one) for one in value)
    return str(value)


def _passes(rules: Mapping[str, Any], matched: Mapping[str, int], broken: Mapping[str, int]) -> list[dict[str, Any]]:
    found = []
    for one in rules["passes"]:
        name = one["id"]
        more = {
            key: value
            for key, value in one.items()
            if key not in _PLAIN and (key, value) not in _USUAL and value not in (None, False, [], {})
        }
        found.append(
            {
                "id": name, "kind": one["kind"], "words": KINDS.get(one["kind"], one["kind"]),
                "equal": _said(one.get("keys") or []), "more": [(key, _said(value)) for key, value in more.items()],
                "groups": matched.get(name, 0), "breaks": broken.get(name, 0),
            }
        )  # fmt: skip
    return found


def _limits(rules: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Tolerances and what is accepted without a person, each as a name and its words."""
    found = [(f"Tolerance of {name.replace('_', ' ')}", _said(value)) for name, value in rules["tolerances"].items()]
    acceptance = rules.get("acceptance") or {}
    for code, most in (acceptance.get("limits") or {}).items():
        found.append((f"Accepted without a person, {code}", f"up to {most} {rules['base_ccy']}"))
    if acceptance.get("daily_cap") is not None:
        found.append(("Accepted a day, per prime broker", f"up to {acceptance['daily_cap']} {rules['base_ccy']}"))
    found += [(f"Profile {one['name']}", _said({k: v for k, v in one.items() if k != "name"}))
              for one in rules.get("profiles") or ()]  # fmt: skip
    return found


def _history(kept: list[Row], warehouse: Warehouse) -> list[dict[str, Any]]:
    standing = {text(row, "break_id").removeprefix(_OF_HASH): row for row in rows(warehouse.query(_STANDING))}
    found = []
    for row in kept[:MAX_HISTORY]:
        its = standing.get(text(row, "rule_set_hash"))
        said = "shipped, or used without approval" if its is None else _SAID.get(text(its, "status"), "refused")
        who = "" if its is None else f"{text(its, 'actor')}, {text(its, 'approver')}".rstrip(", ")
        found.append(
            {
                "hash": text(row, "rule_set_hash"), "since": row["noted_at"], "after": whole(row, "after_seq"),
                "rebuilt": bool(row["rebuilt"]), "said": said, "who": who,
            }
        )  # fmt: skip
    return found


def load(warehouse: Warehouse) -> dict[str, Any] | None:
    """The newest rule set that matching went by, with what stands under it; None before the first."""
    kept = rows(warehouse.query(_KEPT))
    if not kept:
        return None
    rules = json.loads(text(kept[0], "rules"))
    matched, broken = _counts(warehouse, _MATCHED), _counts(warehouse, _BROKEN)
    conditions = [
        {"id": one["id"], "code": one["code"], "family": one["family"].replace("_", " "), "when": one["when"],
         "explained": _said(one.get("explained_by") or []), "breaks": broken.get(one["id"], 0)}
        for one in rules["breaks"]
    ]  # fmt: skip
    history = _history(kept, warehouse)
    return {
        "name": rules["name"], "hash": history[0]["hash"], "since": history[0]["since"],
        "passes": _passes(rules, matched, broken), "conditions": conditions, "limits": _limits(rules),
        "history": history, "groups": sum(matched.values()), "more_history": max(0, len(kept) - MAX_HISTORY),
    }  # fmt: skip


def rules_page(request: Request, deps: Deps) -> HTMLResponse:
    """The rules in force and what they did."""
    return page(request, "rules.html", "rules", rules=load(deps.warehouse))


def routes() -> APIRouter:
    """The page's route."""
    router = APIRouter(include_in_schema=False)
    router.get("/rules")(rules_page)
    return router
