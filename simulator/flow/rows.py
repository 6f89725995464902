"""Records from orders: the columns every record of an order shares, and the fund's own record of each execution."""

from dataclasses import dataclass

import numpy as np

from simulator.flow.fees import charge
from simulator.flow.fills import Fills
from simulator.flow.orders import Draft
from simulator.flow.rng import rng
from simulator.flow.timing import drop_copy, morning
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import I8, I32, I64, PRICE_UNIT, Level, Records, Source, divide

GROUPS_A_DAY = 10**9
TWIN_NOISE = 27
_USD = CURRENCIES.index("USD")
# Decimals a source shows: of an average price, and at most of a fill's price.
_SHOWN = np.array([4, 6, 4, 4, 6, 8], np.int8)
_FILLS_SHOWN = np.array([8, 6, 4, 4, 6, 8], np.int8)
# Prices below this many units are shown with at least six decimals: four would move the money by more than a basis
# point.
_LOW_PRICE, _LOW_PRICE_SHOWN = 10 * PRICE_UNIT, 6
_LEAST_SHOWN = 2
_POWERS = 10 ** np.arange(8, -1, -1, dtype=np.int64)
_REPORTED = (Asset.FX_FWD, Asset.FX_NDF, Asset.CDS, Asset.TRS)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What all stages of a day share: the orders as drafted, the settlement terms of each, and the world."""

    seed: int
    day: int
    world: World
    draft: Draft
    settle_ccy: I8
    fx_rate: I64


def basis(seed: int, day: int, world: World, draft: Draft) -> Basis:
    """Settlement currency and rate of each order: FX pays the second currency, some foreign equities US dollars."""
    lines = world.instruments
    asset, ccy = lines.asset[draft.instrument], lines.ccy[draft.instrument]
    pays = (asset == Asset.FX_SPOT) | (asset == Asset.FX_FWD)
    settle = np.where(pays, lines.ccy2[draft.instrument], ccy)
    settle = np.where(draft.cross, _USD, settle).astype(np.int8)
    random = rng(seed, day, "fx")
    moved = 1_000_000 + random.integers(-2_000, 2_001, len(draft))
    rate = np.where(draft.cross, divide(world.usd[ccy] * moved, 1_000_000), 0)
    return Basis(seed, day, world, draft, settle, rate)


def of_orders(base: Basis, order: I64) -> Records:
    """One blank record per row of `order` with what follows from the order alone."""
    draft, lines = base.draft.take(order), base.world.instruments
    line = draft.instrument
    return Records.blank(len(order)).with_(
        day=base.day,
        version=1,
        order=order,
        account=draft.account,
        instrument=line,
        side=draft.side,
        effect=draft.effect,
        ccy=lines.ccy[line],
        settle_ccy=base.settle_ccy[order],
        fx_rate=base.fx_rate[order],
        multiplier=lines.multiplier[line],
        trade_date=draft.trade_date,
        settle_date=draft.settle_date,
        broker=draft.broker,
        coupon=np.where(np.isin(lines.asset[line], (Asset.BOND, Asset.CDS)), lines.coupon[line], 0),
    )


def own_fills(base: Basis, fills: Fills) -> Records:
    """The fund's record of each execution: row n has serial n + 1; those of blocks have neither account nor group."""
    random = rng(base.seed, base.day, "drop copy")
    records = of_orders(base, fills.order)
    rows = np.arange(1, len(records) + 1, dtype=np.int64)
    single = records.account >= 0
    pb = np.where(single, base.world.accounts.pb[records.account], -1)
    by_order = pb >= Source.CHARLIE
    group = np.where(by_order, len(rows) + 1 + fills.order, rows)
    arrive = drop_copy(random, fills.event_ns)
    # Trades of the day before come in together, one morning's delay for the order.
    at = morning(random, base.day, len(base.draft))[fills.order]
    start = base.draft.start_ns[fills.order]
    arrive = np.where(base.draft.as_of[fills.order], at + arrive - start, arrive)
    filled = records.with_(
        level=Level.FILL,
        serial=rows,
        root=rows,
        group=np.where(single, base.day * GROUPS_A_DAY + group, 0),
        pb=pb,
        qty=fills.qty,
        price=fills.price,
        price_dp=fill_decimals(base.world, records.instrument, np.zeros(len(rows), np.int8)),
        event_ns=fills.event_ns,
        arrive_ns=arrive,
        noise=np.where(fills.twin, 1 << TWIN_NOISE, 0),
    )
    return charge(identified(filled, base.world), base.world)


def identified(records: Records, world: World) -> Records:
    """The same records with a trade identifier where such trades are reported to a repository: both sides' number."""
    reported = np.isin(world.instruments.asset[records.instrument], _REPORTED)
    return records.with_(uti=np.where(reported, records.group, 0))


def fill_decimals(world: World, instrument: I32, source: I8) -> I8:
    """Decimals of an execution's price: those of the line's tick, at least two, at most what the source shows."""
    tick = world.instruments.tick
    ticks = np.argmin(tick[:, None] % _POWERS[None, :] != 0, axis=1)
    low = world.instruments.price < _LOW_PRICE
    least = np.maximum(ticks, _LEAST_SHOWN)[instrument]
    most = np.where(low[instrument], np.maximum(_FILLS_SHOWN[source], _LOW_PRICE_SHOWN), _FILLS_SHOWN[source])
    made: I8 = np.minimum(least, most).astype(np.int8)
    return made


def average_decimals(price: I64, source: I8) -> I8:
    """Decimals of an average price at a source; `price` in PRICE_UNITs tells low prices, which are shown finer."""
    shown = _SHOWN[source]
    return np.where(price < _LOW_PRICE, np.maximum(shown, _LOW_PRICE_SHOWN), shown).astype(np.int8)


def rounded(price: I64, decimals: I8) -> I64:
    """A price rounded half up to a number of decimals."""
    step = _POWERS[decimals]
    return divide(price, step) * step


def average(notional: I64, qty: I64, source: I8) -> tuple[I64, I8]:
    """The average price of `qty` (positive) for `notional` (qty x PRICE_UNITs), and its decimals."""
    decimals = average_decimals(notional // qty, source)
    step = _POWERS[decimals]
    return divide(notional, qty * step) * step, decimals
