"""The status level: orphaned references (T24), refusals by a prime broker (T25), bookings not affirmed in time (T27).

Its breaks live in components of their own: `A|h|` a chain whose first version is missing, `A|r|` a refusal of something
we do not know, `A|f|` a booking. A refusal of a trade of ours is the missing booking itself (T01) under its true name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from matching.asked import found
from matching.deadlines import Deadlines, business_days
from matching.levels import status_sql as sql
from matching.levels.port import Run
from warehouse.port import Warehouse
from warehouse.sql import timestamp

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StatusLevel:
    """T24, T25 and T27; reads nothing where no such fact exists."""

    name: str = "status"

    def touch(self, run: Run) -> None:
        """Chains new versions belong to, refusals and what they refuse, bookings affirmed or past their cut-off."""
        if found(run.warehouse, "match_version where held"):
            _execute(run, sql.TOUCH_HELD)
        if found(run.warehouse, "recon_break where code = 'T24' and state <> 'CURED'"):
            _execute(run, sql.TOUCH_CAME)
        refused = _execute(run, sql.NEW_REFUSALS) if run.told.refused else 0
        if "acknowledgement" in run.told.present:
            refused += _execute(run, sql.NEW_ANSWERS)
        if refused:
            _execute(run, sql.NEW_REFUSAL_PLACES)
        if refused or "match_refusal" in run.told.present:
            _execute(run, sql.NEW_TRADE_PLACES)
            _execute(run, sql.REFUSAL_PLACES)
            while _execute(run, sql.TOUCH_REFUSALS) and _execute(run, sql.TOUCH_REFUSED):
                pass
        if "affirmation" in run.told.present:
            _touch_affirmations(run)

    def find(self, run: Run) -> None:
        """The breaks of this level's components, and missing bookings that were refused under their own code."""
        touched = {kind: run.touched(f"A|{kind}|") for kind in "hrf"}
        if touched["h"]:
            _each(run, (sql.FIND_HELD, sql.FIND_HELD_MEMBERS))
        if touched["r"]:
            _each(
                run,
                (
                    sql.REFUSED, sql.REFUSED_FINDINGS, sql.REFUSED_MEMBERS, sql.FORGET_MISSING, sql.FIND_REFUSED,
                    sql.FIND_REFUSED_MEMBERS,
                ),
            )  # fmt: skip
        if touched["f"]:
            _load_cutoffs(run, _dates(run.warehouse, sql.FIND_DATES))
            _each(run, (sql.FIND_AFFIRM, sql.FIND_AFFIRM_MEMBERS))


def _touch_affirmations(run: Run) -> None:
    _load_cutoffs(run, _dates(run.warehouse, sql.AFFIRM_DATES))
    _each(run, (sql.WRITE_DUE, sql.TOUCH_AFFIRMED, sql.TOUCH_BOOKED, sql.TOUCH_FIRST, sql.TOUCH_DUE, sql.FORGET_DUE))


def affirm_grace_seconds(run: Run) -> int:
    """How long after the cut-off what a prime broker said by then may still arrive."""
    return max((feed.grace_seconds for feed in run.feeds if feed.contents == "affirmations"), default=0)


def _load_cutoffs(run: Run, dates: Sequence[date]) -> None:
    """When bookings of these trade dates must be affirmed, the grace of the feeds that say so included."""
    known = _dates(run.warehouse, "select trade_date from work_cutoff")
    fresh = sorted(set(dates) - set(known))
    if not fresh:
        return
    deadlines = Deadlines(business_days(run.warehouse))
    grace_ns = affirm_grace_seconds(run) * _SECOND_NS
    due = [(deadlines.of("T27", day, None, 0) or 0) + grace_ns for day in fresh]
    moments = pa.array(due, pa.int64()).cast(pa.timestamp("ns"))
    run.warehouse.append("work_cutoff", pa.table({"trade_date": pa.array(fresh, pa.date32()), "due_at": moments}))


def _dates(warehouse: Warehouse, statement: str) -> list[date]:
    values: list[date] = warehouse.query(statement).column(0).to_pylist()
    return values


def _each(run: Run, statements: Sequence[str]) -> None:
    for statement in statements:
        _execute(run, statement)


def _execute(run: Run, statement: str) -> int:
    known: Mapping[str, object] = {
        "as_of": timestamp(run.as_of_ns),
        "tenant": run.tenant,
        "execution": run.execution,
        "affirm_grace": affirm_grace_seconds(run),
    }
    return run.warehouse.execute(statement, {name: value for name, value in known.items() if f":{name}" in statement})
