"""A running service for the journeys: real processes on free ports in a folder of the test, ended by process id."""

import asyncio
import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import yaml

from app.client import ServiceClient, ServiceError, running
from app.demo_setup import prepare
from app.files import read_json
from app.paths import DataDir
from ingest.session.initiator import SenderLimits, SendReport, send_messages
from simulator.simulate import Flow
from simulator.truth import BreakTruth
from warehouse.duckdb import DuckDbWarehouse

COMMAND = (sys.executable, "-c", "from app.cli import main; main()")
ROOT = Path(__file__).parents[2]
TRADE_DATE = date(2026, 9, 18)
# Generous: a loaded machine takes half of it to start a service. What never happens still fails.
PATIENCE_SECONDS = 90.0
CHILDREN = ("acceptor", "worker")
# A sender that never gives up: the service may be gone for a while.
STUBBORN = SenderLimits(attempts=2_000, reconnect_seconds=0.1, logon_seconds=3.0, ask_again_seconds=0.5)


def tieout(*arguments: object, timeout: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    """One call of the command line."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS, pause: float = 0.05) -> Any:
    """The first true answer of `condition`; it is asked often, and the test fails when it never comes."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(pause)
    return answer


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def settings_file(root: Path, fills: int, seed: int, changes: Mapping[str, Any]) -> tuple[Flow, Path]:
    """A simulated day and its settings, with `changes` merged in (sections key by key)."""
    setup = prepare(root / "site", "embedded", TRADE_DATE, fills=fills, seed=seed, console_port=0, keep_files=False)
    edit(setup.config, changes)
    return setup.flow, setup.config


def edit(config: Path, changes: Mapping[str, Any]) -> None:
    """Change the settings file; the value of a section is merged, anything else replaced."""
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    for key, value in changes.items():
        settings[key] = {**settings.get(key, {}), **value} if isinstance(value, Mapping) else value
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


class Service:
    """`tieout serve` as a process group of its own."""

    def __init__(self, root: Path, fills: int = 200, seed: int = 7, **changes: Any) -> None:
        acceptor, console, tickets = free_ports(3)
        ports = {"acceptor": {"port": acceptor}, "console": {"port": console}, "ticketing": {"embedded_port": tickets}}
        for section, given in changes.items():
            merge = section in ports and isinstance(given, Mapping)
            ports[section] = {**ports[section], **given} if merge else given
        self.day, self.config = settings_file(root, fills, seed, ports)
        self.acceptor_port, self.tickets_port = acceptor, tickets
        self.address = f"http://127.0.0.1:{console}"
        self.data = DataDir(self.config.parent / "data")
        self.log = root / "service.log"
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def client(self) -> ServiceClient:
        """A client with the token of now."""
        found = running(self.data.root)
        assert found is not None, "no service runs"
        return found

    def start(self, ready: bool = True) -> None:
        """Start the processes and, unless told otherwise, wait until they answer."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", "--config", str(self.config)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        if ready:
            self.wait_ready()

    def stop(self) -> None:
        """Ask for the end and see to it that no process is left; the test fails when one had to be killed."""
        if self._process is None:
            return
        self._note()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        with contextlib.suppress(AssertionError):
            until(lambda: not any(map(_alive, self._seen)), "every process ends", 15)
        stubborn = [pid for pid in self._seen if _alive(pid)]
        for pid in stubborn:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        self._process, self._seen = None, set()
        assert not stubborn, f"processes {stubborn} did not end:\n{self.tail()}"

    def wait_ready(self, other_than: Iterable[int] = ()) -> dict[str, int]:
        """Wait until every child is ready (none of them with a pid of `other_than`); their pids."""
        gone = set(other_than)

        def ready() -> dict[str, int] | None:
            assert self._process is not None
            assert self._process.poll() is None, f"the service ended:\n{self.tail()}"
            now = self.pids()
            found = {role: (read_json(self.data.ready / f"{role}.json") or {}).get("pid") for role in CHILDREN}
            fresh = all(pid and pid == now.get(role) and pid not in gone for role, pid in found.items())
            return found if fresh and self._answers() else None

        try:
            found: dict[str, int] = until(ready, "the service is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None
        return found

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def pids(self) -> dict[str, int]:
        """The supervisor and the children it has now, ready or not."""
        assert self._process is not None
        found = {"supervisor": self._process.pid}
        tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        with contextlib.suppress(OSError):
            for pid in map(int, tasks.read_text().split()):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"app.children" in words:
                    found[words[words.index(b"app.children") + 1].decode()] = pid
        return found

    def kill(self, role: str) -> None:
        """SIGKILL one process, or all of them for `group`; what the supervisor does about it is its business."""
        assert self._process is not None
        pids = self._note()
        if role == "group":
            os.killpg(self._process.pid, signal.SIGKILL)
        elif role in pids:
            os.kill(pids[role], signal.SIGKILL)
        if role in ("group", "supervisor"):
            self._process.wait(10)

    def _note(self) -> dict[str, int]:
        pids = self.pids()
        self._seen |= set(pids.values())
        return pids

    def tail(self, lines: int = 12) -> str:
        """The end of the service's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # What a test does with it

    def push(
        self,
        streams: Mapping[str, Iterable[bytes]] | None = None,
        stores: Path | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> list[SendReport]:
        """Send every session's messages at once and return when all were taken."""
        chosen = streams if streams is not None else raw_streams(self.day)
        reports: list[SendReport] = []
        failures: list[BaseException] = []

        def one(session: str, messages: Iterable[bytes]) -> None:
            try:
                reports.append(asyncio.run(self.send(session, messages, stores)))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=item, daemon=True) for item in chosen.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds)
        assert not failures, failures
        assert not any(thread.is_alive() for thread in threads), f"a sender never finished:\n{self.tail()}"
        return reports

    async def send(self, session: str, messages: Iterable[bytes], stores: Path | None = None) -> SendReport:
        """One session's messages; with `stores` it survives whatever happens to the service meanwhile."""
        sender, target = session.split("->")
        store = stores / f"{sender}.store" if stores else None
        begin = begin_string(self.day, session)
        return await send_messages(
            "127.0.0.1", self.acceptor_port, sender, target, begin, messages,
            store_path=store, limits=STUBBORN if stores else None,
        )  # fmt: skip

    def settle(self) -> None:
        """Wait until everything accepted is reconciled."""
        until(self.idle, "everything accepted is reconciled", pause=0.15)

    def idle(self) -> bool:
        """Whether it answers, and everything accepted is reconciled."""
        with contextlib.suppress(ServiceError):
            return bool(self.client.get("/api/progress")["idle"])
        return False

    def end_of_input(self) -> dict[str, Any]:
        """The sweep that ends all grace; the tie-out after it."""
        self.settle()
        self.client.post("/api/sweep", {"as_of": "end"})
        self.settle()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """GET /api/summary."""
        found: dict[str, Any] = self.client.get("/api/summary")
        return found

    def breaks(self) -> list[dict[str, Any]]:
        """Every row of the queue."""
        rows: list[dict[str, Any]] = []
        while True:
            part = self.client.get("/api/breaks", offset=len(rows), limit=200)["rows"]
            rows += part
            if len(part) < 200:
                return rows

    def ticket_table(self, table: str = "incident", query: str = "") -> list[dict[str, Any]]:
        """Rows of the ticket service through its ServiceNow Table API."""
        password = read_json(self.data.root / "tickets.secret.json")["password"]
        secret = base64.b64encode(f"tieout:{password}".encode()).decode()
        answer = httpx.get(
            f"http://127.0.0.1:{self.tickets_port}/api/now/table/{table}",
            params={"sysparm_query": query} if query else {},
            headers={"Authorization": f"Basic {secret}", "Accept": "application/json"},
            trust_env=False,
            timeout=20,
        )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["result"]
        return found


def _alive(pid: int) -> bool:
    try:
        return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1]
    except OSError:
        return False


@contextlib.contextmanager
def stored(data: DataDir) -> Iterator[DuckDbWarehouse]:
    """The warehouse of a service that was stopped."""
    warehouse = DuckDbWarehouse(data.warehouse)
    try:
        yield warehouse
    finally:
        warehouse.close()


def raw_streams(day: Flow) -> dict[str, list[bytes]]:
    """The day's messages by session."""
    return {session: [raw for _, raw in stream] for session, stream in day.streams.items()}


def labels(day: Flow) -> list[BreakTruth]:
    """The breaks planted in the day."""
    return [row for row in day.truth if isinstance(row, BreakTruth)]


def spoiled(day: Flow) -> set[str]:
    """Ids of every record a planted break names, by whichever side."""
    return {member.uid for row in labels(day) for member in (*row.internal_ids, *row.external_ids)}


def begin_string(day: Flow, session: str) -> str:
    """The FIX version a session speaks."""
    return day.streams[session][0][1].split(b"\x01", 1)[0].removeprefix(b"8=").decode()


def count(rows: Sequence[Mapping[str, Any]], key: str) -> dict[Any, int]:
    """How often each value of `key` occurs."""
    found: dict[Any, int] = {}
    for row in rows:
        found[row[key]] = found.get(row[key], 0) + 1
    return found
