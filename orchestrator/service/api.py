"""The Step Functions-compatible HTTP API: AWS JSON 1.0 over the embedded engine as an ASGI application."""

import json
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from anyio import CapacityLimiter, to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from orchestrator.activities_desk import Given
from orchestrator.service import activities
from orchestrator.service import requests as asked
from orchestrator.service.later import Later, came
from orchestrator.service.operations import Operations, table
from orchestrator.service.refusal import Refusal, refused
from orchestrator.service.sigv4 import Call, Keys
from orchestrator.service.trials import Trials

TARGET = "AWSStepFunctions."
_TRIALS_AT_ONCE = 4
_MAX_BODY_BYTES = 2 * 1024 * 1024
_MEDIA_TYPE = "application/x-amz-json-1.0"
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

logger = logging.getLogger(__name__)


def create_api(operations: Operations, keys: Keys, clock: Clock) -> Starlette:
    """The application: one route, POST /, the operation in the header X-Amz-Target.

    Callers sign with one of `keys` (boto3 and the AWS CLI do) or send its secret as a bearer token.
    """
    trials = Trials(operations)
    known: dict[str, tuple[type[asked.Body], Callable[[Any], Any]]] = {
        **table(operations),
        **activities.table(activities.ActivityOperations(operations.engine)),
        "StartSyncExecution": (asked.StartExecution, trials.start_sync_execution),
        "TestState": (asked.TestState, trials.test_state),
    }

    def answer(call: Call) -> Any:
        keys.admit(call, clock.now_ns())
        target = call.headers.get("x-amz-target", "")
        if not target.startswith(TARGET) or target.removeprefix(TARGET) not in known:
            raise Refusal("UnknownOperationException", f"{target[:100] or 'no X-Amz-Target'}: no such operation here")
        shape, act = known[target.removeprefix(TARGET)]
        try:
            body = shape.model_validate(_parsed(call.body))
        except ValidationError as error:
            raise Refusal("ValidationException", _explained(error)) from None
        return act(body)

    trying = CapacityLimiter(_TRIALS_AT_ONCE)

    async def handle(request: Request) -> Response:
        number = str(uuid.uuid4())
        try:
            call = await _call(request)
            # A trial calls a function of the installation's; however long that takes, the others have their threads.
            own = trying if call.headers.get("x-amz-target") == f"{TARGET}TestState" else None
            body = await to_thread.run_sync(_told, answer, call, limiter=own)
            if isinstance(body, Future):
                body = await _polled(body, operations.poll_seconds, request)
            elif isinstance(body, Later):
                body = await run_in_threadpool(_told, body.told, await came(body))
        except Refusal as refusal:
            told = {"__type": refusal.code, "message": refusal.message}
            return _response(told, refusal.status, number, {"x-amzn-ErrorType": refusal.code})
        return _response(body, 200, number, {})

    return Starlette(routes=[Route("/", handle, methods=["POST"])])


def beside(api: ASGIApp, other: ASGIApp) -> ASGIApp:
    """Both under one address: calls that name an operation of Step Functions go to `api`, the rest to `other`."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        target = dict(scope.get("headers", ())).get(b"x-amz-target", b"") if scope["type"] == "http" else b""
        await (api if target.startswith(TARGET.encode()) else other)(scope, receive, send)

    return choose


async def _polled(poll: "Future[Given]", seconds: float, request: Request) -> dict[str, Any]:
    try:
        return await activities.polled(poll, seconds, request.is_disconnected)
    except PermanentError as error:
        raise refused(str(error)) from None
    except TransientError as error:
        raise Refusal("ServiceUnavailable", str(error), 503) from None


def _told(answer: Callable[[Any], Any], given: Any) -> Any:
    try:
        return answer(given)
    except PermanentError as error:
        raise refused(str(error)) from None
    except TransientError as error:
        raise Refusal("ServiceUnavailable", str(error), 503) from None
    except Refusal:
        raise
    except Exception:
        logger.exception("the engine's API failed")
        raise Refusal("InternalFailure", "the engine could not answer; its log says why", 500) from None


async def _call(request: Request) -> Call:
    host = request.headers.get("host", "").lower()
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    if name not in _LOOPBACK_HOSTS:
        raise Refusal("AccessDeniedException", "this service answers on loopback only", 403)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise Refusal("RequestEntityTooLargeException", f"more than {_MAX_BODY_BYTES:,} bytes", 413)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(request.method, request.url.path, request.url.query, headers, bytes(body))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal("SerializationException", "the body is not JSON") from None


def _explained(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False)
    told = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'the body'}: {item['msg']}" for item in found)
    return f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {told}"


def _response(body: dict[str, Any], status: int, number: str, headers: dict[str, str]) -> Response:
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(text, status, {"x-amzn-RequestId": number, **headers}, _MEDIA_TYPE)
