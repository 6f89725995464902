"""An answer that comes later: what it waits for holds no thread, so that other calls are answered meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Later:
    """An event, how long it is waited for, and what is told then: `told(whether it came in time)`."""

    event: "Future[None]"
    seconds: float
    told: Callable[[bool], Any]


async def came(later: Later) -> bool:
    """Whether the event came in time; it is not waited for any more."""
    # Cancelled with the time-out or the server's end, the future forgets this caller.
    done, _ = await asyncio.wait([answer := asyncio.wrap_future(later.event)], timeout=later.seconds)
    if not done:
        answer.cancel()
    return bool(done)
