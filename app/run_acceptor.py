"""The acceptor process: FIX sessions in, segment log out."""

import asyncio
import os
import threading
from collections.abc import Callable

from app.files import write_json
from app.paths import DataDir
from app.settings import Settings, SettingsError
from domain.clock import Clock
from domain.errors import TransientError
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.state import SessionConfig

BIND_ATTEMPTS = 50
BIND_PAUSE_SECONDS = 0.2
_MEGABYTE = 1024 * 1024


def acceptor_config(settings: Settings) -> AcceptorConfig:
    """The acceptor's configuration: one session per feed that names one."""
    data = DataDir(settings.data_dir)
    limits = settings.acceptor
    sessions = tuple(
        SessionConfig(
            sender=feed.session.sender_comp_id,
            target=feed.session.target_comp_id,
            heartbeat_min_seconds=limits.heartbeat_min_seconds,
            heartbeat_max_seconds=limits.heartbeat_max_seconds,
            max_message_bytes=limits.max_message_bytes,
        )
        for feed in settings.feeds
        if feed.session is not None
    )
    return AcceptorConfig(
        host=limits.host,
        port=limits.port,
        log_directory=data.raw,
        state_directory=data.sessions,
        sessions=sessions,
        min_free_bytes=limits.disk_watermark_mb * _MEGABYTE,
    )


def run_acceptor_child(settings: Settings, clock: Clock, stop: threading.Event) -> None:
    """Accept until `stop`; a predecessor that still holds the port or the log is waited for, a bounded time."""
    data = DataDir(settings.data_dir).create()
    config = acceptor_config(settings)

    def ready(port: int) -> None:
        write_json(data.ready / "acceptor.json", {"pid": os.getpid(), "host": config.host, "port": port})

    for attempt in range(1, BIND_ATTEMPTS + 1):
        try:
            asyncio.run(_until(config, clock, stop, ready))
            return
        except (OSError, TransientError) as error:
            if stop.is_set():
                return
            if attempt == BIND_ATTEMPTS:
                raise SettingsError(f"acceptor.port: cannot listen on {config.host}:{config.port}: {error}") from None
            clock.sleep(BIND_PAUSE_SECONDS)


async def _until(config: AcceptorConfig, clock: Clock, stop: threading.Event, ready: Callable[[int], None]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        stop.wait()
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    await run_acceptor(config, clock, ended, ready)
