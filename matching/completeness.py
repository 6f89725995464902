"""Completeness: every live trade is in exactly one group or one one-sided break; nothing falls through."""

from dataclasses import dataclass
from datetime import date

from warehouse.port import Warehouse

# A one-sided break has no group; the records it only refers to (the twin of a duplicate) are in groups of their own.
# Breaks of other levels (an affirmation, a position) name trades that have their place already.
_PLACES = """
with live as (
  select s.record_id, s.component from trade_state s{only} where s.is_live
), grouped as (
  select m.record_id, count(*) as n from match_member m group by m.record_id
), single as (
  select m.record_id, count(*) as n, min(b.state) as state
  from recon_break_member m join recon_break b on b.break_id = m.break_id
    join live l on l.record_id = m.record_id and l.component = b.component
  where b.group_id is null and b.state <> 'CURED'
    and not exists (select 1 from grouped g where g.record_id = m.record_id)
  group by m.record_id
), placed as (
  select l.record_id, coalesce(g.n, 0) as grouped, coalesce(s.n, 0) as single, s.state
  from live l left join grouped g on g.record_id = l.record_id left join single s on s.record_id = l.record_id
)
"""
_ONLY = " join trade_event e on e.record_id = s.record_id"

_COUNTS = """
select count(*) as live, sum(case when grouped > 0 then 1 else 0 end) as grouped,
  sum(case when single > 0 and state = 'OPEN' then 1 else 0 end) as broken,
  sum(case when single > 0 and state = 'EXPECTED' then 1 else 0 end) as expected
from placed
"""
_MISPLACED = """
select record_id from placed where grouped + single <> 1 order by record_id limit 1000
"""
_OFFENDERS = """
select record_id from placed where grouped + single <> 1
union
select m.record_id from match_member m where not exists (
  select 1 from trade_state t where t.record_id = m.record_id and t.is_live)
union
select v.record_id from match_version v where v.is_tip and not v.held and v.status <> 'CANCEL' and not exists (
  select 1 from trade_state t where t.record_id = v.record_id and t.is_live)
order by record_id limit 1000
"""

_UNMATCHED = """
select e.record_id from trade_event e
where e.source_role in ('INTERNAL', 'PB') and e.level in ('FILL', 'ALLOCATION')
  and e.status in ('NEW', 'CORRECT', 'CANCEL')
  and not (e.source_role = 'INTERNAL' and e.level = 'ALLOCATION')
  and not exists (select 1 from trade_state t where t.record_id = e.record_id)
{only}order by e.record_id limit 1000
"""


@dataclass(frozen=True, slots=True)
class Completeness:
    """`live = grouped + broken + expected`, the records that break it, and facts no run has seen.

    `offenders` and `unmatched` hold record ids, at most 1000 each.
    """

    live: int
    grouped: int
    broken: int
    expected: int
    offenders: tuple[str, ...]
    unmatched: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every live trade is accounted for exactly once and every fact has been matched."""
        return self.live == self.grouped + self.broken + self.expected and not self.offenders and not self.unmatched


def completeness(warehouse: Warehouse, feed: str | None = None, day: date | None = None) -> Completeness:
    """The numbers as committed now: of everything, or of one feed's trades and one trade date's."""
    params: dict[str, object] = {name: value for name, value in (("feed", feed), ("day", day)) if value is not None}
    terms = [text for name, text in (("feed", "e.feed = :feed"), ("day", "e.trade_date = :day")) if name in params]
    chosen = " and ".join(terms)
    places = _PLACES.format(only=f"{_ONLY} and {chosen}" if chosen else "")
    counts = warehouse.query(places + _COUNTS, params).to_pylist()[0]
    offenders = warehouse.query(places + (_MISPLACED if chosen else _OFFENDERS), params)
    unmatched = warehouse.query(_UNMATCHED.format(only=f"and {chosen} " if chosen else ""), params)
    return Completeness(
        live=int(counts["live"]),
        grouped=int(counts["grouped"] or 0),
        broken=int(counts["broken"] or 0),
        expected=int(counts["expected"] or 0),
        offenders=tuple(offenders.column(0).to_pylist()),
        unmatched=tuple(unmatched.column(0).to_pylist()),
    )
