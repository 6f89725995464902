-- status_sql/touch_held
insert into work_component
select distinct 'A|h|' || v.root_id from match_version v join work_version w on w.record_id = v.record_id where v.held;

-- status_sql/touch_came
insert into work_component
select distinct b.component from recon_break b join recon_break_member m on m.break_id = b.break_id
  join work_version w on w.record_id = m.record_id
where b.state <> 'CURED' and b.component like 'A|h|%' and b.component not in (select c.component from work_component c);

-- status_sql/find_held
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || v.root_id || chr(31) || 'reference', 256), 32), 'STATUS', e.pb_id, v.root_id, 'reference', 'T24',
  dateadd('second', 900, v.recv_at), e.instrument_id, e.symbol, coalesce(e.account_id, e.account_raw),
  e.side, e.trade_date, e.settle_date, e.trade_ccy, case when abs(e.qty) < 10000000000 and abs(e.price) < 100000000 and abs(coalesce(e.multiplier, 1)) < 10000 then cast(abs(cast(cast(e.qty as number(19, 8)) * cast(coalesce(e.multiplier, 1) as number(9, 4)) as number(20, 6)) * cast(e.price as number(18, 8))) as number(28, 6)) end,
  case when v.leg = 'L' then v.status || ' of ' || v.ref_uid end,
  case when v.leg = 'R' then v.status || ' of ' || v.ref_uid end,
  'orphan', 'status', left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || v.root_id || chr(31) || 'reference', 256), 32), 'A|h|' || v.root_id, e.qty, e.price, k.severity
from match_version v join trade_event e on e.record_id = v.record_id join work_code k on k.code = 'T24'
where v.held and v.is_tip and 'A|h|' || v.root_id in (select c.component from work_component c);

-- status_sql/find_held_members
insert into work_member (record_id, leg, group_key, pass_id, code)
select v.record_id, v.leg, left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || v.root_id || chr(31) || 'reference', 256), 32), 'status', 'T24'
from match_version v where v.held and 'A|h|' || v.root_id in (select c.component from work_component c);

-- status_sql/new_refusals
insert into match_refusal (record_id, pb, uid, own_uid, order_id, client_order_id, account, instrument, symbol, side,
  qty, price, multiplier, ccy, trade_date, settle_date, block, recv_at, reason, execution)
select e.record_id, e.pb_id, e.cross_uid, coalesce(e.trade_uid, e.record_id), e.order_id, e.client_order_id,
  coalesce(e.account_id, e.account_raw), e.instrument_id, e.symbol, e.side, e.qty, e.price,
  coalesce(e.multiplier, 1), e.trade_ccy, e.trade_date, e.settle_date,
  cast(e.trade_date as varchar) || '|' || e.instrument_id, e.recv_time_utc, cast(null as varchar), e.execution
from trade_event e
where e.status = 'REJECT' and e.source_role = 'PB' and e.execution in (select x.execution from work_execution x)
  and not exists (select 1 from match_refusal m where m.record_id = e.record_id);

-- status_sql/new_answers
insert into match_refusal (record_id, pb, uid, client_order_id, account, trade_date, recv_at, reason,
  execution)
select a.record_id, a.pb_id, a.trade_uid, a.client_order_id, coalesce(a.account_id, a.account_raw),
  cast(a.event_time_utc as date), a.recv_time_utc, coalesce(a.reason, a.reason_code), a.execution
from acknowledgement a
where a.status = 'REJECTED' and a.source_role = 'PB' and a.msg_type <> 'AU'
  and a.execution in (select x.execution from work_execution x)
  and not exists (select 1 from match_refusal m where m.record_id = a.record_id);

-- status_sql/new_refusal_places
insert into match_refusal_place (record_id, block)
select r.record_id, r.block from match_refusal r where r.block is not null and r.execution in (select x.execution from work_execution x)
union
select r.record_id, v.block from match_refusal r join match_version v on v.uid = r.uid
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and r.execution in (select x.execution from work_execution x)
union
select r.record_id, v.block from match_refusal r join match_version v on v.root_uid = r.uid
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and r.execution in (select x.execution from work_execution x)
union
select r.record_id, v.block from match_refusal r join match_version v on v.cross_uid = r.own_uid
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and r.execution in (select x.execution from work_execution x)
union
select r.record_id, v.block from match_refusal r join match_version v on split_part(v.root_uid, '/', 1) = split_part(r.uid, '/', 1) and v.root_uid like r.uid || '/%'
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and r.execution in (select x.execution from work_execution x);

-- status_sql/new_trade_places
insert into match_refusal_place (record_id, block)
select n.record_id, n.block from (
select r.record_id, v.block from match_refusal r join match_version v on v.uid = r.uid
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and v.record_id in (select w.record_id from work_version w)
union
select r.record_id, v.block from match_refusal r join match_version v on v.root_uid = r.uid
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and v.record_id in (select w.record_id from work_version w)
union
select r.record_id, v.block from match_refusal r join match_version v on v.cross_uid = r.own_uid
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and v.record_id in (select w.record_id from work_version w)
union
select r.record_id, v.block from match_refusal r join match_version v on split_part(v.root_uid, '/', 1) = split_part(r.uid, '/', 1) and v.root_uid like r.uid || '/%'
where v.leg = 'L' and (r.block is null or left(v.block, 10) = left(r.block, 10)) and v.record_id in (select w.record_id from work_version w)
) n where not exists (
  select 1 from match_refusal_place p where p.record_id = n.record_id and p.block = n.block);

-- status_sql/refusal_places
insert into work_place_of (record_id, component)
select distinct p.record_id, b.component from match_refusal_place p join match_block b on b.block = p.block;

-- status_sql/touch_refusals
insert into work_component
with changed as (
  select d.uid, d.left_id, d.block from work_duo d union all select g.uid, g.left_id, g.block from work_gone g
)
select distinct 'A|r|' || r.record_id from match_refusal r
where (r.execution in (select x.execution from work_execution x)
    or r.record_id in (select p.record_id from work_place_of p where p.component in (select c.component from work_component c))
    or r.record_id in (
  select r.record_id from match_refusal r join changed d on d.uid = r.uid and (r.block is null or left(d.block, 10) = left(r.block, 10))
  union
  select r.record_id from match_version v join match_refusal r on v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account and v.order_id = r.order_id
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from changed d)
  union
  select r.record_id from match_version v join match_refusal r on v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account and v.client_order_id = r.client_order_id
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from changed d)
  union
  select r.record_id from match_version v join match_refusal r on v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account and v.qty = r.qty
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from changed d)
  union
  select r.record_id from match_version v join match_refusal r on v.cross_uid = r.own_uid and (r.block is null or left(v.block, 10) = left(r.block, 10))
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from changed d)
  union
  select r.record_id from match_version v join match_refusal r on split_part(v.root_uid, '/', 1) = split_part(r.uid, '/', 1) and v.root_uid like r.uid || '/%' and (r.block is null or left(v.block, 10) = left(r.block, 10))
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from changed d)))
  and 'A|r|' || r.record_id not in (select c.component from work_component c);

-- status_sql/touch_refused
insert into work_component
select distinct p.component from work_place_of p
where 'A|r|' || p.record_id in (select c.component from work_component c) and p.component not in (select c.component from work_component c);

-- status_sql/refused
insert into work_refused (record_id, break_id, group_key, kept)
with about as (
  select r.record_id, f.break_id, f.group_key,
    case when i.uid = r.uid or i.uid like r.uid || '/%' or i.cross_uid = r.own_uid then 1
      when i.qty = r.qty and (i.order_id = r.order_id or i.client_order_id = r.client_order_id) then 2
      when i.order_id = r.order_id or i.client_order_id = r.client_order_id then 3 else 4 end as nearness
  from match_refusal r join work_item i on 
  i.leg = 'L' and i.live and equal_null(i.pb, r.pb)
  and (((i.uid = r.uid or i.uid like r.uid || '/%' or i.cross_uid = r.own_uid)
      and (r.block is null or i.trade_date = r.trade_date))
    or (i.instrument = r.instrument and i.trade_date = r.trade_date and left(i.side, 1) = left(r.side, 1)
      and i.account = r.account
      and (i.order_id = r.order_id or i.client_order_id = r.client_order_id or i.qty = r.qty)))

    join work_member m on m.record_id = i.record_id
    join work_finding f on f.group_key = m.group_key and f.code = 'T01' and f.component = i.component
  where 'A|r|' || r.record_id in (select c.component from work_component c)
), pair as (
  select distinct record_id, break_id, group_key from about
  qualify nearness = min(nearness) over (partition by record_id)
), once as (
  select p.* from pair p
  qualify row_number() over (partition by p.break_id order by p.record_id) = 1
)
select p.record_id, p.break_id, p.group_key, row_number() over (partition by p.record_id order by p.break_id) = 1
from once p
union all
select p.record_id, cast(null as varchar), cast(null as varchar), false
from pair p where not exists (select 1 from once o where o.record_id = p.record_id);

-- status_sql/refused_findings
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity, delta)
with whole as (
  select w.record_id, sum(f.qty) as qty, count(*) as n, cast(sum(f.exposure) as number(28, 6)) as exposure,
    count(f.exposure) as known, min(f.price) as least, max(f.price) as most
  from work_refused w join work_finding f on f.break_id = w.break_id group by w.record_id
)
select f.break_id, f.level, f.pb, f.anchor, f.family, 'T25', cast(null as timestamp_ntz(9)), f.instrument, f.symbol,
  f.account, f.side, f.trade_date, f.settle_date, f.ccy, case when t.known = t.n then t.exposure end,
  case when t.least = t.most then rtrim(rtrim(cast(t.qty as varchar), '0'), '.') || ' @ ' || rtrim(rtrim(cast(f.price as varchar), '0'), '.') else rtrim(rtrim(cast(t.qty as varchar), '0'), '.') end,
  'REJECTED' || coalesce(': ' || r.reason, ''), 'refused', f.pass_id, 'refused|' || r.record_id, f.component, t.qty,
  f.price, k.severity, case when abs(t.qty) < 100000000000000000000 then cast(-t.qty as number(28, 6)) end
from work_refused w join work_finding f on f.break_id = w.break_id join whole t on t.record_id = w.record_id
  join match_refusal r on r.record_id = w.record_id join work_code k on k.code = 'T25'
where w.kept;

-- status_sql/refused_members
insert into work_member (record_id, leg, group_key, pass_id, code)
select m.record_id, m.leg, 'refused|' || w.record_id, 'status', 'T25'
from work_refused w join work_member m on m.group_key = w.group_key
union
select w.record_id, 'R', 'refused|' || w.record_id, 'status', 'T25' from work_refused w where w.kept;

-- status_sql/forget_missing
delete from work_finding
where code = 'T01' and break_id in (select w.break_id from work_refused w where w.break_id is not null);

-- status_sql/find_refused
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with touched as (
  select t.* from match_refusal t where 'A|r|' || t.record_id in (select c.component from work_component c)
), booked as (
  select r.record_id from touched r join match_duo d on d.uid = r.uid and (r.block is null or left(d.block, 10) = left(r.block, 10))
  union
  select r.record_id from match_version v join touched r on v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account and v.order_id = r.order_id
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from match_duo d)
  union
  select r.record_id from match_version v join touched r on v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account and v.client_order_id = r.client_order_id
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from match_duo d)
  union
  select r.record_id from match_version v join touched r on v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account and v.qty = r.qty
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from match_duo d)
  union
  select r.record_id from match_version v join touched r on v.cross_uid = r.own_uid and (r.block is null or left(v.block, 10) = left(r.block, 10))
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from match_duo d)
  union
  select r.record_id from match_version v join touched r on split_part(v.root_uid, '/', 1) = split_part(r.uid, '/', 1) and v.root_uid like r.uid || '/%' and (r.block is null or left(v.block, 10) = left(r.block, 10))
  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from match_duo d)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || r.record_id || chr(31) || 'refusal', 256), 32), 'STATUS', r.pb, r.record_id, 'refusal', 'T25',
  dateadd('second', coalesce(g.seconds, 0), r.recv_at), r.instrument, r.symbol, r.account, r.side, r.trade_date,
  r.settle_date, r.ccy,
  case when abs(r.qty) < 10000000000 and abs(r.price) < 100000000 and abs(r.multiplier) < 10000 then cast(abs(cast(cast(r.qty as number(19, 8)) * cast(r.multiplier as number(9, 4)) as number(20, 6)) * cast(r.price as number(18, 8))) as number(28, 6)) end, cast(null as varchar),
  'REJECTED' || coalesce(': ' || r.reason, ''), 'refused', 'status', left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || r.record_id || chr(31) || 'refusal', 256), 32),
  'A|r|' || r.record_id, r.qty, r.price, k.severity
from touched r join work_code k on k.code = 'T25'
  cross join (select max(f.grace_seconds) as seconds from work_feed f where f.role = 'INTERNAL') g
where not exists (select 1 from work_refused w where w.record_id = r.record_id)
  and not exists (select 1 from work_item i where 
  i.leg = 'L' and i.live and equal_null(i.pb, r.pb)
  and (((i.uid = r.uid or i.uid like r.uid || '/%' or i.cross_uid = r.own_uid)
      and (r.block is null or i.trade_date = r.trade_date))
    or (i.instrument = r.instrument and i.trade_date = r.trade_date and left(i.side, 1) = left(r.side, 1)
      and i.account = r.account
      and (i.order_id = r.order_id or i.client_order_id = r.client_order_id or i.qty = r.qty)))
)
  and not exists (select 1 from booked b where b.record_id = r.record_id);

-- status_sql/find_refused_members
insert into work_member (record_id, leg, group_key, pass_id, code)
select r.record_id, 'R', f.group_key, 'status', 'T25'
from match_refusal r join work_finding f on f.component = 'A|r|' || r.record_id;

-- status_sql/affirm_dates
select distinct v.trade_date from match_version v where v.leg = 'R' and v.pb in (
  select a.pb_id from affirmation a where a.execution in (select x.execution from work_execution x)
    and a.pb_id not in (
      select o.pb_id from affirmation o where o.pb_id is not null
        and o.execution not in (select x.execution from work_execution x))
)
union
select distinct v.trade_date from match_version v join work_version w on w.record_id = v.record_id where v.leg = 'R'
union
select distinct v.trade_date from affirmation a
  join match_version v on v.leg = 'R' and v.uid = coalesce(a.trade_uid, a.confirm_id)
where a.execution in (select x.execution from work_execution x);

-- status_sql/touch_affirmed
insert into work_component
select distinct 'A|f|' || v.root_id from affirmation a
  join match_version v on v.leg = 'R' and v.uid = coalesce(a.trade_uid, a.confirm_id) and not v.held
  left join work_cutoff d on d.trade_date = v.trade_date
where a.execution in (select x.execution from work_execution x)
  and (d.due_at <= cast(:as_of as timestamp_ntz(9)) or a.affirm_status = 'REJECTED'
    or 'A|f|' || v.root_id in (select b.component from recon_break b where b.state <> 'CURED'));

-- status_sql/touch_booked
insert into work_component
select distinct 'A|f|' || v.root_id from match_version v join work_version w on w.record_id = v.record_id
  join work_cutoff d on d.trade_date = v.trade_date and d.due_at <= cast(:as_of as timestamp_ntz(9))
where v.leg = 'R' and not v.held and 'A|f|' || v.root_id not in (select c.component from work_component c);

-- status_sql/touch_first
insert into work_component
select distinct 'A|f|' || v.root_id from match_version v join work_cutoff d on d.trade_date = v.trade_date and d.due_at <= cast(:as_of as timestamp_ntz(9))
where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and v.pb in (
  select a.pb_id from affirmation a where a.execution in (select x.execution from work_execution x)
    and a.pb_id not in (
      select o.pb_id from affirmation o where o.pb_id is not null
        and o.execution not in (select x.execution from work_execution x))
)
  and 'A|f|' || v.root_id not in (select c.component from work_component c);

-- status_sql/touch_due
insert into work_component
with said as (
  select a.record_id, a.affirm_status, a.pb_id, coalesce(a.trade_uid, a.confirm_id) as uid
  from affirmation a
  qualify row_number() over (
    partition by a.pb_id, coalesce(a.trade_uid, a.confirm_id)
    order by a.event_time_utc desc, case when a.affirm_status = 'AFFIRMED' then 0 else 1 end, a.record_id desc) = 1
), due as (
  select t.due_at, cast(right(t.timer_key, 10) as date) as trade_date from timer t
  where t.kind = 'cutoff' and t.due_at <= cast(:as_of as timestamp_ntz(9))
)
select distinct 'A|f|' || v.root_id from match_version v join due d on d.trade_date = v.trade_date
  left join said s on s.uid = v.uid and s.affirm_status = 'AFFIRMED'
where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and s.uid is null and 'A|f|' || v.root_id not in (select c.component from work_component c);

-- status_sql/forget_due
delete from timer where kind = 'cutoff' and due_at <= cast(:as_of as timestamp_ntz(9));

-- status_sql/write_due
insert into timer (timer_key, due_at, kind, execution)
select 'cutoff|' || cast(d.trade_date as varchar), d.due_at, 'cutoff', :execution from work_cutoff d
where d.due_at > cast(:as_of as timestamp_ntz(9)) and not exists (
  select 1 from timer t where t.timer_key = 'cutoff|' || cast(d.trade_date as varchar));

-- status_sql/find_dates
select distinct v.trade_date from match_version v where v.leg = 'R' and 'A|f|' || v.root_id in (select c.component from work_component c);

-- status_sql/find_affirm
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)

with said as (
  select a.record_id, a.affirm_status, a.pb_id, coalesce(a.trade_uid, a.confirm_id) as uid
  from affirmation a
  qualify row_number() over (
    partition by a.pb_id, coalesce(a.trade_uid, a.confirm_id)
    order by a.event_time_utc desc, case when a.affirm_status = 'AFFIRMED' then 0 else 1 end, a.record_id desc) = 1
), booking as (
  select v.root_id, v.record_id, v.trade_date, v.recv_at, v.terms_id, e.pb_id
  from match_version v join trade_event e on e.record_id = v.terms_id
  where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and 'A|f|' || v.root_id in (select c.component from work_component c)
), told as (
  select v.root_id, s.record_id, s.affirm_status, s.pb_id,
    max(case when s.affirm_status = 'AFFIRMED' then 1 else 0 end) over (partition by v.root_id) as affirmed
  from match_version v join said s on s.uid = v.uid
  where v.leg = 'R' and 'A|f|' || v.root_id in (select c.component from work_component c)
  qualify row_number() over (partition by v.root_id order by v.is_tip desc, v.version desc, s.record_id) = 1
), open_one as (
  select b.*, t.record_id as said_id, t.affirm_status, d.due_at
  from booking b left join told t on t.root_id = b.root_id and equal_null(t.pb_id, b.pb_id)
    left join work_cutoff d on d.trade_date = b.trade_date
  where coalesce(t.affirmed, 0) = 0 and (t.affirm_status = 'REJECTED' or d.due_at <= cast(:as_of as timestamp_ntz(9)))
    and b.pb_id in (select a.pb_id from affirmation a)
)

select left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || o.root_id || chr(31) || 'affirm', 256), 32), 'STATUS', e.pb_id, o.root_id, 'affirm',
  case when o.due_at <= cast(:as_of as timestamp_ntz(9)) then 'T27' else 'T25' end,
  case when o.due_at <= cast(:as_of as timestamp_ntz(9)) and coalesce(o.affirm_status, '') <> 'REJECTED' and o.recv_at > o.due_at
    then dateadd('second', :affirm_grace, o.recv_at) end,
  e.instrument_id, e.symbol, coalesce(e.account_id, e.account_raw), e.side, e.trade_date, e.settle_date, e.trade_ccy,
  case when abs(e.qty) < 10000000000 and abs(e.price) < 100000000 and abs(coalesce(e.multiplier, 1)) < 10000 then cast(abs(cast(cast(e.qty as number(19, 8)) * cast(coalesce(e.multiplier, 1) as number(9, 4)) as number(20, 6)) * cast(e.price as number(18, 8))) as number(28, 6)) end, 'AFFIRMED', coalesce(o.affirm_status, 'nothing said'),
  'affirm', 'status', left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || o.root_id || chr(31) || 'affirm', 256), 32), 'A|f|' || o.root_id, e.qty, e.price, k.severity
from open_one o join trade_event e on e.record_id = o.terms_id
  join work_code k on k.code = case when o.due_at <= cast(:as_of as timestamp_ntz(9)) then 'T27' else 'T25' end;

-- status_sql/find_affirm_members
insert into work_member (record_id, leg, group_key, pass_id, code)

with said as (
  select a.record_id, a.affirm_status, a.pb_id, coalesce(a.trade_uid, a.confirm_id) as uid
  from affirmation a
  qualify row_number() over (
    partition by a.pb_id, coalesce(a.trade_uid, a.confirm_id)
    order by a.event_time_utc desc, case when a.affirm_status = 'AFFIRMED' then 0 else 1 end, a.record_id desc) = 1
), booking as (
  select v.root_id, v.record_id, v.trade_date, v.recv_at, v.terms_id, e.pb_id
  from match_version v join trade_event e on e.record_id = v.terms_id
  where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and 'A|f|' || v.root_id in (select c.component from work_component c)
), told as (
  select v.root_id, s.record_id, s.affirm_status, s.pb_id,
    max(case when s.affirm_status = 'AFFIRMED' then 1 else 0 end) over (partition by v.root_id) as affirmed
  from match_version v join said s on s.uid = v.uid
  where v.leg = 'R' and 'A|f|' || v.root_id in (select c.component from work_component c)
  qualify row_number() over (partition by v.root_id order by v.is_tip desc, v.version desc, s.record_id) = 1
), open_one as (
  select b.*, t.record_id as said_id, t.affirm_status, d.due_at
  from booking b left join told t on t.root_id = b.root_id and equal_null(t.pb_id, b.pb_id)
    left join work_cutoff d on d.trade_date = b.trade_date
  where coalesce(t.affirmed, 0) = 0 and (t.affirm_status = 'REJECTED' or d.due_at <= cast(:as_of as timestamp_ntz(9)))
    and b.pb_id in (select a.pb_id from affirmation a)
)

select o.record_id, 'R', left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || o.root_id || chr(31) || 'affirm', 256), 32), 'status', 'T27' from open_one o
union all
select o.said_id, 'R', left(sha2('break' || chr(31) || :tenant || chr(31) || 'STATUS' || chr(31) || o.root_id || chr(31) || 'affirm', 256), 32), 'status', 'T27' from open_one o where o.said_id is not null;

-- ingest_sql/new_marks
insert into match_mark (record_id, code, component, feed, leg, execution)
with flagged as (
  select e.record_id, e.feed, case when e.source_role = 'INTERNAL' then 'L' else 'R' end as leg, e.execution,
    e.trade_date, e.instrument_id, coalesce(e.account_raw, e.account_id) as account, coalesce(f.party, e.feed) as party,
    (e.flags like '%I02_CHECKSUM%' or e.flags like '%I02_LENGTH%') as wrong, e.flags like '%I03_%' as unnamed, e.flags like '%I04_%' as unmapped
  from trade_event e left join work_feed f on f.feed = e.feed
  where e.execution in (select x.execution from work_execution x) and ((e.flags like '%I02_CHECKSUM%' or e.flags like '%I02_LENGTH%') or e.flags like '%I03_%' or e.flags like '%I04_%')
    and not exists (select 1 from match_mark m where m.record_id = e.record_id)
)
select record_id, 'I02', 'I|w|' || feed || '|' || cast(trade_date as varchar), feed, leg, execution
from flagged where wrong
union all
select record_id, 'I03', 'I|n|' || instrument_id, feed, leg, execution from flagged where unnamed
union all
select record_id, 'I04', 'I|a|' || party || '|' || account, feed, leg, execution from flagged where unmapped;

-- ingest_sql/touch_marks
insert into work_component
select m.component from match_mark m where m.execution in (select x.execution from work_execution x) and m.component not in (select c.component from work_component c)
union
select m.component from match_mark m join work_version w on w.record_id = m.record_id
where m.component not in (select c.component from work_component c);

-- ingest_sql/touch_quarantine
insert into work_component
select distinct 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code from quarantine q
where q.execution in (select x.execution from work_execution x) or q.quarantine_id in (
  select r.quarantine_id from quarantine_retry r where r.execution in (select x.execution from work_execution x));

-- ingest_sql/touch_filled
insert into work_component
select distinct 'I|g|' || h.gap_id from session_state h
where h.kind = 'FILLED' and h.execution in (select x.execution from work_execution x) and 'I|g|' || h.gap_id not in (select c.component from work_component c);

-- ingest_sql/touch_gaps
insert into work_component select 'I|g|' || g.record_id from sequence_gap g where g.execution in (select x.execution from work_execution x);

-- ingest_sql/integrity/0
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, e.message_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, case when e.flags like '%I02_LENGTH%' then 'BodyLength(9)' else 'CheckSum(10)' end || ' of ' || e.trade_uid as shown,
      cast(count(*) over (partition by m.component) as varchar) || ' messages' as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I02' and m.component in (select c.component from work_component c)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'integrity', 256), 32), 'INGEST', t.pb, t.anchor, 'integrity', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'integrity', 256), 32), t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= 200 and t.place = 1
union all
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'integrity', 256), 32), 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, 'integrity', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  cast(null as varchar), min(t.trade_date), cast(null as date), cast(null as varchar), cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'integrity', 256), 32), t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > 200 group by t.component;

-- ingest_sql/integrity/1
insert into work_member (record_id, leg, group_key, pass_id, code)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, e.message_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, case when e.flags like '%I02_LENGTH%' then 'BodyLength(9)' else 'CheckSum(10)' end || ' of ' || e.trade_uid as shown,
      cast(count(*) over (partition by m.component) as varchar) || ' messages' as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I02' and m.component in (select c.component from work_component c)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select t.item, t.leg, case when t.n <= 200 then left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'integrity', 256), 32) else left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'integrity', 256), 32) end, 'ingest', t.code from t;

-- ingest_sql/strange_instrument/0
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, e.instrument_id as shown,
      e.instrument_id as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I03' and m.component in (select c.component from work_component c) and not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'instrument', 256), 32), 'INGEST', t.pb, t.anchor, 'instrument', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'instrument', 256), 32), t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= 0 and t.place = 1
union all
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'instrument', 256), 32), 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, 'instrument', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  cast(null as varchar), min(t.trade_date), cast(null as date), cast(null as varchar), cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'instrument', 256), 32), t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > 0 group by t.component;

-- ingest_sql/strange_instrument/1
insert into work_member (record_id, leg, group_key, pass_id, code)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, e.instrument_id as shown,
      e.instrument_id as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I03' and m.component in (select c.component from work_component c) and not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select t.item, t.leg, case when t.n <= 0 then left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'instrument', 256), 32) else left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'instrument', 256), 32) end, 'ingest', t.code from t;

-- ingest_sql/strange_account/0
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, e.account_raw as shown,
      coalesce(e.account_raw, e.account_id) as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'account', 256), 32), 'INGEST', t.pb, t.anchor, 'account', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'account', 256), 32), t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= 0 and t.place = 1
union all
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'account', 256), 32), 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, 'account', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  cast(null as varchar), min(t.trade_date), cast(null as date), cast(null as varchar), cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'account', 256), 32), t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > 0 group by t.component;

-- ingest_sql/strange_account/1
insert into work_member (record_id, leg, group_key, pass_id, code)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, e.account_raw as shown,
      coalesce(e.account_raw, e.account_id) as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select t.item, t.leg, case when t.n <= 0 then left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'account', 256), 32) else left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'account', 256), 32) end, 'ingest', t.code from t;

-- ingest_sql/strange_books/0
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, e.account_raw as shown,
      coalesce(e.account_raw, e.account_id) as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)
    union all
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, b.as_of_date as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and b.record_id in (
        select p.record_id from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) p qualify p.as_of_date = max(p.as_of_date) over (partition by p.feed))
    union all
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, b.value_date as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'account', 256), 32), 'INGEST', t.pb, t.anchor, 'account', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'account', 256), 32), t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= 0 and t.place = 1
union all
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'account', 256), 32), 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, 'account', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  cast(null as varchar), min(t.trade_date), cast(null as date), cast(null as varchar), cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'account', 256), 32), t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > 0 group by t.component;

-- ingest_sql/strange_books/1
insert into work_member (record_id, leg, group_key, pass_id, code)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code, case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, e.account_raw as shown,
      coalesce(e.account_raw, e.account_id) as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)
    union all
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, b.as_of_date as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and b.record_id in (
        select p.record_id from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) p qualify p.as_of_date = max(p.as_of_date) over (partition by p.feed))
    union all
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, b.value_date as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c)) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select t.item, t.leg, case when t.n <= 0 then left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'account', 256), 32) else left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'account', 256), 32) end, 'ingest', t.code from t;

-- ingest_sql/quarantined/0
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select q.quarantine_id as item, case when q.code in ('I06', 'I07') or m.sha256 is null then q.quarantine_id
        else q.feed || '|' || m.sha256 end as anchor, 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code as component,
      case when f.role = 'INTERNAL' or q.feed like 'reference:%' then 'L' else 'R' end as leg, q.code, case when f.role = 'PB' then f.party end as pb,
      cast(null as timestamp_ntz(9)) as due_at, cast(null as varchar) as instrument, cast(null as varchar) as symbol, cast(null as varchar) as account, cast(null as varchar) as side, cast(q.recv_ts as date) as trade_date, cast(null as date) as settle_date, cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, q.detail as shown,
      cast(count(*) over (partition by 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code) as varchar) || ' messages of ' || q.feed as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from quarantine q left join work_source f on f.feed = q.feed
      left join raw_message m on m.message_id = q.message_id
    where 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code in (select c.component from work_component c) and q.code <> 'I02' and q.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and not exists (
      select 1 from quarantine_retry r
      where r.quarantine_id = q.quarantine_id and r.healed and r.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))))) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'message', 256), 32), 'INGEST', t.pb, t.anchor, 'message', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'message', 256), 32), t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= 200 and t.place = 1
union all
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'message', 256), 32), 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, 'message', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  cast(null as varchar), min(t.trade_date), cast(null as date), cast(null as varchar), cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'message', 256), 32), t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > 200 group by t.component;

-- ingest_sql/quarantined/1
insert into work_member (record_id, leg, group_key, pass_id, code)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select q.quarantine_id as item, case when q.code in ('I06', 'I07') or m.sha256 is null then q.quarantine_id
        else q.feed || '|' || m.sha256 end as anchor, 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code as component,
      case when f.role = 'INTERNAL' or q.feed like 'reference:%' then 'L' else 'R' end as leg, q.code, case when f.role = 'PB' then f.party end as pb,
      cast(null as timestamp_ntz(9)) as due_at, cast(null as varchar) as instrument, cast(null as varchar) as symbol, cast(null as varchar) as account, cast(null as varchar) as side, cast(q.recv_ts as date) as trade_date, cast(null as date) as settle_date, cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, q.detail as shown,
      cast(count(*) over (partition by 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code) as varchar) || ' messages of ' || q.feed as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from quarantine q left join work_source f on f.feed = q.feed
      left join raw_message m on m.message_id = q.message_id
    where 'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code in (select c.component from work_component c) and q.code <> 'I02' and q.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and not exists (
      select 1 from quarantine_retry r
      where r.quarantine_id = q.quarantine_id and r.healed and r.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))))) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select t.item, t.leg, case when t.n <= 200 then left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'message', 256), 32) else left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'message', 256), 32) end, 'ingest', t.code from t;

-- ingest_sql/lost/0
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select g.record_id as item, g.record_id as anchor, 'I|g|' || g.record_id as component, case when f.role = 'INTERNAL' then 'L' else 'R' end as leg, 'I05' as code, case when f.role = 'PB' then f.party end as pb,
      dateadd('second', 60, g.seen_at) as due_at, cast(null as varchar) as instrument, cast(null as varchar) as symbol, cast(null as varchar) as account, cast(null as varchar) as side, cast(g.seen_at as date) as trade_date, cast(null as date) as settle_date, cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure,
      g.feed || ' lacks ' || cast(g.gap_last - g.gap_first + 1 as varchar) || ' messages, '
        || cast(g.gap_first as varchar) || ' to ' || cast(g.gap_last as varchar) as shown,
      cast(null as varchar) as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from sequence_gap g left join work_source f on f.feed = g.feed
    where 'I|g|' || g.record_id in (select c.component from work_component c) and g.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and not exists (
      select 1 from session_state h where h.gap_id = g.record_id and h.kind = 'FILLED' and h.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))))) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'sequence', 256), 32), 'INGEST', t.pb, t.anchor, 'sequence', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'sequence', 256), 32), t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= 1 and t.place = 1
union all
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'sequence', 256), 32), 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, 'sequence', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  cast(null as varchar), min(t.trade_date), cast(null as date), cast(null as varchar), cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'sequence', 256), 32), t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > 1 group by t.component;

-- ingest_sql/lost/1
insert into work_member (record_id, leg, group_key, pass_id, code)
with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from (
    select g.record_id as item, g.record_id as anchor, 'I|g|' || g.record_id as component, case when f.role = 'INTERNAL' then 'L' else 'R' end as leg, 'I05' as code, case when f.role = 'PB' then f.party end as pb,
      dateadd('second', 60, g.seen_at) as due_at, cast(null as varchar) as instrument, cast(null as varchar) as symbol, cast(null as varchar) as account, cast(null as varchar) as side, cast(g.seen_at as date) as trade_date, cast(null as date) as settle_date, cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure,
      g.feed || ' lacks ' || cast(g.gap_last - g.gap_first + 1 as varchar) || ' messages, '
        || cast(g.gap_first as varchar) || ' to ' || cast(g.gap_last as varchar) as shown,
      cast(null as varchar) as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from sequence_gap g left join work_source f on f.feed = g.feed
    where 'I|g|' || g.record_id in (select c.component from work_component c) and g.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and not exists (
      select 1 from session_state h where h.gap_id = g.record_id and h.kind = 'FILLED' and h.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))))) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)
select t.item, t.leg, case when t.n <= 1 then left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.anchor || chr(31) || 'sequence', 256), 32) else left(sha2('break' || chr(31) || :tenant || chr(31) || 'INGEST' || chr(31) || t.component || chr(31) || 'sequence', 256), 32) end, 'ingest', t.code from t;

-- strange_books/any
select 1 as one from position_snapshot b where b.execution in (select x.execution from work_execution x)
union all
select 1 as one from cash_entry b where b.execution in (select x.execution from work_execution x)
union all
select 1 as one from book_named b where b.execution in (select x.execution from work_execution x);

-- strange_books/new_marks
insert into match_mark (record_id, code, component, feed, leg, execution)
select b.record_id, 'I04', 'I|a|' || coalesce(s.party, b.feed) || '|' || b.account_id, b.feed,
  case when b.source_role = 'INTERNAL' then 'L' else 'R' end, b.execution
from position_snapshot b left join work_source s on s.feed = b.feed
where b.execution in (select x.execution from work_execution x) and b.flags like '%I04_%'
  and not exists (select 1 from match_mark m where m.record_id = b.record_id)
union all
select b.record_id, 'I04', 'I|a|' || coalesce(s.party, b.feed) || '|' || b.account_id, b.feed,
  case when b.source_role = 'INTERNAL' then 'L' else 'R' end, b.execution
from cash_entry b left join work_source s on s.feed = b.feed
where b.execution in (select x.execution from work_execution x) and b.flags like '%I04_%'
  and not exists (select 1 from match_mark m where m.record_id = b.record_id);

-- strange_books/touch
insert into work_component
select distinct m.component from match_mark m
where m.code = 'I04' and (m.record_id in (select n.replaces from book_named n where n.execution in (select x.execution from work_execution x))
    or m.feed in (select p.feed from position_snapshot p where p.execution in (select x.execution from work_execution x)))
  and m.component not in (select c.component from work_component c);

-- strange_books/items
select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, b.as_of_date as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c) and b.record_id in (
        select p.record_id from (select f.* from position_snapshot f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) p qualify p.as_of_date = max(p.as_of_date) over (partition by p.feed))
    union all
    select m.record_id as item, m.record_id as anchor, m.component, m.leg, m.code,
      case when f.role = 'PB' then f.party end as pb, cast(null as timestamp_ntz(9)) as due_at,
      cast(null as varchar) as instrument, cast(null as varchar) as symbol, b.account_id as account,
      cast(null as varchar) as side, b.value_date as trade_date, cast(null as date) as settle_date,
      cast(null as varchar) as ccy, cast(null as number(28, 6)) as exposure, b.account_id as shown,
      b.account_id as summary, cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price
    from match_mark m join (select f.* from cash_entry f where f.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))) and f.record_id not in (select n.replaces from book_named n where n.execution in (
    select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y
      where y.execution in (select w.execution from work_execution w))))) b on b.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = 'I04' and m.component in (select c.component from work_component c);

-- silent/touch_waiting
insert into work_component
select distinct b.component from recon_break b join work_slot s on s.party = b.pb_id and s.trade_date = b.trade_date
where b.code = 'T01' and b.state = 'EXPECTED' and b.component not in (select c.component from work_component c);

-- silent/silent
select s.party, s.trade_date, s.component from work_slot s
where not exists (
  select 1 from match_version v join trade_event e on e.record_id = v.record_id
  where v.leg = 'R' and v.trade_date = s.trade_date and e.pb_id = s.party);

-- silent/find
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, trade_date, right_value, rule_id, pass_id,
  group_key, component, severity)
select s.break_id, 'INGEST', s.party, s.component, 'feed', 'I06', s.due_at, s.trade_date,
  'nothing for ' || cast(s.trade_date as varchar), 'ingest', 'ingest', s.break_id, s.component, k.severity
from work_slot s join work_code k on k.code = 'I06'
where s.silent and s.component in (select c.component from work_component c) and exists (
  select 1 from match_version v join trade_event e on e.record_id = v.record_id
  where v.leg = 'L' and v.is_tip and v.status <> 'CANCEL' and not v.held and v.trade_date = s.trade_date
    and e.pb_id = s.party);

-- silent/find_members
insert into work_member (record_id, leg, group_key, pass_id, code)
select v.record_id, 'L', s.break_id, 'ingest', 'I06'
from work_slot s join match_version v on v.trade_date = s.trade_date join trade_event e on e.record_id = v.record_id
where s.silent and v.leg = 'L' and v.is_tip and v.status <> 'CANCEL' and not v.held and e.pb_id = s.party
  and s.break_id in (select f.break_id from work_finding f);

-- silent/wait
update work_finding set due_at = cast(:until as timestamp_ntz(9))
where code = 'T01' and pb = :party and trade_date = :day and due_at < cast(:until as timestamp_ntz(9));

-- sessions/touch
insert into work_component
select distinct 'I|s|' || s.feed || '|' || cast(s.since as varchar) from session_state s
where s.kind in ('ABSENT', 'PRESENT') and s.execution in (select x.execution from work_execution x);

-- sessions/touch_waiting
insert into work_component
select distinct b.component from recon_break b
where b.code = :code and b.state = 'EXPECTED' and (b.pb_id = :party or :code = 'T02')
  and b.component not in (select c.component from work_component c);

-- sessions/wait
update work_finding set due_at = cast(:until as timestamp_ntz(9))
where code = :code and (pb = :party or :code = 'T02')
  and due_at >= cast(:since as timestamp_ntz(9)) and due_at < cast(:until as timestamp_ntz(9));

-- copies_sql/touch_copies
insert into work_component
with fresh as (
  select e.feed, e.trade_uid, e.prev_uid, e.trade_date, 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id as component from trade_event e
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from work_execution x)
)
select component from fresh
union
select 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id from trade_event e join fresh n on n.feed = e.feed and n.trade_date = e.trade_date
  and (e.trade_uid = n.prev_uid or e.prev_uid = n.trade_uid or e.trade_uid = n.trade_uid)
where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x)));

-- copies_sql/touch_ours
insert into work_component
select distinct 'E|' || v.own_block from work_version v
where v.leg = 'L' and v.level = 'FILL' and 'E|' || v.own_block not in (select c.component from work_component c);

-- copies_sql/versions
insert into work_copy_version
with own as (
  select e.feed, e.trade_date, e.trade_uid, e.prev_uid from trade_event e
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id in (select c.component from work_component c where c.component like 'E|%')
), known as (
  select distinct e.record_id, e.feed, e.trade_date, coalesce(e.trade_uid, e.record_id) as uid,
    case when e.status <> 'NEW' then coalesce(e.prev_uid, e.trade_uid) end as ref_uid, e.cross_uid, e.status,
    coalesce(e.version, 1) as version, coalesce(e.sent_time_utc, e.event_time_utc) as told_at, 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id as component,
    e.source_role || '|' || upper(trim(coalesce(f.party, e.source_id))) as source, coalesce(f.party, e.source_id) as party
  from trade_event e join own o on o.feed = e.feed and o.trade_date = e.trade_date
      and (e.trade_uid = o.trade_uid or e.trade_uid = o.prev_uid or e.prev_uid = o.trade_uid)
    left join work_copier f on f.feed = e.feed
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x)))
), step as (
  select feed, trade_date, uid, min(ref_uid) as ref_uid from known where ref_uid <> uid group by feed, trade_date, uid
)
select k.record_id, k.feed, k.trade_date, k.uid, k.ref_uid, k.cross_uid, k.status, k.version, k.told_at, k.component,
  k.source, k.party, coalesce(c.ref_uid, b.ref_uid, a.ref_uid, k.uid),
  case when c.ref_uid is not null then 3 when b.ref_uid is not null then 2 when a.ref_uid is not null then 1
    when k.ref_uid is not null then 1 else 0 end
from known k
  left join step a on a.feed = k.feed and a.trade_date = k.trade_date and a.uid = k.uid
  left join step b on b.feed = k.feed and b.trade_date = k.trade_date and b.uid = a.ref_uid
  left join step c on c.feed = k.feed and c.trade_date = k.trade_date and c.uid = b.ref_uid;

-- copies_sql/chains
insert into work_copy_chain
with ranked as (
  select v.*, row_number() over (partition by v.feed, v.trade_date, v.root order by v.depth desc, v.version desc, v.told_at desc, v.record_id desc) as age,
    row_number() over (partition by v.feed, v.trade_date, v.root order by case when v.status = 'CANCEL' then 1 else 0 end, v.depth desc, v.version desc, v.told_at desc, v.record_id desc) as terms_age
  from work_copy_version v
)
select r.record_id, t.record_id, t.component, r.source, r.party,
  r.feed || '|' || cast(r.trade_date as varchar) || '|' || r.root, r.status <> 'CANCEL'
from ranked r join ranked t on t.feed = r.feed and t.trade_date = r.trade_date and t.root = r.root and t.terms_age = 1
where r.age = 1 and t.component in (select c.component from work_component c where c.component like 'E|%');

-- copies_sql/ids
insert into work_copy_id
select c.record_id, 'R', v.uid from work_copy_chain c
  join work_copy_version v on v.feed || '|' || cast(v.trade_date as varchar) || '|' || v.root = c.family
where v.uid is not null
union
select c.record_id, 'R', v.ref_uid from work_copy_chain c
  join work_copy_version v on v.feed || '|' || cast(v.trade_date as varchar) || '|' || v.root = c.family
where v.ref_uid is not null
union
select c.record_id, 'R', v.cross_uid from work_copy_chain c
  join work_copy_version v on v.feed || '|' || cast(v.trade_date as varchar) || '|' || v.root = c.family
where v.cross_uid is not null
union
select c.record_id, 'L', v.uid from work_copy c join match_version v on v.root_id = c.anchor where c.leg = 'L'
union
select c.record_id, 'L', v.cross_uid from work_copy c join match_version v on v.root_id = c.anchor
where c.leg = 'L' and v.cross_uid is not null;

-- copies_sql/near
insert into work_copied
with c as (
  select l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    abs(l.qty - r.qty) as apart, abs(l.price - r.price) as off
  from work_copy l join work_copy r on r.leg = 'R' and l.leg = 'L' and r.component = l.component
    and r.source = l.source and r.client_order_id = l.client_order_id and l.live and r.live
    and (l.direction = r.direction and (l.qty = r.qty or l.price = r.price) or l.qty = r.qty and l.price = r.price)
  where abs(datediff('second', l.event_at, r.event_at)) <= 60
    and not exists (select 1 from work_copied d where d.left_id = l.record_id and d.source = l.source) and not exists (select 1 from work_copied d where d.right_id = l.record_id) and not exists (select 1 from work_copied d where d.left_id = r.record_id and d.source = r.source) and not exists (select 1 from work_copied d where d.right_id = r.record_id)
)
select c.left_id, c.right_id, c.source, 'near' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.off, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.left_uid, c.left_id) = 1;

-- copies_sql/different
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with n as (
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T22' as code, 'existence' as family, l.anchor || '|' || l.source as told, case when l.live then rtrim(rtrim(cast(l.qty as varchar), '0'), '.') || ' @ ' || rtrim(rtrim(cast(l.price as varchar), '0'), '.') else 'cancelled' end as left_shown,
    case when r.live then rtrim(rtrim(cast(r.qty as varchar), '0'), '.') || ' @ ' || rtrim(rtrim(cast(r.price as varchar), '0'), '.') else 'cancelled' end as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live <> r.live
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T09' as code, 'existence' as family, l.anchor || '|' || l.source as told, coalesce(l.symbol, l.instrument) as left_shown,
    coalesce(r.symbol, r.instrument) as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.instrument <> r.instrument
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T13' as code, 'existence' as family, l.anchor || '|' || l.source as told, cast(l.trade_date as varchar) as left_shown,
    cast(r.trade_date as varchar) as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.trade_date <> r.trade_date
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T07' as code, 'side' as family, l.anchor || '|' || l.source as told, l.direction as left_shown,
    r.direction as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.direction <> r.direction
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T15' as code, 'ccy' as family, l.anchor || '|' || l.source as told, l.ccy as left_shown,
    r.ccy as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.direction = r.direction and l.ccy <> r.ccy
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T05' as code, 'qty' as family, l.anchor || '|' || l.source as told, rtrim(rtrim(cast(l.qty as varchar), '0'), '.') as left_shown,
    rtrim(rtrim(cast(r.qty as varchar), '0'), '.') as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.direction = r.direction and l.qty <> r.qty
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T06' as code, 'price' as family, l.anchor || '|' || l.source as told, rtrim(rtrim(cast(l.price as varchar), '0'), '.') as left_shown,
    rtrim(rtrim(cast(r.price as varchar), '0'), '.') as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.direction = r.direction and l.ccy = r.ccy and abs(l.price - r.price) > greatest(l.half_unit, r.half_unit)
  union all
  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price, d.how,
    'T14' as code, 'settle_date' as family, l.anchor || '|' || l.source as told, cast(l.settle_date as varchar) as left_shown,
    cast(r.settle_date as varchar) as right_shown
  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
    join work_copy r on r.record_id = d.right_id
  where l.live and r.live and l.direction = r.direction and l.trade_date = r.trade_date and l.settle_date <> r.settle_date
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'COPY' || chr(31) || n.told || chr(31) || n.family, 256), 32), 'COPY', n.party, n.told, n.family,
  n.code, case when n.code = 'T22' or n.how = 'near' then greatest(n.due_at, n.right_due) end,
  n.instrument, n.symbol, n.account, n.side, n.trade_date, n.settle_date, n.ccy,
  case n.code when 'T05' then case when abs(abs(n.qty - n.right_qty)) < 10000000000 and abs(n.price) < 100000000 and abs(n.multiplier) < 10000 then cast(abs(cast(cast(abs(n.qty - n.right_qty) as number(19, 8)) * cast(n.multiplier as number(9, 4)) as number(20, 6)) * cast(n.price as number(18, 8))) as number(28, 6)) end
    when 'T06' then case when abs(n.qty) < 10000000000 and abs(abs(n.price - n.right_price)) < 100000000 and abs(n.multiplier) < 10000 then cast(abs(cast(cast(n.qty as number(19, 8)) * cast(n.multiplier as number(9, 4)) as number(20, 6)) * cast(abs(n.price - n.right_price) as number(18, 8))) as number(28, 6)) end
    else case when abs(n.qty) < 10000000000 and abs(n.price) < 100000000 and abs(n.multiplier) < 10000 then cast(abs(cast(cast(n.qty as number(19, 8)) * cast(n.multiplier as number(9, 4)) as number(20, 6)) * cast(n.price as number(18, 8))) as number(28, 6)) end end,
  n.left_shown, n.right_shown,
  'copy-' || n.how, 'copy-' || n.how, 'E|' || n.record_id || '|' || n.right_id, n.component, n.qty, n.price,
  k.severity
from n join work_code k on k.code = n.code;

-- copies_sql/missing
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity)
with n as (
  select c.*, c.anchor || '|' || c.source as told, case when c.leg = 'L' then 'T01' else 'T02' end as code
  from work_copy c where c.live and c.expected and not exists (select 1 from work_copied d where d.left_id = c.record_id and d.source = c.source) and not exists (select 1 from work_copied d where d.right_id = c.record_id)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'COPY' || chr(31) || n.told || chr(31) || 'existence', 256), 32), 'COPY', n.party, n.told,
  'existence', n.code, n.due_at, n.instrument, n.symbol, n.account, n.side, n.trade_date, n.settle_date, n.ccy,
  case when abs(n.qty) < 10000000000 and abs(n.price) < 100000000 and abs(n.multiplier) < 10000 then cast(abs(cast(cast(n.qty as number(19, 8)) * cast(n.multiplier as number(9, 4)) as number(20, 6)) * cast(n.price as number(18, 8))) as number(28, 6)) end, case when n.leg = 'L' then rtrim(rtrim(cast(n.qty as varchar), '0'), '.') || ' @ ' || rtrim(rtrim(cast(n.price as varchar), '0'), '.') end,
  case when n.leg = 'R' then rtrim(rtrim(cast(n.qty as varchar), '0'), '.') || ' @ ' || rtrim(rtrim(cast(n.price as varchar), '0'), '.') end, 'copy-one-sided', 'copy-one-sided',
  'E|' || n.source || '|' || n.record_id, n.component, n.qty, n.price, k.severity
from n join work_code k on k.code = n.code;

-- copies_sql/members
insert into work_member (record_id, leg, group_key, pass_id, code)
select d.left_id, 'L', f.group_key, f.pass_id, f.code from work_finding f join work_copied d
  on f.group_key = 'E|' || d.left_id || '|' || d.right_id
union
select d.right_id, 'R', f.group_key, f.pass_id, f.code from work_finding f join work_copied d
  on f.group_key = 'E|' || d.left_id || '|' || d.right_id
union
select c.record_id, c.leg, f.group_key, f.pass_id, f.code from work_finding f join work_copy c
  on f.group_key = 'E|' || c.source || '|' || c.record_id;

-- copies_sql/forget
delete from match_copy where component in (select c.component from work_component c where c.component like 'E|%');

-- copies_sql/keep
insert into match_copy (copy_id, record_id, component, source, how)
select d.right_id, d.left_id, l.component, d.source, d.how
from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source;

-- copies_apart/link
insert into match_copy_block
with new_copy as (
  select e.trade_uid as uid, e.trade_date, 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id as component from trade_event e
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from work_execution x) and e.trade_uid is not null
  union all
  select e.cross_uid, e.trade_date, 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id from trade_event e
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from work_execution x) and e.cross_uid is not null
), new_own as (
  select v.uid, v.trade_date, 'E|' || v.own_block as component from work_version v where v.leg = 'L' and v.level = 'FILL'
  union all
  select v.cross_uid, v.trade_date, 'E|' || v.own_block from work_version v
  where v.leg = 'L' and v.level = 'FILL' and v.cross_uid is not null
),
any_copy as (
  select e.trade_uid as uid, e.trade_date, 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id as component from trade_event e
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and e.trade_uid is not null
  union all
  select e.cross_uid, e.trade_date, 'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id from trade_event e
  where e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL') and e.execution in (select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y where y.execution in (select x.execution from work_execution x))) and e.cross_uid is not null
), any_own as (
  select v.uid, v.trade_date, 'E|' || v.own_block as component from match_version v where v.leg = 'L' and v.level = 'FILL'
  union all
  select v.cross_uid, v.trade_date, 'E|' || v.own_block from match_version v
  where v.leg = 'L' and v.level = 'FILL' and v.cross_uid is not null
), found as (
  select l.component as left_component, r.component as right_component from any_own l join new_copy r on r.uid = l.uid and r.component <> l.component
  where datediff('day', l.trade_date, r.trade_date) between -7 and 7
  union
  select l.component as left_component, r.component as right_component from new_own l join any_copy r on r.uid = l.uid and r.component <> l.component
  where datediff('day', l.trade_date, r.trade_date) between -7 and 7
)
select f.left_component, f.right_component from found f
where not exists (
  select 1 from match_copy_block k
  where k.left_component = f.left_component and k.right_component = f.right_component);

-- copies_apart/touch
insert into work_component
with met as (
  select k.right_component as component from match_copy_block k join work_component c on c.component = k.left_component
  union
  select k.left_component from match_copy_block k join work_component c on c.component = k.right_component
)
select m.component from met m where m.component not in (select c.component from work_component c);

-- copies_sql/pairs/0
insert into work_copied
with c as (
  select distinct l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    case when l.live = r.live then 0 else 1 end + case when l.qty = r.qty then 0 else 1 end
      + case when l.price = r.price then 0 else 1 end as apart
  from work_copy_id a join work_copy_id b on b.uid = a.uid and a.leg = 'L' and b.leg = 'R'
    join work_copy l on l.record_id = a.record_id
    join work_copy r on r.record_id = b.record_id and r.source = l.source and r.component = l.component
)
select c.left_id, c.right_id, c.source, 'id' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.left_uid, c.left_id) = 1;

-- copies_sql/pairs/1
insert into work_copied
with c as (
  select distinct l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    abs(datediff('day', l.trade_date, r.trade_date)) as apart
  from work_copy_id a join work_copy_id b on b.uid = a.uid and a.leg = 'L' and b.leg = 'R'
    join work_copy l on l.record_id = a.record_id
    join work_copy r on r.record_id = b.record_id and r.source = l.source and r.component <> l.component
  where l.live and r.live and l.direction = r.direction and l.qty = r.qty and l.ccy = r.ccy
    and abs(l.price - r.price) <= greatest(l.half_unit, r.half_unit)
    and (l.instrument = r.instrument or l.trade_date = r.trade_date)
    and not exists (select 1 from work_copied d where d.left_id = l.record_id and d.source = l.source) and not exists (select 1 from work_copied d where d.right_id = l.record_id) and not exists (select 1 from work_copied d where d.left_id = r.record_id and d.source = r.source) and not exists (select 1 from work_copied d where d.right_id = r.record_id)
)
select c.left_id, c.right_id, c.source, 'apart' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.left_uid, c.left_id) = 1;

-- copies_sql/pairs/2
insert into work_copied
select l.record_id, r.record_id, l.source, 'order'
from (
  select c.record_id, c.component, c.source, c.client_order_id, c.direction, c.qty, c.price, c.ccy, row_number() over (partition by c.component, c.source, c.client_order_id, c.direction, c.qty, c.price, c.ccy order by c.event_at, c.uid, c.record_id) as nth
  from work_copy c where c.leg = 'L' and c.live and not exists (select 1 from work_copied d where d.left_id = c.record_id and d.source = c.source) and not exists (select 1 from work_copied d where d.right_id = c.record_id)
) l join (
  select c.record_id, c.component, c.source, c.client_order_id, c.direction, c.qty, c.price, c.ccy, row_number() over (partition by c.component, c.source, c.client_order_id, c.direction, c.qty, c.price, c.ccy order by c.event_at, c.uid, c.record_id) as nth
  from work_copy c where c.leg = 'R' and c.live and not exists (select 1 from work_copied d where d.left_id = c.record_id and d.source = c.source) and not exists (select 1 from work_copied d where d.right_id = c.record_id)
) r on l.component = r.component and l.source = r.source and l.client_order_id = r.client_order_id and l.direction = r.direction and l.qty = r.qty and l.price = r.price and l.ccy = r.ccy and l.nth = r.nth;

-- copies_sql/pairs/3
insert into work_copied
select l.record_id, r.record_id, l.source, 'economics'
from (
  select c.record_id, c.component, c.source, c.direction, c.qty, c.price, c.ccy, row_number() over (partition by c.component, c.source, c.direction, c.qty, c.price, c.ccy order by c.event_at, c.uid, c.record_id) as nth
  from work_copy c where c.leg = 'L' and c.live and not exists (select 1 from work_copied d where d.left_id = c.record_id and d.source = c.source) and not exists (select 1 from work_copied d where d.right_id = c.record_id)
) l join (
  select c.record_id, c.component, c.source, c.direction, c.qty, c.price, c.ccy, row_number() over (partition by c.component, c.source, c.direction, c.qty, c.price, c.ccy order by c.event_at, c.uid, c.record_id) as nth
  from work_copy c where c.leg = 'R' and c.live and not exists (select 1 from work_copied d where d.left_id = c.record_id and d.source = c.source) and not exists (select 1 from work_copied d where d.right_id = c.record_id)
) r on l.component = r.component and l.source = r.source and l.direction = r.direction and l.qty = r.qty and l.price = r.price and l.ccy = r.ccy and l.nth = r.nth;

-- copies_sql/pairs/4
insert into work_copied
with c as (
  select l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    abs(l.qty - r.qty) as apart, abs(l.price - r.price) as off
  from work_copy l join work_copy r on r.leg = 'R' and l.leg = 'L' and r.component = l.component
    and r.source = l.source and r.client_order_id = l.client_order_id and l.live and r.live
    and (l.direction = r.direction and (l.qty = r.qty or l.price = r.price) or l.qty = r.qty and l.price = r.price)
  where abs(datediff('second', l.event_at, r.event_at)) <= 60
    and not exists (select 1 from work_copied d where d.left_id = l.record_id and d.source = l.source) and not exists (select 1 from work_copied d where d.right_id = l.record_id) and not exists (select 1 from work_copied d where d.left_id = r.record_id and d.source = r.source) and not exists (select 1 from work_copied d where d.right_id = r.record_id)
)
select c.left_id, c.right_id, c.source, 'near' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.off, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.left_uid, c.left_id) = 1;

-- copies_sql/copies
insert into work_copy
with grace as (
  select party, max(grace_seconds) as seconds from work_feed where role = 'PB' group by party
), longest as (
  select max(case when role = 'PB' then grace_seconds end) as pb_seconds,
    max(case when role = 'INTERNAL' then grace_seconds end) as internal_seconds
  from work_feed
)
select c.record_id, 'R', c.component, c.source, c.party, c.family, c.live, true, coalesce(e.trade_uid, e.record_id), e.client_order_id, coalesce(e.account_id, e.account_raw),
  e.instrument_id, e.symbol, e.side, case when e.side in ('BUY', 'BUY_COVER') then 'BUY' when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end, e.qty, e.price, 0.005,
  coalesce(e.multiplier, 1), e.trade_ccy, e.trade_date, e.settle_date, e.event_time_utc, e.recv_time_utc,
  dateadd('second', coalesce(n.internal_seconds, :default_grace), e.recv_time_utc)
from work_copy_chain c join trade_event e on e.record_id = c.terms_id cross join longest n;

-- copies_sql/ours
insert into work_copy
with source as (
  select distinct f.role || '|' || upper(trim(f.party)) as source, f.role, upper(trim(f.party)) as name,
    min(f.party) over (partition by f.role, upper(trim(f.party))) as party,
    max(f.grace_seconds) over (partition by f.role, upper(trim(f.party))) as seconds
  from work_copier f where f.role in ('EB', 'VENUE')
), mine as (
  select v.record_id, e.exec_broker_id as broker, upper(trim(e.venue_mic)) as venue
  from match_version v join trade_event e on e.record_id = v.terms_id
  where v.leg = 'L' and v.level = 'FILL' and v.is_tip and not v.held and 'E|' || v.block in (select c.component from work_component c where c.component like 'E|%')
), told as (
  select m.record_id, s.source, case when s.role = 'EB' then m.broker else m.venue end as named
  from mine m cross join source s
)
select v.record_id, 'L', 'E|' || v.block, s.source, s.party, v.root_id, v.status <> 'CANCEL', s.name = t.named, coalesce(e.trade_uid, e.record_id), e.client_order_id, coalesce(e.account_id, e.account_raw),
  e.instrument_id, e.symbol, e.side, case when e.side in ('BUY', 'BUY_COVER') then 'BUY' when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end, e.qty, e.price, 0.005,
  coalesce(e.multiplier, 1), e.trade_ccy, e.trade_date, e.settle_date, e.event_time_utc, e.recv_time_utc,
  dateadd('second', coalesce(s.seconds, :default_grace), e.recv_time_utc)
from told t join source s on s.source = t.source and (t.named = s.name or t.named is null)
  join match_version v on v.record_id = t.record_id join trade_event e on e.record_id = v.terms_id;

