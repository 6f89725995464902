"""The tie-out as a person reads it: tables for the terminal from the service's summary."""

from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]

_STYLE = {"CRITICAL": "bold white on red", "HIGH": "bold red", "MEDIUM": "yellow", "LOW": "cyan", "INFO": "dim"}
_OUTCOMES = (
    ("FACT", "trade facts"),
    ("DUPLICATE", "duplicates"),
    ("SESSION", "session-level"),
    ("QUARANTINE", "quarantined"),
    ("IGNORED", "not for reconciliation"),
)


def tie_out(summary: Json) -> Group:
    """Messages, groups, breaks, tickets, quarantine, latency and completeness as one renderable."""
    return Group(*_known(summary), _messages(summary), Text(), _breaks(summary), Text(), _totals(summary))


def show(console: Console, summary: Json) -> None:
    """Print the tie-out."""
    console.print(tie_out(summary))


def _known(summary: Json) -> list[RenderableType]:
    """Of a state of the past: when it was known, and what to bear in mind."""
    known = summary.get("as_known")
    if known is None:
        return []
    last = f", the last of {known['last_run']}" if known["last_run"] else ""
    lines = [Text(f"as known at {known['at']}: {known['runs']:,} Match runs replayed{last}", style="bold")]
    if known["unmatched_then"]:
        lines.append(Text(f"{known['unmatched_then']:,} messages had been received by then and were matched later"))
    return [*lines, *(Text(f"note: {note}", style="yellow") for note in known["notes"]), Text()]


def _messages(summary: Json) -> RenderableType:
    table = Table(title="Messages", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("feed")
    for _, label in _OUTCOMES:
        table.add_column(label, justify="right")
    feeds = sorted({row["feed"] for row in summary["by_feed"]})
    counts = {(row["feed"], row["outcome"]): row["n"] for row in summary["by_feed"]}
    for feed in feeds:
        table.add_row(feed, *(f"{counts.get((feed, outcome), 0):,}" for outcome, _ in _OUTCOMES))
    table.add_row("all", *(f"{summary['messages'].get(outcome, 0):,}" for outcome, _ in _OUTCOMES), style="bold")
    return table


def _breaks(summary: Json) -> RenderableType:
    table = Table(title="Open breaks", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading, justify in (("severity", "left"), ("code", "left"), ("break", "left"), ("count", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("at risk (base)", justify="right")
    for row in summary["breaks"]:
        exposure = "unknown" if row["exposure_base"] is None else money(row["exposure_base"])
        severity = Text(row["severity"], style=_STYLE[row["severity"]])
        table.add_row(severity, row["code"], row["name"].replace("_", " ").lower(), f"{row['count']:,}", exposure)
    total = sum(row["count"] for row in summary["breaks"])
    table.add_row("", "", "all", f"{total:,}", money(summary["exposure_base"]), style="bold")
    return table


def _totals(summary: Json) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    groups = summary["groups"]
    table.add_row("matched groups", f"{sum(groups.values()):,}  ({_listed(groups)})")
    states = summary["states"]
    table.add_row("expected (inside grace)", f"{states.get('EXPECTED', 0):,}")
    table.add_row("accepted within tolerance", f"{states.get('ACCEPTED', 0):,}")
    table.add_row("cured by themselves", f"{states.get('CURED', 0):,}")
    tickets = summary["tickets"]
    pending = f", {tickets['pending']:,} waiting for the ticket system" if tickets["pending"] else ""
    table.add_row("tickets", f"{tickets['opened']:,}{pending}")
    table.add_row("quarantine", f"{sum(summary['quarantine'].values()):,}  ({_listed(summary['quarantine'])})")
    latency = summary["latency"]
    if latency["breaks"]:
        value = f"p50 {latency['p50_ms']:,.0f} ms, p99 {latency['p99_ms']:,.0f} ms over {latency['breaks']:,} breaks"
        table.add_row("arrival to break", value)
    proof = summary["completeness"]
    problems = "; ".join(proof["problems"])
    state = Text(problems, style="red") if problems else Text("complete", style="green")
    table.add_row("completeness", state)
    table.add_row(
        "",
        f"{proof['received']:,} received = {proof['accounted']:,} accounted for; {proof['live']:,} live facts = "
        f"{proof['placed']:,} grouped, broken or expected; {proof['ticketable']:,} ticketable = {proof['tickets']:,}",
    )
    if "all_matched" in summary:
        matched = summary["all_matched"]
        style = "green" if matched["holds"] else "bold red" if matched["blocked"] else "yellow"
        table.add_row("the day", Text(matched["text"], style=style))
    table.add_row("digest", summary["digest"][:16])
    for alert in summary.get("alerts", ()):
        table.add_row("alert", Text(f"{alert['severity']} {alert['kind']}: {alert['detail']}", style="red"))
    if summary.get("proof"):
        table.add_row("last proof", summary["proof"])
    return table


def money(text: str) -> str:
    """An exact amount with thousands separators and two places, for reading only."""
    return f"{Decimal(text):,.2f}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
