"""API routes behind `tieout verify`, `tieout audit` and `tieout break`: the trail as lines, ids from beginnings."""

from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from app.installation import Installation
from app.verify import Part, trail_lines
from domain.errors import PermanentError


def audit_routes(installation: Installation) -> APIRouter:
    """The routes; the console's access rules guard them."""
    router = APIRouter(prefix="/api/audit")

    @router.get("/{part}.jsonl")
    def trail(part: Part) -> StreamingResponse:
        return StreamingResponse(trail_lines(installation.warehouse, part), media_type="application/x-ndjson")

    @router.post("/roots")
    def sign_now() -> dict[str, Any]:
        return installation.auditor.report(installation.auditor.close_hours(now=True))

    return router


def break_routes(installation: Installation) -> APIRouter:
    """GET /api/break-id/{prefix}: the one break or match group whose id begins so; 404 for none or several."""
    router = APIRouter(prefix="/api/break-id")

    @router.get("/{prefix}")
    def full_id(prefix: str) -> dict[str, str]:
        try:
            return {"id": installation.subject(prefix)}
        except PermanentError as error:
            raise HTTPException(404, str(error)) from None

    return router
