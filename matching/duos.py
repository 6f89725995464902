"""Duos: two records that quote one id and that nothing else can claim; each is a component of its own.

Most trades of a day are told once by each side and quote one id. Such a pair is what the exact pass would find whatever
else its block holds, so it is matched, compared and filed by itself and the block is not derived again. Whether two
records are a duo depends on the records that share their id and on nothing else, so order and batching do not matter: a
record that quotes the id as well, a correction or a cancellation takes the duo apart, and its block has both again.
"""

from dataclasses import dataclass

from matching.asked import found
from matching.items import digest
from matching.rules import AggregatePass, ExactPass, RollupPass, RuleSet
from warehouse.port import Warehouse

_KEYS = ("uid=cross_uid", "trade_date")


def _keys(versions: str) -> str:
    """Ids whose meaning may have changed: what `versions` are known by."""
    return f"insert into work_key\nselect distinct v.pair_key from {versions}\nwhere v.pair_key is not null"


def _order_keys(new: str) -> str:
    """And duos of orders that `new` allocates."""
    shares = "\nunion\n".join(
        f"select d.pair_key from {new} v join match_version o on o.{order} = v.{order} and o.leg = 'L'\n"
        "  join match_duo d on d.left_id = o.record_id where v.leg = 'L' and v.level = 'ALLOCATION'"
        for order in ("client_order_id", "order_id")
    )
    return f"insert into work_key\n{shares}"


PLAIN_KEYS, PLAIN_ORDER_KEYS = _keys("work_plain v"), _order_keys("work_plain")
# Before the chains change and after: what they were known by, and what they are known by now.
CHAIN_KEYS = _keys("match_version v join work_version w on w.record_id = v.record_id")
CHAIN_ORDER_KEYS = _order_keys("work_version")

GONE_ALL = (
    "insert into work_gone select d.uid, d.pair_key, d.left_id, d.right_id, d.left_at, d.right_at, d.component,"
    " d.block from match_duo d"
)
GONE = f"{GONE_ALL} where d.pair_key in (select k.pair_key from work_key k)"
FORGET = "delete from match_duo where left_id in (select g.left_id from work_gone g)"

_NOT_SHARED = """
  and not exists (select 1 from share s where s.client_order_id = l.client_order_id)
  and not exists (select 1 from share s where s.order_id = l.order_id)"""
_NOT_DECIDED = """
  and not exists (select 1 from match_decided d where d.record_id = l.record_id)
  and not exists (select 1 from match_decided d where d.record_id = r.record_id)"""
ANY_SHARE = "match_version s where s.leg = 'L' and s.level = 'ALLOCATION'"


# The root of a record that is alone, put together of columns that are read anyway.
_ROOT = "{0}.feed || '|' || left({0}.block, 10) || '|' || {0}.{1}"


def found_by(*, shares: bool, decided: bool) -> str:
    """The statement that finds duos; what orders we allocate, and what people decided, is asked where there is any."""
    share = f", share as (\n  select s.order_id, s.client_order_id from {ANY_SHARE}\n)" if shares else ""
    asked = (_NOT_SHARED if shares else "") + (_NOT_DECIDED if decided else "")
    orders = " v.order_id, v.client_order_id," if shares else ""
    return f"""
insert into work_duo
with l as (
  select v.record_id, v.feed, v.root_uid, v.pair_key, v.block, v.pb, v.account, v.direction, v.qty,{orders}
    v.alone, v.level, v.terms, v.recv_at, count(*) over (partition by v.root_uid, left(v.block, 10)) as n
  from match_version v
  where v.leg = 'L' and v.is_tip and not v.held and v.status <> 'CANCEL'
    and v.pair_key in (select k.pair_key from work_key k)
), r as (
  select v.record_id, v.feed, v.uid, v.cross_uid, v.block, v.pb, v.account, v.direction, v.qty, v.alone, v.level,
    v.terms, v.recv_at, count(*) over (partition by v.cross_uid, left(v.block, 10)) as n
  from match_version v
  where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL'
    and v.pair_key in (select k.pair_key from work_key k)
){share}
select l.root_uid, l.pair_key, l.record_id, r.record_id, l.recv_at, r.recv_at,
  'D|' || {_ROOT.format("l", "root_uid")}, l.block, r.pb, r.level,
  {_ROOT.format("r", "uid")}, coalesce(l.terms = r.terms, false)
from l join r on r.cross_uid = l.root_uid and r.block = l.block and (r.pb = l.pb or l.pb is null)
where l.n = 1 and r.n = 1 and l.alone and r.alone and l.level = 'FILL'
  and (l.account = r.account or l.direction = r.direction or l.qty = r.qty){asked}
"""


KEEP = """
insert into match_duo (uid, pair_key, left_id, right_id, left_at, right_at, component, block)
select d.uid, d.pair_key, d.left_id, d.right_id, d.left_at, d.right_at, d.component, d.block from work_duo d
"""
# What stayed as it was is not looked at again.
FORGET_KNOWN = """
delete from work_duo where exists (
  select 1 from work_gone g where g.left_id = work_duo.left_id and g.right_id = work_duo.right_id)
"""
FORGET_SAME = """
delete from work_gone where exists (
  select 1 from match_duo d where d.left_id = work_gone.left_id and d.right_id = work_gone.right_id)
"""

# A duo taken apart: its own breaks go, its records are their block's again.
TOUCH_GONE = """
insert into work_component
select g.component from work_gone g
union
select b.component from work_gone g join match_block b on b.block = g.block
"""
TOUCH_FOUND = """
insert into work_component
select d.component from work_duo d where d.component not in (select q.component from work_quiet q)
"""

_OLD = """
old as (
  select d.left_id as record_id, 'L' as leg, d.block, substr(d.component, 3) as root, 'TRADE' as level from work_duo d
  where not exists (select 1 from work_plain p where p.record_id = d.left_id)
  union all
  select d.right_id, 'R', d.block, d.right_root, case when d.right_level = 'ALLOCATION' then 'BLOCK' else 'TRADE' end
  from work_duo d
  where not exists (select 1 from work_plain p where p.record_id = d.right_id)
)"""
# The break of a record that merely waited ends; where it had been reported, or matched, its block is derived again.
# What waits is known by its record alone, as the one-sided pass names it.
CLOSING = f"""
insert into work_closing
with {_OLD}
select b.break_id, o.record_id, b.generation, b.code from old o
  join recon_break b on b.break_id = {digest("'break'", ":tenant", "o.level", "o.root", "'existence'")}
    and b.state = 'EXPECTED' and b.field_family = 'existence' and b.group_id is null
"""


def _missing(leg: str, block: str) -> str:
    """Components of `block` with a left-over record that what is of `leg` there may meet."""
    code = "T02" if leg == "L" else "T01"
    return (
        f"select k.component from {block} k join recon_break f on f.component = k.component and f.code = '{code}'\n"
        f"  and f.state <> 'CURED' and f.field_family = 'existence' where k.leg = '{leg}'"
    )


TOUCH_LEFT = f"""
insert into work_component
with {_OLD}, block as (
  select distinct b.component, o.leg, case when w.record_id is null then 1 else 0 end as bound
  from old o join match_block b on b.block = o.block left join work_closing w on w.record_id = o.record_id
)
select k.component from block k where k.bound = 1
union
{_missing("L", "block")}
union
{_missing("R", "block")}
"""

# New records that are in no duo: those whose block has nothing they could meet wait; they are told apart here.
LAZY = """
insert into work_lazy
select p.record_id, p.leg, b.component from work_plain p join match_block b on b.block = p.own_block
where not exists (select 1 from work_duo d where d.left_id = p.record_id)
  and not exists (select 1 from work_duo d where d.right_id = p.record_id)
"""
_MET = f"""
insert into work_component
with free as (
  select z.component, z.leg, p.level, p.due_at, p.order_id, p.client_order_id
  from work_lazy z join work_plain p on p.record_id = z.record_id
)
select component from free where due_at <= cast(:as_of as timestamp_ntz(9)) or (leg = 'L' and level = 'ALLOCATION')
union
{_missing("L", "free")}
union
{_missing("R", "free")}
union
select component from free group by component having count(distinct leg) = 2
"""
# The same where orders of ours are allocated.
_MET_SHARES = f"""{_MET.rstrip()}
union
select f.component from free f join match_version s on s.leg = 'L' and s.level = 'ALLOCATION'
  and s.client_order_id = f.client_order_id where f.leg = 'L'
union
select f.component from free f join match_version s on s.leg = 'L' and s.level = 'ALLOCATION'
  and s.order_id = f.order_id where f.leg = 'L'
"""
FORGET_MET = "delete from work_lazy where component in (select c.component from work_component c)"


def duo_pass(rules: RuleSet) -> str | None:
    """The exact pass duos stand for; None where the rules look at something else first, so that there are no duos."""
    for rule in rules.passes:
        if isinstance(rule, ExactPass) and rule.keys == _KEYS and rule.agree_at_least <= 2:
            return rule.id
        if isinstance(rule, RollupPass):
            continue
        if not (isinstance(rule, AggregatePass) and rule.several and rule.keys[0] == _KEYS[0]):
            return None
    return None


def members(pass_id: str) -> str:
    """Duos of this run as members of their groups."""
    parts = "\nunion all\n".join(
        f"select d.{side}_id, '{leg}', d.left_id, '{pass_id}', null, null from match_duo d"
        " where d.component in (select c.component from work_component c)"
        for side, leg in (("left", "L"), ("right", "R"))
    )
    return f"insert into work_member (record_id, leg, group_key, pass_id, code, other_id)\n{parts}"


def waiting(pass_id: str, left: str, right: str) -> str:
    """Records that wait, as the one-sided pass would name them."""
    return (
        "insert into work_member (record_id, leg, group_key, pass_id, code, other_id)\n"
        f"select z.record_id, z.leg, 'S|' || z.record_id, '{pass_id}',"
        f" case when z.leg = 'L' then '{left}' else '{right}' end, null from work_lazy z"
    )


@dataclass(frozen=True, slots=True)
class Changed:
    """How many records wait, how many waiting breaks end because their records are in duos, how many duos are new."""

    waiting: int
    closing: int = 0
    found: int = 0


def refresh(warehouse: Warehouse, as_of: str, tenant: str, *, possible: bool) -> Changed:
    """Bring match_duo up to work_key, touch what that changes and what new records meet, leave the rest in work_lazy.

    `as_of` as `warehouse.sql.timestamp` writes it; `possible` is whether the rules have a pass for duos: without one
    all are taken apart.
    """
    new = closing = 0
    shares = found(warehouse, ANY_SHARE)
    gone = warehouse.execute(GONE if possible else GONE_ALL)
    if gone:
        warehouse.execute(FORGET)
    if possible:
        new = warehouse.execute(found_by(shares=shares, decided=found(warehouse, "match_decided")))
        if new:
            warehouse.execute(KEEP)
            new -= warehouse.execute(FORGET_KNOWN) if gone else 0
            closing = warehouse.execute(CLOSING, {"tenant": tenant})
            warehouse.execute(TOUCH_LEFT)
        if gone:
            warehouse.execute(FORGET_SAME)
    if gone:
        warehouse.execute(TOUCH_GONE)
    waiting = warehouse.execute(LAZY)
    if waiting:
        warehouse.execute(_MET_SHARES if shares else _MET, {"as_of": as_of})
        waiting -= warehouse.execute(FORGET_MET)
    return Changed(waiting, closing, new)
