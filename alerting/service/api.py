"""The embedded ServiceNow-compatible service: its addresses and what is behind each, as one ASGI application."""

import hmac
from collections.abc import Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerting.service.attachments import AttachmentApi
from alerting.service.auth import Credentials, SignIn
from alerting.service.batch import BatchApi
from alerting.service.faults import FaultMiddleware, FaultOrder, FaultSwitch
from alerting.service.http import VERBS, Service, answered, body_of, error
from alerting.service.imports import EventApi, ImportApi
from alerting.service.present import Presenter
from alerting.service.records import Records, Refusal
from alerting.service.seed import seed
from alerting.service.stats import StatsApi
from alerting.service.store import Store
from alerting.service.table_api import TableApi
from alerting.service.tinyurl import TinyUrls
from domain.clock import Clock

STAGING: Mapping[str, str] = {"u_tieout_import": "incident"}
_NOW = ("/api/now", "/api/now/v1", "/api/now/v2")


def create_service(
    db: Path | str,
    credentials: Credentials,
    clock: Clock,
    *,
    groups: tuple[str, ...] = (),
    people: Mapping[str, str] | None = None,
    strict: bool = False,
    staging: Mapping[str, str] = STAGING,
    requests_per_hour: int = 0,
) -> Starlette:
    """The ASGI application. `db` is a SQLite file or ":memory:"; `groups` and `people` (user name -> name) are seeded.

    `strict` answers 400 to an encoded query with parts it does not understand; otherwise those parts are ignored, as
    ServiceNow documents for an instance without glide.invalid_query.returns_no_rows. `staging` maps import set tables
    to the table they feed; `requests_per_hour` is a rate limit rule for each user (0: none).
    """
    store = Store(db)
    records = Records(store, clock)
    seed(store, records, clock, groups, dict.fromkeys(credentials.users, "") | dict(people or {}))
    switch = FaultSwitch.off()
    sign_in = SignIn(credentials, clock)
    service = Service(store, records, Presenter(store), sign_in, TinyUrls(), strict, clock)
    batch = BatchApi(service, clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette):  # type: ignore[no-untyped-def]
        yield
        store.close()

    async def fault(request: Request) -> Response:
        return await _fault_route(request, credentials.fault_token, switch)

    api = [*_table_routes(service), *_file_routes(service), *_other_routes(service, batch, staging)]
    routes = [
        Route("/tieout/fault", fault, methods=["GET", "POST"]),
        Route("/tieout/health", _health),
        Route("/oauth_token.do", sign_in.token, methods=["POST"]),
        *api,
    ]
    batch.inner = Starlette(routes=api)
    middleware = Middleware(FaultMiddleware, switch=switch, clock=clock, requests_per_hour=requests_per_hour)
    app = Starlette(routes=routes, middleware=[middleware], lifespan=lifespan)
    app.state.close = store.close  # for whoever runs the application without its lifespan
    return app


def _table_routes(service: Service) -> list[Route]:
    table, stats = TableApi(service), StatsApi(service)
    routes = []
    for prefix in _NOW:
        path = f"{prefix}/table/{{table}}"
        routes.append(Route(path, table.collection(prefix.endswith("/v1")), methods=VERBS))
        routes.append(Route(path + "/{sys_id}", table.single, methods=VERBS))
        routes.append(Route(f"{prefix}/stats/{{table}}", stats.handle, methods=["GET"]))
    return routes


def _file_routes(service: Service) -> list[Route]:
    files = AttachmentApi(service)
    routes = []
    for prefix in _NOW:
        path = f"{prefix}/attachment"
        routes.append(Route(path, files.listed, methods=["GET"]))
        routes.append(Route(path + "/file", files.file, methods=["POST"]))
        routes.append(Route(path + "/upload", files.upload, methods=["POST"]))
        routes.append(Route(path + "/{sys_id}", files.single, methods=VERBS))
        routes.append(Route(path + "/{sys_id}/file", files.content, methods=["GET"]))
    return routes


def _other_routes(service: Service, batch: BatchApi, staging: Mapping[str, str]) -> list[Route]:
    imports, events = ImportApi(service, staging), EventApi(service)

    async def tiny(request: Request) -> Response:
        async def shortened() -> Response:
            service.sign_in.actor(request)
            url = str((await body_of(request)).get("url") or "")
            if not url:
                raise Refusal(400, "Invalid url", 'send {"url": ...}')
            return JSONResponse({"result": service.tiny.shorten(url)})

        return await answered(request, shortened)

    async def unknown(request: Request) -> Response:
        async def refused() -> Response:
            service.sign_in.actor(request)
            raise Refusal(400, "Requested URI does not represent any resource", request.url.path)

        return await answered(request, refused)

    routes = [Route("/api/global/em/jsonv2", events.handle, methods=["POST"])]
    for prefix in _NOW:
        routes.append(Route(f"{prefix}/batch", batch.handle, methods=["POST"]))
        routes.append(Route(f"{prefix}/import/{{staging}}", imports.single, methods=["POST"]))
        routes.append(Route(f"{prefix}/import/{{staging}}/insertMultiple", imports.several, methods=["POST"]))
        routes.append(Route(f"{prefix}/tinyurl", tiny, methods=["POST"]))
    routes.append(Route("/api/{path:path}", unknown, methods=VERBS))
    return routes


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _fault_route(request: Request, token: str, switch: FaultSwitch) -> Response:
    given = request.headers.get("X-Tieout-Token", "")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        return error(Refusal(403, "Forbidden", "X-Tieout-Token is missing or wrong"))
    if request.method == "POST":
        try:
            switch.set(FaultOrder.model_validate_json(await request.body()))
        except ValidationError as problem:
            return error(Refusal(400, "Invalid fault", str(problem)))
    return JSONResponse({"mode": switch.order.mode.value, "count": switch.order.count, "hits": switch.hits})
