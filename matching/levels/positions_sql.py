"""What the position level asks the warehouse: lines that differ, yesterday's splits, unsettled trades, names."""

from matching.levels.books import told

_TOLD = told("position_snapshot")

_BOTH = """max(case when source_role = 'PB' and snapshot_type = '{theirs}' then 1 else 0 end)
  + max(case when source_role = 'INTERNAL' and snapshot_type = '{ours}' then 1 else 0 end) = 2"""
_CLOSED = _BOTH.format(theirs="EOD", ours="EOD")
_ROLLED = _BOTH.format(theirs="EOD", ours="SOD")
_OPENED = _BOTH.format(theirs="SOD", ours="SOD")

# The newest day that both sides tell, for each prime broker. Where we tell only how it opened, our trades close it.
_DATED = f"""
select pb_id, as_of_date, case when {_CLOSED} or {_ROLLED} then 'EOD' else 'SOD' end as theirs,
  case when {_CLOSED} then 'EOD' else 'SOD' end as ours
from {_TOLD} told where snapshot_type in ('SOD', 'EOD') and pb_id is not null
group by pb_id, as_of_date
having {_CLOSED} or {_ROLLED} or {_OPENED}
qualify row_number() over (partition by pb_id order by as_of_date desc) = 1
"""

# A file sent again replaces what it said of an account; a line told by messages is told anew by the newest one.
_SNAPSHOTS = f"""
select s.record_id, s.source_role, s.pb_id, s.account_id, s.instrument_id, s.as_of_date, s.long_qty, s.short_qty,
  s.market_value, s.price, s.price_ccy, s.basis, case when d.theirs <> d.ours then 1 else 0 end as rolled
from {_TOLD} s join dated d on d.pb_id = s.pb_id and d.as_of_date = s.as_of_date
  and s.snapshot_type = case when s.source_role = 'PB' then d.theirs else d.ours end
where s.source_role in ('PB', 'INTERNAL')
qualify rank() over (
  partition by s.feed, s.account_id, case when s.file is null then s.instrument_id end
  order by s.recv_time_utc desc, s.file desc, case when s.file is null then s.record_id end) = 1
"""

# Our live trades of the day, where they must carry an opening position to the close.
_TRADED = """
select e.record_id, e.source_role, d.pb_id, e.account_id, e.instrument_id, d.as_of_date,
  case when e.side in ('BUY', 'BUY_COVER') then e.qty else 0 end,
  case when e.side in ('BUY', 'BUY_COVER') then 0 else e.qty end,
  cast(null as number(28, 6)), cast(null as number(28, 12)), cast(null as varchar), cast(null as varchar), 1
from dated d join trade_event e on e.pb_id = d.pb_id and e.trade_date = d.as_of_date and e.source_role = 'INTERNAL'
  join trade_state s on s.record_id = e.record_id and s.is_live
where d.theirs <> d.ours and coalesce(e.asset_class, '') not in ('FX_SPOT', 'FX_FWD', 'FX_NDF')
  and e.account_id in (select k.account_id from snapshots k)
"""
_KEPT = f"dated as ({_DATED}), snapshots as ({_SNAPSHOTS}), kept as (select * from snapshots union all {_TRADED})"


def _sum(name: str, role: str, kind: str) -> str:
    return f"cast(sum(case when source_role = '{role}' then coalesce({name}, 0) else 0 end) as {kind})"


_SIDES = ", ".join(
    f"{_sum(name, role, kind)} as {leg}_{short}"
    for leg, role in (("l", "INTERNAL"), ("r", "PB"))
    for name, short, kind in (
        ("long_qty", "long", "number(38, 10)"), ("short_qty", "short", "number(38, 10)"),
        ("market_value", "value", "number(38, 6)"),
    )
)  # fmt: skip
_SHOWN = ", ".join(
    f"max(case when source_role = '{role}' then {name} end) as {leg}_{name}"
    for leg, role in (("l", "INTERNAL"), ("r", "PB"))
    for name in ("price", "price_ccy", "basis")
)

# Where we state neither price nor value, the closing price of the day in the broker's currency is ours.
_CLOSING = """
select c.instrument_id, c.price_date, c.ccy, c.price from close_price c
qualify row_number() over (
  partition by c.instrument_id, c.price_date, c.ccy order by c.valid_from desc, coalesce(c.price_source, '')) = 1
"""
_STATED = (
    "pb_id", "account_id", "instrument_id", "as_of_date", "rolled", "l_long", "l_short", "l_value", "r_long", "r_short",
    "r_value", "l_basis", "r_price", "r_price_ccy", "r_basis",
)  # fmt: skip
# Lines on which the two sides differ in quantity, or in price or value by more than :price_ratio of ours.
LINES = f"""
with {_KEPT}, stated as (
  select pb_id, account_id, instrument_id, as_of_date, max(rolled) as rolled, {_SIDES}, {_SHOWN}
  from kept group by pb_id, account_id, instrument_id, as_of_date
), closing as ({_CLOSING}), line as (
  select {", ".join(f"t.{name}" for name in _STATED)}, coalesce(t.l_price, c.price) as l_price,
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
order by o.pb_id, o.account_id, o.instrument_id, k.record_id
"""

# Our opening of lines that were split lately, on the day of the split; newest split first.
SPLITS = f"""
with dated as ({_DATED}), split as (
  select d.pb_id, d.as_of_date, c.instrument_id, c.ex_date, c.ratio from corporate_action c cross join dated d
  where c.action_type = 'SPLIT' and c.ratio > 0 and c.ex_date <= d.as_of_date
    and c.ex_date >= dateadd('day', -:days, d.as_of_date)
  qualify row_number() over (partition by d.pb_id, c.instrument_id order by c.ex_date desc, c.action_id) = 1
), opening as (
  select s.* from {_TOLD} s
    join split p on p.pb_id = s.pb_id and p.instrument_id = s.instrument_id and p.ex_date = s.as_of_date
  where s.snapshot_type = 'SOD' and s.source_role = 'INTERNAL'
  qualify rank() over (
    partition by s.feed, s.account_id, s.instrument_id order by s.recv_time_utc desc, s.file desc) = 1
)
select p.pb_id, o.account_id, p.instrument_id, p.ex_date, max(p.ratio) as ratio,
  cast(sum(coalesce(o.long_qty, 0) - coalesce(o.short_qty, 0)) as number(38, 10)) as qty
from split p left join opening o on o.pb_id = p.pb_id and o.instrument_id = p.instrument_id
group by p.pb_id, o.account_id, p.instrument_id, p.ex_date
order by 1, 2, 3
"""

# Old and new name of what was renamed or merged, by corporate action or by an identifier that ended.
RENAMES = """
select c.instrument_id as old_id, c.new_instrument_id as new_id, max(coalesce(c.ratio, 1)) as ratio
from corporate_action c where c.action_type in ('RENAME', 'MERGER') and c.new_instrument_id is not null
group by c.instrument_id, c.new_instrument_id
union
select h.id_value, h.instrument_id, 1 from identifier_history h where h.valid_to is not null
"""

# What live trades of either side have yet to settle after the day of the snapshot.
PENDING = f"""
with dated as ({_DATED})
select coalesce(e.pb_id, f.party) as pb_id, e.account_id, e.instrument_id, e.source_role,
  cast(sum(case when e.side in ('BUY', 'BUY_COVER') then e.qty else -e.qty end) as number(38, 10)) as qty
from trade_event e join trade_state s on s.record_id = e.record_id and s.is_live
  left join work_feed f on f.feed = e.feed
  join dated d on d.pb_id = coalesce(e.pb_id, f.party)
    and e.trade_date <= d.as_of_date and e.settle_date > d.as_of_date
where e.source_role in ('INTERNAL', 'PB')
group by coalesce(e.pb_id, f.party), e.account_id, e.instrument_id, e.source_role
order by 1, 2, 3, 4
"""

# Size, class and shortest symbol of the instruments named in work_line.
INSTRUMENTS = """
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
order by w.instrument_id
"""

NEW_POSITIONS = """
select 1 as found from position_snapshot p
where p.execution in (select x.execution from work_execution x) limit 1
"""
# Trades of a day whose positions are here already: they may explain what is off, or no longer.
LATE_TRADES = f"""
select 1 as found from work_version v
where v.trade_date <= (select max(p.as_of_date) from {_TOLD} p where p.source_role = 'PB') limit 1
"""
