"""Live versions and connected components: which record of each chain counts, and what must be matched together.

Both are pure functions of the set of records, so the order of arrival never matters. A run touches only the chains
its new records belong to and the components those chains were or now are in.
"""

from functools import lru_cache

import pyarrow as pa

from matching import duos
from matching.asked import found
from matching.decided import DECIDED_EDGES, take_up
from matching.items import GRACE
from matching.links import ANY_NEAR, EDGES, KEEP_LINKS, LINKS, NEAR, PLAIN_LINKS
from matching.news import News
from matching.quiet import FEES, terms
from matching.tables import VERSION_COLUMNS, key
from warehouse.port import Params, Warehouse

# A chain longer than this (or a circle of references) stops here; its least id stands for the root.
_LONGEST_CHAIN = 200

_MATCHABLE = (
    "e.source_role in ('INTERNAL', 'PB') and e.level in ('FILL', 'ALLOCATION')"
    " and e.status in ('NEW', 'CORRECT', 'CANCEL')"
)

_DIRECTION = (
    "case when e.side in ('BUY', 'BUY_COVER') then 'BUY'"
    " when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end"
)
_OWN = ", ".join(VERSION_COLUMNS)
_NO_FEES = "cast(null as varchar)"

# Rows of one message that share an id (an allocation per account) are siblings, not versions of each other.
_SIBLING = "case when w.feed is not null then '/' || e.account_id else '' end"
# Looked for by themselves: a window over all rows would carry every column of theirs.
_SIBLINGS = f"""
    left join (
      select e.feed, e.message_id, e.trade_uid from trade_event e
      where e.execution in (select x.execution from work_execution x) and {_MATCHABLE}
      group by e.feed, e.message_id, e.trade_uid having count(*) > 1
    ) w on w.feed = e.feed and w.message_id = e.message_id and equal_null(w.trade_uid, e.trade_uid)"""


@lru_cache(maxsize=4)
def new_versions(*, siblings: bool, fees: bool) -> str:
    """New versions into work_plain; siblings and fees are looked for where there may be any."""
    suffix, fee = _SIBLING if siblings else "''", f", {FEES}" if fees else ""
    alike = _SIBLINGS if siblings else ""
    join, said = ("left join fee n on n.record_id = e.record_id", terms()) if fees else ("", terms(fees=_NO_FEES))
    return f"""
insert into work_plain ({_OWN})
with {GRACE}{fee}
select s.record_id, s.feed, s.leg, s.trade_uid || s.suffix,
  case when s.status <> 'NEW' then coalesce(s.prev_uid, s.trade_uid) || s.suffix end,
  s.trade_date, s.status, s.version, s.event_time_utc, s.sent_time_utc, s.recv_time_utc,
  cast(s.trade_date as varchar) || '|' || s.instrument_id, s.level, s.pb, s.account, s.direction, s.qty, s.cross_uid,
  s.alloc_id, s.order_id, s.client_order_id,
  s.instrument_id || '|' || left(s.side, 1),
  dateadd('second', case when s.leg = 'L' then coalesce(g.seconds, n.pb_seconds, :default_grace)
    else coalesce(n.internal_seconds, :default_grace) end, s.recv_time_utc), s.terms,
  {key("s.record_id")}, {key("s.feed || '|' || s.trade_uid || s.suffix")},
  case when s.status <> 'NEW' then {key("s.feed || '|' || coalesce(s.prev_uid, s.trade_uid) || s.suffix")} end,
  case when s.leg = 'L' then {key("s.trade_uid || s.suffix")} when s.cross_uid is not null then {key("s.cross_uid")} end
from (
  select e.record_id, e.feed, case when e.source_role = 'INTERNAL' then 'L' else 'R' end as leg,
    coalesce(e.trade_uid, e.record_id) as trade_uid, e.prev_uid, e.trade_date, e.status,
    coalesce(e.version, 1) as version,
    e.event_time_utc, e.sent_time_utc, e.recv_time_utc, e.instrument_id, e.level,
    case when e.source_role = 'INTERNAL' then coalesce(e.pb_id, cast(:only_pb as varchar))
      else coalesce(f.party, e.pb_id, e.source_id) end as pb,
    coalesce(e.account_id, e.account_raw) as account, {_DIRECTION} as direction, e.side, e.qty, e.cross_uid,
    case when e.source_role = 'INTERNAL' and e.level = 'ALLOCATION' then e.alloc_id end as alloc_id,
    e.order_id, e.client_order_id,
    {suffix} as suffix, {said} as terms
  from trade_event e left join work_feed f on f.feed = e.feed {join}{alike}
  where e.execution in (select x.execution from work_execution x) and {_MATCHABLE}
) s cross join longest n left join grace g on s.leg = 'L' and g.party = s.pb
"""


NEW_VERSIONS = new_versions(siblings=True, fees=True)


def _stored(column: str, key: str) -> str:
    return (
        f"(select count(*) from (select 1 as one from match_version v\n"
        f"    where v.{column} in (select w.{key} from work_plain w) limit 1) x)"
    )


# What is odd about the new records: known already, of chains that are stored, several of one chain, shares of orders.
_ODD = f"""
select {_stored("record_key", "record_key")} as known,
  {_stored("uid_key", "uid_key")} + {_stored("ref_key", "uid_key")} as stored,
  count(*) - count(distinct n.uid_key) + sum(case when n.status = 'NEW' then 0 else 1 end) as chained,
  sum(case when n.leg = 'L' and n.level = 'ALLOCATION' then 1 else 0 end) as shares
from work_plain n
"""
# Facts told again are known already.
FORGET_KNOWN = (
    "delete from work_plain where exists (select 1 from match_version v where v.record_id = work_plain.record_id)"
)

# All but the records that begin a chain nobody else is part of: few of a day. Who shares a hash alone is looked at too.
_CHAINED = f"""
insert into work_version ({_OWN})
select {_OWN} from work_plain v
where v.status <> 'NEW' or v.uid_key in (
    select m.uid_key from work_plain m group by m.uid_key having count(*) > 1
    union all
    select m.ref_key from work_plain m where m.ref_key is not null{{0}})
"""
CHAINED = _CHAINED.format("")
# The same where stored records may continue, precede or wait for them.
CHAINED_AMONG_STORED = _CHAINED.format("""
    union all
    select m.uid_key from match_version m where m.uid_key in (select w.uid_key from work_plain w)
    union all
    select m.ref_key from match_version m where m.ref_key in (select w.uid_key from work_plain w)""")
FORGET_CHAINED = "delete from work_plain where record_id in (select v.record_id from work_version v)"
# What levels ask of all that is new.
_ASKED = "record_id, feed, leg, uid, trade_date, own_block, level, account, cross_uid"
ALL_VERSIONS = f"insert into work_version ({_ASKED}) select {_ASKED} from work_plain"
PLAIN_VERSIONS = """
insert into match_version
select v.record_id, v.feed, v.leg, v.uid, v.ref_uid, v.trade_date, v.status, v.version, v.event_at, v.sent_at,
  v.recv_at, v.own_block, v.feed || '|' || cast(v.trade_date as varchar) || '|' || v.uid, v.uid, true, false,
  v.record_id, v.own_block, true, v.level, v.pb, v.account, v.direction, v.qty, v.cross_uid, v.alloc_id, v.order_id,
  v.client_order_id, v.line, v.due_at, v.terms, v.record_key, v.uid_key, v.ref_key, v.pair_key
from work_plain v
"""

# Every stored chain that a new record continues, precedes or was waited for by.
FAMILY_ROOTS = """
insert into work_family
select o.root_id from match_version o join work_version n on n.feed = o.feed and n.uid = o.uid
union
select o.root_id from match_version o join work_version n on n.feed = o.feed and n.ref_uid = o.uid
union
select o.root_id from match_version o join work_version n on n.feed = o.feed and n.uid = o.ref_uid
"""
FAMILY = f"""
insert into work_version ({_OWN})
select {", ".join(f"v.{name}" for name in VERSION_COLUMNS)}
from match_version v where v.root_id in (select f.root_id from work_family f)
"""

# The version a record refers to: same trade date first, then the nearest earlier, then the nearest later.
PLACES = """
insert into work_place
with known as (
  select distinct feed, uid, trade_date from work_version where ref_uid is null or ref_uid <> uid
), target as (
  select r.record_id, k.feed || '|' || cast(k.trade_date as varchar) || '|' || k.uid as node
  from work_version r join known k on k.feed = r.feed and k.uid = r.ref_uid
  qualify row_number() over (
    partition by r.record_id
    order by case when k.trade_date = r.trade_date then 0 when k.trade_date < r.trade_date then 1 else 2 end,
      abs(datediff('day', k.trade_date, r.trade_date))
  ) = 1
), placed as (
  select v.record_id, v.uid, v.ref_uid, v.feed || '|' || cast(v.trade_date as varchar) || '|' || v.uid as own_node,
    case when v.ref_uid is not null then coalesce(t.node, v.feed || '|?|' || v.ref_uid) end as parent
  from work_version v left join target t on t.record_id = v.record_id
)
select record_id, case when ref_uid = uid then parent else own_node end,
  case when ref_uid <> uid then parent end, case when ref_uid = uid then 1 else 0 end
from placed
"""

ROOTS = f"""
insert into work_root
with recursive step as (
  select node, min(parent) as parent from work_place where parent is not null group by node
), walk as (
  select distinct node, node as ancestor, 0 as depth from work_place
  union all
  select w.node, s.parent, w.depth + 1 from walk w join step s on s.node = w.ancestor
  where w.depth < {_LONGEST_CHAIN}
)
select node, case when max(depth) < {_LONGEST_CHAIN} then max_by(ancestor, depth) else min(ancestor) end, max(depth)
from walk group by node
"""

TOUCHED_BEFORE = """
insert into work_touched
select distinct v.block from match_version v where exists (
  select 1 from work_version w where w.record_id = v.record_id)
"""

FORGET_VERSIONS = (
    "delete from match_version where exists (select 1 from work_version w where w.record_id = match_version.record_id)"
)
FORGET_LINKS = (
    "delete from match_link where exists (select 1 from work_version w where w.record_id = match_link.record_id)"
)
FORGET_EDGES = (
    "delete from match_edge where record_a in (select w.record_id from work_version w)"
    " or record_b in (select w.record_id from work_version w)"
)
FORGET_STATE = (
    "delete from trade_state where exists (select 1 from work_version w where w.record_id = trade_state.record_id)"
)

# When a version was sent comes before when the trade happened: that is the same for all, at whatever precision shown.
VERSIONS = f"""
insert into match_version
with placed as (
  select v.*, p.node, r.root, r.depth + p.extra_step as step
  from work_version v join work_place p on p.record_id = v.record_id join work_root r on r.node = p.node
), ranked as (
  select p.*,
    max(case when p.status = 'NEW' and p.node = p.root then 1 else 0 end) over (partition by p.root) as begun,
    row_number() over (
      partition by p.root
      order by p.step desc, p.version desc, coalesce(p.sent_at, p.event_at) desc, p.event_at desc,
        p.record_id desc) as age,
    row_number() over (
      partition by p.root order by case when p.status = 'CANCEL' then 1 else 0 end,
        p.step desc, p.version desc, coalesce(p.sent_at, p.event_at) desc, p.event_at desc,
        p.record_id desc) as terms_age,
    row_number() over (
      partition by p.root order by case when p.node = p.root then 0 else 1 end, p.step, p.record_id) as first_rank
  from placed p
)
select r.record_id, r.feed, r.leg, r.uid, r.ref_uid, r.trade_date, r.status, r.version, r.event_at, r.sent_at,
  r.recv_at, r.own_block, r.root, f.uid, r.age = 1, r.begun = 0, t.record_id, t.own_block,
  count(*) over (partition by r.root) = 1, r.level, r.pb, r.account, r.direction, r.qty, r.cross_uid, r.alloc_id,
  r.order_id, r.client_order_id, r.line, r.due_at, r.terms, r.record_key, r.uid_key, r.ref_key,
  case when r.leg = 'L' then {key("f.uid")} else r.pair_key end
from ranked r join ranked t on t.root = r.root and t.terms_age = 1
  join ranked f on f.root = r.root and f.first_rank = 1
"""

TOUCHED_AFTER = """
insert into work_touched
select v.block from match_version v join work_version w on w.record_id = v.record_id
"""
TOUCHED_EDGES = """
insert into work_touched
select e.block_a from match_edge e where e.record_a in (select n.record_id from work_link n)
  or e.record_b in (select n.record_id from work_link n)
union
select e.block_b from match_edge e where e.record_a in (select n.record_id from work_link n)
  or e.record_b in (select n.record_id from work_link n)
"""
NEW_BLOCKS = """
insert into match_block
select distinct p.own_block, p.own_block from work_plain p
where not exists (select 1 from match_block b where b.block = p.own_block)
"""
FORGET_PLAIN_STATE = "delete from trade_state where record_id in (select p.record_id from work_plain p)"
PLAIN_STATE = """
insert into trade_state (record_id, root_id, feed, is_live, held, component)
select p.record_id, p.feed || '|' || cast(p.trade_date as varchar) || '|' || p.uid, p.feed, true, false, b.component
from work_plain p join match_block b on b.block = p.own_block
"""

_NEIGHBOURS = """
select b.block, b.component from match_block b where b.component in (
  select c.component from match_block c where c.block in (select t.block from work_touched t))
union
select t.block, cast(null as varchar) from work_touched t
"""

_EDGES_AMONG = """
select distinct e.block_a, e.block_b from match_edge e
where e.block_a in (select b.block from work_block b) or e.block_b in (select b.block from work_block b)
"""

# A block whose trades were all corrected into other blocks is gone.
_ALIVE = "select distinct v.block from match_version v where v.block in (select b.block from work_block b)"

_STATE = """
insert into trade_state (record_id, root_id, feed, is_live, held, component)
select v.record_id, v.root_id, v.feed, v.is_tip and not v.held and v.status <> 'CANCEL', v.held, b.component
from match_version v join match_block b on b.block = v.block
where {condition}
"""

WRITE_STATE = _STATE.format(condition="exists (select 1 from work_version w where w.record_id = v.record_id)")

FORGET_RELABELLED = """
delete from trade_state where record_id in (
  select v.record_id from match_version v join work_block b on b.block = v.block)
"""
WRITE_RELABELLED = _STATE.format(condition="exists (select 1 from work_block b where b.block = v.block)")

CHAIN_STEPS = (FAMILY_ROOTS, FAMILY)
VERSION_STEPS = (
    PLACES, ROOTS, TOUCHED_BEFORE, FORGET_VERSIONS, FORGET_LINKS, FORGET_EDGES, FORGET_STATE, VERSIONS, LINKS,
    TOUCHED_AFTER,
)  # fmt: skip


def refresh_state(warehouse: Warehouse, terms: Params, told: News) -> int:
    """Bring versions, links, blocks, duos and trade_state up to the executions in work_execution.

    Returns how many new records there were; fills work_component with every component whose chains changed, work_plain
    with the new records that are chains by themselves, and work_key with every id whose meaning may have changed.
    """
    news = new_versions(siblings=told.siblings, fees="trade_fee" in told.present) if told.trades else None
    new = warehouse.execute(news, terms) if news else 0
    odd = warehouse.query(_ODD).to_pylist()[0] if new else {}
    if new and odd["known"]:
        new -= warehouse.execute(FORGET_KNOWN)
    decided = take_up(warehouse)
    if new + decided == 0:
        return 0
    plain = new
    if new and (odd["stored"] or odd["chained"]):
        plain -= warehouse.execute(CHAINED_AMONG_STORED if odd["stored"] else CHAINED)
        if plain < new:
            warehouse.execute(FORGET_CHAINED)
    if plain:
        warehouse.execute(duos.PLAIN_KEYS)
        if odd["shares"]:
            warehouse.execute(duos.PLAIN_ORDER_KEYS)
    chains = plain < new or decided > 0
    if chains:
        for step in (*CHAIN_STEPS, duos.CHAIN_KEYS, *VERSION_STEPS, duos.CHAIN_KEYS, duos.CHAIN_ORDER_KEYS):
            warehouse.execute(step)
    if plain:
        for step in (PLAIN_VERSIONS, PLAIN_LINKS, NEW_BLOCKS):
            warehouse.execute(step)
    warehouse.execute(KEEP_LINKS)
    near = found(warehouse, ANY_NEAR) and warehouse.execute(NEAR)
    edges = (warehouse.execute(EDGES) if near else 0) + (warehouse.execute(DECIDED_EDGES) if chains else 0)
    if edges:
        warehouse.execute(TOUCHED_EDGES)
    if chains or edges:
        _relabel(warehouse)
        warehouse.execute(WRITE_STATE)
        warehouse.execute(FORGET_PLAIN_STATE)
    if plain:
        warehouse.execute(PLAIN_STATE)
        # Levels look in work_version for all that is new.
        warehouse.execute(ALL_VERSIONS)
    return new


def _relabel(warehouse: Warehouse) -> None:
    """Recompute the components of all touched blocks: a component is named after its least block."""
    rows = warehouse.query(_NEIGHBOURS).to_pylist()
    before: dict[str, str | None] = {}
    for row in rows:
        before[row["block"]] = row["component"] or before.get(row["block"])
    blocks = sorted(before)
    warehouse.append("work_block", pa.table({"block": blocks, "component": blocks}))
    alive = {row["block"] for row in warehouse.query(_ALIVE).to_pylist()}
    label = {block: block for block in blocks}
    for row in warehouse.query(_EDGES_AMONG).to_pylist():
        _join(label, row["block_a"], row["block_b"])
    after = {block: _find(label, block) if block in alive else None for block in blocks}
    affected = sorted({name for name in (*before.values(), *after.values()) if name is not None})
    warehouse.append("work_component", pa.table({"component": affected}))
    warehouse.execute("delete from work_block")
    changed = [block for block in blocks if before[block] != after[block]]
    if not changed:
        return
    labels = pa.array([after[block] for block in changed], pa.string())
    warehouse.append("work_block", pa.table({"block": changed, "component": labels}))
    warehouse.execute("delete from match_block where block in (select b.block from work_block b)")
    warehouse.execute("insert into match_block select block, component from work_block where component is not null")
    if any(before[block] is not None for block in changed):
        warehouse.execute(FORGET_RELABELLED)
        warehouse.execute(WRITE_RELABELLED)
        warehouse.execute(FORGET_STATE)


def _find(label: dict[str, str], block: str) -> str:
    while label[block] != block:
        label[block] = label[label[block]]
        block = label[block]
    return block


def _join(label: dict[str, str], one: str, other: str) -> None:
    """Union by name: the lesser block becomes the root, so the label does not depend on the order of edges."""
    a, b = _find(label, one), _find(label, other)
    if a != b:
        label[max(a, b)] = min(a, b)
