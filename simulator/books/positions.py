"""Positions of a day: what each account opens with, what its trades and the day's splits make of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulator.books.setting import Setting
from simulator.books.shapes import BROKERS, State, Unsettled, booked, brokers_of, holder
from simulator.books.touch import Touched, merged
from simulator.market.actions import Kind
from simulator.market.world import Asset, World
from simulator.records import I64, Bool, Records, Side, Source

_PAIRS = (Asset.FX_SPOT, Asset.FX_FWD, Asset.FX_NDF)
# asset -> (share of lines held, usual size, sizes are multiples of)
_HELD: Mapping[Asset, tuple[float, float, int]] = {
    Asset.EQUITY: (0.92, 3_000, 20),
    Asset.ETF: (0.92, 5_000, 20),
    Asset.OPTION: (0.85, 60, 2),
    Asset.FUTURE: (0.95, 25, 1),
    Asset.BOND: (0.80, 600_000, 1_000),
    Asset.CDS: (0.60, 4_000_000, 100_000),
    Asset.TRS: (0.60, 10_000, 100),
}
_SPREAD = 0.8
# Trade breaks that leave positions as they are: about money, dates, names and terms.
_MOVES_NOTHING = frozenset({"T06", "T14", "T15", "T16", "T17", "T18", "T19", "T20", "T26", "T27", "T29", "T30"})
_SHORT = 0.18
_MOST = 5.0


@dataclass(slots=True, eq=False)
class Desk:
    """Positions while the day's books are made: arrays [broker, account, instrument], changed in place by planting.

    `fund` and `broker` are what the two sides will show, `fund_after` and `broker_after` what they will open the next
    day with. `pending` is what the broker's bookings have yet to settle (`late` by day), `traded` marks lines with
    bookings of the day, `free` lines of which no break is about the quantity. `box` holds quantity shown both long and
    short, `dated` lines shown by settlement date, `old` lines under their earlier name, `price` other prices than the
    close; by place in the arrays.
    """

    opening: I64
    fund_opening: I64
    broker_opening: I64
    fund: I64
    broker: I64
    fund_after: I64
    broker_after: I64
    pending: I64
    late: Unsettled
    traded: Bool
    free: Bool
    why: dict[int, tuple[str, ...]]
    box: dict[int, int] = field(default_factory=dict)
    dated: set[int] = field(default_factory=set)
    old: dict[int, str] = field(default_factory=dict)
    price: dict[int, int] = field(default_factory=dict)

    def place(self, cell: int) -> tuple[int, int, int]:
        """Broker, account and instrument of a place in the arrays."""
        _, accounts, lines = self.fund.shape
        spot, instrument = divmod(cell, lines)
        return spot // accounts, spot % accounts, instrument


def seeded(setting: Setting) -> I64:
    """What every account held before the first day of a run: most lines, some of them short."""
    world, random = setting.world, setting.rng("opening")
    assets = world.instruments.asset
    shape = (len(world.accounts), len(assets))
    made = np.zeros((BROKERS, *shape), np.int64)
    draws, sizes, signs = random.random(shape), random.lognormal(0, _SPREAD, shape), random.random(shape)
    qty = np.zeros(shape, np.int64)
    for asset, (share, usual, step) in _HELD.items():
        held = (assets == asset) & (draws < share)
        whole = np.maximum(1, np.rint(np.minimum(sizes, _MOST) * usual / step)).astype(np.int64) * step
        qty[held] = np.where(signs < _SHORT, -whole, whole)[held]
    for source in brokers_of(setting.profile.pbs):
        mine = world.accounts.pb == source
        made[source, mine] = qty[mine]
    return made


def signed(records: Records) -> I64:
    """Quantity bought (+) or sold (-)."""
    made: I64 = np.where(records.side == Side.BUY, records.qty, -records.qty)
    return made


def cells(records: Records, world: World) -> I64:
    """The place in the position array each record moves; only good where `moves` is true."""
    shape = (BROKERS, len(world.accounts), len(world.instruments))
    account = np.maximum(records.account, 0).astype(np.int64)
    made: I64 = np.ravel_multi_index((holder(records, world), account, records.instrument), shape)
    return made


def moves(records: Records, world: World) -> Bool:
    """Records that move positions: booked ones, in all but currencies."""
    made: Bool = booked(records) & ~np.isin(world.instruments.asset[records.instrument], _PAIRS)
    return made


def split(qty: I64, setting: Setting) -> I64:
    """Positions after the day's splits; fractions of a share are dropped."""
    made = qty.copy()
    for action in setting.actions_of(Kind.SPLIT):
        line = qty[..., action.instrument]
        made[..., action.instrument] = np.sign(line) * (np.abs(line) * action.numerator // action.denominator)
    return made


def open_desk(setting: Setting, shown: Records, standing: Bool, touch: Touched, opening: State | None) -> Desk:
    """The day's positions before anything is planted in them; `standing` records are live and booked."""
    world = setting.world
    fund_before = opening.fund_qty if opening else seeded(setting)
    broker_before = opening.broker_qty if opening else fund_before
    fund_open, broker_open = split(fund_before, setting), split(broker_before, setting)
    fund, broker, pending = fund_open.copy(), broker_open.copy(), np.zeros_like(fund_open)
    moving = moves(shown, world)
    standing = standing & moving
    cell, qty, ours = cells(shown, world), signed(shown), shown.source == Source.OMS
    for array, rows in ((fund, standing & ours), (broker, standing & ~ours)):
        np.add.at(array.reshape(-1), cell[rows], qty[rows])
    late = unsettled(setting, shown, standing, opening)
    np.add.at(pending.reshape(-1), late.cell, late.qty)
    why = merged(opening.why_qty if opening else {}, touch.why(cell, moving))
    traded: Bool = np.zeros(fund.shape, np.bool_)
    traded.reshape(-1)[cell[standing]] = True
    free = (fund == broker) & (fund_open == broker_open)
    free.reshape(-1)[touch.keys(cell, moving, _MOVES_NOTHING)] = False
    return Desk(
        broker_before,
        fund_open,
        broker_open,
        fund,
        broker,
        fund.copy(),
        broker.copy(),
        pending,
        late,
        traded,
        free,
        why,
    )


def unsettled(setting: Setting, shown: Records, standing: Bool, opening: State | None) -> Unsettled:
    """Bookings of brokers that settle after the day, of today and before, summed by line and settlement day.

    A split of a line changes what is still to be delivered in it too.
    """
    rows = np.flatnonzero(standing & (shown.source != Source.OMS) & (shown.settle_date > setting.day))
    today = shown.take(rows)
    fresh = Unsettled(cells(today, setting.world), today.settle_date, signed(today))
    if opening:
        fresh = Unsettled.concat([_still_open(setting, opening.unsettled), fresh])
    if not len(fresh):
        return fresh
    keys, at = np.unique(np.stack([fresh.cell, fresh.settle_date.astype(np.int64)]), axis=1, return_inverse=True)
    total = np.zeros(keys.shape[1], np.int64)
    np.add.at(total, at.reshape(-1), fresh.qty)
    return Unsettled(keys[0], keys[1].astype(np.int32), total)


def _still_open(setting: Setting, before: Unsettled) -> Unsettled:
    kept = before.take(before.settle_date > setting.day)
    instrument = kept.cell % len(setting.world.instruments)
    qty = kept.qty.copy()
    for action in setting.actions_of(Kind.SPLIT):
        of = instrument == action.instrument
        qty[of] = np.sign(qty[of]) * (np.abs(qty[of]) * action.numerator // action.denominator)
    return kept.with_(qty=qty)
