"""/api/now/table: records listed, read, written and deleted."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerting.service import http
from alerting.service.http import Service, answered, body_of, flag, number, style
from alerting.service.query import MAX_CONDITIONS, parse, plain_filters
from alerting.service.records import Refusal, not_found
from alerting.service.sqltext import Sql
from alerting.service.tables import ServiceTable

# aiosnow writes a missing filter as the word; no field is called so.
_NO_FILTER = frozenset({"", "None"})


class TableApi:
    """The handlers of /api/now/table."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collection(self, empty_is_404: bool) -> Callable[[Request], Awaitable[Response]]:
        """The handler of a table's address; version 1 answers 404 to a list with no rows."""

        async def handle(request: Request) -> Response:
            return await answered(request, lambda: self._collection(request, empty_is_404))

        return handle

    async def single(self, request: Request) -> Response:
        """The handler of one record's address."""
        return await answered(request, lambda: self._single(request))

    async def _collection(self, request: Request, empty_is_404: bool) -> Response:
        here = self._service
        actor, table = here.sign_in.actor(request), http.table_of(here, request.path_params["table"])
        verb = http.verb(request)
        if verb in ("GET", "HEAD"):
            return self._list(request, table, empty_is_404)
        if verb != "POST":
            raise Refusal(405, "Method not supported", f"{verb} needs a record: /table/{table.name}/{{sys_id}}")
        by_display = flag(request, "sysparm_input_display_value")
        record = here.records.create(table, await body_of(request), actor, by_display)
        location = f"{http.base_url(request)}/api/now/table/{table.name}/{record['sys_id']}"
        shown = here.presenter.show(table, record, style(request))
        return JSONResponse({"result": shown}, 201, {"Location": location})

    async def _single(self, request: Request) -> Response:
        here = self._service
        actor, table = here.sign_in.actor(request), http.table_of(here, request.path_params["table"])
        verb, sys_id = http.verb(request), request.path_params["sys_id"].lower()
        here.records.read(table)
        if verb == "DELETE":
            here.records.remove(table, sys_id)
            return Response(status_code=204)
        if verb in ("PATCH", "PUT"):
            by_display = flag(request, "sysparm_input_display_value")
            record = here.records.change(table, sys_id, await body_of(request), actor, by_display)
        elif verb in ("GET", "HEAD"):
            found = here.store.get(table, sys_id)
            if found is None:
                raise not_found()
            record = found
        else:
            raise Refusal(405, "Method not supported", f"{verb} is not for a single record")
        return JSONResponse({"result": here.presenter.show(table, record, style(request))})

    def _list(self, request: Request, table: ServiceTable, empty_is_404: bool) -> Response:
        here = self._service
        here.records.read(table)
        where, order = condition(here, request, table)
        limit = number(request, "sysparm_limit", http.DEFAULT_LIMIT)
        offset = number(request, "sysparm_offset", 0)
        counted = not flag(request, "sysparm_no_count")
        rows = here.store.select(table, where, order, limit, offset)
        if not rows and empty_is_404:
            raise not_found()
        headers = {}
        if counted:
            total = here.store.count(table, where)
            headers["X-Total-Count"] = str(total)
            if not flag(request, "sysparm_suppress_pagination_header") and len(str(request.url)) <= http.MAX_LINK_URL:
                headers["Link"] = http.links(request, total, limit, offset)
        shape = style(request)
        return JSONResponse({"result": [here.presenter.show(table, row, shape) for row in rows]}, 200, headers)


def condition(service: Service, request: Request, table: ServiceTable) -> tuple[Sql, str]:
    """WHERE and ORDER BY of a request: sysparm_query, else plain parameters; sysparm_tiny stands for both.

    Raises Refusal 400 for a query that is too long or, on a strict service, not understood.
    """
    pairs: Sequence[tuple[str, str]] = request.query_params.multi_items()
    tiny = request.query_params.get("sysparm_tiny")
    if tiny is not None:
        kept = service.tiny.parameters(tiny)
        if kept is None:
            raise Refusal(400, "Invalid tiny URL", f"nothing is kept under {tiny!r}")
        pairs = kept
    text = next((value for name, value in pairs if name == "sysparm_query"), None)
    if text is None:
        plain = [(name, value) for name, value in pairs if not name.startswith("sysparm_")]
        return plain_filters(table, plain[:MAX_CONDITIONS]), "t.rowid"
    query = parse(table, "" if text in _NO_FILTER else text, service.asked_by(request))
    if query.conditions > MAX_CONDITIONS:
        raise Refusal(400, "Query too long", f"{query.conditions} conditions; the limit is {MAX_CONDITIONS}")
    if query.ignored and service.strict:
        raise Refusal(400, "Invalid query detected", f"not understood: {', '.join(query.ignored)}")
    return query.where, query.order
