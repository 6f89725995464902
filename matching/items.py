"""The matchable records of the touched components, with the terms, ids and due time every pass compares."""

from matching.rules import RuleSet
from matching.tables import FREE_COLUMNS, alike
from matching.tolerance import literal, price_tolerance

# Wider values keep their exact columns and lose only the product: an average they enter is judged by its price band.
WIDEST_QTY = 10**10
WIDEST_PRICE = 10**8
WIDEST_MULTIPLIER = 10**4

# Money that is not in the net amount: futures are margined, a non-deliverable forward is fixed later.
_UNPAID = "('FUTURE', 'FX_NDF')"
# A pair told the other way round may keep the sign it had there: what is dealt decides.
NET = (
    "case when e.asset_class in ('FX_SPOT', 'FX_FWD', 'FX_SWAP', 'FX_NDF') then abs(e.net_money)"
    " * case when e.side in ('BUY', 'BUY_COVER') then -1 else 1 end else e.net_money end"
)
_PAYERS = "('BUY', 'SUBSCRIBE', 'BORROW')"


# MiscFeeType(139) by what a fee is for; TOTAL is all of them in one amount. The rest counts in the total alone.
_FEES = """select f.record_id, count(*) as lines,
    sum(case when f.fee_type = 'TOTAL' then 1 else 0 end) as totals, min(f.ccy) as ccy, max(f.ccy) as ccy_top,
    cast(sum(f.amount) as number(28, 6)) as amount,
    cast(sum(case when f.fee_type = '1' then f.amount else 0 end) as number(28, 6)) as regulatory,
    cast(sum(case when f.fee_type = '4' then f.amount else 0 end) as number(28, 6)) as exchange,
    cast(sum(case when f.fee_type in ('2', '5', '9') then f.amount else 0 end) as number(28, 6)) as tax
  from trade_fee f where f.record_id in (select {terms} from wanted v) group by f.record_id"""


def _costs() -> str:
    """Gross money and fees: as stated, else the product; fees in another currency than the trade's are unknown."""
    product_of_all = product("e.qty", "e.price", "coalesce(e.multiplier, 1)")
    return f"""case when e.gross_money is not null then abs(e.gross_money) when e.price_type <> 'PERCENT_PAR'
      or e.price_type is null then {product_of_all} end as gross,
    e.accrued_interest, coalesce(n.lines, 0) as fee_lines, coalesce(n.totals, 0) as fee_totals,
    case when n.lines is null then 0 when n.ccy = n.ccy_top and n.ccy <> e.trade_ccy then null else n.amount end
      as fees, coalesce(n.regulatory, 0) as fee_regulatory, coalesce(n.exchange, 0) as fee_exchange,
    coalesce(n.tax, 0) as fee_tax"""


def broker(rules: RuleSet) -> str:
    """The executing broker under its first name; case and blanks at the ends do not matter."""
    shown = "upper(trim(e.exec_broker_id))"
    cases = " ".join(
        f"when {shown} in ({', '.join(literal(alias.strip().upper()) for alias in aliases)})"
        f" then {literal(name.upper())}"
        for name, aliases in sorted(rules.broker_aliases.items())
        if aliases
    )
    return f"case {cases} else {shown} end" if cases else shown


# How long each side may take, by the prime broker that is waited for, and for those nobody names.
GRACE = """
grace as (
  select party, max(grace_seconds) as seconds from work_feed where role = 'PB' group by party
), longest as (
  select max(case when role = 'PB' then grace_seconds end) as pb_seconds,
    max(case when role = 'INTERNAL' then grace_seconds end) as internal_seconds
  from work_feed
)"""[1:]

_ALIVE = "v.is_tip and not v.held"
_ALONE = (
    "not exists (select 1 from match_duo d where d.left_id = v.record_id)"
    " and not exists (select 1 from match_duo d where d.right_id = v.record_id)"
)
_TOUCHED = "in (select c.component from work_component c)"
# Which records become items, and the component each is matched in.
_BLOCKS = (
    f"select v.*, b.component from match_block b join match_version v on v.block = b.block\n"
    f"  where {_ALIVE} and {_ALONE} and b.component {_TOUCHED}"
)
_DUOS = (
    "select v.*, b.component from (\n    select left_id as record_id, component from match_duo"
    " union all select right_id, component from match_duo\n  ) b join match_version v on v.record_id = b.record_id\n"
    f"  where b.component {_TOUCHED}"
)
_LAZY = "select v.*, b.component from work_lazy b join match_version v on v.record_id = b.record_id"
# Records of duos that a free record of a touched block may repeat: usually none, and then nothing wide is asked.
TWINS = (
    "insert into work_twin\n"
    "  select v.record_id, b.component from match_block b join match_version v on v.block = b.block\n"
    f"  where {_ALIVE} and not ({_ALONE}) and b.component {_TOUCHED} and exists (\n    select 1 from work_item f"
    " where f.leg = v.leg and f.live and f.component = b.component and f.qty = v.qty\n"
    "      and equal_null(f.account, v.account))"
)
_REFS = "select v.*, t.component from work_twin t join match_version v on v.record_id = t.record_id"
# Duos alone: each record is all of its chain, so what it says itself is all there is to know.
_LONE_DUOS = (
    "select d.left_id as record_id, 'L' as leg, substr(d.component, 3) as root_id, d.uid as root_uid,\n"
    "    d.left_at as came_at, d.component\n"
    f"  from match_duo d where d.component {_TOUCHED}\n  union all\n"
    "  select d.right_id, 'R', cast(null as varchar), cast(null as varchar), d.right_at, d.component\n"
    f"  from match_duo d where d.component {_TOUCHED}"
)
SOURCES = {"items": f"{_BLOCKS}\n  union all\n  {_DUOS}\n  union all\n  {_LAZY}", "duos": _LONE_DUOS, "refs": _REFS}
_OF_VERSION = {
    "alone": "v.alone", "live": "v.status <> 'CANCEL'", "terms": "v.terms_id", "event_at": "v.event_at",
    "recv_at": "v.recv_at", "uid": "v.root_uid",
}  # fmt: skip
_OF_RECORD = {
    "alone": "true", "live": "true", "terms": "v.record_id", "event_at": "e.event_time_utc",
    "recv_at": "e.recv_time_utc", "uid": "coalesce(v.root_uid, e.trade_uid, e.record_id)",
}  # fmt: skip
# Whether there are items that passes must look at.
ANY_BLOCK = f"match_block b where b.component {_TOUCHED}"


_KNOWN_AS = """known_as as (
  select leg, uid, trade_date, min(root_uid) as root_uid from match_version
  where uid <> root_uid and not held group by leg, uid, trade_date
)"""
# Our orders by either of their ids: what a broker quotes is one of them or none.
_ORDERED = """ordered as (
  select b.component, v.order_id, min(coalesce(v.client_order_id, v.order_id)) as ref
  from match_block b join match_version v on v.block = b.block and v.is_tip and not v.held and v.leg = 'L'
  where b.component in (select w.component from wanted w) and (v.order_id is not null or v.client_order_id is not null)
  group by b.component, v.order_id
)"""

_JOIN_KNOWN_AS = """
    left join known_as k on k.uid = e.cross_uid and k.leg <> v.leg and k.trade_date = e.trade_date"""
_JOIN_ORDERED = """
  left join ordered o on o.component = i.component and o.order_id = i.order_id
  left join (select distinct component, ref from ordered) c
    on c.component = i.component and c.ref = i.client_order_id"""


def compile_items(rules: RuleSet, source: str = "items") -> str:
    """Fill work_item (work_ref for `refs`) from a source; parameters `:only_pb` and `:default_grace` (seconds)."""
    table = "work_ref" if source == "refs" else "work_item"
    # From the account's view, + receive: a buyer pays price and accrued interest.
    principal = f"(i.gross + coalesce(i.accrued_interest, 0)) * case when i.direction in {_PAYERS} then -1 else 1 end"
    half_unit = price_tolerance(rules.tolerances.price, "i.price_scale", "i.trade_ccy")
    # No pass looks at duos: what they quote of orders and earlier versions is settled.
    looked_up = source != "duos"
    of = _OF_VERSION if looked_up else _OF_RECORD
    own = f"e.record_id = {of['terms']}"
    if not looked_up:
        own = f"e.recv_time_utc = v.came_at and {alike('e.record_id', of['terms'])}"
    known_as, ordered = (f"{_KNOWN_AS}, ", f", {_ORDERED}") if looked_up else ("", "")
    cross_uid = "coalesce(k.root_uid, e.cross_uid)" if looked_up else "e.cross_uid"
    order_ref = "case when i.leg = 'L' then i.client_order_id end"
    if looked_up:
        order_ref = "case when i.leg = 'L' then coalesce(i.client_order_id, o.ref) else coalesce(c.ref, o.ref) end"
    return f"""
insert into {table}
with {GRACE}, {known_as}wanted as (
  {SOURCES[source]}
), fee as (
  {_FEES.format(terms=of["terms"])}
), item as (
  select v.record_id, v.component, v.leg, {of["alone"]} as alone, e.feed, e.level, v.root_id, {of["live"]} as live,
    case when v.leg = 'L' and e.level = 'ALLOCATION' then coalesce(e.alloc_id, {of["uid"]}) else {of["uid"]} end as uid,
    {cross_uid} as cross_uid, e.order_id, e.client_order_id,
    case when v.leg = 'L' then coalesce(e.pb_id, cast(:only_pb as varchar))
      else coalesce(f.party, e.pb_id, e.source_id) end as pb,
    coalesce(e.account_id, e.account_raw) as account, e.instrument_id, e.symbol,
    case when e.side = 'SELL_SHORT_EXEMPT' then 'SELL_SHORT' else e.side end as side,
    case when e.side in ('BUY', 'BUY_COVER') then 'BUY'
      when e.side in ('SELL', 'SELL_SHORT', 'SELL_SHORT_EXEMPT') then 'SELL' else e.side end as direction,
    e.qty, e.price, e.price_scale, e.trade_date, e.settle_date, e.trade_ccy, coalesce(e.settle_ccy, e.trade_ccy)
      as settle_ccy, e.commission, {NET} as net_money,
    coalesce(e.multiplier, 1) as multiplier,
    abs(e.qty) < {WIDEST_QTY} as fits_qty, abs(e.qty) < {WIDEST_QTY} and abs(e.price) < {WIDEST_PRICE} as fits,
    {of["event_at"]} as event_at, e.event_time_precision, {of["recv_at"]} as recv_at, e.asset_class,
    {broker(rules)} as exec_broker, e.uti, e.coupon, e.fx_rate,
    {_costs()}
  from wanted v
    join trade_event e on {own}
    left join fee n on n.record_id = {of["terms"]}
    left join work_feed f on f.feed = e.feed{_JOIN_KNOWN_AS if looked_up else ""}
){ordered}
select i.record_id, i.component, i.leg, i.pb, i.feed, i.level, i.root_id, i.live, i.uid, i.cross_uid, i.order_id,
  i.client_order_id, {order_ref},
  i.account, i.instrument_id, i.symbol, i.side, i.direction, i.qty, i.price, {half_unit}, i.trade_date,
  i.settle_date, i.trade_ccy, i.settle_ccy, i.commission, i.net_money, i.multiplier,
  case when i.fits_qty then cast(i.qty as number(19, 8)) end,
  case when i.fits then cast(cast(i.qty as number(19, 8)) * cast(i.price as number(18, 8)) as number(38, 12)) end,
  i.event_at, i.event_time_precision, i.recv_at,
  dateadd('second', case when i.leg = 'L' then coalesce(g.seconds, n.pb_seconds, :default_grace)
    else coalesce(n.internal_seconds, :default_grace) end, i.recv_at),
  i.asset_class, i.exec_broker, i.uti, i.coupon, i.fx_rate, i.gross, i.accrued_interest, i.fees, i.fee_lines,
  i.fee_totals, i.fee_regulatory, i.fee_exchange, i.fee_tax,
  i.net_money + {_settled("coalesce(i.commission, 0) + i.fees")},
  case when i.asset_class in {_UNPAID} then 0 else {_settled(principal)} end, i.alone
from item i cross join longest n{_JOIN_ORDERED if looked_up else ""}
  left join grace g on i.leg = 'L' and g.party = i.pb
"""


def _fill(leg: str) -> str:
    """The free records of one side; records equal in all terms are numbered 1, 2, 3 (twins).

    `nr` numbers all of them by the sources' own ids, so that ties end the same way on every run.

    `whole`: a broker's only allocation of an order in an account, or of an order unknown to us, stands for all of it;
    `part`: an execution of ours that is one of several. The two are no pair.
    """
    names = ", ".join(FREE_COLUMNS)
    free = "\n  and not exists (select 1 from work_member m where m.record_id = work_item.record_id)"
    if leg == "L":
        free += "\n  and not exists (select 1 from work_order o where o.record_id = work_item.record_id and o.taken)"
    lone = "level = 'ALLOCATION'" if leg == "R" else "level = 'FILL'"
    return (
        f"insert into work_{leg.lower()} ({names}, nr, twin, {'whole' if leg == 'R' else 'part'})\n"
        f"select {names}, row_number() over (order by uid, record_id), row_number() over (\n"
        "  partition by component, pb, account, instrument, side, qty, price, trade_date, settle_date, ccy"
        f" order by uid, record_id),\n  {lone} and (\n  order_ref is not null and count(*) over (\n"
        f"    partition by component, pb, order_ref, account, instrument, side, trade_date)"
        f" {'= 1 or order_ref is null and client_order_id is not null' if leg == 'R' else '> 1'})"
        f"\nfrom work_item where leg = '{leg}' and live{free}"
    )


FREE_LEFT, FREE_RIGHT = _fill("L"), _fill("R")


def product(qty: str, price: str, multiplier: str) -> str:
    """`qty x price x multiplier` as number(28, 6), two factors at a time; NULL (unknown) where it would not fit."""
    units = f"cast(cast({qty} as number(19, 8)) * cast({multiplier} as number(9, 4)) as number(20, 6))"
    return (
        f"case when abs({qty}) < {WIDEST_QTY} and abs({price}) < {WIDEST_PRICE}"
        f" and abs({multiplier}) < {WIDEST_MULTIPLIER}"
        f" then cast(abs({units} * cast({price} as number(18, 8))) as number(28, 6)) end"
    )


def money_product(amount: str, multiplier: str) -> str:
    """`amount x multiplier` as number(28, 6); NULL where it would not fit."""
    return (
        f"case when abs({amount}) < {10**18} and abs({multiplier}) < {WIDEST_MULTIPLIER}"
        f" then cast(cast({amount} as number(24, 6)) * cast({multiplier} as number(9, 4)) as number(28, 6)) end"
    )


def _settled(amount: str) -> str:
    """`amount` of the trade currency in the settlement currency, where the record says at what rate."""
    converted = f"cast(cast({amount} as number(20, 6)) * cast(i.fx_rate as number(18, 8)) as number(28, 6))"
    return (
        f"case when i.fx_rate is null or i.settle_ccy = i.trade_ccy then cast({amount} as number(28, 6))"
        f" when abs({amount}) < {10**14} and abs(i.fx_rate) < {10**10} then {converted} end"
    )


def plain(value: str) -> str:
    """A decimal as text without the zeros its column adds: 5000.0000000000 reads 5000."""
    return f"rtrim(rtrim(cast({value} as varchar), '0'), '.')"


def digest(*parts: str) -> str:
    """`domain.ids.digest128` over SQL text expressions."""
    return f"left(sha2({' || chr(31) || '.join(parts)}, 256), 32)"
