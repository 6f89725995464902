"""The acceptor process: FIX sessions in, segment log out."""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping

from app.files import write_json
from app.paths import DataDir
from app.settings import Settings, SettingsError
from domain.clock import Clock
from domain.errors import TransientError
from ingest.feeds import Feed, SessionIdentity
from ingest.fix.dictionary import Dictionary
from ingest.fix.dictionary_file import imported_dictionaries
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.access import Access, client_context, server_context
from ingest.session.acknowledge import Acknowledger
from ingest.session.dialer import Dial
from ingest.session.state import Role, SessionConfig
from ingest.session.versions import VERSIONS

BIND_ATTEMPTS = 50
# How far SendingTime(52) may be off on a strict session, as the FIX session test cases have it.
STRICT_TIME_SECONDS = 120
BIND_PAUSE_SECONDS = 0.2
_MEGABYTE = 1024 * 1024


def acceptor_config(settings: Settings, clock: Clock) -> AcceptorConfig:
    """The acceptor's configuration: one session per feed that names one.

    Raises PermanentError for TLS files that cannot be used, ValueError for a damaged imported dictionary.
    """
    data = DataDir(settings.data_dir)
    limits = settings.acceptor
    feeds = settings.own_sessions()
    dictionaries = imported_dictionaries(data.dictionaries)
    tls = limits.tls
    return AcceptorConfig(
        host=limits.host,
        port=limits.port,
        log_directory=data.raw,
        state_directory=data.sessions,
        sessions=tuple(_session(settings, feed, session, dictionaries) for feed, session in feeds),
        min_free_bytes=limits.disk_watermark_mb * _MEGABYTE,
        machine_code=settings.jit,
        tls=server_context(tls.certificate, tls.key, tls.client_ca) if tls else None,
        access={
            session.name: Access(session.allow_from, session.client_certificate)
            for _, session in feeds
            if session.connect is None
        },
        dial={session.name: _dial(session) for _, session in feeds if session.connect is not None},
        respond={session.name: Acknowledger(clock) for _, session in feeds if session.acknowledge},
    )


def _session(
    settings: Settings, feed: Feed, session: SessionIdentity, dictionaries: Mapping[str, Dictionary]
) -> SessionConfig:
    limits, strict = settings.acceptor, session.validation == "strict"
    version = VERSIONS[session.version] if session.version else None
    tolerance = session.sending_time_seconds
    return SessionConfig(
        sender=session.sender_comp_id,
        target=session.target_comp_id,
        begin_string=version.begin_string if version else None,
        appl_ver_id=version.appl_ver_id if version else "",
        role=Role.INITIATOR if session.connect else Role.ACCEPTOR,
        heartbeat_min_seconds=limits.heartbeat_min_seconds,
        heartbeat_max_seconds=limits.heartbeat_max_seconds,
        heartbeat_seconds=session.heartbeat_seconds,
        max_message_bytes=limits.max_message_bytes,
        username=session.username,
        password=settings.password(feed),
        reset_on_logon=session.reset_on_logon,
        next_expected=session.next_expected,
        strict=strict,
        sending_time_seconds=tolerance if tolerance is not None else STRICT_TIME_SECONDS if strict else 0,
        dictionaries=dictionaries,
        schedule=session.hours.schedule if session.hours else None,
    )


def _dial(session: SessionIdentity) -> Dial:
    host, port = session.address
    if session.tls is None:
        return Dial(host, port)
    tls = session.tls
    return Dial(host, port, client_context(tls.ca, tls.certificate, tls.key), tls.server_name)


def run_acceptor_child(settings: Settings, clock: Clock, stop: threading.Event) -> None:
    """Accept until `stop`; a predecessor that still holds the port or the log is waited for, a bounded time."""
    data = DataDir(settings.data_dir).create()
    try:
        config = acceptor_config(settings, clock)
    except ValueError as error:
        raise SettingsError(str(error)) from None

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
