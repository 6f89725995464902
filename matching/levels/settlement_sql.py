"""What the settlement level asks the warehouse: newest status of a booking, its trade, the instruction it used."""

from matching.levels.books import told

COMPONENT = "'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid"
ANY_TRADE = "select 1 as found from work_version limit 1"

# The booking a status is about, live or not: the newest record of that id at that broker.
_BOOKING = """
select coalesce(e.pb_id, f.party) as pb_id, e.trade_uid, e.record_id, e.account_id, e.instrument_id, e.symbol, e.side,
  e.qty, e.price, e.gross_money, e.trade_ccy, e.trade_date, e.settle_date
from trade_event e left join work_feed f on f.feed = e.feed
where e.source_role = 'PB' and e.status in ('NEW', 'CORRECT')
  and e.trade_uid in (select a.trade_uid from {asked} a)
qualify row_number() over (
  partition by coalesce(e.pb_id, f.party), e.trade_uid
  order by e.version desc, e.event_time_utc desc, e.recv_time_utc desc, e.record_id) = 1
"""

# The instruction shown must be this account's at this broker, of the place shown and valid on the day. What fits is
# found by joins: a correlated subquery with ranges is refused by some warehouses.
_INSTRUCTED = """
told as (
  select distinct party from ssi
), fits as (
  select distinct t.record_id from asked t join booking b on b.pb_id = t.pb_id and b.trade_uid = t.trade_uid
    join ssi i on i.ssi_id = t.ssi_id and i.party = t.pb_id and i.account_id = b.account_id
  where (t.place_of_settlement is null or i.place_of_settlement is null
      or i.place_of_settlement = t.place_of_settlement)
    and (t.settle_date is null or i.valid_from <= t.settle_date)
    and (t.settle_date is null or i.valid_to is null or i.valid_to > t.settle_date)
), usual as (
  select party, account_id, place_of_settlement, min(ssi_id) as ssi_id from ssi where valid_to is null
  group by party, account_id, place_of_settlement
)
"""
_JOINED = """
  left join booking b on b.pb_id = t.pb_id and b.trade_uid = t.trade_uid
  left join told k on k.party = t.pb_id
  left join fits i on i.record_id = t.record_id
"""
_MISDIRECTED = "t.ssi_id is not null and b.account_id is not null and k.party is not null and i.record_id is null"

# Only what is not simply settled, what was told wrong before, and what went another way than instructed.
TOUCH = f"""
insert into work_component
with asked as (
  select t.* from settlement_status t where t.execution in (select x.execution from work_execution x)
), booking as ({_BOOKING.format(asked="asked")}), {_INSTRUCTED.strip()}
select distinct {COMPONENT} from asked t {_JOINED.strip()}
where t.source_role = 'PB' and (t.settle_status in ('FAILED', 'PARTIAL')
  or (t.settle_status = 'PENDING' and t.settle_date < cast(t.event_time_utc as date))
  or exists (select 1 from recon_break r where r.component = {COMPONENT})
  or ({_MISDIRECTED}))
"""
# A booking told after its status, or under another name; instructions told after it.
TOUCH_BOOKED = f"""
insert into work_component
select distinct {COMPONENT} from settlement_status t
where t.source_role = 'PB' and t.ssi_id is not null and t.trade_uid in (
    select e.trade_uid from work_version w join trade_event e on e.record_id = w.record_id where e.source_role = 'PB')
  and {COMPONENT} not in (select c.component from work_component c)
"""
TOUCH_INSTRUCTED = f"""
insert into work_component
select distinct {COMPONENT} from settlement_status t
where t.source_role = 'PB' and t.ssi_id is not null
  and {COMPONENT} not in (select c.component from work_component c)
"""
# Trades that arrive may explain an open fail, or no longer.
TOUCH_BY_TRADES = """
insert into work_component
select distinct b.component from recon_break b
where b.component like 'S|%' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component)
"""

STATUSES = f"""
with asked as (
  select t.*, {COMPONENT} as component from {told("settlement_status")} t
  where t.source_role = 'PB'
    and {COMPONENT} in (select w.component from work_component w where w.component like 'S|%')
  qualify row_number() over (
    partition by t.pb_id, t.trade_uid
    order by t.event_time_utc desc, t.recv_time_utc desc, t.file desc, t.line desc, t.record_id) = 1
), booking as ({_BOOKING.format(asked="asked")}), {_INSTRUCTED.strip()}
select t.component, t.record_id, t.pb_id, t.trade_uid, t.settle_status, t.reason_code, t.settled_qty, t.remaining_qty,
  t.place_of_settlement, t.ssi_id, t.settle_date, t.event_time_utc, b.record_id as booking_id, b.account_id,
  b.instrument_id, b.symbol, b.side, b.qty, b.price, b.gross_money, b.trade_ccy, b.trade_date,
  b.settle_date as booked_date,
  coalesce(t.settle_status = 'PENDING' and t.settle_date < cast(t.event_time_utc as date), false) as late,
  {_MISDIRECTED} as misdirected, u.ssi_id as right_ssi
from asked t {_JOINED.strip()}
  left join usual u on u.party = t.pb_id and u.account_id = b.account_id
    and u.place_of_settlement = t.place_of_settlement
order by t.component
"""
