"""Fault injection for tests and demonstrations: 503, 429, lost answers, slowness; switched by a protected route."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Mode(StrEnum):
    """What goes wrong with a request to the API."""

    OFF = "off"
    UNAVAILABLE = "503"
    RATE_LIMITED = "429"
    DROP_REPLY = "drop_reply"
    SLOW = "slow"


class FaultOrder(BaseModel):
    """Body of POST /tieout/fault. `count` requests are hit (null: until switched off), each with probability `rate`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    count: int | None = Field(default=None, ge=1)
    rate: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = 0
    seconds: float = Field(default=1.0, ge=0.0, le=60.0, description="for slow: delay before the answer")
    retry_after_seconds: int = Field(default=1, ge=0, le=3600)


@dataclass(slots=True)
class FaultSwitch:
    """The fault in force and how many requests it has hit."""

    order: FaultOrder
    random: random.Random
    hits: int = 0

    @classmethod
    def off(cls) -> "FaultSwitch":
        """A switch with no fault set."""
        return cls(FaultOrder(mode=Mode.OFF), random.Random(0))

    def set(self, order: FaultOrder) -> None:
        """Replace the fault in force and start counting anew."""
        self.order, self.random, self.hits = order, random.Random(order.seed), 0

    def draw(self) -> Mode:
        """The fault for the next request."""
        order = self.order
        if order.mode is Mode.OFF or (order.count is not None and self.hits >= order.count):
            return Mode.OFF
        if order.rate < 1.0 and self.random.random() >= order.rate:
            return Mode.OFF
        self.hits += 1
        return order.mode


class FaultMiddleware:
    """Applies the switch to requests under /api/; everything else passes untouched."""

    def __init__(self, app: ASGIApp, switch: FaultSwitch) -> None:
        self._app = app
        self._switch = switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        mode, order = self._switch.draw(), self._switch.order
        if mode is Mode.UNAVAILABLE:
            await _failure(503, "Service Unavailable", "The instance is under maintenance", order)(scope, receive, send)
        elif mode is Mode.RATE_LIMITED:
            await _failure(429, "Rate limit exceeded", "Rate limit of requests for Table API exceeded", order)(
                scope, receive, send
            )
        elif mode is Mode.DROP_REPLY:
            await self._app(scope, receive, _swallow)
            # A length that never comes makes the server cut the connection: the client sees a lost answer.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        else:
            if mode is Mode.SLOW:
                await asyncio.sleep(order.seconds)
            await self._app(scope, receive, send)


async def _swallow(message: Message) -> None:
    del message


def _failure(status: int, message: str, detail: str, order: FaultOrder) -> Callable[..., Awaitable[None]]:
    body = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return JSONResponse(body, status, {"Retry-After": str(order.retry_after_seconds)})
