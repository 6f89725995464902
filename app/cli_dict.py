"""The verbs `tieout dict import|show`: FIX dictionaries people have, and what a tag or a message means."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.settings import SettingsError

dict_app = typer.Typer(help="FIX dictionaries: import one, look a tag or a message up.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file (YAML): whose data folder holds them.")
]


@dict_app.command("import")
def import_dictionary(
    file: Annotated[Path, typer.Argument(help="QuickFIX's XML or FIX Orchestra's.")],
    config: ConfigOption = None,
    version: Annotated[
        str | None, typer.Option("--as", help="BeginString or application version it stands for, as in FIX.5.0SP2.")
    ] = None,
) -> None:
    """Keep a FIX dictionary in the data folder: names for `decode` and `show`, and what strict sessions check.

    One dictionary per version; importing a version again replaces it.

    Example: tieout dict import FIX44.xml --config tieout.yaml
    """
    from app.dictionaries import DictionaryProblem, import_file

    try:
        typer.echo(import_file(file, config, version))
    except (DictionaryProblem, SettingsError) as error:
        _fail(error)


@dict_app.command("show")
def show(
    what: Annotated[str, typer.Argument(help="A tag number or name, or a message's type or name.")],
    config: ConfigOption = None,
    version: Annotated[
        str | None, typer.Option("--version", help="As which FIX version says; default: FIX.4.4, else the newest.")
    ] = None,
) -> None:
    """What a tag is (type, values, messages that hold it), or which fields and groups a message has.

    Example: tieout dict show 940

    Example: tieout dict show AE --version FIX.5.0SP2
    """
    from app.dictionaries import DictionaryProblem, describe

    try:
        typer.echo(describe(what, config, version))
    except (DictionaryProblem, SettingsError) as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
