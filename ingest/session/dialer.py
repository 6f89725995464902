"""Sessions we dial: connect, log on, and again when the line is lost, inside the session's hours."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from domain.clock import Clock
from ingest.session.connection import Connection
from ingest.session.schedule import Schedule

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dial:
    """Where a session's counterparty listens, and the pauses between attempts in seconds.

    The pause doubles with every attempt that does not come to a Logon. With `tls` the connection is TLS and the
    certificate must be for `server_name`, or the host.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    connect_seconds: float = 10.0
    pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0


async def dial_for_ever(
    dial: Dial, name: str, connect: Callable[[], Connection], schedule: Schedule | None, clock: Clock
) -> None:
    """Keep the session connected until cancelled."""
    pause = dial.pause_seconds
    while True:
        if schedule is None or schedule.period(clock.now_ns()) is not None:
            connection = await _connection(dial, name, connect)
            if connection is not None:
                await connection.over.wait()
            pause = dial.pause_seconds if connection is not None and connection.logged_on else pause * 2
        else:
            pause = dial.pause_seconds
        pause = min(pause, dial.longest_pause_seconds)
        await asyncio.sleep(pause)


async def _connection(dial: Dial, name: str, connect: Callable[[], Connection]) -> Connection | None:
    loop = asyncio.get_running_loop()
    server_name = (dial.server_name or dial.host) if dial.tls is not None else None
    try:
        async with asyncio.timeout(dial.connect_seconds):
            _, connection = await loop.create_connection(
                connect, dial.host, dial.port, ssl=dial.tls, server_hostname=server_name
            )
    except (OSError, TimeoutError) as error:
        logger.warning("%s: cannot connect to %s:%d: %s", name, dial.host, dial.port, error or "no answer in time")
        return None
    return connection
