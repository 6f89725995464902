"""The verb `tieout score`: a result against labelled truth."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer


def score(
    truth: Annotated[Path, typer.Option(help="The labelled truth: truth.jsonl of a simulated day, or your own.")],
    result: Annotated[str, typer.Option(help="Folder of `tieout reconcile --out`, or the URL of a running service.")],
    as_json: Annotated[bool, typer.Option("--json", help="All numbers as one JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained page with plots here.")] = None,
    token: Annotated[str, typer.Option(help="Token of the service, from its data directory's service.json.")] = "",
    source: Annotated[
        list[str] | None, typer.Option(help="RESULT=TRUTH: the result calls a source RESULT, the truth calls it TRUTH.")
    ] = None,
    examples: Annotated[int, typer.Option(help="How many misses, false breaks and links to list.", min=0)] = 20,
) -> None:
    """Score a result against labelled truth: found, missed, false, misnamed, late, wrongly paired.

    Exit status: 0 perfect, 1 something missed or false, 2 truth or result cannot be used.

    Example: tieout score --truth day/truth.jsonl --result out --html score.html
    """
    from simulator.scoring.html import html_text
    from simulator.scoring.read import InputError, JsonLines
    from simulator.scoring.report import write_tables
    from simulator.scoring.result import result_at
    from simulator.scoring.score import as_json as json_of
    from simulator.scoring.score import score as scored

    if not (token.isascii() and token.isprintable()):
        _fail("--token: a token has plain letters and digits only")
    try:
        found = scored(JsonLines(str(truth), truth), result_at(result, token, _sources(source or [])), examples)
    except InputError as error:
        _fail(error)
    if html is not None:
        try:
            html.write_text(html_text(found), encoding="utf-8", newline="\n")
        except OSError as error:
            _fail(f"{html}: {error.strerror or error}")
    if as_json:
        typer.echo(json.dumps(json_of(found), indent=2))
    else:
        write_tables(found, sys.stdout)
    raise typer.Exit(0 if found.perfect else 1)


def _sources(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        theirs, equals, ours = pair.partition("=")
        if not (theirs and equals and ours):
            _fail(f"--source {pair}: write RESULT=TRUTH, for example OURS=OMS")
        found[theirs] = ours
    return found


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
