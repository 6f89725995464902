"""Kinds of decision: what each needs, when it takes two people, and what it is about."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from alerting.playbook import Playbook
from app.decision_settings import DecisionSettings
from domain.errors import PermanentError
from domain.reference import ACCOUNT_MAP, IDENTIFIER_HISTORY
from domain.schema import arrow_schema
from domain.taxonomy import Severity
from ingest.reference_rows import learnt
from warehouse.port import Warehouse

Row = dict[str, Any]
Payload = Mapping[str, object]

DAY_NS = 86_400 * 1_000_000_000
MAX_RECORDS = 500
PARTIES = ("PB", "EB", "INTERNAL")
# Money that rounding, fees and prices beyond their precision leave over; anything else is no tolerance.
ACCEPTABLE = frozenset({"T16", "T17", "T18", "T29"})
DONE = frozenset({"RESOLVED", "CLOSED"})
# Decisions that may name an outcome of the playbook.
ENDINGS = frozenset({"resolve", "close", "accept"})
# Putting a rule set forward: about its hash, not about a break.
RULES_KIND = "adopt_rules"


class ActionRefused(PermanentError):
    """The action cannot be taken; the text says why, for the person who tried."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of decision: whether it needs a reason, and the states of a break in which it makes sense."""

    needs_reason: bool = True
    states: frozenset[str] | None = None
    why_not: str = ""


_ACTIVE = frozenset({"OPEN", "ASSIGNED", "REOPENED", "WAIT_PB", "WAIT_EB", "WAIT_INTERNAL", "SUPPRESSED"})
_PARKED = frozenset({"RESOLVED", "CLOSED", "SUPPRESSED", "WAIT_PB", "WAIT_EB", "WAIT_INTERNAL"})
KINDS: Mapping[str, Kind] = {
    "assign": Kind(needs_reason=False),
    "comment": Kind(),
    "check": Kind(needs_reason=False),
    "wait": Kind(needs_reason=False, states=_ACTIVE, why_not="the break is resolved already"),
    "dk": Kind(states=_ACTIVE, why_not="the break is resolved already"),
    "suppress": Kind(states=_ACTIVE, why_not="the break is resolved already"),
    "accept": Kind(states=_ACTIVE, why_not="the break is resolved already"),
    "resolve": Kind(states=_ACTIVE, why_not="the break is resolved already"),
    "close": Kind(states=_ACTIVE | {"RESOLVED"}, why_not="the break is closed already"),
    "reopen": Kind(states=_PARKED, why_not="it is open"),
    "force_match": Kind(states=_ACTIVE, why_not="the break is resolved already"),
    "unmatch": Kind(),
    "release": Kind(),
    "map_identifier": Kind(),
    RULES_KIND: Kind(),
}
VERDICTS = ("approve", "reject", "withdraw")


def checked(kind: str, reason: str, payload: Payload) -> None:
    """Raises ActionRefused for an unknown kind or what it lacks."""
    if kind not in KINDS:
        raise ActionRefused(f"unknown action {kind!r}; use one of {', '.join(KINDS)}")
    if KINDS[kind].needs_reason and not reason:
        raise ActionRefused(f"{kind} needs a reason")
    if kind == "assign" and not text(payload, "assignee"):
        raise ActionRefused("assign needs an assignee")
    if kind == "wait" and text(payload, "party") not in PARTIES:
        raise ActionRefused(f"wait needs a party: {', '.join(PARTIES)}")
    if kind == "suppress" and not text(payload, "until"):
        raise ActionRefused("suppress needs a time until which")
    if kind == "check" and not text(payload, "step"):
        raise ActionRefused("check needs a step of the playbook")
    if kind == "map_identifier":
        mapping_of(payload, date.min)
    if kind == RULES_KIND and not (text(payload, "hash") and text(payload, "rules")):
        raise ActionRefused(f"{RULES_KIND} needs hash and rules")


def refused_in_state(kind: str, row: Row) -> str | None:
    """Why this kind of decision makes no sense for the break as it stands, or None."""
    rule = KINDS[kind]
    if rule.states is not None and row["state"] not in rule.states:
        return rule.why_not
    if kind == "dk" and row["code"] != "T02":
        return "only a booking that nobody here knows (T02) can be refused"
    if kind == "reopen" and row["resolution"] == "cured" and row["state"] != "CLOSED":
        return "later records cured it; it reopens by itself if they change"
    return None


def by_the_book(kind: str, payload: Payload, book: Playbook | None) -> Row:
    """What the playbook of the break's code adds to the decision: the words of the step or outcome it names.

    Raises ActionRefused for a step or an outcome that is not in it.
    """
    if kind == "check":
        step = book.check(text(payload, "step")) if book else None
        if step is None:
            known = ", ".join(one.id for one in book.checks) if book else "none"
            raise ActionRefused(f"no step {text(payload, 'step')!r} in the playbook; it has {known}")
        return {"step": step.id, "text": step.text, "done": text(payload, "done").lower() not in ("no", "false", "0")}
    if kind not in ENDINGS or not text(payload, "outcome"):
        return {}
    found = book.outcome(text(payload, "outcome")) if book else None
    if found is None:
        known = ", ".join(one.id for one in book.outcomes) if book else "none"
        raise ActionRefused(f"no outcome {text(payload, 'outcome')!r} in the playbook; it has {known}")
    return {"outcome": found.id, "outcome_text": found.text}


def needs_second(kind: str, row: Row, limits: DecisionSettings) -> bool:
    """Whether this decision counts only when another person approves it.

    Force matches, mappings, rule sets, refused bookings and write-offs always; what takes a CRITICAL break
    out of sight while it lasts.
    """
    if kind in ("force_match", "map_identifier", "dk", RULES_KIND):
        return True
    if kind == "accept":
        return not within_tolerance(row, limits)
    hides = kind in ("resolve", "close", "suppress")
    return hides and row["engine_state"] == "OPEN" and int(row["severity"]) >= Severity.CRITICAL


def within_tolerance(row: Row, limits: DecisionSettings) -> bool:
    """A difference of money small enough for one person; an unknown exposure never is."""
    money: Decimal | None = row["exposure_base"]
    return row["code"] in ACCEPTABLE and money is not None and abs(money) <= limits.accept_limit


def until_ns(value: str, now_ns: int, limits: DecisionSettings) -> int:
    """The end of a suppression as UTC ns, from a date (its end, UTC) or an ISO time. Raises ActionRefused."""
    try:
        if len(value) == 10:
            at = datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp() + 86_400
        else:
            parsed = datetime.fromisoformat(value)
            at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ActionRefused(f"{value!r} is no date or time such as 2026-11-25 or 2026-11-25T09:00Z") from None
    ns = int(at) * 1_000_000_000
    if not now_ns < ns <= now_ns + limits.suppress_days * DAY_NS:
        raise ActionRefused(f"suppress until a time that is to come, at most {limits.suppress_days} days away")
    return ns


def text(payload: Payload, name: str) -> str:
    """A value of the payload as trimmed text, empty where absent."""
    value = payload.get(name)
    return str(value).strip() if value is not None else ""


# --- what a force match or an unmatch is about -----------------------------------------------------------------


def forced_records(warehouse: Warehouse, breaks: list[Row]) -> list[tuple[str, str]]:
    """Record and side of every live trade these breaks leave unmatched. Raises ActionRefused when a side is missing."""
    found: dict[str, str] = {}
    for row in breaks:
        if row["engine_state"] != "OPEN" or row["field_family"] != "existence":
            raise ActionRefused(f"break {row['break_id'][:12]} ({row['code']}) leaves no trade unmatched")
        members = warehouse.query(
            "SELECT m.record_id, m.side FROM recon_break_member m JOIN trade_state s ON s.record_id = m.record_id"
            " WHERE m.break_id = :b AND s.is_live",
            {"b": row["break_id"]},
        ).to_pylist()
        found |= {item["record_id"]: item["side"] for item in members}
    sides = set(found.values())
    if sides != {"L", "R"}:
        raise ActionRefused("a force match needs trades of both sides; name the other side's breaks too")
    if len(found) > MAX_RECORDS:
        raise ActionRefused(f"{len(found)} trades; at most {MAX_RECORDS} can be forced together")
    return sorted(found.items())


def grouped_records(warehouse: Warehouse, group_id: str) -> list[tuple[str, str]]:
    """Record and side of the members of a match group. Raises ActionRefused where there is none."""
    found = warehouse.query(
        "SELECT record_id, side FROM match_member WHERE group_id = :g ORDER BY record_id", {"g": group_id}
    ).to_pylist()
    if {item["side"] for item in found} != {"L", "R"}:
        raise ActionRefused("nothing is matched here that could be taken apart")
    return [(item["record_id"], item["side"]) for item in found]


def decided_records(warehouse: Warehouse, break_id: str) -> list[tuple[str, str]]:
    """Record and side of every trade that decisions about this break's trades name. Raises ActionRefused for none."""
    found = warehouse.query(
        "WITH mine AS (SELECT s.root_id FROM recon_break_member m JOIN trade_state s ON s.record_id = m.record_id"
        " WHERE m.break_id = :b), named AS (SELECT d.decision_id FROM match_decision d JOIN trade_state s"
        " ON s.record_id = d.record_id WHERE s.root_id IN (SELECT root_id FROM mine))"
        " SELECT DISTINCT record_id, side FROM match_decision"
        " WHERE decision_id IN (SELECT decision_id FROM named) ORDER BY record_id",
        {"b": break_id},
    ).to_pylist()
    if not found:
        raise ActionRefused("nobody decided about these trades")
    return [(item["record_id"], item["side"]) for item in found]


# --- mappings --------------------------------------------------------------------------------------------------

_MAPPINGS = {
    "account": (ACCOUNT_MAP, ("alias", "account_id"), ("party", "fund", "pb_id", "custodian_id")),
    "instrument": (IDENTIFIER_HISTORY, ("id_source", "id_value", "instrument_id"), ()),
}


def mapping_of(payload: Payload, valid_from: date) -> tuple[str, Row]:
    """Table and row of a mapping. Raises ActionRefused naming what is missing."""
    what = text(payload, "what")
    if what not in _MAPPINGS:
        raise ActionRefused("map_identifier needs what: account or instrument")
    table, needed, optional = _MAPPINGS[what]
    missing = [name for name in needed if not text(payload, name)]
    if missing:
        raise ActionRefused(f"mapping an {what} needs {', '.join(missing)}")
    row: Row = {name: text(payload, name) or None for name in (*needed, *optional)}
    if table is ACCOUNT_MAP:
        row["party"] = row["party"] or "*"
    given = text(payload, "valid_from")
    try:
        row["valid_from"] = date.fromisoformat(given) if given else valid_from
    except ValueError:
        raise ActionRefused(f"valid_from {given!r} is no date such as 2026-11-25") from None
    return table.name, row


def write_mapping(
    warehouse: Warehouse, payload: Payload, valid_from: date, known_at: int | None = None
) -> None:  # fmt: skip
    """Add the mapping to the reference data, learnt at `known_at` (UTC ns); one that is there already is left alone."""
    name, row = mapping_of(payload, valid_from)
    table = ACCOUNT_MAP if name == ACCOUNT_MAP.name else IDENTIFIER_HISTORY
    given = [column for column in row if column != "valid_from"]
    where = " AND ".join(f"EQUAL_NULL({column}, CAST(:{column} AS VARCHAR))" for column in given)
    known = warehouse.query(
        f"SELECT 1 AS one FROM {name} WHERE {where} AND valid_from <= CAST(:valid_from AS DATE)"
        " AND (valid_to IS NULL OR valid_to > CAST(:valid_from AS DATE))",
        {**row, "valid_from": row["valid_from"].isoformat()},
    )
    if not known.num_rows:
        schema = arrow_schema(table)
        told = pa.table({f.name: pa.array([row.get(f.name)], f.type) for f in schema})
        warehouse.append(name, learnt(told, known_at))


def loads(value: str | None) -> dict[str, Any]:
    """The payload as it was kept."""
    found = json.loads(value) if value else {}
    return found if isinstance(found, dict) else {}
