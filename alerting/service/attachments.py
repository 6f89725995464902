"""/api/now/attachment: files on records, their metadata in sys_attachment and their bytes beside it."""

import hashlib
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerting.service import http
from alerting.service.http import Service, answered, style
from alerting.service.multipart import parts
from alerting.service.records import Actor, Refusal, not_found
from alerting.service.store import Record
from alerting.service.table_api import condition

_MAX_FILE_BYTES = 25 * 1024 * 1024
_MAX_NAME = 100
_TABLE = "sys_attachment"


class AttachmentApi:
    """The handlers of /api/now/attachment."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def listed(self, request: Request) -> Response:
        """GET: metadata of files, by query."""
        return await answered(request, lambda: self._listed(request))

    async def file(self, request: Request) -> Response:
        """POST /file: the raw body is the file, its place is in the parameters."""
        return await answered(request, lambda: self._file(request))

    async def upload(self, request: Request) -> Response:
        """POST /upload: a multipart form with table_name, table_sys_id and one file."""
        return await answered(request, lambda: self._upload(request))

    async def single(self, request: Request) -> Response:
        """GET or DELETE of one file's metadata."""
        return await answered(request, lambda: self._single(request))

    async def content(self, request: Request) -> Response:
        """GET /{sys_id}/file: the bytes; a browser is told to save them, never to show them."""
        try:
            self._service.sign_in.actor(request)
            record = self._record(request)
        except Refusal as refusal:
            return http.error(refusal)
        shown = self._service.presenter.show(self._service.store.tables[_TABLE], record, style(request))
        headers = {
            "X-Attachment-Metadata": json.dumps(shown),
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
        }
        body = self._service.store.blob(record["sys_id"])
        return Response(body, media_type=record["content_type"] or "application/octet-stream", headers=headers)

    async def _listed(self, request: Request) -> Response:
        here = self._service
        here.sign_in.actor(request)
        table = here.store.tables[_TABLE]
        where, order = condition(here, request, table)
        total = here.store.count(table, where)
        limit = http.number(request, "sysparm_limit", http.DEFAULT_LIMIT)
        rows = here.store.select(table, where, order, limit, http.number(request, "sysparm_offset", 0))
        shown = [here.presenter.show(table, self._placed(request, row), style(request)) for row in rows]
        return JSONResponse({"result": shown}, 200, {"X-Total-Count": str(total)})

    async def _single(self, request: Request) -> Response:
        here = self._service
        here.sign_in.actor(request)
        table, record, verb = here.store.tables[_TABLE], self._record(request), http.verb(request)
        if verb == "DELETE":
            here.records.remove(table, record["sys_id"])
            here.store.drop_blob(record["sys_id"])
            return Response(status_code=204)
        if verb not in ("GET", "HEAD"):
            raise Refusal(405, "Method not supported", f"{verb} is not for an attachment")
        return JSONResponse({"result": here.presenter.show(table, self._placed(request, record), style(request))})

    async def _file(self, request: Request) -> Response:
        actor = self._service.sign_in.actor(request)
        given = request.query_params
        raw = await request.body()
        kind = request.headers.get("Content-Type", "")
        return self._stored(
            request, actor, given.get("table_name", ""), given.get("table_sys_id", ""), given.get("file_name", ""),
            kind, raw,
        )  # fmt: skip

    async def _upload(self, request: Request) -> Response:
        actor = self._service.sign_in.actor(request)
        found = parts(request.headers.get("Content-Type", ""), await request.body())
        files = [part for part in found if part.file_name]
        if not files:
            raise Refusal(400, "Required multipart content not present", "one part has to be the file")
        given = {part.name: part.text for part in found if not part.file_name}
        file = files[0]
        kind = file.kind or given.get("content_type", "")
        place = (given.get("table_name", ""), given.get("table_sys_id", ""), file.file_name)
        return self._stored(request, actor, *place, kind, file.content)

    def _stored(
        self, request: Request, actor: Actor, table_name: str, table_sys_id: str, name: str, kind: str, raw: bytes
    ) -> Response:
        here = self._service
        if not (table_name and table_sys_id and name) or len(name) > _MAX_NAME:
            raise Refusal(400, "Invalid attachment", "table_name, table_sys_id and file_name are required")
        if len(raw) > _MAX_FILE_BYTES:
            raise Refusal(413, "Request too large", f"The limit is {_MAX_FILE_BYTES} bytes")
        if here.store.get(http.table_of(here, table_name), table_sys_id.lower()) is None:
            raise not_found()
        body = {
            "table_name": table_name,
            "table_sys_id": table_sys_id.lower(),
            "file_name": name.replace("\r", " ").replace("\n", " "),
            "content_type": kind,
            "size_bytes": str(len(raw)),
            "hash": hashlib.sha256(raw).hexdigest(),
        }
        table = here.store.tables[_TABLE]
        record = here.records.create(table, body, actor)
        here.store.keep_blob(record["sys_id"], raw)
        # Some clients compare the address with this exact form.
        location = f"{http.base_url(request)}/api/now/v1/attachment/{record['sys_id']}"
        if "/v1/" in request.url.path:
            location += "/file"
        shown = here.presenter.show(table, self._placed(request, record), style(request))
        return JSONResponse({"result": shown}, 201, {"Location": location})

    def _record(self, request: Request) -> Record:
        found = self._service.store.get(self._service.store.tables[_TABLE], request.path_params["sys_id"].lower())
        if found is None:
            raise not_found()
        return found

    def _placed(self, request: Request, record: Record) -> Record:
        link = f"{http.base_url(request)}/api/now/attachment/{record['sys_id']}/file"
        return record | {"download_link": link}
