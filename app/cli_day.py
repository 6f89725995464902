"""Command line: the completeness check and the business day."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

day_app = typer.Typer(help="The business day of a market: where it stands, and its close.", no_args_is_help=True)
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]
DayArgument = Annotated[str, typer.Argument(help="Trade date, YYYY-MM-DD.")]
MarketOption = Annotated[str | None, typer.Option(help="Calendar such as XNYS; default: every calendar of the feeds.")]


def check(
    feed: Annotated[str | None, typer.Option(help="This feed alone.")] = None,
    day: Annotated[str | None, typer.Option("--date", help="This date alone, YYYY-MM-DD.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every number, as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Completeness per feed and date: received is accounted for, live trades have their place.

    Exit status: 0 complete, 1 a difference (also recorded as a CRITICAL alert), 2 it could not be checked.

    Example: tieout check --feed ALPHA --config tieout.yaml
    """
    from app.day_verbs import run_check
    from app.settings import SettingsError
    from app.verbs import VerbError

    try:
        found, text = run_check(feed, day, config)
    except (VerbError, SettingsError, ValueError) as error:
        _fail(error)
    typer.echo(json.dumps(found, indent=2, sort_keys=True) if as_json else text)
    raise typer.Exit(0 if found["holds"] else 1)


@day_app.command("status")
def day_status(day: DayArgument, market: MarketOption = None, config: ConfigOption = None) -> None:
    """Cut-offs, open and carried breaks, adjustments, and why the day cannot be closed yet.

    Example: tieout day status 2026-11-20 --config tieout.yaml
    """
    from app.day_verbs import run_status
    from app.settings import SettingsError
    from app.verbs import VerbError

    try:
        typer.echo(run_status(day, market, config))
    except (VerbError, SettingsError, ValueError) as error:
        _fail(error)


@day_app.command("close")
def day_close(
    day: DayArgument,
    by: Annotated[str, typer.Option("--by", help="Who signs: a user with the role approver.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Their password; asked for.")],
    market: MarketOption = None,
    reason: Annotated[str, typer.Option(help="A remark to keep with the close.")] = "",
    config: ConfigOption = None,
) -> None:
    """Sign a day off. Refused while a feed is late or empty, a cut-off is ahead or the check fails.

    Example: tieout day close 2026-11-20 --by carol --config tieout.yaml
    """
    from app.day_verbs import run_close
    from app.settings import SettingsError
    from app.verbs import VerbError

    try:
        typer.echo(run_close(day, market, (by, password), reason, config))
    except (VerbError, SettingsError, ValueError) as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
