"""What several services share outside their machines: a Snowflake account, AWS, and a ticket system over https."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from app.emulate import EmulateOptions, start
from domain.clock import SystemClock
from tests.warehouse.fake_snowflake import fake_account

# Snowflake rolls a transaction back that others wait for once nothing was heard of it for five minutes.
SILENT_SECONDS = 1.5
_WRITES = ("begin", "insert", "update", "delete", "copy", "merge", "create", "alter", "drop")
_ENDS = ("commit", "rollback")


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object, **__: object) -> None:
        """Nobody reads a line for each call."""


class OneAtATime:
    """moto answers one call at a time: its own records are not guarded against two at once, AWS's are."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app, self._lock = app, threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            return [b"".join(self._app(environ, start_response))]


@contextlib.contextmanager
def aws() -> Iterator[dict[str, str]]:
    """A moto server on loopback; the environment that leads AWS clients to it."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
    finally:
        server.shutdown()
        thread.join(5)


class Locks:
    """Snowflake's locks, coarse: one session writes at a time, others wait for the end of its transaction.

    A transaction nothing is heard of while others wait is rolled back, as the account does with one whose client died;
    what its session says later in that transaction is an error.
    """

    def __init__(self, silent_seconds: float) -> None:
        self._silent = silent_seconds
        self._changed = threading.Condition()
        self._owner: Any = None
        self._heard = 0.0
        self._busy = False
        self._gone: set[int] = set()
        self.rolled_back = 0

    def run(self, conn: Any, verb: str, what: Callable[[], Any]) -> Any:
        """`what` under the session's lock where it has or needs one."""
        if id(conn) in self._gone:
            self._gone.discard(id(conn))
            if verb not in _ENDS or verb == "commit":
                self._refuse()
        if self._owner is not conn and verb not in _WRITES:
            return what()
        with self._changed:
            while self._owner not in (None, conn):
                left = self._heard + self._silent - time.monotonic()
                if left <= 0 and not self._busy:
                    self._roll_back()
                else:
                    self._changed.wait(max(left, 0.05))
            alone = self._owner is None and verb != "begin"
            self._owner, self._busy = conn, True
        try:
            return what()
        finally:
            with self._changed:
                self._busy, self._heard = False, time.monotonic()
                if alone or verb in _ENDS:
                    self._owner = None
                self._changed.notify_all()

    def _roll_back(self) -> None:
        self._owner._duck_conn.execute("ROLLBACK")
        self._gone.add(id(self._owner))
        self._owner, self.rolled_back = None, self.rolled_back + 1

    def _refuse(self) -> None:
        from snowflake.connector.errors import ProgrammingError

        raise ProgrammingError(msg="Transaction was aborted", errno=90_073, sqlstate="57014")


@contextlib.contextmanager
def snowflake(silent_seconds: float = SILENT_SECONDS) -> Iterator[tuple[dict[str, Any], Locks]]:
    """A Snowflake account with locks between its sessions."""
    with fake_account() as account:
        from fakesnow.cursor import FakeSnowflakeCursor

        locks, true = Locks(silent_seconds), FakeSnowflakeCursor.execute

        def execute(cursor: Any, command: str, *given: Any, **more: Any) -> Any:
            verb = (command.split(None, 1) or [""])[0].lower().rstrip(";")
            return locks.run(cursor._conn, verb, lambda: true(cursor, command, *given, **more))

        with mock.patch.object(FakeSnowflakeCursor, "execute", execute):
            yield account, locks


@dataclass(frozen=True, slots=True)
class Outside:
    """Addresses of what is shared, as settings name them, and the environment that goes with them."""

    settings: dict[str, Any]
    environment: dict[str, str]
    locks: Locks
    account: dict[str, Any]


@contextlib.contextmanager
def outside(root: Path, name: str) -> Iterator[Outside]:
    """A warehouse schema, a stream, a ledger and a ticket system called `name`, none of them on a service's machine."""
    pytest.importorskip("moto.server", reason="moto is not installed: no AWS to test with")
    stop = threading.Event()
    with snowflake() as (account, locks), aws() as environment:
        url, password, certificate = start(
            EmulateOptions(tls=True, db=root / "tickets.sqlite"), root / "tls", SystemClock(), stop
        )
        place = f"host={account['host']}&port={account['port']}&protocol=http"
        settings = {
            "profile": "local-aws",
            "warehouse": f"snowflake://fake/{name}/PUBLIC?{place}",
            "snowflake": {"user": "tester", "oauth_token": "t", "network_timeout_seconds": 20},
            "stream": f"kinesis://{name.lower()}?shards=2",
            "ledger": "dynamodb://tieout",
            "tickets": url.replace("https://", "servicenow://"),
            "ticketing": {"username": "tieout", "password": password, "auth": {"ca": str(certificate)}},
        }
        try:
            yield Outside(settings, environment, locks, account)
        finally:
            stop.set()
