"""API routes of the audit trail: its three parts as JSON lines, for `tieout verify` and `tieout audit export`."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.installation import Installation
from app.verify import Part, trail_lines


def audit_routes(installation: Installation) -> APIRouter:
    """The routes; the console's access rules guard them."""
    router = APIRouter(prefix="/api/audit")

    @router.get("/{part}.jsonl")
    def trail(part: Part) -> StreamingResponse:
        return StreamingResponse(trail_lines(installation.warehouse, part), media_type="application/x-ndjson")

    return router
