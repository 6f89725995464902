"""The verb `simulate` of the command line."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write; one that others made is refused.")],
    profile: Annotated[str, typer.Option(help="smoke, day, heavy, stress, noise-only or soak.")] = "smoke",
    seed: Annotated[int, typer.Option(help="Same seed and day, same bytes.")] = 7,
    pbs: Annotated[str | None, typer.Option(help="Prime brokers by letter, such as A,B,C; default: all five.")] = None,
    fills: Annotated[int | None, typer.Option(help="Fills a day; default: the profile's.")] = None,
    day: Annotated[
        str | None, typer.Option("--date", help="First trade date YYYY-MM-DD; default: last business day.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Play the day over FIX sessions instead of files.")] = False,
    to: Annotated[str | None, typer.Option("--to", help="HOST:PORT of the acceptor, with --live.")] = None,
    rate: Annotated[float | None, typer.Option(help="Messages a second on average, with --live.")] = None,
) -> None:
    """A simulated fund with five prime brokers: logs, files, books, reference data, and the truth about every break.

    Example: tieout simulate --profile smoke --seed 7 --out simulated
    """
    from app.simulate import SimulateOptions, SimulateRefused, run_simulate

    options = SimulateOptions(out, profile, seed, pbs, fills, day, live, to, rate)
    try:
        run_simulate(options, typer.echo)
    except SimulateRefused as error:
        typer.echo(f"tieout: {error}", err=True)
        raise typer.Exit(2) from None
