"""Breaks of what was traded: quantity, price, side, instrument, account, split, dates, currency (T05-T11, T13-T15)."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from simulator.calendars import next_settle
from simulator.faults import text
from simulator.faults.bench import Bench, Mates, Plan, Planner, Planted, Trade, differs
from simulator.flow.timing import business_day
from simulator.market.world import CURRENCIES, Asset
from simulator.records import MONEY_UNIT, Effect, Level, Side, Source

_TEN_TIMES_BELOW = 10**8 * MONEY_UNIT
_PENCE_BELOW = 10**7 * MONEY_UNIT
_WORTH_A_PRICE = 1_000 * MONEY_UNIT
_ROUND_FROM = 50_000
_GBP = CURRENCIES.index("GBP")
_SWAP_SIDES = MappingProxyType({Side.SELL: Side.SELL_SHORT, Side.SELL_SHORT: Side.SELL})
_LISTED = (Asset.EQUITY, Asset.ETF, Asset.OPTION, Asset.FUTURE, Asset.BOND)


def quantity(bench: Bench) -> Plan:
    """T05: a digit too many, an execution forgotten, or a part missing."""

    def make(trade: Trade) -> Planted:
        true = trade.theirs["qty"]
        return wrong_qty(bench, trade, _other_qty(bench, trade, true))

    return Plan(bench.pool.column("qty") > 1, make)


def wrong_qty(bench: Bench, trade: Trade, shown: int) -> Planted:
    """Let the broker show another quantity."""
    row = trade.theirs
    bench.draft.edit(trade.row, qty=shown)
    bench.draft.reprice(trade.row)
    missing = {**row, "qty": abs(shown - row["qty"])}
    return differs(trade, "T05", "qty", row["qty"], shown, (bench.gross(missing), bench.value_ccy(row)))


def price(bench: Bench) -> Plan:
    """T06: one to three per cent beside, or pence taken for pounds."""
    pool = bench.pool

    def make(trade: Trade) -> Planted:
        row, step = trade.theirs, bench.step(trade.theirs)
        true = row["price"]
        if row["ccy"] == _GBP and row["gross"] < _PENCE_BELOW and bench.below(3) == 0:
            return wrong_price(bench, trade, true * 100)
        move = max(true * bench.between(1, 3) // 100 // step, 3) * step * bench.sign()
        return wrong_price(bench, trade, true + move if true + move > 0 else true - move)

    return Plan((pool.column("gross") > _WORTH_A_PRICE) & ~bench.is_asset(Asset.CDS), make)


def wrong_price(bench: Bench, trade: Trade, shown: int, code: str = "T06", decimals: int = 0) -> Planted:
    """Let the broker show another price, with at least `decimals` digits."""
    row = trade.theirs
    bench.draft.edit(trade.row, price=shown, price_dp=max(row["price_dp"], decimals))
    bench.draft.reprice(trade.row)
    apart = bench.gross({**row, "price": shown}) - bench.gross(row)
    return differs(trade, code, "price", text.price(row["price"]), text.price(shown), (apart, bench.value_ccy(row)))


def side(bench: Bench) -> Plan:
    """T07: bought for sold."""

    def make(trade: Trade) -> Planted:
        row = trade.theirs
        shown = Side.SELL if row["side"] == Side.BUY else Side.BUY
        # A sale does not close a short position, nor does a purchase that was a sale: contracts keep their mark.
        effect = row["effect"] if bench.asset(row) in (Asset.OPTION, Asset.FUTURE) else Effect.NONE
        bench.draft.edit(trade.row, side=shown, effect=effect)
        bench.draft.reprice(trade.row)
        stake = 2 * bench.gross(row), bench.value_ccy(row)
        return differs(trade, "T07", "side", text.side(row), shown.name, stake)

    return Plan(np.ones(len(bench.pool.group), np.bool_), make)


def side_qualifier(bench: Bench) -> Plan:
    """T08: a short sale marked long or the reverse, a purchase marked as cover or the reverse."""
    selling = np.isin(bench.pool.column("side"), list(_SWAP_SIDES))
    covering = ~selling
    # Covers are rare: half of the cases would drown in plain purchases.
    some = covering & (bench.random.random(len(covering)) < 0.15)

    def make(trade: Trade) -> Planted:
        row = trade.theirs
        if row["side"] in _SWAP_SIDES:
            changed = {"side": int(_SWAP_SIDES[Side(row["side"])])}
        else:
            changed = {"effect": int(Effect.NONE if row["effect"] == Effect.CLOSE else Effect.CLOSE)}
        bench.draft.edit(trade.row, **changed)
        stake = bench.gross(row), bench.value_ccy(row)
        return differs(trade, "T08", "side", text.side(row), text.side({**row, **changed}), stake)

    return Plan(bench.is_asset(Asset.EQUITY, Asset.ETF) & (selling | some), make)


def instrument(bench: Bench) -> Plan:
    """T09: another line: the other share class, the next series, else any of the same kind and market."""
    lines = bench.world.instruments
    keys = list(zip(lines.asset.tolist(), lines.mic.tolist(), lines.ccy.tolist(), lines.multiplier.tolist(),
                    strict=True))  # fmt: skip

    def make(trade: Trade) -> Planted | None:
        true = trade.theirs["instrument"]
        partner = int(lines.line[true])
        if partner < 0 or keys[partner][2:] != keys[true][2:]:
            others = [row for row, key in enumerate(keys) if key == keys[true] and row != true]
            if not others:
                return None
            partner = others[bench.below(len(others))]
        bench.draft.edit(trade.row, instrument=partner)
        stake = bench.gross(trade.theirs), bench.value_ccy(trade.theirs)
        return differs(trade, "T09", "instrument", lines.key[true], lines.key[partner], stake)

    return Plan(bench.is_asset(*_LISTED), make)


def account(bench: Bench) -> Plan:
    """T10: another account of the fund at the same broker, one that has no share in the order."""
    accounts, records = bench.world.accounts, bench.pool.records
    shares = np.flatnonzero((records.source == Source.OMS) & (records.level == Level.ALLOCATION))
    mates = Mates(records.order[shares].astype(np.int64))

    def make(trade: Trade) -> Planted | None:
        true, order = trade.theirs["account"], trade.theirs["order"]
        taken = {true, *records.account[shares[mates.of(order)]].tolist()}
        free = [a for a in np.flatnonzero(accounts.pb == trade.theirs["source"]).tolist() if a not in taken]
        if not free:
            return None
        shown = free[bench.below(len(free))]
        bench.draft.edit(trade.row, account=shown)
        names = accounts.account_id
        stake = bench.gross(trade.theirs), bench.value_ccy(trade.theirs)
        return differs(trade, "T10", "account", names[true], names[shown], stake)

    return Plan(np.ones(len(bench.pool.group), np.bool_), make)


def split(bench: Bench) -> Plan:
    """T11: two shares of a block at one broker swap their quantities, or some shares move from one to the other."""
    pool = bench.pool
    share = pool.column("level") == Level.ALLOCATION
    share &= pool.records.level[pool.ours[pool.first]] == Level.ALLOCATION
    keys = np.where(share, pool.column("order") * len(Source) + pool.column("source"), -1 - np.arange(len(share)))
    mates = Mates(keys)

    def make(trade: Trade) -> Planted | None:
        others = [at for at in mates.of(int(keys[trade.at])) if at != trade.at and pool.free[at]]
        if not others:
            return None
        other = bench.trade(others[bench.below(len(others))])
        first, second = trade.theirs["qty"], other.theirs["qty"]
        moved = second - first
        if moved == 0 or (bench.below(2) and min(first, second) > 1):
            moved = bench.between(1, max(1, min(first, second) // 10))
        if first + moved < 1 or second - moved < 1:
            return None
        pool.free[other.at] = False
        for each, qty in ((trade, first + moved), (other, second - moved)):
            bench.draft.edit(each.row, qty=qty)
            bench.draft.reprice(each.row)
        stake = 2 * bench.gross({**trade.theirs, "qty": abs(moved)}), bench.value_ccy(trade.theirs)
        shown = f"{first + moved}/{second - moved}"
        made = differs(trade, "T11", "qty", f"{first}/{second}", shown, stake)
        arrived = max(trade.theirs["arrive_ns"], other.theirs["arrive_ns"])
        return replace(
            made, ours=(*trade.ours, *other.ours), theirs=(trade.row, other.row), theirs_at=arrived,
            detectable_at=max(arrived, trade.ours_at, other.ours_at),
        )  # fmt: skip

    return Plan(share & mates.shared(), make)


def trade_date(bench: Bench) -> Plan:
    """T13: the business day before, or after where the trade settles later than that."""
    before, after = business_day(bench.day, -1), business_day(bench.day, 1)

    def make(trade: Trade) -> Planted:
        row = trade.theirs
        shown = after if row["settle_date"] > after and bench.below(2) else before
        bench.draft.edit(trade.row, trade_date=shown)
        stake = bench.gross(row), bench.value_ccy(row)
        return differs(trade, "T13", "trade_date", text.day(row["trade_date"]), text.day(shown), stake)

    return Plan(np.ones(len(bench.pool.group), np.bool_), make)


def settle_date(bench: Bench) -> Plan:
    """T14: one settlement day too late, sometimes two. Not bonds: their interest would move along."""
    lines, dates = bench.pool.column("instrument"), bench.pool.column("settle_date").astype(np.int32)
    later = next_settle(bench.world, lines.astype(np.int32), dates)
    latest = next_settle(bench.world, lines.astype(np.int32), later)

    def make(trade: Trade) -> Planted:
        return wrong_settle(bench, trade, int((later if bench.below(4) else latest)[trade.at]))

    return Plan(~bench.is_asset(Asset.BOND), make)


def wrong_settle(bench: Bench, trade: Trade, shown: int) -> Planted:
    """Let the broker show another settlement date."""
    row = trade.theirs
    bench.draft.edit(trade.row, settle_date=shown)
    stake = bench.gross(row), bench.value_ccy(row)
    return differs(trade, "T14", "settle_date", text.day(row["settle_date"]), text.day(shown), stake)


def currency(bench: Bench) -> Plan:
    """T15: the same numbers in another currency, or foreign shares settled in dollars that should not be."""
    usd, others = CURRENCIES.index("USD"), [CURRENCIES.index(code) for code in ("EUR", "CHF", "CAD")]
    pool = bench.pool
    plain = pool.column("settle_ccy") == pool.column("ccy")

    def make(trade: Trade) -> Planted:
        row = trade.theirs
        true = row["ccy"]
        stake = bench.gross(row), true
        if true != usd and bench.below(2):
            bench.draft.edit(trade.row, settle_ccy=usd, fx_rate=int(bench.world.usd[true]))
            bench.draft.reprice(trade.row)
            return differs(trade, "T15", "settle_ccy", CURRENCIES[true], CURRENCIES[usd], stake)
        shown = usd if true != usd else others[bench.below(len(others))]
        bench.draft.edit(trade.row, ccy=shown, settle_ccy=shown)
        return differs(trade, "T15", "ccy", CURRENCIES[true], CURRENCIES[shown], stake)

    return Plan(plain & bench.is_asset(Asset.EQUITY, Asset.ETF), make)


def _other_qty(bench: Bench, trade: Trade, true: int) -> int:
    kind = bench.below(4)
    if kind == 0 and trade.theirs["gross"] < _TEN_TIMES_BELOW:
        return true * 10
    if kind == 1 and len(trade.ours) > 1:
        forgotten = bench.draft.row(trade.ours[bench.below(len(trade.ours))])["qty"]
        if forgotten < true:
            return true - forgotten
    part = max(1, true // bench.between(2, 5))
    if true >= _ROUND_FROM:
        part -= part % 1_000
    return true - part


PLANNERS: Mapping[str, Planner] = MappingProxyType(
    {
        "T05": quantity,
        "T06": price,
        "T07": side,
        "T08": side_qualifier,
        "T09": instrument,
        "T10": account,
        "T11": split,
        "T13": trade_date,
        "T14": settle_date,
        "T15": currency,
    }
)
