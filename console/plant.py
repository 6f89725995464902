"""The plant behind the breaks: feeds, message outcomes, quarantine, completeness and component health."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.ports import ConsoleDeps
from console.rows import Row, rows, text, whole
from console.wording import instant, span_words, stamp
from domain.clock import Clock
from warehouse.port import Warehouse

OUTCOMES = ("FACT", "DUPLICATE", "SESSION", "IGNORED", "QUARANTINE")
OUTCOME_WORDS = {
    "FACT": "Booked as facts", "DUPLICATE": "Duplicates", "SESSION": "Session traffic", "IGNORED": "Not for us",
    "QUARANTINE": "Quarantined",
}  # fmt: skip
MAX_QUARANTINE_ROWS = 200
PREVIEW_BYTES = 256
_LINE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Component:
    """Health of one part: `state` is ok, warn or down."""

    name: str
    state: str
    detail: str


def outcomes(warehouse: Warehouse) -> dict[str, dict[str, int]]:
    """Message counts by feed and outcome."""
    found: dict[str, dict[str, int]] = {}
    for r in rows(warehouse.query("SELECT feed, outcome, count(*) AS n FROM raw_message GROUP BY feed, outcome")):
        found.setdefault(text(r, "feed"), {})[text(r, "outcome")] = whole(r, "n")
    return found


def feeds(deps: ConsoleDeps) -> list[dict[str, Any]]:
    """Every feed with its session health and its message counts; feeds seen only in the log come last."""
    counted = outcomes(deps.warehouse)
    now = instant(deps.clock.now_ns())
    found = []
    for status in deps.feeds_status():
        name = str(status.get("name", ""))
        last = status.get("last_recv_ts")
        seen = instant(last) if isinstance(last, int) and last > 0 else last if isinstance(last, datetime) else None
        late, connected = bool(status.get("late")), status.get("connected")
        state = "late" if late else "connected" if connected else "idle" if connected is None else "disconnected"
        found.append(
            {
                "name": name,
                "role": str(status.get("role") or ""),
                "party": str(status.get("party") or ""),
                "session": str(status.get("session") or ""),
                "state": state,
                "last": seen,
                "ago": span_words((now - seen).total_seconds()) + " ago" if seen else "never",
                "received": int(status.get("received") or sum(counted.get(name, {}).values())),
                "outcomes": counted.pop(name, {}),
                "file": status.get("file"),
            }
        )
    for name, numbers in sorted(counted.items()):
        found.append(
            {"name": name, "role": "", "party": "", "session": "", "state": "unknown", "last": None, "ago": "",
             "received": sum(numbers.values()), "outcomes": numbers}
        )  # fmt: skip
    return found


def hex_dump(raw: bytes) -> str:
    """The first PREVIEW_BYTES as offset, hex and printable text, sixteen bytes a line."""
    lines = []
    for start in range(0, min(len(raw), PREVIEW_BYTES), _LINE_BYTES):
        part = raw[start : start + _LINE_BYTES]
        shown = "".join(chr(b) if 32 <= b < 127 else "·" for b in part)
        lines.append(f"{start:04x}  {part.hex(' '):<47}  {shown}")
    if len(raw) > PREVIEW_BYTES:
        lines.append(f"… {len(raw) - PREVIEW_BYTES} more bytes")
    return "\n".join(lines)


def readable(raw: bytes) -> str:
    """The bytes as text on one line: SOH as a bar, other control characters as dots."""
    shown = raw[: PREVIEW_BYTES * 2].decode("utf-8", "replace").replace("\x01", " | ")
    return "".join(c if c.isprintable() else "·" for c in shown)


def quarantine(warehouse: Warehouse, feed: str | None = None, code: str | None = None) -> list[Row]:
    """The newest messages still in quarantine with `hex` and `text` previews, at most MAX_QUARANTINE_ROWS."""
    params: dict[str, object] = {}
    clauses = [
        "NOT EXISTS (SELECT 1 FROM quarantine_retry r WHERE r.quarantine_id = quarantine.quarantine_id AND r.healed)"
    ]
    for column, value in (("feed", feed), ("code", code)):
        if value:
            params[column] = value
            clauses.append(f"{column} = :{column}")
    where = " WHERE " + " AND ".join(clauses)
    found = rows(
        warehouse.query(
            "SELECT quarantine_id, message_id, feed, recv_ts, code, reason, detail, raw FROM quarantine"
            f"{where} ORDER BY recv_ts DESC, quarantine_id LIMIT {MAX_QUARANTINE_ROWS}",
            params,
        )
    )
    for r in found:
        raw = r.pop("raw")
        data = raw if isinstance(raw, bytes) else b""
        r["hex"], r["text"], r["length"] = hex_dump(data), readable(data), len(data)
    return found


_COMPLETENESS = """
WITH live AS (SELECT record_id FROM trade_state WHERE is_live),
matched AS (SELECT DISTINCT m.record_id FROM match_member m JOIN live ON live.record_id = m.record_id),
single AS (
  SELECT m.record_id, max(CASE WHEN b.state = 'OPEN' THEN 1 ELSE 0 END) AS is_open FROM recon_break_member m
  JOIN recon_break b ON b.break_id = m.break_id JOIN live ON live.record_id = m.record_id
  WHERE b.state <> 'CURED' AND NOT EXISTS (SELECT 1 FROM matched x WHERE x.record_id = m.record_id)
  GROUP BY m.record_id
)
SELECT (SELECT count(*) FROM trade_event) AS records, (SELECT count(*) FROM live) AS live_records,
  (SELECT count(*) FROM matched) AS matched, (SELECT count(*) FROM single WHERE is_open = 1) AS broken,
  (SELECT count(*) FROM single WHERE is_open = 0) AS waiting
"""


def completeness(warehouse: Warehouse) -> dict[str, int]:
    """Where every message and every live record went; `unaccounted` above zero means work not yet matched."""
    by_outcome: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for numbers in outcomes(warehouse).values():
        for outcome, n in numbers.items():
            by_outcome[outcome] = by_outcome.get(outcome, 0) + n
    row = rows(warehouse.query(_COMPLETENESS))[0]
    numbers = {name: whole(row, name) for name in row}
    numbers["unaccounted"] = numbers["live_records"] - numbers["matched"] - numbers["broken"] - numbers["waiting"]
    return {"messages": sum(by_outcome.values()), **by_outcome, **numbers}


def tickets(warehouse: Warehouse) -> dict[str, int]:
    """Outbox depth: rows written, delivered, waiting and dead."""
    row = rows(
        warehouse.query(
            "WITH d AS (SELECT outbox_key, max(CASE WHEN outcome = 'DELIVERED' THEN 1 ELSE 0 END) AS ok, "
            "max(CASE WHEN outcome = 'DEAD' THEN 1 ELSE 0 END) AS dead FROM ticket_delivery GROUP BY outbox_key) "
            "SELECT count(*) AS written, coalesce(sum(d.ok), 0) AS delivered, "
            "coalesce(sum(CASE WHEN d.dead = 1 AND d.ok = 0 THEN 1 ELSE 0 END), 0) AS dead "
            "FROM ticket_outbox o LEFT JOIN d ON d.outbox_key = o.outbox_key"
        )
    )[0]
    written, delivered, dead = whole(row, "written"), whole(row, "delivered"), whole(row, "dead")
    return {"written": written, "delivered": delivered, "dead": dead, "waiting": written - delivered - dead}


def _warehouse_health(warehouse: Warehouse, clock: Clock) -> Component:
    start = clock.monotonic()
    warehouse.query("SELECT 1 AS one")
    return Component("Warehouse", "ok", f"answered in {(clock.monotonic() - start) * 1000:.1f} ms")


def _feed_health(found: Sequence[Mapping[str, Any]]) -> Component:
    late = [str(f["name"]) for f in found if f["state"] == "late"]
    down = [str(f["name"]) for f in found if f["state"] == "disconnected"]
    if late:
        return Component("Feeds", "down", f"late: {', '.join(late)}; nothing from them can be called matched")
    if down:
        return Component("Feeds", "warn", f"not connected: {', '.join(down)}")
    return Component("Feeds", "ok", f"{len(found)} feeds, none late" if found else "no feed configured yet")


_ALERTS = """
SELECT kind, severity, detail FROM alert
QUALIFY row_number() OVER (PARTITION BY alert_key ORDER BY noted_at DESC, state) = 1 AND state = 'RAISED'
"""


def _alerts(warehouse: Warehouse) -> Component:
    """What was raised about the installation itself and stands: completeness, the nightly proof."""
    found = [f"{text(r, 'kind')}: {text(r, 'detail')}" for r in rows(warehouse.query(_ALERTS))]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Component("Alerts", "down", (found[0] + more)[:300]) if found else Component("Alerts", "ok", "none")


def _proof(warehouse: Warehouse) -> Component:
    """The last time everything was derived again in one batch."""
    found = rows(warehouse.query("SELECT ran_at, differences, breaks FROM proof_run ORDER BY ran_at DESC LIMIT 1"))
    if not found:
        return Component("Proof", "ok", "not due yet: one batch is held against the micro-batches every night")
    differences, at = whole(found[0], "differences"), found[0]["ran_at"]
    when = stamp(at) if isinstance(at, datetime) else ""
    if differences:
        return Component("Proof", "down", f"{when}: one batch differs from the micro-batches in {differences} rows")
    return Component("Proof", "ok", f"{when}: one batch gave the same {whole(found[0], 'breaks')} breaks")


def all_matched(deps: ConsoleDeps) -> dict[str, Any] | None:
    """Whether everything is matched, and what stands against it; None where nobody can tell."""
    return dict(deps.all_matched()) if deps.all_matched is not None else None


def _matched(deps: ConsoleDeps) -> Component:
    """The verdict on the day: never a good one while a feed is silent or the completeness check fails."""
    told = all_matched(deps)
    if told is None:
        return Component("The day", "warn", "not counted here")
    state = "ok" if told["holds"] else "down" if told["blocked"] else "warn"
    return Component("The day", state, str(told["text"])[:600])


def components(deps: ConsoleDeps) -> list[Component]:
    """Health of every part the console can see; a part that raises is down, with the error's text."""

    def engine() -> Component:
        counts = deps.engine.counts()
        failed, running = counts.get("FAILED", 0), counts.get("RUNNING", 0)
        words = f"{sum(counts.values())} runs, {running} in progress, {failed} failed"
        return Component("Workflow engine", "warn" if failed else "ok", words)

    def ticketing() -> Component:
        t = tickets(deps.warehouse)
        words = f"{t['delivered']} delivered, {t['waiting']} waiting, {t['dead']} refused"
        return Component("Ticket delivery", "down" if t["dead"] else "warn" if t["waiting"] > 100 else "ok", words)

    def model() -> Component:
        row = rows(
            deps.warehouse.query(
                "SELECT count(*) AS n, sum(CASE WHEN score IS NULL THEN 1 ELSE 0 END) AS missing, "
                "max(model_version) AS version FROM break_queue WHERE state NOT IN ('RESOLVED', 'CLOSED')"
            )
        )[0]
        n, missing = whole(row, "n"), whole(row, "missing")
        words = f"{n - missing} of {n} open breaks scored, model {text(row, 'version') or 'not loaded yet'}"
        return Component("Score model", "warn" if missing else "ok", words)

    parts: dict[str, Callable[[], Component]] = {
        "The day": lambda: _matched(deps),
        "Warehouse": lambda: _warehouse_health(deps.warehouse, deps.clock),
        "Workflow engine": engine,
        "Feeds": lambda: _feed_health(feeds(deps)),
        "Ticket delivery": ticketing,
        "Score model": model,
        "Alerts": lambda: _alerts(deps.warehouse),
        "Proof": lambda: _proof(deps.warehouse),
    }
    found = []
    for name, check in parts.items():
        try:
            found.append(check())
        except Exception as error:
            found.append(Component(name, "down", f"{type(error).__name__}: {error}"[:300]))
    return found
