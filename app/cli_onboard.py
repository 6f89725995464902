"""The verbs `tieout onboard` and `tieout certify`: rules of engagement, and the scripted test of a session."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.settings import SettingsError

ConfigArgument = Annotated[Path, typer.Option("--config", "-c", help="Settings file (YAML).")]


def certify(
    session: Annotated[str, typer.Argument(help="Feed or session (SENDER->TARGET) to certify.")],
    config: ConfigArgument,
    self_test: Annotated[bool, typer.Option("--self-test", help="Play the counterparty too, over loopback.")] = False,
    sample: Annotated[Path | None, typer.Option(help="With --self-test: a log of theirs to play from.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave a step out, as in --skip allocation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report; default: uat/ in the data folder.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on (0: any free one).", min=0, max=65535)] = 0,
    step_seconds: Annotated[float, typer.Option(help="How long the counterparty has for each step.", min=1)] = 300.0,
    begin_string: Annotated[
        str, typer.Option(help="BeginString(8) to insist on; default: what they log on with.")
    ] = "",
) -> None:
    """Certify a counterparty's session: the acceptor's side of a scripted test, with a pass/fail report.

    Tieout listens, the counterparty's test system connects with the feed's `uat` CompIDs and does what each step asks.
    Numbers, log and data are the run's own: a test never touches a session in production.

    Exit status: 0 certified, 1 a step failed, 2 the run could not begin.

    Example: tieout certify NORTH --config tieout.yaml --host 0.0.0.0 --port 5002

    Example: tieout certify NORTH --config tieout.yaml --self-test --sample their.log
    """
    from app.certify import CertifyError, CertifyOptions
    from app.certify import certify as run
    from app.certify_report import lines

    if sample is not None and not self_test:
        _fail("--sample: only with --self-test")
    options = CertifyOptions(
        session, config, out, self_test, sample, frozenset(skip or ()), host, port, step_seconds, begin_string
    )
    try:
        report, folder = run(options, typer.echo)
    except CertifyError as error:
        _fail(error)
    except OSError as error:
        _fail(f"{host}:{port}: {error.strerror or error}")
    except KeyboardInterrupt:
        _fail("stopped; nothing was certified")
    for line in lines(report):
        typer.echo(line)
    typer.echo(f"report: {folder / 'report.html'}")
    raise typer.Exit(0 if report.passed else 1)


def onboard(
    party: Annotated[str, typer.Argument(help="The prime broker: a party of the settings, or one of its feeds.")],
    config: ConfigArgument,
    out: Annotated[Path | None, typer.Option(help="Write the page here; .html gives a page, else Markdown.")] = None,
) -> None:
    """Write the rules of engagement for a prime broker from its feeds, dialects and the settings: a page to send.

    Example: tieout onboard ALPHA --config tieout.yaml --out alpha.html
    """
    from app.onboard import OnboardError, page

    try:
        text = page(party, config, as_html=out is not None and out.suffix == ".html")
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.write_text(text, encoding="utf-8", newline="\n")
            typer.echo(f"{out}: rules of engagement for {party}")
    except (OnboardError, SettingsError) as error:
        _fail(error)
    except OSError as error:
        _fail(f"{out}: {error.strerror or error}")


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
