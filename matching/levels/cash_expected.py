"""Cash that reference data says is to be paid (`expected_cash`): which of it our books do not show themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from matching.levels import books
from matching.levels.books import Row
from matching.levels.port import Run

_ENTRIES = books.told("cash_entry")
# The newest version of each row, at the broker that the account map names; where it names none, the first that sends
# statements of the account.
_EXPECTED = f"""
select x.entry_uid, x.valid_from, x.account_id, x.ccy, x.value_date, x.entry_type, x.amount, x.instrument_id,
  coalesce(m.pb_id, s.pb_id, '') as pb_id,
  'C|' || coalesce(m.pb_id, s.pb_id, '') || '|' || x.account_id || '|' || x.ccy as component
from (
  select e.* from expected_cash e
  qualify row_number() over (partition by e.entry_uid order by e.valid_from desc) = 1
) x
  left join (
    select a.account_id, min(a.pb_id) as pb_id from account_map a where a.pb_id is not null group by a.account_id
  ) m on m.account_id = x.account_id
  left join (
    select c.account_id, min(c.pb_id) as pb_id from {_ENTRIES} c where c.source_role = 'PB' group by c.account_id
  ) s on s.account_id = x.account_id
"""

# Tills of rows not looked at yet, and of all rows of an account whose cash was told now.
TOUCH = f"""
insert into work_component
with x as ({_EXPECTED}), told as (
  select distinct c.account_id from cash_entry c where c.execution in (select w.execution from work_execution w)
)
select distinct x.component from x
  left join match_expected k on k.entry_uid = x.entry_uid and k.valid_from = x.valid_from
  left join told t on t.account_id = x.account_id
where (k.entry_uid is null or t.account_id is not null)
  and x.component not in (select w.component from work_component w)
"""
LOOKED_AT = """
insert into match_expected
select distinct e.entry_uid, e.valid_from from expected_cash e
where not exists (select 1 from match_expected k where k.entry_uid = e.entry_uid and k.valid_from = e.valid_from)
"""

# What our own statements do not tell: neither under its id nor, as often, as an equal payment.
NOT_BOOKED = f"""
with x as ({_EXPECTED}), own as (
  select c.account_id, c.ccy, c.entry_type, c.entry_uid as uid from {_ENTRIES} c where c.source_role = 'INTERNAL'
  union
  select c.account_id, c.ccy, c.entry_type, c.reference from {_ENTRIES} c
  where c.source_role = 'INTERNAL' and c.reference is not null
), touched as (
  select x.*, row_number() over (
      partition by x.component, x.entry_type, x.value_date, x.amount order by x.entry_uid) as nth
  from x where x.component in (select w.component from work_component w where w.component like 'C|%')
    and not exists (select 1 from own o where o.uid = x.entry_uid and o.account_id = x.account_id and o.ccy = x.ccy
      and o.entry_type = x.entry_type)
), booked as (
  select c.account_id, c.ccy, c.entry_type, c.value_date, c.amount, count(distinct c.entry_uid) as n
  from {_ENTRIES} c where c.source_role = 'INTERNAL' and c.entry_type not in ('BALANCE', 'OPENING_BALANCE')
  group by c.account_id, c.ccy, c.entry_type, c.value_date, c.amount
)
select t.component, 'expected|' || t.entry_uid as record_id, 'INTERNAL' as source_role, t.pb_id,
  t.account_id, t.ccy, t.entry_type, t.value_date, t.amount, t.entry_uid as reference, t.instrument_id,
  t.value_date as day
from touched t left join booked b on b.account_id = t.account_id and b.ccy = t.ccy and b.entry_type = t.entry_type
  and b.value_date = t.value_date and b.amount = t.amount
where t.nth > coalesce(b.n, 0)
order by t.component, t.entry_type, t.value_date, t.entry_uid
"""

# The days for which a kind of payment is expected at all: outside of them a payment surprises nobody.
SPANS = """
select e.entry_type, min(e.value_date) as first_day, max(e.value_date) as last_day from expected_cash e
group by e.entry_type
"""

_ANY = "select 1 as found from expected_cash limit 1"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to be paid and our books do not show; by kind of payment the days that are told at all."""

    rows: tuple[Row, ...] = ()
    spans: Mapping[str, tuple[date, date]] | None = None


def touch(run: Run, *, learnt: bool = False) -> None:
    """Add the tills that expected cash is about, once, and again when their account's cash is told, or its broker."""
    if books.has(run, _ANY):
        if learnt:
            run.warehouse.execute("delete from match_expected")
        run.warehouse.execute(TOUCH)
        run.warehouse.execute(LOOKED_AT)


def expected_in(run: Run) -> Expected:
    """Expected payments of the touched tills; their `record_id` names no fact, `expected` tells them apart."""
    if not books.has(run, _ANY):
        return Expected()
    rows = [{**row, "expected": True} for row in run.warehouse.query(NOT_BOOKED).to_pylist()]
    spans = {row["entry_type"]: (row["first_day"], row["last_day"]) for row in run.warehouse.query(SPANS).to_pylist()}
    return Expected(tuple(rows), spans)
