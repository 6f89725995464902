"""SQL of the ingest level: what could not be read, proved nothing, named strangers, or never came (I01 to I07)."""

from dataclasses import dataclass

from matching.items import digest
from matching.levels import strange_books

# So many messages of one feed and day are told one by one; more are one break that names them all.
TOLD_ONE_BY_ONE = 200
NOW = "cast(:as_of as timestamp_ntz(9))"
GAP_SECONDS = 60
_RUN = "(select x.execution from work_execution x)"
# What a run may know of: a replay finds the facts of later runs in the tables already.
SEEN = (
    "(select x.execution from execution_log x where x.seq <= (select max(y.seq) from execution_log y"
    f" where y.execution in {_RUN}))"
)
_NEW = "select c.component from work_component c"
_FINDING = (
    "break_id, level, pb, anchor, family, code, due_at, instrument, symbol, account, side, trade_date, settle_date,"
    " ccy, exposure, left_value, right_value, rule_id, pass_id, group_key, component, qty, price, severity"
)
_NO_TEXT, _NO_TIME = "cast(null as varchar)", "cast(null as timestamp_ntz(9))"

# Flags on trades, looked for once when the trade comes; `_` stands for any letter in a pattern.
_WRONG = "(e.flags like '%I02_CHECKSUM%' or e.flags like '%I02_LENGTH%')"
NEW_MARKS = f"""
insert into match_mark (record_id, code, component, feed, leg, execution)
with flagged as (
  select e.record_id, e.feed, case when e.source_role = 'INTERNAL' then 'L' else 'R' end as leg, e.execution,
    e.trade_date, e.instrument_id, coalesce(e.account_raw, e.account_id) as account, coalesce(f.party, e.feed) as party,
    {_WRONG} as wrong, e.flags like '%I03_%' as unnamed, e.flags like '%I04_%' as unmapped
  from trade_event e left join work_feed f on f.feed = e.feed
  where e.execution in {_RUN} and ({_WRONG} or e.flags like '%I03_%' or e.flags like '%I04_%')
    and not exists (select 1 from match_mark m where m.record_id = e.record_id)
)
select record_id, 'I02', 'I|w|' || feed || '|' || cast(trade_date as varchar), feed, leg, execution
from flagged where wrong
union all
select record_id, 'I03', 'I|n|' || instrument_id, feed, leg, execution from flagged where unnamed
union all
select record_id, 'I04', 'I|a|' || party || '|' || account, feed, leg, execution from flagged where unmapped
"""
# A mark of a trade that has a newer version now may be history.
TOUCH_MARKS = f"""
insert into work_component
select m.component from match_mark m where m.execution in {_RUN} and m.component not in ({_NEW})
union
select m.component from match_mark m join work_version w on w.record_id = m.record_id
where m.component not in ({_NEW})
"""

_HELD_DAY = "'I|q|' || q.feed || '|' || cast(cast(q.recv_ts as date) as varchar) || '|' || q.code"
TOUCH_QUARANTINE = f"""
insert into work_component
select distinct {_HELD_DAY} from quarantine q
where q.execution in {_RUN} or q.quarantine_id in (
  select r.quarantine_id from quarantine_retry r where r.execution in {_RUN})
"""
_GAP = "'I|g|' || g.record_id"
TOUCH_FILLED = f"""
insert into work_component
select distinct 'I|g|' || h.gap_id from session_state h
where h.kind = 'FILLED' and h.execution in {_RUN} and 'I|g|' || h.gap_id not in ({_NEW})
"""
TOUCH_GAPS = f"insert into work_component select {_GAP} from sequence_gap g where g.execution in {_RUN}"


@dataclass(frozen=True, slots=True)
class Told:
    """What is told alike: a query of items with their terms, the field it is about, and how many one by one."""

    family: str
    items: str
    one_by_one: int

    def statements(self) -> tuple[str, str]:
        """The findings and their members."""
        single, whole = _key("t.anchor", self.family), _key("t.component", self.family)
        told = f"""with ranked as (
  select i.*, row_number() over (partition by i.component, i.anchor order by i.item) as place from ({self.items}) i
), t as (
  select r.*, sum(case when r.place = 1 then 1 else 0 end) over (partition by r.component) as n from ranked r
)"""
        findings = f"""
insert into work_finding ({_FINDING})
{told}
select {single}, 'INGEST', t.pb, t.anchor, '{self.family}', t.code, t.due_at, t.instrument, t.symbol, t.account, t.side,
  t.trade_date, t.settle_date, t.ccy, t.exposure, case when t.leg = 'L' then t.shown end,
  case when t.leg = 'R' then t.shown end, 'ingest', 'ingest', {single}, t.component, t.qty, t.price, k.severity
from t join work_code k on k.code = t.code where t.n <= {self.one_by_one} and t.place = 1
union all
select {whole}, 'INGEST', case when min(t.pb) = max(t.pb) then min(t.pb) end, t.component, '{self.family}', min(t.code),
  max(t.due_at), min(t.instrument), min(t.symbol), case when min(t.account) = max(t.account) then min(t.account) end,
  {_NO_TEXT}, min(t.trade_date), cast(null as date), {_NO_TEXT}, cast(null as number(28, 6)),
  case when min(t.leg) = 'L' then min(t.summary) end, case when max(t.leg) = 'R' then min(t.summary) end,
  'ingest', 'ingest', {whole}, t.component, cast(null as number(38, 10)), cast(null as number(28, 12)),
  max(k.severity)
from t join work_code k on k.code = t.code where t.n > {self.one_by_one} group by t.component
"""
        members = f"""
insert into work_member (record_id, leg, group_key, pass_id, code)
{told}
select t.item, t.leg, case when t.n <= {self.one_by_one} then {single} else {whole} end, 'ingest', t.code from t
"""
        return findings, members


def _key(anchor: str, family: str) -> str:
    return digest("'break'", ":tenant", "'INGEST'", anchor, f"'{family}'")


_PB = "case when f.role = 'PB' then f.party end as pb"


_CURRENT = "not exists (select 1 from match_version o where o.record_id = m.record_id and not o.is_tip)"


def _marked(code: str, anchor: str, shown: str, summary: str) -> str:
    # Who a trade named before it was corrected is no question any more; that a message was damaged remains so.
    only = "" if code == "I02" else f" and {_CURRENT}"
    return f"""
    select m.record_id as item, {anchor} as anchor, m.component, m.leg, m.code, {_PB}, {_NO_TIME} as due_at,
      e.instrument_id as instrument, e.symbol, coalesce(e.account_id, e.account_raw) as account, e.side, e.trade_date,
      e.settle_date, e.trade_ccy as ccy, cast(null as number(28, 6)) as exposure, {shown} as shown,
      {summary} as summary, e.qty, e.price
    from match_mark m join trade_event e on e.record_id = m.record_id left join work_source f on f.feed = m.feed
    where m.code = '{code}' and m.component in ({_NEW}){only}"""


_NOTHING_TRADED = (
    f"{_NO_TEXT} as instrument, {_NO_TEXT} as symbol, {_NO_TEXT} as account, {_NO_TEXT} as side, {{day}} as trade_date,"
    f" cast(null as date) as settle_date, {_NO_TEXT} as ccy, cast(null as number(28, 6)) as exposure"
)
_UNTRADED = "cast(null as number(38, 10)) as qty, cast(null as number(28, 12)) as price"
_LEG = "case when f.role = 'INTERNAL' then 'L' else 'R' end as leg"

# The same bytes again are the same break. Reference files of the settings are no feeds, and ours.
_OURS = "f.role = 'INTERNAL' or q.feed like 'reference:%'"
_QUARANTINED = f"""
    select q.quarantine_id as item, case when q.code in ('I06', 'I07') or m.sha256 is null then q.quarantine_id
        else q.feed || '|' || m.sha256 end as anchor, {_HELD_DAY} as component,
      case when {_OURS} then 'L' else 'R' end as leg, q.code, {_PB},
      {_NO_TIME} as due_at, {_NOTHING_TRADED.format(day="cast(q.recv_ts as date)")}, q.detail as shown,
      cast(count(*) over (partition by {_HELD_DAY}) as varchar) || ' messages of ' || q.feed as summary, {_UNTRADED}
    from quarantine q left join work_source f on f.feed = q.feed
      left join raw_message m on m.message_id = q.message_id
    where {_HELD_DAY} in ({_NEW}) and q.code <> 'I02' and q.execution in {SEEN} and not exists (
      select 1 from quarantine_retry r
      where r.quarantine_id = q.quarantine_id and r.healed and r.execution in {SEEN})"""

_LOST = f"""
    select g.record_id as item, g.record_id as anchor, {_GAP} as component, {_LEG}, 'I05' as code, {_PB},
      dateadd('second', {GAP_SECONDS}, g.seen_at) as due_at, {_NOTHING_TRADED.format(day="cast(g.seen_at as date)")},
      g.feed || ' lacks ' || cast(g.gap_last - g.gap_first + 1 as varchar) || ' messages, '
        || cast(g.gap_first as varchar) || ' to ' || cast(g.gap_last as varchar) as shown,
      {_NO_TEXT} as summary, {_UNTRADED}
    from sequence_gap g left join work_source f on f.feed = g.feed
    where {_GAP} in ({_NEW}) and g.execution in {SEEN} and not exists (
      select 1 from session_state h where h.gap_id = g.record_id and h.kind = 'FILLED' and h.execution in {SEEN})"""

_HOW_MANY = "cast(count(*) over (partition by m.component) as varchar)"
_WRONG_PART = (
    "case when e.flags like '%I02_LENGTH%' then 'BodyLength(9)' else 'CheckSum(10)' end || ' of ' || e.trade_uid"
)
INTEGRITY = Told(
    "integrity", _marked("I02", "e.message_id", _WRONG_PART, f"{_HOW_MANY} || ' messages'"), TOLD_ONE_BY_ONE
)
STRANGE_INSTRUMENT = Told("instrument", _marked("I03", "m.record_id", "e.instrument_id", "e.instrument_id"), 0)
_STRANGE_ACCOUNT = _marked("I04", "m.record_id", "e.account_raw", "coalesce(e.account_raw, e.account_id)")
STRANGE_ACCOUNT = Told("account", _STRANGE_ACCOUNT, 0)
STRANGE_BOOKS = Told("account", f"{_STRANGE_ACCOUNT}\n    union all{strange_books.ITEMS}", 0)
QUARANTINED = Told("message", _QUARANTINED, TOLD_ONE_BY_ONE)
LOST = Told("sequence", _LOST, 1)
