"""The world of a seed: 480 instruments of every asset class, accounts, brokers, currency rates; their popularity."""

from datetime import date

import numpy as np
import numpy.typing as npt

from simulator.flow.rng import rng
from simulator.market.accounts import accounts
from simulator.market.bonds import bonds
from simulator.market.brokers import brokers
from simulator.market.derivatives import currencies, futures, options, swaps
from simulator.market.lines import equities
from simulator.market.listing import to_columns, units
from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import I8, Bool

FIRST = date(2026, 11, 20)
# Kinds of instrument as a profile's mix counts them, in the order of `kinds`.
KINDS = ("equity", "option", "future", "fx", "bond", "otc")
_KIND_OF = np.array([0, 0, 1, 2, 3, 3, 3, 4, 5, 5], np.int8)
_ZIPF = 0.9
_USD = {
    "USD": "1", "GBP": "1.26", "EUR": "1.05", "JPY": "0.00647249", "HKD": "0.12845215", "CHF": "1.12994350",
    "CAD": "0.71530758", "AUD": "0.651", "KRW": "0.00071505", "INR": "0.01184694",
}  # fmt: skip


def make_world(seed: int, first: date = FIRST) -> World:
    """The world of `seed`; expiries, forwards and maturities are counted from `first`, the first day simulated."""
    random = rng(seed, 0, "market")
    lines = equities(random)
    rows = [
        *lines, *options(random, first, lines), *futures(first), *currencies(first), *bonds(random, first, lines),
        *swaps(first, lines),
    ]  # fmt: skip
    rates = np.array([units(_USD[ccy]) for ccy in CURRENCIES], np.int64)
    return World(to_columns(rows), accounts(), brokers(), rates)


def kinds(world: World) -> I8:
    """Each instrument's kind: an index of KINDS."""
    made: I8 = _KIND_OF[world.instruments.asset]
    return made


def weights(world: World) -> npt.NDArray[np.float64]:
    """How often each instrument trades among its kind: Zipf with exponent 0.9; the weights of a kind sum to one."""
    kind = kinds(world)
    made = np.zeros(len(kind))
    for number in range(len(KINDS)):
        rows = np.flatnonzero(kind == number)
        share = 1 / np.arange(1, len(rows) + 1) ** _ZIPF
        made[rows] = share / share.sum()
    return made


def in_32nds(world: World) -> Bool:
    """Futures some write in 32nds of a point: those on Treasuries."""
    lines = world.instruments
    made: Bool = (lines.asset == Asset.FUTURE) & (lines.mic == "XCBT")
    return made
