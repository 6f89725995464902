"""The break queue: one counting pass for all facets, one windowed query for the rows, both with bound parameters."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from console.diff import MISSING, Span, spans
from console.filters import QueueFilter
from console.rows import Row, decimal, epoch_ms, rows, text, whole
from console.wording import DONE_STATES, STATE_WORDS, break_name, compact, money, readable_value, severity_word
from warehouse.port import Warehouse
from warehouse.sql import timestamp

HOUR_NS = 3_600_000_000_000
AGE_LABELS = ("< 4 h", "4–24 h", "1–3 d", "3–5 d", "> 5 d")
AGE_BOUNDS_HOURS = (4, 24, 72, 120)
DUPLICATES = frozenset({"T03", "T04"})
ACTIVE_STATES = ("OPEN", "ASSIGNED", "REOPENED", "WAIT_PB", "WAIT_EB", "WAIT_INTERNAL")

_SORTS = {
    "priority": ("severity {d}, exposure_base {d} NULLS LAST", "desc"),
    "ticket": ("ticket_number {d} NULLS LAST", "asc"),
    "code": ("code {d}, severity DESC", "asc"),
    "symbol": ("symbol {d} NULLS LAST, account_id {d} NULLS LAST", "asc"),
    "exposure": ("exposure_base {d} NULLS LAST", "desc"),
    "score": ("score {d} NULLS LAST", "desc"),
    "opened": ("coalesce(opened_at, first_seen) {d}", "asc"),
    "deadline": ("deadline_at {d} NULLS LAST", "asc"),
    "state": ("state {d}, assignee {d} NULLS LAST", "asc"),
    "pb": ("pb_id {d} NULLS LAST, severity DESC", "asc"),
}
_SEARCHED = ("ticket_number", "symbol", "instrument_id", "account_id", "code", "headline", "break_id", "pb_id")
_COLUMNS = (
    "break_id, code, severity, state, resolution, symbol, instrument_id, account_id, side, pb_id, left_value, "
    "right_value, field_family, exposure_base, score, opened_at, first_seen, changed_at, cured_at, deadline_at, "
    "assignee, ticket_number, ticket_delivered, ticket_dead, headline"
)
_CUBE = """
SELECT severity, state, pb_id, code, assignee,
  CASE WHEN state IN ('RESOLVED', 'CLOSED') OR deadline_at IS NULL THEN 'none'
       WHEN deadline_at < CAST(:now AS TIMESTAMP_NTZ(9)) THEN 'breached'
       WHEN deadline_at < CAST(:soon AS TIMESTAMP_NTZ(9)) THEN '1h' ELSE 'later' END AS due,
  CASE WHEN coalesce(opened_at, first_seen) > CAST(:age0 AS TIMESTAMP_NTZ(9)) THEN 0
       WHEN coalesce(opened_at, first_seen) > CAST(:age1 AS TIMESTAMP_NTZ(9)) THEN 1
       WHEN coalesce(opened_at, first_seen) > CAST(:age2 AS TIMESTAMP_NTZ(9)) THEN 2
       WHEN coalesce(opened_at, first_seen) > CAST(:age3 AS TIMESTAMP_NTZ(9)) THEN 3 ELSE 4 END AS age,
  count(*) AS n, sum(exposure_base) AS money, sum(CASE WHEN exposure_base IS NULL THEN 1 ELSE 0 END) AS unknown
FROM break_queue
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the counting pass."""

    severity: int
    state: str
    pb: str
    code: str
    assignee: str
    due: str
    age: int
    n: int
    money: Decimal
    unknown: int


def _like(words: str) -> str:
    escaped = words.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"


def _search(words: str, params: dict[str, object]) -> list[str]:
    clauses = []
    for index, word in enumerate(words.replace("\x00", " ").split()[:6]):
        params[f"q{index}"] = _like(word)
        clauses.append("(" + " OR ".join(f"lower({c}) LIKE :q{index} ESCAPE '!'" for c in _SEARCHED) + ")")
    return clauses


def _within(column: str, values: Iterable[object], prefix: str, params: dict[str, object]) -> str:
    names = []
    for index, value in enumerate(values):
        params[f"{prefix}{index}"] = value
        names.append(f":{prefix}{index}")
    return f"{column} IN ({', '.join(names)})"


def _where(chosen: QueueFilter, now_ns: int, params: dict[str, object]) -> str:
    clauses = _search(chosen.q, params)
    if chosen.state == "active":
        clauses.append(_within("state", ACTIVE_STATES, "state", params))
    elif chosen.state != "all":
        clauses.append(_within("state", [chosen.state], "state", params))
    for column, values, prefix in (
        ("severity", chosen.severity, "sev"), ("pb_id", chosen.pb, "pb"), ("code", chosen.code, "code"),
    ):  # fmt: skip
        if values:
            clauses.append(_within(column, values, prefix, params))
    if chosen.assignee == "none":
        clauses.append("assignee IS NULL")
    elif chosen.assignee is not None:
        params["assignee"] = chosen.assignee
        clauses.append("assignee = :assignee")
    if chosen.due is not None:
        params["now"] = timestamp(now_ns)
        clauses.append("state NOT IN ('RESOLVED', 'CLOSED')")
        if chosen.due == "breached":
            clauses.append("deadline_at < CAST(:now AS TIMESTAMP_NTZ(9))")
        else:
            params["soon"] = timestamp(now_ns + HOUR_NS)
            clauses.append("deadline_at >= CAST(:now AS TIMESTAMP_NTZ(9))")
            clauses.append("deadline_at < CAST(:soon AS TIMESTAMP_NTZ(9))")
    return " WHERE " + " AND ".join(clauses) if clauses else ""


def window(warehouse: Warehouse, chosen: QueueFilter, now_ns: int, offset: int, limit: int) -> list[Row]:
    """Rows `offset`..`offset+limit` of the filtered, sorted queue; ties are ordered by break id."""
    params: dict[str, object] = {}
    where = _where(chosen, now_ns, params)
    order, default = _SORTS[chosen.sort]
    direction = (chosen.dir or default).upper()
    sql = (
        f"SELECT {_COLUMNS} FROM break_queue{where} ORDER BY {order.format(d=direction)}, break_id "
        f"LIMIT {int(limit)} OFFSET {int(offset)}"
    )
    return rows(warehouse.query(sql, params))


def cube(warehouse: Warehouse, words: str, now_ns: int) -> list[Cell]:
    """Counts and money by every facet at once, restricted by the search words only."""
    params: dict[str, object] = {"now": timestamp(now_ns), "soon": timestamp(now_ns + HOUR_NS)}
    for index, hours in enumerate(AGE_BOUNDS_HOURS):
        params[f"age{index}"] = timestamp(now_ns - hours * HOUR_NS)
    clauses = _search(words, params)
    where = " WHERE " + " AND ".join(clauses) if clauses else ""
    found = rows(warehouse.query(f"{_CUBE}{where} GROUP BY 1, 2, 3, 4, 5, 6, 7", params))
    return [
        Cell(
            whole(r, "severity"), text(r, "state"), text(r, "pb_id"), text(r, "code"), text(r, "assignee"),
            text(r, "due"), whole(r, "age"), whole(r, "n"), decimal(r, "money") or Decimal(0), whole(r, "unknown"),
        )
        for r in found
    ]  # fmt: skip


def _tests(chosen: QueueFilter) -> dict[str, Callable[[Cell], bool]]:
    states = {"active": set(ACTIVE_STATES), "all": set(STATE_WORDS)}.get(chosen.state, {chosen.state})
    assignee = "" if chosen.assignee == "none" else chosen.assignee
    return {
        "state": lambda c: c.state in states,
        "severity": lambda c: not chosen.severity or c.severity in chosen.severity,
        "pb": lambda c: not chosen.pb or c.pb in chosen.pb,
        "code": lambda c: not chosen.code or c.code in chosen.code,
        "assignee": lambda c: assignee is None or c.assignee == assignee,
        "due": lambda c: chosen.due is None or c.due == chosen.due,
    }  # fmt: skip


def _counts(cells: Iterable[Cell], key: Callable[[Cell], str]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for cell in cells:
        counted[key(cell)] += cell.n
    return {name: n for name, n in sorted(counted.items()) if name}


def summarise(cells: list[Cell], chosen: QueueFilter, base_ccy: str) -> dict[str, object]:
    """Totals of the filtered rows, the KPI strip, and facet counts that leave out their own facet's filter."""
    tests = _tests(chosen)

    def kept(*without: str) -> list[Cell]:
        return [c for c in cells if all(test(c) for name, test in tests.items() if name not in without)]

    here = kept()
    open_cells = [c for c in here if c.state not in DONE_STATES]
    at_risk = sum((c.money for c in open_cells), Decimal(0))
    ages = [sum(c.n for c in open_cells if c.age == bucket) for bucket in range(len(AGE_LABELS))]
    return {
        "total": sum(c.n for c in here),
        "kpi": {
            "open": sum(c.n for c in open_cells),
            "exposure": compact(at_risk),
            "exposure_exact": money(at_risk, base_ccy),
            "exposure_unknown": sum(c.unknown for c in open_cells),
            "base_ccy": base_ccy,
            "breached": sum(c.n for c in open_cells if c.due == "breached"),
            "due_soon": sum(c.n for c in open_cells if c.due == "1h"),
            "ages": [{"label": label, "n": n} for label, n in zip(AGE_LABELS, ages, strict=True)],
        },
        "facets": {
            "severity": _counts(kept("severity"), lambda c: str(c.severity)),
            "state": _counts(kept("state"), lambda c: c.state),
            "pb": _counts(kept("pb"), lambda c: c.pb),
            "code": _counts(kept("code"), lambda c: c.code),
            "assignee": _counts(kept("assignee"), lambda c: c.assignee or "none"),
        },
    }


def value_spans(row: Mapping[str, object]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The break's own two values, readable and with the differing characters marked."""
    family = text(row, "field_family")
    left, right = (readable_value(text(row, name), family) or MISSING for name in ("left_value", "right_value"))
    if left == right and row.get("code") in DUPLICATES:
        once, twice = (Span(left, False),), (Span("booked twice", True),)
        return (twice, once) if row["code"] == "T04" else (once, twice)
    return spans(left, right)


def _json_spans(parts: tuple[Span, ...]) -> list[list[object]]:
    return [[part.text, int(part.changed)] for part in parts]


def ticket_word(row: Mapping[str, object]) -> str:
    """Delivery state of the ticket: sent, dead or pending; `none` when no ticket was asked for."""
    if row.get("ticket_dead") and not row.get("ticket_delivered"):
        return "dead"
    if row.get("ticket_delivered"):
        return "sent"
    return "none" if row.get("ticket_delivered") is None else "pending"


def row_json(row: Row, now: datetime, base_ccy: str) -> dict[str, object]:
    """One queue row for the grid: text already worded, times as epoch milliseconds, values cut into marked spans."""
    left, right = value_spans(row)
    deadline = row.get("deadline_at")
    score = decimal(row, "score")
    resolved = row.get("state") in DONE_STATES
    return {
        "id": row["break_id"],
        "severity": whole(row, "severity"),
        "severity_word": severity_word(whole(row, "severity")),
        "ticket": text(row, "ticket_number"),
        "ticket_state": ticket_word(row),
        "code": text(row, "code"),
        "name": break_name(text(row, "code")),
        "symbol": text(row, "symbol") or text(row, "instrument_id"),
        "account": text(row, "account_id"),
        "pb": text(row, "pb_id"),
        "left": _json_spans(left),
        "right": _json_spans(right),
        "exposure": money(decimal(row, "exposure_base"), base_ccy),
        "score": None if score is None else round(float(score), 3),
        "opened": epoch_ms(row.get("opened_at") or row.get("first_seen")),
        "closed": epoch_ms(row.get("cured_at") or row.get("changed_at")) if resolved else None,
        "deadline": epoch_ms(deadline),
        "state": text(row, "state"),
        "state_word": STATE_WORDS.get(text(row, "state"), text(row, "state")),
        "resolution": text(row, "resolution"),
        "assignee": text(row, "assignee"),
        "headline": text(row, "headline"),
    }
