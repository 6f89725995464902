"""Late books (I06): positions, cash or settlement of a day that were not there when their slot had passed.

A feed of books with slots owes a file for every day on which there was something to tell: trades of ours with its
broker (for our books, any of ours), or the same books of that day from the other side. It is late at its first slot
after that day's close, and told once it says anything of that day or a later one.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pyarrow as pa

from domain.ids import digest128
from matching.deadlines import business_days
from matching.levels.books import told
from matching.levels.port import FeedTerms, Run
from matching.levels.silent import slot_due

PREFIX = "I|b|"
BOOKS = ("positions", "cash", "settlement")
_CLOSE = time(16, 0)
_SECOND_NS = 1_000_000_000

# What the run brings: days traded by broker, days told by feed; what settled says of no day in particular.
NEWS = """
select distinct e.pb_id as party, cast(null as varchar) as feed, v.trade_date as day
from work_version w join match_version v on v.record_id = w.record_id join trade_event e on e.record_id = w.record_id
union
select null, p.feed, p.as_of_date from position_snapshot p
where p.execution in (select x.execution from work_execution x)
union
select null, c.feed, c.value_date from cash_entry c
where c.entry_type = 'BALANCE' and c.execution in (select x.execution from work_execution x)
union
select null, c.feed, null from cash_entry c where c.execution in (select x.execution from work_execution x)
union
select null, s.feed, null from settlement_status s where s.execution in (select x.execution from work_execution x)
"""
STANDING = """
select distinct b.component from recon_break b where b.code = 'I06' and b.state <> 'CURED' and b.component like 'I|b|%'
"""
ASKED = f"select component from work_component where component like '{PREFIX}%'"
_POSITIONS, _CASH, _SETTLED = (told(name) for name in ("position_snapshot", "cash_entry", "settlement_status"))
# Joins, as a correlated subquery with ranges is refused by some warehouses.
_OWED = f"""
select l.component from work_late l join match_version v on v.trade_date = l.day
  join trade_event e on e.record_id = v.record_id
where v.leg = 'L' and v.is_tip and v.status <> 'CANCEL' and not v.held and (l.role = 'INTERNAL' or e.pb_id = l.party)
union
select l.component from work_late l join {_POSITIONS} p on p.as_of_date = l.day
where l.contents = 'positions' and p.source_role <> l.role and (l.role = 'INTERNAL' or p.pb_id = l.party)
union
select l.component from work_late l join {_CASH} c on c.value_date = l.day and c.entry_type = 'BALANCE'
where l.contents = 'cash' and c.source_role <> l.role and (l.role = 'INTERNAL' or c.pb_id = l.party)
"""
# A cash feed that never tells a balance tells of no day: then anything that came after the close does.
_TOLD = f"""
select l.component from work_late l join {_POSITIONS} p on p.feed = l.feed and p.as_of_date >= l.day
union
select l.component from work_late l join {_CASH} c on c.feed = l.feed
where (c.entry_type = 'BALANCE' and c.value_date >= l.day)
  or (c.recv_time_utc >= l.since and c.feed not in (select b.feed from cash_entry b where b.entry_type = 'BALANCE'))
union
select l.component from work_late l join {_SETTLED} s on s.feed = l.feed and s.recv_time_utc >= l.since
"""
FIND = f"""
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, trade_date, left_value, right_value,
  rule_id, pass_id, group_key, component, severity)
with owed as ({_OWED.strip()}), spoke as ({_TOLD.strip()})
select l.break_id, 'INGEST', case when l.role = 'PB' then l.party end, l.component, 'feed', 'I06', l.due_at, l.day,
  case when l.role = 'INTERNAL' then l.shown end, case when l.role <> 'INTERNAL' then l.shown end, 'ingest', 'ingest',
  l.break_id, l.component, k.severity
from work_late l join work_code k on k.code = 'I06'
where l.component in (select o.component from owed o) and l.component not in (select s.component from spoke s)
"""


def touch(run: Run) -> None:
    """Days of which something came that a feed of books must tell too, and what stands against a feed that spoke."""
    feeds = _feeds(run)
    if not feeds:
        return
    names: set[str] = set()
    spoke: set[str] = set()
    contents = {feed.feed: feed.contents for feed in run.feeds}
    for row in run.warehouse.query(NEWS).to_pylist():
        if row["feed"] is not None:
            spoke.add(row["feed"])
        if row["day"] is not None:
            names |= {_component(feed, row["day"]) for feed in feeds.values() if _asks(feed, row, contents)}
    if spoke & feeds.keys():
        standing: list[str] = run.warehouse.query(STANDING).column(0).to_pylist()
        names |= {name for name in standing if _pair(name)[0] in spoke}
    if names:
        known = set(run.warehouse.query(ASKED).column(0).to_pylist())
        fresh = sorted(names - known)
        run.warehouse.append("work_component", pa.table({"component": pa.array(fresh, pa.string())}))


def find(run: Run) -> None:
    """One break per feed and day that is owed and not told; it opens when the slot has passed."""
    feeds = _feeds(run)
    if not feeds or not run.touched(PREFIX):
        return
    pairs = [_pair(name) for name in run.warehouse.query(ASKED).column(0).to_pylist()]
    _fill(run, feeds, sorted(pair for pair in pairs if pair[0] in feeds))
    run.warehouse.execute(FIND)


def _feeds(run: Run) -> Mapping[str, FeedTerms]:
    """Feeds of books that are due at slots."""
    return {
        feed.feed: feed
        for feed in run.feeds
        if feed.contents in BOOKS and feed.slots and feed.role in ("PB", "INTERNAL")
    }


def _asks(feed: FeedTerms, row: Mapping[str, object], contents: Mapping[str, str]) -> bool:
    """Whether news of a day may be that the feed owes it: trades, or the same kind of books, its own among them."""
    if row["feed"] is None:
        return feed.role == "INTERNAL" or feed.party == row["party"]
    return contents.get(str(row["feed"])) == feed.contents


def _fill(run: Run, feeds: Mapping[str, FeedTerms], pairs: Iterable[tuple[str, date]]) -> None:
    days = business_days(run.warehouse)
    rows = [(feeds[name], day, _component(feeds[name], day)) for name, day in pairs]
    run.warehouse.append(
        "work_late",
        pa.table(
            {
                **{
                    column: pa.array([getattr(feed, column) for feed, _, _ in rows], pa.string())
                    for column in ("feed", "contents", "role", "party")
                },
                "day": pa.array([day for _, day, _ in rows], pa.date32()),
                "component": pa.array([name for _, _, name in rows], pa.string()),
                "break_id": pa.array(
                    [digest128("break", run.tenant, "INGEST", name, "feed") for _, _, name in rows], pa.string()
                ),
                "shown": pa.array([f"no {feed.contents} of {day} ({feed.feed})" for feed, day, _ in rows], pa.string()),
                "due_at": _moments([slot_due(feed, days, day) for feed, day, _ in rows]),
                "since": _moments([_closed(feed, day) for feed, day, _ in rows]),
            }
        ),
    )


def _moments(values: list[int]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.timestamp("ns"))


def _closed(feed: FeedTerms, day: date) -> int:
    """The close of the day where the feed's first slot is (UTC ns): what came before cannot tell of it."""
    return int(datetime.combine(day, _CLOSE, ZoneInfo(feed.slots[0][1])).timestamp()) * _SECOND_NS


def _component(feed: FeedTerms, day: date) -> str:
    return f"{PREFIX}{feed.feed}|{day.isoformat()}"


def _pair(component: str) -> tuple[str, date]:
    feed, _, day = component.removeprefix(PREFIX).rpartition("|")
    return feed, date.fromisoformat(day)
