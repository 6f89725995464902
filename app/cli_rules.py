"""The verbs `tieout rules ...`: check a rule file, try it on history, have it approved, fit its weights."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

rules_app = typer.Typer(
    help="Rule files: checked, tried on history, approved by a second person.", no_args_is_help=True
)

@rules_app.callback()
def _rules() -> None:
    """Keeps each a verb of its own."""


RuleFile = Annotated[Path, typer.Argument(help="Rule file (YAML).")]


@rules_app.command("check")
def check(file: RuleFile) -> None:
    """Check a rule file: what is wrong, with line, key and what was probably meant; what can have no effect.

    Exit status: 0 fine, 1 usable but something in it has no effect, 2 it cannot be used.

    Example: tieout rules check my-rules.yaml
    """
    from app.rules_verbs import RulesError, checked

    try:
        done = checked(file)
    except RulesError as error:
        _fail(error)
    for line in (*done.faults, *done.hints):
        typer.echo(line)
    if done.rules is None:
        _fail(f"{file}: cannot be used: {len(done.faults)} {'fault' if len(done.faults) == 1 else 'faults'}")
    typer.echo(
        f"{file}: rule set {done.rules.name}, {len(done.rules.passes)} passes in {done.statements} statements,"
        f" {len(done.rules.breaks)} break rules, version {done.rules.hash}"
    )
    raise typer.Exit(1 if done.hints else 0)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
