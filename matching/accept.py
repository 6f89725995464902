"""Small differences of money accepted without a person: within the profile's limit and a cap per prime broker and day.

A pure function of the open breaks of a prime broker's trade date, least amounts first, so that neither arrival nor
batching decides which are accepted. Each acceptance is a row that names the rules, the limit and the running total.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from domain.derived import BREAK_ACCEPTANCE
from domain.schema import arrow_schema
from matching.finish import rows_of
from matching.profiles import ACCEPTABLE
from matching.rules import RuleSet
from warehouse.port import Warehouse

Row = dict[str, Any]
_CODES = ", ".join(f"'{code}'" for code in ACCEPTABLE)

# Prime brokers and trade dates in which something that is, was or may be accepted has changed.
_TOUCHED = f"""
select distinct d.pb_id, d.trade_date from work_diff d
where d.kind <> 'CLEARED' and d.pb_id is not null and d.trade_date is not null and (d.code in ({_CODES})
  or exists (select 1 from break_acceptance a where a.break_id = d.break_id))
order by d.pb_id, d.trade_date
"""
_CANDIDATES = f"""
select b.break_id, b.generation, b.code, b.exposure_base, b.profile, b.rule_set_hash from recon_break b
where b.state = 'OPEN' and b.code in ({_CODES}) and b.exposure_base is not null and b.superseded_by is null
  and b.pb_id = :pb_id and b.trade_date = :trade_date
order by b.exposure_base, b.break_id
"""
_BEFORE = "select * from break_acceptance where pb_id = :pb_id and trade_date = :trade_date"
_FORGET = "delete from break_acceptance where pb_id = :pb_id and trade_date = :trade_date"
_REASONS: Mapping[str, str] = {
    "T16": "commission within the limit",
    "T17": "fees within the limit",
    "T18": "net money within the limit",
    "T29": "rounding of the price within the limit",
}


def accept(
    warehouse: Warehouse, rules: RuleSet, *, as_of_ns: int, execution: str, new: Collection[str] | None = None
) -> int:
    """Bring break_acceptance up to this run's changes; returns how many breaks of the days touched are accepted.

    `new`: the codes of what opened, where nothing that changed was on record before.
    """
    if not rules.acceptance.limits and not any(profile.accept for profile in rules.profiles):
        warehouse.execute("delete from break_acceptance")
        return 0
    if new is not None and not set(ACCEPTABLE).intersection(new):
        return 0
    accepted = 0
    for day in rows_of(warehouse.query(_TOUCHED)):
        candidates = rows_of(warehouse.query(_CANDIDATES, day))
        before = {(row["break_id"], row["generation"]): row for row in rows_of(warehouse.query(_BEFORE, day))}
        rows = _accepted(candidates, before, rules, {**day, "accepted_as_of": as_of_ns, "execution": execution})
        if rows != sorted(before.values(), key=_order):
            warehouse.execute(_FORGET, day)
            warehouse.append("break_acceptance", _table(rows))
        accepted += len(rows)
    return accepted


def _accepted(candidates: list[Row], before: Mapping[tuple[str, int], Row], rules: RuleSet, now: Row) -> list[Row]:
    """The acceptances of one prime broker's trade date; one that stands as it was keeps its time."""
    running, rows = Decimal(0), list[Row]()
    for row in candidates:
        limit, amount = _limit(row, rules), row["exposure_base"]
        if limit is None or amount > limit or running + amount > rules.acceptance.daily_cap:
            continue
        running += amount
        made = {
            **now, "break_id": row["break_id"], "generation": row["generation"], "code": row["code"],
            "amount_base": amount, "limit_base": limit, "cap_base": rules.acceptance.daily_cap,
            "running_base": running, "profile": row["profile"], "rule_set_hash": row["rule_set_hash"],
            "reason": f"{_REASONS[row['code']]} of {limit:f} {rules.base_ccy}",
        }  # fmt: skip
        was = before.get((row["break_id"], row["generation"]))
        if was is not None and (was["code"], was["amount_base"]) == (made["code"], amount):
            made |= {"accepted_as_of": was["accepted_as_of"], "execution": was["execution"]}
        rows.append({name: made[name] for name in BREAK_ACCEPTANCE.columns})
    return sorted(rows, key=_order)


def _limit(row: Row, rules: RuleSet) -> Decimal | None:
    """The most a break of this code may be, by its profile, else for all; None where nothing is accepted."""
    profile = next((one for one in rules.profiles if one.name == row["profile"]), None)
    own = profile.accept.get(row["code"]) if profile is not None else None
    return own if own is not None else rules.acceptance.limits.get(row["code"])


def _order(row: Row) -> tuple[Decimal, str]:
    return row["running_base"], row["break_id"]


def _table(rows: list[Row]) -> pa.Table:
    columns = {}
    for field in arrow_schema(BREAK_ACCEPTANCE):
        values = [row[field.name] for row in rows]
        exact = pa.array(values, pa.int64()).cast(field.type) if pa.types.is_timestamp(field.type) else None
        columns[field.name] = exact if exact is not None else pa.array(values, field.type)
    return pa.table(columns)
