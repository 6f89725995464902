"""Second looks at findings: a side that still shows a superseded version (T23), a block split in another way (T11)."""

from matching.items import WIDEST_PRICE, WIDEST_QTY, plain
from matching.tables import FINDING_COLUMNS

SPLIT_RULE, STALE_RULE = "B11-split", "B23-version"

# Quantities and prices that differ, where one earlier version of one member makes both sides equal.
_FITS = f"abs(e.qty) < {WIDEST_QTY} and abs(e.price) < {WIDEST_PRICE}"
_UNIT = (
    "case when c.r_n < c.l_n and c.l_price <> c.l_price_top then c.r_half_unit"
    " when c.r_n > c.l_n and c.r_price <> c.r_price_top then c.l_half_unit"
    " else greatest(c.l_half_unit, c.r_half_unit) end"
)
_SUPERSEDED = f"""
select x.break_id from (
  select f.break_id, m.leg, c.l_qty, c.r_qty, c.l_notional, c.r_notional, c.l_small_qty, c.r_small_qty, {_UNIT} as unit,
    i.qty, i.notional, e.qty as old_qty,
    case when {_FITS} then cast(cast(e.qty as number(19, 8)) * cast(e.price as number(18, 8)) as number(38, 12)) end
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
    <= x.unit * greatest(x.l_small_qty, x.r_small_qty, 1)
"""

# Shares of one block at one broker whose gaps cancel out: first the pairs that do, then what is left of the block.
_SPLIT = """
with share as (
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
select t.break_id, t.into_id from totalled t where t.total = 0 and t.n > 1
"""

STALE = f"""
insert into work_rename (break_id, into_id, code, rule_id)
select distinct s.break_id, s.break_id, 'T23', '{STALE_RULE}' from ({_SUPERSEDED.strip()}) s
"""
SPLIT = f"""
insert into work_split (break_id, into_id)
select s.break_id, s.into_id from ({_SPLIT.strip()}) s
"""
SPLIT_FILE = f"""
insert into work_rename (break_id, into_id, code, rule_id)
select s.break_id, s.into_id, 'T11', '{SPLIT_RULE}' from work_split s
"""

# One break for all that became one, with what each account has on either side.
_TOLD = {
    "code": "w.code",
    "severity": "k.severity",
    "rule_id": "w.rule_id",
    "exposure": "g.exposure",
    "delta": "case when g.n = 1 then f.delta end",
    "left_value": "g.left_value",
    "right_value": "g.right_value",
}
RENAMED = f"""
insert into work_renamed ({", ".join(FINDING_COLUMNS)})
select {", ".join(_TOLD.get(name, f"f.{name}") for name in FINDING_COLUMNS)}
from work_finding f join work_rename w on w.break_id = f.break_id and w.into_id = f.break_id
  join work_code k on k.code = w.code
  join (
    select n.into_id, count(*) as n, sum(o.exposure) as exposure,
      case when count(*) = 1 then min(o.left_value) else listagg(o.account || ' ' || {plain("c.l_qty")}, ', ')
        within group (order by o.account, o.break_id) end as left_value,
      case when count(*) = 1 then min(o.right_value) else listagg(o.account || ' ' || {plain("c.r_qty")}, ', ')
        within group (order by o.account, o.break_id) end as right_value
    from work_rename n join work_finding o on o.break_id = n.break_id
      join work_comparison c on c.group_key = o.group_key
    group by n.into_id
  ) g on g.into_id = w.into_id
"""
MEMBERS = """
insert into work_also (record_id, leg, group_key, pass_id, code, other_id)
select m.record_id, m.leg, k.group_key, m.pass_id, w.code, null
from work_rename w join work_finding f on f.break_id = w.break_id join work_finding k on k.break_id = w.into_id
  join work_member m on m.group_key = f.group_key and m.code is null
where w.break_id <> w.into_id
"""
MEMBERS_FILE = """
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
select s.record_id, s.leg, s.group_key, s.pass_id, s.code, s.other_id from work_also s
"""
FORGET = "delete from work_finding where break_id in (select w.break_id from work_rename w)"
FINISH = f"""
insert into work_finding ({", ".join(FINDING_COLUMNS)})
select {", ".join(f"r.{name}" for name in FINDING_COLUMNS)} from work_renamed r
"""

STEPS = (RENAMED, MEMBERS, MEMBERS_FILE, FORGET, FINISH)

# A break that ends because another one now tells of its records goes on as that one. Levels are compared by a case: an
# equality of two yes-or-no would be a join of every break with every finding.
SUPERSEDED = """
insert into work_superseded (break_id, by_id)
select o.break_id, min(f.break_id)
from work_was o join recon_break_member b on b.break_id = o.break_id
  join work_member m on m.record_id = b.record_id join work_finding f on f.group_key = m.group_key
where o.state <> 'CURED' and o.component in (select c.component from work_component c)
  and case when o.level = 'COPY' then f.level = 'COPY' else f.level <> 'COPY' end
  and (o.field_family = f.family or o.field_family = 'existence' or f.family = 'existence')
  and not exists (select 1 from work_finding s where s.break_id = o.break_id)
group by o.break_id
"""
STATEMENTS = {
    "renames/stale": STALE, "renames/split": SPLIT, "renames/split/file": SPLIT_FILE, "renames/renamed": RENAMED,
    "renames/members": MEMBERS, "renames/members/file": MEMBERS_FILE, "renames/finish": FINISH,
    "renames/superseded": SUPERSEDED,
}  # fmt: skip
