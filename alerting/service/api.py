"""The embedded ServiceNow-compatible service: the Table API over SQLite as an ASGI application of its own."""

import base64
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerting.service.faults import FaultMiddleware, FaultOrder, FaultSwitch
from alerting.service.present import Presenter, Style
from alerting.service.query import MAX_CONDITIONS, Sql, parse, plain_filters
from alerting.service.records import Actor, Records, Refusal, not_found
from alerting.service.store import Store
from alerting.service.tables import TABLES, ServiceTable
from domain.clock import Clock
from domain.ids import digest128

_MAX_BODY_BYTES = 5 * 1024 * 1024
_DEFAULT_LIMIT = 10_000
_MAX_DIGITS = 9
_MAX_LINK_URL = 8_000  # the Link header repeats the address four times; clients bound their headers
_BODY_VERBS = frozenset({"POST", "PUT", "PATCH"})
_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may use the service: user name -> password, and the token of the fault route (empty: route closed)."""

    users: Mapping[str, str] = field(repr=False)
    fault_token: str = field(default="", repr=False)


def person_id(user_name: str) -> str:
    """The sys_id the service gives a user: the same on every start."""
    return digest128("sys_user", user_name)


def create_service(
    db: Path | str,
    credentials: Credentials,
    clock: Clock,
    *,
    groups: tuple[str, ...] = (),
    people: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Starlette:
    """The ASGI application. `db` is a SQLite file or ":memory:"; `groups` and `people` (user name -> name) are seeded.

    `strict` answers 400 to an encoded query with parts it does not understand; otherwise those parts are ignored, as
    ServiceNow documents for an instance without glide.invalid_query.returns_no_rows.
    """
    store = Store(db)
    records = Records(store, clock)
    _seed(store, records, groups, dict.fromkeys(credentials.users, "") | dict(people or {}))
    switch = FaultSwitch.off()
    table_api = TableApi(store, records, credentials, strict)

    @asynccontextmanager
    async def lifespan(_app: Starlette):  # type: ignore[no-untyped-def]
        yield
        store.close()

    async def fault(request: Request) -> Response:
        return await _fault_route(request, credentials.fault_token, switch)

    routes = [Route("/tieout/fault", fault, methods=["GET", "POST"]), Route("/tieout/health", _health)]
    for prefix, empty_is_404 in (("", False), ("/v1", True), ("/v2", False)):
        path = f"/api/now{prefix}/table/{{table}}"
        routes.append(Route(path, table_api.collection(empty_is_404), methods=_VERBS))
        routes.append(Route(path + "/{sys_id}", table_api.single, methods=_VERBS))
    app = Starlette(routes=routes, middleware=[Middleware(FaultMiddleware, switch=switch)], lifespan=lifespan)
    app.state.close = store.close  # for whoever runs the application without its lifespan
    return app


def _seed(store: Store, records: Records, groups: tuple[str, ...], people: Mapping[str, str]) -> None:
    system = Actor("system", "")
    for user_name, name in people.items():
        if store.get(TABLES["sys_user"], person_id(user_name)) is None:
            body = {"sys_id": person_id(user_name), "user_name": user_name, "name": name or user_name}
            records.create(TABLES["sys_user"], body, system)
    for name in groups:
        if store.find(TABLES["sys_user_group"], "name", name) is None:
            body = {"sys_id": digest128("sys_user_group", name), "name": name}
            records.create(TABLES["sys_user_group"], body, system)


class TableApi:
    """The handlers of /api/now/table; they run on the event loop, one at a time, so the store needs no lock."""

    def __init__(self, store: Store, records: Records, credentials: Credentials, strict: bool) -> None:
        self._store = store
        self._records = records
        self._credentials = credentials
        self._strict = strict
        self._presenter = Presenter(store)

    def collection(self, empty_is_404: bool) -> Callable[[Request], Awaitable[Response]]:
        """The handler of a table's address; version 1 answers 404 to a list with no rows."""

        async def handle(request: Request) -> Response:
            return await self._answer(request, lambda: self._collection(request, empty_is_404))

        return handle

    async def single(self, request: Request) -> Response:
        """The handler of one record's address."""
        return await self._answer(request, lambda: self._single(request))

    async def _answer(self, request: Request, handle: Callable[[], Awaitable[Response]]) -> Response:
        try:
            _check_accept(request)
            response = await handle()
        except Refusal as refusal:
            return _error(refusal)
        if request.headers.get("X-no-response-body", "").lower() == "true" and response.status_code < 300:
            return Response(status_code=204)
        return response

    async def _collection(self, request: Request, empty_is_404: bool) -> Response:
        actor, table, verb = self._actor(request), _table(request), _verb(request)
        if verb in ("GET", "HEAD"):
            return self._list(request, table, empty_is_404)
        if verb != "POST":
            raise Refusal(405, "Method not supported", f"{verb} needs a record: /table/{table.name}/{{sys_id}}")
        record = self._records.create(table, await _body(request), actor, _flag(request, "sysparm_input_display_value"))
        location = f"{_base(request)}/api/now/table/{table.name}/{record['sys_id']}"
        shown = self._presenter.show(table, record, _style(request))
        return JSONResponse({"result": shown}, 201, {"Location": location})

    async def _single(self, request: Request) -> Response:
        actor, table, verb = self._actor(request), _table(request), _verb(request)
        sys_id = request.path_params["sys_id"].lower()
        if verb == "DELETE":
            self._records.remove(table, sys_id)
            return Response(status_code=204)
        if verb in ("PATCH", "PUT"):
            by_display = _flag(request, "sysparm_input_display_value")
            record = self._records.change(table, sys_id, await _body(request), actor, by_display)
        elif verb in ("GET", "HEAD"):
            found = self._store.get(table, sys_id)
            if found is None:
                raise not_found()
            record = found
        else:
            raise Refusal(405, "Method not supported", f"{verb} is not for a single record")
        return JSONResponse({"result": self._presenter.show(table, record, _style(request))})

    def _list(self, request: Request, table: ServiceTable, empty_is_404: bool) -> Response:
        where, order = self._where(request, table)
        limit = _number(request, "sysparm_limit", _DEFAULT_LIMIT)
        offset = _number(request, "sysparm_offset", 0)
        total = self._store.count(table, where)
        rows = self._store.select(table, where, order, limit, offset)
        if not rows and empty_is_404:
            raise not_found()
        headers = {"X-Total-Count": str(total)}
        if not _flag(request, "sysparm_suppress_pagination_header") and len(str(request.url)) <= _MAX_LINK_URL:
            headers["Link"] = _links(request, total, limit, offset)
        style = _style(request)
        return JSONResponse({"result": [self._presenter.show(table, row, style) for row in rows]}, 200, headers)

    def _where(self, request: Request, table: ServiceTable) -> tuple[Sql, str]:
        text = request.query_params.get("sysparm_query")
        if text is None:
            pairs = [
                (key, value) for key, value in request.query_params.multi_items() if not key.startswith("sysparm_")
            ][:MAX_CONDITIONS]
            return plain_filters(table, pairs), "t.rowid"
        query = parse(table, text)
        if query.conditions > MAX_CONDITIONS:
            raise Refusal(400, "Query too long", f"{query.conditions} conditions; the limit is {MAX_CONDITIONS}")
        if query.ignored and self._strict:
            raise Refusal(400, "Invalid query detected", f"not understood: {', '.join(query.ignored)}")
        return query.where, query.order

    def _actor(self, request: Request) -> Actor:
        name, password = _basic(request.headers.get("Authorization", ""))
        expected = self._credentials.users.get(name)
        # Compare even for an unknown name, so that the time taken tells nothing.
        right = hmac.compare_digest((expected or "").encode(), password.encode())
        if expected is None or not right:
            raise Refusal(401, "User Not Authenticated", "Required to provide Auth information")
        return Actor(name, person_id(name))


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:
        return "", ""
    return name, password


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _verb(request: Request) -> str:
    override = request.headers.get("X-HTTP-Method-Override", "").upper()
    return override if request.method == "POST" and override in _VERBS else request.method


def _table(request: Request) -> ServiceTable:
    name = request.path_params["table"]
    table = TABLES.get(name)
    if table is None:
        raise Refusal(400, f"Invalid table {name}", "The table is not part of this service")
    return table


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "false").lower() == "true"


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else default


def _style(request: Request) -> Style:
    display = request.query_params.get("sysparm_display_value", "false").lower()
    fields = request.query_params.get("sysparm_fields", "")
    return Style(
        display=display if display in ("true", "all") else "false",
        fields=tuple(name.strip() for name in fields.split(",") if name.strip()),
        links=not _flag(request, "sysparm_exclude_reference_link"),
        base_url=_base(request),
    )


def _links(request: Request, total: int, limit: int, offset: int) -> str:
    size = max(limit, 1)
    last = (total - 1) // size * size if total else 0
    places = {"first": 0}
    if offset > 0:
        places["prev"] = max(offset - size, 0)
    if offset + size < total:
        places["next"] = offset + size
    places["last"] = last
    url = request.url
    return ",".join(
        f'<{url.include_query_params(sysparm_limit=size, sysparm_offset=at)}>;rel="{rel}"' for rel, at in places.items()
    )


def _check_accept(request: Request) -> None:
    accept = request.headers.get("Accept", "*/*")
    if not any(kind in accept for kind in ("*/*", "application/*", "application/json")):
        raise Refusal(406, "Not acceptable", f"Accept {accept!r}: this service answers application/json")


async def _body(request: Request) -> dict[str, object]:
    kind = request.headers.get("Content-Type", "")
    if not kind:
        raise Refusal(400, "Content-Type is required", "Send application/json")
    if kind.partition(";")[0].strip().lower() not in ("application/json", "text/json"):
        raise Refusal(415, "Unsupported media type", f"{kind!r}: send application/json")
    raw = await request.body()
    if len(raw) > _MAX_BODY_BYTES:
        raise Refusal(413, "Request too large", f"The limit is {_MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "Exception while reading request", "The payload is not valid JSON") from error
    if not isinstance(body, dict):
        raise Refusal(400, "Exception while reading request", "The payload must be one JSON object")
    return body


def _error(refusal: Refusal) -> Response:
    body = {"error": {"message": refusal.message, "detail": refusal.detail}, "status": "failure"}
    headers = {"WWW-Authenticate": 'BASIC realm="Service-now"'} if refusal.status == 401 else {}
    return JSONResponse(body, refusal.status, headers)


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _fault_route(request: Request, token: str, switch: FaultSwitch) -> Response:
    given = request.headers.get("X-Tieout-Token", "")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        return _error(Refusal(403, "Forbidden", "X-Tieout-Token is missing or wrong"))
    if request.method == "POST":
        try:
            switch.set(FaultOrder.model_validate_json(await request.body()))
        except ValidationError as error:
            return _error(Refusal(400, "Invalid fault", str(error)))
    return JSONResponse({"mode": switch.order.mode.value, "count": switch.order.count, "hits": switch.hits})
