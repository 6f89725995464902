"""The verbs `tieout rules ...`: check a rule file, try it on history, have it approved, fit its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.cli_break import caller

rules_app = typer.Typer(
    help="Rule files: checked, tried on history, approved by a second person.", no_args_is_help=True
)


@rules_app.callback()
def _rules() -> None:
    """Keeps each a verb of its own."""


Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; it becomes part of the record.")]
User = Annotated[str, typer.Option("--user", "-u", help="Act as this user; the password is asked for.")]
PasswordFile = Annotated[Path | None, typer.Option(help="Read the password from this file instead.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]
RuleHash = Annotated[str, typer.Argument(help="The rule set's hash, or its first characters.")]
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


@rules_app.command("train-suggestions")
def train_suggestions(
    on: Annotated[
        Path, typer.Option("--on", help="History: a data directory, or a folder with tieout.yaml and its files.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here; default: standard output.")] = None,
    config: Config = None,
) -> None:
    """Fit the weights of a score pass to what history matched one to one; needs the extra `suggest`.

    The pass is written as it stands in a rule file: put it before the last pass, then check, try and propose the file.

    Example: tieout rules train-suggestions --on .tieout/demo --out score.yaml
    """
    from app.rules_verbs import RulesError, trained
    from app.settings import SettingsError

    try:
        text = trained(on, config).as_yaml()
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.write_text(text, encoding="utf-8", newline="\n")
    except (RulesError, SettingsError) as error:
        _fail(error)
    except OSError as error:
        _fail(f"{out}: {error.strerror or error}")


@rules_app.command("propose")
def propose(
    file: RuleFile, user: User, reason: Reason, password_file: PasswordFile = None, config: Config = None
) -> None:
    """Put a rule file forward: it counts once another person approves this very content.

    Example: tieout rules propose my-rules.yaml --user ana -m "wider commissions" --config tieout.yaml
    """
    from app.rules_approval_verbs import put_forward

    _say(lambda: put_forward(file, config, caller(user, password_file), reason))


@rules_app.command("approve")
def approve(
    rule_hash: RuleHash, user: User, reason: Reason = "", password_file: PasswordFile = None, config: Config = None
) -> None:
    """Approve a rule set that another person put forward; needs the role approver.

    Example: tieout rules approve 3f2a --user sue --config tieout.yaml
    """
    from app.rules_approval_verbs import answer

    _say(lambda: answer(rule_hash, "approve", config, caller(user, password_file), reason))


@rules_app.command("reject")
def reject(
    rule_hash: RuleHash, user: User, reason: Reason, password_file: PasswordFile = None, config: Config = None
) -> None:
    """Reject a rule set that another person put forward.

    Example: tieout rules reject 3f2a --user sue -m "loses pairs at ALPHA" --config tieout.yaml
    """
    from app.rules_approval_verbs import answer

    _say(lambda: answer(rule_hash, "reject", config, caller(user, password_file), reason))


@rules_app.command("list")
def list_rules(config: Config = None) -> None:
    """Rule sets that were put forward, and what became of them.

    Example: tieout rules list --config tieout.yaml
    """
    from app.rules_approval_verbs import listed

    _say(lambda: "\n".join(listed(config)) or "no rule set was put forward")


def _say(verb: Callable[[], str]) -> None:
    from app.rules_verbs import RulesError
    from app.settings import SettingsError

    try:
        typer.echo(verb())
    except (RulesError, SettingsError) as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
