"""SQL of the copies level: executions as brokers and venues tell them, their chains, and how they meet ours."""

from matching.items import GRACE, digest, plain, product
from matching.levels.copies_apart import BLOCK as _BLOCK
from matching.levels.copies_apart import COPY as _COPY
from matching.levels.ingest_sql import SEEN

_RUN = "(select x.execution from work_execution x)"
_NEW = "(select c.component from work_component c where c.component like 'E|%')"
_DIRECTION = (
    "case when e.side in ('BUY', 'BUY_COVER') then 'BUY'"
    " when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end"
)
# Who tells: an executing broker under its name, a venue under its code.
_SOURCE = "e.source_role || '|' || upper(trim(coalesce(f.party, e.source_id)))"

# What a new copy is about, and what it refers to or is referred to by.
TOUCH_COPIES = f"""
insert into work_component
with fresh as (
  select e.feed, e.trade_uid, e.prev_uid, e.trade_date, {_BLOCK} as component from trade_event e
  where {_COPY} and e.execution in {_RUN}
)
select component from fresh
union
select {_BLOCK} from trade_event e join fresh n on n.feed = e.feed and n.trade_date = e.trade_date
  and (e.trade_uid = n.prev_uid or e.prev_uid = n.trade_uid or e.trade_uid = n.trade_uid)
where {_COPY} and e.execution in {SEEN}
"""
TOUCH_OURS = """
insert into work_component
select distinct 'E|' || v.own_block from work_version v
where v.leg = 'L' and v.level = 'FILL' and 'E|' || v.own_block not in (select c.component from work_component c)
"""

# Copies of the touched blocks and what they refer to, each with the first version it goes back to: three steps at most.
VERSIONS = f"""
insert into work_copy_version
with own as (
  select e.feed, e.trade_date, e.trade_uid, e.prev_uid from trade_event e
  where {_COPY} and e.execution in {SEEN} and {_BLOCK} in {_NEW}
), known as (
  select distinct e.record_id, e.feed, e.trade_date, coalesce(e.trade_uid, e.record_id) as uid,
    case when e.status <> 'NEW' then coalesce(e.prev_uid, e.trade_uid) end as ref_uid, e.cross_uid, e.status,
    coalesce(e.version, 1) as version, coalesce(e.sent_time_utc, e.event_time_utc) as told_at, {_BLOCK} as component,
    {_SOURCE} as source, coalesce(f.party, e.source_id) as party
  from trade_event e join own o on o.feed = e.feed and o.trade_date = e.trade_date
      and (e.trade_uid = o.trade_uid or e.trade_uid = o.prev_uid or e.prev_uid = o.trade_uid)
    left join work_copier f on f.feed = e.feed
  where {_COPY} and e.execution in {SEEN}
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
  left join step c on c.feed = k.feed and c.trade_date = k.trade_date and c.uid = b.ref_uid
"""
_LATEST = "v.depth desc, v.version desc, v.told_at desc, v.record_id desc"
_FAMILY = "partition by v.feed, v.trade_date, v.root"
CHAINS = f"""
insert into work_copy_chain
with ranked as (
  select v.*, row_number() over ({_FAMILY} order by {_LATEST}) as age,
    row_number() over ({_FAMILY} order by case when v.status = 'CANCEL' then 1 else 0 end, {_LATEST}) as terms_age
  from work_copy_version v
)
select r.record_id, t.record_id, t.component, r.source, r.party,
  r.feed || '|' || cast(r.trade_date as varchar) || '|' || r.root, r.status <> 'CANCEL'
from ranked r join ranked t on t.feed = r.feed and t.trade_date = r.trade_date and t.root = r.root and t.terms_age = 1
where r.age = 1 and t.component in {_NEW}
"""
_IDS_OF_COPIES = """
select c.record_id, 'R', v.{0} from work_copy_chain c
  join work_copy_version v on v.feed || '|' || cast(v.trade_date as varchar) || '|' || v.root = c.family
where v.{0} is not null
"""
# All ids either side ever had for it, and those it quotes.
IDS = f"""
insert into work_copy_id
{_IDS_OF_COPIES.format("uid").strip()}
union
{_IDS_OF_COPIES.format("ref_uid").strip()}
union
{_IDS_OF_COPIES.format("cross_uid").strip()}
union
select c.record_id, 'L', v.uid from work_copy c join match_version v on v.root_id = c.anchor where c.leg = 'L'
union
select c.record_id, 'L', v.cross_uid from work_copy c join match_version v on v.root_id = c.anchor
where c.leg = 'L' and v.cross_uid is not null
"""


def _columns(anchor: str, half_unit: str) -> str:
    return (
        f"{anchor}, {{live}}, {{expected}}, coalesce(e.trade_uid, e.record_id), e.client_order_id,"
        f" coalesce(e.account_id, e.account_raw),\n  e.instrument_id, e.symbol, e.side, {_DIRECTION}, e.qty, e.price,"
        f" {half_unit},\n  coalesce(e.multiplier, 1), e.trade_ccy, e.trade_date, e.settle_date, e.event_time_utc,"
        " e.recv_time_utc"
    )


def copies(half_unit: str) -> str:
    """The live copies of the touched blocks; what we lack is missing once our own grace has passed."""
    shown = _columns("c.family", half_unit).format(live="c.live", expected="true")
    return f"""
insert into work_copy
with {GRACE}
select c.record_id, 'R', c.component, c.source, c.party, {shown},
  dateadd('second', coalesce(n.internal_seconds, :default_grace), e.recv_time_utc)
from work_copy_chain c join trade_event e on e.record_id = c.terms_id cross join longest n
"""


def ours(half_unit: str, broker: str) -> str:
    """Our executions of the touched blocks, once for each source that may tell of them.

    A source must tell of what names it as executing broker or venue, and may tell of what names nobody.
    """
    shown = _columns("v.root_id", half_unit).format(live="v.status <> 'CANCEL'", expected="s.name = t.named")
    return f"""
insert into work_copy
with source as (
  select distinct f.role || '|' || upper(trim(f.party)) as source, f.role, upper(trim(f.party)) as name,
    min(f.party) over (partition by f.role, upper(trim(f.party))) as party,
    max(f.grace_seconds) over (partition by f.role, upper(trim(f.party))) as seconds
  from work_copier f where f.role in ('EB', 'VENUE')
), mine as (
  select v.record_id, {broker} as broker, upper(trim(e.venue_mic)) as venue
  from match_version v join trade_event e on e.record_id = v.terms_id
  where v.leg = 'L' and v.level = 'FILL' and v.is_tip and not v.held and 'E|' || v.block in {_NEW}
), told as (
  select m.record_id, s.source, case when s.role = 'EB' then m.broker else m.venue end as named
  from mine m cross join source s
)
select v.record_id, 'L', 'E|' || v.block, s.source, s.party, {shown},
  dateadd('second', coalesce(s.seconds, :default_grace), e.recv_time_utc)
from told t join source s on s.source = t.source and (t.named = s.name or t.named is null)
  join match_version v on v.record_id = t.record_id join trade_event e on e.record_id = v.terms_id
"""


_FREE = (
    "not exists (select 1 from work_copied d where d.left_id = {0}.record_id and d.source = {0}.source)"
    " and not exists (select 1 from work_copied d where d.right_id = {0}.record_id)"
)


def _by_id(how: str, apart: str, blocks: str, where: str = "") -> str:
    """Pairs of one id in equal blocks (`=`) or not (`<>`): the least `apart`, then the first by their own ids."""
    return f"""
insert into work_copied
with c as (
  select distinct l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    {apart} as apart
  from work_copy_id a join work_copy_id b on b.uid = a.uid and a.leg = 'L' and b.leg = 'R'
    join work_copy l on l.record_id = a.record_id
    join work_copy r on r.record_id = b.record_id and r.source = l.source and r.component {blocks} l.component{where}
)
select c.left_id, c.right_id, c.source, '{how}' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.left_uid, c.left_id) = 1
"""


# Where several share an id, those that agree.
_DISAGREE = """case when l.live = r.live then 0 else 1 end + case when l.qty = r.qty then 0 else 1 end
      + case when l.price = r.price then 0 else 1 end"""
# One id and one execution in all but the instrument, or in all but the day.
_ALL_BUT_ONE = f"""
  where l.live and r.live and l.direction = r.direction and l.qty = r.qty and l.ccy = r.ccy
    and abs(l.price - r.price) <= greatest(l.half_unit, r.half_unit)
    and (l.instrument = r.instrument or l.trade_date = r.trade_date)
    and {_FREE.format("l")} and {_FREE.format("r")}"""


def _economics(how: str, keys: tuple[str, ...]) -> str:
    """The n-th of equals with the n-th of equals."""
    names = ("component", "source", *keys, "direction", "qty", "price", "ccy")
    by = ", ".join(f"c.{name}" for name in names)
    met = " and ".join(f"l.{name} = r.{name}" for name in names)

    def side(leg: str) -> str:
        return (
            f"(\n  select c.record_id, {by}, row_number() over (partition by {by} order by c.event_at, c.uid,"
            f" c.record_id) as nth\n  from work_copy c where c.leg = '{leg}' and c.live and {_FREE.format('c')}\n)"
        )

    return (
        f"insert into work_copied\nselect l.record_id, r.record_id, l.source, '{how}'\n"
        f"from {side('L')} l join {side('R')} r on {met} and l.nth = r.nth"
    )


# Two clocks tell one execution at most so far apart.
_SECONDS_APART = 60
# One order, one minute, and one thing about the execution differs: each other's nearest.
NEAR = f"""
insert into work_copied
with c as (
  select l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    abs(l.qty - r.qty) as apart, abs(l.price - r.price) as off
  from work_copy l join work_copy r on r.leg = 'R' and l.leg = 'L' and r.component = l.component
    and r.source = l.source and r.client_order_id = l.client_order_id and l.live and r.live
    and (l.direction = r.direction and (l.qty = r.qty or l.price = r.price) or l.qty = r.qty and l.price = r.price)
  where abs(datediff('second', l.event_at, r.event_at)) <= {_SECONDS_APART}
    and {_FREE.format("l")} and {_FREE.format("r")}
)
select c.left_id, c.right_id, c.source, 'near' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.off, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.off, c.left_uid, c.left_id) = 1
"""
PAIRS = (
    _by_id("id", _DISAGREE, "="),
    _by_id("apart", "abs(datediff('day', l.trade_date, r.trade_date))", "<>", _ALL_BUT_ONE),
    _economics("order", ("client_order_id",)),
    _economics("economics", ()),
    NEAR,
)

_INTO = (
    "insert into work_finding (break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side,"
    " trade_date, settle_date, ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty,"
    " price, severity)"
)
# What may differ: code, field, when, and both sides of it. Of a bust and a live execution only that is told, of two
# sides only the side, and prices in different currencies are not held against each other.
_BOTH_LIVE = "l.live and r.live"
_SAME_SIDE = f"{_BOTH_LIVE} and l.direction = r.direction"
_PRICED_APART = "l.ccy = r.ccy and abs(l.price - r.price) > greatest(l.half_unit, r.half_unit)"
_TERMS = f"{plain('{0}.qty')} || ' @ ' || {plain('{0}.price')}"
_SHOWN_TERMS = "case when {0}.live then " + _TERMS + " else 'cancelled' end"
_DATE = "cast({0}.%s as varchar)"
_DIFFERENCES: tuple[tuple[str, str, str, str], ...] = (
    ("T22", "existence", "l.live <> r.live", _SHOWN_TERMS),
    ("T09", "existence", f"{_BOTH_LIVE} and l.instrument <> r.instrument", "coalesce({0}.symbol, {0}.instrument)"),
    ("T13", "existence", f"{_BOTH_LIVE} and l.trade_date <> r.trade_date", _DATE % "trade_date"),
    ("T07", "side", f"{_BOTH_LIVE} and l.direction <> r.direction", "{0}.direction"),
    ("T15", "ccy", f"{_SAME_SIDE} and l.ccy <> r.ccy", "{0}.ccy"),
    ("T05", "qty", f"{_SAME_SIDE} and l.qty <> r.qty", plain("{0}.qty")),
    ("T06", "price", f"{_SAME_SIDE} and {_PRICED_APART}", plain("{0}.price")),
    # A day that follows from another trade date is no second difference.
    (
        "T14", "settle_date", f"{_SAME_SIDE} and l.trade_date = r.trade_date and l.settle_date <> r.settle_date",
        _DATE % "settle_date",
    ),
)  # fmt: skip


def _difference(code: str, family: str, when: str, shown: str) -> str:
    return (
        f"  select l.*, r.record_id as right_id, r.due_at as right_due, r.qty as right_qty, r.price as right_price,"
        f" d.how,\n    '{code}' as code, '{family}' as family, l.anchor || '|' || l.source as told,"
        f" {shown.format('l')} as left_shown,\n    {shown.format('r')} as right_shown\n"
        "  from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source\n"
        f"    join work_copy r on r.record_id = d.right_id\n  where {when}"
    )


_DIFFERENT = "\n  union all\n".join(_difference(*one) for one in _DIFFERENCES)
DIFFERENT = f"""
{_INTO}
with n as (
{_DIFFERENT}
)
select {digest("'break'", ":tenant", "'COPY'", "n.told", "n.family")}, 'COPY', n.party, n.told, n.family,
  n.code, case when n.code = 'T22' or n.how = 'near' then greatest(n.due_at, n.right_due) end,
  n.instrument, n.symbol, n.account, n.side, n.trade_date, n.settle_date, n.ccy,
  case n.code when 'T05' then {product("abs(n.qty - n.right_qty)", "n.price", "n.multiplier")}
    when 'T06' then {product("n.qty", "abs(n.price - n.right_price)", "n.multiplier")}
    else {product("n.qty", "n.price", "n.multiplier")} end,
  n.left_shown, n.right_shown,
  'copy-' || n.how, 'copy-' || n.how, 'E|' || n.record_id || '|' || n.right_id, n.component, n.qty, n.price,
  k.severity
from n join work_code k on k.code = n.code
"""
MISSING = f"""
{_INTO}
with n as (
  select c.*, c.anchor || '|' || c.source as told, case when c.leg = 'L' then 'T01' else 'T02' end as code
  from work_copy c where c.live and c.expected and {_FREE.format("c")}
)
select {digest("'break'", ":tenant", "'COPY'", "n.told", "'existence'")}, 'COPY', n.party, n.told,
  'existence', n.code, n.due_at, n.instrument, n.symbol, n.account, n.side, n.trade_date, n.settle_date, n.ccy,
  {product("n.qty", "n.price", "n.multiplier")}, case when n.leg = 'L' then {_TERMS.format("n")} end,
  case when n.leg = 'R' then {_TERMS.format("n")} end, 'copy-one-sided', 'copy-one-sided',
  'E|' || n.source || '|' || n.record_id, n.component, n.qty, n.price, k.severity
from n join work_code k on k.code = n.code
"""
_MEMBER = "insert into work_member (record_id, leg, group_key, pass_id, code)"
MEMBERS = f"""
{_MEMBER}
select d.left_id, 'L', f.group_key, f.pass_id, f.code from work_finding f join work_copied d
  on f.group_key = 'E|' || d.left_id || '|' || d.right_id
union
select d.right_id, 'R', f.group_key, f.pass_id, f.code from work_finding f join work_copied d
  on f.group_key = 'E|' || d.left_id || '|' || d.right_id
union
select c.record_id, c.leg, f.group_key, f.pass_id, f.code from work_finding f join work_copy c
  on f.group_key = 'E|' || c.source || '|' || c.record_id
"""
FORGET = f"delete from match_copy where component in {_NEW}"
KEEP = """
insert into match_copy (copy_id, record_id, component, source, how)
select d.right_id, d.left_id, l.component, d.source, d.how
from work_copied d join work_copy l on l.record_id = d.left_id and l.source = d.source
"""
FINISH = (DIFFERENT, MISSING, MEMBERS, FORGET, KEEP)
