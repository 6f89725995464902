"""API routes behind the command line: summary, progress, result, explain, sweep, redrive, rebuild, fault."""

from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from app import as_known_verbs, day_verbs, pilot_verbs, quarantine, resolution_verbs
from app.file_poller import FilePoller
from app.installation import Installation
from app.result import Part, lines
from app.worker import Worker
from domain.errors import PermanentError
from ingest.retry import Selection

Json = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SweepRequest(_Body):
    """`end`: as of the time the last grace ends, once every lane is quiet."""

    as_of: Literal["end"] = "end"


class RedriveRequest(_Body):
    """An execution's name or its beginning, or `all`."""

    run: str


class FaultRequest(_Body):
    """A fault of the embedded ticket service: `503`, or `off`."""

    mode: Literal["503", "off"]


def routes(installation: Installation, worker: Worker, files: FilePoller | None = None) -> APIRouter:
    """The routes; the console's access rules guard them."""
    router = APIRouter(prefix="/api")

    @router.get("/summary")
    def summary() -> Json:
        return installation.summary()

    @router.get("/progress")
    def progress() -> Json:
        return _progress(installation, worker, files)

    @router.get("/result/{part}.jsonl")
    def result(part: Part) -> StreamingResponse:
        return StreamingResponse(lines(installation.warehouse, part), media_type="application/x-ndjson")

    @router.get("/explain/{break_id}")
    def explain(break_id: str) -> Json:
        found: Json = _or_404(lambda: installation.explain(break_id))
        return found

    @router.get("/quarantine")
    def quarantined(reason: str | None = None, feed: str | None = None) -> list[Json]:
        return quarantine.held(installation, Selection(reason=reason, feed=feed))

    @router.get("/quarantine/{quarantine_id}")
    def one_quarantined(quarantine_id: str) -> Json:
        found: Json = _or_404(lambda: quarantine.one(installation, quarantine_id))
        return found

    @router.post("/quarantine/retry")
    def retry_quarantined(selection: Selection) -> Json:
        found: Json = _or_404(lambda: quarantine.retry(installation, selection))
        return found

    @router.post("/sweep")
    def sweep(_request: SweepRequest) -> Json:
        if files is not None and worker.leads:
            files.then(worker.request_final_sweep)
        else:
            worker.request_final_sweep()
        return {"requested": True}

    @router.post("/redrive")
    def redrive(request: RedriveRequest) -> Json:
        return {"redriven": _or_404(lambda: installation.redrive(request.run))}

    @router.post("/rebuild")
    def rebuild() -> Json:
        return installation.rebuild()

    @router.post("/fault")
    def fault(request: FaultRequest) -> Json:
        installation.tickets.set_fault(request.mode)
        return {"mode": request.mode}

    for verbs in (day_verbs, as_known_verbs, resolution_verbs, pilot_verbs):
        router.include_router(verbs.routes(installation))
    return router


def _progress(installation: Installation, worker: Worker, files: FilePoller | None) -> Json:
    """How far the work has come; `idle` when all that came in is reconciled."""
    processed = installation.warehouse.query("SELECT count(*) AS n FROM raw_message")["n"][0].as_py()
    accepted, counts = installation.accepted(), installation.engine.counts()
    running = counts.get("RUNNING", 0)
    read = files is None or not worker.leads or files.idle
    # What a failed execution holds stays unprocessed until it is redriven: nothing to wait for.
    idle = worker.idle and read and running == 0 and (processed >= accepted or counts.get("FAILED", 0) > 0)
    return {"accepted": accepted, "processed": processed, "running": running, "lag": worker.lag(),
            "lag_seconds": worker.late(), "idle": idle}  # fmt: skip


def _or_404(action: Any) -> Any:
    try:
        return action()
    except (PermanentError, KeyError) as error:
        raise HTTPException(404, str(error)) from None
