"""Breaks of a trade's versions: one side cancelled or corrected it, the other has not heard (T22, T23)."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from simulator.faults import text
from simulator.faults.bench import Bench, Plan, Planner, Planted, Trade, differs
from simulator.faults.draft import Row
from simulator.market.world import Asset
from simulator.records import Level, Source, Status, divide

_MOST_TICKS = 40
_AVERAGE_STEP = 100


class Orders:
    """Quantity and notional the fund has executed of each order, to state cumulative figures after a change."""

    def __init__(self, bench: Bench) -> None:
        records = bench.pool.records
        fills = np.flatnonzero(
            (records.source == Source.OMS) & (records.level == Level.FILL) & (records.status == Status.NEW)
        )
        size = int(records.order.max(initial=0)) + 1
        self._qty = np.zeros(size, np.int64)
        self._notional = np.zeros(size, np.int64)
        np.add.at(self._qty, records.order[fills], records.qty[fills])
        np.add.at(self._notional, records.order[fills], records.qty[fills] * records.price[fills])

    def after(self, row: Row, qty: int, notional: int) -> Row:
        """Cumulative quantity and average price of the order of `row` once both changed by so much."""
        left = int(self._qty[row["order"]]) + qty
        spent = np.array([int(self._notional[row["order"]]) + notional], np.int64)
        step = max(left, 1) * _AVERAGE_STEP
        return {"cum_qty": left, "avg_price": int(divide(spent, step)[0]) * _AVERAGE_STEP if left > 0 else 0}


def stale_cancel(bench: Bench) -> Plan:
    """T22: the broker cancels what stands at the fund, or the fund's cancel never reaches the broker."""
    orders = Orders(bench)

    def make(trade: Trade) -> Planted:
        ours = bool(bench.pool.alone[trade.at]) and bool(bench.below(2))
        return cancelled_by_fund(bench, orders, trade) if ours else cancelled_by_broker(bench, trade)

    return Plan(np.ones(len(bench.pool.group), np.bool_), make)


def cancelled_by_broker(bench: Bench, trade: Trade) -> Planted:
    """The broker cancels, the fund does not."""
    arrive_at = bench.later(trade.theirs)
    row = bench.draft.add(bench.following(trade.theirs, Status.CANCEL, arrive_at))
    bench.draft.part(trade.row, row, *trade.ours)
    made = differs(trade, "T22", "status", "live", "cancelled", _worth(bench, trade))
    return replace(
        made, theirs=(trade.row, row), injected_at=arrive_at, theirs_at=arrive_at,
        detectable_at=max(bench.due(Source.OMS, arrive_at), trade.ours_at),
    )  # fmt: skip


def cancelled_by_fund(bench: Bench, orders: Orders, trade: Trade) -> Planted:
    """The fund cancels a single execution, the broker does not."""
    ours = bench.draft.row(trade.first)
    arrive_at = bench.later(ours)
    running = orders.after(ours, -ours["qty"], -ours["qty"] * ours["price"])
    row = bench.draft.add(bench.following(ours, Status.CANCEL, arrive_at, **running))
    bench.draft.part(trade.row, row, *trade.ours)
    made = differs(trade, "T22", "status", "cancelled", "live", _worth(bench, trade))
    return replace(
        made, ours=(*trade.ours, row), injected_at=arrive_at, ours_at=arrive_at,
        detectable_at=max(bench.due(trade.theirs["source"], arrive_at), trade.theirs["arrive_ns"]),
    )  # fmt: skip


def stale_correct(bench: Bench) -> Plan:
    """T23: one side corrects the price or (the broker alone) the quantity, the other stays on the version before."""
    orders = Orders(bench)

    def make(trade: Trade) -> Planted:
        ours = bool(bench.pool.alone[trade.at]) and bool(bench.below(2))
        return _corrected_by_fund(bench, orders, trade) if ours else _corrected_by_broker(bench, trade)

    return Plan((bench.pool.column("qty") > 1) & ~bench.is_asset(Asset.CDS), make)


def _corrected_by_fund(bench: Bench, orders: Orders, trade: Trade) -> Planted:
    ours = bench.draft.row(trade.first)
    arrive_at, corrected = bench.later(ours), _moved(bench, ours)
    running = orders.after(ours, 0, ours["qty"] * (corrected - ours["price"]))
    row = bench.draft.add(bench.following(ours, Status.CORRECT, arrive_at, price=corrected, **running))
    bench.draft.reprice(row)
    stake = bench.gross({**ours, "price": corrected}) - bench.gross(ours), bench.value_ccy(ours)
    made = differs(trade, "T23", "price", text.price(corrected), text.price(trade.theirs["price"]), stake)
    return replace(
        made, ours=(*trade.ours, row), injected_at=arrive_at, ours_at=arrive_at,
        detectable_at=max(bench.due(trade.theirs["source"], arrive_at), trade.theirs["arrive_ns"]),
    )  # fmt: skip


def _corrected_by_broker(bench: Bench, trade: Trade) -> Planted:
    before = trade.theirs
    arrive_at = bench.later(before)
    if bench.below(3) == 0:
        changed, field = {"qty": before["qty"] - max(1, before["qty"] // bench.between(4, 20))}, "qty"
        true, shown = str(changed["qty"]), str(before["qty"])
        stake = bench.gross({**before, "qty": before["qty"] - changed["qty"]})
    else:
        changed, field = {"price": _moved(bench, before)}, "price"
        true, shown = text.price(changed["price"]), text.price(before["price"])
        stake = bench.gross({**before, **changed}) - bench.gross(before)
    row = bench.draft.add(bench.following(before, Status.CORRECT, arrive_at, **changed))
    bench.draft.reprice(row)
    made = differs(trade, "T23", field, true, shown, (stake, bench.value_ccy(before)))
    return replace(
        made, theirs=(trade.row, row), injected_at=arrive_at, theirs_at=arrive_at,
        detectable_at=max(bench.due(Source.OMS, arrive_at), trade.ours_at),
    )  # fmt: skip


def _moved(bench: Bench, row: Row) -> int:
    """A price some ticks away, and at least 0.3%."""
    step = bench.step(row)
    move = max(bench.between(3, _MOST_TICKS), row["price"] * 3 // 1_000 // step) * step * bench.sign()
    return row["price"] + move if row["price"] + move > 0 else row["price"] - move


def _worth(bench: Bench, trade: Trade) -> tuple[int, int]:
    return bench.gross(trade.theirs), bench.value_ccy(trade.theirs)


PLANNERS: Mapping[str, Planner] = MappingProxyType({"T22": stale_cancel, "T23": stale_correct})
