"""Groups compared field by field: both sides' totals and terms, their differences and the tolerances that apply."""

from matching.items import WIDEST_MULTIPLIER, digest, money_product
from matching.profiles import MoneyTolerance
from matching.rules import RuleSet
from matching.tables import MEASURED, SIDE_COLUMNS, SIDE_FIELDS
from matching.tolerance import by_currency, chosen_profile, judged, money_tolerance, unpopulated

_TERMS = ", ".join(f"min(i.{name}), max(i.{name})" for name in SIDE_FIELDS)
# How far the product of a rate and its inverse may be from one.
_INVERSE = "0.001"
_WIDEST_RATE = 10**6


def _total(name: str, summed: str | None = None) -> str:
    """A total that one member does not state is unknown."""
    return f"case when count(i.{name}) = count(*) then {summed or f'sum(i.{name})'} end"


# Totals and terms of each side of each group.
SIDES = f"""
insert into work_side
select m.group_key, m.leg, min(m.pass_id), min(i.component), {_TERMS}, count(*),
  sum(case when i.level = 'ALLOCATION' then 1 else 0 end), sum(i.qty), {_total("small_qty")}, min(i.price),
  max(i.price), max(i.half_unit), {_total("notional")}, {_total("commission", "sum(abs(i.commission))")},
  {_total("net", "abs(sum(i.net))")}, min(i.pb), min(i.root_id),
  coalesce(min(i.client_order_id), min(i.order_id), 'day'), min(i.symbol), max(i.due_at),
  min(i.asset), {_total("gross")}, sum(i.accrued), {_total("fees")}, sum(i.fee_lines), sum(i.fee_totals),
  sum(i.fee_regulatory), sum(i.fee_exchange), sum(i.fee_tax), {_total("paid")}, {_total("principal")}
from work_member m join work_item i on i.record_id = m.record_id where m.code is null group by m.group_key, m.leg
"""

# The side that shows fewer rows shows an average of several prices: its precision decides. Where the others all show
# one price, that was rounded as well.
_UNIT = (
    "case when r.n < l.n and l.price <> l.price_top then r.half_unit"
    " when r.n > l.n and r.price <> r.price_top then l.half_unit else greatest(l.half_unit, r.half_unit) end"
)
_AVERAGED = "(l.n + r.n > 2 and l.qty = r.qty and l.notional is not null and r.notional is not null)"


def _fees_apart() -> str:
    """Line by line where both split their fees, else in total.

    Who names no fee at all may still have paid it: then what the net amount lacks is the other's total.
    """
    other = "(l.fees - l.fee_regulatory - l.fee_exchange - l.fee_tax)"
    theirs = other.replace("l.", "r.")
    lines = ", ".join(f"abs(l.fee_{name} - r.fee_{name})" for name in ("regulatory", "exchange", "tax"))
    split = "l.fee_lines > 0 and r.fee_lines > 0 and l.fee_totals = 0 and r.fee_totals = 0"
    unsaid = "{0}.fee_lines = 0 and ({0}.paid is null or abs({0}.principal - {0}.paid - {1}.fees) <= {2})"
    slack = "0.01 * greatest(l.n, r.n)"
    return (
        "case when l.fees is null or r.fees is null then null"
        f" when {unsaid.format('r', 'l', slack)} then 0"
        f" when {unsaid.format('l', 'r', slack)} then 0"
        f" when {split} then greatest({lines}, abs({other} - {theirs}), abs(l.fees - r.fees))"
        " else abs(l.fees - r.fees) end"
    )


def _rate_apart() -> str:
    """Rates differ unless one is the other's inverse and the money agrees all the same."""
    product = "cast(l.fx_rate as number(19, 8)) * cast(r.fx_rate as number(18, 8))"
    inverse = (
        f"case when abs(l.fx_rate) < {_WIDEST_RATE} and abs(r.fx_rate) < {_WIDEST_RATE} then abs({product} - 1) end"
    )
    return (
        "case when l.fx_rate is null or r.fx_rate is null or l.settle_ccy <> r.settle_ccy then 0"
        f" when l.net = r.net and {inverse} <= {_INVERSE} then 0"
        " else greatest(l.fx_rate - r.fx_rate_top, r.fx_rate - l.fx_rate_top, 0) end"
    )


def _scaled() -> str:
    """1 where quantity or price is exactly the contract size times the other's: units told as contracts.

    2 where the money is, though quantity and price agree: one side counted with another size than it shows.
    """

    def times(size: str, one: str, other: str) -> str:
        return (
            f"case when {size} > 1 and {size} < {WIDEST_MULTIPLIER} and abs({one}) < {10**8}"
            f" then cast({one} as number(19, 8)) * cast({size} as number(9, 4)) end = {other}"
        )

    sizes = ("l.multiplier", "r.multiplier")
    told = [
        times(size, one, other)
        for size in sizes
        for name in ("qty", "price")
        for one, other in ((f"l.{name}", f"r.{name}"), (f"r.{name}", f"l.{name}"))
    ]
    money = " or ".join(
        f"case when abs({one}) < {10**16}"
        f" then abs(cast({one} as number(22, 6)) * cast({size} as number(9, 4)) - {other}) end <= 0.005 * {size}"
        for size in sizes
        for one, other in (("l.gross", "r.gross"), ("r.gross", "l.gross"))
    )
    return (
        f"case when l.multiplier = 1 and r.multiplier = 1 or l.multiplier >= {WIDEST_MULTIPLIER}"
        f" or r.multiplier >= {WIDEST_MULTIPLIER} then 0 when {' or '.join(told)} then 1"
        f" when l.gross <> 0 and ({money}) then 2 else 0 end"
    )


# Theirs against ours. A commission only they state is no difference; one only we state is unknown.
_APART = {
    "price": f"case when {_AVERAGED} then abs(l.notional - r.notional)"
    " else greatest(l.price - r.price_top, r.price - l.price_top, 0) end",
    "money": "abs(l.gross - r.gross)",
    "commission": "case when l.commission is null and r.commission is null then 0"
    " else abs(l.commission - r.commission) end",
    "fees": _fees_apart(),
    "accrued": "abs(l.accrued - r.accrued)",
    "fx_rate": _rate_apart(),
    "net": "abs(l.net - r.net)",
    # What was paid less what follows from price, interest, commission and fees; or paid the same for the paper anyhow.
    "residual": "case when l.principal is null or r.principal is null then abs(l.paid - r.paid)"
    " else least(abs((l.paid - l.principal) - (r.paid - r.principal)), abs(l.paid - r.paid)) end",
}
_FIELD = {"residual": "net"}


def _differences(rules: RuleSet) -> str:
    """`d_x, t_x` of everything measured."""
    tolerances, profiles = rules.tolerances, rules.profiles
    profile = "p.profile"

    def money(tolerance: MoneyTolerance, amount: str) -> str:
        return money_tolerance(tolerance, amount, "l.ccy")

    cent = f"{by_currency(tolerances.commission.absolute, 'l.ccy')} * greatest(l.n, r.n)"
    net = f"greatest({money(tolerances.net, 'l.net')}, {cent})"
    defaults = {
        "price": f"case when {_AVERAGED} then {_UNIT} * r.small_qty else {_UNIT} end",
        "money": money(tolerances.net, "l.gross"),
        "commission": f"case when l.commission is null then 0"
        f" else greatest({money(tolerances.commission, 'l.commission')}, {cent}) end",
        "fees": f"greatest({money(tolerances.fees, 'l.fees')}, {cent})",
        "accrued": f"greatest({money(tolerances.accrued, 'l.qty')}, {cent})",
        "fx_rate": f"{tolerances.fx_rate:f} * l.fx_rate",
        "net": net,
        "residual": net,
    }
    parts = []
    for name in MEASURED:
        field = _FIELD.get(name, name)
        column = "gross" if field == "money" else field
        ours, theirs = f"l.{column}", f"r.{column}"
        if name == "price":
            ours = f"case when {_AVERAGED} then l.notional else l.price end"
        apart = _APART[name]
        if field != "money":
            missing = unpopulated(profiles, field, profile=profile, theirs=theirs)
            apart = f"case when {missing} then {10**21} else {apart} end" if missing else apart
            told = judged(profiles, field, profile=profile, ours=ours, theirs=theirs, default=defaults[name])
        else:
            told = defaults[name]
        parts += [apart, told]
    return ",\n  ".join(parts)


def compile_comparison(rules: RuleSet) -> str:
    """One row per group: both sides' totals and terms, their differences and the tolerances that apply."""
    legs = ", ".join(f"{leg}.{column}" for leg in ("l", "r") for column in SIDE_COLUMNS)
    profile = chosen_profile(rules.profiles, pb="r.pb", account="l.account", asset="l.asset", ccy="l.ccy")
    profiled = f"""), pair as (
  select l.group_key, {profile} as profile
  from work_side l join work_side r on r.group_key = l.group_key and r.leg = 'R' where l.leg = 'L'
"""
    none = not rules.profiles
    amount = f"coalesce(l.gross, {money_product('l.notional', 'l.multiplier')})"
    return f"""
insert into work_comparison
with named as (
  select m.group_key, {digest("'group'", "listagg(m.record_id, ',') within group (order by m.record_id)")} as group_id
  from work_member m where m.code is null group by m.group_key
{"" if none else profiled})
select l.group_key, g.group_id, l.pass_id, l.component,
  case when l.n + r.n > 2 or r.blocks > 0 then 'BLOCK' else 'TRADE' end,
  case when l.n + r.n > 2 or r.blocks > 0 then 'block|' || r.pb || '|' || cast(l.trade_date as varchar) || '|'
    || l.order_key || '|' || l.account || '|' || l.instrument || '|' || l.direction else l.root_id end,
  {"cast(null as varchar)" if none else "p.profile"},
  case when l.asset in ('FX_SPOT', 'FX_FWD', 'FX_NDF') then l.settle_ccy else l.ccy end,
  {amount}, abs(l.qty - r.qty), {_scaled()},
  {_differences(rules)},
  {legs}
from work_side l join work_side r on r.group_key = l.group_key and r.leg = 'R'
  join named g on g.group_key = l.group_key{"" if none else " join pair p on p.group_key = l.group_key"}
where l.leg = 'L'
"""
