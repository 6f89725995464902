"""Tolerances as SQL expressions: exact decimal literals, no division, nothing that can overflow."""

from collections.abc import Mapping
from decimal import Decimal

from matching.profiles import (
    CappedPercent,
    ExactMatch,
    MoneyTolerance,
    NotUsed,
    PercentMatch,
    Populated,
    PriceTolerance,
    Profile,
    Range,
    Tolerance,
)

_FINEST_SCALE = 12
# More than any difference can be: what is not used for matching never differs.
_BOUNDLESS = f"{10**20}"
_PERCENT = Decimal("0.01")


def literal(value: str) -> str:
    """A text of the rule file as SQL."""
    return "'" + value.replace("'", "''") + "'"


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
    if not tolerance.ratio:
        return by_currency(tolerance.absolute, ccy)
    return f"greatest({by_currency(tolerance.absolute, ccy)}, {tolerance.ratio:f} * abs({amount}))"


def in_order(profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
    """Named before currency: the order in which the first that fits is taken."""
    return tuple(sorted(profiles, key=lambda profile: not profile.named))


def chosen_profile(profiles: tuple[Profile, ...], *, pb: str, account: str, asset: str, ccy: str) -> str:
    """Name of the profile that fits, null where none does; the arguments are SQL expressions."""
    cases = []
    for profile in in_order(profiles):
        wanted = ((pb, profile.pb), (account, profile.account), (asset, profile.asset), (ccy, profile.ccy))
        tests = " and ".join(f"{name} = {literal(value)}" for name, value in wanted if value is not None)
        cases.append(f"when {tests} then {literal(profile.name)}")
    return f"case {' '.join(cases)} end" if cases else "cast(null as varchar)"


def judged(profiles: tuple[Profile, ...], field: str, *, profile: str, ours: str, theirs: str, default: str) -> str:
    """The tolerance of `field`: as its profile says, else `default`; `ours` and `theirs` are the amounts."""
    cases = [
        f"when {literal(one.name)} then {_allowed(tolerance, ours, theirs)}"
        for one in profiles
        if (tolerance := getattr(one, field)) is not None
    ]
    return f"case {profile} {' '.join(cases)} else {default} end" if cases else default


def unpopulated(profiles: tuple[Profile, ...], field: str, *, profile: str, theirs: str) -> str | None:
    """True where a profile wants the counterparty to state `field` and it does not; None where none wants it."""
    wanting = [literal(one.name) for one in profiles if isinstance(getattr(one, field), Populated)]
    return f"{profile} in ({', '.join(wanting)}) and {theirs} is null" if wanting else None


def _allowed(tolerance: Tolerance, ours: str, theirs: str) -> str:
    match tolerance:
        case ExactMatch():
            return "0"
        case PercentMatch(percent=percent):
            return f"{percent * _PERCENT:f} * abs({ours})"
        case CappedPercent(percent=percent, at_most=at_most):
            return f"least({percent * _PERCENT:f} * abs({ours}), {at_most:f})"
        case Range(below=below, above=above):
            return f"case when abs({theirs}) > abs({ours}) then {above:f} else {below:f} end"
        case NotUsed() | Populated():
            return _BOUNDLESS
