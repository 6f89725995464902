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


@rules_app.command("backtest")
def backtest(
    new: RuleFile,
    on: Annotated[
        Path, typer.Option("--on", help="History: a data directory, or a folder with tieout.yaml and its files.")
    ],
    against: Annotated[
        Path | None, typer.Option("--against", help="Rule file to compare with; default: the history's own.")
    ] = None,
    output: Annotated[str, typer.Option("--format", "-f", help="table, json or html.")] = "table",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here; default: standard output.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings of the history (YAML).")] = None,
) -> None:
    """Try a rule file on history: pairs and breaks it gains, loses and changes, also against people's decisions.

    Exit status: 0 nothing would change, 1 something would, 2 it could not be tried.

    Example: tieout rules backtest my-rules.yaml --on .tieout/demo --format html --out backtest.html
    """
    from app import backtest_report as report
    from app.rules_verbs import RulesError, tried
    from app.settings import SettingsError

    texts = {"table": report.table_text, "json": report.json_text, "html": report.html_text}
    if output not in texts:
        _fail(f"--format {output!r}: expected one of {', '.join(texts)}")
    try:
        found, name = tried(new, on, against, config)
        text = texts[output](found, name)
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.write_text(text, encoding="utf-8", newline="\n")
    except (RulesError, SettingsError) as error:
        _fail(error)
    except OSError as error:
        _fail(f"{out}: {error.strerror or error}")
    raise typer.Exit(1 if found.differs else 0)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
