"""The tie-out: what came in, what matched, what broke, what was ticketed, and the proof that nothing is missing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.alerts import standing
from domain.taxonomy import Severity, taxonomy
from warehouse.port import Warehouse

Json = dict[str, Any]

# What went wrong with messages on their way (I codes) is of the way: which copy came first, in which place.
_DIGEST_SQL = """
SELECT break_id, code, coalesce(left_value, '') AS l, coalesce(right_value, '') AS r,
  coalesce(CAST(delta AS VARCHAR), '') AS d
FROM recon_break WHERE state = 'OPEN' AND NOT startswith(code, 'I') ORDER BY break_id
"""
# What was accepted within its tolerance is settled: nobody has to look at it.
UNACCEPTED = """NOT EXISTS (
  SELECT 1 FROM break_acceptance y WHERE y.break_id = b.break_id AND y.generation = b.generation)"""
_STATES_SQL = f"""
SELECT CASE WHEN b.state = 'OPEN' AND NOT ({UNACCEPTED}) THEN 'ACCEPTED' ELSE b.state END AS k, count(*) AS n
FROM recon_break b GROUP BY 1
"""
_HELD_SQL = """
SELECT q.reason AS k, count(*) AS n FROM quarantine q
WHERE NOT EXISTS (SELECT 1 FROM quarantine_retry r WHERE r.quarantine_id = q.quarantine_id AND r.healed)
GROUP BY q.reason
"""
_LATENCY_SQL = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99,
  count(*) AS n FROM (
  SELECT datediff('microsecond', received_ts, committed_ts) * 0.001 AS ms FROM break_latency
) q
"""
_PROOF_SQL = """
SELECT CAST(ran_at AS VARCHAR) AS ran, differences FROM proof_run ORDER BY ran_at DESC, proof_id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Completeness:
    """The three equations every run must close; `problems` is empty when they do."""

    received: int
    accounted: int
    live: int
    placed: int
    ticketable: int
    tickets: int
    problems: tuple[str, ...]


def digest(warehouse: Warehouse) -> str:
    """SHA-256 over the open breaks' identity, code and values, those of messages left out: equal on every transport
    and in any order of arrival.
    """
    lines = ["|".join(str(v) for v in row.values()) for row in warehouse.query(_DIGEST_SQL).to_pylist()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def summary(warehouse: Warehouse, completeness: Completeness) -> Json:
    """Counts for the tie-out screen, `tieout status` and the health page; numbers only, no floats for money."""
    return {
        "messages": _counts(warehouse, "SELECT outcome AS k, count(*) AS n FROM raw_message GROUP BY outcome"),
        "by_feed": warehouse.query(
            "SELECT feed, outcome, count(*) AS n FROM raw_message GROUP BY feed, outcome ORDER BY feed, outcome"
        ).to_pylist(),
        "groups": _counts(warehouse, "SELECT pass_id AS k, count(*) AS n FROM match_group GROUP BY pass_id"),
        "breaks": _breaks(warehouse),
        "states": _counts(warehouse, _STATES_SQL),
        "exposure_base": str(
            _scalar(
                warehouse,
                f"SELECT coalesce(sum(b.exposure_base), 0) FROM recon_break b WHERE b.state = 'OPEN' AND {UNACCEPTED}",
            )
        ),
        "quarantine": _counts(warehouse, _HELD_SQL),
        "tickets": {
            "opened": _scalar(
                warehouse,
                "SELECT count(DISTINCT sys_id) FROM ticket_outbox o WHERE operation = 'open' AND EXISTS ("
                "SELECT 1 FROM ticket_delivery d WHERE d.outbox_key = o.outbox_key AND d.outcome = 'DELIVERED')",
            ),
            "pending": _scalar(
                warehouse,
                "SELECT count(*) FROM ticket_outbox o WHERE NOT EXISTS (SELECT 1 FROM ticket_delivery d"
                " WHERE d.outbox_key = o.outbox_key AND d.outcome IN ('DELIVERED', 'DEAD'))",
            ),
        },
        "latency": latency(warehouse),
        "completeness": {
            "received": completeness.received,
            "accounted": completeness.accounted,
            "live": completeness.live,
            "placed": completeness.placed,
            "ticketable": completeness.ticketable,
            "tickets": completeness.tickets,
            "problems": list(completeness.problems),
        },
        "digest": digest(warehouse),
        "alerts": standing(warehouse),
        "proof": last_proof(warehouse),
    }


def last_proof(warehouse: Warehouse) -> str | None:
    """When the derived tables were last proved, and with what outcome; None before the first proof."""
    found = warehouse.query(_PROOF_SQL).to_pylist()
    if not found:
        return None
    outcome = f"{found[0]['differences']:,} differences" if found[0]["differences"] else "the same in one batch"
    return f"{found[0]['ran'][:19]} UTC: {outcome}"


def latency(warehouse: Warehouse) -> Json:
    """p50 and p99 milliseconds from arrival of a break's last member to the commit that shows it; None without any."""
    row = warehouse.query(_LATENCY_SQL).to_pylist()[0]
    spread = {name: None if row[name[:3]] is None else float(row[name[:3]]) for name in ("p50_ms", "p99_ms")}
    return {**spread, "breaks": row["n"]}


def _breaks(warehouse: Warehouse) -> list[Json]:
    rows = warehouse.query(
        "SELECT b.code, b.severity, count(*) AS n, sum(b.exposure_base) AS exposure FROM recon_break b"
        f" WHERE b.state = 'OPEN' AND {UNACCEPTED} GROUP BY b.code, b.severity ORDER BY b.severity DESC, b.code"
    ).to_pylist()
    names: Mapping[str, Any] = taxonomy()
    return [
        {
            "code": row["code"],
            "name": names[row["code"]].name,
            "severity": Severity(row["severity"]).name,
            "count": row["n"],
            "exposure_base": None if row["exposure"] is None else str(row["exposure"]),
        }
        for row in rows
    ]


def _counts(warehouse: Warehouse, sql: str) -> dict[str, int]:
    return {row["k"]: row["n"] for row in warehouse.query(sql + " ORDER BY 1").to_pylist()}


def _scalar(warehouse: Warehouse, sql: str) -> Any:
    return warehouse.query(sql).column(0)[0].as_py()
