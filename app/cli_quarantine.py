"""The verbs `tieout quarantine list|show|retry`: what could not be read, why, and reading it again."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

quarantine_app = typer.Typer(help="Messages that could not become facts.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (YAML).")]
ReasonOption = Annotated[str | None, typer.Option(help="Only this reason, such as side_unmapped.")]
FeedOption = Annotated[str | None, typer.Option(help="Only this feed.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
_SECOND_NS = 1_000_000_000


@quarantine_app.command("list")
def list_held(
    reason: ReasonOption = None, feed: FeedOption = None, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """What is held in quarantine, oldest first; healed messages are no longer listed.

    Example: tieout quarantine list --reason side_unmapped --config tieout.yaml
    """
    rows = _call("held", config, reason=reason, feed=feed)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(
            f"{row['quarantine_id'][:8]}  {_when(row['recv_ts'])}  {row['feed']:<10}{row['reason']:<26}{row['detail']}"
        )
    typer.echo(f"{len(rows):,} in quarantine" if rows else "nothing is in quarantine")


@quarantine_app.command("show")
def show_one(
    quarantine_id: Annotated[str, typer.Argument(help="The row's id, or its first characters.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """One quarantined message: reason, place, dialect, its bytes, a repair to consider, and earlier retries.

    Example: tieout quarantine show 3f2a --config tieout.yaml
    """
    row = _call("one", config, prefix=quarantine_id)
    typer.echo(json.dumps(row, indent=2, ensure_ascii=False) if as_json else _shown(row))


@quarantine_app.command("retry")
def retry_held(
    quarantine_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids, or their first characters; or 'all'.")
    ] = None,
    reason: ReasonOption = None,
    feed: FeedOption = None,
    config: ConfigOption = None,
) -> None:
    """Read quarantined messages again, after a dialect or reference data was corrected; what heals is matched.

    Exit status: 0 all of them healed, 1 some were refused again.

    Example: tieout quarantine retry --reason side_unmapped --config tieout.yaml
    """
    ids = [] if quarantine_ids == ["all"] else quarantine_ids or []
    if not (ids or reason or feed or quarantine_ids):
        _fail("say which: ids, --reason, --feed, or all")
    found = _call("retry", config, ids=ids, reason=reason, feed=feed)
    typer.echo(f"{found['healed']:,} healed ({found['facts']:,} new facts), {found['refused']:,} refused again")
    raise typer.Exit(1 if found["refused"] else 0)


def _call(verb: str, config: Path | None, **options: Any) -> Any:
    from app.settings import SettingsError
    from app.verbs import VerbError, quarantine_verb

    try:
        return quarantine_verb(verb, config, options)
    except (VerbError, SettingsError) as error:
        _fail(error)


def _shown(row: dict[str, Any]) -> str:
    place = row["message_id"] if row["line"] is None else f"{row['file']}, line {row['line']}"
    lines = [
        f"{row['code']} {row['reason']}{' (healed)' if row['healed'] else ''}",
        row["detail"],
        "",
        f"id        {row['quarantine_id']}",
        f"received  {_when(row['recv_ts'])} by {row['feed']}, {place}",
        f"dialect   {row['dialect']} {row['dialect_version']}",
        f"bytes     {row['bytes']:,}",
        f"          {row['hex']}",
        f"text      {_printable(row['text'])}",
    ]
    if row["repair"]:
        lines.append(f"repair?   {_printable(row['repair'])}")
    return "\n".join([*lines, *_tries(row["retries"])])


def _tries(tries: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"retried   {_when(item['retried_at'])} with {item['dialect']} {item['dialect_version']}: "
        + (f"healed, {item['outcome']}" if item["healed"] else f"{item['reason']}: {item['detail']}")
        for item in tries
    ]


def _printable(text: str) -> str:
    # Bytes of a counterparty must not reach the terminal as control sequences.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _fail(message: object) -> NoReturn:
    typer.echo(f"tieout: {message}", err=True)
    raise typer.Exit(2)
