"""Bonds: US Treasuries, dollar corporates of listed issuers, gilts; prices per 100 of face, coupons in basis points."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

from numpy.random import Generator

from simulator.market.identifiers import drawn_cusip, drawn_isin, drawn_sedol, isin
from simulator.market.listing import Listing, day_number, months_after, rounded, units
from simulator.market.world import Asset

TREASURY_ISSUERS = ("91282C", "912810")
_TREASURIES, _GILTS = 22, 12
# Two bonds of each issuer.
_ISSUERS = ("AAPL", "MSFT", "AMZN", "JPM", "BAC", "C", "WFC", "GS", "MS", "T", "VZ", "ORCL", "XOM")
_SIXTY_FOURTH, _THOUSANDTH, _HUNDREDTH = units("0.015625"), units("0.001"), units("0.01")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def bonds(random: Generator, first: date, lines: Sequence[Listing]) -> list[Listing]:
    """Sixty bonds; the partner of each is the next of its kind or issuer."""
    by_symbol = {row.symbol: row for row in lines}
    treasuries = [_treasury(random, first, n) for n in range(_TREASURIES)]
    gilts = [_gilt(random, first, n) for n in range(_GILTS)]
    corporates = []
    for symbol in _ISSUERS:
        pair = [_corporate(random, first, by_symbol[symbol], n) for n in range(2)]
        corporates += [replace(pair[0], line=pair[1].key), replace(pair[1], line=pair[0].key)]
    return [*_ring(treasuries), *corporates, *_ring(gilts)]


def _ring(rows: list[Listing]) -> list[Listing]:
    return [replace(row, line=rows[n - 1].key) for n, row in enumerate(rows)]


def _treasury(random: Generator, first: date, number: int) -> Listing:
    years = (2, 3, 5, 7, 10, 20, 30)[number % 7]
    issuer = TREASURY_ISSUERS[years >= 20]
    cusip = drawn_cusip(random, issuer, f"{_LETTERS[number]}{_LETTERS[(number * 7 + 3) % 24]}")
    # A year of difference per round keeps maturities apart.
    end = months_after(first, 12 * years + 3 * (number // 7) + 1) + timedelta(days=14)
    return _bond(random, "T", "US Treasury", "USD", end, _SIXTY_FOURTH, isin(f"US{cusip}"), cusip, "")


def _corporate(random: Generator, first: date, issuer: Listing, number: int) -> Listing:
    cusip = drawn_cusip(random, issuer.cusip[:6], f"{_LETTERS[int(random.integers(0, 24))]}{'GM'[number]}")
    months = int(random.integers(20, 70)) + number * 72
    end = months_after(first, months) + timedelta(days=int(random.integers(0, 28)))
    return _bond(random, issuer.symbol, issuer.name, "USD", end, _THOUSANDTH, isin(f"US{cusip}"), cusip, "")


def _gilt(random: Generator, first: date, number: int) -> Listing:
    sedol = drawn_sedol(random)
    end = months_after(first, 14 + 19 * number) + timedelta(days=21)
    return _bond(random, "UKT", "UK Treasury", "GBP", end, _HUNDREDTH, drawn_isin(random, "GB", sedol), "", sedol)


def _bond(
    random: Generator, ticker: str, name: str, ccy: str, end: date, tick: int, key: str, cusip: str, sedol: str
) -> Listing:
    quarters = int(random.integers(7, 23))
    whole, part = divmod(quarters, 4)
    shown = f"{whole} {Fraction(part, 4)}" if part else str(whole)
    price = rounded(float(random.uniform(92, 106)), tick)
    return Listing(
        key=key,
        symbol=f"{ticker} {quarters / 4:.2f} {end:%m/%d/%Y}",
        broker_symbol=f"{ticker} {shown} {end:%m/%d/%y}",
        name=f"{name} {quarters / 4:.3f}% {end:%d %b %Y}",
        asset=Asset.BOND,
        ccy=ccy,
        price=price,
        tick=tick,
        isin=key,
        cusip=cusip,
        sedol=sedol,
        expiry=day_number(end),
        coupon=quarters * 25,
    )
