"""The SageMaker container contract as an ASGI app: GET /ping and POST /invocations over one scorer."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from anomaly.port import Scorer
from anomaly.wire import JSON, BadRequest, UnsupportedType, read_request, write_answer
from domain.errors import PermanentError, TransientError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# The service refuses larger bodies before they reach a container (botocore's limit for InvokeEndpoint).
BODY_LIMIT_BYTES = 6 * 1024 * 1024
_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"


class _TooLarge(Exception):
    """The body passed the limit."""


class ScoringApp:
    """ASGI application; answers 200 on /ping once it exists, so build it with a warm scorer."""

    def __init__(self, scorer: Scorer, body_limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._scorer = scorer
        self._body_limit_bytes = body_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP exchange, or the lifespan handshake."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        status, kind, body = await self._answer(scope["method"], scope["path"], headers, receive)
        extra = [(_ATTRIBUTES, headers[_ATTRIBUTES])] if _ATTRIBUTES in headers else []
        length = (b"content-length", str(len(body)).encode())
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", kind.encode()), length, *extra],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, method: str, path: str, headers: MutableMapping[bytes, bytes], receive: Receive
    ) -> tuple[int, str, bytes]:
        allowed = {"/ping": "GET", "/invocations": "POST"}.get(path)
        if allowed is None:
            return _error(404, f"no such path {path}")
        if method != allowed:
            return _error(405, f"{path} takes {allowed}")
        if path == "/ping":
            return 200, JSON, b"{}"
        try:
            body = await self._body(headers, receive)
            rows = read_request(headers.get(b"content-type", b"").decode("latin-1"), body)
            # In a thread: /ping must answer while a large batch is scored.
            scored = await asyncio.to_thread(self._scorer.score, rows)
            kind, answer = write_answer(headers.get(b"accept", b"").decode("latin-1"), scored)
        except _TooLarge:
            return _error(413, f"the body is larger than {self._body_limit_bytes} bytes")
        except BadRequest as error:
            return _error(400, str(error))
        except UnsupportedType as error:
            return _error(415, str(error))
        except TransientError as error:
            return _error(503, str(error))
        except PermanentError as error:
            return _error(500, str(error))
        return 200, kind, answer

    async def _body(self, headers: MutableMapping[bytes, bytes], receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"0")
        too_large = declared.isdigit() and int(declared) > self._body_limit_bytes
        body = bytearray()
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise BadRequest("the caller went away")
            too_large = too_large or len(body) + len(event.get("body", b"")) > self._body_limit_bytes
            if not too_large:  # the rest is read and dropped, so that the caller gets the answer
                body += event.get("body", b"")
            more = event.get("more_body", False)
        if too_large:
            raise _TooLarge
        return bytes(body)


def _error(status: int, text: str) -> tuple[int, str, bytes]:
    return status, JSON, json.dumps({"error": text}).encode()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
