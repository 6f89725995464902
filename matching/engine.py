"""One Match run: new facts in, groups and break changes out, in one transaction.

The state is a pure function of connected components. A run finds the components that new facts touched or whose grace
ended, forgets what was derived for them and derives it again; running everything again gives the same tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from matching import duos, orders, quiet
from matching.asked import execute, found
from matching.changes import FORGET_TIMERS, NEXT_DUE, NEXT_WAIT, WAITS, WRITE_TIMERS
from matching.compiled import Compiled, compile_rules, item_terms
from matching.derive import derive
from matching.finish import rows_of
from matching.levels.all import LEVELS
from matching.levels.port import FeedTerms, Run
from matching.news import news
from matching.revalue import revalue
from matching.rules import RuleSet
from matching.scratch import Noted, cleared
from matching.state import refresh_state
from matching.tables import OWN_TABLES, note_used, prepare
from matching.terms import load_terms
from warehouse.port import Warehouse
from warehouse.sql import timestamp

Scope = Literal["incremental", "all"]
# The year 2200; warehouses differ in the last moment they can hold.
_EVER_NS = 7_258_118_400_000_000_000

# A run that finds facts of other executions, never matched, takes them along: kind `joined`, same seq.
_LOG = """
insert into execution_log (execution, kind, lane, first_number, last_number, count, as_of, seq)
select cast(:execution as varchar),
  coalesce(cast(:kind as varchar), case when count(*) > 0 then 'batch' else 'sweep' end),
  min(m.lane), min(m.number), max(m.number), count(*), cast(:as_of as timestamp_ntz(9)), :seq
from raw_message m where m.execution = :execution
"""


# What began to wait is counted; the rest is told one by one.
_CHANGES = """
select case when c.kind <> 'EXPECTED' then c.break_id end as break_id, c.kind, count(*) as n from break_change c
where c.execution = :execution and c.kind <> 'CLEARED'
group by case when c.kind <> 'EXPECTED' then c.break_id end, c.kind
order by 2, 1
"""
_LOGGED = "select as_of, count as messages from execution_log where execution = :execution order by seq desc limit 1"
_STORED = "select count(*) as messages from raw_message where execution = :execution"


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What one execution changed. Counts are by execution, so a repeated run reports the same."""

    changes: int
    opened: int
    cured: int
    expected: int
    groups: int
    next_due: int | None
    opened_ids: tuple[str, ...] = ()
    changed_ids: tuple[str, ...] = ()
    cured_ids: tuple[str, ...] = ()

    def counts(self) -> Mapping[str, int | None]:
        """The task's answer to the workflow: counts and the next due time (UTC ns), no data."""
        return {
            "changes": self.changes,
            "opened": self.opened,
            "cured": self.cured,
            "expected": self.expected,
            "groups": self.groups,
            "next_due": self.next_due,
        }


def match(
    warehouse: Warehouse,
    *,
    execution: str,
    as_of: int,
    scope: Scope = "incremental",
    rules: RuleSet,
    feeds: Sequence[FeedTerms] = (),
    tenant: str = "main",
    every_rate: bool = False,
) -> MatchResult:
    """Match the facts of every execution not yet matched, `execution` among them, as known at `as_of` (UTC ns).

    Idempotent by `execution`. `scope="all"` derives every component again, as after a change of rules. Exchange rates
    count from when they were known, with `every_rate` all along.
    Raises what the warehouse raises; then nothing was changed.
    """
    if prepare(warehouse):
        scope = "all"
    with warehouse.transaction():
        logged = _logged(warehouse, execution)
        if logged is not None:
            # The log and what was derived were committed together: there is nothing left to do, and doing more
            # (what others stored since, what fell due since) would be work that no log tells of.
            return _result(warehouse, execution, logged)
        joined = _unmatched(warehouse, execution)
        as_of_ns = _record(warehouse, execution, joined, as_of)
        noted = cleared(warehouse)
        result = run(
            noted, compile_rules(rules), execution=execution, joined=joined, as_of_ns=as_of_ns, scope=scope,
            feeds=feeds, tenant=tenant, every_rate=every_rate,
        )  # fmt: skip
    noted.settled()
    return result


def run(
    warehouse: Noted,
    compiled: Compiled,
    *,
    execution: str,
    joined: Sequence[str],
    as_of_ns: int,
    scope: Scope,
    feeds: Sequence[FeedTerms],
    tenant: str,
    every_rate: bool = False,
) -> MatchResult:
    """The run itself, inside the caller's transaction; `joined` are further executions whose facts become visible."""
    names = [*joined, execution]
    if scope == "all":
        names += _column(warehouse, "select distinct execution from execution_log")
        _forget_state(warehouse)
    warehouse.append("work_execution", pa.table({"execution": sorted(set(names))}))
    load_terms(warehouse, compiled, feeds)
    terms = item_terms(compiled, feeds)
    told = news(warehouse)
    warehouse.know(told.absent)
    if new_records := refresh_state(warehouse, terms, told):
        note_used(warehouse, new_records)
    _add_due(warehouse, as_of_ns)
    if found(warehouse, orders.ANY_UNALLOCATED):
        warehouse.execute(orders.TOUCH_HEARD)
    rates_by_ns = _EVER_NS if every_rate else as_of_ns
    seen = Run(warehouse, compiled.rules, feeds, execution, as_of_ns, rates_by_ns, tenant, told)
    changed = duos.refresh(warehouse, timestamp(as_of_ns), tenant, possible=compiled.duo_pass is not None)
    # The status level last: what any other touches may have been refused.
    for level in reversed(LEVELS):
        level.touch(seen)
    waiting, touched = changed.waiting, found(warehouse, "work_component")
    if waiting and touched:
        waiting -= warehouse.execute(duos.FORGET_MET)
    params: dict[str, object] = {
        "as_of": timestamp(as_of_ns), "tenant": tenant, "execution": execution, "rule_set_hash": compiled.rule_set_hash
    }  # fmt: skip
    ended = changed.closing
    if changed.closing:
        for step in quiet.CLEARED_STEPS:
            execute(warehouse, step, params)
    # Who derives everything again looks at everything.
    if scope == "incremental":
        waiting -= _file_quiet(warehouse, compiled, params, waiting=waiting, duos_found=changed.found, touched=touched)
    new = warehouse.execute(duos.TOUCH_FOUND) if changed.found else 0
    if waiting or touched or new:
        ended += derive(seen, compiled, terms, params, fresh=not touched)
    if ended:
        warehouse.execute(WAITS)
        warehouse.execute(FORGET_TIMERS)
    execute(warehouse, WRITE_TIMERS, params)
    # What was not derived again may still be worth something else by now.
    revalue(seen)
    return _result(warehouse, execution, as_of_ns, next_due=NEXT_WAIT if ended else NEXT_DUE)


def _file_quiet(
    warehouse: Warehouse,
    compiled: Compiled,
    params: Mapping[str, object],
    *,
    waiting: int,
    duos_found: int,
    touched: bool,
) -> int:
    """File what needs no comparison; returns how many of the waiting records that were.

    `touched`: whether any component is to be derived.
    """
    filed = 0
    # A refusal asks about what waits.
    if waiting and not found(warehouse, "match_refusal"):
        last = quiet.one_sided(compiled.rules)
        named = {**params, "ours": last.left, "theirs": last.right, "pass_id": last.id}
        filed = execute(warehouse, quiet.EXPECTED, named)
        if filed:
            for step in quiet.EXPECTED_STEPS:
                execute(warehouse, step, named)
    if duos_found and compiled.spares_equals and warehouse.execute(quiet.QUIET if touched else quiet.ALL_QUIET):
        for step in quiet.GROUP_STEPS:
            execute(warehouse, step, {**params, "duo_pass": compiled.duo_pass})
    return filed


def _unmatched(warehouse: Warehouse, execution: str) -> list[str]:
    sql = (
        "select e.execution from (select execution from trade_event union select execution from raw_message"
        " union select execution from match_decision union select execution from quarantine_retry) e"
        " where not exists (select 1 from execution_log x where x.execution = e.execution)"
    )
    return sorted({*_column(warehouse, sql)} - {execution})


def _logged(warehouse: Warehouse, execution: str) -> int | None:
    """The time the execution was matched as of (UTC ns), None when it was not, or not all that was stored since.

    A range that is stored in parts, as after the process died in it, may have been joined by another run in between.
    """
    found = rows_of(warehouse.query(_LOGGED, {"execution": execution}))
    if not found or rows_of(warehouse.query(_STORED, {"execution": execution}))[0]["messages"] > found[0]["messages"]:
        return None
    return int(found[0]["as_of"])


def _record(warehouse: Warehouse, execution: str, joined: Iterable[str], as_of: int) -> int:
    """Log the run; returns the time it counts as: knowledge never goes back."""
    newest = rows_of(warehouse.query("select max(as_of) as as_of, max(seq) as seq from execution_log"))[0]
    as_of_ns = max(as_of, newest["as_of"] or 0)
    params = {"as_of": timestamp(as_of_ns), "seq": (newest["seq"] or 0) + 1}
    for name in [*joined, execution]:
        kind = "joined" if name != execution else None
        warehouse.execute(_LOG, {**params, "execution": name, "kind": kind})
    return as_of_ns


def _forget_state(warehouse: Warehouse) -> None:
    for table in (*(own.name for own in OWN_TABLES), "trade_state"):
        warehouse.execute(f"delete from {table}")
    warehouse.execute(
        "insert into work_component select component from match_group"
        " union select component from recon_break where state <> 'CURED'"
    )


def _add_due(warehouse: Warehouse, as_of_ns: int) -> None:
    """Components in which some grace has ended, besides those that new facts touched."""
    warehouse.execute(
        "insert into work_component select distinct b.component from recon_break b"
        " where b.state = 'EXPECTED' and b.due_at <= cast(:as_of as timestamp_ntz(9))"
        " and not exists (select 1 from work_component c where c.component = b.component)",
        {"as_of": timestamp(as_of_ns)},
    )


def _result(warehouse: Warehouse, execution: str, as_of_ns: int, *, next_due: str = NEXT_DUE) -> MatchResult:
    rows = warehouse.query(_CHANGES, {"execution": execution}).to_pylist()
    expected = sum(row["n"] for row in rows if row["kind"] == "EXPECTED")
    by_kind: dict[str, list[str]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(row["break_id"])
    opened = tuple(sorted([*by_kind.get("OPENED", []), *by_kind.get("REOPENED", [])]))
    changed, cured = tuple(by_kind.get("CHANGED", [])), tuple(by_kind.get("CURED", []))
    groups = warehouse.query(
        "select count(*) as n from match_group where as_of = cast(:as_of as timestamp_ntz(9))",
        {"as_of": timestamp(as_of_ns)},
    )
    due = rows_of(warehouse.query(next_due))
    return MatchResult(
        changes=len(opened) + len(changed) + len(cured),
        opened=len(opened),
        cured=len(cured),
        expected=expected,
        groups=groups["n"][0].as_py(),
        next_due=due[0]["due"],
        opened_ids=opened,
        changed_ids=changed,
        cured_ids=cured,
    )


def _column(warehouse: Warehouse, sql: str) -> list[str]:
    values: list[str] = warehouse.query(sql).column(0).to_pylist()
    return values
