"""Breaks of money and terms: commission, fees, net, interest, rates, contract size, affirmation (T16-T21, ...)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from types import MappingProxyType

import numpy as np

from simulator.faults import text
from simulator.faults.bench import CENT, Bench, Plan, Planner, Planted, Trade, differs
from simulator.faults.draft import Row
from simulator.faults.trade_economics import wrong_price
from simulator.flow.timing import local_ns
from simulator.market.world import CURRENCIES, Asset
from simulator.records import MONEY_UNIT, PRICE_UNIT, Affirm

_CUT_OFF = time(21, 0)
_FEES = ("fee_sec", "fee_exchange", "tax")
_LEAST_COMMISSION, _LEAST_FEE = 20 * CENT, 15 * CENT
_MIN_TICKET, _MARKUP = 500 * CENT, 35 * CENT
# Money that may differ: 0.02 or half a basis point, in yen and won a whole one.
_NET_PART = 20_000
_WHOLE = tuple(CURRENCIES.index(code) for code in ("JPY", "KRW"))
# Accrued interest may differ by 0.05 per 1,000 of face; the smallest change planted is a fifth above.
_INTEREST_PART = 16_600
_BP_YEAR = 10_000 * 360
# Rates near one can be mistaken for their inverse without anybody noticing at once.
_NEAR_ONE = (PRICE_UNIT // 2, 2 * PRICE_UNIT)
# A price step of 0.0001; half a unit of two decimals is 50 of them. 0.4 basis points of the price are let pass.
_FINE, _BESIDE, _FINE_DIGITS, _MONEY_PART = PRICE_UNIT // 10_000, 52, 4, 25_000
_DEAR = 145 * PRICE_UNIT
_ADJUSTED, _STANDARD, _MINI = 150, 100, 10
_LARGEST = 10**9 * MONEY_UNIT


def commission(bench: Bench) -> Plan:
    """T16: a stale rate, a minimum ticket, a discount forgotten."""

    def make(trade: Trade) -> Planted:
        true = trade.theirs["commission"]
        if true < _MIN_TICKET // 2 and bench.below(3) == 0:
            shown = _MIN_TICKET
        elif bench.below(3) == 0:
            shown = true // 2
        else:
            shown = true * 3 // 2 + _MARKUP
        unit = MONEY_UNIT if trade.theirs["ccy"] in _WHOLE else CENT
        return wrong_commission(bench, trade, max(shown // unit, 1) * unit)

    return Plan(bench.pool.column("commission") >= _least(bench), make)


def _least(bench: Bench) -> "np.typing.NDArray[np.int64]":
    whole = np.isin(bench.pool.column("ccy"), _WHOLE)
    return np.where(whole, 20 * MONEY_UNIT, _LEAST_COMMISSION)


def wrong_commission(bench: Bench, trade: Trade, shown: int) -> Planted:
    """Let the broker charge another commission."""
    return _wrong_cost(bench, trade, "T16", "commission", shown)


def fee_tax(bench: Bench) -> Plan:
    """T17: a fee or tax left out, at an old rate or charged twice."""
    highest = np.max([bench.pool.column(name) for name in _FEES], axis=0)

    def make(trade: Trade) -> Planted:
        name = max(_FEES, key=lambda fee: trade.theirs[fee])
        true = trade.theirs[name]
        shown = (0, 2 * true, true // 4 // CENT * CENT)[bench.below(3)]
        return _wrong_cost(bench, trade, "T17", name, shown)

    return Plan(highest >= _LEAST_FEE, make)


def net_residual(bench: Bench) -> Plan:
    """T18: the parts agree and the sum does not."""
    pool = bench.pool
    paid = (pool.column("net") != 0) & ~bench.is_asset(Asset.FUTURE)

    def make(trade: Trade) -> Planted:
        true, ccy = trade.theirs["net"], trade.theirs["settle_ccy"]
        unit = MONEY_UNIT if ccy in _WHOLE else CENT
        least = max(2 * unit, abs(true) // _NET_PART)
        moved = (least * bench.between(15, 60) // 10 // unit + 1) * unit * bench.sign()
        bench.draft.edit(trade.row, net=true + moved)
        return differs(trade, "T18", "net", text.amount(true), text.amount(true + moved), (moved, ccy))

    return Plan(paid, make)


def interest(bench: Bench) -> Plan:
    """T19: accrued interest of a bond some days out."""
    pool, lines = bench.pool, bench.world.instruments
    bonds = bench.is_asset(Asset.BOND) & (pool.column("accrued") > 0)

    def make(trade: Trade) -> Planted | None:
        row = trade.theirs
        daily, true = row["qty"] * int(lines.coupon[row["instrument"]]), row["accrued"]
        if daily == 0:
            return None
        days = max(bench.between(1, 3), -(-row["qty"] * _BP_YEAR // _INTEREST_PART // daily))
        moved = daily * days * 100 // _BP_YEAR * CENT
        shown = true - moved if true > moved and bench.below(2) else true + moved
        return _wrong_cost(bench, trade, "T19", "accrued", shown)

    return Plan(bonds, make)


def fx_rate(bench: Bench) -> Plan:
    """T20: another fixing, or the inverse rate where that is not absurd."""

    def make(trade: Trade) -> Planted:
        true, net = trade.theirs["fx_rate"], trade.theirs["net"]
        shown = true + max(true * bench.between(3, 20) // 1_000, 1) * bench.sign()
        if _NEAR_ONE[0] < true < _NEAR_ONE[1] and bench.below(3) == 0:
            shown = PRICE_UNIT * PRICE_UNIT // true
        bench.draft.edit(trade.row, fx_rate=shown)
        bench.draft.reprice(trade.row)
        moved = net * (shown - true) // true // CENT * CENT
        stake = moved, trade.theirs["settle_ccy"]
        return differs(trade, "T20", "fx_rate", text.price(true), text.price(shown), stake)

    pool = bench.pool
    return Plan((pool.column("fx_rate") > 0) & (pool.column("settle_ccy") != pool.column("ccy")), make)


def multiplier(bench: Bench) -> Plan:
    """T21: the contract size of a standard, an adjusted or a mini contract."""

    def make(trade: Trade) -> Planted:
        row = trade.theirs
        true = row["multiplier"]
        if true == _ADJUSTED:
            shown = _STANDARD
        elif true % _MINI == 0:
            shown = true // _MINI
        else:
            shown = true * _MINI
        bench.draft.edit(trade.row, multiplier=shown)
        bench.draft.reprice(trade.row)
        apart = bench.gross({**row, "multiplier": shown}) - bench.gross(row)
        return differs(trade, "T21", "multiplier", true, shown, (apart, bench.value_ccy(row)))

    contracts = bench.is_asset(Asset.OPTION, Asset.FUTURE) & (bench.pool.column("multiplier") > 1)
    return Plan(contracts & (bench.pool.column("gross") < _LARGEST), make)


def executing_broker(bench: Bench) -> Plan:
    """T26: another executing broker."""
    brokers = bench.world.brokers

    def make(trade: Trade) -> Planted:
        true = trade.theirs["broker"]
        shown = (true + bench.between(1, len(brokers) - 1)) % len(brokers)
        bench.draft.edit(trade.row, broker=shown)
        stake = bench.gross(trade.theirs), bench.value_ccy(trade.theirs)
        return differs(trade, "T26", "executing_broker", brokers[true].code, brokers[shown].code, stake)

    return Plan(np.ones(len(bench.pool.group), np.bool_), make)


def unaffirmed(bench: Bench) -> Plan:
    """T27: no affirmation by 21:00 New York time, or a refusal."""
    cut_off = local_ns(bench.day, _CUT_OFF)

    def make(trade: Trade) -> Planted:
        shown = Affirm.PENDING if bench.below(5) else Affirm.REJECTED
        bench.draft.edit(trade.row, affirm=shown)
        stake = bench.gross(trade.theirs), bench.value_ccy(trade.theirs)
        made = differs(trade, "T27", "affirm", Affirm.AFFIRMED.name, shown.name, stake)
        return replace(made, detectable_at=max(cut_off, made.detectable_at))

    return Plan(bench.is_asset(Asset.EQUITY, Asset.ETF, Asset.BOND), make)


def rounding(bench: Bench) -> Plan:
    """T29: a price further off than its digits allow, yet too little to matter in money. Only dear shares have that."""
    dear = (bench.pool.column("price") >= _DEAR) & bench.is_asset(Asset.EQUITY, Asset.ETF)

    def make(trade: Trade) -> Planted:
        true = trade.theirs["price"]
        moved = bench.between(_BESIDE, true // _MONEY_PART // _FINE) * _FINE * bench.sign()
        return wrong_price(bench, trade, true + moved, "T29", _FINE_DIGITS)

    return Plan(dear, make)


def otc_terms(bench: Bench) -> Plan:
    """T30: trade identifier, coupon or upfront payment of a swap."""

    def make(trade: Trade) -> Planted:
        row = trade.theirs
        kind = bench.below(3) if bench.asset(row) is Asset.CDS else 0
        stake = bench.gross(row), bench.value_ccy(row)
        if kind == 0:
            shown = row["uti"] + bench.between(1, 9) * 10**6
            bench.draft.edit(trade.row, uti=shown)
            return differs(trade, "T30", "uti", row["uti"], shown, stake)
        if kind == 1:
            shown = 500 if row["coupon"] == 100 else 100
            bench.draft.edit(trade.row, coupon=shown)
            return differs(trade, "T30", "coupon", row["coupon"], shown, stake)
        moved = row["upfront"] * bench.between(2, 9) // 100 // CENT * CENT + 100 * CENT
        bench.draft.edit(trade.row, upfront=row["upfront"] + moved, net=_paid_more(row, moved))
        shown_text = text.amount(row["upfront"] + moved)
        return differs(trade, "T30", "upfront", text.amount(row["upfront"]), shown_text, (moved, stake[1]))

    return Plan(bench.is_asset(Asset.CDS, Asset.TRS), make)


def _paid_more(row: Row, moved: int) -> int:
    """Net money of a trade whose principal is higher by `moved`."""
    return row["net"] + (-moved if row["side"] == 1 else moved)


def _wrong_cost(bench: Bench, trade: Trade, code: str, name: str, shown: int) -> Planted:
    true = trade.theirs[name]
    bench.draft.edit(trade.row, **{name: shown})
    bench.draft.reprice(trade.row)
    stake = shown - true, trade.theirs["ccy"]
    return differs(trade, code, name, text.amount(true), text.amount(shown), stake)


PLANNERS: Mapping[str, Planner] = MappingProxyType(
    {
        "T16": commission,
        "T17": fee_tax,
        "T18": net_residual,
        "T19": interest,
        "T20": fx_rate,
        "T21": multiplier,
        "T26": executing_broker,
        "T27": unaffirmed,
        "T29": rounding,
        "T30": otc_terms,
    }
)
