"""Ids both sides may know a trade by, and the records of different blocks that quote one: edges between blocks."""

from matching.tables import key

# Records of one order id on different trade dates meet when their lines agree and the dates are this close: some
# sources start their ids again every day.
_DAYS_APART = 5

# Ids both sides may know a trade by, and what must agree besides when the trade dates differ.
_FIT = "line || '|' || cast(qty as varchar)"
_LINK_PARTS = (
    ("'x|' || uid", _FIT, "true"),
    ("'x|' || alloc_id", _FIT, "alloc_id is not null"),
    ("'x|' || cross_uid", _FIT, "cross_uid is not null"),
    ("'o|' || order_id", "line", "order_id is not null"),
    ("'c|' || client_order_id", "line", "client_order_id is not null"),
)


def _links(part: str) -> str:
    parts = "\nunion all\n".join(
        f"select record_id, leg, case when leg = 'L' then {key(link)} else -{key(link)} end, trade_date, {key(fit)},"
        f" {key('block')} from part where {known}"
        for link, fit, known in _LINK_PARTS
    )
    return f"insert into work_link\nwith part as (\n  {part}\n)\n{parts}"


PLAIN_LINKS = _links(
    "select record_id, leg, uid, trade_date, own_block as block, cross_uid, order_id, client_order_id, alloc_id, line,"
    " qty from work_plain"
)
LINKS = _links(
    "select v.record_id, v.leg, v.uid, v.trade_date, v.block, v.cross_uid, v.order_id, v.client_order_id, v.alloc_id,"
    " v.line, v.qty from work_version w join match_version v on v.record_id = w.record_id where not v.held"
)
KEEP_LINKS = "insert into match_link select n.* from work_link n"
# Who may know whom across blocks, by hashes: usually nobody, which the two narrowest columns tell.
ANY_NEAR = "work_link n join match_link o on o.met_key = -n.met_key where o.block_key <> n.block_key"
NEAR = """
insert into work_near
select distinct n.record_id, o.record_id from work_link n join match_link o on o.met_key = -n.met_key
where o.block_key <> n.block_key and (o.trade_date = n.trade_date or o.fit_key = n.fit_key)
"""


def _edges() -> str:
    """Records of two blocks that quote one id, by the ids themselves."""
    links = "\n  union all\n".join(
        f"  select record_id, leg, {link} as link, trade_date, {fit} as fit, block from part where {known}"
        for link, fit, known in _LINK_PARTS
    )
    return f"""
insert into match_edge
with part as (
  select v.* from match_version v
  where v.record_id in (select w.new_id from work_near w union select w.old_id from work_near w)
), link as (
{links}
)
select distinct case when n.leg = 'L' then n.record_id else o.record_id end,
  case when n.leg = 'L' then o.record_id else n.record_id end, case when n.leg = 'L' then n.block else o.block end,
  case when n.leg = 'L' then o.block else n.block end
from work_near w join link n on n.record_id = w.new_id join link o on o.record_id = w.old_id and o.link = n.link
where n.leg <> o.leg and o.block <> n.block
  and (o.trade_date = n.trade_date or (o.fit = n.fit and (n.link like 'x|%'
  or abs(datediff('day', n.trade_date, o.trade_date)) <= {_DAYS_APART})))
"""


EDGES = _edges()
