"""Groups compared field by field, and the findings that follow: which break each difference is, and its exposure."""

from collections.abc import Callable, Mapping

from matching.conditions import render
from matching.items import digest, money_product, plain, product
from matching.rules import BreakRule, RuleSet
from matching.tables import SIDE_COLUMNS, SIDE_FIELDS
from matching.tolerance import by_currency, money_tolerance

_TERMS = ", ".join(f"min(i.{name}), max(i.{name})" for name in SIDE_FIELDS)

# Totals and terms of each side of each group. A total that one member does not state is unknown.
SIDES = f"""
insert into work_side
select m.group_key, m.leg, min(m.pass_id), min(i.component), {_TERMS}, count(*),
  sum(case when i.level = 'ALLOCATION' then 1 else 0 end), sum(i.qty),
  case when count(i.small_qty) = count(*) then sum(i.small_qty) end, min(i.price), max(i.price), max(i.half_unit),
  case when count(i.notional) = count(*) then sum(i.notional) end,
  case when count(i.commission) = count(*) then sum(abs(i.commission)) end,
  case when count(i.net) = count(*) then abs(sum(i.net)) end, min(i.pb), min(i.root_id),
  coalesce(min(i.client_order_id), min(i.order_id), 'day'), min(i.symbol), max(i.multiplier), max(i.due_at)
from work_member m join work_item i on i.record_id = m.record_id where m.code is null group by m.group_key, m.leg
"""


def compile_comparison(rules: RuleSet) -> str:
    """One row per group: both sides' totals and terms, their differences and the tolerances that apply."""
    legs = ", ".join(f"{leg}.{column}" for leg in ("l", "r") for column in SIDE_COLUMNS)
    # The side that shows fewer rows shows an average: its precision decides.
    unit = (
        "case when r.n < l.n then r.half_unit when r.n > l.n then l.half_unit"
        " else greatest(l.half_unit, r.half_unit) end"
    )
    averaged = "(l.n + r.n > 2 and l.qty = r.qty and l.notional is not null and r.notional is not null)"
    gap = "coalesce(abs(l.notional - r.notional), 0)"
    commission = money_tolerance(rules.tolerances.commission, "l.commission", "l.ccy")
    slack = f"{by_currency(rules.tolerances.commission.absolute, 'l.ccy')} * greatest(l.n, r.n)"
    net = money_tolerance(rules.tolerances.net, "l.net", "l.ccy")
    return f"""
insert into work_comparison
with named as (
  select m.group_key, {digest("'group'", "listagg(m.record_id, ',') within group (order by m.record_id)")} as group_id
  from work_member m where m.code is null group by m.group_key
)
select l.group_key, g.group_id, l.pass_id, l.component,
  case when l.n + r.n > 2 or r.blocks > 0 then 'BLOCK' else 'TRADE' end,
  case when l.n + r.n > 2 or r.blocks > 0 then 'block|' || r.pb || '|' || cast(l.trade_date as varchar) || '|'
    || l.order_key || '|' || l.account || '|' || l.instrument || '|' || l.direction else l.root_id end,
  {money_product("l.notional", "l.multiplier")}, abs(l.qty - r.qty),
  case when {averaged} then abs(l.notional - r.notional)
    else greatest(l.price - r.price_top, r.price - l.price_top, 0) end,
  case when {averaged} then {unit} * r.small_qty else {unit} end,
  case when l.commission is null and r.commission is null then 0 else abs(l.commission - r.commission) end,
  case when l.commission is null then 0 else greatest({commission}, {slack}) end,
  abs(l.net - r.net),
  {net} + coalesce({money_product(gap, "l.multiplier")}, 0) + coalesce(abs(l.commission - r.commission), 0),
  {legs}
from work_side l join work_side r on r.group_key = l.group_key and r.leg = 'R'
  join named g on g.group_key = l.group_key
where l.leg = 'L'
"""


def _value(family: str, leg: str) -> str:
    """What the analyst reads on one side of a difference."""
    if family in {"qty", "commission", "net"}:
        return plain(f"c.{leg}_{family}")
    if family == "existence":
        return f"c.{leg}_pb"
    as_text = plain if family == "price" else "cast({} as varchar)".format
    low, high = as_text(f"c.{leg}_{family}"), as_text(f"c.{leg}_{family}_top")
    return f"case when c.{leg}_{family} = c.{leg}_{family}_top then {low} else {low} || ' to ' || {high} end"


def _delta(family: str) -> str:
    """Theirs minus ours, where that is a number."""
    if family in {"commission", "net"}:
        return f"cast(c.r_{family} - c.l_{family} as number(28, 6))"
    if family == "qty":
        return f"case when c.d_qty < {10**20} then cast(c.r_qty - c.l_qty as number(28, 6)) end"
    if family == "price":
        return (
            "case when c.l_n + c.r_n > 2 then cast(c.r_notional - c.l_notional as number(28, 6))"
            " else cast(c.r_price - c.l_price as number(28, 6)) end"
        )
    return "cast(null as number(28, 6))"


def _exposure(rule: BreakRule) -> str:
    """Money that is wrong or will not settle because of the difference, in the trade currency."""
    if rule.family == "qty":
        return product("c.d_qty", "c.l_price", "c.l_multiplier")
    if rule.family == "price":
        return (
            "case when c.l_n + c.r_n > 2 and c.d_qty = 0"
            f" then {money_product('abs(c.l_notional - c.r_notional)', 'c.l_multiplier')}"
            f" else {product('c.l_qty', 'c.d_price', 'c.l_multiplier')} end"
        )
    if rule.family in {"commission", "net"}:
        return f"cast(c.d_{rule.family} as number(28, 6))"
    # A reversed side leaves the position wrong by twice the quantity.
    return "c.amount * 2" if rule.code == "T07" else "c.amount"


def compile_hits(rules: RuleSet) -> str:
    """Which rules hold for which group, nothing else: most groups have none."""
    branches = "\nunion all\n".join(
        f"select c.group_key, '{rule.id}', '{rule.family}', {rank} from work_comparison c"
        f" where {render(rule.when, 'c')}"
        for rank, rule in enumerate(rules.breaks)
    )
    return f"insert into work_hit (group_key, rule_id, family, rank)\n{branches}"


def compile_findings(rules: RuleSet) -> Mapping[str, str]:
    """For each family the statement that turns its hits into findings; the first rule that holds wins."""
    families = dict.fromkeys(rule.family for rule in rules.breaks)
    return {family: _findings(family, [r for r in rules.breaks if r.family == family]) for family in families}


def _findings(family: str, rules: list[BreakRule]) -> str:
    def chosen(expression: Callable[[BreakRule], str]) -> str:
        """`expression` of the rule that hit; where all rules share it, just that."""
        names: dict[str, list[str]] = {}
        for rule in rules:
            names.setdefault(expression(rule), []).append(f"'{rule.id}'")
        if len(names) == 1:
            return next(iter(names))
        branches = " ".join(f"when h.rule_id in ({', '.join(ids)}) then {sql}" for sql, ids in names.items())
        return f"case {branches} end"

    anchor = "case when n.ordinal = 1 then n.anchor else n.anchor || '#' || n.ordinal end"
    return f"""
insert into work_finding
with n as (
  select c.group_key, h.rule_id, {chosen(lambda rule: f"'{rule.code}'")} as code, {chosen(_exposure)} as exposure,
    row_number() over (partition by c.level, c.anchor order by h.group_key) as ordinal, c.level, c.anchor
  from work_hit h join work_comparison c on c.group_key = h.group_key
  where h.family = '{family}' and not exists (
    select 1 from work_hit b where b.group_key = h.group_key and b.family = h.family and b.rank < h.rank)
)
select {digest("'break'", ":tenant", "n.level", anchor, f"'{family}'")}, n.level, c.r_pb, {anchor}, '{family}', n.code,
  case when p.waits then case when c.l_due_at > c.r_due_at then c.l_due_at else c.r_due_at end end, c.l_instrument,
  coalesce(c.l_symbol, c.r_symbol), c.l_account, c.l_side, c.l_trade_date, coalesce(c.l_settle_date, c.r_settle_date),
  c.l_ccy, n.exposure, {_value(family, "l")}, {_value(family, "r")}, {_delta(family)}, n.rule_id, c.pass_id, c.group_id,
  c.group_key, c.component, c.l_qty, c.l_price, k.severity,
  cast(null as varchar)
from n join work_comparison c on c.group_key = n.group_key join work_pass p on p.pass_id = c.pass_id
  join work_code k on k.code = n.code
"""


def _single() -> str:
    terms = f"{plain('i.qty')} || ' @ ' || {plain('i.price')}"
    other = f"{plain('o.qty')} || ' @ ' || {plain('o.price')}"
    anchor = "case when m.code = 'T22' and m.leg = 'R' then o.root_id else i.root_id end"
    level = "case when i.level = 'ALLOCATION' then 'BLOCK' else 'TRADE' end"
    return f"""
insert into work_finding
with t as (
  select m.code, m.leg, m.pass_id, m.group_key, {anchor} as anchor,
    case when m.code = 'T22' and m.leg = 'R' then 'TRADE' else {level} end as level,
    case when m.code = 'T22' and o.due_at > i.due_at then o.due_at else i.due_at end as due_at, i.pb, i.instrument,
    i.symbol, i.account, i.side, i.trade_date, i.settle_date, i.ccy, i.component, i.qty, i.price,
    {product("i.qty", "i.price", "i.multiplier")} as exposure, {terms} as own_value,
    case when m.code = 'T22' then 'cancelled' when m.code in ('T03', 'T04') then {other} end as other_value
  from work_member m join work_item i on i.record_id = m.record_id left join work_item o on o.record_id = m.other_id
  where m.code is not null
)
select {digest("'break'", ":tenant", "s.level", "s.anchor", "'existence'")}, s.level, s.pb, s.anchor, 'existence',
  s.code, s.due_at, s.instrument, s.symbol, s.account, s.side, s.trade_date, s.settle_date, s.ccy, s.exposure,
  case when s.leg = 'L' then s.own_value else s.other_value end,
  case when s.leg = 'R' then s.own_value else s.other_value end,
  case when abs(s.qty) < {10**20} then cast(case when s.leg = 'L' then -s.qty else s.qty end as number(28, 6)) end,
  s.pass_id, s.pass_id, cast(null as varchar), s.group_key, s.component, s.qty, s.price, k.severity,
  cast(null as varchar)
from t s join work_code k on k.code = s.code
"""


SINGLES = _single()
