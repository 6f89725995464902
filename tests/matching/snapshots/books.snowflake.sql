-- books/trade_effects
with broken as (
select f.break_id, f.code, m.record_id from work_finding f join work_member m on m.group_key = f.group_key
where f.code like 'T%' and f.level <> 'COPY'
union
select b.break_id, b.code, m.record_id from recon_break b join recon_break_member m on m.break_id = b.break_id
where b.code like 'T%' and b.level <> 'COPY' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component)
  and not (b.group_id is null and exists (select 1 from match_member g where g.record_id = m.record_id))
)
select t.break_id, t.code, e.record_id, case when e.source_role = 'INTERNAL' then 'L' else 'R' end as leg,
  coalesce(e.pb_id, f.party) as pb_id, e.account_id, e.instrument_id, e.trade_ccy,
  coalesce(e.settle_ccy, e.trade_ccy) as settle_ccy, e.trade_date, e.settle_date, coalesce(s.is_live, false) as is_live,
  case when e.side in ('BUY', 'BUY_COVER') then e.qty else -e.qty end as qty
from broken t join trade_event e on e.record_id = t.record_id
  left join work_feed f on f.feed = e.feed left join trade_state s on s.record_id = e.record_id
order by t.break_id, e.record_id;

-- positions_sql/lines
with dated as (
select pb_id, as_of_date, case when max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2 then 'EOD' else 'SOD' end as theirs,
  case when max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 then 'EOD' else 'SOD' end as ours
from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) told where snapshot_type in ('SOD', 'EOD') and pb_id is not null
group by pb_id, as_of_date
having max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'SOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2
qualify row_number() over (partition by pb_id order by as_of_date desc) = 1
), snapshots as (
select s.record_id, s.source_role, s.pb_id, s.account_id, s.instrument_id, s.as_of_date, s.long_qty, s.short_qty,
  s.market_value, s.price, s.price_ccy, s.basis, case when d.theirs <> d.ours then 1 else 0 end as rolled
from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) s join dated d on d.pb_id = s.pb_id and d.as_of_date = s.as_of_date
  and s.snapshot_type = case when s.source_role = 'PB' then d.theirs else d.ours end
where s.source_role in ('PB', 'INTERNAL')
qualify rank() over (
  partition by s.feed, s.account_id, case when s.file is null then s.instrument_id end
  order by s.recv_time_utc desc, s.file desc, case when s.file is null then s.record_id end) = 1
), kept as (select * from snapshots union all 
select e.record_id, e.source_role, d.pb_id, e.account_id, e.instrument_id, d.as_of_date,
  case when e.side in ('BUY', 'BUY_COVER') then e.qty else 0 end,
  case when e.side in ('BUY', 'BUY_COVER') then 0 else e.qty end,
  cast(null as number(28, 6)), cast(null as number(28, 12)), cast(null as varchar), cast(null as varchar), 1
from dated d join trade_event e on e.pb_id = d.pb_id and e.trade_date = d.as_of_date and e.source_role = 'INTERNAL'
  join trade_state s on s.record_id = e.record_id and s.is_live
where d.theirs <> d.ours and coalesce(e.asset_class, '') not in ('FX_SPOT', 'FX_FWD', 'FX_NDF')
  and e.account_id in (select k.account_id from snapshots k)
), stated as (
  select pb_id, account_id, instrument_id, as_of_date, max(rolled) as rolled, cast(sum(case when source_role = 'INTERNAL' then coalesce(long_qty, 0) else 0 end) as number(38, 10)) as l_long, cast(sum(case when source_role = 'INTERNAL' then coalesce(short_qty, 0) else 0 end) as number(38, 10)) as l_short, cast(sum(case when source_role = 'INTERNAL' then coalesce(market_value, 0) else 0 end) as number(38, 6)) as l_value, cast(sum(case when source_role = 'PB' then coalesce(long_qty, 0) else 0 end) as number(38, 10)) as r_long, cast(sum(case when source_role = 'PB' then coalesce(short_qty, 0) else 0 end) as number(38, 10)) as r_short, cast(sum(case when source_role = 'PB' then coalesce(market_value, 0) else 0 end) as number(38, 6)) as r_value, max(case when source_role = 'INTERNAL' then price end) as l_price, max(case when source_role = 'INTERNAL' then price_ccy end) as l_price_ccy, max(case when source_role = 'INTERNAL' then basis end) as l_basis, max(case when source_role = 'PB' then price end) as r_price, max(case when source_role = 'PB' then price_ccy end) as r_price_ccy, max(case when source_role = 'PB' then basis end) as r_basis
  from kept group by pb_id, account_id, instrument_id, as_of_date
), closing as (
select c.instrument_id, c.price_date, c.ccy, c.price from close_price c
qualify row_number() over (
  partition by c.instrument_id, c.price_date, c.ccy order by c.valid_from desc, coalesce(c.price_source, '')) = 1
), line as (
  select t.pb_id, t.account_id, t.instrument_id, t.as_of_date, t.rolled, t.l_long, t.l_short, t.l_value, t.r_long, t.r_short, t.r_value, t.l_basis, t.r_price, t.r_price_ccy, t.r_basis, coalesce(t.l_price, c.price) as l_price,
    coalesce(c.ccy, t.l_price_ccy) as l_price_ccy
  from stated t left join closing c on t.l_price is null and t.l_value = 0 and c.instrument_id = t.instrument_id
    and c.price_date = t.as_of_date and c.ccy = t.r_price_ccy
), off as (
  select * from line
  where l_long - l_short <> r_long - r_short or (rolled = 0 and l_long <> r_long)
    or (rolled = 0 and l_price_ccy = r_price_ccy
      and (abs(l_price - r_price) * :of > abs(l_price) * :most
        or (l_value <> 0 and r_value <> 0 and abs(l_value - r_value) * :of > abs(l_value) * :most)))
)
select k.record_id, k.source_role, o.* from off o
  join kept k on k.pb_id = o.pb_id and k.account_id = o.account_id and k.instrument_id = o.instrument_id
order by o.pb_id, o.account_id, o.instrument_id, k.record_id;

-- positions_sql/splits
with dated as (
select pb_id, as_of_date, case when max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2 then 'EOD' else 'SOD' end as theirs,
  case when max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 then 'EOD' else 'SOD' end as ours
from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) told where snapshot_type in ('SOD', 'EOD') and pb_id is not null
group by pb_id, as_of_date
having max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'SOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2
qualify row_number() over (partition by pb_id order by as_of_date desc) = 1
), split as (
  select d.pb_id, d.as_of_date, c.instrument_id, c.ex_date, c.ratio from corporate_action c cross join dated d
  where c.action_type = 'SPLIT' and c.ratio > 0 and c.ex_date <= d.as_of_date
    and c.ex_date >= dateadd('day', -:days, d.as_of_date)
  qualify row_number() over (partition by d.pb_id, c.instrument_id order by c.ex_date desc, c.action_id) = 1
), opening as (
  select s.* from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) s
    join split p on p.pb_id = s.pb_id and p.instrument_id = s.instrument_id and p.ex_date = s.as_of_date
  where s.snapshot_type = 'SOD' and s.source_role = 'INTERNAL'
  qualify rank() over (
    partition by s.feed, s.account_id, s.instrument_id order by s.recv_time_utc desc, s.file desc) = 1
)
select p.pb_id, o.account_id, p.instrument_id, p.ex_date, max(p.ratio) as ratio,
  cast(sum(coalesce(o.long_qty, 0) - coalesce(o.short_qty, 0)) as number(38, 10)) as qty
from split p left join opening o on o.pb_id = p.pb_id and o.instrument_id = p.instrument_id
group by p.pb_id, o.account_id, p.instrument_id, p.ex_date
order by 1, 2, 3;

-- positions_sql/renames
select c.instrument_id as old_id, c.new_instrument_id as new_id, max(coalesce(c.ratio, 1)) as ratio
from corporate_action c where c.action_type in ('RENAME', 'MERGER') and c.new_instrument_id is not null
group by c.instrument_id, c.new_instrument_id
union
select h.id_value, h.instrument_id, 1 from identifier_history h where h.valid_to is not null;

-- positions_sql/pending
with dated as (
select pb_id, as_of_date, case when max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2 then 'EOD' else 'SOD' end as theirs,
  case when max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 then 'EOD' else 'SOD' end as ours
from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) told where snapshot_type in ('SOD', 'EOD') and pb_id is not null
group by pb_id, as_of_date
having max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'EOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'EOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2 or max(case when source_role = 'PB' and snapshot_type = 'SOD' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = 'SOD' then 1 else 0 end) = 2
qualify row_number() over (partition by pb_id order by as_of_date desc) = 1
)
select coalesce(e.pb_id, f.party) as pb_id, e.account_id, e.instrument_id, e.source_role,
  cast(sum(case when e.side in ('BUY', 'BUY_COVER') then e.qty else -e.qty end) as number(38, 10)) as qty
from trade_event e join trade_state s on s.record_id = e.record_id and s.is_live
  left join work_feed f on f.feed = e.feed
  join dated d on d.pb_id = coalesce(e.pb_id, f.party)
    and e.trade_date <= d.as_of_date and e.settle_date > d.as_of_date
where e.source_role in ('INTERNAL', 'PB')
group by coalesce(e.pb_id, f.party), e.account_id, e.instrument_id, e.source_role
order by 1, 2, 3, 4;

-- positions_sql/instruments
with wanted as (select distinct instrument_id from work_line), size as (
  select i.* from instrument i join wanted w on w.instrument_id = i.instrument_id
  qualify row_number() over (partition by i.instrument_id order by i.valid_from desc) = 1
), named as (
  select h.instrument_id, h.id_value from identifier_history h join wanted w on w.instrument_id = h.instrument_id
  where h.id_source = '8' and h.valid_to is null
  qualify row_number() over (partition by h.instrument_id
    order by case when h.id_value like '% %' then 1 else 0 end, length(h.id_value), h.id_value) = 1
)
select w.instrument_id, s.asset_class, s.multiplier, s.price_unit, s.ccy, s.valid_to, n.id_value as symbol
from wanted w left join size s on s.instrument_id = w.instrument_id
  left join named n on n.instrument_id = w.instrument_id
order by w.instrument_id;

-- positions_sql/new_positions
select 1 as found from position_snapshot p
where p.execution in (select x.execution from work_execution x) limit 1;

-- positions_sql/late_trades
select 1 as found from work_version v
where v.trade_date <= (select max(p.as_of_date) from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) p where p.source_role = 'PB') limit 1;

-- cash_sql/touch
insert into work_component
select distinct 'C|' || coalesce(c.pb_id, '') || '|' || c.account_id || '|' || c.ccy from cash_entry c
where c.execution in (select x.execution from work_execution x) or c.record_id in (
  select n.replaces from book_named n where n.execution in (select x.execution from work_execution x));

-- cash_sql/touch_all
insert into work_component
select distinct b.component from recon_break b
where b.component like 'C|%' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component);

-- cash_sql/touch_by_trades
insert into work_component
select distinct b.component from recon_break b
where b.component like 'C|%' and b.state <> 'CURED' and b.code = 'C01'
  and not exists (select 1 from work_component c where c.component = b.component);

-- cash_sql/left_over
with kept as (
select c.*, 'C|' || coalesce(c.pb_id, '') || '|' || c.account_id || '|' || c.ccy as component, s.day from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c
  left join (
    select feed, file, max(value_date) as day from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) every where entry_type = 'BALANCE' group by feed, file
  ) s on s.feed = c.feed and s.file = c.file
where c.source_role in ('INTERNAL', 'PB')
  and 'C|' || coalesce(c.pb_id, '') || '|' || c.account_id || '|' || c.ccy in (select w.component from work_component w where w.component like 'C|%')
qualify row_number() over (
  partition by c.feed, c.entry_type, c.entry_uid order by c.recv_time_utc desc, c.file desc, c.record_id) = 1
), odd as (
  select component, entry_type, value_date, amount, reference, instrument_id from kept where entry_type not in ('BALANCE', 'OPENING_BALANCE')
  group by component, entry_type, value_date, amount, reference, instrument_id
  having sum(case when source_role = 'PB' then 1 else -1 end) <> 0
)
select k.component, k.record_id, k.source_role, k.pb_id, k.account_id, k.ccy, k.entry_type, k.value_date, k.amount,
  k.reference, k.instrument_id, k.day
from kept k join odd o on equal_null(k.component, o.component) and equal_null(k.entry_type, o.entry_type) and equal_null(k.value_date, o.value_date) and equal_null(k.amount, o.amount) and equal_null(k.reference, o.reference) and equal_null(k.instrument_id, o.instrument_id)
order by k.component, k.entry_type, k.value_date, k.reference, k.record_id;

-- cash_sql/balances
with kept as (
select c.*, 'C|' || coalesce(c.pb_id, '') || '|' || c.account_id || '|' || c.ccy as component, s.day from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c
  left join (
    select feed, file, max(value_date) as day from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) every where entry_type = 'BALANCE' group by feed, file
  ) s on s.feed = c.feed and s.file = c.file
where c.source_role in ('INTERNAL', 'PB')
  and 'C|' || coalesce(c.pb_id, '') || '|' || c.account_id || '|' || c.ccy in (select w.component from work_component w where w.component like 'C|%')
qualify row_number() over (
  partition by c.feed, c.entry_type, c.entry_uid order by c.recv_time_utc desc, c.file desc, c.record_id) = 1
)
select k.component, k.record_id, k.source_role, k.pb_id, k.account_id, k.ccy, k.entry_type, k.value_date, k.amount,
  k.feed,
  k.file
from kept k where k.entry_type in ('BALANCE', 'OPENING_BALANCE')
order by k.component, k.value_date desc, k.source_role, k.record_id;

-- cash_sql/covered
select coalesce(c.pb_id, '') as pb_id, c.account_id, c.source_role, min(c.value_date) as first_day,
  max(c.value_date) as day
from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c where c.entry_type = 'BALANCE' and c.account_id in (
  select k.account_id from cash_entry k where k.execution in (select x.execution from work_execution x)
  union select b.account_id from recon_break b join work_component w on w.component = b.component
  union select e.account_id from expected_cash e)
group by coalesce(c.pb_id, ''), c.account_id, c.source_role;

-- cash_sql/expected
select coalesce(e.pb_id, '') as pb_id, e.account_id, coalesce(e.settle_ccy, e.trade_ccy) as ccy, e.settle_date,
  cast(sum(e.net_money) as number(38, 6)) as amount
from trade_event e join trade_state s on s.record_id = e.record_id and s.is_live
where e.source_role = 'INTERNAL' and e.net_money is not null and e.settle_date >= cast(:first as date)
  and e.settle_date <= cast(:last as date)
group by coalesce(e.pb_id, ''), e.account_id, coalesce(e.settle_ccy, e.trade_ccy), e.settle_date;

-- cash_sql/position_breaks
select f.break_id, f.pb as pb_id, f.account as account_id, f.instrument as instrument_id from work_finding f
where f.level = 'POSITION'
union
select b.break_id, b.pb_id, b.account_id, b.instrument_id from recon_break b
where b.level = 'POSITION' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component)
order by 1;

-- cash_sql/any_trade
select 1 as found from work_version limit 1;

-- cash_expected/touch
insert into work_component
with x as (
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
    select c.account_id, min(c.pb_id) as pb_id from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c where c.source_role = 'PB' group by c.account_id
  ) s on s.account_id = x.account_id
), told as (
  select distinct c.account_id from cash_entry c where c.execution in (select w.execution from work_execution w)
)
select distinct x.component from x
  left join match_expected k on k.entry_uid = x.entry_uid and k.valid_from = x.valid_from
  left join told t on t.account_id = x.account_id
where (k.entry_uid is null or t.account_id is not null)
  and x.component not in (select w.component from work_component w);

-- cash_expected/looked_at
insert into match_expected
select distinct e.entry_uid, e.valid_from from expected_cash e
where not exists (select 1 from match_expected k where k.entry_uid = e.entry_uid and k.valid_from = e.valid_from);

-- cash_expected/not_booked
with x as (
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
    select c.account_id, min(c.pb_id) as pb_id from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c where c.source_role = 'PB' group by c.account_id
  ) s on s.account_id = x.account_id
), own as (
  select c.account_id, c.ccy, c.entry_type, c.entry_uid as uid from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c where c.source_role = 'INTERNAL'
  union
  select c.account_id, c.ccy, c.entry_type, c.reference from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c
  where c.source_role = 'INTERNAL' and c.reference is not null
), touched as (
  select x.*, row_number() over (
      partition by x.component, x.entry_type, x.value_date, x.amount order by x.entry_uid) as nth
  from x where x.component in (select w.component from work_component w where w.component like 'C|%')
    and not exists (select 1 from own o where o.uid = x.entry_uid and o.account_id = x.account_id and o.ccy = x.ccy
      and o.entry_type = x.entry_type)
), booked as (
  select c.account_id, c.ccy, c.entry_type, c.value_date, c.amount, count(distinct c.entry_uid) as n
  from (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c where c.source_role = 'INTERNAL' and c.entry_type not in ('BALANCE', 'OPENING_BALANCE')
  group by c.account_id, c.ccy, c.entry_type, c.value_date, c.amount
)
select t.component, 'expected|' || t.entry_uid as record_id, 'INTERNAL' as source_role, t.pb_id,
  t.account_id, t.ccy, t.entry_type, t.value_date, t.amount, t.entry_uid as reference, t.instrument_id,
  t.value_date as day
from touched t left join booked b on b.account_id = t.account_id and b.ccy = t.ccy and b.entry_type = t.entry_type
  and b.value_date = t.value_date and b.amount = t.amount
where t.nth > coalesce(b.n, 0)
order by t.component, t.entry_type, t.value_date, t.entry_uid;

-- cash_expected/spans
select e.entry_type, min(e.value_date) as first_day, max(e.value_date) as last_day from expected_cash e
group by e.entry_type;

-- settlement_sql/any_trade
select 1 as found from work_version limit 1;

-- settlement_sql/touch
insert into work_component
with asked as (
  select t.* from settlement_status t where t.execution in (select x.execution from work_execution x)
), booking as (
select coalesce(e.pb_id, f.party) as pb_id, e.trade_uid, e.record_id, e.account_id, e.instrument_id, e.symbol, e.side,
  e.qty, e.price, e.gross_money, e.trade_ccy, e.trade_date, e.settle_date
from trade_event e left join work_feed f on f.feed = e.feed
where e.source_role = 'PB' and e.status in ('NEW', 'CORRECT')
  and e.trade_uid in (select a.trade_uid from asked a)
qualify row_number() over (
  partition by coalesce(e.pb_id, f.party), e.trade_uid
  order by e.version desc, e.event_time_utc desc, e.recv_time_utc desc, e.record_id) = 1
), told as (
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
select distinct 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid from asked t left join booking b on b.pb_id = t.pb_id and b.trade_uid = t.trade_uid
  left join told k on k.party = t.pb_id
  left join fits i on i.record_id = t.record_id
where t.source_role = 'PB' and (t.settle_status in ('FAILED', 'PARTIAL')
  or (t.settle_status = 'PENDING' and t.settle_date < cast(t.event_time_utc as date))
  or exists (select 1 from recon_break r where r.component = 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid)
  or (t.ssi_id is not null and b.account_id is not null and k.party is not null and i.record_id is null));

-- settlement_sql/touch_booked
insert into work_component
select distinct 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid from settlement_status t
where t.source_role = 'PB' and t.ssi_id is not null and t.trade_uid in (
    select e.trade_uid from work_version w join trade_event e on e.record_id = w.record_id where e.source_role = 'PB')
  and 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid not in (select c.component from work_component c);

-- settlement_sql/touch_instructed
insert into work_component
select distinct 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid from settlement_status t
where t.source_role = 'PB' and t.ssi_id is not null
  and 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid not in (select c.component from work_component c);

-- settlement_sql/touch_by_trades
insert into work_component
select distinct b.component from recon_break b
where b.component like 'S|%' and b.state <> 'CURED'
  and not exists (select 1 from work_component c where c.component = b.component);

-- settlement_sql/statuses
with asked as (
  select t.*, 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid as component from (select f.* from settlement_status f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w)))) t
  where t.source_role = 'PB'
    and 'S|' || coalesce(t.pb_id, '') || '|' || t.trade_uid in (select w.component from work_component w where w.component like 'S|%')
  qualify row_number() over (
    partition by t.pb_id, t.trade_uid
    order by t.event_time_utc desc, t.recv_time_utc desc, t.file desc, t.line desc, t.record_id) = 1
), booking as (
select coalesce(e.pb_id, f.party) as pb_id, e.trade_uid, e.record_id, e.account_id, e.instrument_id, e.symbol, e.side,
  e.qty, e.price, e.gross_money, e.trade_ccy, e.trade_date, e.settle_date
from trade_event e left join work_feed f on f.feed = e.feed
where e.source_role = 'PB' and e.status in ('NEW', 'CORRECT')
  and e.trade_uid in (select a.trade_uid from asked a)
qualify row_number() over (
  partition by coalesce(e.pb_id, f.party), e.trade_uid
  order by e.version desc, e.event_time_utc desc, e.recv_time_utc desc, e.record_id) = 1
), told as (
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
select t.component, t.record_id, t.pb_id, t.trade_uid, t.settle_status, t.reason_code, t.settled_qty, t.remaining_qty,
  t.place_of_settlement, t.ssi_id, t.settle_date, t.event_time_utc, b.record_id as booking_id, b.account_id,
  b.instrument_id, b.symbol, b.side, b.qty, b.price, b.gross_money, b.trade_ccy, b.trade_date,
  b.settle_date as booked_date,
  coalesce(t.settle_status = 'PENDING' and t.settle_date < cast(t.event_time_utc as date), false) as late,
  t.ssi_id is not null and b.account_id is not null and k.party is not null and i.record_id is null as misdirected, u.ssi_id as right_ssi
from asked t left join booking b on b.pb_id = t.pb_id and b.trade_uid = t.trade_uid
  left join told k on k.party = t.pb_id
  left join fits i on i.record_id = t.record_id
  left join usual u on u.party = t.pb_id and u.account_id = b.account_id
    and u.place_of_settlement = t.place_of_settlement
order by t.component;

-- late/news
select distinct e.pb_id as party, cast(null as varchar) as feed, v.trade_date as day
from work_version w join match_version v on v.record_id = w.record_id join trade_event e on e.record_id = w.record_id
union
select null, p.feed, p.as_of_date from position_snapshot p
where p.execution in (select x.execution from work_execution x)
union
select null, c.feed, c.value_date from cash_entry c
where c.entry_type = 'BALANCE' and c.execution in (select x.execution from work_execution x)
union
select null, c.feed, null from cash_entry c where c.execution in (select x.execution from work_execution x)
union
select null, s.feed, null from settlement_status s where s.execution in (select x.execution from work_execution x);

-- late/standing
select distinct b.component from recon_break b where b.code = 'I06' and b.state <> 'CURED' and b.component like 'I|b|%';

-- late/asked
select component from work_component where component like 'I|b|%';

-- late/find
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, trade_date, left_value, right_value,
  rule_id, pass_id, group_key, component, severity)
with owed as (select l.component from work_late l join match_version v on v.trade_date = l.day
  join trade_event e on e.record_id = v.record_id
where v.leg = 'L' and v.is_tip and v.status <> 'CANCEL' and not v.held and (l.role = 'INTERNAL' or e.pb_id = l.party)
union
select l.component from work_late l join (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) p on p.as_of_date = l.day
where l.contents = 'positions' and p.source_role <> l.role and (l.role = 'INTERNAL' or p.pb_id = l.party)
union
select l.component from work_late l join (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c on c.value_date = l.day and c.entry_type = 'BALANCE'
where l.contents = 'cash' and c.source_role <> l.role and (l.role = 'INTERNAL' or c.pb_id = l.party)), spoke as (select l.component from work_late l join (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) p on p.feed = l.feed and p.as_of_date >= l.day
union
select l.component from work_late l join (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) c on c.feed = l.feed
where (c.entry_type = 'BALANCE' and c.value_date >= l.day)
  or (c.recv_time_utc >= l.since and c.feed not in (select b.feed from cash_entry b where b.entry_type = 'BALANCE'))
union
select l.component from work_late l join (select f.* from settlement_status f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w)))) s on s.feed = l.feed and s.recv_time_utc >= l.since)
select l.break_id, 'INGEST', case when l.role = 'PB' then l.party end, l.component, 'feed', 'I06', l.due_at, l.day,
  case when l.role = 'INTERNAL' then l.shown end, case when l.role <> 'INTERNAL' then l.shown end, 'ingest', 'ingest',
  l.break_id, l.component, k.severity
from work_late l join work_code k on k.code = 'I06'
where l.component in (select o.component from owed o) and l.component not in (select s.component from spoke s);

