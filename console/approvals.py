"""The page of what waits for a second person: who proposed what, about which break, why, and for how long."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from console.detail import PROPOSAL_WORDS
from console.ports import ConsoleDeps
from console.view import Deps, page
from console.wording import instant, span_words, stamp

MAX_SHOWN = 200
# Long lists of records say nothing to who decides; the break's page shows them.
_NOT_SHOWN = ("records",)
_MAX_VALUE = 120


def waiting(deps: ConsoleDeps) -> list[dict[str, Any]]:
    """What waits for a second person, oldest first, at most MAX_SHOWN."""
    now_ns = deps.clock.now_ns()
    return [_shown(dict(row), now_ns) for row in deps.actions.pending()[:MAX_SHOWN]]


def _shown(row: dict[str, Any], now_ns: int) -> dict[str, Any]:
    at = row.get("acted_at")
    at_ns = at if isinstance(at, int) else now_ns
    kind, payload = str(row["kind"]), dict(row.get("payload") or {})
    about = {name: str(value)[:_MAX_VALUE] for name, value in sorted(payload.items())
             if name not in _NOT_SHOWN and value not in (None, "")}  # fmt: skip
    return {
        "proposal_id": str(row["action_id"]), "break_id": str(row["break_id"]), "who": str(row["actor"]),
        "words": PROPOSAL_WORDS.get(kind, kind.replace("_", " ")), "reason": str(row.get("reason") or ""),
        "code": row.get("code"), "symbol": row.get("symbol"), "severity": row.get("severity"),
        "headline": row.get("headline"), "about": about, "records": len(payload.get("records") or ()),
        "at": stamp(instant(at_ns)), "age": span_words(max(0, now_ns - at_ns) / 1e9),
        # The break is not any more what it was when this was proposed.
        "moved": row.get("code") is not None and row.get("is_current") is False,
    }  # fmt: skip


def proposals_page(request: Request, deps: Deps) -> HTMLResponse:
    """Open proposals, with the answers whoever looks at them may give."""
    found = deps.actions.pending()
    return page(request, "proposals.html", "proposals", waiting=waiting(deps), total=len(found))


def routes() -> APIRouter:
    """The page's route."""
    router = APIRouter(include_in_schema=False)
    router.get("/proposals")(proposals_page)
    return router
