"""The page of the audit trail: who did what when, whether the shown entries hold together, and the signed roots."""

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from console.rows import rows, text, whole
from console.view import Deps, page
from domain.audit import Entry
from warehouse.audit_log import plain_rows
from warehouse.port import Warehouse

SHOWN = 100
MAX_PAYLOAD = 4_000
_ACTORS = "SELECT actor AS name, count(*) AS n FROM audit_entry GROUP BY actor ORDER BY n DESC, name LIMIT 50"
_KINDS = "SELECT action AS name, count(*) AS n FROM audit_entry GROUP BY action ORDER BY name"
_ROOT = "SELECT * FROM audit_root ORDER BY size DESC LIMIT 1"
_ENTRIES = f"""
SELECT * FROM audit_entry
WHERE seq < :before AND (:actor = '' OR actor = :actor) AND (:action = '' OR action = :action)
ORDER BY seq DESC LIMIT {SHOWN + 1}
"""
_NEWEST = 2**62
_DIGITS = 19
_BREAK = re.compile(r"^[0-9a-f]{32}$")


def load(warehouse: Warehouse, actor: str, action: str, before: int) -> dict[str, Any]:
    """The newest entries that fit, newest first, and what of the chain can be told from them."""
    params = {"actor": actor, "action": action, "before": before}
    found = [
        Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
        for row in plain_rows(warehouse.query(_ENTRIES, params))
    ]
    root = rows(warehouse.query(_ROOT))
    actions = _counted(warehouse, _KINDS)
    return {
        "entries": [_shown(one) for one in found[:SHOWN]],
        "total": sum(n for _, n in actions),
        "older": found[SHOWN - 1].seq if len(found) > SHOWN else None,
        "actors": _counted(warehouse, _ACTORS),
        "actions": actions,
        "root": {"size": whole(root[0], "size"), "hour": text(root[0], "hour"), "root": text(root[0], "root"),
                 "signed": bool(root[0]["signature"])} if root else None,
        "problem": _problem(found, gapless=not actor and not action),
    }  # fmt: skip


def _counted(warehouse: Warehouse, sql: str) -> list[tuple[str, int]]:
    return [(text(row, "name"), whole(row, "n")) for row in rows(warehouse.query(sql))]


def _problem(found: list[Entry], gapless: bool) -> str | None:
    """The first entry, oldest first, that does not fit its content or the one before it, where that is shown too.

    `gapless`: nothing was left out by a filter, so one that is missing was taken away.
    """
    before: Entry | None = None
    for one in reversed(found):
        follows = before if before is not None and (gapless or before.seq == one.seq - 1) else None
        said = one.problem(follows) if follows or one.seq == 1 else one.damage()
        if said:
            return f"entry {one.seq}: {said}"
        before = one
    return None


def _shown(one: Entry) -> dict[str, Any]:
    try:
        payload = json.loads(one.payload)
    except ValueError:
        payload = one.payload
    told = payload if isinstance(payload, dict) else {}
    pretty = json.dumps(payload, indent=1, ensure_ascii=False, sort_keys=True)
    about = str(told.get("break_id") or "")
    words = told.get("reason") or told.get("ticket_number") or one.object.partition("#")[0]
    return {
        "seq": one.seq, "at_ms": one.ts_utc / 1e6, "actor": one.actor, "action": one.action, "object": one.object,
        "break_id": about if _BREAK.match(about) else "", "words": str(words),
        "payload": pretty[:MAX_PAYLOAD] + ("\n…" if len(pretty) > MAX_PAYLOAD else ""), "hash": one.hash,
    }  # fmt: skip


def audit_page(
    request: Request,
    deps: Deps,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=100)] = "",
    before: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    """The trail, newest first, of one actor or one kind of deed where asked, below a sequence number."""
    until = int(before) if before.isdecimal() and len(before) < _DIGITS else _NEWEST
    found = load(deps.warehouse, actor, action, until)
    return page(request, "audit.html", "audit", trail=found, actor_filter=actor, action_filter=action)


def routes() -> APIRouter:
    """The page's route."""
    router = APIRouter(include_in_schema=False)
    router.get("/audit")(audit_page)
    return router
