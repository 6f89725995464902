"""The worker process: engine, warehouse, tickets, API and console; the only one that opens the warehouse."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from anomaly.model import InProcessScorer
from app.aftermath import Aftermath
from app.all_matched import AllMatched
from app.api import routes
from app.api_audit import audit_routes, break_routes
from app.as_known_verbs import prover_of
from app.aws_credentials import ACCESS_KEY, write_credentials
from app.backup_verbs import backup_routes
from app.bookkeeping import Bookkeeper
from app.decisions import Decisions
from app.dictionaries import DictionaryProblem, Names, names_in
from app.disk_watch import DiskWatch
from app.feeds_status import FeedsStatus
from app.file_poller import FilePoller
from app.file_status import FileMetrics
from app.files import read_json, write_json
from app.housekeeping import Housekeeping
from app.installation import Installation, console_url, open_installation
from app.metrics import Metrics
from app.mirror import Mirror
from app.notifier import open_notifier
from app.paths import DataDir
from app.proof_timer import NightlyProof
from app.reference_watch import ReferenceWatch
from app.room_metrics import RoomMetrics
from app.rules_api import rules_routes
from app.session_watch import SessionWatch
from app.settings import Settings, SettingsError
from app.sources import Source
from app.table_poller import TablePoller
from app.ticket_metrics import TicketMetrics
from app.ticket_sync import TicketSync
from app.ticket_verbs import ticket_routes
from app.users import Users
from app.worker import Worker
from console.app import create_console
from console.explain import explain_break
from console.ports import ConsoleDeps
from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from matching.engine import match
from orchestrator.embedded import EmbeddedEngine
from orchestrator.graph import render
from orchestrator.service.api import beside, create_api
from orchestrator.service.operations import Operations
from orchestrator.service.sigv4 import Keys
from warehouse.compaction import compact
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

BIND_ATTEMPTS = 50
BIND_PAUSE_SECONDS = 0.2
ERROR_PAUSE_SECONDS = 1.0
# A proof that is cut off is made again the next time; what it holds is a copy.
PROOF_PATIENCE_SECONDS = 2.0

logger = logging.getLogger(__name__)


def run_worker_child(settings: Settings, clock: Clock, stop: threading.Event) -> None:
    """Serve and work until `stop`. Raises SettingsError for what cannot work, such as a port that stays taken."""
    data = DataDir(settings.data_dir).create()
    token = str((read_json(data.service) or {}).get("token", ""))
    if settings.address("warehouse").scheme == "duckdb":
        compact(Path(settings.address("warehouse").path or data.warehouse))
    with open_installation(settings, clock) as installation:
        threading.Thread(target=_warm, args=(installation,), name="warm-up", daemon=True).start()
        metrics = Metrics()
        bookkeeper = Bookkeeper(installation.warehouse, installation.engine, metrics, installation.auditor)
        traced = [installation.telemetry.ended] if installation.telemetry else []
        books = Aftermath([bookkeeper.book, *traced], bookkeeper.follow)
        worker = Worker(
            tenant=settings.tenant,
            stream=installation.stream,
            engine=installation.engine,
            ledger=installation.ledger,
            limits=settings.worker,
            clock=clock,
            due=installation.due,
            on_ended=books.ended,
            booked=lambda: books.idle,
            matched=installation.matched,
            leases=installation.leases,
        )
        mirror = Mirror(installation)
        tickets = TicketSync(installation)
        TicketMetrics(metrics.registry).follow(installation, tickets)
        files = FilePoller(installation)
        FileMetrics(installation, files).register(metrics.registry)
        metrics.registry.register(RoomMetrics(installation, metrics.registry))
        app = console_app(installation, worker, bookkeeper, mirror, token, tickets, files)
        listener = _listen(settings.console.host, settings.console.port, clock)
        served = engine_api(installation, token, app)
        server = uvicorn.Server(uvicorn.Config(served, log_config=None, access_log=False, timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="console", daemon=True)
        thread.start()
        host, port = listener.getsockname()[:2]
        write_json(data.ready / "worker.json", {"pid": os.getpid(), "host": host, "port": port})
        nightly = NightlyProof(prover_of(installation), settings.proof, clock)
        chores = (Housekeeping(installation).run_if_due, _led(installation, nightly.start_if_due))
        sources = _sources(installation, files, clock)
        tickets.start()
        told = open_notifier(installation, console_url(settings))
        if told is not None:
            told.start()
        _work(worker, sources, chores, settings.worker.poll_ms / 1000, stop)
        worker.close()
        books.close()
        files.close()
        server.should_exit = True
        thread.join(5)
        nightly.wait(PROOF_PATIENCE_SECONDS)
        mirror.close()
        tickets.close()
        if told is not None:
            told.close()


def _sources(installation: Installation, files: FilePoller, clock: Clock) -> list[Callable[[], bool]]:
    looks = {
        "tables": _led(installation, TablePoller(installation).step),
        "sessions": SessionWatch(installation).step,
        "files": _led(installation, files.step),
        "reference data": _led(installation, ReferenceWatch(installation).step),
        "disk": DiskWatch(installation).step,
    }
    return [Source(name, look, clock).step for name, look in looks.items()]


def _led(installation: Installation, look: Callable[[], bool]) -> Callable[[], bool]:
    """What one of several workers does for all: nothing while another one leads."""

    def led() -> bool:
        with installation.leading() as leads:
            return leads and look()

    return led


def engine_api(installation: Installation, token: str, app: ASGIApp) -> ASGIApp:
    """Step Functions' API over the engine beside the console; callers sign as `tieout`, their secret is the token.

    Where the engine is Step Functions itself there is nothing to serve.
    """
    if not isinstance(installation.engine, EmbeddedEngine):
        return app
    write_credentials(installation.settings.data_dir, token)
    keys = Keys({ACCESS_KEY: token} if token else {})
    return beside(create_api(Operations(installation.engine, installation.clock), keys, installation.clock), app)


def console_app(
    installation: Installation, worker: Worker, bookkeeper: Bookkeeper, mirror: Mirror, token: str,
    tickets: TicketSync | None = None, files: FilePoller | None = None,
) -> FastAPI:  # fmt: skip
    """The console with the API routes of the command line on it."""
    settings = installation.settings
    names = _names(settings)
    deps = ConsoleDeps(
        warehouse=installation.warehouse,
        engine=installation.engine,
        definition=installation.engine.definition_of,
        graph=partial(_graph, installation),
        actions=Decisions(
            installation.warehouse, installation.clock, mirror.tell, settings.decisions, installation.playbooks
        ),
        playbooks=installation.playbooks,
        feeds_status=FeedsStatus(settings, installation.warehouse, installation.clock),
        token=token,
        clock=installation.clock,
        metrics=lambda: bookkeeper.text(worker.lag(), worker.late()),
        explain=lambda break_id: explain_break(installation.warehouse, break_id, names.tag, installation.originals.of),
        tenant=settings.tenant,
        actor="service",
        base_ccy=settings.base_currency,
        open_reads_on_loopback=settings.console.open_reads,
        token_hint=str(DataDir(settings.data_dir).service),
        people=Users(settings.users, installation.clock) if settings.users else None,
        open_as=settings.console.open_as,
        all_matched=AllMatched(installation.warehouse, installation.clock),
    )
    app = create_console(deps)
    decided = Decisions(installation.warehouse, installation.clock, lambda _id: None, settings.decisions)
    extra = (
        routes(installation, worker, files), audit_routes(installation), break_routes(installation),
        rules_routes(installation, decided), backup_routes(installation),
        ticket_routes(installation, tickets or TicketSync(installation)),
    )  # fmt: skip
    # Before the console's own, whose /api/{...} patterns would otherwise take some of these paths.
    app.router.routes[0:0] = [route for router in extra for route in router.routes]
    return app


def _names(settings: Settings) -> Names:
    """Names of tags; a damaged dictionary costs its names, not the service."""
    try:
        return names_in(settings.data_dir)
    except DictionaryProblem as problem:
        logger.warning("%s", problem)
        return Names()


def _warm(installation: Installation) -> None:
    """Compile the rules' SQL and train the model before the first batch needs them, on a warehouse of its own."""
    with contextlib.suppress(TransientError, PermanentError):
        scratch = DuckDbWarehouse(":memory:")
        migrate(scratch)
        match(scratch, execution="warm-up", as_of=1, rules=installation.rules)
        if isinstance(installation.scorer, InProcessScorer):
            installation.scorer.warm()
        scratch.close()
        installation.reference.warm()


def _graph(installation: Installation, definition: Any, statuses: Any, selected: str | None) -> str:
    return render(definition, statuses, selected, installation.engine.statistics())


def _work(
    worker: Worker,
    sources: Sequence[Callable[[], bool]],
    chores: Sequence[Callable[[], bool]],
    poll_seconds: float,
    stop: threading.Event,
) -> None:
    """Work until `stop`; when there is nothing to do, the first of the `chores` that is due is done."""
    while not stop.is_set():
        try:
            moved = worker.step()
            for look in sources:
                moved |= look()
        except TransientError as error:
            logger.warning("the worker waits: %s", error)
            stop.wait(ERROR_PAUSE_SECONDS)
            continue
        if not moved and not (worker.idle and any(chore() for chore in chores)):
            stop.wait(poll_seconds)


def _listen(host: str, port: int, clock: Clock) -> socket.socket:
    for attempt in range(1, BIND_ATTEMPTS + 1):
        # The protocol is named, else asyncio does not know it is TCP and leaves Nagle on: 40 ms an answer.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
            return listener
        except OSError as error:
            listener.close()
            if attempt == BIND_ATTEMPTS:
                raise SettingsError(f"console.port: cannot listen on {host}:{port}: {error.strerror}") from None
            clock.sleep(BIND_PAUSE_SECONDS)
    raise AssertionError("unreachable")
