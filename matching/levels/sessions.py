"""Sessions that are not there inside their hours (I06); what is missing from them waits until they are back.

An absence is one break of its own, due some time after it was seen. What would be called missing meanwhile stays
expected; once the session is back it has its grace again, since a backlog comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from domain.ids import digest128
from matching.levels.ingest_sql import NOW as _AT
from matching.levels.ingest_sql import SEEN
from matching.levels.port import FeedTerms, Run
from warehouse.sql import timestamp

ALLOWANCE_SECONDS = 900
# What waits for an absent session is looked at again so often; a long absence is one break all the while.
AGAIN_SECONDS = 3_600
# An absence that ended so long ago moves nothing any more.
_OLD_SECONDS = 86_400
_SECOND_NS = 1_000_000_000
_PREFIX = "I|s|"

_NEW = "select x.execution from work_execution x"
TOUCH = f"""
insert into work_component
select distinct '{_PREFIX}' || s.feed || '|' || cast(s.since as varchar) from session_state s
where s.kind in ('ABSENT', 'PRESENT') and s.execution in ({_NEW})
"""
_NEWS = f"select distinct feed from session_state where kind in ('ABSENT', 'PRESENT') and execution in ({_NEW})"
TOUCH_WAITING = """
insert into work_component
select distinct b.component from recon_break b
where b.code = :code and b.state = 'EXPECTED' and (b.pb_id = :party or :code = 'T02')
  and b.component not in (select c.component from work_component c)
"""
_STATES = f"""
select s.record_id, s.feed, s.session, s.kind, s.since, s.seen_at,
  '{_PREFIX}' || s.feed || '|' || cast(s.since as varchar) as component,
  cast(s.since as varchar) as shown
from session_state s where s.kind in ('ABSENT', 'PRESENT') and s.execution in {SEEN}
"""
_ASKED = f"select component from work_component where component like '{_PREFIX}%'"
_SEVERITY = "select severity from work_code where code = 'I06'"
WAIT = f"""
update work_finding set due_at = {_AT.replace(":as_of", ":until")}
where code = :code and (pb = :party or :code = 'T02')
  and due_at >= {_AT.replace(":as_of", ":since")} and due_at < {_AT.replace(":as_of", ":until")}
"""


@dataclass(frozen=True, slots=True)
class _Absence:
    """`back_at` is None while it lasts; times are UTC ns."""

    record_id: str
    component: str
    feed: str
    session: str
    shown: str
    since: int
    back_at: int | None


def touch(run: Run) -> None:
    """Absences that began or ended, and with them what waits for these feeds."""
    run.warehouse.execute(TOUCH)
    news = set(run.warehouse.query(_NEWS)["feed"].to_pylist())
    for code, party in sorted({_missing(feed) for feed in run.feeds if feed.feed in news}):
        run.warehouse.execute(TOUCH_WAITING, {"code": code, "party": party})


def find(run: Run) -> None:
    """One break per absence, and what is missing put off."""
    feeds = {feed.feed: feed for feed in run.feeds}
    absences = [one for one in _absences(run) if one.feed in feeds]
    asked = set(run.warehouse.query(_ASKED).column(0).to_pylist())
    _tell(run, [(one, feeds[one.feed]) for one in absences if one.component in asked and one.back_at is None])
    for one in absences:
        feed = feeds[one.feed]
        code, party = _missing(feed)
        until = _until(one, feed, run.as_of_ns)
        if until > run.as_of_ns - _OLD_SECONDS * _SECOND_NS:
            terms = {"since": timestamp(one.since), "until": timestamp(until), "code": code, "party": party}
            run.warehouse.execute(WAIT, terms)


def _missing(feed: FeedTerms) -> tuple[str, str]:
    """What its absence makes look missing: our trades at a prime broker, or everybody's with us."""
    return ("T02", "") if feed.role == "INTERNAL" else ("T01", feed.party)


def _until(one: _Absence, feed: FeedTerms, as_of_ns: int) -> int:
    if one.back_at is not None:
        return one.back_at + feed.grace_seconds * _SECOND_NS
    due, again = _due(one), AGAIN_SECONDS * _SECOND_NS
    return due if due > as_of_ns else due + ((as_of_ns - due) // again + 1) * again


def _due(one: _Absence) -> int:
    return one.since + ALLOWANCE_SECONDS * _SECOND_NS


def _absences(run: Run) -> list[_Absence]:
    """Every absence known, in the order they began."""
    table = run.warehouse.query(_STATES)
    for name in ("since", "seen_at"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(pa.timestamp("ns")).cast(pa.int64()))
    states = table.to_pylist()
    back = {row["component"]: row["seen_at"] for row in states if row["kind"] == "PRESENT"}
    found = [
        _Absence(
            row["record_id"], row["component"], row["feed"], row["session"], row["shown"][:19], row["since"],
            back.get(row["component"]),
        )
        for row in states
        if row["kind"] == "ABSENT"
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.since, one.component))


def _tell(run: Run, found: Sequence[tuple[_Absence, FeedTerms]]) -> None:
    if not found:
        return
    severity = run.warehouse.query(_SEVERITY).column(0).to_pylist()[0]
    findings: list[dict[str, object]] = []
    members: list[dict[str, object]] = []
    for one, feed in found:
        key = digest128("break", run.tenant, "INGEST", one.component, "session")
        side, leg = ("left_value", "L") if feed.role == "INTERNAL" else ("right_value", "R")
        findings.append(
            {
                "break_id": key, "level": "INGEST", "pb": feed.party if feed.role == "PB" else None,
                "anchor": one.component, "family": "session", "code": "I06", "due_at": _due(one),
                "trade_date": one.since, side: f"session {one.session} is not there since {one.shown} UTC",
                "rule_id": "ingest", "pass_id": "ingest", "group_key": key, "component": one.component,
                "severity": severity,
            }
        )  # fmt: skip
        members.append(
            {"record_id": one.record_id, "leg": leg, "group_key": key, "pass_id": "ingest", "code": "I06"}
        )  # fmt: skip
    _append(run, "work_finding", findings)
    _append(run, "work_member", members)


def _append(run: Run, name: str, rows: Sequence[dict[str, object]]) -> None:
    """Rows of a scratch table, which may lack columns."""
    schema = run.warehouse.query(f"select * from {name} where 1 = 0").schema
    columns = {}
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.name in ("due_at", "trade_date"):
            moments = pa.array(values, pa.int64()).cast(pa.timestamp("ns"))
            columns[field.name] = moments.cast(field.type, safe=False)
        else:
            columns[field.name] = pa.array(values, field.type)
    run.warehouse.append(name, pa.table(columns))
