-- new
insert into match_decided (decision_id, kind, record_id, side, decided_at, execution)
select d.decision_id, d.kind, d.record_id, d.side, d.decided_at, d.execution from match_decision d
where d.execution in (select x.execution from work_execution x)
  and not exists (select 1 from match_decided o where o.decision_id = d.decision_id);

-- roots
insert into work_family
select distinct v.root_id from match_version v join match_decided d on d.record_id = v.record_id
where d.decision_id in (
  select e.decision_id from match_decided e join match_version a on a.record_id = e.record_id
    join match_version b on b.root_id = a.root_id join match_decided n on n.record_id = b.record_id
  where n.execution in (select x.execution from work_execution x));

-- edges
insert into match_edge
with 
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
)
select l.record_id, r.record_id, a.block, b.block
from placed l join placed r on r.decision_id = l.decision_id and r.side = 'R' and l.side = 'L' and l.kind = 'FORCE'
  join active c on c.decision_id = l.decision_id
  join match_version a on a.record_id = l.record_id join match_version b on b.record_id = r.record_id
where a.block <> b.block and exists (
  select 1 from work_version w where w.record_id = l.record_id or w.record_id = r.record_id);

-- passes
insert into work_pass (pass_id, waits, confidence)
select n.pass_id, false, n.confidence
from (select 'forced' as pass_id, 1 as confidence union all select 'unmatched', 0) n
where not exists (select 1 from work_pass p where p.pass_id = n.pass_id);

-- together
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
with 
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
), chosen as (
  select distinct p.decision_id, i.record_id, i.leg, i.component, a.chains
  from placed p join active a on a.decision_id = p.decision_id
    join work_item i on i.root_id = p.root_id and i.live join (select x.record_id from work_l x union all select y.record_id from work_r y) f on f.record_id = i.record_id
  where p.kind = 'FORCE'
), whole as (
  select decision_id, min(case when leg = 'L' then record_id end) as group_key from chosen group by decision_id
  having count(*) = max(chains) and count(distinct component) = 1
    and count(case when leg = 'L' then 1 end) > 0 and count(case when leg = 'R' then 1 end) > 0
)
select c.record_id, c.leg, w.group_key, 'forced', null, null
from chosen c join whole w on w.decision_id = c.decision_id;

-- apart
insert into work_member (record_id, leg, group_key, pass_id, code, other_id)
with 
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
)
select distinct i.record_id, 'R', 'S|' || i.record_id, 'unmatched', 'T02', cast(null as varchar)
from placed p join active a on a.decision_id = p.decision_id
  join work_item i on i.root_id = p.root_id and i.live join work_r f on f.record_id = i.record_id
where p.kind = 'APART' and p.side = 'R';

