"""The verbs `tieout tickets ...`: the dead letters, a round now, the check of an instance, the service by itself."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

tickets_app = typer.Typer(help="Tickets: what was refused, what waits, the ticket system itself.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@tickets_app.command("dead")
def dead(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """What the ticket system refused, in its own words; nothing of it is sent again by itself.

    Example: tieout tickets dead --config tieout.yaml
    """
    rows = _call("run_dead", config)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    for row in rows:
        when = datetime.fromtimestamp(row["refused_at"] // 1_000_000_000, UTC)
        typer.echo(f"{when:%Y-%m-%d %H:%M:%S}  {row['outbox_key']}\n  {row['detail']}")
    typer.echo(f"{len(rows):,} refused" if rows else "nothing was refused")


@tickets_app.command("resend")
def resend(
    key: Annotated[str, typer.Argument(help="A dead letter's key, or its first characters; or 'all'.")],
    config: ConfigOption = None,
) -> None:
    """Send refused rows again, once what they were refused for is mended.

    Example: tieout tickets resend all --config tieout.yaml
    """
    typer.echo(_call("run_resend", config, key))


@tickets_app.command("sync")
def sync(
    gone: Annotated[bool, typer.Option("--gone", help="What cannot be found there was deleted, however many.")] = False,
    config: ConfigOption = None,
) -> None:
    """One round now: deliver what waits, take over what people did there, compare both sides and repair.

    Example: tieout tickets sync --config tieout.yaml
    """
    typer.echo(_call("run_sync", config, gone))


@tickets_app.command("check")
def check(config: ConfigOption = None) -> None:
    """Ask the ticket system what the settings rely on: sign-in, fields, states, groups. Writes nothing.

    Exit status: 0 tickets can be written as the settings say, 1 something is wrong.

    Example: tieout tickets check --config tieout.yaml
    """
    text, fine = _call("run_check", config)
    typer.echo(text)
    raise typer.Exit(0 if fine else 1)


@tickets_app.command("emulate")
def emulate(
    port: Annotated[int, typer.Option(help="Port (0: any free one).", min=0, max=65535)] = 0,
    tls: Annotated[bool, typer.Option("--tls", help="Over https, with a certificate made now.")] = False,
    db: Annotated[Path | None, typer.Option(help="Keep the records in this SQLite file; default: in memory.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Over https with this certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM); default: in the same file.")] = None,
    user: Annotated[str, typer.Option(help="The one user.")] = "tieout",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse queries it does not understand.")] = False,
    requests_per_hour: Annotated[int, typer.Option(help="A rate limit rule (0: none).", min=0)] = 0,
) -> None:
    """The ServiceNow-compatible service by itself, for clients of your own; prints URL, user and password.

    Example: tieout tickets emulate --port 8443 --tls --db tickets.sqlite
    """
    from app.emulate import EmulateOptions, run
    from app.settings import SettingsError
    from domain.errors import TransientError

    options = EmulateOptions(port, db, tls, certificate, key, user, strict=strict, requests_per_hour=requests_per_hour)
    try:
        with tempfile.TemporaryDirectory(prefix="tieout-tickets-") as folder:
            raise typer.Exit(run(options, Path(folder), typer.echo))
    except (SettingsError, TransientError) as error:
        _fail(error)


def _call(verb: str, config: Path | None, *options: object) -> Any:
    from app import ticket_verbs
    from app.settings import SettingsError
    from app.verbs import VerbError

    try:
        return getattr(ticket_verbs, verb)(*options, config)
    except (VerbError, SettingsError) as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
