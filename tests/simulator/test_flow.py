"""The clean flow: totals, rounding of blocks, agreement of both sides, chains of versions, determinism."""

from dataclasses import fields
from datetime import date, time
from functools import cache

import numpy as np
import pytest

from simulator.flow import allocate, timing
from simulator.flow.day import trade_day
from simulator.flow.fees import recompute
from simulator.flow.live import live
from simulator.flow.trades import Trades
from simulator.market.universe import make_world
from simulator.market.world import CURRENCIES, Asset, World
from simulator.profiles import STRESS_MIX, Profile
from simulator.records import I64, PRICE_UNIT, Level, Records, Side, Source, Status

DAY = (date(2026, 11, 20) - date(1970, 1, 1)).days
FILLS = 20_000
COSTS = ("commission", "fee_sec", "fee_exchange", "tax", "accrued")


@cache
def world() -> World:
    return make_world(7)


@cache
def day(fix: bool = False) -> Trades:
    return trade_day(7, DAY, world(), Profile("test", FILLS, mix=STRESS_MIX, charlie_fix=fix))


def own_fills(trades: Trades) -> Records:
    records = trades.records
    return records.take((records.source == Source.OMS) & (records.level == Level.FILL) & (records.version == 1))


def sums(groups: I64, records: Records, values: I64) -> I64:
    made = np.zeros(len(groups), np.int64)
    np.add.at(made, np.searchsorted(groups, records.group), values)
    return made


@pytest.mark.parametrize("rule", range(4))
def test_shares_of_a_block_add_up_under_every_rule(rule: int) -> None:
    random = np.random.default_rng(rule)
    rows = 3_000
    qty = random.integers(1, 20_000, rows)
    qty[:1_000] = random.integers(1, 12, 1_000)
    weights = random.integers(1, 11, (rows, 5))
    weights[np.arange(5) >= random.integers(2, 6, rows)[:, None]] = 0
    shares = allocate.split(qty, weights, np.full(rows, rule, np.int8))
    assert (shares.sum(axis=1) == qty).all()
    assert (shares >= 0).all()
    assert (shares[weights == 0] == 0).all()
    exact = qty[:, None] * weights / weights.sum(axis=1, keepdims=True)
    assert np.abs(shares - exact).max() < 5


def test_rounding_rules_by_example() -> None:
    qty, weights = np.array([100]), np.array([[1, 1, 1]])
    wanted = {0: [34, 33, 33], 1: [33, 33, 34], 2: [34, 33, 33], 3: [34, 33, 33]}
    for rule, shares in wanted.items():
        assert allocate.split(qty, weights, np.array([rule], np.int8)).tolist() == [shares]
    halves = allocate.split(np.array([5, 5]), np.array([[1, 1], [1, 1]]), np.array([3, 1], np.int8))
    assert halves.tolist() == [[3, 2], [2, 3]]


@pytest.mark.parametrize("fix", [False, True])
def test_both_sides_agree_on_every_live_group(fix: bool) -> None:
    records = day(fix).records
    stands = records.take(live(records) & (records.group > 0))
    ours, theirs = stands.take(stands.source == Source.OMS), stands.take(stands.source != Source.OMS)
    groups = np.unique(stands.group)
    assert (sums(groups, theirs, np.ones(len(theirs), np.int64)) == 1).all()
    assert (sums(groups, ours, np.ones(len(ours), np.int64)) >= 1).all()
    qty = sums(groups, ours, ours.qty)
    assert (qty == sums(groups, theirs, theirs.qty)).all()
    for name in COSTS:
        assert (sums(groups, ours, getattr(ours, name)) == sums(groups, theirs, getattr(theirs, name))).all(), name
    # Exact: |notional - qty x price shown| is at most qty x half a unit of the places shown, on either side.
    notional, price = sums(groups, ours, ours.qty * ours.price), sums(groups, theirs, theirs.price)
    unit = 10 ** (8 - sums(groups, theirs, theirs.price_dp.astype(np.int64)))
    share = sums(groups, ours, (ours.level == Level.ALLOCATION) * 10 ** (8 - ours.price_dp.astype(np.int64)))
    assert (2 * np.abs(notional - qty * price) <= qty * (unit + share)).all()
    at = np.searchsorted(groups, theirs.group)
    first = np.empty(len(groups), np.int64)
    first[np.searchsorted(groups, ours.group)] = np.arange(len(ours))
    for name in ("account", "pb", "instrument", "side", "ccy", "settle_ccy", "trade_date", "settle_date", "uti"):
        assert (getattr(ours, name)[first[at]] == getattr(theirs, name)).all(), name


def test_totals_of_orders_and_the_number_of_fills() -> None:
    trades = day()
    fills = own_fills(trades)
    assert len(fills) == FILLS
    total = np.bincount(fills.order, fills.qty).astype(np.int64)
    assert (total == trades.orders.qty).all()
    assert (fills.order_qty == trades.orders.qty[fills.order]).all()
    last = np.append(np.flatnonzero(np.diff(fills.order)), len(fills) - 1)
    busted = np.unique(trades.records.order[trades.records.status == Status.CANCEL])
    whole = ~np.isin(fills.order[last], busted)
    assert (fills.cum_qty[last] == fills.order_qty[last])[whole].all()
    assert (np.diff(fills.event_ns)[np.diff(fills.order) == 0] >= 0).all()


def test_blocks_are_allocated_whole() -> None:
    trades = day()
    records = trades.records
    ours = records.take(live(records) & (records.source == Source.OMS))
    shares, fills = ours.take(ours.level == Level.ALLOCATION), ours.take(ours.level == Level.FILL)
    block = fills.take(fills.account < 0)
    assert (block.group == 0).all() and (block.pb == -1).all()
    rows = len(trades.orders)
    assert (np.bincount(shares.order, shares.qty, rows) == np.bincount(block.order, block.qty, rows)).all()
    assert (np.diff(np.flatnonzero(np.diff(shares.order) != 0)) <= 5).all()
    last = np.zeros(rows, np.int64)
    np.maximum.at(last, block.order, block.event_ns)
    assert (shares.arrive_ns >= last[shares.order] + 300 * 10**9).all()
    one = records.take((records.source == Source.OMS) & (records.level == Level.ALLOCATION) & (records.version == 1))
    message = np.flatnonzero(np.diff(one.order) == 0)
    assert (one.arrive_ns[message] == one.arrive_ns[message + 1]).all()
    assert len(np.unique(one.order)) == 1 + int((np.diff(one.order) != 0).sum())


def test_chains_refer_to_earlier_versions_that_came_before() -> None:
    records = day().records
    seen: set[tuple[int, int]] = set()
    for source in Source:
        own = records.take(records.source == source)
        assert sorted(own.serial) == list(range(1, len(own) + 1))
        by_serial = own.take(np.argsort(own.serial))
        later = own.take(own.prev > 0)
        before, root = by_serial.take(later.prev - 1), by_serial.take(later.root - 1)
        assert (before.root == later.root).all() and (before.group == later.group).all()
        assert (before.version < later.version).all() and (before.arrive_ns <= later.arrive_ns).all()
        assert (root.version == 1).all() and (root.root == root.serial).all()
        seen |= set(zip(later.version.tolist(), (later.prev == later.root).tolist(), strict=True))
    # A third version refers to the second or, by the other convention, to the first.
    assert {(2, True), (3, True), (3, False)} <= seen


def test_what_brokers_quote_and_when_they_book() -> None:
    records = day().records
    ours = records.take(records.source == Source.OMS)
    ours = ours.take(np.argsort(ours.serial))
    for source in Source:
        theirs = records.take((records.source == source) & (source != Source.OMS))
        assert (theirs.pb == theirs.source).all()
        assert (world().accounts.pb[theirs.account] == theirs.source).all()
        if source in (Source.ALPHA, Source.BRAVO):
            quoted = ours.take(theirs.cross - 1)
            assert (quoted.group == theirs.group).all() and (quoted.level == theirs.level).all()
            # A replaced share keeps its IndividualAllocID(467): the later booking quotes the first version's.
            timed = (theirs.noise >> 25 & 1 == 0) & ((theirs.level == Level.FILL) | (theirs.version == 1))
            lag = (theirs.arrive_ns - quoted.arrive_ns)[timed]
            assert lag.max() <= 45 * 10**9 and lag.min() == -1_000_000
        elif source:
            assert (theirs.cross == 0).all() and (theirs.level == Level.ALLOCATION).all()
            assert np.isin(theirs.arrive_ns, timing.slot_after(source, theirs.arrive_ns - 1)).all()


def test_one_seed_gives_the_same_day_and_another_does_not() -> None:
    profile = Profile("small", 1_500)
    one, two, other = (trade_day(seed, DAY, world(), profile) for seed in (3, 3, 4))
    for table in ("orders", "records"):
        for f in fields(getattr(one, table)):
            same = np.array_equal(getattr(getattr(one, table), f.name), getattr(getattr(two, table), f.name))
            assert same, f.name
    assert len(other.records) != len(one.records) or (other.records.qty != one.records.qty).any()


def test_groups_and_brokers_of_a_narrow_profile() -> None:
    trades = trade_day(5, DAY, world(), Profile("narrow", 800, pbs="CE"))
    assert set(np.unique(trades.records.source)) == {Source.OMS, Source.CHARLIE, Source.ECHO}
    later = trade_day(5, DAY + 3, world(), Profile("narrow", 800, pbs="CE"))
    groups = set(trades.records.group.tolist()) & set(later.records.group.tolist())
    assert groups <= {0}


def test_what_trades_cost() -> None:
    records = day().records
    assets = world().instruments.asset[records.instrument]
    sells = (records.ccy == CURRENCIES.index("USD")) & (records.side != Side.BUY)
    shares = (assets == Asset.EQUITY) | (assets == Asset.ETF)
    assert ((records.fee_sec > 0) == (sells & shares)).all()
    assert (records.accrued[assets != Asset.BOND] == 0).all() and (records.accrued >= 0).all()
    assert (records.tax[records.side != Side.BUY] == 0).all() and records.tax.any()
    assert (records.commission[np.isin(assets, (Asset.FX_SPOT, Asset.BOND, Asset.CDS))] == 0).all()
    pays = assets != Asset.FX_NDF
    assert ((records.net > 0) <= (records.side != Side.BUY))[pays].all()
    crossed = records.fx_rate > 0
    assert crossed.any() and (records.settle_ccy[crossed] == 0).all() and (records.ccy[crossed] != 0).all()
    again = recompute(records, world())
    for name in ("gross", "net", "upfront"):
        assert (getattr(again, name) == getattr(records, name)).all(), name


def test_accrued_interest_by_hand() -> None:
    records = day().records
    assets = world().instruments.asset[records.instrument]
    row = int(np.flatnonzero((assets == Asset.BOND) & (records.accrued > 0))[0])
    line = records.instrument[row]
    ends = date.fromordinal(date(1970, 1, 1).toordinal() + int(world().instruments.expiry[line]))
    settles = date.fromordinal(date(1970, 1, 1).toordinal() + int(records.settle_date[row]))
    left = sum(
        unit * (a - b)
        for unit, a, b in (
            (360, ends.year, settles.year),
            (30, ends.month, settles.month),
            (1, min(ends.day, 30), min(settles.day, 30)),
        )
    )
    days = -left % 180
    cents = records.qty[row] * world().instruments.coupon[line] * days * 100 / (10_000 * 360)
    assert abs(records.accrued[row] / 100 - cents) <= 0.5


def test_slots_of_files() -> None:
    noon = timing.local_ns(DAY, time(12, 0))
    assert timing.slot_after(Source.CHARLIE, np.array([noon - 1, noon])).tolist() == [
        noon,
        timing.local_ns(DAY, time(16, 30)),
    ]
    # 20 November 2026 is a Friday: what comes after its last file is in Monday's.
    evening = timing.local_ns(DAY, time(18, 30))
    assert timing.slot_after(Source.DELTA, np.array([evening])).tolist() == [timing.local_ns(DAY + 3, time(18, 30))]
    assert timing.due(Source.ALPHA, np.array([noon])).tolist() == [noon + 60 * 10**9]
    assert timing.due(Source.DELTA, np.array([noon])).tolist() == [evening + 600 * 10**9]


def test_prices_fit_the_places_shown() -> None:
    records = day().records
    assert (records.price % 10 ** (8 - records.price_dp.astype(np.int64)) == 0).all()
    assert (records.price > 0).all() and (records.qty > 0).all()
    assert records.price.max() < 10**7 * PRICE_UNIT


def test_the_shape_of_a_day() -> None:
    trades = trade_day(7, DAY, world(), Profile("plain", FILLS))
    records, orders = trades.records, trades.orders
    fills = own_fills(trades)
    shares = fills.take(world().instruments.asset[fills.instrument] <= Asset.ETF)
    assert abs((shares.qty == 100).mean() - 0.38) < 0.02
    assert abs(((shares.qty > 100) & (shares.qty <= 500)).mean() - 0.22) < 0.02
    assert abs((shares.qty < 100).mean() - 0.25) < 0.02
    assert abs((shares.noise >> 27 & 1).mean() - 0.06) < 0.015
    ours = records.take((records.source == Source.OMS) & (records.level == Level.FILL))
    assert (ours.version == 2).sum() == round(FILLS * 0.002) + round(FILLS * 0.005)
    equity = orders.take(world().instruments.asset[orders.instrument] <= Asset.ETF)
    assert abs((equity.side != Side.BUY).mean() - 0.33) < 0.05
    assert abs((equity.account < 0).mean() - 0.40) < 0.05
    assert 900 < np.median(equity.qty) < 1_700
    lag = (fills.arrive_ns - fills.event_ns)[fills.trade_date == DAY]
    assert lag.min() >= 5_000_000 and lag.max() < 60 * 10**9 and np.median(lag) < 500_000_000
    late = records.take(records.trade_date < DAY)
    assert len(late) and (late.arrive_ns >= timing.local_ns(DAY, time(7, 0))).all()


def test_twins_are_alike_and_markets_on_holiday_do_not_trade() -> None:
    fills = own_fills(day())
    twin = np.flatnonzero(fills.noise >> 27 & 1)
    keys = [tuple(getattr(fills, name)[twin].tolist()) for name in ("order", "qty", "price", "event_ns")]
    _, counts = np.unique(np.array(keys), axis=1, return_counts=True)
    assert counts.min() >= 2
    # Monday 23 November 2026 is a holiday in Tokyo alone.
    monday = trade_day(7, DAY + 3, world(), Profile("monday", 3_000))
    mics = world().instruments.mic
    assert "XTKS" in mics[day().orders.instrument] and "XTKS" not in mics[monday.orders.instrument]
