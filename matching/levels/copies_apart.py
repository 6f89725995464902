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
  union all
  select e.cross_uid, e.trade_date, {BLOCK} from trade_event e
  where {COPY} and e.execution in {{0}} and e.cross_uid is not null
"""
_IDS_OF_OURS = """
  select v.uid, v.trade_date, 'E|' || v.own_block as component from {0} v where v.leg = 'L' and v.level = 'FILL'
  union all
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


def touch(run: Run) -> None:
    """Remember new links between blocks, and touch what is linked with a touched one, to the last."""
    run.warehouse.execute(LINK)
    while run.warehouse.execute(TOUCH):
        pass
