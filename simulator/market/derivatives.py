"""Derivatives: listed options, futures, currency pairs spot and forward, credit default and total return swaps."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from math import exp

from numpy.random import Generator

from simulator.calendars import add_open_days, value_calendars
from simulator.market.identifiers import occ_symbol, strike_thousandths
from simulator.market.listing import Listing, as_date, day_number, months_after, rounded, third, third_friday, units
from simulator.market.world import Asset
from simulator.records import PRICE_UNIT

_OPTION_ROOTS = ("AAPL", "NVDA", "TSLA", "SPY", "QQQ", "MSFT", "AMZN", "JPM", "XOM", "KO")
# The root after a corporate action: 150 shares deliverable in place of 100.
_ADJUSTED = "KO"
_ADJUSTED_SHARES = 150
_CONTRACT_SHARES = 100
_NICKEL = units("0.05")
_WEDNESDAY = 2
# Nothing expires within this many days of the first: a run of twenty business days outlives no contract.
_AWAY = 32

# root, name, MIC, currency, contract size, tick, price; Treasury futures tick in parts of a 32nd
_FUTURES = """
ES|E-mini S&P 500|XCME|USD|50|0.25|5962.25
NQ|E-mini Nasdaq-100|XCME|USD|20|0.25|20834.50
RTY|E-mini Russell 2000|XCME|USD|50|0.10|2391.40
ZN|10-Year Treasury Note|XCBT|USD|1000|0.015625|109.453125
ZB|Treasury Bond|XCBT|USD|1000|0.03125|117.03125
ZF|5-Year Treasury Note|XCBT|USD|1000|0.0078125|106.8671875
FGBL|Euro-Bund|XEUR|EUR|1000|0.01|132.84
Z|FTSE 100 Index|IFLL|GBP|10|0.5|8146.5
"""
_MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}
_INDEX_FUTURES = ("ES", "NQ", "RTY", "Z")

# pair, tick, rate: deliverable, spot and forwards
_PAIRS = """
EUR/USD|0.00001|1.05000
GBP/USD|0.00001|1.26000
USD/JPY|0.001|154.500
USD/CHF|0.00001|0.88500
USD/CAD|0.00001|1.39800
AUD/USD|0.00001|0.65100
USD/HKD|0.0001|7.7850
EUR/GBP|0.00001|0.83330
EUR/JPY|0.001|162.225
EUR/CHF|0.00001|0.92925
"""
_NON_DELIVERABLE = """
USD/KRW|0.01|1398.50
USD/INR|0.0025|84.4100
"""
_FORWARD_MONTHS = (2, 4)

_CREDIT = """
CDX.NA.IG.47 5Y|USD|100|1.92
CDX.NA.HY.47 5Y|USD|500|7.35
ITRAXX EUR MAIN S46 5Y|EUR|100|2.05
FORD MOTOR CO SR 5Y|USD|500|4.60
CALDERON ENERGY SR 5Y|USD|500|6.15
VODAFONE SR 5Y|EUR|100|1.30
"""
_RETURN_SWAPS = ("SPY", "NVDA", "VOD.L", "SAP.DE")


def options(random: Generator, first: date, lines: Sequence[Listing]) -> list[Listing]:
    """Sixty series: ten underlyings by two expiries by three strikes; the partner is the same strike's other expiry."""
    by_symbol = {row.symbol: row for row in lines}
    expiries = [third_friday(months_after(first, n)) for n in range(6)]
    expiries = [day for day in expiries if (day - first).days >= _AWAY][:2]
    rows: list[Listing] = []
    for root in _OPTION_ROOTS:
        under = by_symbol[root]
        call = bool(random.integers(0, 2))
        step = units("5") if under.price > units("100") else units("1")
        middle = round(under.price / step) * step
        for strike in (middle - 2 * step, middle, middle + 2 * step):
            pair = [_option(random, first, under, day, strike, call) for day in expiries]
            rows += [replace(pair[0], line=pair[1].key), replace(pair[1], line=pair[0].key)]
    return rows


def _option(random: Generator, first: date, under: Listing, expiry: date, strike: int, call: bool) -> Listing:
    adjusted = under.symbol == _ADJUSTED
    root = f"{under.symbol}1" if adjusted else under.symbol
    symbol = occ_symbol(root, expiry, call, strike_thousandths(strike, PRICE_UNIT))
    spot, at = under.price / PRICE_UNIT, strike / PRICE_UNIT
    inner = max(0.0, spot - at if call else at - spot)
    years = (expiry - first).days / 365
    # Near enough to a market: intrinsic value and a time value that fades away from the money.
    time_value = 0.4 * spot * 0.3 * years**0.5 * exp(-((at / spot - 1) ** 2) * 40) * float(random.uniform(0.9, 1.1))
    shown = f"{at:g}"
    kind = "C" if call else "P"
    return Listing(
        key=symbol.replace(" ", ""),
        symbol=symbol,
        broker_symbol=f"{root} {expiry:%m/%d/%y} {kind}{shown}",
        name=f"{under.name} {expiry:%d %b %y} {shown} {'Call' if call else 'Put'}",
        asset=Asset.OPTION,
        ccy="USD",
        price=rounded(inner + time_value, _NICKEL),
        tick=_NICKEL,
        mic="XCBO",
        multiplier=_ADJUSTED_SHARES if adjusted else _CONTRACT_SHARES,
        expiry=day_number(expiry),
        strike=strike,
        put_call=int(call),
        underlying=under.key,
    )


def futures(first: date) -> list[Listing]:
    """Eight roots with their next two quarterly contracts, each the other's partner."""
    rows: list[Listing] = []
    for root, name, mic, ccy, size, tick_text, price in _table(_FUTURES):
        friday = root in _INDEX_FUTURES
        months = [months_after(first, n) for n in range(10)]
        days = [third_friday(m) if friday else third(_WEDNESDAY, m) for m in months if m.month in _MONTH_CODES]
        tick = units(tick_text)
        pair = []
        for number, day in enumerate([day for day in days if (day - first).days >= _AWAY][:2]):
            code = f"{root}{_MONTH_CODES[day.month]}"
            key = f"{code}{day:%y}"
            near = units(price) + number * 12 * tick
            pair.append(
                Listing(
                    key, f"{code}{day.year % 10}", f"{root} {code[-1]}{day:%y}", f"{name} {day:%b %y}", Asset.FUTURE,
                    ccy, near, tick, mic=mic, multiplier=int(size), expiry=day_number(day),
                )
            )  # fmt: skip
        rows += [replace(pair[0], line=pair[1].key), replace(pair[1], line=pair[0].key)]
    return rows


def currencies(first: date) -> list[Listing]:
    """Ten pairs spot with two forwards each, and two non-deliverable forwards each of the dollar in won and rupees."""
    rows: list[Listing] = []
    for pair, tick, rate in _table(_PAIRS):
        ccy, ccy2 = pair.split("/")
        spot = Listing(
            pair, pair, pair.replace("/", ""), f"{pair} spot", Asset.FX_SPOT, ccy, units(rate), units(tick), ccy2=ccy2
        )
        rows += [spot, *_forwards(spot, first, Asset.FX_FWD)]
    for pair, tick, rate in _table(_NON_DELIVERABLE):
        ccy, ccy2 = pair.split("/")
        base = Listing(f"{pair} NDF", "", "", pair, Asset.FX_NDF, ccy, units(rate), units(tick), ccy2=ccy2)
        rows += _forwards(base, first, Asset.FX_NDF)
    return rows


def _forwards(spot: Listing, first: date, asset: Asset) -> list[Listing]:
    made = []
    for months in _FORWARD_MONTHS:
        month = months_after(first, months)
        wanted = month.replace(day=min(first.day, 28))
        day = int(add_open_days(value_calendars(spot.ccy, spot.ccy2), day_number(wanted) - 1, 1))
        key = f"{spot.key} {as_date(day):%Y%m%d}"
        # Points of a tenth of a percent a month stand in for the rate differential.
        price = rounded(spot.price / PRICE_UNIT * (1 + 0.001 * months), spot.tick)
        made.append(
            replace(
                spot, key=key, symbol=key, broker_symbol=key.replace("/", "").replace(" ", ""), asset=asset,
                name=f"{spot.ccy}/{spot.ccy2} {as_date(day):%d %b %y}", price=price, expiry=day,
            )
        )  # fmt: skip
    return made


def swaps(first: date, lines: Sequence[Listing]) -> list[Listing]:
    """Six credit default swaps quoted in points upfront and four total return swaps on listed lines."""
    by_symbol = {row.symbol: row for row in lines}
    ends = date(first.year + 5, 12, 20)
    rows = []
    for name, ccy, coupon, points in _table(_CREDIT):
        key = f"CDS {name} {ends:%d%b%y}".upper()
        rows.append(
            Listing(
                key, key, key.replace(" ", "_"), f"{name} protection", Asset.CDS, ccy, units(points), units("0.01"),
                expiry=day_number(ends), coupon=int(coupon),
            )
        )  # fmt: skip
    for symbol in _RETURN_SWAPS:
        under, matures = by_symbol[symbol], third_friday(months_after(first, 12))
        key = f"TRS {symbol} {matures:%d%b%y}".upper()
        rows.append(
            Listing(
                key, key, key.replace(" ", "_"), f"{under.name} total return", Asset.TRS, under.ccy, under.price,
                under.tick, expiry=day_number(matures), underlying=under.key,
            )
        )  # fmt: skip
    return rows


def _table(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]
