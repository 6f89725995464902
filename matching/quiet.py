"""What needs no comparison: records that merely wait, and duos whose records say the same in all that is compared.

Both are filed straight from what their versions say, with the same rows the passes would lead to. Most of a day is
quiet, so most of a day is never an item. Whether a pair is quiet is read off a digest of every term that is compared
(`terms`): equal digests differ in nothing, so no rule that needs a difference can hold. A rule set with any other
kind of rule has no quiet duos.
"""

from sqlglot import exp

from domain.derived import RECON_BREAK
from matching.changes import break_change_id
from matching.conditions import parse
from matching.items import NET, WIDEST_MULTIPLIER, WIDEST_PRICE, WIDEST_QTY, digest, plain, product
from matching.rules import OneSidedPass, RuleSet

# --- what a record says -------------------------------------------------------------------------------------------

_NOTHING = "chr(30)"
_TERMS = (
    "e.instrument_id", "coalesce(e.account_id, e.account_raw)",
    "case when e.side = 'SELL_SHORT_EXEMPT' then 'SELL_SHORT' else e.side end", "e.qty", "e.price", "e.trade_date",
    "e.settle_date", "e.trade_ccy", "coalesce(e.settle_ccy, e.trade_ccy)", "coalesce(e.multiplier, 1)",
    "e.commission", NET, "abs(e.gross_money)", "e.price_type", "e.accrued_interest", "e.fx_rate", "e.uti", "e.coupon",
    "upper(trim(e.exec_broker_id))", "e.asset_class",
)  # fmt: skip
# Fees of the new records, each line for what it counts as.
FEES = """fee as (
  select f.record_id, cast(count(*) as varchar) || '|' || cast(sum(case when f.fee_type = 'TOTAL' then 1 else 0 end)
      as varchar) || '|' || coalesce(min(f.ccy), '') || '|' || coalesce(max(f.ccy), '') || '|'
      || cast(cast(sum(f.amount) as number(28, 6)) as varchar) || '|'
      || cast(cast(sum(case when f.fee_type = '1' then f.amount else 0 end) as number(28, 6)) as varchar) || '|'
      || cast(cast(sum(case when f.fee_type = '4' then f.amount else 0 end) as number(28, 6)) as varchar) || '|'
      || cast(cast(sum(case when f.fee_type in ('2', '5', '9') then f.amount else 0 end) as number(28, 6)) as varchar)
      as fees
  from trade_fee f where f.record_id in (
    select e.record_id from trade_event e where e.execution in (select x.execution from work_execution x))
  group by f.record_id
)"""
# Amounts too wide for exact products, and contract sizes that could be told from the money alone, are looked at.
_PLAIN_ENOUGH = (
    f"abs(e.qty) < {WIDEST_QTY} and abs(e.price) < {WIDEST_PRICE} and (coalesce(e.multiplier, 1) = 1"
    f" or (e.multiplier >= 2 and e.multiplier < {WIDEST_MULTIPLIER} and e.qty <> 0 and e.price <> 0"
    " and abs(e.gross_money) >= 1)) and (e.fx_rate is null or e.fx_rate >= 0)"
)


def terms(fees: str = "n.fees") -> str:
    """A digest of all terms that are compared of the trade event `e` with its `fees`; NULL where it must be compared.

    Independent of the rules, so that it may be kept.
    """
    said = digest(*(f"coalesce(cast({term} as varchar), {_NOTHING})" for term in (*_TERMS, fees)))
    return f"case when {_PLAIN_ENOUGH} then {said} end"


# --- which rules leave equals alone -------------------------------------------------------------------------------


def spares_equals(rules: RuleSet) -> bool:
    """Whether no break rule can hold for two records that say the same.

    Profiles may ask for what both sides leave out, so rules with profiles have no quiet duos.
    """
    return not rules.profiles and all(_needs_difference(parse(rule.when)) for rule in rules.breaks)


def _needs_difference(node: exp.Expression) -> bool:
    """Whether the condition is false or unknown where both sides are equal and every difference is 0 or unknown."""
    if isinstance(node, exp.Paren):
        return _needs_difference(node.this)
    if isinstance(node, exp.And):
        return _needs_difference(node.this) or _needs_difference(node.expression)
    if isinstance(node, exp.Or):
        return _needs_difference(node.this) and _needs_difference(node.expression)
    one, other = node.args.get("this"), node.args.get("expression")
    if isinstance(node, exp.NEQ) and isinstance(one, exp.Column) and isinstance(other, exp.Column):
        return one.name == other.name and {one.table.lower(), other.table.lower()} == {"l", "r"}
    if not (isinstance(one, exp.Column) and one.table.lower() == "d"):
        return False
    if isinstance(node, exp.GT):
        tolerance = isinstance(other, exp.Column) and other.table.lower() == "t" and other.name == one.name
        return tolerance or _at_least(other, 0)
    return isinstance(node, (exp.EQ, exp.GTE)) and _at_least(other, 1)


def _at_least(node: exp.Expression | None, least: int) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and int(float(node.name)) >= least


# --- records that wait --------------------------------------------------------------------------------------------

_AS_OF = "cast(:as_of as timestamp_ntz(9))"


def one_sided(rules: RuleSet) -> OneSidedPass:
    """The last pass: it names what is left over."""
    last = rules.passes[-1]
    assert isinstance(last, OneSidedPass)
    return last


EXPECTED = f"""
insert into work_expected (break_id, record_id, leg, level, anchor, code, due_at)
with lone as (
  select p.record_id, p.leg, p.due_at, p.feed || '|' || cast(p.trade_date as varchar) || '|' || p.uid as anchor,
    case when p.level = 'ALLOCATION' then 'BLOCK' else 'TRADE' end as level
  from work_lazy z join work_plain p on p.record_id = z.record_id
  where p.pb is null or p.pb not in (select f.party from work_feed f where f.slotted)
)
select {digest("'break'", ":tenant", "i.level", "i.anchor", "'existence'")}, i.record_id, i.leg, i.level, i.anchor,
  case when i.leg = 'L' then cast(:ours as varchar) else cast(:theirs as varchar) end, i.due_at
from lone i
"""
_OWN = f"{plain('e.qty')} || ' @ ' || {plain('e.price')}"
_BREAK = {
    "break_id": "w.break_id",
    "generation": "1",
    "level": "w.level",
    "pb_id": "p.pb",
    "anchor": "w.anchor",
    "field_family": "'existence'",
    "code": "w.code",
    "severity": "k.severity",
    "state": "'EXPECTED'",
    "first_seen": _AS_OF,
    "changed_at": _AS_OF,
    "due_at": "w.due_at",
    "instrument_id": "e.instrument_id",
    "symbol": "e.symbol",
    "account_id": "p.account",
    "side": "case when e.side = 'SELL_SHORT_EXEMPT' then 'SELL_SHORT' else e.side end",
    "trade_date": "e.trade_date",
    "settle_date": "e.settle_date",
    "ccy": "case when e.asset_class in ('FX_SPOT', 'FX_FWD', 'FX_NDF') then coalesce(e.settle_ccy, e.trade_ccy)"
    " else e.trade_ccy end",
    "exposure": "case when e.gross_money is not null then abs(e.gross_money)"
    f" else {product('e.qty', 'e.price', 'coalesce(e.multiplier, 1)')} end",
    "left_value": f"case when w.leg = 'L' then {_OWN} end",
    "right_value": f"case when w.leg = 'R' then {_OWN} end",
    "delta": f"case when abs(e.qty) < {10**20} then cast(case when w.leg = 'L' then -e.qty else e.qty end"
    " as number(28, 6)) end",
    "rule_id": "cast(:pass_id as varchar)",
    "rule_set_hash": "cast(:rule_set_hash as varchar)",
    "pass_id": "cast(:pass_id as varchar)",
    "component": "z.component",
    "exception_type": "k.exception_type",
    "element_type": "k.element_type",
}
EXPECTED_BREAKS = f"""
insert into recon_break ({", ".join(_BREAK)})
select {", ".join(_BREAK.values())}
from work_expected w join work_lazy z on z.record_id = w.record_id join work_plain p on p.record_id = w.record_id
  join work_code k on k.code = w.code
  join trade_event e on e.record_id = w.record_id and e.execution in (select x.execution from work_execution x)
"""
assert set(_BREAK) <= set(RECON_BREAK.columns)
EXPECTED_MEMBERS = """
insert into recon_break_member (break_id, side, record_id) select w.break_id, w.leg, w.record_id from work_expected w
"""
EXPECTED_CHANGES = f"""
insert into break_change (change_id, break_id, generation, kind, as_of, code, severity, execution)
select {break_change_id("w.break_id", "'1'", "'EXPECTED'", "w.code")}, w.break_id, 1, 'EXPECTED', {_AS_OF}, w.code,
  k.severity, :execution
from work_expected w join work_code k on k.code = w.code
"""
# What was filed waits no more.
FORGET_FILED = "delete from work_lazy where record_id in (select w.record_id from work_expected w)"
EXPECTED_STEPS = (EXPECTED_BREAKS, EXPECTED_MEMBERS, EXPECTED_CHANGES, FORGET_FILED)

# --- records that waited and are in a duo now ---------------------------------------------------------------------

CLEARED_CHANGES = f"""
insert into break_change (change_id, break_id, generation, kind, as_of, code, severity, execution)
select {break_change_id("w.break_id", "cast(w.generation as varchar)", "'CLEARED'", "w.code")}, w.break_id,
  w.generation, 'CLEARED', {_AS_OF}, 'T28', 0, :execution
from work_closing w
"""
FORGET_CLEARED = "delete from recon_break where break_id in (select w.break_id from work_closing w)"
FORGET_MEMBERS = "delete from recon_break_member where break_id in (select w.break_id from work_closing w)"
CLEARED_STEPS = (CLEARED_CHANGES, FORGET_CLEARED, FORGET_MEMBERS)

# --- duos that agree ----------------------------------------------------------------------------------------------

# Where nothing is derived by the passes.
ALL_QUIET = f"""
insert into work_quiet (group_id, left_id, right_id, pb, level, component)
select {digest("'group'", "least(d.left_id, d.right_id) || ',' || greatest(d.left_id, d.right_id)")}, d.left_id,
  d.right_id, d.pb, case when d.right_level = 'ALLOCATION' then 'BLOCK' else 'TRADE' end, d.component
from work_duo d where d.quiet
"""
# What is derived files its duos itself.
QUIET = f"""{ALL_QUIET.replace(" where d.quiet", " left join match_block b on b.block = d.block").rstrip()}
where d.quiet and d.component not in (select c.component from work_component c)
  and (b.component not in (select c.component from work_component c)
    or (d.left_id in (select p.record_id from work_plain p) and d.right_id in (select p.record_id from work_plain p)))
"""
GROUPS = f"""
insert into match_group (group_id, level, pb_id, pass_id, rule_set_hash, cardinality, confidence, residual,
  interchangeable, component, as_of)
select q.group_id, q.level, q.pb, p.pass_id, cast(:rule_set_hash as varchar), '1:1', p.confidence,
  cast(0 as number(28, 6)), false, q.component, {_AS_OF}
from work_quiet q join work_pass p on p.pass_id = :duo_pass
"""
MEMBERS = """
insert into match_member (group_id, side, record_id)
select q.group_id, 'L', q.left_id from work_quiet q
union all
select q.group_id, 'R', q.right_id from work_quiet q
"""
GROUP_STEPS = (GROUPS, MEMBERS)
STATEMENTS = {"quiet/expected": EXPECTED, "quiet/duos": QUIET}
