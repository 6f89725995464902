"""Child processes of the service: `python -m app.children ROLE --config FILE --parent-fd N`."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from app import logs
from app.run_acceptor import run_acceptor_child
from app.run_forwarder import run_forwarder_child
from app.run_worker import run_worker_child
from app.settings import SettingsError, load
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError

ROLES = {"acceptor": run_acceptor_child, "worker": run_worker_child, "forwarder": run_forwarder_child}


def main(arguments: list[str] | None = None) -> int:
    """Run one role until the parent dies or asks to stop; 2 means it cannot work, 1 that it may when tried again."""
    parser = argparse.ArgumentParser(prog="app.children")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    options = parser.parse_args(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_watch_parent, args=(options.parent_fd, stop), daemon=True).start()
    logs.configure(options.role)
    try:
        ROLES[options.role](load(options.config), SystemClock(), stop)
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
