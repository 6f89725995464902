"""Tolerances as SQL expressions: exact decimal literals, no division, nothing that can overflow."""

from collections.abc import Mapping
from decimal import Decimal

from matching.rules import MoneyTolerance, PriceTolerance

_FINEST_SCALE = 12


def by_currency(amounts: Mapping[str, Decimal], ccy: str) -> str:
    """The amount for the currency expression `ccy`, else the default."""
    cases = "".join(f" when '{name}' then {value:f}" for name, value in sorted(amounts.items()) if name != "default")
    default = f"{amounts['default']:f}"
    return f"case {ccy}{cases} else {default} end" if cases else default


def half_unit(scale: str, least_scale: int) -> str:
    """Half a unit of the last digit shown, where fewer than `least_scale` digits count as that many.

    Trailing zeros are often dropped on the wire, so 10.5 shows one digit and still means 10.50.
    """
    cases = "".join(
        f" when {digits} then {Decimal(5).scaleb(-digits - 1):f}" for digits in range(least_scale, _FINEST_SCALE)
    )
    finest = f"{Decimal(5).scaleb(-_FINEST_SCALE - 1):f}"
    return f"case greatest(coalesce({scale}, {_FINEST_SCALE}), {least_scale}){cases} else {finest} end"


def price_tolerance(tolerance: PriceTolerance, scale: str, ccy: str) -> str:
    """The greatest price difference that is still equal."""
    half = half_unit(scale, tolerance.least_scale)
    if not any(tolerance.absolute.values()):
        return half
    return f"greatest({half}, {by_currency(tolerance.absolute, ccy)})"


def money_tolerance(tolerance: MoneyTolerance, amount: str, ccy: str) -> str:
    """The greatest difference of `amount` (a number(28, 6) expression) that is still equal."""
    return f"greatest({by_currency(tolerance.absolute, ccy)}, {tolerance.ratio:f} * abs({amount}))"
