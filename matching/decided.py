"""What people decided about matching: trades that belong together, trades that do not; facts the passes respect.

A decision names records; it holds for their chains, whatever versions come. Of several decisions about a chain the
newest counts, and one that lost a chain to a newer decision lapses as a whole. A force match holds while all its trades
are live and free. What was taken apart stays so: the counterparty's side is left to people, ours may meet others.
"""

from domain.fields import Kind, Table, columns
from warehouse.port import Warehouse

FORCED, UNMATCHED = "forced", "unmatched"

# The decisions of the runs so far: match_decision also holds what no run has taken up yet.
MATCH_DECIDED = Table(
    "match_decided",
    Kind.DERIVED,
    columns("""
        decision_id str ! identity
        kind str !
        record_id str ! identity
        side str !
        decided_at ts !
        execution str !
    """),
)

NEW_DECISIONS = """
insert into match_decided (decision_id, kind, record_id, side, decided_at, execution)
select d.decision_id, d.kind, d.record_id, d.side, d.decided_at, d.execution from match_decision d
where d.execution in (select x.execution from work_execution x)
  and not exists (select 1 from match_decided o where o.decision_id = d.decision_id)
"""

# Chains that a new decision is about, and all that earlier decisions had joined with them.
DECIDED_ROOTS = """
insert into work_family
select distinct v.root_id from match_version v join match_decided d on d.record_id = v.record_id
where d.decision_id in (
  select e.decision_id from match_decided e join match_version a on a.record_id = e.record_id
    join match_version b on b.root_id = a.root_id join match_decided n on n.record_id = b.record_id
  where n.execution in (select x.execution from work_execution x))
"""

_ACTIVE = """
placed as (
  select d.decision_id, d.kind, d.side, d.record_id, d.decided_at, v.root_id
  from match_decided d join match_version v on v.record_id = d.record_id
), newest as (
  select p.decision_id, p.root_id from placed p
  qualify row_number() over (partition by p.root_id order by p.decided_at desc, p.decision_id desc) = 1
), active as (
  select p.decision_id, count(distinct p.root_id) as chains
  from placed p left join newest n on n.decision_id = p.decision_id and n.root_id = p.root_id
  group by p.decision_id having count(*) = count(n.root_id)
)"""

# Trades of different blocks that belong together are matched together.
DECIDED_EDGES = f"""
insert into match_edge
with {_ACTIVE}
select l.record_id, r.record_id, a.block, b.block
from placed l join placed r on r.decision_id = l.decision_id and r.side = 'R' and l.side = 'L' and l.kind = 'FORCE'
  join active c on c.decision_id = l.decision_id
  join match_version a on a.record_id = l.record_id join match_version b on b.record_id = r.record_id
where a.block <> b.block and exists (
  select 1 from work_version w where w.record_id = l.record_id or w.record_id = r.record_id)
"""

_FREE = "(select x.record_id from work_l x union all select y.record_id from work_r y)"
_MEMBER = "insert into work_member (record_id, leg, group_key, pass_id, code, other_id)\n"

TOGETHER = f"""
{_MEMBER}with {_ACTIVE}, chosen as (
  select distinct p.decision_id, i.record_id, i.leg, i.component, a.chains
  from placed p join active a on a.decision_id = p.decision_id
    join work_item i on i.root_id = p.root_id and i.live join {_FREE} f on f.record_id = i.record_id
  where p.kind = 'FORCE'
), whole as (
  select decision_id, min(case when leg = 'L' then record_id end) as group_key from chosen group by decision_id
  having count(*) = max(chains) and count(distinct component) = 1
    and count(case when leg = 'L' then 1 end) > 0 and count(case when leg = 'R' then 1 end) > 0
)
select c.record_id, c.leg, w.group_key, '{FORCED}', null, null
from chosen c join whole w on w.decision_id = c.decision_id
"""

APART = f"""
{_MEMBER}with {_ACTIVE}
select distinct i.record_id, 'R', 'S|' || i.record_id, '{UNMATCHED}', 'T02', cast(null as varchar)
from placed p join active a on a.decision_id = p.decision_id
  join work_item i on i.root_id = p.root_id and i.live join work_r f on f.record_id = i.record_id
where p.kind = 'APART' and p.side = 'R'
"""

_TAKE = "delete from work_{0} where record_id in (select m.record_id from work_member m)"

_PASS = f"""
insert into work_pass (pass_id, waits, confidence)
select n.pass_id, false, n.confidence
from (select '{FORCED}' as pass_id, 1 as confidence union all select '{UNMATCHED}', 0) n
where not exists (select 1 from work_pass p where p.pass_id = n.pass_id)
"""

STATEMENTS = {
    "new": NEW_DECISIONS, "roots": DECIDED_ROOTS, "edges": DECIDED_EDGES, "passes": _PASS, "together": TOGETHER,
    "apart": APART,
}  # fmt: skip


def take_up(warehouse: Warehouse) -> int:
    """Make the decisions of this run's executions count; returns how many records they are about."""
    taken = warehouse.execute(NEW_DECISIONS)
    if taken:
        warehouse.execute(DECIDED_ROOTS)
    return taken


def seat(warehouse: Warehouse, left: int, right: int) -> tuple[int, int]:
    """Take what people decided, where they did, off the free lists before any pass looks; returns what is left."""
    for step in (_PASS, TOGETHER, APART):
        warehouse.execute(step)
    return left - warehouse.execute(_TAKE.format("l")), right - warehouse.execute(_TAKE.format("r"))
