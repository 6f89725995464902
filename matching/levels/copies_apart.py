"""Executions and copies of one id that stand in different blocks: another instrument (T09) or trade date (T13)."""

from matching.levels.ingest_sql import SEEN
from matching.levels.port import Run

COPY = "e.source_role in ('EB', 'VENUE') and e.level = 'FILL' and e.status in ('NEW', 'CORRECT', 'CANCEL')"
BLOCK = "'E|' || cast(e.trade_date as varchar) || '|' || e.instrument_id"
_RUN = "(select x.execution from work_execution x)"
# Ids may be used again on another day; so far apart one id is one execution where all economics agree.
_DAYS_APART = 7

# Blocks that share an id with what is new, remembered: they are derived together from then on.
_IDS_OF_COPIES = f"""
  select e.trade_uid as uid, e.trade_date, {BLOCK} as component from trade_event e
  where {COPY} and e.execution in {{0}} and e.trade_uid is not null
  union
  select e.cross_uid, e.trade_date, {BLOCK} from trade_event e
  where {COPY} and e.execution in {{0}} and e.cross_uid is not null
"""
_IDS_OF_OURS = """
  select v.uid, v.trade_date, 'E|' || v.own_block as component from {0} v where v.leg = 'L' and v.level = 'FILL'
  union
  select v.cross_uid, v.trade_date, 'E|' || v.own_block from {0} v
  where v.leg = 'L' and v.level = 'FILL' and v.cross_uid is not null
"""


def _met(ours: str, theirs: str) -> str:
    return (
        f"select l.component as left_component, r.component as right_component from {ours} l"
        f" join {theirs} r on r.uid = l.uid and r.component <> l.component\n"
        f"  where datediff('day', l.trade_date, r.trade_date) between -{_DAYS_APART} and {_DAYS_APART}"
    )


LINK = f"""
insert into match_copy_block
with new_copy as ({_IDS_OF_COPIES.format(_RUN)}), new_own as ({_IDS_OF_OURS.format("work_version")}),
any_copy as ({_IDS_OF_COPIES.format(SEEN)}), any_own as ({_IDS_OF_OURS.format("match_version")}), found as (
  {_met("any_own", "new_copy")}
  union
  {_met("new_own", "any_copy")}
)
select f.left_component, f.right_component from found f
where not exists (
  select 1 from match_copy_block k
  where k.left_component = f.left_component and k.right_component = f.right_component)
"""
# What hangs together with a touched block; again until nothing is added.
TOUCH = """
insert into work_component
with met as (
  select k.right_component as component from match_copy_block k join work_component c on c.component = k.left_component
  union
  select k.left_component from match_copy_block k join work_component c on c.component = k.right_component
)
select m.component from met m where m.component not in (select c.component from work_component c)
"""
ANY = "select 1 as found from match_copy_block limit 1"

# One id and one execution in all but the instrument, or in all but the day.
PAIR = """
insert into work_copied
with c as (
  select distinct l.record_id as left_id, r.record_id as right_id, l.source, l.uid as left_uid, r.uid as right_uid,
    abs(datediff('day', l.trade_date, r.trade_date)) as apart
  from work_copy_id a join work_copy_id b on b.uid = a.uid and a.leg = 'L' and b.leg = 'R'
    join work_copy l on l.record_id = a.record_id
    join work_copy r on r.record_id = b.record_id and r.source = l.source and r.component <> l.component
  where l.live and r.live and l.direction = r.direction and l.qty = r.qty and l.ccy = r.ccy
    and abs(l.price - r.price) <= greatest(l.half_unit, r.half_unit)
    and (l.instrument = r.instrument or l.trade_date = r.trade_date)
    and {left} and {right}
)
select c.left_id, c.right_id, c.source, 'apart' from c
qualify row_number() over (partition by c.left_id, c.source order by c.apart, c.right_uid, c.right_id) = 1
  and row_number() over (partition by c.right_id order by c.apart, c.left_uid, c.left_id) = 1
"""


def touch(run: Run) -> None:
    """Remember new links between blocks, and touch what is linked with a touched one, to the last."""
    run.warehouse.execute(LINK)
    if run.warehouse.query(ANY).num_rows:
        while run.warehouse.execute(TOUCH):
            pass
