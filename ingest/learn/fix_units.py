"""Units of a FIX counterparty: prices, quantities, fractions, running totals, and how wide an ExecID counts."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from ingest.learn.fix_sample import Row
from ingest.learn.ours import OwnTrade
from ingest.learn.proposal import Proposal, share

_FRACTION = re.compile(r"\d+-\d{2}[+0-9]?")
_CASES_MIN = 5
_MINOR_CURRENCIES = ("GBP", "ZAR", "ILS")

Pairs = Sequence[tuple[Row, OwnTrade]]


def propose_units(rows: Sequence[Row], pairs: Pairs) -> list[Proposal]:
    """Proposals for price_unit, price_units, price_fraction, qty_unit, fill_mode, id_scope and negative_buy."""
    fresh = [row for row in rows if not row.repeated]
    return [
        *_prices(fresh, pairs), _fraction(fresh), *_quantities(pairs), _fill_mode(fresh), _scope(fresh),
        _negative(fresh),
    ]  # fmt: skip


def _prices(rows: Sequence[Row], pairs: Pairs) -> list[Proposal]:
    found = []
    for code in _MINOR_CURRENCIES:
        ratios = [
            price / ours.price for row, ours in pairs
            if row.get(15) == code and ours.price and (price := row.number(31, 153, 6))
        ]  # fmt: skip
        hundred = sum(95 < ratio < 105 for ratio in ratios)
        if len(ratios) >= _CASES_MIN and hundred >= 0.8 * len(ratios):
            text = f"prices in {code} are 100 times ours: {share(hundred, len(ratios))}"
            found.append(Proposal(f"price_units.{code}", "minor", 0.99 * hundred / len(ratios), text))
    if not found:
        for code in _MINOR_CURRENCIES:
            told = [_times_gross(row) for row in rows if row.get(15) == code]
            hundred = sum(one is not None and 95 < one < 105 for one in told)
            if hundred >= _CASES_MIN and hundred >= 0.8 * len(told):
                text = f"quantity times price is 100 times the gross amount: {share(hundred, len(told))}"
                found.append(Proposal(f"price_units.{code}", "minor", 0.9, text))
    text = "no major currency with prices in hundredths" if not found else "but for the currencies named"
    return [Proposal("price_unit", "major", 0.97, text, True), *found]


def _times_gross(row: Row) -> float | None:
    qty, price, gross = row.number(32, 80), row.number(31, 153, 6), row.number(381)
    return float(abs(qty) * price / gross) if qty and price and gross else None


def _fraction(rows: Sequence[Row]) -> Proposal:
    ticks = sum(bool(_FRACTION.fullmatch(row.get(31, 153, 6))) for row in rows)
    if ticks:
        return Proposal("price_fraction", "32nds", 0.85, f"{ticks} prices like 110-16+: ask whether in 32nds or 64ths")
    return Proposal("price_fraction", "none", 0.98, f"no price like 110-16 in {len(rows)} rows", True)


def _quantities(pairs: Pairs) -> list[Proposal]:
    factors: Counter[int] = Counter()
    for row, ours in pairs:
        theirs = row.number(80, 32, 1009)
        if theirs and ours.qty:
            factors[int(ours.qty / abs(theirs)) if ours.qty % abs(theirs) == 0 else 0] += 1
    total = sum(factors.values())
    for factor, name in ((100, "hundreds"), (1000, "thousands")):
        if total and factors[factor] >= 0.8 * total:
            text = f"our quantity is {factor} times theirs on {share(factors[factor], total)} trades"
            return [Proposal("qty_unit.*", name, 0.97, text)]
    return []


def _fill_mode(rows: Sequence[Row]) -> Proposal:
    """Whether LastQty(32) grows with CumQty(14) over the fills of an order."""
    mine = [row for row in rows if row.kind == "8"]
    if mine and sum(not row.get(32) and bool(row.get(14)) for row in mine) > 0.9 * len(mine):
        return Proposal("fill_mode", "order", 0.93, f"CumQty(14) without LastQty(32) on {len(mine)} reports")
    orders: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in mine:
        if row.get(37) and row.number(14) and row.number(32) and row.status == "NEW" and not row.get(79):
            orders[row.get(37), row.get(1)].append(row)
    later = [row for told in orders.values() for row in told[1:] if row.number(14) != told[0].number(14)]
    same = sum(row.number(14) == row.number(32) for row in later)
    if len(later) >= _CASES_MIN and same >= 0.9 * len(later):
        text = f"LastQty(32) is CumQty(14) on {share(same, len(later))} later fills of an order"
        return Proposal("fill_mode", "cumulative", 0.95, text)
    text = f"LastQty(32) is CumQty(14) on {share(same, len(later))} later fills of an order"
    return Proposal("fill_mode", "incremental", 0.95 if later or not mine else 0.9, text, True)


def _scope(rows: Sequence[Row]) -> Proposal:
    """Whether one id stands for trades of several accounts."""
    accounts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        uid = row.get(17) if row.kind == "8" else row.get(571) if row.kind == "AE" else ""
        if uid and row.status == "NEW":
            accounts[uid].add(row.get(1, 79))
    several = sum(len(named) > 1 for named in accounts.values())
    text = f"{several} of {len(accounts):,} trade ids stand with more than one account"
    if several >= _CASES_MIN and several > 0.02 * len(accounts):
        return Proposal("id_scope", "account", 0.85, text)
    return Proposal("id_scope", "source", 0.95, text, True)


def _negative(rows: Sequence[Row]) -> Proposal:
    bought = [row for row in rows if (qty := row.number(80, 32, 1009)) is not None and qty < 0 and row.get(54) == "1"]
    if not bought:
        return Proposal("negative_buy", "refuse", 0.97, "no purchase of a negative quantity", True)
    cancels = sum(row.status == "CANCEL" for row in bought)
    text = f"{len(bought)} purchases of a negative quantity, {cancels} of them marked as cancels"
    return Proposal("negative_buy", "cancel" if cancels * 2 > len(bought) else "sell", 0.7, text)
