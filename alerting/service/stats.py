"""/api/now/stats: counts, sums, averages, least and greatest values, grouped or not."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerting.service import http
from alerting.service.http import Service, answered, flag
from alerting.service.query import expression
from alerting.service.records import Refusal
from alerting.service.sqltext import Sql
from alerting.service.table_api import condition
from alerting.service.tables import Kind, ServiceTable

_FUNCTIONS = ("avg", "sum", "min", "max")
# sysparm_having as documented: aggregate^field^operator^value
_HAVING = re.compile(r"(count|avg|sum|min|max)\^([a-z_0-9.]*)\^(=|!=|>|>=|<|<=)\^(-?\d+(?:\.\d+)?)")


class StatsApi:
    """The handler of /api/now/stats/{table}."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, request: Request) -> Response:
        """`result.stats`, or a list of `{stats, groupby_fields}` with sysparm_group_by; numbers are text."""
        return await answered(request, lambda: self._stats(request))

    async def _stats(self, request: Request) -> Response:
        here = self._service
        here.sign_in.actor(request)
        table = http.table_of(here, request.path_params["table"])
        here.records.read(table)
        where, _ = condition(here, request, table)
        wanted = self._wanted(request, table)
        groups = [name.strip() for name in request.query_params.get("sysparm_group_by", "").split(",") if name.strip()]
        by = [self._sql(table, name) for name in groups]
        having = self._having(request, table)
        if not wanted and not groups:  # nothing was asked for
            return JSONResponse({"result": {"stats": {}}})
        ordering = _ordered(request, groups, by)
        rows = here.store.aggregate(table, [sql for _, _, sql in wanted], by, where, having, ordering)
        shown = [self._shown(row, wanted, groups, request, table) for row in rows]
        if groups:
            return JSONResponse({"result": shown})
        return JSONResponse({"result": shown[0] if shown else {"stats": {}}})

    def _wanted(self, request: Request, table: ServiceTable) -> list[tuple[str, str, str]]:
        """(function, field, SQL) of every value asked for."""
        found = [("count", "", "count(*)")] if flag(request, "sysparm_count") else []
        for function in _FUNCTIONS:
            for name in request.query_params.get(f"sysparm_{function}_fields", "").split(","):
                if name.strip():
                    sql = self._sql(table, name.strip())
                    numeric = function in ("avg", "sum") or self._kind(table, name.strip()) is Kind.NUMBER
                    argument = f"CAST(NULLIF({sql}, '') AS NUMERIC)" if numeric else f"NULLIF({sql}, '')"
                    found.append((function, name.strip(), f"{function}({argument})"))
        return found

    def _sql(self, table: ServiceTable, name: str) -> str:
        target = expression(table, name)
        if target is None:
            raise Refusal(400, "Invalid field", f"{name!r} is not a field of {table.name}")
        return target[0]

    def _kind(self, table: ServiceTable, name: str) -> Kind:
        target = expression(table, name)
        return target[1].kind if target else Kind.TEXT

    def _having(self, request: Request, table: ServiceTable) -> Sql | None:
        text = request.query_params.get("sysparm_having", "")
        if not text:
            return None
        found = _HAVING.fullmatch(text)
        if found is None:
            raise Refusal(400, "Invalid having", "aggregate^field^operator^value, as in count^state^>^2")
        function, name, sign, value = found.groups()
        argument = "*" if function == "count" else f"CAST(NULLIF({self._sql(table, name)}, '') AS NUMERIC)"
        return Sql(f"{function}({argument}) {sign} CAST(? AS NUMERIC)", (value,))

    def _shown(
        self, row: tuple[Any, ...], wanted: list[tuple[str, str, str]], groups: list[str], request: Request,
        table: ServiceTable,
    ) -> dict[str, Any]:  # fmt: skip
        stats: dict[str, Any] = {}
        for value, (function, name, _) in zip(row[len(groups) :], wanted, strict=True):
            text = _number(value)
            if function == "count":
                stats["count"] = text
            else:
                stats.setdefault(function, {})[name] = text
        if not groups:
            return {"stats": stats}
        display = request.query_params.get("sysparm_display_value", "false").lower()
        fields = []
        for name, value in zip(groups, row, strict=False):
            label = self._service.presenter.label(table, name, str(value))
            field = {"field": name, "value": label if display == "true" else str(value)}
            fields.append(field | ({"display_value": label} if display == "all" else {}))
        return {"stats": stats, "groupby_fields": fields}


def _ordered(request: Request, groups: list[str], by: list[str]) -> str:
    """ORDER BY: sysparm_order_by over the groups or COUNT, `DESC` as a suffix after a caret; else by group."""
    parts = []
    for word in request.query_params.get("sysparm_order_by", "").split(","):
        name, _, direction = word.strip().partition("^")
        suffix = " DESC" if direction.upper() == "DESC" else ""
        if name.upper() == "COUNT":
            parts.append("count(*)" + suffix)
        elif name in groups:
            parts.append(by[groups.index(name)] + suffix)
    return ", ".join([*parts, *by])


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) and not value.is_integer() else str(value).removesuffix(".0")
