"""Who may read and write: loopback hosts, a principal or the open mode, same-origin writes and the page headers."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.principal import Principal

COOKIE = "tieout_console"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/favicon.ico"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = "this is not the token of the running service: it changes at every start"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


def cookie_value(token: str) -> str:
    """The cookie for a token: an HMAC, so a stolen cookie never yields the token the command line uses."""
    return hmac.new(token.encode(), b"tieout console cookie v1", hashlib.sha256).hexdigest()


def cookie_name(request: Request) -> str:
    """One cookie per port: browsers share cookies between ports, and two services must not sign each other out."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isdigit() else COOKIE


def host_name(request: Request) -> str:
    """The Host header without its port, lower case; IPv6 keeps its brackets."""
    host = request.headers.get("host", "").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def has_scheme(request: Request, scheme: str) -> bool:
    """True when the Authorization header is of this scheme."""
    return request.headers.get("authorization", "").partition(" ")[0].lower() == scheme


def same_origin(request: Request) -> bool:
    """True when a browser says the request comes from our own page (Sec-Fetch-Site, else Origin equal to Host)."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
        return False
    if site is not None:
        return site == "same-origin"
    return origin is not None


@dataclass(frozen=True, slots=True)
class Gate:
    """The access rules of one console. `open_reads` lets pages be read on loopback without a token (demo only)."""

    token: str
    open_reads: bool
    hosts: frozenset[str] = LOOPBACK_HOSTS

    def has_token(self, candidate: str) -> bool:
        """Constant-time comparison with the service token; an empty token admits nobody."""
        return bool(self.token) and hmac.compare_digest(candidate.encode(), self.token.encode())

    def has_bearer(self, request: Request) -> bool:
        """True when the Authorization header carries the token."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.has_token(value.strip())

    def has_cookie(self, request: Request) -> bool:
        """True when the request carries the cookie this token gives."""
        found = request.cookies.get(cookie_name(request), "")
        return bool(self.token) and hmac.compare_digest(found.encode(), cookie_value(self.token).encode())

    def refuse_write(self, request: Request, known: bool) -> tuple[int, str] | None:
        """None when the write may go on, else (status, reason); every write is same-origin JSON by someone `known`."""
        from_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
        if from_browser and not same_origin(request):
            return 403, "writes are accepted from this console's own pages only"
        # Whether a session may begin is for its route to say: it sees name and password.
        starts = request.url.path == "/api/session"
        if starts and "authorization" in request.headers and not known:
            return 401, REFUSED
        if not (known or starts):
            return 401, "sign in first: reload the page, or send Authorization: Bearer with the token in service.json"
        if not from_browser and not (self.has_bearer(request) or has_scheme(request, "basic")):
            return 403, "a cookie alone is not enough: send Origin, or Authorization: Bearer"
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return 415, "send application/json"
        return None


def set_cookie(request: Request, response: Response, gate: Gate) -> None:
    """Hand the browser its cookie: not readable by scripts, never sent from another site."""
    response.set_cookie(cookie_name(request), cookie_value(gate.token), httponly=True, samesite="strict", path="/")


def _denied(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status_code=status)


class Guard:
    """ASGI middleware: checks host, reads and writes, then adds the security headers to whatever comes back."""

    def __init__(self, app: ASGIApp, gate: Gate, principal: Callable[[Request], Principal | None]) -> None:
        self._app = app
        self._gate = gate
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # Assets are asked for again every time, but answered from their ETag.
                is_asset = scope["path"].startswith("/static/")
                headers.setdefault("cache-control", "no-cache" if is_asset else "no-store")
            await send(message)

        request = Request(scope)
        # Passwords are hashed, which takes long enough to hold others up.
        slow = has_scheme(request, "basic")
        found = await run_in_threadpool(self._principal, request) if slow else self._principal(request)
        request.state.principal = found
        answer = self._check(request, scope, found is not None)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _check(self, request: Request, scope: Scope, known: bool) -> Response | None:
        if host_name(request) not in self._gate.hosts:
            return _denied(421, "this console answers on 127.0.0.1 and localhost only")
        if request.method not in SAFE_METHODS:
            refused = self._gate.refuse_write(request, known)
            return _denied(*refused) if refused else None
        path = request.url.path
        if path.startswith("/static/") or path in OPEN_PATHS:
            return None
        if known or self._gate.open_reads:
            return None
        if path.startswith("/api/") or path == "/metrics":
            return _denied(401, "send Authorization: Bearer with the token from service.json")
        # The sign-in page is rendered by the application, which knows the templates.
        scope["path"] = "/signin"
        scope["raw_path"] = b"/signin"
        return None
