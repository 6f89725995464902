"""Back-test as SQL: what one rule set made of the facts, kept beside what another made of them, and the difference.

Trades are compared by what they say and not by who they are, so interchangeable twins count as equal. What our trade is
grouped with is the content of its group.
"""

from collections.abc import Mapping

from matching.items import digest

_MEMBER = """
    run varchar, level varchar, leg varchar, record_id varchar, root_id varchar, content varchar, group_id varchar,
    pass_id varchar
"""
_PLACED = "run varchar, content varchar, signature varchar, pass_id varchar, record_id varchar, nth bigint"
SCRATCH: Mapping[str, str] = {
    "back_member": _MEMBER,
    "back_placed": _PLACED,
    "back_pair": "kind varchar, old_pass varchar, new_pass varchar, old_id varchar, new_id varchar",
    "back_break": """
    run varchar, break_id varchar, code varchar, pass_id varchar, severity bigint, left_value varchar,
    right_value varchar, delta number(28, 6), exposure_base number(28, 6), headline varchar
""",
    "back_decision": """
    decision_id varchar, kind varchar, record_id varchar, side varchar, decided_at timestamp_ntz(9), execution varchar
""",
    "back_judged": "run varchar, kind varchar, decision_id varchar, pass_id varchar, agreed bigint",
}

_SAID = (
    "pb_id", "account_id", "instrument_id", "side", "qty", "price", "trade_date", "settle_date", "order_id",
    "client_order_id",
)  # fmt: skip
_CONTENT = digest("g.level", *(f"coalesce(cast(t.{name} as varchar), '-')" for name in _SAID))

MEMBERS = f"""
insert into back_member (run, level, leg, record_id, root_id, content, group_id, pass_id)
select :run, g.level, m.side, m.record_id, v.root_id, {_CONTENT}, g.group_id, g.pass_id
from match_member m join match_group g on g.group_id = m.group_id
  join trade_event t on t.record_id = m.record_id left join match_version v on v.record_id = m.record_id
"""
PLACED = f"""
insert into back_placed (run, content, signature, pass_id, record_id, nth)
with s as (
  select b.group_id,
    {digest("listagg(b.leg || b.content, ',') within group (order by b.leg, b.content)")} as signature
  from back_member b where b.run = :run group by b.group_id
)
select b.run, b.content, s.signature, b.pass_id, b.record_id, row_number() over (
  partition by b.content, s.signature order by b.pass_id, b.record_id)
from back_member b join s on s.group_id = b.group_id where b.run = :run and b.leg = 'L'
"""
BREAKS = """
insert into back_break (run, break_id, code, pass_id, severity, left_value, right_value, delta, exposure_base, headline)
select :run, b.break_id, b.code, coalesce(b.pass_id, '-'), b.severity, b.left_value, b.right_value, b.delta,
  b.exposure_base, b.headline
from recon_break b where b.state = 'OPEN'
"""

# What is paired alike in both stays out; of the rest, one trade of a kind on each side is a change.
PAIRS = """
insert into back_pair (kind, old_pass, new_pass, old_id, new_id)
with o as (select p.* from back_placed p where p.run = 'old'), n as (select p.* from back_placed p where p.run = 'new'),
both_sides as (
  select o.pass_id as old_pass, n.pass_id as new_pass, o.record_id as old_id, n.record_id as new_id
  from o join n on n.content = o.content and n.signature = o.signature and n.nth = o.nth
), ro as (
  select o.content, o.pass_id, o.record_id, row_number() over (
    partition by o.content order by o.pass_id, o.signature, o.record_id) as k
  from o where o.record_id not in (select b.old_id from both_sides b)
), rn as (
  select n.content, n.pass_id, n.record_id, row_number() over (
    partition by n.content order by n.pass_id, n.signature, n.record_id) as k
  from n where n.record_id not in (select b.new_id from both_sides b)
)
select case when b.old_pass = b.new_pass then 'same' else 'moved' end, b.old_pass, b.new_pass, b.old_id, b.new_id
from both_sides b
union all
select case when ro.record_id is null then 'gained' when rn.record_id is null then 'lost' else 'changed' end,
  ro.pass_id, rn.pass_id, ro.record_id, rn.record_id
from ro full outer join rn on rn.content = ro.content and rn.k = ro.k
"""
PAIR_COUNTS = """
select p.kind, p.old_pass, p.new_pass, count(*) as n from back_pair p group by p.kind, p.old_pass, p.new_pass
order by p.kind, p.old_pass, p.new_pass
"""
PAIR_EXAMPLES = """
select x.kind, x.old_pass, x.new_pass, t.trade_uid, t.account_id, t.symbol, t.side, t.qty, t.price, t.trade_date
from (
  select p.*, row_number() over (
    partition by p.kind, p.old_pass, p.new_pass order by coalesce(p.new_id, p.old_id)) as k
  from back_pair p where p.kind in ('gained', 'lost', 'changed')
) x join trade_event t on t.record_id = coalesce(x.new_id, x.old_id)
where x.k <= :most order by x.kind, x.old_pass, x.new_pass, t.trade_uid, t.record_id
"""

_BREAK_PAIRS = """
with o as (select b.* from back_break b where b.run = 'old'), n as (select b.* from back_break b where b.run = 'new'),
j as (
  select case when o.break_id is null then 'gained' when n.break_id is null then 'lost'
      when o.code <> n.code or o.severity <> n.severity or not equal_null(o.left_value, n.left_value)
        or not equal_null(o.right_value, n.right_value) or not equal_null(o.delta, n.delta) then 'changed'
      else 'same' end as kind,
    coalesce(o.break_id, n.break_id) as break_id, o.code as old_code, n.code as new_code, o.pass_id as old_pass,
    n.pass_id as new_pass, o.exposure_base as old_money, n.exposure_base as new_money,
    coalesce(n.headline, o.headline) as headline
  from o full outer join n on n.break_id = o.break_id
)
"""
BREAK_COUNTS = f"""{_BREAK_PAIRS}
select j.kind, j.old_code, j.new_code, j.old_pass, j.new_pass, count(*) as n
from j group by j.kind, j.old_code, j.new_code, j.old_pass, j.new_pass order by 1, 2, 3, 4, 5
"""
BREAK_EXAMPLES = f"""{_BREAK_PAIRS}
select x.* from (
  select j.*, row_number() over (
    partition by j.kind, j.old_code, j.new_code order by j.break_id) as k
  from j where j.kind <> 'same'
) x where x.k <= :most order by x.kind, x.old_code, x.new_code, x.break_id
"""

# --- what people decided ------------------------------------------------------------------------------------------

TAKE_DECISIONS = """
insert into back_decision (decision_id, kind, record_id, side, decided_at, execution)
select d.decision_id, d.kind, d.record_id, d.side, d.decided_at, d.execution from match_decision d
"""
FORGET_DECISIONS = "delete from match_decision"

# Only decisions that still hold: of several about a trade the newest, and none that lost one of its trades to another.
JUDGED = """
insert into back_judged (run, kind, decision_id, pass_id, agreed)
with placed as (
  select d.decision_id, d.kind, d.side, d.decided_at, v.root_id
  from back_decision d join match_version v on v.record_id = d.record_id
), newest as (
  select p.decision_id, p.root_id from placed p
  qualify row_number() over (partition by p.root_id order by p.decided_at desc, p.decision_id desc) = 1
), active as (
  select p.decision_id from placed p
    left join newest w on w.decision_id = p.decision_id and w.root_id = p.root_id
  group by p.decision_id having count(*) = count(w.root_id)
), seat as (
  select p.decision_id, p.kind, p.side, m.group_id, m.pass_id
  from placed p join active a on a.decision_id = p.decision_id
    left join back_member m on m.run = :run and m.root_id = p.root_id and m.leg = p.side
  where p.kind in ('FORCE', 'APART')
), one as (
  select s.decision_id, s.kind, s.group_id, min(s.pass_id) as pass_id, count(*) as n, count(distinct s.side) as sides
  from seat s group by s.decision_id, s.kind, s.group_id
)
select :run, o.kind, o.decision_id, max(o.pass_id),
  case when o.kind = 'FORCE' then case when count(*) = 1 and count(o.group_id) = 1 then 1 else 0 end
    else case when max(case when o.group_id is not null and o.sides = 2 then 1 else 0 end) = 0 then 1 else 0 end end
from one o group by o.decision_id, o.kind
"""
# Who accepted a break said that it does not matter: agreed is whoever raises no break.
JUDGED_BREAKS = """
insert into back_judged (run, kind, decision_id, pass_id, agreed)
select :run, 'ACCEPT', d.break_id, max(b.pass_id), case when max(b.break_id) is null then 1 else 0 end
from decision d left join back_break b on b.run = :run and b.break_id = d.break_id
where d.kind = 'accept' and d.status in ('DONE', 'APPROVED') group by d.break_id
"""
JUDGED_COUNTS = """
select j.run, j.kind, j.pass_id, count(*) as n, sum(j.agreed) as agreed from back_judged j
group by j.run, j.kind, j.pass_id order by j.run, j.kind, j.pass_id
"""
