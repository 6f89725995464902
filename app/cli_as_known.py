"""Command line: states of the past (`console`, `export`), and the proof of the present one."""

import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]
TimeOption = Annotated[str, typer.Option("--as-known-at", help="UTC time such as 2026-11-20T20:45:00Z.")]


def console(
    as_known_at: TimeOption,
    port: Annotated[int, typer.Option(help="Port on loopback; 0: any free one.", min=0, max=65535)] = 0,
    config: ConfigOption = None,
) -> None:
    """The console over the state as it was known at a time, to look at, until Ctrl-C.

    Nothing can be decided there. The running service, if any, goes on beside it.

    Example: tieout console --as-known-at 2026-11-20T20:45:00Z --config tieout.yaml
    """
    from app.as_known_verbs import clear, serve_at
    from app.supervise import stop_on_signals
    from app.verbs import VerbError

    stop = threading.Event()
    stop_on_signals(stop)
    try:
        clear(lambda: serve_at(as_known_at, port, config, stop))
    except VerbError as error:
        _fail(error)


def export(
    out: Annotated[Path, typer.Argument(help="Folder to write; new or empty.")],
    as_known_at: TimeOption,
    config: ConfigOption = None,
) -> None:
    """For an examiner: the state as it was known at a time, in one folder.

    Originals byte for byte, what was made of them, decisions and the audit trail up to then, and the hash of every
    file.

    Example: tieout export examiner --as-known-at 2026-11-20T20:45:00Z --config tieout.yaml
    """
    from app.as_known_verbs import clear, export_at
    from app.verbs import VerbError

    try:
        manifest = clear(lambda: export_at(as_known_at, out, config))
    except VerbError as error:
        _fail(error)
    typer.echo(
        f"{out}: {manifest['messages']:,} messages, {manifest['rows']['trades.csv']:,} trades,"
        f" {manifest['open_breaks']:,} open breaks, as known at {manifest['as_known_at']}"
    )
    for note in manifest["notes"]:
        typer.echo(f"note: {note}")


def proof(config: ConfigOption = None) -> None:
    """Derive everything again in one batch and compare with what the micro-batches made of it.

    The service does this every night. Exit status: 0 the same, 1 a difference (also recorded as a CRITICAL alert).

    Example: tieout proof --config tieout.yaml
    """
    from app.as_known_verbs import clear, run_proof
    from app.verbs import VerbError

    try:
        text, holds = clear(lambda: run_proof(config))
    except VerbError as error:
        _fail(error)
    typer.echo(text)
    raise typer.Exit(0 if holds else 1)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
