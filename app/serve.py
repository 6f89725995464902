"""`tieout serve`: the supervisor in the foreground until Ctrl-C."""

import sys
import threading
from pathlib import Path

from app.paths import DataDir
from app.settings import SettingsError, check_sources, load
from app.supervise import Supervisor, stop_on_signals
from domain.clock import SystemClock

READY_TIMEOUT_SECONDS = 60.0


def run_service(config: Path) -> int:
    """Start the processes, say where things are once they are ready, and watch them; returns the exit status."""
    settings = load(config)
    if not settings.feeds:
        raise SettingsError(f"{config}: feeds: none configured, so nobody could log on")
    check_sources(settings, config)
    clock = SystemClock()
    stop = threading.Event()
    stop_on_signals(stop)
    supervisor = Supervisor(settings, config, clock)
    supervisor.start()
    threading.Thread(target=_announce, args=(supervisor, stop), daemon=True).start()
    try:
        return supervisor.run(stop)
    finally:
        supervisor.stop()


def _announce(supervisor: Supervisor, stop: threading.Event) -> None:
    deadline = supervisor.clock.monotonic() + READY_TIMEOUT_SECONDS
    while not stop.wait(0.1) and supervisor.clock.monotonic() < deadline:
        ready = supervisor.ready()
        if ready is not None:
            sys.stderr.write(describe(ready, supervisor.settings.data_dir))
            return


def describe(ready: dict[str, object], data_dir: Path) -> str:
    """Where the service listens, for a person."""
    worker, acceptor = ready["worker"], ready["acceptor"]
    assert isinstance(worker, dict) and isinstance(acceptor, dict)
    return (
        f"tieout: FIX acceptor on {acceptor['host']}:{acceptor['port']}, "
        f"console at http://{worker['host']}:{worker['port']}, token in {DataDir(data_dir).service}\n"
    )
