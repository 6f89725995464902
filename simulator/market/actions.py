"""Corporate actions of a day: splits, changes of name and ISIN, dividends and coupons, drawn from the seed."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from simulator.flow.rng import rng
from simulator.market.identifiers import cusip, isin
from simulator.market.world import Asset, World
from simulator.records import PRICE_UNIT, Index

# Far more than a real quarter has: every kind must leave lines at each of the fund's twelve accounts.
SPLITS = 12
RENAMES = 12
DIVIDENDS = 12
COUPONS = 6
# The names everybody trades pay dividends; splits and renames happen to the less popular ones.
_POPULAR = 40
_RATIOS = ((2, 1), (3, 1), (4, 1), (3, 2), (10, 1), (1, 5))
_DAYS_IN_WEEK = 7
_WEEKDAYS = 5
# 1970-01-01 was a Thursday: three days into its week.
_EPOCH_WEEKDAY = 3
_CENT = PRICE_UNIT // 100
_BASIS_POINT = 10_000


class Kind(StrEnum):
    """What happens, as corporate_action.action_type names it."""

    SPLIT = "SPLIT"
    RENAME = "RENAME"
    DIVIDEND = "DIVIDEND"
    COUPON = "COUPON"


@dataclass(frozen=True, slots=True)
class Action:
    """One corporate action on a row of the world's instruments; days count from 1970.

    A split turns `denominator` shares into `numerator` at the open of `ex_day`. `amount` is what one share, or one
    unit of a bond's face, pays in PRICE_UNITs of the line's currency on `pay_day`, to whoever held it at the open of
    `pay_day`. A rename replaces the old key, ISIN, CUSIP and symbol at the open of `ex_day`; empty otherwise.
    """

    kind: Kind
    instrument: int
    ex_day: int
    pay_day: int
    numerator: int = 1
    denominator: int = 1
    amount: int = 0
    old_isin: str = ""
    old_cusip: str = ""
    old_symbol: str = ""

    @property
    def action_id(self) -> str:
        """Unique over a run."""
        return f"CA-{self.kind}-{self.pay_day}-{self.instrument}"


def actions_on(world: World, seed: int, day: int) -> list[Action]:
    """What takes effect, or is paid, on `day`; a line has its turn again after ten business days or more."""
    return [*_splits(world, seed, day), *_renames(world, seed, day), *_payments(world, seed, day)]


def _equities(world: World) -> Index:
    return np.flatnonzero(world.instruments.asset == Asset.EQUITY)


def _pools(world: World, seed: int) -> tuple[Index, Index]:
    """Lines that may split and lines that may be renamed, the latter American: both CUSIP and ISIN change."""
    quiet = rng(seed, 0, "actions.pool").permutation(_equities(world)[_POPULAR:])
    american = np.char.startswith(world.instruments.isin[quiet], "US")
    rank = np.cumsum(american)
    # Three in four American lines and no foreign one may be renamed; all the rest may split.
    renamed = american & (rank % 4 != 0)
    return quiet[~renamed], quiet[renamed]


def _turn(pool: Index, day: int, count: int) -> list[int]:
    """The `count` lines of the pool whose turn it is: day after business day the next ones."""
    week, weekday = divmod(day + _EPOCH_WEEKDAY, _DAYS_IN_WEEK)
    first = (week * _WEEKDAYS + min(weekday, _WEEKDAYS - 1)) * count
    places = dict.fromkeys((first + n) % len(pool) for n in range(count)) if len(pool) else {}
    return [int(pool[place]) for place in places]


def _splits(world: World, seed: int, day: int) -> list[Action]:
    lines = _turn(_pools(world, seed)[0], day, SPLITS)
    kinds = rng(seed, day, "actions.ratio").permutation(len(_RATIOS))
    return [
        Action(Kind.SPLIT, line, day, day, *_RATIOS[kinds[n % len(_RATIOS)]]) for n, line in enumerate(lines)
    ]  # fmt: skip


def _renames(world: World, seed: int, day: int) -> list[Action]:
    made = []
    for line in _turn(_pools(world, seed)[1], day, RENAMES):
        # The issuer's first codes: drawn once per line, whatever day it is renamed.
        digits = rng(seed, line, "actions.identity").integers(0, 10, 6)
        code = cusip("".join(map(str, digits)) + "10")
        symbol = f"{str(world.instruments.symbol[line]).split('.')[0][:3]}{'QVXZ'[line % 4]}O"
        made.append(Action(Kind.RENAME, line, day, day, old_isin=isin(f"US{code}"), old_cusip=code, old_symbol=symbol))
    return made


def _payments(world: World, seed: int, day: int) -> list[Action]:
    random = rng(seed, day, "actions.payments")
    popular = _equities(world)[:_POPULAR]
    bonds = np.flatnonzero((world.instruments.asset == Asset.BOND) & (world.instruments.coupon > 0))
    made = []
    for line in random.permutation(popular)[:DIVIDENDS].tolist():
        price = int(world.instruments.price[line])
        # A quarter of a yield of 0.8 to 4%.
        amount = max(_CENT, round(price * float(random.uniform(0.002, 0.01)) / _CENT) * _CENT)
        made.append(Action(Kind.DIVIDEND, line, day - 1, day, amount=amount))
    for line in random.permutation(bonds)[:COUPONS].tolist():
        half_year = int(world.instruments.coupon[line]) * PRICE_UNIT // (2 * _BASIS_POINT)
        made.append(Action(Kind.COUPON, line, day, day, amount=half_year))
    return made
