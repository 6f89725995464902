"""Command-line verbs on an installation: through the running service's API, else on its files directly."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rich.console import Console

from app.client import ServiceClient, ServiceError, running
from app.settings import Settings, SettingsError, load
from app.tieout_text import show
from app.workflow import custom_tasks, open_workflow
from domain.errors import PermanentError, TransientError

# The stores take seconds to import, and are needed only when no service answers.
if TYPE_CHECKING:
    from app.installation import Installation

DEFAULT_CONFIGS = (Path("tieout.yaml"), Path(".tieout/demo/tieout.yaml"))


class VerbError(Exception):
    """The verb cannot be carried out; the text says why and what to do."""


def settings_for(config: Path | None) -> Settings:
    """Settings from `config`, else from ./tieout.yaml, else the demo's. Raises SettingsError when there is none."""
    if config is not None:
        return load(config)
    for candidate in DEFAULT_CONFIGS:
        if candidate.is_file():
            return load(candidate)
    raise SettingsError(f"no --config given and none of {', '.join(map(str, DEFAULT_CONFIGS))} is here")


@contextmanager
def _either(config: Path | None) -> Iterator["tuple[ServiceClient | None, Installation | None]"]:
    settings = settings_for(config)
    client = running(settings.data_dir)
    try:
        if client is not None:
            yield client, None
            return
        if not settings.data_dir.is_dir():
            raise VerbError(f"{settings.data_dir}: nothing has run here yet")
        from app.installation import open_installation

        with open_installation(settings) as installation:
            yield None, installation
    except (ServiceError, PermanentError, TransientError) as error:
        raise VerbError(str(error)) from None


def show_status(config: Path | None, as_known_at: str | None = None) -> None:
    """Print the tie-out, as it stands or as it was known at a time."""
    if as_known_at is not None:
        from app.as_known_verbs import status_at

        show(Console(), status_at(as_known_at, config))
        return
    with _either(config) as (client, local):
        data: Any = client.get("/api/summary") if client else _required(local).summary()
    console = Console()
    console.print("[green]running[/]" if client else "[dim]not running: read from the files[/]")
    show(console, data)


def explain_break(break_id: str, folder: Path | None, config: Path | None) -> str:
    """The evidence for one break as text; `break_id` may be a unique beginning."""
    from app.evidence import explain_text
    from app.explain import explain_from_dir

    if folder is not None:
        try:
            return explain_from_dir(folder, break_id)
        except (OSError, ValueError, LookupError) as error:
            raise VerbError(str(error)) from None
    with _either(config) as (client, local):
        evidence = client.get(f"/api/explain/{break_id}") if client else _required(local).explain(break_id)
    return explain_text(evidence)


def redrive_runs(run: str, config: Path | None) -> str:
    """Redrive one failed execution, or all; returns what was done."""
    with _either(config) as (client, local):
        names = client.post("/api/redrive", {"run": run})["redriven"] if client else _required(local).redrive(run)
    return "\n".join(f"{item['name']}: {item['status']}" for item in names) or "no failed execution"


def rebuild_derived(config: Path | None) -> tuple[str, bool]:
    """Rebuild the derived tables; returns a sentence and whether the result was identical."""
    with _either(config) as (client, local):
        result = client.post("/api/rebuild") if client else _required(local).rebuild()
    same = result["before"] == result["after"]
    verdict = "identical" if same else "DIFFERENT"
    text = f"replayed {result['executions']:,} executions: derived tables {verdict} ({result['after'][:16]})"
    return text, same


def load_reference(files: list[Path], config: Path | None) -> str:
    """Load reference files into the installation; returns one line per file, and one per row that was set aside."""
    from app.reference import learnt_at, load_file
    from app.reference_file import table_for
    from app.reference_held import rows_set_aside, set_aside

    with _either(config) as (client, local):
        if client is not None:
            raise VerbError("the service is running and holds the warehouse; stop it first, or name the files in it")
        lines = []
        for file in files:
            here, table = _required(local), table_for(file)
            now_ns = here.clock.now_ns()
            loaded = load_file(here.warehouse, file, table, learnt_at(here.warehouse, now_ns))
            set_aside(here.warehouse, [loaded], now_ns)
            lines.append(f"{file}: {loaded.added:,} new rows in {table.name}")
            if loaded.contradicting:
                lines.append(f"{file}: {rows_set_aside(len(loaded.contradicting))}:")
                lines += [f"  line {line.number}: {line.raw.decode()}" for line in loaded.contradicting]
    return "\n".join(lines)


def quarantine_verb(verb: str, config: Path | None, options: dict[str, Any]) -> Any:
    """`held`, `one` or `retry` of the quarantine; see app.quarantine."""
    with _either(config) as (client, local):
        if client is not None:
            if verb == "retry":
                return client.post("/api/quarantine/retry", options)
            if verb == "one":
                return client.get(f"/api/quarantine/{quote(options['prefix'], safe='')}")
            return client.get("/api/quarantine", **{name: value for name, value in options.items() if value})
        from app import quarantine
        from ingest.retry import Selection

        if verb == "one":
            return quarantine.one(_required(local), options["prefix"])
        act = quarantine.retry if verb == "retry" else quarantine.held
        return act(_required(local), Selection.model_validate(options))


def describe_settings(path: Path, settings: Settings) -> str:
    """What a settings file sets up, for a person; secrets stay hidden. Raises SettingsError for its workflow."""
    workflow = open_workflow(settings)
    custom_tasks(settings, lambda *_: None)
    addresses = {port: str(settings.address(port)) for port in ("stream", "engine", "warehouse", "model", "tickets")}
    lines = [f"{path}: ok", f"tenant {settings.tenant}, profile {settings.profile}, data in {settings.data_dir}"]
    lines += [f"  {port:<10}{address}" for port, address in addresses.items()]
    if settings.workflow is not None:
        lines.append(f"  {'workflow':<10}{settings.workflow}, {len(workflow['States'])} states")
    name_width = max([10, *(len(feed.name) + 1 for feed in settings.feeds)])
    dialect_width = max([16, *(len(feed.dialect) + 1 for feed in settings.feeds)])
    for feed in settings.feeds:
        where = ", ".join(filter(None, (feed.session.name if feed.session else None, feed.path_glob)))
        lines.append(f"  feed {feed.name:<{name_width}}{feed.role:<10}{feed.dialect:<{dialect_width}}{where}")
    return "\n".join(lines)


def as_json(value: Any) -> str:
    """Stable JSON text."""
    return json.dumps(value, indent=2, sort_keys=True, default=str)


def _required(installation: "Installation | None") -> "Installation":
    assert installation is not None
    return installation
