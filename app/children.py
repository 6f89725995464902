"""Child processes of the service: `python -m app.children ROLE --config FILE --parent-fd N`.

Each loads its own role's code alone: the acceptor is back in a third of the time when it need not load the worker's.
"""

import argparse
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

from app import logs
from app.settings import SettingsError, load
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError

ROLES = ("acceptor", "worker", "forwarder")


def main(arguments: list[str] | None = None) -> int:
    """Run one role until the parent dies or asks to stop; 2 means it cannot work, 1 that it may when tried again."""
    parser = argparse.ArgumentParser(prog="app.children")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    options = parser.parse_args(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_watch_parent, args=(options.parent_fd, stop), daemon=True).start()
    logs.configure(options.role)
    run = getattr(import_module(f"app.run_{options.role}"), f"run_{options.role}_child")
    try:
        run(load(options.config), SystemClock(), stop)
    except (SettingsError, PermanentError) as error:
        sys.stderr.write(f"tieout {options.role}: {error}\n")
        return 2
    except TransientError as error:
        sys.stderr.write(f"tieout {options.role}: {error}; trying again\n")
        return 1
    return 0


def _watch_parent(descriptor: int, stop: threading.Event) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    finally:
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
