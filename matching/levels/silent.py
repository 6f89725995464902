"""Silent feeds (I06): nothing of a trade date by the slot that must bring it; what is missing there waits meanwhile.

A prime broker's file feed owes something for every trade date on which we traded with it, at its first slot after the
close. Until then nothing can be missing; after it the feed is one break, and its missing bookings stay expected until
it speaks, or until its next slot asks again.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from domain.ids import digest128
from matching.deadlines import BusinessDays, business_days
from matching.levels.port import FeedTerms, Run
from warehouse.sql import timestamp

# How long after its slot a file is late.
ALLOWANCE_SECONDS = 900
_CLOSE = time(16, 0)
_LOOK_DAYS = 12
_SECOND_NS = 1_000_000_000
_PREFIX = "I|f|"

_SIDES = """
select distinct e.pb_id as party, v.trade_date, v.leg
from match_version v join trade_event e on e.record_id = v.record_id
where e.pb_id is not null and v.record_id in (select w.record_id from work_version w)
"""
TOUCH_WAITING = """
insert into work_component
select distinct b.component from recon_break b join work_slot s on s.party = b.pb_id and s.trade_date = b.trade_date
where b.code = 'T01' and b.state = 'EXPECTED' and b.component not in (select c.component from work_component c)
"""
_MISSING = "select distinct f.pb as party, f.trade_date from work_finding f where f.code = 'T01' and f.pb is not null"
SILENT = """
select s.party, s.trade_date, s.component from work_slot s
where not exists (
  select 1 from match_version v join trade_event e on e.record_id = v.record_id
  where v.leg = 'R' and v.trade_date = s.trade_date and e.pb_id = s.party)
"""
FIND = """
insert into work_finding (break_id, level, pb, anchor, family, code, due_at, trade_date, right_value, rule_id, pass_id,
  group_key, component, severity)
select s.break_id, 'INGEST', s.party, s.component, 'feed', 'I06', s.due_at, s.trade_date,
  'nothing for ' || cast(s.trade_date as varchar), 'ingest', 'ingest', s.break_id, s.component, k.severity
from work_slot s join work_code k on k.code = 'I06'
where s.silent and s.component in (select c.component from work_component c) and exists (
  select 1 from match_version v join trade_event e on e.record_id = v.record_id
  where v.leg = 'L' and v.is_tip and v.status <> 'CANCEL' and not v.held and v.trade_date = s.trade_date
    and e.pb_id = s.party)
"""
FIND_MEMBERS = """
insert into work_member (record_id, leg, group_key, pass_id, code)
select v.record_id, 'L', s.break_id, 'ingest', 'I06'
from work_slot s join match_version v on v.trade_date = s.trade_date join trade_event e on e.record_id = v.record_id
where s.silent and v.leg = 'L' and v.is_tip and v.status <> 'CANCEL' and not v.held and e.pb_id = s.party
  and s.break_id in (select f.break_id from work_finding f)
"""
# An update by a list of keys is all that both dialects write alike.
WAIT = """
update work_finding set due_at = cast(:until as timestamp_ntz(9))
where code = 'T01' and pb = :party and trade_date = :day and due_at < cast(:until as timestamp_ntz(9))
"""


def touch(run: Run) -> None:
    """Feeds that new trades of ours ask something of, or that spoke; with these, what was waiting for them."""
    feeds = _with_slots(run)
    if not feeds:
        return
    rows = [row for row in run.warehouse.query(_SIDES).to_pylist() if row["party"] in feeds]
    if not rows:
        return
    pairs = {(row["party"], row["trade_date"]) for row in rows}
    known = set(run.warehouse.query("select component from work_component").column(0).to_pylist())
    names = sorted({_component(*pair) for pair in pairs} - known)
    run.warehouse.append("work_component", pa.table({"component": pa.array(names, pa.string())}))
    spoke = {(row["party"], row["trade_date"]) for row in rows if row["leg"] == "R"}
    if spoke:
        _fill(run, dict.fromkeys(spoke, 0), silent=set())
        run.warehouse.execute(TOUCH_WAITING)
        run.warehouse.execute("delete from work_slot")


def find(run: Run) -> None:
    """One break per silent feed and trade date, and its missing bookings put off."""
    feeds = _with_slots(run)
    if not feeds:
        return
    asked = run.warehouse.query(f"select component from work_component where component like '{_PREFIX}%'")
    pairs = {_pair(name) for name in asked.column(0).to_pylist()}
    pairs |= {(row["party"], row["trade_date"]) for row in run.warehouse.query(_MISSING).to_pylist()}
    pairs = {pair for pair in pairs if pair[0] in feeds}
    if not pairs:
        return
    days = business_days(run.warehouse)
    due = {pair: slot_due(feeds[pair[0]], days, pair[1]) for pair in pairs}
    _fill(run, due, silent=set())
    silent = {(row["party"], row["trade_date"]) for row in run.warehouse.query(SILENT).to_pylist()}
    run.warehouse.execute("delete from work_slot")
    _fill(run, due, silent)
    run.warehouse.execute(FIND)
    run.warehouse.execute(FIND_MEMBERS)
    for party, day in sorted(silent):
        until = due[party, day]
        if until <= run.as_of_ns:
            until = _next(feeds[party], days, run.as_of_ns)
        run.warehouse.execute(WAIT, {"until": timestamp(until), "party": party, "day": day})


def slot_due(feed: FeedTerms, days: BusinessDays, day: date) -> int:
    """When what a feed owes for a trade date is late (UTC ns): its first slot after the close, and the allowance."""
    return min(
        at for at, zone in _slots(feed, days, day) if at >= _ns(datetime.combine(day, _CLOSE, zone))
    ) + ALLOWANCE_SECONDS * _SECOND_NS  # fmt: skip


def _next(feed: FeedTerms, days: BusinessDays, after_ns: int) -> int:
    first = datetime.fromtimestamp(after_ns // _SECOND_NS, ZoneInfo("UTC")).date()
    wait = ALLOWANCE_SECONDS * _SECOND_NS
    return min(at + wait for at, _ in _slots(feed, days, first) if at + wait > after_ns)


def _slots(feed: FeedTerms, days: BusinessDays, first: date) -> Iterable[tuple[int, ZoneInfo]]:
    for step in range(_LOOK_DAYS):
        day = first + timedelta(days=step)
        if days.is_open(feed.calendar, day):
            for at, name in feed.slots:
                zone = ZoneInfo(name)
                yield _ns(datetime.combine(day, time.fromisoformat(at), zone)), zone


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * _SECOND_NS


def _with_slots(run: Run) -> Mapping[str, FeedTerms]:
    """Prime brokers whose trades come in files at slots alone; who also sends messages is never silent by a slot."""
    trading = [feed for feed in run.feeds if feed.role == "PB" and feed.contents == "trades"]
    live = {feed.party for feed in trading if not feed.slots}
    return {feed.party: feed for feed in trading if feed.slots and feed.party not in live}


def _fill(run: Run, due: Mapping[tuple[str, date], int], silent: set[tuple[str, date]]) -> None:
    pairs = sorted(due)
    names = [_component(*pair) for pair in pairs]
    run.warehouse.append(
        "work_slot",
        pa.table(
            {
                "party": [party for party, _ in pairs],
                "trade_date": pa.array([day for _, day in pairs], pa.date32()),
                "component": names,
                "break_id": [digest128("break", run.tenant, "INGEST", name, "feed") for name in names],
                "due_at": pa.array([due[pair] for pair in pairs], pa.int64()).cast(pa.timestamp("ns")),
                "silent": pa.array([pair in silent for pair in pairs], pa.bool_()),
            }
        ),
    )


def _component(party: str, day: date) -> str:
    return f"{_PREFIX}{party}|{day.isoformat()}"


def _pair(component: str) -> tuple[str, date]:
    party, _, day = component.removeprefix(_PREFIX).rpartition("|")
    return party, date.fromisoformat(day)
