"""The verb `tieout pyfixmsg`: runs a program written for pyfixmsg, unchanged, on Tieout's message objects."""

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, NoReturn

import typer

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def pyfixmsg(
    program: Annotated[str, typer.Argument(help="A Python file, or with -m a module; what follows are its arguments.")],
    context: typer.Context,
    module: Annotated[bool, typer.Option("-m", help="PROGRAM is a module, such as pytest.")] = False,
    real: Annotated[
        bool, typer.Option("--real", help="Run it on the checkout that TIEOUT_PYFIXMSG names, to compare.")
    ] = False,
) -> None:
    """Run a program written for pyfixmsg, unchanged, on Tieout's message objects (docs/pyfixmsg.md).

    Example: tieout pyfixmsg my_script.py FIX42.xml
    """
    from ingest.fix.pyfix import alias

    if not module and not Path(program).is_file():
        _fail(f"{program}: no such file")
    if real:
        _real()
    else:
        alias.install(replace=True)
    sys.argv = [program, *context.args]
    # As `python FILE` and `python -m MODULE` do.
    sys.path.insert(0, str(Path.cwd() if module else Path(program).resolve().parent))
    if module:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")


def _real() -> ModuleType:
    from app.settings import load
    from ingest.fix.pyfix.convert import load_checkout

    directory = load(None).pyfixmsg
    if directory is None:
        _fail("--real: TIEOUT_PYFIXMSG names no folder; set it to a checkout of pyfixmsg")
    try:
        return load_checkout(directory)
    except ImportError as error:
        _fail(error)


def _fail(problem: object) -> NoReturn:
    typer.echo(f"tieout: {problem}", err=True)
    raise typer.Exit(2)
