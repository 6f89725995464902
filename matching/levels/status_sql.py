"""SQL of the status level: orphans (T24), refusals (T25), affirmations (T27)."""

from matching.items import digest, plain, product

NOW = "cast(:as_of as timestamp_ntz(9))"
# How long a version may wait for the one it refers to.
HOLD_SECONDS = 900
_FINDING = (
    "break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date,"
    " ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity"
)
_MEMBER = "insert into work_member (record_id, leg, group_key, pass_id, code)"
_NEW = "select c.component from work_component c"


def _key(anchor: str, family: str) -> str:
    return digest("'break'", ":tenant", "'STATUS'", anchor, f"'{family}'")


# Orphans: a version that refers to one nobody has seen. Its root is the id it refers to.
_HELD = "'A|h|' || v.root_id"
TOUCH_HELD = f"""
insert into work_component
select distinct {_HELD} from match_version v join work_version w on w.record_id = v.record_id where v.held
"""
TOUCH_CAME = f"""
insert into work_component
select distinct b.component from recon_break b join recon_break_member m on m.break_id = b.break_id
  join work_version w on w.record_id = m.record_id
where b.state <> 'CURED' and b.component like 'A|h|%' and b.component not in ({_NEW})
"""
FIND_HELD = f"""
insert into work_finding ({_FINDING})
select {_key("v.root_id", "reference")}, 'STATUS', e.pb_id, v.root_id, 'reference', 'T24',
  dateadd('second', {HOLD_SECONDS}, v.recv_at), e.instrument_id, e.symbol, coalesce(e.account_id, e.account_raw),
  e.side, e.trade_date, e.settle_date, e.trade_ccy, {product("e.qty", "e.price", "coalesce(e.multiplier, 1)")},
  case when v.leg = 'L' then v.status || ' of ' || v.ref_uid end,
  case when v.leg = 'R' then v.status || ' of ' || v.ref_uid end,
  'orphan', 'status', {_key("v.root_id", "reference")}, {_HELD}, e.qty, e.price, k.severity
from match_version v join trade_event e on e.record_id = v.record_id join work_code k on k.code = 'T24'
where v.held and v.is_tip and {_HELD} in ({_NEW})
"""
FIND_HELD_MEMBERS = f"""
{_MEMBER}
select v.record_id, v.leg, {_key("v.root_id", "reference")}, 'status', 'T24'
from match_version v where v.held and {_HELD} in ({_NEW})
"""

# Refusals. A refused record is no version of anything; an answer names what it answers by our id.
NEW_REFUSALS = """
insert into match_refusal (record_id, pb, uid, own_uid, order_id, client_order_id, account, instrument, symbol, side,
  qty, price, multiplier, ccy, trade_date, settle_date, block, recv_at, reason, execution)
select e.record_id, e.pb_id, e.cross_uid, coalesce(e.trade_uid, e.record_id), e.order_id, e.client_order_id,
  coalesce(e.account_id, e.account_raw), e.instrument_id, e.symbol, e.side, e.qty, e.price,
  coalesce(e.multiplier, 1), e.trade_ccy, e.trade_date, e.settle_date,
  cast(e.trade_date as varchar) || '|' || e.instrument_id, e.recv_time_utc, cast(null as varchar), e.execution
from trade_event e
where e.status = 'REJECT' and e.source_role = 'PB' and e.execution in (select x.execution from work_execution x)
  and not exists (select 1 from match_refusal m where m.record_id = e.record_id)
"""
# AU is told twice, as the answer to a confirmation and as its affirmation: there it counts.
NEW_ANSWERS = """
insert into match_refusal (record_id, pb, uid, client_order_id, account, trade_date, recv_at, reason,
  execution)
select a.record_id, a.pb_id, a.trade_uid, a.client_order_id, coalesce(a.account_id, a.account_raw),
  cast(a.event_time_utc as date), a.recv_time_utc, coalesce(a.reason, a.reason_code), a.execution
from acknowledgement a
where a.status = 'REJECTED' and a.source_role = 'PB' and a.msg_type <> 'AU'
  and a.execution in (select x.execution from work_execution x)
  and not exists (select 1 from match_refusal m where m.record_id = a.record_id)
"""
_RECENT = "r.execution in (select x.execution from work_execution x)"
# An id is that of one trade of a day; an answer does not say of which.
_SAME_DAY = "(r.block is null or left({0}, 10) = left(r.block, 10))"
_BY_ID = (
    "v.uid = r.uid", "v.root_uid = r.uid", "v.cross_uid = r.own_uid",
    "split_part(v.root_uid, '/', 1) = split_part(r.uid, '/', 1) and v.root_uid like r.uid || '/%'",
)  # fmt: skip


def _places(which: str) -> str:
    """Blocks of ours that refusals name by id."""
    return "\nunion\n".join(
        f"select r.record_id, v.block from match_refusal r join match_version v on {way}\n"
        f"where v.leg = 'L' and {_SAME_DAY.format('v.block')} and {which}"
        for way in _BY_ID
    )


# Where a refusal may meet our trade: in its own block, and wherever a trade is that it names, whichever came first.
NEW_REFUSAL_PLACES = f"""
insert into match_refusal_place (record_id, block)
select r.record_id, r.block from match_refusal r where r.block is not null and {_RECENT}
union
{_places(_RECENT)}
"""
NEW_TRADE_PLACES = f"""
insert into match_refusal_place (record_id, block)
select n.record_id, n.block from (
{_places("v.record_id in (select w.record_id from work_version w)")}
) n where not exists (
  select 1 from match_refusal_place p where p.record_id = n.record_id and p.block = n.block)
"""
REFUSAL_PLACES = """
insert into work_place_of (record_id, component)
select distinct p.record_id, b.component from match_refusal_place p join match_block b on b.block = p.block
"""


def _about_duos(duos: str, refusals: str) -> str:
    """Refusals about ours in `duos`, as `_ABOUT` has it of items: a join for each way, so that none is by pairs."""
    day = _SAME_DAY.format("v.block")
    traded = "v.line = r.instrument || '|' || left(r.side, 1) and v.trade_date = r.trade_date and v.account = r.account"
    ways = (
        f"{traded} and v.order_id = r.order_id", f"{traded} and v.client_order_id = r.client_order_id",
        f"{traded} and v.qty = r.qty", f"v.cross_uid = r.own_uid and {day}",
        f"split_part(v.root_uid, '/', 1) = split_part(r.uid, '/', 1) and v.root_uid like r.uid || '/%' and {day}",
    )  # fmt: skip
    by_terms = "".join(
        f"\n  union\n  select r.record_id from match_version v join {refusals} r on {way}\n"
        f"  where equal_null(v.pb, r.pb) and v.record_id in (select d.left_id from {duos} d)"
        for way in ways
    )
    by_id = f"select r.record_id from {refusals} r join {duos} d on d.uid = r.uid and {_SAME_DAY.format('d.block')}"
    return f"{by_id}{by_terms}"


# What is new, what is about a touched component, and what is about a duo that came or went.
TOUCH_REFUSALS = f"""
insert into work_component
with changed as (
  select d.uid, d.left_id, d.block from work_duo d union all select g.uid, g.left_id, g.block from work_gone g
)
select distinct 'A|r|' || r.record_id from match_refusal r
where ({_RECENT}
    or r.record_id in (select p.record_id from work_place_of p where p.component in ({_NEW}))
    or r.record_id in (
  {_about_duos("changed", "match_refusal")}))
  and 'A|r|' || r.record_id not in ({_NEW})
"""
# Where they may meet ours; other refusals may be about that too.
TOUCH_REFUSED = f"""
insert into work_component
select distinct p.component from work_place_of p
where 'A|r|' || p.record_id in ({_NEW}) and p.component not in ({_NEW})
"""

# Ours that a refusal is about: by id, by order, else by what was traded, on its day.
_ABOUT = """
  i.leg = 'L' and i.live and equal_null(i.pb, r.pb)
  and (((i.uid = r.uid or i.uid like r.uid || '/%' or i.cross_uid = r.own_uid)
      and (r.block is null or i.trade_date = r.trade_date))
    or (i.instrument = r.instrument and i.trade_date = r.trade_date and left(i.side, 1) = left(r.side, 1)
      and i.account = r.account
      and (i.order_id = r.order_id or i.client_order_id = r.client_order_id or i.qty = r.qty)))
"""
# What was not booked because it was refused: a break per refusal, under the identity of the first of those it replaces.
REFUSED = f"""
insert into work_refused (record_id, break_id, group_key, kept)
with about as (
  select r.record_id, f.break_id, f.group_key,
    case when i.uid = r.uid or i.uid like r.uid || '/%' or i.cross_uid = r.own_uid then 1
      when i.qty = r.qty and (i.order_id = r.order_id or i.client_order_id = r.client_order_id) then 2
      when i.order_id = r.order_id or i.client_order_id = r.client_order_id then 3 else 4 end as nearness
  from match_refusal r join work_item i on {_ABOUT}
    join work_member m on m.record_id = i.record_id
    join work_finding f on f.group_key = m.group_key and f.code = 'T01' and f.component = i.component
  where 'A|r|' || r.record_id in ({_NEW})
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
from pair p where not exists (select 1 from once o where o.record_id = p.record_id)
"""
REFUSED_FINDINGS = f"""
insert into work_finding ({_FINDING}, delta)
with whole as (
  select w.record_id, sum(f.qty) as qty, count(*) as n, cast(sum(f.exposure) as number(28, 6)) as exposure,
    count(f.exposure) as known, min(f.price) as least, max(f.price) as most
  from work_refused w join work_finding f on f.break_id = w.break_id group by w.record_id
)
select f.break_id, f.level, f.pb, f.anchor, f.family, 'T25', cast(null as timestamp_ntz(9)), f.instrument, f.symbol,
  f.account, f.side, f.trade_date, f.settle_date, f.ccy, case when t.known = t.n then t.exposure end,
  case when t.least = t.most then {plain("t.qty")} || ' @ ' || {plain("f.price")} else {plain("t.qty")} end,
  'REJECTED' || coalesce(': ' || r.reason, ''), 'refused', f.pass_id, 'refused|' || r.record_id, f.component, t.qty,
  f.price, k.severity, case when abs(t.qty) < 100000000000000000000 then cast(-t.qty as number(28, 6)) end
from work_refused w join work_finding f on f.break_id = w.break_id join whole t on t.record_id = w.record_id
  join match_refusal r on r.record_id = w.record_id join work_code k on k.code = 'T25'
where w.kept
"""
REFUSED_MEMBERS = f"""
{_MEMBER}
select m.record_id, m.leg, 'refused|' || w.record_id, 'status', 'T25'
from work_refused w join work_member m on m.group_key = w.group_key
union
select w.record_id, 'R', 'refused|' || w.record_id, 'status', 'T25' from work_refused w where w.kept
"""
FORGET_MISSING = """
delete from work_finding
where code = 'T01' and break_id in (select w.break_id from work_refused w where w.break_id is not null)
"""
# A refusal nobody here knows the trade of: ours may be on its way. Of ours that is booked after all, it is history.
FIND_REFUSED = f"""
insert into work_finding ({_FINDING})
with touched as (
  select t.* from match_refusal t where 'A|r|' || t.record_id in ({_NEW})
), booked as (
  {_about_duos("match_duo", "touched")}
)
select {_key("r.record_id", "refusal")}, 'STATUS', r.pb, r.record_id, 'refusal', 'T25',
  dateadd('second', coalesce(g.seconds, 0), r.recv_at), r.instrument, r.symbol, r.account, r.side, r.trade_date,
  r.settle_date, r.ccy,
  {product("r.qty", "r.price", "r.multiplier")}, cast(null as varchar),
  'REJECTED' || coalesce(': ' || r.reason, ''), 'refused', 'status', {_key("r.record_id", "refusal")},
  'A|r|' || r.record_id, r.qty, r.price, k.severity
from touched r join work_code k on k.code = 'T25'
  cross join (select max(f.grace_seconds) as seconds from work_feed f where f.role = 'INTERNAL') g
where not exists (select 1 from work_refused w where w.record_id = r.record_id)
  and not exists (select 1 from work_item i where {_ABOUT})
  and not exists (select 1 from booked b where b.record_id = r.record_id)
"""
FIND_REFUSED_MEMBERS = f"""
{_MEMBER}
select r.record_id, 'R', f.group_key, 'status', 'T25'
from match_refusal r join work_finding f on f.component = 'A|r|' || r.record_id
"""

# Affirmations: what a prime broker last said of a booking, under any of its versions' ids.
_SAID = """
  select a.record_id, a.affirm_status, a.pb_id, coalesce(a.trade_uid, a.confirm_id) as uid
  from affirmation a
  qualify row_number() over (
    partition by a.pb_id, coalesce(a.trade_uid, a.confirm_id)
    order by a.event_time_utc desc, case when a.affirm_status = 'AFFIRMED' then 0 else 1 end, a.record_id desc) = 1
"""
# Prime brokers that never affirmed anything before: from now on what they do not affirm is missing.
_FIRST_HEARD = """(
  select a.pb_id from affirmation a where a.execution in (select x.execution from work_execution x)
    and a.pb_id not in (
      select o.pb_id from affirmation o where o.pb_id is not null
        and o.execution not in (select x.execution from work_execution x))
)"""
AFFIRM_DATES = f"""
select distinct v.trade_date from match_version v where v.leg = 'R' and v.pb in {_FIRST_HEARD}
union
select distinct v.trade_date from match_version v join work_version w on w.record_id = v.record_id where v.leg = 'R'
union
select distinct v.trade_date from affirmation a
  join match_version v on v.leg = 'R' and v.uid = coalesce(a.trade_uid, a.confirm_id)
where a.execution in (select x.execution from work_execution x)
"""
_ROOT = "'A|f|' || v.root_id"
TOUCH_AFFIRMED = f"""
insert into work_component
select distinct {_ROOT} from affirmation a
  join match_version v on v.leg = 'R' and v.uid = coalesce(a.trade_uid, a.confirm_id) and not v.held
  left join work_cutoff d on d.trade_date = v.trade_date
where a.execution in (select x.execution from work_execution x)
  and (d.due_at <= {NOW} or a.affirm_status = 'REJECTED'
    or {_ROOT} in (select b.component from recon_break b where b.state <> 'CURED'))
"""
TOUCH_BOOKED = f"""
insert into work_component
select distinct {_ROOT} from match_version v join work_version w on w.record_id = v.record_id
  join work_cutoff d on d.trade_date = v.trade_date and d.due_at <= {NOW}
where v.leg = 'R' and not v.held and {_ROOT} not in ({_NEW})
"""
TOUCH_FIRST = f"""
insert into work_component
select distinct {_ROOT} from match_version v join work_cutoff d on d.trade_date = v.trade_date and d.due_at <= {NOW}
where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and v.pb in {_FIRST_HEARD}
  and {_ROOT} not in ({_NEW})
"""
# The cut-off passed: every booking of that date that is not affirmed.
TOUCH_DUE = f"""
insert into work_component
with said as ({_SAID}), due as (
  select t.due_at, cast(right(t.timer_key, 10) as date) as trade_date from timer t
  where t.kind = 'cutoff' and t.due_at <= {NOW}
)
select distinct {_ROOT} from match_version v join due d on d.trade_date = v.trade_date
  left join said s on s.uid = v.uid and s.affirm_status = 'AFFIRMED'
where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and s.uid is null and {_ROOT} not in ({_NEW})
"""
FORGET_DUE = f"delete from timer where kind = 'cutoff' and due_at <= {NOW}"
WRITE_DUE = f"""
insert into timer (timer_key, due_at, kind, execution)
select 'cutoff|' || cast(d.trade_date as varchar), d.due_at, 'cutoff', :execution from work_cutoff d
where d.due_at > {NOW} and not exists (
  select 1 from timer t where t.timer_key = 'cutoff|' || cast(d.trade_date as varchar))
"""
FIND_DATES = f"""
select distinct v.trade_date from match_version v where v.leg = 'R' and {_ROOT} in ({_NEW})
"""
_LATEST = f"""
with said as ({_SAID}), booking as (
  select v.root_id, v.record_id, v.trade_date, v.recv_at, v.terms_id, e.pb_id
  from match_version v join trade_event e on e.record_id = v.terms_id
  where v.leg = 'R' and v.is_tip and not v.held and v.status <> 'CANCEL' and {_ROOT} in ({_NEW})
), told as (
  select v.root_id, s.record_id, s.affirm_status, s.pb_id,
    max(case when s.affirm_status = 'AFFIRMED' then 1 else 0 end) over (partition by v.root_id) as affirmed
  from match_version v join said s on s.uid = v.uid
  where v.leg = 'R' and {_ROOT} in ({_NEW})
  qualify row_number() over (partition by v.root_id order by v.is_tip desc, v.version desc, s.record_id) = 1
), open_one as (
  select b.*, t.record_id as said_id, t.affirm_status, d.due_at
  from booking b left join told t on t.root_id = b.root_id and equal_null(t.pb_id, b.pb_id)
    left join work_cutoff d on d.trade_date = b.trade_date
  where coalesce(t.affirmed, 0) = 0 and (t.affirm_status = 'REJECTED' or d.due_at <= {NOW})
    and b.pb_id in (select a.pb_id from affirmation a)
)
"""
FIND_AFFIRM = f"""
insert into work_finding ({_FINDING})
{_LATEST}
select {_key("o.root_id", "affirm")}, 'STATUS', e.pb_id, o.root_id, 'affirm',
  case when o.due_at <= {NOW} then 'T27' else 'T25' end,
  case when o.due_at <= {NOW} and coalesce(o.affirm_status, '') <> 'REJECTED' and o.recv_at > o.due_at
    then dateadd('second', :affirm_grace, o.recv_at) end,
  e.instrument_id, e.symbol, coalesce(e.account_id, e.account_raw), e.side, e.trade_date, e.settle_date, e.trade_ccy,
  {product("e.qty", "e.price", "coalesce(e.multiplier, 1)")}, 'AFFIRMED', coalesce(o.affirm_status, 'nothing said'),
  'affirm', 'status', {_key("o.root_id", "affirm")}, 'A|f|' || o.root_id, e.qty, e.price, k.severity
from open_one o join trade_event e on e.record_id = o.terms_id
  join work_code k on k.code = case when o.due_at <= {NOW} then 'T27' else 'T25' end
"""
FIND_AFFIRM_MEMBERS = f"""
{_MEMBER}
{_LATEST}
select o.record_id, 'R', {_key("o.root_id", "affirm")}, 'status', 'T27' from open_one o
union all
select o.said_id, 'R', {_key("o.root_id", "affirm")}, 'status', 'T27' from open_one o where o.said_id is not null
"""
