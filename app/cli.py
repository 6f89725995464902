"""Command line: every verb in one place; each does its work in a module of its own."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.cli_as_known import console, export, proof
from app.cli_audit import audit_app, user_app, verify
from app.cli_backup import backup, restore
from app.cli_break import break_app
from app.cli_day import check, day_app
from app.cli_dialect import dialect_app
from app.cli_dict import dict_app
from app.cli_machine import machine_app
from app.cli_notify import notify_app
from app.cli_onboard import certify, onboard
from app.cli_pilot import pilot_app
from app.cli_playbook import playbook_app
from app.cli_pyfix import CONTEXT as PYFIXMSG_CONTEXT
from app.cli_pyfix import pyfixmsg
from app.cli_quarantine import quarantine_app
from app.cli_report import report_app
from app.cli_rules import rules_app
from app.cli_score import score
from app.cli_simulate import simulate
from app.cli_tickets import tickets_app
from app.settings import SettingsError, load

app = typer.Typer(
    name="tieout",
    help="Tieout: real-time trade reconciliation. FIX in, breaks explained, tickets out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Check the settings.", no_args_is_help=True)
ref_app = typer.Typer(help="Load or check reference data (CSV files named after their table).", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(ref_app, name="ref")
model_app = typer.Typer(help="The break scorer as a service of its own.", no_args_is_help=True)
app.add_typer(model_app, name="model")
app.add_typer(day_app, name="day")
app.add_typer(dialect_app, name="dialect")
app.add_typer(dict_app, name="dict")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(rules_app, name="rules")
app.add_typer(machine_app, name="machine")
app.add_typer(break_app, name="break")
app.add_typer(playbook_app, name="playbook")
app.add_typer(report_app, name="report")
app.add_typer(pilot_app, name="pilot")
app.add_typer(notify_app, name="notify")
app.add_typer(audit_app, name="audit")
app.add_typer(user_app, name="user")
app.add_typer(tickets_app, name="tickets")
app.command()(console)
app.command()(export)
app.command()(proof)
app.command()(verify)
app.command()(backup)
app.command()(restore)
app.command()(certify)
app.command()(check)
app.command()(onboard)
app.command()(score)
app.command(context_settings=PYFIXMSG_CONTEXT)(pyfixmsg)
app.command()(simulate)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]


def fail(message: object, status: int = 2) -> NoReturn:
    """One clear line (or a few) on stderr, then exit."""
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(status)


@app.command()
def reconcile(
    ours: Annotated[list[Path] | None, typer.Argument(help="Our own trades: FIX logs or CSV files.")] = None,
    against: Annotated[
        list[str] | None, typer.Option("--against", "-a", help="A prime broker's file, as [PB=]FILE.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Instead of files: settings whose feeds have path_glob.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Rule set (YAML); default: the one shipped.")] = None,
    tolerances: Annotated[Path | None, typer.Option(help="Tolerances that override the rule set's (YAML).")] = None,
    mapping: Annotated[Path | None, typer.Option("--map", help="Column map for CSV files (YAML).")] = None,
    as_of: Annotated[str | None, typer.Option(help="State as of this UTC time; default: all grace elapsed.")] = None,
    as_known_at: Annotated[
        str | None, typer.Option("--as-known-at", help="Leave out what was received after this UTC time.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write groups, breaks, quarantine and summary here.")] = None,
    output: Annotated[str, typer.Option("--format", "-f", help="table, json, csv or html.")] = "table",
    memory_mb: Annotated[
        int | None, typer.Option(min=16, help="MB the matching may take before it goes to disk; default: 2560.")
    ] = None,
) -> None:
    """Tie out files: two files in, breaks out; or every feed of a settings file. No service needed.

    Exit status: 0 tied out, 1 breaks or quarantined rows, 2 nothing readable, wrong arguments or too
    little memory.

    Example: tieout reconcile examples/fund.fix --against examples/northgate.csv --against examples/harbour.fix

    Example: tieout reconcile --config tieout.yaml --out result
    """
    from app.reconcile import MEMORY_MB, ReconcileOptions, run

    options = ReconcileOptions(
        ours=tuple(ours or ()),
        against=tuple(against or ()),
        rules=rules,
        tolerances=tolerances,
        mapping=mapping,
        as_of=as_of,
        as_known_at=as_known_at,
        out=out,
        format=output,
        config=config,
        memory_mb=MEMORY_MB if memory_mb is None else memory_mb,
    )
    raise typer.Exit(run(options, sys.stdout, sys.stderr))


@app.command()
def demo(
    profile: Annotated[str, typer.Option(help="embedded or local-aws (moto server as a child, Kinesis).")] = "embedded",
    fault: Annotated[str | None, typer.Option(help="tickets: the ticket service answers 503 during the day.")] = None,
    exit_after: Annotated[bool, typer.Option("--exit", help="End after the summary instead of serving.")] = False,
    fills: Annotated[int, typer.Option(help="Fills the fund trades in the day.", min=20, max=200_000)] = 2_000,
    seed: Annotated[int, typer.Option(help="Same seed and day, same bytes.")] = 7,
    day: Annotated[
        str | None, typer.Option("--date", help="Trade date YYYY-MM-DD; default: last business day.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Data directory; emptied first.")] = Path(".tieout/demo"),
    port: Annotated[int, typer.Option(help="Console port (0: any free one).", min=0, max=65535)] = 8080,
    keep_files: Annotated[bool, typer.Option(help="Also write the day's logs and truth to DATA/day.")] = True,
) -> None:
    """A simulated trading day, pushed over real FIX sessions through the real pipeline.

    A fund with three prime brokers: raw log, state machine, normalise, match, score, ticket. Prints the tie-out and
    serves the console until Ctrl-C.

    Example: tieout demo --fault tickets
    """
    from app.demo import DemoOptions, run_demo

    options = DemoOptions(profile, fault, exit_after, fills, seed, day, data, port, keep_files)
    try:
        raise typer.Exit(run_demo(options))
    except SettingsError as error:
        fail(error)


@app.command()
def serve(config: Annotated[Path, typer.Option("--config", "-c", help="Settings file (YAML).")]) -> None:
    """The service: FIX acceptor, worker, console and tickets, until Ctrl-C.

    Example: tieout serve --config tieout.yaml
    """
    from app.serve import run_service

    try:
        raise typer.Exit(run_service(config))
    except SettingsError as error:
        fail(error)


@app.command()
def send(
    log: Annotated[Path, typer.Argument(help="A FIX log in any separator.")],
    to: Annotated[str, typer.Option("--to", help="HOST:PORT of the acceptor.")],
    sender: Annotated[str, typer.Option(help="SenderCompID(49) to log on with.")],
    target: Annotated[str, typer.Option(help="TargetCompID(56) to log on to.")],
    begin_string: Annotated[str | None, typer.Option(help="BeginString(8); default: the log's own.")] = None,
    rate: Annotated[float | None, typer.Option(help="Messages a second; default: as fast as accepted.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="TLS 1.2 or newer; any option below asks for it too.")] = False,
    tls_ca: Annotated[Path | None, typer.Option(help="Authority to trust (PEM); default: the system's.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="Our own certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM); default: in the same file.")] = None,
    tls_name: Annotated[str, typer.Option(help="Name the server's certificate must have; default: HOST.")] = "",
) -> None:
    """Push a FIX log over a FIX session, plain or over TLS.

    Example: tieout send examples/harbour.fix --to 127.0.0.1:5001 --sender HARBOUR --target TIEOUT
    """
    from app.send import SendRefused, TlsOptions, push

    try:
        secured = TlsOptions(tls, tls_ca, tls_certificate, tls_key, tls_name)
        typer.echo(push(log, to, sender, target, begin_string, rate, secured))
    except SendRefused as error:
        fail(error)


@app.command()
def decode(
    file: Annotated[Path, typer.Argument(help="A file of FIX messages; - for standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Readable dump of FIX messages with tag names, in any separator.

    Tags our table lacks are named by the dictionaries that `tieout dict import` put into the data folder.

    Example: tieout decode examples/fund.fix
    """
    from app.decode import dump
    from app.dictionaries import DictionaryProblem, names_in

    try:
        raise typer.Exit(dump(file, as_json, sys.stdout, names_in(load(config).data_dir)))
    except (DictionaryProblem, SettingsError) as error:
        fail(error)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing more can be written, not even by the interpreter at exit.
        sys.stdout = None
    except OSError as error:
        fail(f"{file}: {error.strerror}")


@app.command()
def explain(
    break_id: Annotated[str, typer.Argument(help="The break's id, or its first characters.")],
    folder: Annotated[Path | None, typer.Option("--in", help="Output folder of `tieout reconcile --out`.")] = None,
    config: ConfigOption = None,
) -> None:
    """The evidence for one break: raw bytes, fields, rule, score and reasons, ticket, history.

    Example: tieout explain 3f2a --config tieout.yaml
    """
    from app.verbs import VerbError, explain_break

    try:
        typer.echo(explain_break(break_id, folder, config))
    except (VerbError, SettingsError) as error:
        fail(error)


@app.command()
def status(
    as_known_at: Annotated[
        str | None, typer.Option("--as-known-at", help="As it was known at this UTC time; default: now.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """The tie-out as it stands, or as it was known at a time: messages, breaks, tickets, completeness.

    Example: tieout status --as-known-at 2026-11-20T20:45:00Z --config tieout.yaml
    """
    from app.verbs import VerbError, show_status

    try:
        show_status(config, as_known_at)
    except (VerbError, SettingsError) as error:
        fail(error)


@app.command()
def redrive(
    run: Annotated[str, typer.Argument(help="Execution name (or its first characters), or 'all' failed ones.")],
    config: ConfigOption = None,
) -> None:
    """Continue a failed execution from the state that failed; done states keep their results.

    Example: tieout redrive all --config tieout.yaml
    """
    from app.verbs import VerbError, redrive_runs

    try:
        typer.echo(redrive_runs(run, config))
    except (VerbError, SettingsError) as error:
        fail(error)


@app.command()
def rebuild(config: ConfigOption = None) -> None:
    """Rebuild the derived tables from the facts and prove that the result is identical.

    Example: tieout rebuild --config tieout.yaml
    """
    from app.verbs import VerbError, rebuild_derived

    try:
        text, same = rebuild_derived(config)
    except (VerbError, SettingsError) as error:
        fail(error)
    typer.echo(text)
    raise typer.Exit(0 if same else 1)


@app.command("map")
def map_house() -> None:
    """The house: every module and its first line."""
    from app.house import house_map

    typer.echo(house_map())


@config_app.command("check")
def config_check(config: Annotated[Path, typer.Argument(help="Settings file (YAML).")]) -> None:
    """Read the settings file and say what it sets up, or which key is wrong.

    Example: tieout config check tieout.example.yaml
    """
    from app.verbs import describe_settings

    try:
        typer.echo(describe_settings(config, load(config)))
    except SettingsError as error:
        fail(error)


@ref_app.command("check")
def ref_check(files: Annotated[list[Path], typer.Argument(help="CSV files named after their table.")]) -> None:
    """Check reference files against their tables, and the rows of each against each other, without loading them.

    Exit status: 0 all can be loaded, 2 a file is wrong or has rows that contradict each other.

    Example: tieout ref check account_map.csv
    """
    from app.reference import checked
    from app.reference_file import table_for

    try:
        found = [checked(file, table_for(file)) for file in files]
        for one in found:
            told = "ok" if not one.contradicting else f"{len(one.contradicting)} contradict another of the same thing:"
            typer.echo(f"{one.path}: {one.added} rows for {one.table}, {told}")
            for line in one.contradicting:
                typer.echo(f"  line {line.number}: {line.raw.decode()}")
        if any(one.contradicting for one in found):
            raise typer.Exit(2)
    except SettingsError as error:
        fail(error)


@ref_app.command("load")
def ref_load(
    files: Annotated[list[Path], typer.Argument(help="CSV files named after their table.")],
    config: ConfigOption = None,
) -> None:
    """Load reference files; rows that are there already are left alone.

    Example: tieout ref load account_map.csv --config tieout.yaml
    """
    from app.verbs import VerbError, load_reference

    try:
        typer.echo(load_reference(files, config))
    except (VerbError, SettingsError) as error:
        fail(error)


@model_app.command("serve")
def model_serve(
    host: Annotated[str, typer.Option(help="Address to listen on; a container takes 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port; default: SAGEMAKER_BIND_TO_PORT, else 8080.")] = None,
) -> None:
    """Score breaks over HTTP: /ping and /invocations, as SageMaker calls a container.

    In the settings, `model: http://127.0.0.1:8081` then uses it.

    Example: tieout model serve --port 8081
    """
    from app.serve_model import serve_model
    from app.settings import container_port

    try:
        serve_model(host, container_port() if port is None else port)
    except (SettingsError, OSError) as error:
        fail(error)


@model_app.callback()
def _model() -> None:
    """Keeps `serve` a verb of its own, as SageMaker calls it."""


def main() -> None:
    """Entry point of the `tieout` command."""
    app()
