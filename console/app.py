"""The console application: routes, access rules and error answers around one bundle of dependencies."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from console import api, pages
from console.ports import ConsoleDeps
from console.security import Gate, Guard
from console.view import HERE, Deps, environment, page, wants_json
from domain.errors import PermanentError, TransientError


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else "internal error"
    if wants_json(request) or request.method not in ("GET", "HEAD"):
        return JSONResponse({"detail": detail}, status_code=status)
    message = "There is no such page." if status == 404 else detail
    return page(
        request, "error.html", "", status=status, title="Not found" if status == 404 else "Error", message=message
    )


async def _unavailable(request: Request, error: Exception) -> Response:
    if wants_json(request):
        return JSONResponse({"detail": f"the warehouse did not answer: {error}"}, status_code=503)
    message = "The warehouse did not answer. The FIX sessions keep accepting; this page works again when it is back."
    return page(request, "error.html", "", status=503, title="Warehouse unavailable", message=message)


def healthz() -> PlainTextResponse:
    """The process is alive."""
    return PlainTextResponse("ok\n")


def readyz(deps: Deps) -> PlainTextResponse:
    """The warehouse answers; 503 when it does not."""
    try:
        deps.warehouse.query("SELECT 1 AS one")
    except (TransientError, PermanentError) as error:
        return PlainTextResponse(f"warehouse: {error}\n", status_code=503)
    return PlainTextResponse("ready\n")


def metrics(deps: Deps) -> PlainTextResponse:
    """Prometheus text."""
    return PlainTextResponse(deps.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


def create_console(deps: ConsoleDeps) -> FastAPI:
    """The console over `deps`: pages, JSON API under /api, /healthz, /readyz and /metrics.

    It listens nowhere by itself; serve it on loopback only until sign-in exists.
    """
    app = FastAPI(title="Tieout", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    gate = Gate(deps.token, deps.open_reads_on_loopback, deps.hosts)
    app.state.deps, app.state.gate, app.state.templates = deps, gate, environment()
    app.add_middleware(Guard, gate=gate)
    app.include_router(api.routes())
    app.include_router(pages.routes())
    app.get("/healthz", include_in_schema=False)(healthz)
    app.get("/readyz", include_in_schema=False)(readyz)
    app.get("/metrics", include_in_schema=False)(metrics)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(TransientError, _unavailable)
    app.add_exception_handler(PermanentError, _unavailable)
    return app
