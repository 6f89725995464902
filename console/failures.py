"""What a visitor sees when something fails: clean pages and JSON, with the cause in the log and nowhere else."""

import logging

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.view import page, wants_json

logger = logging.getLogger(__name__)

CRASHED = "This failed inside the service. The service's log has the details."
UNAVAILABLE = "The warehouse did not answer. The FIX sessions keep accepting; this page works again when it is back."


def _json(request: Request) -> bool:
    return wants_json(request) or request.method not in ("GET", "HEAD")


async def http_error(request: Request, error: Exception) -> Response:
    """The answer to an HTTPException: its detail as JSON or as a page."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else CRASHED
    if _json(request):
        return JSONResponse({"detail": detail}, status_code=status)
    title, message = ("Not found", "There is no such page.") if status == 404 else ("Error", detail)
    return page(request, "error.html", "", status=status, title=title, message=message)


async def unavailable(request: Request, error: Exception) -> Response:
    """503 while the warehouse does not answer; what it said may hold SQL, so it goes to the log."""
    logger.warning("%s %s: the warehouse did not answer", request.method, request.url.path, exc_info=error)
    if _json(request):
        return JSONResponse({"detail": "the warehouse did not answer; try again"}, status_code=503)
    return page(request, "error.html", "", status=503, title="Warehouse unavailable", message=UNAVAILABLE)


def crashed(request: Request) -> Response:
    """500 without a word about the inside."""
    if _json(request):
        return JSONResponse({"detail": CRASHED}, status_code=500)
    return page(request, "error.html", "", status=500, title="Something went wrong", message=CRASHED)


class Failures:
    """ASGI middleware inside the guard, so that a crash is logged once and its answer still carries the headers.

    A crash after the answer began cannot be answered any more: it goes on to the server, which logs it and hangs up.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if began:
                raise
            request = Request(scope)
            # The path without its query: a log line holds no search words.
            logger.exception("%s %s failed", request.method, request.url.path)
            await crashed(request)(scope, receive, send)
