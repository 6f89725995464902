"""Supervisor: starts the service's processes, restarts one that dies, ends them all together."""

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.files import read_json, write_json
from app.paths import DataDir
from app.settings import Settings, SettingsError, child_environment
from domain.clock import Clock

RESTARTS_MAX = 20
RESTART_PAUSE_SECONDS = 0.5
SETTLED_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 15.0


@dataclass(slots=True)
class _Child:
    role: str
    process: subprocess.Popen[bytes] | None = None
    pipe: int = -1
    restarts: int = 0
    started: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Runs `acceptor`, `worker` and, for remote streams, `forwarder`, each as a process of its own.

    A child watches the read end of a pipe: when this process dies in whatever way, the pipe closes and the child ends.
    """

    settings: Settings
    config: Path
    clock: Clock
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    _children: list[_Child] = field(default_factory=list)
    _lock: int = -1

    @property
    def roles(self) -> Sequence[str]:
        """Process roles this configuration needs."""
        remote = self.settings.address("stream").scheme != "segment"
        return ("acceptor", "worker", "forwarder") if remote else ("acceptor", "worker")

    def start(self) -> None:
        """Write service.json with a fresh token and start every child.

        Raises SettingsError when another service holds the data directory.
        """
        data = DataDir(self.settings.data_dir).create()
        self._lock = hold(data)
        for stale in data.ready.iterdir():
            stale.unlink()
        write_json(data.service, {"pid": os.getpid(), "token": secrets.token_urlsafe(32)})
        self._children = [_Child(role) for role in self.roles]
        for child in self._children:
            self._spawn(child)

    def run(self, stop: threading.Event) -> int:
        """Watch the children until `stop` is set or one cannot be kept alive; returns the exit status."""
        while not stop.wait(0.1):
            for child in self._children:
                process = child.process
                if process is None or process.poll() is None:
                    continue
                if process.returncode == 2 or child.restarts >= RESTARTS_MAX:
                    return process.returncode or 1
                # Only deaths in quick succession count: a process that ran a while is given its chances again.
                lived_seconds = self.clock.monotonic() - child.started
                child.restarts = 1 if lived_seconds > SETTLED_SECONDS else child.restarts + 1
                self.clock.sleep(RESTART_PAUSE_SECONDS)
                self._spawn(child)
        return 0

    def stop(self) -> None:
        """Ask every child to finish, wait a bounded time, then end what is left by pid."""
        for child in self._children:
            self._close_pipe(child)
        deadline = self.clock.monotonic() + STOP_TIMEOUT_SECONDS
        for child in self._children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - self.clock.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        if self._lock >= 0:
            DataDir(self.settings.data_dir).service.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def pids(self) -> dict[str, int]:
        """Process ids by role."""
        return {child.role: child.process.pid for child in self._children if child.process is not None}

    def ready(self) -> dict[str, object] | None:
        """What the children published, by role, once all of them are ready; else None."""
        data = DataDir(self.settings.data_dir)
        found = {role: read_json(data.ready / f"{role}.json") for role in self.roles}
        pids = self.pids()
        fresh = all(value is not None and value.get("pid") == pids.get(role) for role, value in found.items())
        return found if fresh else None

    def _spawn(self, child: _Child) -> None:
        self._close_pipe(child)
        read_end, write_end = os.pipe()
        child.pipe, child.started = write_end, self.clock.monotonic()
        command = [sys.executable, "-m", "app.children", child.role, "--config", str(self.config)]
        output = self.log.open("ab") if self.log else None
        try:
            child.process = subprocess.Popen(
                [*command, "--parent-fd", str(read_end)],
                pass_fds=(read_end,),
                env=child_environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=False,
            )
        finally:
            os.close(read_end)
            if output is not None:
                output.close()

    def _close_pipe(self, child: _Child) -> None:
        if child.pipe >= 0:
            os.close(child.pipe)
            child.pipe = -1


def hold(data: DataDir) -> int:
    """Lock the installation for this process; the descriptor releases it when closed, also by a crash.

    Raises SettingsError when another service holds it.
    """
    descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        pid = (read_json(data.service) or {}).get("pid", "unknown")
        raise SettingsError(f"data_dir: {data.root} is in use by the service with process id {pid}") from None
    return descriptor


def stop_on_signals(stop: threading.Event) -> None:
    """SIGINT and SIGTERM set `stop`; a second one ends the process at once."""

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
