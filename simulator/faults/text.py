"""How labels write values: exact decimals, dates, and the sides by name."""

from datetime import date, timedelta

from simulator.faults.draft import Row
from simulator.records import MONEY_UNIT, PRICE_UNIT, Effect, Side

_EPOCH = date(1970, 1, 1)


def exact(units: int, per_unit: int) -> str:
    """A scaled integer as a decimal without trailing zeros."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), per_unit)
    digits = f"{rest:0{len(str(per_unit)) - 1}d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def price(units: int) -> str:
    """A price or rate."""
    return exact(units, PRICE_UNIT)


def amount(units: int) -> str:
    """Money."""
    return exact(units, MONEY_UNIT)


def day(days: int) -> str:
    """Days since 1970 as an ISO date."""
    return (_EPOCH + timedelta(days=days)).isoformat()


def side(row: Row) -> str:
    """The side by name; a buy that closes a short position is a cover."""
    if row["side"] == Side.BUY and row["effect"] == Effect.CLOSE:
        return "BUY_COVER"
    return Side(row["side"]).name
