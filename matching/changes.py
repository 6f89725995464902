"""Findings against the breaks on record: what opened, changed, cured or merely goes on, as SQL."""

from domain.derived import RECON_BREAK
from matching.items import digest, money_product

_CONTENT = (
    "code", "left_value", "right_value", "delta", "exposure", "account_id", "side", "instrument_id", "settle_date",
    "ccy",
)  # fmt: skip
_PLUMBING = (
    "pb_id",
    "due_at",
    "rule_id",
    "rule_set_hash",
    "pass_id",
    "group_id",
    "component",
    "symbol",
    "trade_date",
    "explains",
    "detail",
    "profile",
)
_NOW = "cast(:as_of as timestamp_ntz(9))"
_BREAK_COLUMNS = ", ".join(RECON_BREAK.columns)


def _moved(names: tuple[str, ...]) -> str:
    return " or ".join(f"not equal_null(n.{name}, o.{name})" for name in names)


# The breaks on record that this run may change: usually none, and then nothing is read.
KNOWN = """
insert into work_known
select b.break_id from recon_break b
where (b.state <> 'CURED' and b.component in (select c.component from work_component c))
  or b.break_id in (select f.break_id from work_finding f)
"""
KNOWN_NAMES = """
insert into work_known
select b.break_id from recon_break b where b.break_id in (select f.break_id from work_finding f)
"""
# Most on record is that something is missing: whose names are no such ones need not be looked for among those.
KNOWN_OTHER_NAMES = f"{KNOWN_NAMES.rstrip()} and b.field_family <> 'existence'\n"
WAS = "insert into work_was select b.* from recon_break b where b.break_id in (select k.break_id from work_known k)"

# A break stays OPEN while its finding lasts, even if a correction moved its due time; it never falls back to EXPECTED.
_NEW = """n as (
  select f.break_id, f.level, f.pb as pb_id, f.anchor, f.family as field_family, f.code, f.severity, f.due_at,
    f.instrument as instrument_id, f.symbol, f.account as account_id, f.side, f.trade_date, f.settle_date, f.ccy,
    f.exposure, f.left_value, f.right_value, f.delta, f.rule_id, cast(:rule_set_hash as varchar) as rule_set_hash,
    f.pass_id, f.group_id, f.component, f.qty, f.price, f.explains, f.detail, f.profile,
    k.exception_type, k.element_type
  from work_finding f left join work_code k on k.code = f.code
)"""
_DIFF = f"insert into work_diff ({_BREAK_COLUMNS}, kind, qty, price, differs)\nwith {_NEW}"
DIFF = f"""
{_DIFF}, j as (
  select n.*, case when o.state is null then 1 when o.state = 'CURED' then o.generation + 1 else o.generation end
      as generation,
    case when o.state = 'OPEN' or n.due_at is null or n.due_at <= {_NOW} then 'OPEN' else 'EXPECTED' end as state,
    o.state as was, coalesce(o.first_seen, {_NOW}) as first_seen,
    case when o.state = 'OPEN' then o.opened_at end as opened_at, coalesce(o.changed_at, {_NOW}) as changed_at,
    o.deadline_at, o.exposure_base, o.headline, o.next_step, cast(null as varchar) as superseded_by,
    case when o.state = 'OPEN' then o.severity else n.severity end as kept_severity,
    {_moved(_CONTENT)} as content_moved, {_moved(_PLUMBING)} as plumbing_moved
  from n left join work_was o on o.break_id = n.break_id
)
select break_id, generation, level, pb_id, anchor, field_family, code, kept_severity, state, first_seen, opened_at,
  case when was is null or was = 'CURED' then {_NOW} else changed_at end, cast(null as timestamp_ntz(9)), due_at,
  case when state = 'OPEN' then deadline_at end, instrument_id, symbol, account_id, side, trade_date, settle_date, ccy,
  exposure, case when state = 'OPEN' then exposure_base end, left_value, right_value, delta,
  case when state = 'OPEN' then headline end, case when state = 'OPEN' then next_step end, rule_id, rule_set_hash,
  pass_id, group_id, component, superseded_by, explains, detail, profile, exception_type, element_type,
  case when (was is null or was = 'CURED') and state = 'EXPECTED' then 'EXPECTED'
    when state = 'OPEN' and (was is null or was <> 'OPEN') then case when generation > 1 then 'REOPENED' else 'OPENED'
    end when was = 'OPEN' and content_moved then 'CHANGED' else 'SAME' end,
  qty, price, content_moved or plumbing_moved
from j
union all
select {", ".join("s.by_id" if name == "superseded_by" else f"o.{name}" for name in RECON_BREAK.columns)},
  case when o.state = 'OPEN' then 'CURED' else 'CLEARED' end,
  cast(null as number(38, 10)), cast(null as number(28, 12)),
  true
from work_was o left join work_superseded s on s.break_id = o.break_id
where o.state <> 'CURED' and not exists (select 1 from work_finding f where f.break_id = o.break_id)
"""

# The same where none of the findings is on record: all of them are new.
_FIRST = {
    "generation": "1",
    "state": f"case when n.due_at is null or n.due_at <= {_NOW} then 'OPEN' else 'EXPECTED' end",
    "first_seen": _NOW,
    "changed_at": _NOW,
}
_LATER = ("opened_at", "cured_at", "deadline_at", "exposure_base", "headline", "next_step", "superseded_by")
FIRST_DIFF = f"""
{_DIFF}
select {", ".join("null" if name in _LATER else _FIRST.get(name, f"n.{name}") for name in RECON_BREAK.columns)},
  case when n.due_at is null or n.due_at <= {_NOW} then 'OPENED' else 'EXPECTED' end, n.qty, n.price, true
from n
"""

# Rows this module writes by itself; OPENED, REOPENED, CHANGED and CURED are finished in Python (deadline, headline).
_OWN = "(d.kind = 'EXPECTED' or (d.kind = 'SAME' and d.differs))"
_FINISHED = "d.kind in ('OPENED', 'REOPENED', 'CHANGED', 'CURED')"

FINISHED_ROWS = f"select d.* from work_diff d where {_FINISHED} order by d.break_id"
BEFORE_ROWS = f"select o.* from work_was o join work_diff d on d.break_id = o.break_id where {_FINISHED}"


def break_change_id(break_id: str, generation: str, kind: str, code: str) -> str:
    """The identity of a change nobody is told of: text expressions; parameter `:as_of`."""
    return digest(break_id, generation, kind, "cast(:as_of as varchar)", code)


_CHANGE_ID = break_change_id("d.break_id", "cast(d.generation as varchar)", "d.kind", "d.code")

EXPECTED_CHANGES = f"""
insert into break_change (change_id, break_id, generation, kind, as_of, code, severity, execution)
select {_CHANGE_ID}, d.break_id, d.generation, d.kind, {_NOW}, case when d.kind = 'CLEARED' then 'T28' else d.code end,
  case when d.kind = 'CLEARED' then 0 else d.severity end, :execution
from work_diff d where d.kind in ('EXPECTED', 'CLEARED')
"""

FORGET_BREAKS = f"""
delete from recon_break where exists (
  select 1 from work_diff d where d.break_id = recon_break.break_id
    and ({_OWN} or d.kind = 'CLEARED' or {_FINISHED}))
"""

WRITE_BREAKS = f"""
insert into recon_break ({_BREAK_COLUMNS})
select {", ".join(f"d.{name}" for name in RECON_BREAK.columns)} from work_diff d where {_OWN}
"""

# A cured break keeps its last members: they are the evidence of what was wrong.
FORGET_MEMBERS = """
delete from recon_break_member where exists (
  select 1 from work_diff d where d.break_id = recon_break_member.break_id and d.kind <> 'CURED')
"""

WRITE_MEMBERS = """
insert into recon_break_member (break_id, side, record_id)
select f.break_id, m.leg, m.record_id from work_finding f join work_member m on m.group_key = f.group_key
union
select f.break_id, i.leg, m.other_id from work_finding f join work_member m on m.group_key = f.group_key
  join (select record_id, leg from work_item union select record_id, leg from work_ref) i
    on i.record_id = m.other_id
"""

NEW_GROUPS = f"""
insert into work_group (group_id, level, pb_id, pass_id, rule_set_hash, cardinality, confidence, residual,
  interchangeable, component, as_of)
select c.group_id, c.level, c.r_pb, c.pass_id, :rule_set_hash,
  case when c.l_n > 1 then 'n' else '1' end || ':'
    || case when c.r_n = 1 then '1' when c.l_n > 1 then 'm' else 'n' end,
  p.confidence, {money_product("(c.r_notional - c.l_notional)", "c.l_multiplier")},
  count(*) over (partition by c.component, c.r_pb, c.l_account, c.l_instrument, c.l_side, c.l_qty, c.l_price,
    c.l_settle_date) > 1,
  c.component, {_NOW}
from work_comparison c join work_pass p on p.pass_id = c.pass_id
"""

_SAME_GROUP = " and ".join(
    f"equal_null(w.{name}, g.{name})"
    for name in (
        "group_id",
        "level",
        "pb_id",
        "pass_id",
        "rule_set_hash",
        "cardinality",
        "confidence",
        "residual",
        "interchangeable",
        "component",
    )
)
_STALE = (
    "g.component in (select c.component from work_component c)"
    f" and not exists (select 1 from work_group w where {_SAME_GROUP})"
)
FORGET_GROUP_MEMBERS = f"""
delete from match_member where group_id in (select g.group_id from match_group g where {_STALE})
"""
FORGET_GROUPS = f"delete from match_group where group_id in (select g.group_id from match_group g where {_STALE})"
WRITE_GROUPS = """
insert into match_group (group_id, level, pb_id, pass_id, rule_set_hash, cardinality, confidence, residual,
  interchangeable, component, as_of)
select w.group_id, w.level, w.pb_id, w.pass_id, w.rule_set_hash, w.cardinality, w.confidence, w.residual,
  w.interchangeable, w.component, w.as_of
from work_group w where not exists (select 1 from match_group g where g.group_id = w.group_id)
"""
# Before its group: a group's id is the digest of its members, so a known group has them already.
WRITE_GROUP_MEMBERS = """
insert into match_member (group_id, side, record_id)
select c.group_id, m.leg, m.record_id from work_comparison c join work_member m on m.group_key = c.group_key
where m.code is null and not exists (select 1 from match_group g where g.group_id = c.group_id)
"""

# One timer per second in which some grace ends: a sweep per item would be a sweep per trade.
WAITS = """
insert into work_waits
select date_trunc('second', b.due_at), min(b.due_at) from recon_break b
where b.state = 'EXPECTED' and b.due_at is not null group by date_trunc('second', b.due_at)
"""
FORGET_TIMERS = """
delete from timer where kind = 'grace' and date_trunc('second', due_at) not in (select w.second from work_waits w)
"""
NEXT_DUE = "select min(due_at) as due from recon_break where state = 'EXPECTED'"
NEXT_WAIT = "select min(due_at) as due from work_waits"
WRITE_TIMERS = """
insert into timer (timer_key, due_at, kind, execution)
select 'grace|' || cast(date_trunc('second', b.due_at) as varchar), max(b.due_at), 'grace', :execution
from (
  select w.due_at from work_expected w
  union all
  select d.due_at from work_diff d where d.state = 'EXPECTED' and d.kind in ('EXPECTED', 'SAME')
) b where not exists (
  select 1 from timer t where t.timer_key = 'grace|' || cast(date_trunc('second', b.due_at) as varchar))
group by date_trunc('second', b.due_at)
"""

FORGET_STEPS = (FORGET_BREAKS, FORGET_MEMBERS)
FORGET_GROUP_STEPS = (FORGET_GROUP_MEMBERS, FORGET_GROUPS)
GROUP_STEPS = (NEW_GROUPS, *FORGET_GROUP_STEPS, WRITE_GROUP_MEMBERS, WRITE_GROUPS)
