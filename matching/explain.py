"""Evidence of one break: both sides field by field, the rule and pass that named it, and its history."""

from typing import Any

from matching.finish import rows_of
from matching.rules import RuleSet, load_rules
from warehouse.port import Warehouse

# Fields shown side by side, in the order an analyst reads them.
COMPARED = (
    "trade_uid", "cross_uid", "order_id", "client_order_id", "account_id", "instrument_id", "symbol", "side", "qty",
    "price", "trade_date", "settle_date", "trade_ccy", "settle_ccy", "gross_money", "commission", "net_money",
    "accrued_interest", "multiplier", "event_time_utc", "pb_id", "exec_broker_id", "status",
)  # fmt: skip
# Ids belong to one side: that they differ says nothing.
_OWN_IDS = frozenset({"trade_uid", "cross_uid", "order_id", "event_time_utc", "exec_broker_id", "status", "symbol"})

_MEMBERS = """
select m.side as break_side, t.is_live, e.* from recon_break_member m join trade_event e on e.record_id = m.record_id
  left join trade_state t on t.record_id = m.record_id
where m.break_id = :break_id order by m.side, e.event_time_utc, e.record_id
"""
_CHANGES = "select * from break_change where break_id = :break_id order by generation, as_of, change_id"


def evidence(warehouse: Warehouse, break_id: str, rules: RuleSet | None = None) -> dict[str, Any]:
    """Everything that explains a break: `break`, `members`, `fields`, `differing`, `rule`, `changes`.

    `fields` lists {field, left, right, differs}, each side as the list of distinct values of its members; times are UTC
    nanoseconds. `rule` holds the pass and break rule as written, when `rules` (default: the shipped set) still is the
    version that named the break. Raises KeyError for an unknown break.
    """
    params = {"break_id": break_id}
    found = rows_of(warehouse.query("select * from recon_break where break_id = :break_id", params))
    if not found:
        raise KeyError(break_id)
    members = rows_of(warehouse.query(_MEMBERS, params))
    fields = [_compare(name, members) for name in COMPARED]
    return {
        "break": found[0],
        "members": members,
        "fields": fields,
        "differing": [item["field"] for item in fields if item["differs"]],
        "rule": _rule(found[0], rules or load_rules()),
        "changes": rows_of(warehouse.query(_CHANGES, params)),
    }


def _compare(name: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    left, right = (_values(name, members, side) for side in ("L", "R"))
    if name in {"qty", "gross_money", "commission", "net_money"}:
        left, right = _total(left, name, members, "L"), _total(right, name, members, "R")
    differs = bool(left and right and left != right and name not in _OWN_IDS)
    return {"field": name, "left": left, "right": right, "differs": differs}


def _values(name: str, members: list[dict[str, Any]], side: str) -> list[Any]:
    values = [member[name] for member in members if member["break_side"] == side and member[name] is not None]
    return list(dict.fromkeys(values))


def _total(values: list[Any], name: str, members: list[dict[str, Any]], side: str) -> list[Any]:
    """Amounts of a block count as their sum, unless a member does not state one."""
    own = [member[name] for member in members if member["break_side"] == side]
    return [sum(own)] if values and None not in own else values


def _rule(row: dict[str, Any], rules: RuleSet) -> dict[str, Any]:
    named: dict[str, Any] = {
        "pass_id": row["pass_id"], "rule_id": row["rule_id"], "rule_set_hash": row["rule_set_hash"],
    }  # fmt: skip
    if rules.hash == row["rule_set_hash"]:
        named["pass"] = next((p.model_dump(mode="json") for p in rules.passes if p.id == row["pass_id"]), None)
        named["break"] = next((b.model_dump(mode="json") for b in rules.breaks if b.id == row["rule_id"]), None)
    return named
