"""Passes over orders: what is left of one in an account, held against what is left of it at a prime broker."""

from matching.rules import OrderPass

# What makes one unit of an order. Records without an order have no unit.
UNIT = ("component", "pb", "order_ref", "account", "instrument", "side", "trade_date", "ccy")
_CARRIED = ("direction", "settle_date")


def _units(table: str, *, alone: bool = False) -> str:
    unit = ", ".join([*UNIT, "record_id"] if alone else UNIT)
    least = "record_id as first_id" if alone else "min(record_id) as first_id"
    return (
        f"(\n  select {', '.join(UNIT)}, {', '.join(f'min({name}) as {name}' for name in _CARRIED)},"
        f"\n    {least}, min(uid) as first_uid, count(*) as n, min(qty) as low_qty, max(qty) as top_qty,"
        "\n    count(notional) as sized,"
        "\n    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as qty,"
        "\n    sum(small_qty) as small_qty, sum(notional) as notional, max(half_unit) as half_unit,"
        "\n    min(price) as price, max(price) as price_top"
        f"\n  from {table} where order_ref is not null group by {unit}\n)"
    )


def order_pairs(rule: OrderPass) -> str:
    """Units of one order that choose each other: equal in `keys`, differing in `differs`, totals equal or allowed."""
    tests = ["l.component = r.component", "l.order_ref = r.order_ref"]
    if "pb" not in rule.differs:
        tests.append("(l.pb = r.pb or l.pb is null)")
    tests += [f"l.{name} = r.{name}" for name in rule.keys]
    tests += [f"l.{name} <> r.{name}" for name in rule.differs]
    if rule.blocks:
        tests.append("r.blocks = r.n")
    if rule.single:
        tests.append("r.n = 1")
    elif "qty" in rule.allow and not rule.alone:
        tests.append("(r.n = 1 or abs(l.qty - r.qty) <= least(abs(l.qty - r.low_qty), abs(l.qty - r.top_qty)))")
    if "qty" not in rule.allow:
        tests.append("l.qty = r.qty")
    if "price" not in rule.allow:
        # The side that shows fewer rows shows an average of prices: its precision decides.
        unit = (
            "case when r.n < l.n and l.price <> l.price_top then r.half_unit"
            " when r.n > l.n and r.price <> r.price_top then l.half_unit"
            " else greatest(l.half_unit, r.half_unit) end"
        )
        tests.append(f"l.sized = l.n and r.sized = r.n and abs(l.notional - r.notional) <= {unit} * r.small_qty")
    score = ["c.apart", "c.off", "c.other_date"]
    return (
        "insert into work_pair (left_id, right_id)\nselect c.left_id, c.right_id from (\n"
        "select l.first_id as left_id, r.first_id as right_id, l.first_uid as left_uid, r.first_uid as right_uid,"
        "\n  abs(l.qty - r.qty) as apart, abs(coalesce(l.notional - r.notional, 0)) as off,"
        "\n  case when l.settle_date = r.settle_date then 0 else 1 end as other_date"
        f"\nfrom {_units('work_l')} l join {_units('work_r', alone=rule.alone)} r\n  on "
        + "\n  and ".join(tests)
        + "\n) c"
        f"\nqualify row_number() over (partition by c.left_id order by {', '.join(score)}, c.right_uid, c.right_id) = 1"
        f"\n  and row_number() over (partition by c.right_id order by {', '.join(score)}, c.left_uid, c.left_id) = 1"
    )


def order_members(rule: OrderPass) -> str:
    """All records of the units that were paired, filed under the left unit's least record."""

    def members(leg: str, column: str) -> str:
        if leg == "R" and rule.alone:
            return f"select p.right_id, 'R', p.left_id, '{rule.id}', null, null from work_pair p"
        return (
            f"select i.record_id, '{leg}', p.left_id, '{rule.id}', null, null from (\n  select record_id,"
            f" min(record_id) over (partition by {', '.join(UNIT)}) as first_id from work_{leg.lower()}"
            f" where order_ref is not null\n) i join work_pair p on p.{column} = i.first_id"
        )

    return (
        "insert into work_member (record_id, leg, group_key, pass_id, code, other_id)\n"
        f"{members('L', 'left_id')}\nunion all\n{members('R', 'right_id')}"
    )
