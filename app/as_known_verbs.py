"""Verbs about states of the past and the proof: through the running service's API, else on the files."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from app.archive import originals
from app.as_known import AsKnown, Jobs, opened, told
from app.client import ServiceClient
from app.export import About, export
from app.paths import DataDir
from app.proof import Prover, newest_proof
from app.reconcile import parse_as_of
from app.reconcile_inputs import ReconcileError
from app.settings import Settings, SettingsError
from app.terms_kept import kept_terms
from app.verbs import VerbError, _either, settings_for
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from warehouse.duckdb import DuckDbWarehouse
from warehouse.sql import timestamp

if TYPE_CHECKING:
    from app.installation import Installation

Json = dict[str, Any]
ASK_SECONDS = 0.3


class AsKnownRequest(BaseModel):
    """A time, UTC nanoseconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_ns: int


def as_known_of(installation: "Installation") -> AsKnown:
    """States of the past of an installation."""
    settings = installation.settings
    return AsKnown(
        installation.warehouse, DataDir(settings.data_dir).as_known, installation.rules, settings.feeds,
        settings.tenant, installation.clock,
    )  # fmt: skip


def prover_of(installation: "Installation") -> Prover:
    """The prover of an installation."""
    settings = installation.settings
    return Prover(
        installation.warehouse, DataDir(settings.data_dir).as_known, installation.rules, settings.feeds,
        settings.tenant, installation.clock,
    )  # fmt: skip


def routes(installation: "Installation") -> APIRouter:
    """POST as-known and proof, asked again until `done`; GET proof, the last one; below /api."""
    router, jobs = APIRouter(), Jobs()
    states, prover = as_known_of(installation), prover_of(installation)

    @router.post("/as-known")
    def make(request: AsKnownRequest) -> Json:
        return jobs.ask(f"as known {request.at_ns}", lambda: {"file": str(states.file(request.at_ns))})

    @router.post("/proof")
    def prove() -> Json:
        return jobs.ask("proof", lambda: _proved(prover))

    @router.get("/proof")
    def last() -> Json:
        return {"proof": newest_proof(installation.warehouse)}

    return router


def _proved(prover: Prover) -> Json:
    proof = prover.run()
    return {"text": proof.text(), "differences": proof.differences}


def run_proof(config: Path | None) -> tuple[str, bool]:
    """Prove the derived tables; the outcome in words and whether it holds. Raises VerbError or SettingsError."""
    with _either(config) as (client, local):
        found = asked(client, "/api/proof", None) if client else _proved(prover_of(_there(local)))
    return str(found["text"]), not found["differences"]


@contextmanager
def state_at(text: str, config: Path | None) -> Iterator[tuple[Settings, DuckDbWarehouse, int]]:
    """The state as known at the time, opened to read, with the settings and the time (UTC ns).

    Raises VerbError or SettingsError, also for what goes wrong while it is read.
    """
    try:
        at_ns = parse_as_of(text, "--as-known-at")
    except ReconcileError as error:
        raise VerbError(str(error)) from None
    if at_ns is None:
        raise VerbError("--as-known-at is missing")
    settings = settings_for(config)
    with _either(config) as (client, local):
        if client is not None:
            file = Path(asked(client, "/api/as-known", {"at_ns": at_ns})["file"])
        else:
            file = as_known_of(_there(local)).file(at_ns)
    try:
        with opened(file, SystemClock()) as warehouse:
            yield settings, warehouse, at_ns
    except (PermanentError, TransientError) as error:
        raise VerbError(str(error)) from None


def status_at(text: str, config: Path | None) -> Json:
    """The tie-out as known at the time. Raises VerbError or SettingsError."""
    with state_at(text, config) as (settings, warehouse, at_ns):
        return _told(settings, warehouse, at_ns)


def export_at(text: str, out: Path, config: Path | None) -> Json:
    """Write the state as known at the time into a folder; returns its manifest. Raises VerbError or SettingsError."""
    with state_at(text, config) as (settings, warehouse, at_ns):
        from app.build import open_rules

        rules = kept_terms(warehouse, open_rules(settings), ()).last.rules
        about = About(
            tenant=settings.tenant, when=moment(at_ns), made_at=moment(SystemClock().now_ns()), rules=rules.name,
            rule_set_hash=rules.hash, version=metadata.version("tieout"),
            summary=_told(settings, warehouse, at_ns), originals=originals(settings),
        )  # fmt: skip
        return export(warehouse, out, about)


def serve_at(text: str, port: int, config: Path | None, stop: threading.Event) -> None:
    """Serve the console over the state as known at the time, on loopback, until `stop`."""
    import socket

    import uvicorn

    from app.as_known_console import past_console
    from app.dictionaries import names_in

    with state_at(text, config) as (settings, warehouse, at_ns):
        app, token = past_console(settings, warehouse, at_ns, moment(at_ns), names_in(settings.data_dir))
        with socket.create_server(("127.0.0.1", port)) as listener:
            host, bound = listener.getsockname()[:2]
            sys.stdout.write(f"as known at {moment(at_ns)}: http://{host}:{bound}\ntoken {token}\n")
            sys.stdout.flush()
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            stop.wait()
            server.should_exit = True
            thread.join(5)


def moment(ns: int) -> str:
    """A time in ISO 8601, UTC, without a fraction of zeros."""
    text = timestamp(ns).replace(" ", "T").rstrip("0").rstrip(".") if ns % 1_000_000_000 else None
    return f"{text}Z" if text else f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _told(settings: Settings, warehouse: DuckDbWarehouse, at_ns: int) -> Json:
    from app.build import open_rules
    from app.build_tickets import open_policy

    found = told(warehouse, at_ns, open_policy(settings), open_rules(settings))
    known = found["as_known"]
    known["at"] = moment(known["at"])
    known["last_run"] = moment(known["last_run"]) if known["last_run"] is not None else None
    return found


def asked(client: ServiceClient, path: str, body: Mapping[str, Any] | None) -> Json:
    """The service's answer once its work is done. Raises VerbError for what it could not do."""
    clock = SystemClock()
    while not (state := client.post(path, body))["done"]:
        clock.sleep(ASK_SECONDS)
    if "error" in state:
        raise VerbError(str(state["error"]))
    found: Json = state["result"]
    return found


def _there(installation: "Installation | None") -> "Installation":
    if installation is None:
        raise VerbError("nothing has run here yet")
    return installation


def clear(action: Callable[[], Any]) -> Any:
    """What `action` returns; what a person did wrong or the world refuses becomes a VerbError."""
    try:
        return action()
    except SettingsError as error:
        raise VerbError(str(error)) from None
    except OSError as error:
        raise VerbError((error.strerror or str(error)).lower()) from None
