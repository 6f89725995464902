"""What the cash level asks the warehouse: entries without an equal on the other side, balances, expected trades."""

from matching.levels.books import told

_ENTRIES = told("cash_entry")
COMPONENT = "'C|' || coalesce(c.pb_id, '') || '|' || c.account_id || '|' || c.ccy"

TOUCH = f"""
insert into work_component
select distinct {COMPONENT} from cash_entry c
where c.execution in (select x.execution from work_execution x) or c.record_id in (
  select n.replaces from book_named n where n.execution in (select x.execution from work_execution x))
"""
# A broker named later: whose expected cash it is, is another question then.
TOUCH_ALL = """
insert into work_component
select distinct b.component from recon_break b
where b.component like 'C|%' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component)
"""
# Cash that waits for trades: whatever trades arrive may explain it, or settle it.
TOUCH_BY_TRADES = """
insert into work_component
select distinct b.component from recon_break b
where b.component like 'C|%' and b.state <> 'CURED' and b.code = 'C01'
  and not exists (select 1 from work_component c where c.component = b.component)
"""

# A statement is a file; it is of the day of its newest balance. An entry told again counts once.
_KEPT = f"""
select c.*, {COMPONENT} as component, s.day from {_ENTRIES} c
  left join (
    select feed, file, max(value_date) as day from {_ENTRIES} every where entry_type = 'BALANCE' group by feed, file
  ) s on s.feed = c.feed and s.file = c.file
where c.source_role in ('INTERNAL', 'PB')
  and {COMPONENT} in (select w.component from work_component w where w.component like 'C|%')
qualify row_number() over (
  partition by c.feed, c.entry_type, c.entry_uid order by c.recv_time_utc desc, c.file desc, c.record_id) = 1
"""
_SAME = ("component", "entry_type", "value_date", "amount", "reference", "instrument_id")

# Entries whose economics the other side does not show as often.
LEFT_OVER = f"""
with kept as ({_KEPT}), odd as (
  select {", ".join(_SAME)} from kept where entry_type not in ('BALANCE', 'OPENING_BALANCE')
  group by {", ".join(_SAME)}
  having sum(case when source_role = 'PB' then 1 else -1 end) <> 0
)
select k.component, k.record_id, k.source_role, k.pb_id, k.account_id, k.ccy, k.entry_type, k.value_date, k.amount,
  k.reference, k.instrument_id, k.day
from kept k join odd o on {" and ".join(f"equal_null(k.{name}, o.{name})" for name in _SAME)}
order by k.component, k.entry_type, k.value_date, k.reference, k.record_id
"""

# Opening and closing balances, newest day first.
BALANCES = f"""
with kept as ({_KEPT})
select k.component, k.record_id, k.source_role, k.pb_id, k.account_id, k.ccy, k.entry_type, k.value_date, k.amount,
  k.feed,
  k.file
from kept k where k.entry_type in ('BALANCE', 'OPENING_BALANCE')
order by k.component, k.value_date desc, k.source_role, k.record_id
"""

# From which day to which each side has sent statements of an account.
COVERED = f"""
select coalesce(c.pb_id, '') as pb_id, c.account_id, c.source_role, min(c.value_date) as first_day,
  max(c.value_date) as day
from {_ENTRIES} c where c.entry_type = 'BALANCE' and c.account_id in (
  select k.account_id from cash_entry k where k.execution in (select x.execution from work_execution x)
  union select b.account_id from recon_break b join work_component w on w.component = b.component
  union select e.account_id from expected_cash e)
group by coalesce(c.pb_id, ''), c.account_id, c.source_role
"""

# What our live trades say will be paid: for entries that we do not send ourselves.
EXPECTED = """
select coalesce(e.pb_id, '') as pb_id, e.account_id, coalesce(e.settle_ccy, e.trade_ccy) as ccy, e.settle_date,
  cast(sum(e.net_money) as number(38, 6)) as amount
from trade_event e join trade_state s on s.record_id = e.record_id and s.is_live
where e.source_role = 'INTERNAL' and e.net_money is not null and e.settle_date >= cast(:first as date)
  and e.settle_date <= cast(:last as date)
group by coalesce(e.pb_id, ''), e.account_id, coalesce(e.settle_ccy, e.trade_ccy), e.settle_date
"""

# Position breaks of this run and still open ones: a dividend on another quantity is another dividend.
POSITION_BREAKS = """
select f.break_id, f.pb as pb_id, f.account as account_id, f.instrument as instrument_id from work_finding f
where f.level = 'POSITION'
union
select b.break_id, b.pb_id, b.account_id, b.instrument_id from recon_break b
where b.level = 'POSITION' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component)
order by 1
"""

ANY_TRADE = "select 1 as found from work_version limit 1"
