"""The verbs `tieout verify`, `tieout audit export` and `tieout user add`: the trail, and who may sign in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from app.verify import Part, Row

audit_app = typer.Typer(help="The audit trail.", no_args_is_help=True)
user_app = typer.Typer(help="Who may sign in.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]


def verify(
    folder: Annotated[Path | None, typer.Option("--in", help="Folder that `tieout audit export` wrote.")] = None,
    roots: Annotated[Path | None, typer.Option(help="Exported roots (JSON lines) kept elsewhere.")] = None,
    key: Annotated[str | None, typer.Option(help="Public key signatures must be by: 64 hex digits.")] = None,
    config: Config = None,
) -> None:
    """Verify the audit trail: chain, signed roots, and the decisions it tells of.

    Exit status: 0 it holds, 1 it does not (the first entry that cannot be trusted is named), 2 it cannot be read.

    Example: tieout verify --roots roots.jsonl --config tieout.yaml
    """
    from app.verify import TrailUnreadable, lines_of
    from app.verify import verify as check

    try:
        with _trail(folder, config) as part:
            outside = lines_of(roots) if roots is not None else part("roots")
            verdict = check(part("entries"), outside, part("facts"), key)
    except TrailUnreadable as error:
        _fail(error)
    typer.echo(verdict.text())
    raise typer.Exit(0 if verdict.holds else 1)


@audit_app.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="Folder for entries.jsonl, roots.jsonl and facts.jsonl.")],
    config: Config = None,
) -> None:
    """Write the trail as JSON lines, so that others verify it on their own machine.

    Example: tieout audit export trail --config tieout.yaml
    """
    import json

    from app.verify import PARTS

    out.mkdir(parents=True, exist_ok=True)
    with _trail(None, config) as part:
        for name in PARTS:
            rows = part(name)
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (out / f"{name}.jsonl").write_text(text, encoding="utf-8")
            typer.echo(f"{out / f'{name}.jsonl'}: {len(rows):,} lines")


@audit_app.command("roots")
def roots_now(config: Config = None) -> None:
    """Sign a root over everything so far, the running hour too, and show where roots are exported.

    Example: tieout audit roots --config tieout.yaml
    """
    from app.audit_verbs import sign_now
    from app.settings import SettingsError
    from app.verbs import VerbError

    try:
        typer.echo(sign_now(config))
    except (VerbError, SettingsError) as error:
        _fail(error)


@user_app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="The users' file, `users:` in the settings; made if absent.")],
    name: Annotated[str, typer.Argument(help="The user's name.")],
    role: Annotated[list[str] | None, typer.Option(help="analyst, approver; several times.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="Read the password from this file.")] = None,
) -> None:
    """Add a user, or give one a new password; the file holds a hash only.

    Example: tieout user add users.yaml sue --role analyst --role approver
    """
    from app.audit_verbs import add_user
    from app.settings import SettingsError

    try:
        if password_file is None:
            password = typer.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True)
        else:
            password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
        typer.echo(add_user(file, name, tuple(role or ("analyst",)), password))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{password_file}: cannot be read: {error}")
    except SettingsError as error:
        _fail(error)


@user_app.callback()
def _user() -> None:
    """Keeps `add` a verb of its own."""


@contextmanager
def _trail(folder: Path | None, config: Path | None) -> Iterator[Any]:
    """A function from part to rows: of an exported folder, of the running service, or of its files."""
    from app.audit_verbs import parts
    from app.settings import SettingsError
    from app.verbs import VerbError
    from app.verify import lines_of

    def there(part: "Part") -> "list[Row]":
        file = Path(folder or ".") / f"{part}.jsonl"
        return lines_of(file)

    try:
        if folder is not None:
            yield there
            return
        with parts(config) as found:
            yield found
    except (VerbError, SettingsError) as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
