-- items/items
insert into work_item
with grace as (
  select party, max(grace_seconds) as seconds from work_feed where role = 'PB' group by party
), longest as (
  select max(case when role = 'PB' then grace_seconds end) as pb_seconds,
    max(case when role = 'INTERNAL' then grace_seconds end) as internal_seconds
  from work_feed
), known_as as (
  select leg, uid, trade_date, min(root_uid) as root_uid from match_version
  where uid <> root_uid and not held group by leg, uid, trade_date
), wanted as (
  select v.*, b.component from match_block b join match_version v on v.block = b.block
  where v.is_tip and not v.held and not exists (select 1 from match_duo d where d.left_id = v.record_id) and not exists (select 1 from match_duo d where d.right_id = v.record_id) and b.component in (select c.component from work_component c)
  union all
  select v.*, b.component from (
    select left_id as record_id, component from match_duo union all select right_id, component from match_duo
  ) b join match_version v on v.record_id = b.record_id
  where b.component in (select c.component from work_component c)
  union all
  select v.*, b.component from work_lazy b join match_version v on v.record_id = b.record_id
), fee as (
  select f.record_id, count(*) as lines,
    sum(case when f.fee_type = 'TOTAL' then 1 else 0 end) as totals, min(f.ccy) as ccy, max(f.ccy) as ccy_top,
    cast(sum(f.amount) as number(28, 6)) as amount,
    cast(sum(case when f.fee_type = '1' then f.amount else 0 end) as number(28, 6)) as regulatory,
    cast(sum(case when f.fee_type = '4' then f.amount else 0 end) as number(28, 6)) as exchange,
    cast(sum(case when f.fee_type in ('2', '5', '9') then f.amount else 0 end) as number(28, 6)) as tax
  from trade_fee f where f.record_id in (select v.terms_id from wanted v) group by f.record_id
), item as (
  select v.record_id, v.component, v.leg, v.alone as alone, e.feed, e.level, v.root_id, v.status <> 'CANCEL' as live,
    case when v.leg = 'L' and e.level = 'ALLOCATION' then coalesce(e.alloc_id, v.root_uid) else v.root_uid end as uid,
    coalesce(k.root_uid, e.cross_uid) as cross_uid, e.order_id, e.client_order_id,
    case when v.leg = 'L' then coalesce(e.pb_id, cast(:only_pb as varchar))
      else coalesce(f.party, e.pb_id, e.source_id) end as pb,
    coalesce(e.account_id, e.account_raw) as account, e.instrument_id, e.symbol,
    case when e.side = 'SELL_SHORT_EXEMPT' then 'SELL_SHORT' else e.side end as side,
    case when e.side in ('BUY', 'BUY_COVER') then 'BUY'
      when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end as direction,
    e.qty, e.price, e.price_scale, e.trade_date, e.settle_date, e.trade_ccy, coalesce(e.settle_ccy, e.trade_ccy)
      as settle_ccy, e.commission, case when e.asset_class in ('FX_SPOT', 'FX_FWD', 'FX_SWAP', 'FX_NDF') then abs(e.net_money) * case when e.side in ('BUY', 'BUY_COVER') then -1 else 1 end else e.net_money end as net_money,
    coalesce(e.multiplier, 1) as multiplier,
    abs(e.qty) < 10000000000 as fits_qty, abs(e.qty) < 10000000000 and abs(e.price) < 100000000 as fits,
    v.event_at as event_at, e.event_time_precision, v.recv_at as recv_at, e.asset_class,
    upper(trim(e.exec_broker_id)) as exec_broker, e.uti, e.coupon, e.fx_rate,
    case when e.gross_money is not null then abs(e.gross_money) when e.price_type <> 'PERCENT_PAR'
      or e.price_type is null then case when abs(e.qty) < 10000000000 and abs(e.price) < 100000000 and abs(coalesce(e.multiplier, 1)) < 10000 then cast(abs(cast(cast(e.qty as number(19, 8)) * cast(coalesce(e.multiplier, 1) as number(9, 4)) as number(20, 6)) * cast(e.price as number(18, 8))) as number(28, 6)) end end as gross,
    e.accrued_interest, coalesce(n.lines, 0) as fee_lines, coalesce(n.totals, 0) as fee_totals,
    case when n.lines is null then 0 when n.ccy = n.ccy_top and n.ccy <> e.trade_ccy then null else n.amount end
      as fees, coalesce(n.regulatory, 0) as fee_regulatory, coalesce(n.exchange, 0) as fee_exchange,
    coalesce(n.tax, 0) as fee_tax
  from wanted v
    join trade_event e on e.record_id = v.terms_id
    left join fee n on n.record_id = v.terms_id
    left join work_feed f on f.feed = e.feed
    left join known_as k on k.uid = e.cross_uid and k.leg <> v.leg and k.trade_date = e.trade_date
), ordered as (
  select b.component, v.order_id, min(coalesce(v.client_order_id, v.order_id)) as ref
  from match_block b join match_version v on v.block = b.block and v.is_tip and not v.held and v.leg = 'L'
  where b.component in (select w.component from wanted w) and (v.order_id is not null or v.client_order_id is not null)
  group by b.component, v.order_id
)
select i.record_id, i.component, i.leg, i.pb, i.feed, i.level, i.root_id, i.live, i.uid, i.cross_uid, i.order_id,
  i.client_order_id, case when i.leg = 'L' then coalesce(i.client_order_id, o.ref) else coalesce(c.ref, o.ref) end,
  i.account, i.instrument_id, i.symbol, i.side, i.direction, i.qty, i.price, case greatest(coalesce(i.price_scale, 12), 2) when 2 then 0.005 when 3 then 0.0005 when 4 then 0.00005 when 5 then 0.000005 when 6 then 0.0000005 when 7 then 0.00000005 when 8 then 0.000000005 when 9 then 0.0000000005 when 10 then 0.00000000005 when 11 then 0.000000000005 else 0.0000000000005 end, i.trade_date,
  i.settle_date, i.trade_ccy, i.settle_ccy, i.commission, i.net_money, i.multiplier,
  case when i.fits_qty then cast(i.qty as number(19, 8)) end,
  case when i.fits then cast(cast(i.qty as number(19, 8)) * cast(i.price as number(18, 8)) as number(38, 12)) end,
  i.event_at, i.event_time_precision, i.recv_at,
  dateadd('second', case when i.leg = 'L' then coalesce(g.seconds, n.pb_seconds, :default_grace)
    else coalesce(n.internal_seconds, :default_grace) end, i.recv_at),
  i.asset_class, i.exec_broker, i.uti, i.coupon, i.fx_rate, i.gross, i.accrued_interest, i.fees, i.fee_lines,
  i.fee_totals, i.fee_regulatory, i.fee_exchange, i.fee_tax,
  i.net_money + case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast(coalesce(i.commission, 0) + i.fees as number(28, 6)) when abs(coalesce(i.commission, 0) + i.fees) < 100000000000000 and abs(i.fx_rate) < 10000000000 then cast(cast(coalesce(i.commission, 0) + i.fees as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6)) end,
  case when i.asset_class in ('FUTURE', 'FX_NDF') then 0 else case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end as number(28, 6)) when abs((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end) < 100000000000000 and abs(i.fx_rate) < 10000000000 then cast(cast((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6)) end end, i.alone
from item i cross join longest n
  left join ordered o on o.component = i.component and o.order_id = i.order_id
  left join (select distinct component, ref from ordered) c
    on c.component = i.component and c.ref = i.client_order_id
  left join grace g on i.leg = 'L' and g.party = i.pb;

-- items/duos
insert into work_item
with grace as (
  select party, max(grace_seconds) as seconds from work_feed where role = 'PB' group by party
), longest as (
  select max(case when role = 'PB' then grace_seconds end) as pb_seconds,
    max(case when role = 'INTERNAL' then grace_seconds end) as internal_seconds
  from work_feed
), wanted as (
  select d.left_id as record_id, 'L' as leg, substr(d.component, 3) as root_id, d.uid as root_uid,
    d.left_at as came_at, d.component
  from match_duo d where d.component in (select c.component from work_component c)
  union all
  select d.right_id, 'R', cast(null as varchar), cast(null as varchar), d.right_at, d.component
  from match_duo d where d.component in (select c.component from work_component c)
), fee as (
  select f.record_id, count(*) as lines,
    sum(case when f.fee_type = 'TOTAL' then 1 else 0 end) as totals, min(f.ccy) as ccy, max(f.ccy) as ccy_top,
    cast(sum(f.amount) as number(28, 6)) as amount,
    cast(sum(case when f.fee_type = '1' then f.amount else 0 end) as number(28, 6)) as regulatory,
    cast(sum(case when f.fee_type = '4' then f.amount else 0 end) as number(28, 6)) as exchange,
    cast(sum(case when f.fee_type in ('2', '5', '9') then f.amount else 0 end) as number(28, 6)) as tax
  from trade_fee f where f.record_id in (select v.record_id from wanted v) group by f.record_id
), item as (
  select v.record_id, v.component, v.leg, true as alone, e.feed, e.level, v.root_id, true as live,
    case when v.leg = 'L' and e.level = 'ALLOCATION' then coalesce(e.alloc_id, coalesce(v.root_uid, e.trade_uid, e.record_id)) else coalesce(v.root_uid, e.trade_uid, e.record_id) end as uid,
    e.cross_uid as cross_uid, e.order_id, e.client_order_id,
    case when v.leg = 'L' then coalesce(e.pb_id, cast(:only_pb as varchar))
      else coalesce(f.party, e.pb_id, e.source_id) end as pb,
    coalesce(e.account_id, e.account_raw) as account, e.instrument_id, e.symbol,
    case when e.side = 'SELL_SHORT_EXEMPT' then 'SELL_SHORT' else e.side end as side,
    case when e.side in ('BUY', 'BUY_COVER') then 'BUY'
      when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end as direction,
    e.qty, e.price, e.price_scale, e.trade_date, e.settle_date, e.trade_ccy, coalesce(e.settle_ccy, e.trade_ccy)
      as settle_ccy, e.commission, case when e.asset_class in ('FX_SPOT', 'FX_FWD', 'FX_SWAP', 'FX_NDF') then abs(e.net_money) * case when e.side in ('BUY', 'BUY_COVER') then -1 else 1 end else e.net_money end as net_money,
    coalesce(e.multiplier, 1) as multiplier,
    abs(e.qty) < 10000000000 as fits_qty, abs(e.qty) < 10000000000 and abs(e.price) < 100000000 as fits,
    e.event_time_utc as event_at, e.event_time_precision, e.recv_time_utc as recv_at, e.asset_class,
    upper(trim(e.exec_broker_id)) as exec_broker, e.uti, e.coupon, e.fx_rate,
    case when e.gross_money is not null then abs(e.gross_money) when e.price_type <> 'PERCENT_PAR'
      or e.price_type is null then case when abs(e.qty) < 10000000000 and abs(e.price) < 100000000 and abs(coalesce(e.multiplier, 1)) < 10000 then cast(abs(cast(cast(e.qty as number(19, 8)) * cast(coalesce(e.multiplier, 1) as number(9, 4)) as number(20, 6)) * cast(e.price as number(18, 8))) as number(28, 6)) end end as gross,
    e.accrued_interest, coalesce(n.lines, 0) as fee_lines, coalesce(n.totals, 0) as fee_totals,
    case when n.lines is null then 0 when n.ccy = n.ccy_top and n.ccy <> e.trade_ccy then null else n.amount end
      as fees, coalesce(n.regulatory, 0) as fee_regulatory, coalesce(n.exchange, 0) as fee_exchange,
    coalesce(n.tax, 0) as fee_tax
  from wanted v
    join trade_event e on e.recv_time_utc = v.came_at and case when e.record_id = v.record_id then 1 else 0 end = 1
    left join fee n on n.record_id = v.record_id
    left join work_feed f on f.feed = e.feed
)
select i.record_id, i.component, i.leg, i.pb, i.feed, i.level, i.root_id, i.live, i.uid, i.cross_uid, i.order_id,
  i.client_order_id, case when i.leg = 'L' then i.client_order_id end,
  i.account, i.instrument_id, i.symbol, i.side, i.direction, i.qty, i.price, case greatest(coalesce(i.price_scale, 12), 2) when 2 then 0.005 when 3 then 0.0005 when 4 then 0.00005 when 5 then 0.000005 when 6 then 0.0000005 when 7 then 0.00000005 when 8 then 0.000000005 when 9 then 0.0000000005 when 10 then 0.00000000005 when 11 then 0.000000000005 else 0.0000000000005 end, i.trade_date,
  i.settle_date, i.trade_ccy, i.settle_ccy, i.commission, i.net_money, i.multiplier,
  case when i.fits_qty then cast(i.qty as number(19, 8)) end,
  case when i.fits then cast(cast(i.qty as number(19, 8)) * cast(i.price as number(18, 8)) as number(38, 12)) end,
  i.event_at, i.event_time_precision, i.recv_at,
  dateadd('second', case when i.leg = 'L' then coalesce(g.seconds, n.pb_seconds, :default_grace)
    else coalesce(n.internal_seconds, :default_grace) end, i.recv_at),
  i.asset_class, i.exec_broker, i.uti, i.coupon, i.fx_rate, i.gross, i.accrued_interest, i.fees, i.fee_lines,
  i.fee_totals, i.fee_regulatory, i.fee_exchange, i.fee_tax,
  i.net_money + case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast(coalesce(i.commission, 0) + i.fees as number(28, 6)) when abs(coalesce(i.commission, 0) + i.fees) < 100000000000000 and abs(i.fx_rate) < 10000000000 then cast(cast(coalesce(i.commission, 0) + i.fees as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6)) end,
  case when i.asset_class in ('FUTURE', 'FX_NDF') then 0 else case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end as number(28, 6)) when abs((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end) < 100000000000000 and abs(i.fx_rate) < 10000000000 then cast(cast((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6)) end end, i.alone
from item i cross join longest n
  left join grace g on i.leg = 'L' and g.party = i.pb;

-- items/refs
insert into work_ref
with grace as (
  select party, max(grace_seconds) as seconds from work_feed where role = 'PB' group by party
), longest as (
  select max(case when role = 'PB' then grace_seconds end) as pb_seconds,
    max(case when role = 'INTERNAL' then grace_seconds end) as internal_seconds
  from work_feed
), known_as as (
  select leg, uid, trade_date, min(root_uid) as root_uid from match_version
  where uid <> root_uid and not held group by leg, uid, trade_date
), wanted as (
  select v.*, t.component from work_twin t join match_version v on v.record_id = t.record_id
), fee as (
  select f.record_id, count(*) as lines,
    sum(case when f.fee_type = 'TOTAL' then 1 else 0 end) as totals, min(f.ccy) as ccy, max(f.ccy) as ccy_top,
    cast(sum(f.amount) as number(28, 6)) as amount,
    cast(sum(case when f.fee_type = '1' then f.amount else 0 end) as number(28, 6)) as regulatory,
    cast(sum(case when f.fee_type = '4' then f.amount else 0 end) as number(28, 6)) as exchange,
    cast(sum(case when f.fee_type in ('2', '5', '9') then f.amount else 0 end) as number(28, 6)) as tax
  from trade_fee f where f.record_id in (select v.terms_id from wanted v) group by f.record_id
), item as (
  select v.record_id, v.component, v.leg, v.alone as alone, e.feed, e.level, v.root_id, v.status <> 'CANCEL' as live,
    case when v.leg = 'L' and e.level = 'ALLOCATION' then coalesce(e.alloc_id, v.root_uid) else v.root_uid end as uid,
    coalesce(k.root_uid, e.cross_uid) as cross_uid, e.order_id, e.client_order_id,
    case when v.leg = 'L' then coalesce(e.pb_id, cast(:only_pb as varchar))
      else coalesce(f.party, e.pb_id, e.source_id) end as pb,
    coalesce(e.account_id, e.account_raw) as account, e.instrument_id, e.symbol,
    case when e.side = 'SELL_SHORT_EXEMPT' then 'SELL_SHORT' else e.side end as side,
    case when e.side in ('BUY', 'BUY_COVER') then 'BUY'
      when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end as direction,
    e.qty, e.price, e.price_scale, e.trade_date, e.settle_date, e.trade_ccy, coalesce(e.settle_ccy, e.trade_ccy)
      as settle_ccy, e.commission, case when e.asset_class in ('FX_SPOT', 'FX_FWD', 'FX_SWAP', 'FX_NDF') then abs(e.net_money) * case when e.side in ('BUY', 'BUY_COVER') then -1 else 1 end else e.net_money end as net_money,
    coalesce(e.multiplier, 1) as multiplier,
    abs(e.qty) < 10000000000 as fits_qty, abs(e.qty) < 10000000000 and abs(e.price) < 100000000 as fits,
    v.event_at as event_at, e.event_time_precision, v.recv_at as recv_at, e.asset_class,
    upper(trim(e.exec_broker_id)) as exec_broker, e.uti, e.coupon, e.fx_rate,
    case when e.gross_money is not null then abs(e.gross_money) when e.price_type <> 'PERCENT_PAR'
      or e.price_type is null then case when abs(e.qty) < 10000000000 and abs(e.price) < 100000000 and abs(coalesce(e.multiplier, 1)) < 10000 then cast(abs(cast(cast(e.qty as number(19, 8)) * cast(coalesce(e.multiplier, 1) as number(9, 4)) as number(20, 6)) * cast(e.price as number(18, 8))) as number(28, 6)) end end as gross,
    e.accrued_interest, coalesce(n.lines, 0) as fee_lines, coalesce(n.totals, 0) as fee_totals,
    case when n.lines is null then 0 when n.ccy = n.ccy_top and n.ccy <> e.trade_ccy then null else n.amount end
      as fees, coalesce(n.regulatory, 0) as fee_regulatory, coalesce(n.exchange, 0) as fee_exchange,
    coalesce(n.tax, 0) as fee_tax
  from wanted v
    join trade_event e on e.record_id = v.terms_id
    left join fee n on n.record_id = v.terms_id
    left join work_feed f on f.feed = e.feed
    left join known_as k on k.uid = e.cross_uid and k.leg <> v.leg and k.trade_date = e.trade_date
), ordered as (
  select b.component, v.order_id, min(coalesce(v.client_order_id, v.order_id)) as ref
  from match_block b join match_version v on v.block = b.block and v.is_tip and not v.held and v.leg = 'L'
  where b.component in (select w.component from wanted w) and (v.order_id is not null or v.client_order_id is not null)
  group by b.component, v.order_id
)
select i.record_id, i.component, i.leg, i.pb, i.feed, i.level, i.root_id, i.live, i.uid, i.cross_uid, i.order_id,
  i.client_order_id, case when i.leg = 'L' then coalesce(i.client_order_id, o.ref) else coalesce(c.ref, o.ref) end,
  i.account, i.instrument_id, i.symbol, i.side, i.direction, i.qty, i.price, case greatest(coalesce(i.price_scale, 12), 2) when 2 then 0.005 when 3 then 0.0005 when 4 then 0.00005 when 5 then 0.000005 when 6 then 0.0000005 when 7 then 0.00000005 when 8 then 0.000000005 when 9 then 0.0000000005 when 10 then 0.00000000005 when 11 then 0.000000000005 else 0.0000000000005 end, i.trade_date,
  i.settle_date, i.trade_ccy, i.settle_ccy, i.commission, i.net_money, i.multiplier,
  case when i.fits_qty then cast(i.qty as number(19, 8)) end,
  case when i.fits then cast(cast(i.qty as number(19, 8)) * cast(i.price as number(18, 8)) as number(38, 12)) end,
  i.event_at, i.event_time_precision, i.recv_at,
  dateadd('second', case when i.leg = 'L' then coalesce(g.seconds, n.pb_seconds, :default_grace)
    else coalesce(n.internal_seconds, :default_grace) end, i.recv_at),
  i.asset_class, i.exec_broker, i.uti, i.coupon, i.fx_rate, i.gross, i.accrued_interest, i.fees, i.fee_lines,
  i.fee_totals, i.fee_regulatory, i.fee_exchange, i.fee_tax,
  i.net_money + case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast(coalesce(i.commission, 0) + i.fees as number(28, 6)) when abs(coalesce(i.commission, 0) + i.fees) < 100000000000000 and abs(i.fx_rate) < 10000000000 then cast(cast(coalesce(i.commission, 0) + i.fees as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6)) end,
  case when i.asset_class in ('FUTURE', 'FX_NDF') then 0 else case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end as number(28, 6)) when abs((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end) < 100000000000000 and abs(i.fx_rate) < 10000000000 then cast(cast((i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in ('BUY', 'SUBSCRIBE', 'BORROW') then -1 else 1 end as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6)) end end, i.alone
from item i cross join longest n
  left join ordered o on o.component = i.component and o.order_id = i.order_id
  left join (select distinct component, ref from ordered) c
    on c.component = i.component and c.ref = i.client_order_id
  left join grace g on i.leg = 'L' and g.party = i.pb;

-- members/lazy
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select z.record_id, z.leg, 'S|' || z.record_id, 'P90-one-sided', case when z.leg = 'L' then 'T01' else 'T02' end, null from work_lazy z;

-- members/duos
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select d.left_id, 'L', d.left_id, 'P10-exec-id', null, null from match_duo d where d.component in (select c.component from work_component c)
union all
select d.right_id, 'R', d.left_id, 'P10-exec-id', null, null from match_duo d where d.component in (select c.component from work_component c);

-- P01-order-allocated/tie
insert into work_pair (left_id, right_id)
with share as (
  select i.record_id, i.component, i.order_ref, i.instrument, i.side, i.trade_date,
    min(i.record_id) over (partition by i.component, i.order_ref, i.instrument, i.side, i.trade_date) as first_id
  from work_item i
  where i.leg = 'L' and i.live and i.level = 'ALLOCATION' and i.order_ref is not null
), block as (
  select distinct component, order_ref, instrument, side, trade_date, first_id from share
), fill as (
  select f.record_id, s.first_id from work_item f join block s on f.order_ref = s.order_ref and f.component = s.component and f.instrument = s.instrument and f.side = s.side and f.trade_date = s.trade_date
  where f.leg = 'L' and f.live and f.level = 'FILL'
)
select record_id, first_id from fill
union all
select s.record_id, s.first_id from share s where s.first_id in (select f.first_id from fill f);

-- P01-order-allocated/file
insert into work_order (record_id, leg, group_key, taken)
with part as (
  select i.record_id, i.component, i.level, i.account, i.uid, p.right_id as group_id
  from work_pair p join work_item i on i.record_id = p.left_id
), quoted as (
  select distinct f.group_id from part f
    join part s on s.group_id = f.group_id and s.level = 'ALLOCATION' and s.account = f.account
    join work_item r on r.leg = 'R' and r.component = f.component and r.cross_uid = f.uid
  where f.level = 'FILL'
)
select p.record_id, case when p.level = 'FILL' then 'L' else 'R' end, 'O|' || p.group_id,
  (p.level = 'FILL') = (q.group_id is null)
from part p left join quoted q on q.group_id = p.group_id;

-- P01-order-allocated/unallocated
insert into work_order (record_id, leg, group_key, taken)
select l.record_id, 'L', 'U|' || min(l.record_id) over (
    partition by l.component, l.order_ref, l.account, l.instrument, l.side, l.trade_date),
  true
from work_l l
where l.pb is null and l.level = 'FILL' and l.order_ref is not null
  and not exists (select 1 from match_version r where r.leg = 'R' and r.account = l.account);

-- P01-order-allocated/sides
insert into work_order_side
select o.group_key, o.leg, max(case when o.taken then 1 else 0 end) = 1,
  left(sha2('group' || chr(31) || listagg(o.record_id, ',') within group (order by o.record_id), 256), 32), min(i.component), min(i.feed),
  min(i.trade_date), min(i.order_ref), min(i.account), min(i.instrument),
  min(i.symbol), min(i.side), min(i.settle_date), min(i.ccy), count(*), sum(i.qty),
  case when count(i.small_qty) = count(*) then sum(i.small_qty) end, min(i.price), max(i.half_unit),
  case when count(i.notional) = count(*) then sum(i.notional) end, max(i.multiplier), max(i.recv_at), max(i.due_at)
from work_order o join work_item i on i.record_id = o.record_id group by o.group_key, o.leg;

-- P01-order-allocated/findings
insert into work_finding
with c as (
  select l.*, r.qty as r_qty, r.price as r_price,
    case when r.group_key is null then 'T01' when l.qty <> r.qty then 'T05'
      when abs(l.notional - r.notional) > r.half_unit * r.small_qty then 'T06' end as code,
    case when r.group_key is null then case when abs(l.qty) < 10000000000 and abs(l.price) < 100000000 and abs(l.multiplier) < 10000 then cast(abs(cast(cast(l.qty as number(19, 8)) * cast(l.multiplier as number(9, 4)) as number(20, 6)) * cast(l.price as number(18, 8))) as number(28, 6)) end
      when l.qty <> r.qty then case when abs(abs(l.qty - r.qty)) < 10000000000 and abs(l.price) < 100000000 and abs(l.multiplier) < 10000 then cast(abs(cast(cast(abs(l.qty - r.qty) as number(19, 8)) * cast(l.multiplier as number(9, 4)) as number(20, 6)) * cast(l.price as number(18, 8))) as number(28, 6)) end else case when abs(abs(r.notional - l.notional)) < 1000000000000000000 and abs(l.multiplier) < 10000 then cast(cast(abs(r.notional - l.notional) as number(24, 6)) * cast(l.multiplier as number(9, 4)) as number(28, 6)) end end as exposure,
    case when r.recv_at > l.recv_at then r.recv_at else l.recv_at end as told_at,
    'order|' || l.feed || '|' || cast(l.trade_date as varchar) || '|' || l.order_key || '|' || l.account || '|'
      || l.instrument || '|' || l.side as anchor
  from work_order_side l left join work_order_side r on r.group_key = l.group_key and r.leg = 'R'
  where l.leg = 'L'
), n as (
  select c.*, case when c.code = 'T01' then 'existence' when c.code = 'T05' then 'qty' else 'price' end as family
  from c where c.code is not null
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || 'ORDER' || chr(31) || n.anchor || chr(31) || n.family, 256), 32), 'ORDER', cast(null as varchar), n.anchor,
  n.family, n.code,
  dateadd('second', :grace, n.told_at), n.instrument, n.symbol, n.account, n.side, n.trade_date, n.settle_date, n.ccy,
  n.exposure, case when n.code = 'T06' then rtrim(rtrim(cast(n.price as varchar), '0'), '.') else rtrim(rtrim(cast(n.qty as varchar), '0'), '.') end,
  case when n.code = 'T06' then rtrim(rtrim(cast(n.r_price as varchar), '0'), '.') when n.code = 'T05' then rtrim(rtrim(cast(n.r_qty as varchar), '0'), '.') end,
  case when n.code <> 'T06' and n.qty < 100000000000000000000 and coalesce(n.r_qty, 0) < 100000000000000000000
    then cast(coalesce(n.r_qty, 0) - n.qty as number(28, 6)) end,
  :pass_id, :pass_id, case when n.code <> 'T01' then n.group_id end, n.group_key, n.component, n.qty, n.price,
  k.severity, cast(null as varchar), cast(null as varchar), cast(null as varchar)
from n join work_code k on k.code = n.code;

-- P01-order-allocated/members
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select o.record_id, o.leg, o.group_key, f.pass_id, f.code, null
from work_order o join work_finding f on f.group_key = o.group_key;

-- P01-order-allocated/groups
insert into work_group (group_id, level, pb_id, pass_id, rule_set_hash, cardinality, confidence, residual,
  interchangeable, component, as_of)
select case when l.taken then l.group_id else r.group_id end, 'ORDER', cast(null as varchar), :pass_id, :rule_set_hash,
  case when l.n > 1 then 'n' else '1' end || ':' || case when r.n = 1 then '1' when l.n > 1 then 'm' else 'n' end,
  1, case when abs((r.notional - l.notional)) < 1000000000000000000 and abs(l.multiplier) < 10000 then cast(cast((r.notional - l.notional) as number(24, 6)) * cast(l.multiplier as number(9, 4)) as number(28, 6)) end, false, l.component, cast(:as_of as timestamp_ntz(9))
from work_order_side l join work_order_side r on r.group_key = l.group_key and r.leg = 'R' where l.leg = 'L';

-- P05-exec-id-parts
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, uid, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, uid, account, instrument, side, trade_date
) l join (
  select component, pb, cross_uid, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, cross_uid, account, instrument, side, trade_date
) r
  on l.component = r.component and l.pb = r.pb and l.uid = r.cross_uid and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and l.n + r.n > 2
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P05-exec-id-parts/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P05-exec-id-parts', null, null from (
  select record_id, min(record_id) over (partition by component, pb, uid, account, instrument, side, trade_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P05-exec-id-parts', null, null from (
  select record_id, min(record_id) over (partition by component, pb, cross_uid, account, instrument, side, trade_date) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P05-exec-id-parts/any-pb
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, uid, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, uid, account, instrument, side, trade_date
) l join (
  select component, pb, cross_uid, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, cross_uid, account, instrument, side, trade_date
) r
  on l.component = r.component and l.pb is null and l.uid = r.cross_uid and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and l.n + r.n > 2
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P05-exec-id-parts/any-pb/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P05-exec-id-parts', null, null from (
  select record_id, min(record_id) over (partition by component, pb, uid, account, instrument, side, trade_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P05-exec-id-parts', null, null from (
  select record_id, min(record_id) over (partition by component, pb, cross_uid, account, instrument, side, trade_date) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P10-exec-id
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
  select x.* from (
  select l.record_id as left_id, r.record_id as right_id, l.nr as left_nr, r.nr as right_nr, case when l.account = r.account then 1 else 0 end + case when l.instrument = r.instrument then 1 else 0 end + case when l.direction = r.direction then 1 else 0 end + case when l.qty = r.qty then 1 else 0 end + case when l.price = r.price then 1 else 0 end as agreed
  from (select x.* from work_l x where x.uid not in (
    select b.cross_uid from work_r b where b.cross_uid in (select a.uid from work_l a group by a.uid having count(*) > 200) group by b.cross_uid having count(*) > 200)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and l.uid = r.cross_uid and l.trade_date = r.trade_date
  ) x where x.agreed >= 2
) c
qualify row_number() over (partition by c.left_nr order by c.agreed desc, c.right_nr) = 1
  and row_number() over (partition by c.right_nr order by c.agreed desc, c.left_nr) = 1;

-- P10-exec-id/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P10-exec-id', null, null from work_pair
union all
select right_id, 'R', left_id, 'P10-exec-id', null, null from work_pair;

-- P11-their-id
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
  select x.* from (
  select l.record_id as left_id, r.record_id as right_id, l.nr as left_nr, r.nr as right_nr, case when l.account = r.account then 1 else 0 end + case when l.instrument = r.instrument then 1 else 0 end + case when l.direction = r.direction then 1 else 0 end + case when l.qty = r.qty then 1 else 0 end + case when l.price = r.price then 1 else 0 end as agreed
  from (select x.* from work_l x where x.cross_uid not in (
    select b.uid from work_r b where b.uid in (select a.cross_uid from work_l a group by a.cross_uid having count(*) > 200) group by b.uid having count(*) > 200)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and l.cross_uid = r.uid and l.trade_date = r.trade_date
  ) x where x.agreed >= 2
) c
qualify row_number() over (partition by c.left_nr order by c.agreed desc, c.right_nr) = 1
  and row_number() over (partition by c.right_nr order by c.agreed desc, c.left_nr) = 1;

-- P11-their-id/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P11-their-id', null, null from work_pair
union all
select right_id, 'R', left_id, 'P11-their-id', null, null from work_pair;

-- P12-same-id
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
  select x.* from (
  select l.record_id as left_id, r.record_id as right_id, l.nr as left_nr, r.nr as right_nr, case when l.account = r.account then 1 else 0 end + case when l.instrument = r.instrument then 1 else 0 end + case when l.direction = r.direction then 1 else 0 end + case when l.qty = r.qty then 1 else 0 end + case when l.price = r.price then 1 else 0 end as agreed
  from (select x.* from work_l x where x.uid not in (
    select b.uid from work_r b where b.uid in (select a.uid from work_l a group by a.uid having count(*) > 200) group by b.uid having count(*) > 200)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and l.uid = r.uid and l.trade_date = r.trade_date and l.instrument = r.instrument and l.direction = r.direction
  ) x where x.agreed >= 4
) c
qualify row_number() over (partition by c.left_nr order by c.agreed desc, c.right_nr) = 1
  and row_number() over (partition by c.right_nr order by c.agreed desc, c.left_nr) = 1;

-- P12-same-id/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P12-same-id', null, null from work_pair
union all
select right_id, 'R', left_id, 'P12-same-id', null, null from work_pair;

-- P13-exec-id-other-date
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
  select x.* from (
  select l.record_id as left_id, r.record_id as right_id, l.nr as left_nr, r.nr as right_nr, case when l.account = r.account then 1 else 0 end + case when l.instrument = r.instrument then 1 else 0 end + case when l.direction = r.direction then 1 else 0 end + case when l.qty = r.qty then 1 else 0 end + case when l.price = r.price then 1 else 0 end as agreed
  from (select x.* from work_l x where x.uid not in (
    select b.cross_uid from work_r b where b.cross_uid in (select a.uid from work_l a group by a.uid having count(*) > 200) group by b.cross_uid having count(*) > 200)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and l.uid = r.cross_uid and l.instrument = r.instrument and l.direction = r.direction and l.qty = r.qty
  ) x where x.agreed >= 4
) c
qualify row_number() over (partition by c.left_nr order by c.agreed desc, c.right_nr) = 1
  and row_number() over (partition by c.right_nr order by c.agreed desc, c.left_nr) = 1;

-- P13-exec-id-other-date/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P13-exec-id-other-date', null, null from work_pair
union all
select right_id, 'R', left_id, 'P13-exec-id-other-date', null, null from work_pair;

-- P14-exec-id-variant
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
  select distinct l.record_id as left_id, r.record_id as right_id, l.nr as left_nr, r.nr as right_nr, case when l.account = r.account then 1 else 0 end + case when l.instrument = r.instrument then 1 else 0 end + case when l.direction = r.direction then 1 else 0 end + case when l.qty = r.qty then 1 else 0 end + case when l.price = r.price then 1 else 0 end as agreed
  from (
  select f.* from (
    select i.*, true as id_whole, ltrim(replace(i.id_told, '-', ''), '0') as id_form from (select x.*, translate(upper(x.uid), '._/:|# ', '-------') as id_told from work_l x where x.uid is not null) i where true
    union all
    select i.*, false as id_whole, ltrim(replace(substr(i.id_told, position('-' in i.id_told) + 1), '-', ''), '0') as id_form from (select x.*, translate(upper(x.uid), '._/:|# ', '-------') as id_told from work_l x where x.uid is not null) i where position('-' in i.id_told) > 0
    union all
    select i.*, false as id_whole, ltrim(replace(reverse(substr(reverse(i.id_told), position('-' in reverse(i.id_told)) + 1)), '-', ''), '0') as id_form from (select x.*, translate(upper(x.uid), '._/:|# ', '-------') as id_told from work_l x where x.uid is not null) i where position('-' in i.id_told) > 0
    union all
    select i.*, false as id_whole, ltrim(replace(ltrim(i.id_told, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'), '-', ''), '0') as id_form from (select x.*, translate(upper(x.uid), '._/:|# ', '-------') as id_told from work_l x where x.uid is not null) i where true
  ) f where f.id_form like '___%'
) l join (
  select f.* from (
    select i.*, true as id_whole, ltrim(replace(i.id_told, '-', ''), '0') as id_form from (select x.*, translate(upper(x.cross_uid), '._/:|# ', '-------') as id_told from work_r x where x.cross_uid is not null) i where true
    union all
    select i.*, false as id_whole, ltrim(replace(substr(i.id_told, position('-' in i.id_told) + 1), '-', ''), '0') as id_form from (select x.*, translate(upper(x.cross_uid), '._/:|# ', '-------') as id_told from work_r x where x.cross_uid is not null) i where position('-' in i.id_told) > 0
    union all
    select i.*, false as id_whole, ltrim(replace(reverse(substr(reverse(i.id_told), position('-' in reverse(i.id_told)) + 1)), '-', ''), '0') as id_form from (select x.*, translate(upper(x.cross_uid), '._/:|# ', '-------') as id_told from work_r x where x.cross_uid is not null) i where position('-' in i.id_told) > 0
    union all
    select i.*, false as id_whole, ltrim(replace(ltrim(i.id_told, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'), '-', ''), '0') as id_form from (select x.*, translate(upper(x.cross_uid), '._/:|# ', '-------') as id_told from work_r x where x.cross_uid is not null) i where true
  ) f where f.id_form like '___%'
) r on l.component = r.component and (l.pb = r.pb or l.pb is null) and l.id_form = r.id_form and (l.id_whole or r.id_whole) and l.trade_date = r.trade_date and l.instrument = r.instrument and l.direction = r.direction
  where case when l.account = r.account then 1 else 0 end + case when l.instrument = r.instrument then 1 else 0 end + case when l.direction = r.direction then 1 else 0 end + case when l.qty = r.qty then 1 else 0 end + case when l.price = r.price then 1 else 0 end >= 4
) c
qualify row_number() over (partition by c.left_nr order by c.agreed desc, c.right_nr) = 1
  and row_number() over (partition by c.right_nr order by c.agreed desc, c.left_nr) = 1;

-- P14-exec-id-variant/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P14-exec-id-variant', null, null from work_pair
union all
select right_id, 'R', left_id, 'P14-exec-id-variant', null, null from work_pair;

-- P15-crossed-cancels
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select a.record_id, 'R', 'S|' || a.record_id, 'P15-crossed-cancels', 'T22', min(d.record_id)
from work_r a join work_item d on d.leg = 'L' and not d.live and a.component = d.component and a.cross_uid = d.uid and a.trade_date = d.trade_date
where exists (
  select 1 from work_l o join work_item x on x.leg = 'R' and not x.live and x.component = o.component and o.uid = x.cross_uid
  where o.component = a.component and (o.pb = a.pb or o.pb is null) and o.account = a.account and o.instrument = a.instrument and o.side = a.side and o.qty = a.qty and o.price = a.price and o.trade_date = a.trade_date)
group by a.record_id
union all
select a.record_id, 'L', 'S|' || a.record_id, 'P15-crossed-cancels', 'T22', min(d.record_id)
from work_l a join work_item d on d.leg = 'R' and not d.live and a.component = d.component and a.uid = d.cross_uid and a.trade_date = d.trade_date
where exists (
  select 1 from work_r o join work_item x on x.leg = 'L' and not x.live and x.component = o.component and o.cross_uid = x.uid
  where o.component = a.component and (a.pb = o.pb or a.pb is null) and a.account = o.account and a.instrument = o.instrument and a.side = o.side and a.qty = o.qty and a.price = o.price and a.trade_date = o.trade_date)
group by a.record_id;

-- P20-order-economics
insert into work_pair (left_id, right_id)
select l.record_id, r.record_id
from (
  select x.*, coalesce(t.nth, 1) as nth from work_l x left join (
    select y.nr, row_number() over (partition by y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_l y where true and hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_l y group by hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where true
) l
join (
  select x.*, coalesce(t.nth, 1) as nth from work_r x left join (
    select y.nr, row_number() over (partition by y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_r y where not y.whole and hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_r y group by hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where not x.whole
) r
  on l.component = r.component and l.pb = r.pb and l.nth = r.nth and l.order_ref = r.order_ref and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.settle_date = r.settle_date and l.ccy = r.ccy;

-- P20-order-economics/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P20-order-economics', null, null from work_pair
union all
select right_id, 'R', left_id, 'P20-order-economics', null, null from work_pair;

-- P20-order-economics/any-pb
insert into work_pair (left_id, right_id)
select l.record_id, r.record_id
from (
  select x.*, coalesce(t.nth, 1) as nth from work_l x left join (
    select y.nr, row_number() over (partition by y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_l y where true and hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_l y group by hash(y.component, y.pb, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where true
) l
join (
  select x.*, coalesce(t.nth, 1) as nth from work_r x left join (
    select y.nr, row_number() over (partition by y.component, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_r y where not y.whole and hash(y.component, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_r y group by hash(y.component, y.order_ref, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where not x.whole
) r
  on l.component = r.component and l.pb is null and l.nth = r.nth and l.order_ref = r.order_ref and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.settle_date = r.settle_date and l.ccy = r.ccy;

-- P20-order-economics/any-pb/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P20-order-economics', null, null from work_pair
union all
select right_id, 'R', left_id, 'P20-order-economics', null, null from work_pair;

-- P25-quoted-again
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
with matched as (
  select i.* from work_item i join work_member m on m.record_id = i.record_id and m.code is null
  union all
  select i.* from work_ref i
)
select f.record_id, 'R', 'S|' || f.record_id, 'P25-quoted-again', 'T03', x.least_id
from work_r f join (
  select component, pb, account, instrument, side, qty, price, trade_date, cross_uid, min(record_id) as least_id from matched where leg = 'R' group by component, pb, account, instrument, side, qty, price, trade_date, cross_uid
) x on f.component = x.component and equal_null(f.pb, x.pb)
  and f.account = x.account and f.instrument = x.instrument and f.side = x.side and f.qty = x.qty and f.price = x.price and f.trade_date = x.trade_date and f.cross_uid = x.cross_uid
union all
select f.record_id, 'L', 'S|' || f.record_id, 'P25-quoted-again', 'T04', x.least_id
from work_l f join (
  select component, pb, account, instrument, side, qty, price, trade_date, uid, min(record_id) as least_id from matched where leg = 'L' group by component, pb, account, instrument, side, qty, price, trade_date, uid
) x on f.component = x.component and equal_null(f.pb, x.pb)
  and f.account = x.account and f.instrument = x.instrument and f.side = x.side and f.qty = x.qty and f.price = x.price and f.trade_date = x.trade_date and f.uid = x.uid;

-- P30-order-block
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, order_ref, account, instrument, side, trade_date
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, order_ref, account, instrument, side, trade_date
) r
  on l.component = r.component and l.pb = r.pb and l.order_ref = r.order_ref and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P30-order-block/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P30-order-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P30-order-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P30-order-block/any-pb
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, order_ref, account, instrument, side, trade_date
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, order_ref, account, instrument, side, trade_date
) r
  on l.component = r.component and l.pb is null and l.order_ref = r.order_ref and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P30-order-block/any-pb/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P30-order-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P30-order-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P35-order-block-repeated
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, order_ref, account, instrument, side, trade_date
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, record_id, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, order_ref, account, instrument, side, trade_date, record_id
) r
  on l.component = r.component and l.pb = r.pb and l.order_ref = r.order_ref and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and r.blocks = r.n
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P35-order-block-repeated/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P35-order-block-repeated', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P35-order-block-repeated', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, record_id) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P35-order-block-repeated/any-pb
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, order_ref, account, instrument, side, trade_date
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, record_id, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, order_ref, account, instrument, side, trade_date, record_id
) r
  on l.component = r.component and l.pb is null and l.order_ref = r.order_ref and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and r.blocks = r.n
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P35-order-block-repeated/any-pb/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P35-order-block-repeated', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P35-order-block-repeated', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, record_id) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P40-economics
insert into work_pair (left_id, right_id)
select l.record_id, r.record_id
from (
  select x.*, coalesce(t.nth, 1) as nth from work_l x left join (
    select y.nr, row_number() over (partition by y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_l y where true and hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_l y group by hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where true
) l
join (
  select x.*, coalesce(t.nth, 1) as nth from work_r x left join (
    select y.nr, row_number() over (partition by y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_r y where y.order_ref is null and hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_r y group by hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where x.order_ref is null
) r
  on l.component = r.component and l.pb = r.pb and l.nth = r.nth and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.settle_date = r.settle_date and l.ccy = r.ccy;

-- P40-economics/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P40-economics', null, null from work_pair
union all
select right_id, 'R', left_id, 'P40-economics', null, null from work_pair;

-- P40-economics/any-pb
insert into work_pair (left_id, right_id)
select l.record_id, r.record_id
from (
  select x.*, coalesce(t.nth, 1) as nth from work_l x left join (
    select y.nr, row_number() over (partition by y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_l y where true and hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_l y group by hash(y.component, y.pb, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where true
) l
join (
  select x.*, coalesce(t.nth, 1) as nth from work_r x left join (
    select y.nr, row_number() over (partition by y.component, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy order by y.commission, y.nr) as nth
    from work_r y where y.order_ref is null and hash(y.component, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) in (select hash(y.component, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) from work_r y group by hash(y.component, y.account, y.instrument, y.side, y.qty, y.price, y.trade_date, y.settle_date, y.ccy) having count(*) > 1)
  ) t on t.nr = x.nr where x.order_ref is null
) r
  on l.component = r.component and l.pb is null and l.nth = r.nth and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.settle_date = r.settle_date and l.ccy = r.ccy;

-- P40-economics/any-pb/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P40-economics', null, null from work_pair
union all
select right_id, 'R', left_id, 'P40-economics', null, null from work_pair;

-- P50-tolerance
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.price - r.price), abs(coalesce(l.commission, 0) - coalesce(r.commission, 0)), abs(l.twin - r.twin)
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.trade_date = r.trade_date and l.ccy = r.ccy
    and abs(l.price - r.price) <= greatest(l.half_unit, r.half_unit);

-- P50-tolerance/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P50-tolerance', null, null from work_pair
union all
select right_id, 'R', left_id, 'P50-tolerance', null, null from work_pair;

-- P60-day-block
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, account, instrument, side, trade_date, settle_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, account, instrument, side, trade_date, settle_date
) l join (
  select component, pb, account, instrument, side, trade_date, settle_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, account, instrument, side, trade_date, settle_date
) r
  on l.component = r.component and l.pb = r.pb and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date and l.settle_date = r.settle_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P60-day-block/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P60-day-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, account, instrument, side, trade_date, settle_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P60-day-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, account, instrument, side, trade_date, settle_date) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P60-day-block/any-pb
insert into work_pair (left_id, right_id)
select l.first_id, r.first_id
from (
  select component, pb, account, instrument, side, trade_date, settle_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l group by component, pb, account, instrument, side, trade_date, settle_date
) l join (
  select component, pb, account, instrument, side, trade_date, settle_date, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,
    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r group by component, pb, account, instrument, side, trade_date, settle_date
) r
  on l.component = r.component and l.pb is null and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date and l.settle_date = r.settle_date
where (l.n = 1 or r.n = 1 or r.blocks = r.n)
  and l.total_qty = r.total_qty
  and l.sized = l.n and r.sized = r.n
  and abs(l.total_notional - r.total_notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.total_small_qty
qualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1;

-- P60-day-block/any-pb/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P60-day-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, account, instrument, side, trade_date, settle_date) as first_id from work_l
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P60-day-block', null, null from (
  select record_id, min(record_id) over (partition by component, pb, account, instrument, side, trade_date, settle_date) as first_id from work_r
) i join work_pair p on p.right_id = i.first_id;

-- P65-duplicate
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
with matched as (
  select i.* from work_item i join work_member m on m.record_id = i.record_id and m.code is null
  union all
  select i.* from work_ref i
)
select f.record_id, 'R', 'S|' || f.record_id, 'P65-duplicate', 'T03', x.least_id
from work_r f join (
  select component, pb, account, instrument, side, qty, price, trade_date, cross_uid, min(record_id) as least_id from matched where leg = 'R' group by component, pb, account, instrument, side, qty, price, trade_date, cross_uid
) x on f.component = x.component and equal_null(f.pb, x.pb)
  and f.account = x.account and f.instrument = x.instrument and f.side = x.side and f.qty = x.qty and f.price = x.price and f.trade_date = x.trade_date and f.cross_uid = x.cross_uid
union all
select f.record_id, 'R', 'S|' || f.record_id, 'P65-duplicate', 'T03', x.least_id
from work_r f join (
  select component, pb, account, instrument, side, qty, price, trade_date, client_order_id, min(record_id) as least_id from matched where leg = 'R' group by component, pb, account, instrument, side, qty, price, trade_date, client_order_id
) x on f.component = x.component and equal_null(f.pb, x.pb)
  and f.account = x.account and f.instrument = x.instrument and f.side = x.side and f.qty = x.qty and f.price = x.price and f.trade_date = x.trade_date and equal_null(f.client_order_id, x.client_order_id) and f.cross_uid is null
union all
select f.record_id, 'L', 'S|' || f.record_id, 'P65-duplicate', 'T04', x.least_id
from work_l f join (
  select component, pb, account, instrument, side, qty, price, trade_date, client_order_id, event_at, min(record_id) as least_id from matched where leg = 'L' group by component, pb, account, instrument, side, qty, price, trade_date, client_order_id, event_at
) x on f.component = x.component and equal_null(f.pb, x.pb)
  and f.account = x.account and f.instrument = x.instrument and f.side = x.side and f.qty = x.qty and f.price = x.price and f.trade_date = x.trade_date and f.client_order_id = x.client_order_id and f.event_at = x.event_at and f.event_precision in ('ms', 'us', 'ns');

-- P66-run
with b as (
  select l.component, l.account as k0, l.instrument as k1, l.side as k2, l.trade_date as k3, l.settle_date as k4, l.ccy as k5, l.first_nr
  from (
  select component, account, instrument, side, trade_date, settle_date, ccy, min(nr) as first_nr, count(*) as n, min(small_qty) as low, max(small_qty) as top, cast(sum(small_qty) as number(38, 8)) as total
  from work_l where notional is not null group by component, account, instrument, side, trade_date, settle_date, ccy
) l join (
  select component, account, instrument, side, trade_date, settle_date, ccy, min(nr) as first_nr, count(*) as n, min(small_qty) as low, max(small_qty) as top, cast(sum(small_qty) as number(38, 8)) as total
  from work_r where notional is not null group by component, account, instrument, side, trade_date, settle_date, ccy
) r
    on l.component = r.component and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date and l.settle_date = r.settle_date and l.ccy = r.ccy
  where l.n + r.n between 3 and 200
    and (r.top > l.low and r.low <= l.total or l.top > r.low and l.low <= r.total)
)
select b.first_nr as block_nr, 'L' as leg, x.record_id, x.component, x.uid, x.pb, x.order_ref, x.small_qty, x.price, x.notional, x.half_unit, x.commission, x.event_at, x.part as bound
from work_l x join b on x.component = b.component and x.account = b.k0 and x.instrument = b.k1 and x.side = b.k2 and x.trade_date = b.k3 and x.settle_date = b.k4 and x.ccy = b.k5
where x.notional is not null and x.small_qty > 0
union all
select b.first_nr as block_nr, 'R' as leg, x.record_id, x.component, x.uid, x.pb, x.order_ref, x.small_qty, x.price, x.notional, x.half_unit, x.commission, x.event_at, x.whole as bound
from work_r x join b on x.component = b.component and x.account = b.k0 and x.instrument = b.k1 and x.side = b.k2 and x.trade_date = b.k3 and x.settle_date = b.k4 and x.ccy = b.k5
where x.notional is not null and x.small_qty > 0;

-- P66-run/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select x.record_id, 'L', p.left_id, 'P66-run', null, null from work_pair p join work_l x on x.record_id = p.right_id
union all
select x.record_id, 'R', p.left_id, 'P66-run', null, null from work_pair p join work_r x on x.record_id = p.right_id;

-- P67-subset
with b as (
  select l.component, l.account as k0, l.instrument as k1, l.side as k2, l.trade_date as k3, l.settle_date as k4, l.ccy as k5, l.first_nr
  from (
  select component, account, instrument, side, trade_date, settle_date, ccy, min(nr) as first_nr, count(*) as n, min(small_qty) as low, max(small_qty) as top, cast(sum(small_qty) as number(38, 8)) as total
  from work_l where notional is not null group by component, account, instrument, side, trade_date, settle_date, ccy
) l join (
  select component, account, instrument, side, trade_date, settle_date, ccy, min(nr) as first_nr, count(*) as n, min(small_qty) as low, max(small_qty) as top, cast(sum(small_qty) as number(38, 8)) as total
  from work_r where notional is not null group by component, account, instrument, side, trade_date, settle_date, ccy
) r
    on l.component = r.component and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.trade_date = r.trade_date and l.settle_date = r.settle_date and l.ccy = r.ccy
  where l.n + r.n between 3 and 24
    and (r.top > l.low and r.low <= l.total or l.top > r.low and l.low <= r.total)
)
select b.first_nr as block_nr, 'L' as leg, x.record_id, x.component, x.uid, x.pb, x.order_ref, x.small_qty, x.price, x.notional, x.half_unit, x.commission, x.event_at, x.part as bound
from work_l x join b on x.component = b.component and x.account = b.k0 and x.instrument = b.k1 and x.side = b.k2 and x.trade_date = b.k3 and x.settle_date = b.k4 and x.ccy = b.k5
where x.notional is not null and x.small_qty > 0
union all
select b.first_nr as block_nr, 'R' as leg, x.record_id, x.component, x.uid, x.pb, x.order_ref, x.small_qty, x.price, x.notional, x.half_unit, x.commission, x.event_at, x.whole as bound
from work_r x join b on x.component = b.component and x.account = b.k0 and x.instrument = b.k1 and x.side = b.k2 and x.trade_date = b.k3 and x.settle_date = b.k4 and x.ccy = b.k5
where x.notional is not null and x.small_qty > 0;

-- P67-subset/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select x.record_id, 'L', p.left_id, 'P67-subset', null, null from work_pair p join work_l x on x.record_id = p.right_id
union all
select x.record_id, 'R', p.left_id, 'P67-subset', null, null from work_pair p join work_r x on x.record_id = p.right_id;

-- P70-order-differs
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.account = r.account
  and l.instrument = r.instrument
  and l.side = r.side
  and l.trade_date = r.trade_date
  and r.blocks = r.n
  and r.n = 1
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P70-order-differs/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P70-order-differs', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P70-order-differs', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P71-cancelled-id
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select a.record_id, 'R', 'S|' || a.record_id, 'P71-cancelled-id', 'T22', d.record_id
from (
    select x.*, row_number() over (partition by x.component, x.pb, x.cross_uid, x.trade_date order by x.uid, x.record_id) as nth
    from work_r x where x.component in (select y.component from work_item y where not y.live)
  ) a
  join (
    select x.*, row_number() over (partition by x.component, x.pb, x.uid, x.trade_date order by x.uid, x.record_id) as nth
    from work_item x where x.leg = 'L' and not x.live
  ) d on a.component = d.component and a.nth = d.nth
  and (d.pb = a.pb or d.pb is null) and d.uid = a.cross_uid and d.trade_date = a.trade_date
qualify row_number() over (partition by a.record_id order by d.record_id) = 1
  and row_number() over (partition by d.record_id order by a.record_id) = 1
union all
select a.record_id, 'L', 'S|' || a.record_id, 'P71-cancelled-id', 'T22', d.record_id
from (
    select x.*, row_number() over (partition by x.component, x.pb, x.uid, x.trade_date order by x.uid, x.record_id) as nth
    from work_l x where x.component in (select y.component from work_item y where not y.live)
  ) a
  join (
    select x.*, row_number() over (partition by x.component, x.pb, x.cross_uid, x.trade_date order by x.uid, x.record_id) as nth
    from work_item x where x.leg = 'R' and not x.live
  ) d on a.component = d.component and a.nth = d.nth
  and (a.pb = d.pb or a.pb is null) and a.uid = d.cross_uid and a.trade_date = d.trade_date
qualify row_number() over (partition by a.record_id order by d.record_id) = 1
  and row_number() over (partition by d.record_id order by a.record_id) = 1;

-- P71-cancelled-economics
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select a.record_id, 'R', 'S|' || a.record_id, 'P71-cancelled-economics', 'T22', d.record_id
from (
    select x.*, row_number() over (partition by x.component, x.pb, x.order_ref, x.account, x.instrument, x.side, x.qty, x.price, x.trade_date order by x.uid, x.record_id) as nth
    from work_r x where x.component in (select y.component from work_item y where not y.live)
  ) a
  join (
    select x.*, row_number() over (partition by x.component, x.pb, x.order_ref, x.account, x.instrument, x.side, x.qty, x.price, x.trade_date order by x.uid, x.record_id) as nth
    from work_item x where x.leg = 'L' and not x.live
  ) d on a.component = d.component and a.nth = d.nth
  and (d.pb = a.pb or d.pb is null) and d.order_ref = a.order_ref and d.account = a.account and d.instrument = a.instrument and d.side = a.side and d.qty = a.qty and d.price = a.price and d.trade_date = a.trade_date
qualify row_number() over (partition by a.record_id order by d.record_id) = 1
  and row_number() over (partition by d.record_id order by a.record_id) = 1
union all
select a.record_id, 'L', 'S|' || a.record_id, 'P71-cancelled-economics', 'T22', d.record_id
from (
    select x.*, row_number() over (partition by x.component, x.pb, x.order_ref, x.account, x.instrument, x.side, x.qty, x.price, x.trade_date order by x.uid, x.record_id) as nth
    from work_l x where x.component in (select y.component from work_item y where not y.live)
  ) a
  join (
    select x.*, row_number() over (partition by x.component, x.pb, x.order_ref, x.account, x.instrument, x.side, x.qty, x.price, x.trade_date order by x.uid, x.record_id) as nth
    from work_item x where x.leg = 'R' and not x.live
  ) d on a.component = d.component and a.nth = d.nth
  and (a.pb = d.pb or a.pb is null) and a.order_ref = d.order_ref and a.account = d.account and a.instrument = d.instrument and a.side = d.side and a.qty = d.qty and a.price = d.price and a.trade_date = d.trade_date
qualify row_number() over (partition by a.record_id order by d.record_id) = 1
  and row_number() over (partition by d.record_id order by a.record_id) = 1;

-- P71-cancelled-block
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select c.record_id, 'R', 'B|' || min(c.record_id) over (partition by c.dead_id), 'P71-cancelled-block', 'T22', c.dead_id
from (
  select a.record_id, d.dead_id from work_r a join (
    select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as dead_id from work_item where leg = 'L' and not live and level = 'ALLOCATION' group by component, pb, order_ref, account, instrument, side, trade_date
  ) d on a.component = d.component
    and (d.pb = a.pb or d.pb is null) and d.order_ref = a.order_ref and d.account = a.account and d.instrument = a.instrument and d.side = a.side and d.trade_date = a.trade_date
  qualify row_number() over (partition by a.record_id order by d.dead_id) = 1
) c
union all
select c.record_id, 'L', 'B|' || min(c.record_id) over (partition by c.dead_id), 'P71-cancelled-block', 'T22', c.dead_id
from (
  select a.record_id, d.dead_id from work_l a join (
    select component, pb, order_ref, account, instrument, side, trade_date, min(record_id) as dead_id from work_item where leg = 'R' and not live and level = 'ALLOCATION' group by component, pb, order_ref, account, instrument, side, trade_date
  ) d on a.component = d.component
    and (a.pb = d.pb or a.pb is null) and a.order_ref = d.order_ref and a.account = d.account and a.instrument = d.instrument and a.side = d.side and a.trade_date = d.trade_date
  qualify row_number() over (partition by a.record_id order by d.dead_id) = 1
) c;

-- P72-order-instrument
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.account = r.account
  and l.side = r.side
  and l.trade_date = r.trade_date
  and l.ccy = r.ccy
  and l.instrument <> r.instrument
  and l.qty = r.qty
  and l.sized = l.n and r.sized = r.n and abs(l.notional - r.notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.small_qty
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P72-order-instrument/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P72-order-instrument', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P72-order-instrument', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P72-order-side
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.account = r.account
  and l.instrument = r.instrument
  and l.trade_date = r.trade_date
  and l.ccy = r.ccy
  and l.side <> r.side
  and l.qty = r.qty
  and l.sized = l.n and r.sized = r.n and abs(l.notional - r.notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.small_qty
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P72-order-side/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P72-order-side', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P72-order-side', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P72-order-trade-date
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.account = r.account
  and l.instrument = r.instrument
  and l.side = r.side
  and l.ccy = r.ccy
  and l.trade_date <> r.trade_date
  and l.qty = r.qty
  and l.sized = l.n and r.sized = r.n and abs(l.notional - r.notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.small_qty
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P72-order-trade-date/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P72-order-trade-date', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P72-order-trade-date', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P73-order-prime-broker
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    record_id as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy, record_id
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and l.instrument = r.instrument
  and l.side = r.side
  and l.trade_date = r.trade_date
  and l.pb <> r.pb
  and l.qty = r.qty
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P73-order-prime-broker/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P73-order-prime-broker', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select p.right_id, 'R', p.left_id, 'P73-order-prime-broker', null, null from work_pair p;

-- P74-order-parts-differ
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.account = r.account
  and l.instrument = r.instrument
  and l.side = r.side
  and l.trade_date = r.trade_date
  and r.blocks = r.n
  and (r.n = 1 or abs(l.qty - r.qty) <= least(abs(l.qty - r.low_qty), abs(l.qty - r.top_qty)))
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P74-order-parts-differ/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P74-order-parts-differ', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P74-order-parts-differ', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P74-order-part-differs
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    record_id as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy, record_id
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.account = r.account
  and l.instrument = r.instrument
  and l.side = r.side
  and l.trade_date = r.trade_date
  and r.blocks = r.n
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P74-order-part-differs/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P74-order-part-differs', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select p.right_id, 'R', p.left_id, 'P74-order-part-differs', null, null from work_pair p;

-- P75-order-account
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.instrument = r.instrument
  and l.side = r.side
  and l.trade_date = r.trade_date
  and l.ccy = r.ccy
  and l.account <> r.account
  and l.qty = r.qty
  and l.sized = l.n and r.sized = r.n and abs(l.notional - r.notional) <= case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.small_qty
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P75-order-account/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P75-order-account', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P75-order-account', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P76-order-other-terms
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from (
select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,
  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,
  case when l.settle_date = r.settle_date then 0 else 1 end as other_date
from (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_l where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) l join (
  select component, pb, order_ref, account, instrument, side, trade_date, ccy, min(direction) as direction, min(settle_date) as settle_date,
    min(record_id) as first_id, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,
    count(notional) as sized,
    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,
    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,
    min(price) as price, max(price) as price_top
  from work_r where order_ref is not null group by component, pb, order_ref, account, instrument, side, trade_date, ccy
) r
  on l.component = r.component
  and l.order_ref = r.order_ref
  and (l.pb = r.pb or l.pb is null)
  and l.trade_date = r.trade_date
  and r.blocks = r.n
  and l.qty = r.qty
) c
qualify row_number() over (partition by c.left_id order by c.apart, c.off, c.other_date, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.other_date, c.left_uid, c.left_id) = 1;

-- P76-order-other-terms/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select i.record_id, 'L', p.left_id, 'P76-order-other-terms', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_l where order_ref is not null
) i join work_pair p on p.left_id = i.first_id
union all
select i.record_id, 'R', p.left_id, 'P76-order-other-terms', null, null from (
  select record_id, min(record_id) over (partition by component, pb, order_ref, account, instrument, side, trade_date, ccy) as first_id from work_r where order_ref is not null
) i join work_pair p on p.right_id = i.first_id;

-- P80-side-qualifier
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.direction = r.direction and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.side <> r.side;

-- P80-side-qualifier/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P80-side-qualifier', null, null from work_pair
union all
select right_id, 'R', left_id, 'P80-side-qualifier', null, null from work_pair;

-- P81-prime-broker
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.pb <> r.pb;

-- P81-prime-broker/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P81-prime-broker', null, null from work_pair
union all
select right_id, 'R', left_id, 'P81-prime-broker', null, null from work_pair;

-- P81-prime-broker-exec-id
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.uid = r.cross_uid and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.pb <> r.pb;

-- P81-prime-broker-exec-id/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P81-prime-broker-exec-id', null, null from work_pair
union all
select right_id, 'R', left_id, 'P81-prime-broker-exec-id', null, null from work_pair;

-- P82-account
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.account <> r.account;

-- P82-account/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P82-account', null, null from work_pair
union all
select right_id, 'R', left_id, 'P82-account', null, null from work_pair;

-- P83-side
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.direction <> r.direction;

-- P83-side/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P83-side', null, null from work_pair
union all
select right_id, 'R', left_id, 'P83-side', null, null from work_pair;

-- P84-quantity
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, abs(l.qty - r.qty), case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.price = r.price and l.trade_date = r.trade_date and l.qty <> r.qty;

-- P84-quantity/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P84-quantity', null, null from work_pair
union all
select right_id, 'R', left_id, 'P84-quantity', null, null from work_pair;

-- P85-price
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, abs(l.price - r.price), case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.trade_date = r.trade_date and l.price <> r.price;

-- P85-price/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P85-price', null, null from work_pair
union all
select right_id, 'R', left_id, 'P85-price', null, null from work_pair;

-- P86-currency
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.ccy <> r.ccy;

-- P86-currency/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P86-currency', null, null from work_pair
union all
select right_id, 'R', left_id, 'P86-currency', null, null from work_pair;

-- P87-trade-date
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.instrument = r.instrument and l.side = r.side and l.qty = r.qty and l.price = r.price and l.ccy = r.ccy and l.trade_date <> r.trade_date;

-- P87-trade-date/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P87-trade-date', null, null from work_pair
union all
select right_id, 'R', left_id, 'P87-trade-date', null, null from work_pair;

-- P88-instrument
insert into work_candidate (left_id, right_id, left_nr, right_nr, d1, d2, d3, d4)
select l.record_id, r.record_id, l.nr, r.nr, case when l.settle_date = r.settle_date then 0 else 1 end, abs(l.twin - r.twin), 0, 0
from (select x.* from work_l x where x.nr not in (select w.nr from work_crowd w)) l join work_r r on l.component = r.component and (l.pb = r.pb or l.pb is null) and (r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole) and l.account = r.account and l.side = r.side and l.qty = r.qty and l.price = r.price and l.trade_date = r.trade_date and l.order_ref = r.order_ref and l.instrument <> r.instrument;

-- P88-instrument/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select left_id, 'L', left_id, 'P88-instrument', null, null from work_pair
union all
select right_id, 'R', left_id, 'P88-instrument', null, null from work_pair;

-- P89-alike
insert into work_suggestion (left_id, right_id, pass_id, component, kind, score, evidence)
with c as (
  select l.record_id as left_id, r.record_id as right_id
  from (select x.* from work_l x qualify count(*) over (partition by x.component, x.order_ref, x.trade_date) <= 50) l
    join (select x.* from work_r x qualify count(*) over (partition by x.component, x.order_ref, x.trade_date) <= 50) r on l.component = r.component and l.order_ref = r.order_ref and l.trade_date = r.trade_date
  union
  select l.record_id as left_id, r.record_id as right_id
  from (select x.* from work_l x qualify count(*) over (partition by x.component, x.instrument, x.trade_date) <= 50) l
    join (select x.* from work_r x qualify count(*) over (partition by x.component, x.instrument, x.trade_date) <= 50) r on l.component = r.component and l.instrument = r.instrument and l.trade_date = r.trade_date
  union
  select l.record_id as left_id, r.record_id as right_id
  from (select x.* from work_l x qualify count(*) over (partition by x.component, x.account, x.trade_date, x.qty) <= 50) l
    join (select x.* from work_r x qualify count(*) over (partition by x.component, x.account, x.trade_date, x.qty) <= 50) r on l.component = r.component and l.account = r.account and l.trade_date = r.trade_date and l.qty = r.qty
), s as (
  select c.left_id, c.right_id, l.component, l.uid as left_uid, r.uid as right_uid,
    cast((case when l.account is null or r.account is null then 0 when l.account = r.account then 4 else -3 end) + (case when l.ccy is null or r.ccy is null then 0 when l.ccy = r.ccy then 0.5 else -4 end) + (case when l.direction is null or r.direction is null then 0 when l.direction = r.direction then 1 else -5 end) + (case when l.instrument is null or r.instrument is null then 0 when l.instrument = r.instrument then 5 else -6 end) + (case when l.order_ref is null or r.order_ref is null then 0 when l.order_ref = r.order_ref then 8 else -3 end) + (case when l.price is null or r.price is null then 0 when l.price = r.price then 6 when abs(l.price - r.price) <= 0.005 * abs(l.price) then 3 else -3 end) + (case when l.qty is null or r.qty is null then 0 when l.qty = r.qty then 3 when abs(l.qty - r.qty) <= 0.05 * abs(l.qty) then 1 else -3 end) + (case when l.settle_date is null or r.settle_date is null then 0 when l.settle_date = r.settle_date then 0.5 when abs(datediff('day', l.settle_date, r.settle_date)) <= 3 then 0 else -0.5 end) as number(28, 12)) as score,
    '[' || (case when l.account is null or r.account is null then '{"field":"account","is":"unknown","weight":"0"}' when l.account = r.account then '{"field":"account","is":"equal","weight":"4"}' else '{"field":"account","is":"differ","weight":"-3"}' end) || ',' || (case when l.ccy is null or r.ccy is null then '{"field":"ccy","is":"unknown","weight":"0"}' when l.ccy = r.ccy then '{"field":"ccy","is":"equal","weight":"0.5"}' else '{"field":"ccy","is":"differ","weight":"-4"}' end) || ',' || (case when l.direction is null or r.direction is null then '{"field":"direction","is":"unknown","weight":"0"}' when l.direction = r.direction then '{"field":"direction","is":"equal","weight":"1"}' else '{"field":"direction","is":"differ","weight":"-5"}' end) || ',' || (case when l.instrument is null or r.instrument is null then '{"field":"instrument","is":"unknown","weight":"0"}' when l.instrument = r.instrument then '{"field":"instrument","is":"equal","weight":"5"}' else '{"field":"instrument","is":"differ","weight":"-6"}' end) || ',' || (case when l.order_ref is null or r.order_ref is null then '{"field":"order_ref","is":"unknown","weight":"0"}' when l.order_ref = r.order_ref then '{"field":"order_ref","is":"equal","weight":"8"}' else '{"field":"order_ref","is":"differ","weight":"-3"}' end) || ',' || (case when l.price is null or r.price is null then '{"field":"price","is":"unknown","weight":"0"}' when l.price = r.price then '{"field":"price","is":"equal","weight":"6"}' when abs(l.price - r.price) <= 0.005 * abs(l.price) then '{"field":"price","is":"near","weight":"3"}' else '{"field":"price","is":"differ","weight":"-3"}' end) || ',' || (case when l.qty is null or r.qty is null then '{"field":"qty","is":"unknown","weight":"0"}' when l.qty = r.qty then '{"field":"qty","is":"equal","weight":"3"}' when abs(l.qty - r.qty) <= 0.05 * abs(l.qty) then '{"field":"qty","is":"near","weight":"1"}' else '{"field":"qty","is":"differ","weight":"-3"}' end) || ',' || (case when l.settle_date is null or r.settle_date is null then '{"field":"settle_date","is":"unknown","weight":"0"}' when l.settle_date = r.settle_date then '{"field":"settle_date","is":"equal","weight":"0.5"}' when abs(datediff('day', l.settle_date, r.settle_date)) <= 3 then '{"field":"settle_date","is":"near","weight":"0"}' else '{"field":"settle_date","is":"differ","weight":"-0.5"}' end) || ']' as evidence
  from c join work_l l on l.record_id = c.left_id join work_r r on r.record_id = c.right_id
)
select s.left_id, s.right_id, 'P89-alike', s.component, 'score', s.score, s.evidence from s
where s.score >= 7
qualify row_number() over (partition by s.left_id order by s.score desc, s.right_uid, s.right_id) <= 3 and row_number() over (partition by s.right_id order by s.score desc, s.left_uid, s.left_id) <= 3;

-- P90-one-sided
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select record_id, 'L', 'S|' || record_id, 'P90-one-sided', 'T01', null from work_l
union all
select record_id, 'R', 'S|' || record_id, 'P90-one-sided', 'T02', null from work_r;

-- renames/stale
insert into work_rename (break_id, into_id, code, rule_id)
select distinct s.break_id, s.break_id, 'T23', 'B23-version' from (select x.break_id from (
  select f.break_id, m.leg, c.l_qty, c.r_qty, c.l_notional, c.r_notional, c.l_small_qty, c.r_small_qty, case when c.r_n < c.l_n and c.l_price <> c.l_price_top then c.r_half_unit when c.r_n > c.l_n and c.r_price <> c.r_price_top then c.l_half_unit else greatest(c.l_half_unit, c.r_half_unit) end as unit,
    i.qty, i.notional, e.qty as old_qty,
    case when abs(e.qty) < 10000000000 and abs(e.price) < 100000000 then cast(cast(e.qty as number(19, 8)) * cast(e.price as number(18, 8)) as number(38, 12)) end
      as old_notional
  from work_finding f join work_comparison c on c.group_key = f.group_key
    join work_member m on m.group_key = f.group_key and m.code is null
    join work_item i on i.record_id = m.record_id
    join match_version t on t.record_id = i.record_id
    join match_version v on v.root_id = t.root_id and v.record_id <> t.terms_id and v.status <> 'CANCEL'
    join trade_event e on e.record_id = v.record_id
  where f.family in ('qty', 'price') and f.code <> 'T21'
) x
where case when x.leg = 'L' then x.l_qty - x.qty + x.old_qty = x.r_qty else x.r_qty - x.qty + x.old_qty = x.l_qty end
  and case when x.leg = 'L' then abs(x.l_notional - x.notional + x.old_notional - x.r_notional)
    else abs(x.r_notional - x.notional + x.old_notional - x.l_notional) end
    <= x.unit * greatest(x.l_small_qty, x.r_small_qty, 1)) s;

-- renames/split
insert into work_split (break_id, into_id)
select s.break_id, s.into_id from (with share as (
  select f.break_id, f.anchor, c.r_qty - c.l_qty as gap,
    i.component || '|' || i.order_ref || '|' || c.r_pb || '|' || i.instrument || '|' || i.direction || '|'
      || cast(i.trade_date as varchar) as block
  from work_finding f join work_comparison c on c.group_key = f.group_key and c.l_n = 1 and c.l_pb = c.r_pb
    join work_member m on m.group_key = f.group_key and m.leg = 'L' and m.code is null
    join work_item i on i.record_id = m.record_id and i.level = 'ALLOCATION'
  where f.family = 'qty' and f.code = 'T05' and f.break_id not in (select s.break_id from work_rename s)
), paired as (
  select s.*, sum(s.gap) over (partition by s.block, abs(s.gap)) as pair_total from share s
), parted as (
  select p.break_id, p.anchor, p.gap, p.block || case when p.pair_total = 0
    then '|' || cast(abs(p.gap) as varchar) else '|rest' end as part from paired p
), totalled as (
  select p.*, sum(p.gap) over (partition by p.part) as total, count(*) over (partition by p.part) as n,
    first_value(p.break_id) over (partition by p.part order by p.anchor, p.break_id
      rows between unbounded preceding and unbounded following) as into_id
  from parted p
)
select t.break_id, t.into_id from totalled t where t.total = 0 and t.n > 1) s;

-- renames/split/file
insert into work_rename (break_id, into_id, code, rule_id)
select s.break_id, s.into_id, 'T11', 'B11-split' from work_split s;

-- renames/renamed
insert into work_renamed (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, delta, rule_id, pass_id, group_id, group_key, component, qty, price, severity, explains, detail, profile)
select f.break_id, f.level, f.pb, f.anchor, f.family, w.code, f.due_at, f.instrument, f.symbol, f.account, f.side, f.trade_date, f.settle_date, f.ccy, g.exposure, g.left_value, g.right_value, case when g.n = 1 then f.delta end, w.rule_id, f.pass_id, f.group_id, f.group_key, f.component, f.qty, f.price, k.severity, f.explains, f.detail, f.profile
from work_finding f join work_rename w on w.break_id = f.break_id and w.into_id = f.break_id
  join work_code k on k.code = w.code
  join (
    select n.into_id, count(*) as n, sum(o.exposure) as exposure,
      case when count(*) = 1 then min(o.left_value) else listagg(o.account || ' ' || rtrim(rtrim(cast(c.l_qty as varchar), '0'), '.'), ', ')
        within group (order by o.account, o.break_id) end as left_value,
      case when count(*) = 1 then min(o.right_value) else listagg(o.account || ' ' || rtrim(rtrim(cast(c.r_qty as varchar), '0'), '.'), ', ')
        within group (order by o.account, o.break_id) end as right_value
    from work_rename n join work_finding o on o.break_id = n.break_id
      join work_comparison c on c.group_key = o.group_key
    group by n.into_id
  ) g on g.into_id = w.into_id;

-- renames/members
insert into work_also (record_id, leg, group_key, pass_id, code, other_id)
select m.record_id, m.leg, k.group_key, m.pass_id, w.code, null
from work_rename w join work_finding f on f.break_id = w.break_id join work_finding k on k.break_id = w.into_id
  join work_member m on m.group_key = f.group_key and m.code is null
where w.break_id <> w.into_id;

-- renames/members/file
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select s.record_id, s.leg, s.group_key, s.pass_id, s.code, s.other_id from work_also s;

-- renames/finish
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date, ccy, exposure, left_value, right_value, delta, rule_id, pass_id, group_id, group_key, component, qty, price, severity, explains, detail, profile)
select r.break_id, r.level, r.pb, r.anchor, r.family, r.code, r.due_at, r.instrument, r.symbol, r.account, r.side, r.trade_date, r.settle_date, r.ccy, r.exposure, r.left_value, r.right_value, r.delta, r.rule_id, r.pass_id, r.group_id, r.group_key, r.component, r.qty, r.price, r.severity, r.explains, r.detail, r.profile from work_renamed r;

-- renames/superseded
insert into work_superseded (break_id, by_id)
select o.break_id, min(f.break_id)
from work_was o join recon_break_member b on b.break_id = o.break_id
  join work_member m on m.record_id = b.record_id join work_finding f on f.group_key = m.group_key
where o.state <> 'CURED' and o.component in (select c.component from work_component c)
  and case when o.level = 'COPY' then f.level = 'COPY' else f.level <> 'COPY' end
  and (o.field_family = f.family or o.field_family = 'existence' or f.family = 'existence')
  and not exists (select 1 from work_finding s where s.break_id = o.break_id)
group by o.break_id;

-- quiet/expected
insert into work_expected (break_id, record_id, leg, level, anchor, code, due_at)
with lone as (
  select p.record_id, p.leg, p.due_at, p.feed || '|' || cast(p.trade_date as varchar) || '|' || p.uid as anchor,
    case when p.level = 'ALLOCATION' then 'BLOCK' else 'TRADE' end as level
  from work_lazy z join work_plain p on p.record_id = z.record_id
  where p.pb is null or p.pb not in (select f.party from work_feed f where f.slotted)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || i.level || chr(31) || i.anchor || chr(31) || 'existence', 256), 32), i.record_id, i.leg, i.level, i.anchor,
  case when i.leg = 'L' then cast(:ours as varchar) else cast(:theirs as varchar) end, i.due_at
from lone i;

-- quiet/duos
insert into work_quiet (group_id, left_id, right_id, pb, level, component)
select left(sha2('group' || chr(31) || least(d.left_id, d.right_id) || ',' || greatest(d.left_id, d.right_id), 256), 32), d.left_id,
  d.right_id, d.pb, case when d.right_level = 'ALLOCATION' then 'BLOCK' else 'TRADE' end, d.component
from work_duo d left join match_block b on b.block = d.block
where d.quiet and d.component not in (select c.component from work_component c)
  and (b.component not in (select c.component from work_component c)
    or (d.left_id in (select p.record_id from work_plain p) and d.right_id in (select p.record_id from work_plain p)));

-- comparison
insert into work_comparison
with named as (
  select m.group_key, left(sha2('group' || chr(31) || listagg(m.record_id, ',') within group (order by m.record_id), 256), 32) as group_id
  from work_member m where m.code is null group by m.group_key
)
select l.group_key, g.group_id, l.pass_id, l.component,
  case when l.n + r.n > 2 or r.blocks > 0 then 'BLOCK' else 'TRADE' end,
  case when l.n + r.n > 2 or r.blocks > 0 then 'block|' || r.pb || '|' || cast(l.trade_date as varchar) || '|'
    || l.order_key || '|' || l.account || '|' || l.instrument || '|' || l.direction else l.root_id end,
  cast(null as varchar),
  case when l.asset in ('FX_SPOT', 'FX_FWD', 'FX_NDF') then l.settle_ccy else l.ccy end,
  coalesce(l.gross, case when abs(l.notional) < 1000000000000000000 and abs(l.multiplier) < 10000 then cast(cast(l.notional as number(24, 6)) * cast(l.multiplier as number(9, 4)) as number(28, 6)) end), abs(l.qty - r.qty), case when l.multiplier = 1 and r.multiplier = 1 or l.multiplier >= 10000 or r.multiplier >= 10000 then 0 when case when l.multiplier > 1 and l.multiplier < 10000 and abs(l.qty) < 100000000 then cast(l.qty as number(19, 8)) * cast(l.multiplier as number(9, 4)) end = r.qty or case when l.multiplier > 1 and l.multiplier < 10000 and abs(r.qty) < 100000000 then cast(r.qty as number(19, 8)) * cast(l.multiplier as number(9, 4)) end = l.qty or case when l.multiplier > 1 and l.multiplier < 10000 and abs(l.price) < 100000000 then cast(l.price as number(19, 8)) * cast(l.multiplier as number(9, 4)) end = r.price or case when l.multiplier > 1 and l.multiplier < 10000 and abs(r.price) < 100000000 then cast(r.price as number(19, 8)) * cast(l.multiplier as number(9, 4)) end = l.price or case when r.multiplier > 1 and r.multiplier < 10000 and abs(l.qty) < 100000000 then cast(l.qty as number(19, 8)) * cast(r.multiplier as number(9, 4)) end = r.qty or case when r.multiplier > 1 and r.multiplier < 10000 and abs(r.qty) < 100000000 then cast(r.qty as number(19, 8)) * cast(r.multiplier as number(9, 4)) end = l.qty or case when r.multiplier > 1 and r.multiplier < 10000 and abs(l.price) < 100000000 then cast(l.price as number(19, 8)) * cast(r.multiplier as number(9, 4)) end = r.price or case when r.multiplier > 1 and r.multiplier < 10000 and abs(r.price) < 100000000 then cast(r.price as number(19, 8)) * cast(r.multiplier as number(9, 4)) end = l.price then 1 when l.gross <> 0 and (case when abs(l.gross) < 10000000000000000 then abs(cast(l.gross as number(22, 6)) * cast(l.multiplier as number(9, 4)) - r.gross) end <= 0.005 * l.multiplier or case when abs(r.gross) < 10000000000000000 then abs(cast(r.gross as number(22, 6)) * cast(l.multiplier as number(9, 4)) - l.gross) end <= 0.005 * l.multiplier or case when abs(l.gross) < 10000000000000000 then abs(cast(l.gross as number(22, 6)) * cast(r.multiplier as number(9, 4)) - r.gross) end <= 0.005 * r.multiplier or case when abs(r.gross) < 10000000000000000 then abs(cast(r.gross as number(22, 6)) * cast(r.multiplier as number(9, 4)) - l.gross) end <= 0.005 * r.multiplier) then 2 else 0 end,
  case when (l.n + r.n > 2 and l.qty = r.qty and l.notional is not null and r.notional is not null) then abs(l.notional - r.notional) else greatest(l.price - r.price_top, r.price - l.price_top, 0) end,
  case when (l.n + r.n > 2 and l.qty = r.qty and l.notional is not null and r.notional is not null) then case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end * r.small_qty else case when r.n < l.n and l.price <> l.price_top then r.half_unit when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end end,
  abs(l.gross - r.gross),
  greatest(case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.02 end, 0.00005 * abs(l.gross)),
  case when l.commission is null and r.commission is null then 0 else abs(l.commission - r.commission) end,
  case when l.commission is null then 0 else greatest(greatest(case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.01 end, 0.01 * abs(l.commission)), case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.01 end * greatest(l.n, r.n)) end,
  case when l.fees is null or r.fees is null then null when r.fee_lines = 0 and (r.paid is null or abs(r.principal - r.paid - l.fees) <= 0.01 * greatest(l.n, r.n)) then 0 when l.fee_lines = 0 and (l.paid is null or abs(l.principal - l.paid - r.fees) <= 0.01 * greatest(l.n, r.n)) then 0 when l.fee_lines > 0 and r.fee_lines > 0 and l.fee_totals = 0 and r.fee_totals = 0 then greatest(abs(l.fee_regulatory - r.fee_regulatory), abs(l.fee_exchange - r.fee_exchange), abs(l.fee_tax - r.fee_tax), abs((l.fees - l.fee_regulatory - l.fee_exchange - l.fee_tax) - (r.fees - r.fee_regulatory - r.fee_exchange - r.fee_tax)), abs(l.fees - r.fees)) else abs(l.fees - r.fees) end,
  greatest(case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.05 end, case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.01 end * greatest(l.n, r.n)),
  abs(l.accrued - r.accrued),
  greatest(greatest(case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.02 end, 0.00005 * abs(l.qty)), case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.01 end * greatest(l.n, r.n)),
  case when l.fx_rate is null or r.fx_rate is null or l.settle_ccy <> r.settle_ccy then 0 when l.net = r.net and case when abs(l.fx_rate) < 1000000 and abs(r.fx_rate) < 1000000 then abs(cast(l.fx_rate as number(19, 8)) * cast(r.fx_rate as number(18, 8)) - 1) end <= 0.001 then 0 else greatest(l.fx_rate - r.fx_rate_top, r.fx_rate - l.fx_rate_top, 0) end,
  0.0005 * l.fx_rate,
  abs(l.net - r.net),
  greatest(greatest(case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.02 end, 0.00005 * abs(l.net)), case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.01 end * greatest(l.n, r.n)),
  case when l.principal is null or r.principal is null then abs(l.paid - r.paid) else least(abs((l.paid - l.principal) - (r.paid - r.principal)), abs(l.paid - r.paid)) end,
  greatest(greatest(case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.02 end, 0.00005 * abs(l.net)), case l.ccy when 'JPY' then 1 when 'KRW' then 1 else 0.01 end * greatest(l.n, r.n)),
  l.account, l.account_top, l.instrument, l.instrument_top, l.direction, l.direction_top, l.side, l.side_top, l.trade_date, l.trade_date_top, l.settle_date, l.settle_date_top, l.ccy, l.ccy_top, l.settle_ccy, l.settle_ccy_top, l.multiplier, l.multiplier_top, l.exec_broker, l.exec_broker_top, l.uti, l.uti_top, l.coupon, l.coupon_top, l.fx_rate, l.fx_rate_top, l.n, l.blocks, l.qty, l.small_qty, l.price, l.price_top, l.half_unit, l.notional, l.commission, l.net, l.pb, l.root_id, l.order_key, l.symbol, l.due_at, l.asset, l.gross, l.accrued, l.fees, l.fee_lines, l.fee_totals, l.fee_regulatory, l.fee_exchange, l.fee_tax, l.paid, l.principal, r.account, r.account_top, r.instrument, r.instrument_top, r.direction, r.direction_top, r.side, r.side_top, r.trade_date, r.trade_date_top, r.settle_date, r.settle_date_top, r.ccy, r.ccy_top, r.settle_ccy, r.settle_ccy_top, r.multiplier, r.multiplier_top, r.exec_broker, r.exec_broker_top, r.uti, r.uti_top, r.coupon, r.coupon_top, r.fx_rate, r.fx_rate_top, r.n, r.blocks, r.qty, r.small_qty, r.price, r.price_top, r.half_unit, r.notional, r.commission, r.net, r.pb, r.root_id, r.order_key, r.symbol, r.due_at, r.asset, r.gross, r.accrued, r.fees, r.fee_lines, r.fee_totals, r.fee_regulatory, r.fee_exchange, r.fee_tax, r.paid, r.principal
from work_side l join work_side r on r.group_key = l.group_key and r.leg = 'R'
  join named g on g.group_key = l.group_key
where l.leg = 'L';

-- hits
insert into work_hit (group_key, rule_id, family, rank)
select c.group_key, 'B09-instrument', 'instrument', 0 from work_comparison c where (c.l_instrument <> c.r_instrument OR c.l_instrument_top <> c.r_instrument_top)
union all
select c.group_key, 'B12-prime-broker', 'existence', 1 from work_comparison c where c.l_pb <> c.r_pb
union all
select c.group_key, 'B07-side', 'side', 2 from work_comparison c where (c.l_direction <> c.r_direction OR c.l_direction_top <> c.r_direction_top)
union all
select c.group_key, 'B08-qualifier', 'side', 3 from work_comparison c where (c.l_side <> c.r_side OR c.l_side_top <> c.r_side_top)
union all
select c.group_key, 'B10-account', 'account', 4 from work_comparison c where (c.l_account <> c.r_account OR c.l_account_top <> c.r_account_top) AND (c.l_pb = c.r_pb OR c.l_pb IS NULL)
union all
select c.group_key, 'B21-contract-size', 'multiplier', 5 from work_comparison c where (c.l_multiplier <> c.r_multiplier OR c.l_multiplier_top <> c.r_multiplier_top)
union all
select c.group_key, 'B21-money-of-a-contract', 'multiplier', 6 from work_comparison c where c.d_scaled = 2 AND c.d_qty = 0 AND c.d_price <= c.t_price AND (c.l_instrument = c.r_instrument AND c.l_instrument_top = c.r_instrument_top)
union all
select c.group_key, 'B21-quantity-in-units', 'qty', 7 from work_comparison c where c.d_qty > 0 AND c.d_scaled = 1
union all
select c.group_key, 'B05-quantity', 'qty', 8 from work_comparison c where c.d_qty > 0
union all
select c.group_key, 'B15-currency', 'ccy', 9 from work_comparison c where (c.l_ccy <> c.r_ccy OR c.l_ccy_top <> c.r_ccy_top) OR (c.l_settle_ccy <> c.r_settle_ccy OR c.l_settle_ccy_top <> c.r_settle_ccy_top)
union all
select c.group_key, 'B29-rounding', 'price', 10 from work_comparison c where c.d_price > c.t_price AND c.d_money <= c.t_money AND c.d_qty = 0 AND (c.l_instrument = c.r_instrument AND c.l_instrument_top = c.r_instrument_top) AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top) AND (c.l_multiplier = c.r_multiplier AND c.l_multiplier_top = c.r_multiplier_top)
union all
select c.group_key, 'B21-price-of-a-contract', 'price', 11 from work_comparison c where c.d_price > c.t_price AND c.d_scaled = 1 AND c.d_qty = 0 AND (c.l_instrument = c.r_instrument AND c.l_instrument_top = c.r_instrument_top) AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top)
union all
select c.group_key, 'B06-price', 'price', 12 from work_comparison c where c.d_price > c.t_price AND (c.l_instrument = c.r_instrument AND c.l_instrument_top = c.r_instrument_top) AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top)
union all
select c.group_key, 'B13-trade-date', 'trade_date', 13 from work_comparison c where (c.l_trade_date <> c.r_trade_date OR c.l_trade_date_top <> c.r_trade_date_top)
union all
select c.group_key, 'B14-settle-date', 'settle_date', 14 from work_comparison c where (c.l_settle_date <> c.r_settle_date OR c.l_settle_date_top <> c.r_settle_date_top) AND (c.l_trade_date = c.r_trade_date AND c.l_trade_date_top = c.r_trade_date_top)
union all
select c.group_key, 'B16-commission', 'commission', 15 from work_comparison c where c.d_commission > c.t_commission AND c.d_qty = 0
union all
select c.group_key, 'B17-fees', 'fees', 16 from work_comparison c where c.d_fees > c.t_fees AND c.d_qty = 0 AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top)
union all
select c.group_key, 'B19-accrued', 'accrued', 17 from work_comparison c where c.d_accrued > c.t_accrued AND c.d_qty = 0 AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top)
union all
select c.group_key, 'B20-rate', 'fx_rate', 18 from work_comparison c where c.d_fx_rate > c.t_fx_rate
union all
select c.group_key, 'B26-executing-broker', 'exec_broker', 19 from work_comparison c where (c.l_exec_broker <> c.r_exec_broker OR c.l_exec_broker_top <> c.r_exec_broker_top)
union all
select c.group_key, 'B30-identifier', 'terms', 20 from work_comparison c where (c.l_uti <> c.r_uti OR c.l_uti_top <> c.r_uti_top) AND c.l_n = 1
union all
select c.group_key, 'B30-coupon', 'terms', 21 from work_comparison c where (c.l_coupon <> c.r_coupon OR c.l_coupon_top <> c.r_coupon_top) AND (c.l_asset = 'CDS' OR c.l_asset = 'IRS' OR c.l_asset = 'TRS')
union all
select c.group_key, 'B30-upfront', 'terms', 22 from work_comparison c where c.d_residual > c.t_residual AND c.d_net > c.t_net AND c.d_qty = 0 AND (c.l_direction = c.r_direction AND c.l_direction_top = c.r_direction_top) AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top) AND (c.l_settle_ccy = c.r_settle_ccy AND c.l_settle_ccy_top = c.r_settle_ccy_top) AND (c.l_asset = 'CDS' OR c.l_asset = 'IRS')
union all
select c.group_key, 'B18-net', 'net', 23 from work_comparison c where c.d_residual > c.t_residual AND c.d_net > c.t_net AND c.d_qty = 0 AND (c.l_direction = c.r_direction AND c.l_direction_top = c.r_direction_top) AND (c.l_ccy = c.r_ccy AND c.l_ccy_top = c.r_ccy_top) AND (c.l_settle_ccy = c.r_settle_ccy AND c.l_settle_ccy_top = c.r_settle_ccy_top) AND (c.l_asset IS NULL OR NOT (c.l_asset = 'CDS' OR c.l_asset = 'IRS'));

-- findings/instrument
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T09' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'instrument' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'instrument', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'instrument', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_instrument = c.l_instrument_top then cast(c.l_instrument as varchar) else cast(c.l_instrument as varchar) || ' to ' || cast(c.l_instrument_top as varchar) end, case when c.r_instrument = c.r_instrument_top then cast(c.r_instrument as varchar) else cast(c.r_instrument as varchar) || ' to ' || cast(c.r_instrument_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/existence
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T12' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'existence' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'existence', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'existence', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, c.l_pb, c.r_pb, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/side
insert into work_finding
with n as (
  select c.group_key, h.rule_id, case when h.rule_id in ('B07-side') then 'T07' when h.rule_id in ('B08-qualifier') then 'T08' end as code, case when h.rule_id in ('B07-side') then c.amount * 2 when h.rule_id in ('B08-qualifier') then c.amount end as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'side' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'side', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'side', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_side = c.l_side_top then cast(c.l_side as varchar) else cast(c.l_side as varchar) || ' to ' || cast(c.l_side_top as varchar) end, case when c.r_side = c.r_side_top then cast(c.r_side as varchar) else cast(c.r_side as varchar) || ' to ' || cast(c.r_side_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/account
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T10' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'account' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'account', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'account', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_account = c.l_account_top then cast(c.l_account as varchar) else cast(c.l_account as varchar) || ' to ' || cast(c.l_account_top as varchar) end, case when c.r_account = c.r_account_top then cast(c.r_account as varchar) else cast(c.r_account as varchar) || ' to ' || cast(c.r_account_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/multiplier
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T21' as code, case when c.d_qty = 0 and c.d_money > 0 then cast(abs(c.l_gross - c.r_gross) as number(28, 6)) when c.l_n + c.r_n > 2 and c.d_qty = 0 then case when abs(abs(c.l_notional - c.r_notional)) < 1000000000000000000 and abs(c.l_multiplier) < 10000 then cast(cast(abs(c.l_notional - c.r_notional) as number(24, 6)) * cast(c.l_multiplier as number(9, 4)) as number(28, 6)) end else case when abs(c.l_qty) < 10000000000 and abs(c.d_price) < 100000000 and abs(c.l_multiplier) < 10000 then cast(abs(cast(cast(c.l_qty as number(19, 8)) * cast(c.l_multiplier as number(9, 4)) as number(20, 6)) * cast(c.d_price as number(18, 8))) as number(28, 6)) end end as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'multiplier' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'multiplier', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'multiplier', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_multiplier = c.l_multiplier_top then rtrim(rtrim(cast(c.l_multiplier as varchar), '0'), '.') else rtrim(rtrim(cast(c.l_multiplier as varchar), '0'), '.') || ' to ' || rtrim(rtrim(cast(c.l_multiplier_top as varchar), '0'), '.') end, case when c.r_multiplier = c.r_multiplier_top then rtrim(rtrim(cast(c.r_multiplier as varchar), '0'), '.') else rtrim(rtrim(cast(c.r_multiplier as varchar), '0'), '.') || ' to ' || rtrim(rtrim(cast(c.r_multiplier_top as varchar), '0'), '.') end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), case when c.l_multiplier > 1 then rtrim(rtrim(cast(c.l_multiplier as varchar), '0'), '.') end, c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/qty
insert into work_finding
with n as (
  select c.group_key, h.rule_id, case when h.rule_id in ('B21-quantity-in-units') then 'T21' when h.rule_id in ('B05-quantity') then 'T05' end as code, case when c.d_price = 0 and c.d_money > 0 then cast(abs(c.l_gross - c.r_gross) as number(28, 6)) else case when abs(c.d_qty) < 10000000000 and abs(c.l_price) < 100000000 and abs(c.l_multiplier) < 10000 then cast(abs(cast(cast(c.d_qty as number(19, 8)) * cast(c.l_multiplier as number(9, 4)) as number(20, 6)) * cast(c.l_price as number(18, 8))) as number(28, 6)) end end as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'qty' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'qty', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'qty', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, rtrim(rtrim(cast(c.l_qty as varchar), '0'), '.'), rtrim(rtrim(cast(c.r_qty as varchar), '0'), '.'), case when c.d_qty < 100000000000000000000 then cast(c.r_qty - c.l_qty as number(28, 6)) end, n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), case when c.l_multiplier > 1 then rtrim(rtrim(cast(c.l_multiplier as varchar), '0'), '.') end, c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/ccy
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T15' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'ccy' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'ccy', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'ccy', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_ccy = c.l_ccy_top then cast(c.l_ccy as varchar) else cast(c.l_ccy as varchar) || ' to ' || cast(c.l_ccy_top as varchar) end, case when c.r_ccy = c.r_ccy_top then cast(c.r_ccy as varchar) else cast(c.r_ccy as varchar) || ' to ' || cast(c.r_ccy_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/price
insert into work_finding
with n as (
  select c.group_key, h.rule_id, case when h.rule_id in ('B29-rounding') then 'T29' when h.rule_id in ('B21-price-of-a-contract') then 'T21' when h.rule_id in ('B06-price') then 'T06' end as code, case when c.d_qty = 0 and c.d_money > 0 then cast(abs(c.l_gross - c.r_gross) as number(28, 6)) when c.l_n + c.r_n > 2 and c.d_qty = 0 then case when abs(abs(c.l_notional - c.r_notional)) < 1000000000000000000 and abs(c.l_multiplier) < 10000 then cast(cast(abs(c.l_notional - c.r_notional) as number(24, 6)) * cast(c.l_multiplier as number(9, 4)) as number(28, 6)) end else case when abs(c.l_qty) < 10000000000 and abs(c.d_price) < 100000000 and abs(c.l_multiplier) < 10000 then cast(abs(cast(cast(c.l_qty as number(19, 8)) * cast(c.l_multiplier as number(9, 4)) as number(20, 6)) * cast(c.d_price as number(18, 8))) as number(28, 6)) end end as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'price' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'price', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'price', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_price = c.l_price_top then rtrim(rtrim(cast(c.l_price as varchar), '0'), '.') else rtrim(rtrim(cast(c.l_price as varchar), '0'), '.') || ' to ' || rtrim(rtrim(cast(c.l_price_top as varchar), '0'), '.') end, case when c.r_price = c.r_price_top then rtrim(rtrim(cast(c.r_price as varchar), '0'), '.') else rtrim(rtrim(cast(c.r_price as varchar), '0'), '.') || ' to ' || rtrim(rtrim(cast(c.r_price_top as varchar), '0'), '.') end, case when c.l_n + c.r_n > 2 then cast(c.r_notional - c.l_notional as number(28, 6)) else cast(c.r_price - c.l_price as number(28, 6)) end, n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), case when c.l_multiplier > 1 then rtrim(rtrim(cast(c.l_multiplier as varchar), '0'), '.') end, c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/trade_date
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T13' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'trade_date' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'trade_date', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'trade_date', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_trade_date = c.l_trade_date_top then cast(c.l_trade_date as varchar) else cast(c.l_trade_date as varchar) || ' to ' || cast(c.l_trade_date_top as varchar) end, case when c.r_trade_date = c.r_trade_date_top then cast(c.r_trade_date as varchar) else cast(c.r_trade_date as varchar) || ' to ' || cast(c.r_trade_date_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/settle_date
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T14' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'settle_date' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'settle_date', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'settle_date', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_settle_date = c.l_settle_date_top then cast(c.l_settle_date as varchar) else cast(c.l_settle_date as varchar) || ' to ' || cast(c.l_settle_date_top as varchar) end, case when c.r_settle_date = c.r_settle_date_top then cast(c.r_settle_date as varchar) else cast(c.r_settle_date as varchar) || ' to ' || cast(c.r_settle_date_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), c.l_asset, c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/commission
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T16' as code, cast(c.d_commission as number(28, 6)) as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'commission' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'commission', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'commission', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.l_ccy, n.exposure, rtrim(rtrim(cast(c.l_commission as varchar), '0'), '.'), rtrim(rtrim(cast(c.r_commission as varchar), '0'), '.'), cast(c.r_commission - c.l_commission as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/fees
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T17' as code, cast(c.d_fees as number(28, 6)) as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'fees' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'fees', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'fees', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.l_ccy, n.exposure, rtrim(rtrim(cast(c.l_fees as varchar), '0'), '.'), rtrim(rtrim(cast(c.r_fees as varchar), '0'), '.'), cast(c.r_fees - c.l_fees as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), case when not (c.l_fee_lines > 0 and c.r_fee_lines > 0 and c.l_fee_totals = 0 and c.r_fee_totals = 0) then 'total' when abs(c.l_fee_tax - c.r_fee_tax) = c.d_fees then 'tax' when abs(c.l_fee_regulatory - c.r_fee_regulatory) = c.d_fees then 'regulatory' when abs(c.l_fee_exchange - c.r_fee_exchange) = c.d_fees then 'exchange' else 'other' end, c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/accrued
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T19' as code, cast(c.d_accrued as number(28, 6)) as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'accrued' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
, settle_date as (
  select x.group_key, left(sha2('break' || chr(31) || :tenant || chr(31) || x.level || chr(31) || case when x.ordinal = 1 then x.anchor else x.anchor || '#' || x.ordinal end || chr(31) || 'settle_date', 256), 32) as break_id
  from (
    select h.group_key, row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level,
      c.anchor
    from work_hit h join work_comparison c on c.group_key = h.group_key where h.family = 'settle_date' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
  ) x
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'accrued', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'accrued', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.l_ccy, n.exposure, rtrim(rtrim(cast(c.l_accrued as varchar), '0'), '.'), rtrim(rtrim(cast(c.r_accrued as varchar), '0'), '.'), cast(c.r_accrued - c.l_accrued as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  nullif(substr(coalesce(',' || settle_date.break_id, ''), 2), ''), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code left join settle_date on settle_date.group_key = n.group_key;

-- findings/fx_rate
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T20' as code, cast(c.d_net as number(28, 6)) as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'fx_rate' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'fx_rate', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'fx_rate', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.l_settle_ccy, n.exposure, case when c.l_fx_rate = c.l_fx_rate_top then rtrim(rtrim(cast(c.l_fx_rate as varchar), '0'), '.') else rtrim(rtrim(cast(c.l_fx_rate as varchar), '0'), '.') || ' to ' || rtrim(rtrim(cast(c.l_fx_rate_top as varchar), '0'), '.') end, case when c.r_fx_rate = c.r_fx_rate_top then rtrim(rtrim(cast(c.r_fx_rate as varchar), '0'), '.') else rtrim(rtrim(cast(c.r_fx_rate as varchar), '0'), '.') || ' to ' || rtrim(rtrim(cast(c.r_fx_rate_top as varchar), '0'), '.') end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/exec_broker
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T26' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'exec_broker' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'exec_broker', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'exec_broker', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_exec_broker = c.l_exec_broker_top then cast(c.l_exec_broker as varchar) else cast(c.l_exec_broker as varchar) || ' to ' || cast(c.l_exec_broker_top as varchar) end, case when c.r_exec_broker = c.r_exec_broker_top then cast(c.r_exec_broker as varchar) else cast(c.r_exec_broker as varchar) || ' to ' || cast(c.r_exec_broker_top as varchar) end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), cast(null as varchar), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/terms
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T30' as code, c.amount as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'terms' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'terms', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'terms', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.value_ccy, n.exposure, case when c.l_uti <> c.r_uti then c.l_uti else case when c.l_coupon <> c.r_coupon then rtrim(rtrim(cast(c.l_coupon as varchar), '0'), '.') else rtrim(rtrim(cast(c.l_net as varchar), '0'), '.') end end, case when c.l_uti <> c.r_uti then c.r_uti else case when c.l_coupon <> c.r_coupon then rtrim(rtrim(cast(c.r_coupon as varchar), '0'), '.') else rtrim(rtrim(cast(c.r_net as varchar), '0'), '.') end end, cast(null as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), case when c.l_uti <> c.r_uti then 'uti' when c.l_coupon <> c.r_coupon then 'coupon' else 'upfront' end, c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

-- findings/net
insert into work_finding
with n as (
  select c.group_key, h.rule_id, 'T18' as code, cast(c.d_net as number(28, 6)) as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = 'net' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select left(sha2('break' || chr(31) || :tenant || chr(31) || n.level || chr(31) || case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end || chr(31) || 'net', 256), 32), n.level, c.r_pb, case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end, 'net', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.l_settle_ccy, n.exposure, rtrim(rtrim(cast(c.l_net as varchar), '0'), '.'), rtrim(rtrim(cast(c.r_net as varchar), '0'), '.'), cast(c.r_net - c.l_net as number(28, 6)), n.rule_id,
  c.pass_id, c.group_id, c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar), rtrim(rtrim(cast(c.d_residual as varchar), '0'), '.'), c.profile
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code;

