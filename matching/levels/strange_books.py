"""Positions and cash of accounts that no account map knows: the same break as for trades (I04), one per account.

A position asks while it is of the newest day its feed has told, a cash entry until its account has a name; both no more
once they are told again under another name (`book_named`).
"""

from matching.levels.books import told

_RUN = "(select x.execution from work_execution x)"
_UNMAPPED = "flags like '%I04_%'"
_POSITIONS, _CASH = told("position_snapshot"), told("cash_entry")


def _new(table: str) -> str:
    return f"""
select b.record_id, 'I04', 'I|a|' || coalesce(s.party, b.feed) || '|' || b.account_id, b.feed,
  case when b.source_role = 'INTERNAL' then 'L' else 'R' end, b.execution
from {table} b left join work_source s on s.feed = b.feed
where b.execution in {_RUN} and b.{_UNMAPPED}
  and not exists (select 1 from match_mark m where m.record_id = b.record_id)
"""


ANY = "\nunion all\n".join(
    f"select 1 as one from {table} b where b.execution in {_RUN}"
    for table in ("position_snapshot", "cash_entry", "book_named")
)
# Needs work_source.
NEW_MARKS = f"""
insert into match_mark (record_id, code, component, feed, leg, execution)
{_new("position_snapshot").strip()}
union all
{_new("cash_entry").strip()}
"""
# What may be history now: of feeds that told positions anew, and rows that were told again under another name.
TOUCH = f"""
insert into work_component
select distinct m.component from match_mark m
where m.code = 'I04' and (m.record_id in (select n.replaces from book_named n where n.execution in {_RUN})
    or m.feed in (select p.feed from position_snapshot p where p.execution in {_RUN}))
  and m.component not in (select c.component from work_component c)
"""


def _item(rows: str, day: str) -> str:
    """The marked of these rows with the columns of `matching.levels.ingest_sql`."""
    return f"""
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, {day} as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join {rows} b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c)"""


ITEMS = f"""{_item(_POSITIONS, "b.as_of_date")} and b.record_id in (
        select p.record_id from {_POSITIONS} p qualify p.as_of_date = max(p.as_of_date) over (partition by p.feed))
    union all{_item(_CASH, "b.value_date")}"""
