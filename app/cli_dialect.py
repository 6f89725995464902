"""The verbs `tieout dialect learn|check`: a counterparty's dialect or column map from its samples."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

dialect_app = typer.Typer(
    help="Dialects and column maps: proposed from a counterparty's samples, checked against them.",
    no_args_is_help=True,
)


@dialect_app.command("learn")
def learn(
    samples: Annotated[list[Path], typer.Argument(help="A counterparty's FIX logs, or its files of one layout.")],
    ours: Annotated[
        list[Path] | None, typer.Option(help="Our own FIX log of the same days: proves ids, sides, units and zones.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the dialect; default: the first sample's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the file here; default: standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Lines with evidence as one JSON object.")] = False,
) -> None:
    """Propose a FIX dialect or a column map from samples, with evidence and confidence per line.

    Nothing is guessed silently: lines that need a person's answer are marked, and `dialect check` refuses them.

    Example: tieout dialect learn their.log --ours our.log --name northgate --out dialects/northgate.yaml
    """
    from app import learn as learning

    try:
        found = learning.learn(samples, ours or [], name)
        text = learning.as_json(found) if as_json else found.text
        if out is None:
            typer.echo(text, nl=as_json)
            return
        out.write_text(text, encoding="utf-8", newline="\n")
    except learning.LearnError as error:
        _fail(error)
    except OSError as error:
        _fail(f"{out}: {error.strerror or error}")
    written = sum(line.written for line in found.lines)
    typer.echo(f"{out}: {written} lines proposed, {len(found.open)} to confirm")
    for line in found.open:
        typer.echo(f"  confirm {line.key}: {'?' if line.value is None else line.value}   {line.evidence}")


@dialect_app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A dialect or column map (YAML).")],
    samples: Annotated[list[Path] | None, typer.Argument(help="Samples to read with it.")] = None,
) -> None:
    """Check a dialect or column map: its keys, that every line was confirmed, and what samples become with it.

    Exit status: 0 can be used, 1 lines to confirm or more than 5% of a sample quarantined, 2 the file is wrong.

    Example: tieout dialect check dialects/northgate.yaml their.log
    """
    from app import learn as learning

    try:
        done = learning.check(file, samples or [])
    except learning.LearnError as error:
        _fail(error)
    for line in done.lines:
        typer.echo(line)
    raise typer.Exit(0 if done.good else 1)


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
