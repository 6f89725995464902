"""The console application: routes, access rules and error answers around one bundle of dependencies."""

import logging

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from console import api, approvals, pages, proposals, rulebook, trail
from console.failures import Failures, http_error, unavailable
from console.ports import ConsoleDeps
from console.security import Gate, Guard
from console.sessions import Sessions
from console.view import HERE, Deps, environment
from domain.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)


def healthz() -> PlainTextResponse:
    """The process is alive."""
    return PlainTextResponse("ok\n")


def readyz(deps: Deps) -> PlainTextResponse:
    """The warehouse answers; 503 when it does not."""
    try:
        deps.warehouse.query("SELECT 1 AS one")
    except (TransientError, PermanentError):
        logger.warning("the warehouse does not answer", exc_info=True)
        return PlainTextResponse("the warehouse does not answer\n", status_code=503)
    return PlainTextResponse("ready\n")


def metrics(deps: Deps) -> PlainTextResponse:
    """Prometheus text."""
    return PlainTextResponse(deps.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


def create_console(deps: ConsoleDeps) -> FastAPI:
    """The console over `deps`: pages, JSON API under /api, /healthz, /readyz and /metrics.

    It listens nowhere by itself; serve it on loopback only.
    """
    app = FastAPI(title="Tieout", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    gate = Gate(deps.token, deps.open_reads_on_loopback, deps.hosts)
    sessions = Sessions(gate, deps.clock, deps.people, deps.actor, deps.open_as)
    app.state.deps, app.state.gate, app.state.templates = deps, gate, environment()
    app.state.sessions = sessions
    # The last one added is the outermost: the guard's headers are on error answers too.
    app.add_middleware(Failures)
    app.add_middleware(Guard, gate=gate, principal=sessions.principal)
    app.include_router(api.routes())
    app.include_router(proposals.routes())
    app.include_router(pages.routes())
    app.include_router(approvals.routes())
    app.include_router(rulebook.routes())
    app.include_router(trail.routes())
    app.get("/healthz", include_in_schema=False)(healthz)
    app.get("/readyz", include_in_schema=False)(readyz)
    app.get("/metrics", include_in_schema=False)(metrics)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(TransientError, unavailable)
    return app
