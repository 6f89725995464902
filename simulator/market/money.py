"""Amounts of any currency in US dollars, in integers."""

from simulator.market.world import World
from simulator.records import I8, I64, PRICE_UNIT, divide


def usd(world: World, amount: I64, ccy: I8) -> I64:
    """`amount` (MONEY_UNITs of `ccy`, an index of CURRENCIES) in MONEY_UNITs of a dollar; exact to 9e16 units."""
    rate = world.usd[ccy]
    # In two parts: an amount times a rate does not fit 64 bits.
    whole, rest = amount // PRICE_UNIT, amount % PRICE_UNIT
    made: I64 = whole * rate + divide(rest * rate, PRICE_UNIT)
    return made
