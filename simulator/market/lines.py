"""Equities and ETFs: the names everybody knows, and invented ones to make 300 lines over six markets."""

from collections.abc import Iterator
from dataclasses import replace

from numpy.random import Generator

from simulator.market.identifiers import drawn_cusip, drawn_isin, drawn_sedol, isin
from simulator.market.listing import Listing, rounded, units
from simulator.market.names import EURO, LONDON, RECEIPTS, SEDOLS, TITLES, TRADES, US
from simulator.market.world import Asset

# Lines by market, and in all: 210 of 300 in the US.
EQUITIES = 300
_LINES_ABROAD = {"XLON": 30, "XETR": 12, "XPAR": 10, "XAMS": 5, "XTKS": 20, "XHKG": 13}
_CENT = units("0.01")
# market -> country, currency, suffix of the fund's symbol, of a broker's, tick, usual price
_MARKETS = {
    "XLON": ("GB", "GBP", ".L", " LN", "0.0005", 6.0),
    "XETR": ("DE", "EUR", ".DE", " GY", "0.02", 70.0),
    "XPAR": ("FR", "EUR", ".PA", " FP", "0.02", 80.0),
    "XAMS": ("NL", "EUR", ".AS", " NA", "0.02", 60.0),
    "XTKS": ("JP", "JPY", ".T", " JP", "1", 2600.0),
    "XHKG": ("HK", "HKD", ".HK", " HK", "0.05", 60.0),
}
_DUAL_CLASSES = 14


def equities(random: Generator) -> list[Listing]:
    """300 lines in order of popularity, big names mostly first."""
    known = [*_known_us(), *_known_abroad()]
    taken = {row.symbol.split(".")[0] for row in known} | {symbol for _, symbol, *_ in RECEIPTS}
    names = _names(taken)
    abroad = _invented_abroad(random, names, known)
    receipts = list(_receipts({row.symbol: row for row in known}))
    partners = {row.line: row.key for row in receipts}
    rows = [*known, *abroad, *receipts]
    home = EQUITIES - sum(_LINES_ABROAD.values()) - sum(row.mic in ("XNYS", "XNAS", "ARCX") for row in rows)
    invented = _invented_us(random, names, home)
    rows = [replace(row, line=partners.get(row.key, row.line)) for row in rows] + invented
    known_keys = {row.key for row in known}
    draws = dict(zip((row.key for row in rows), random.random(len(rows)).tolist(), strict=True))
    return sorted(rows, key=lambda row: draws[row.key] + (row.key not in known_keys) * 0.7)


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]


def _known_us() -> Iterator[Listing]:
    bodies = {row[0]: row[2] for row in _rows(US)}
    other = {"GOOG": isin(bodies["GOOGL"]), "GOOGL": isin(bodies["GOOG"])}
    for symbol, name, body, mic, price in _rows(US):
        asset = Asset.ETF if mic == "ARCX" or symbol in ("QQQ", "TLT") else Asset.EQUITY
        yield _us(symbol, name, body[2:], mic, units(price), asset, other.get(symbol, ""))


def _us(symbol: str, name: str, cusip: str, mic: str, price: int, asset: Asset, line: str) -> Listing:
    broker = symbol.replace(".", "/") if "." in symbol else f"{symbol} US"
    key = isin(f"US{cusip}")
    return Listing(key, symbol, broker, name, asset, "USD", price, _CENT, key, cusip, mic=mic, line=line)


def _known_abroad() -> Iterator[Listing]:
    for symbol, broker, name, body, price in _rows(LONDON):
        yield _abroad(symbol, broker, name, isin(body), "XLON", price, body[4:])
    for symbol, broker, name, body, mic, price in _rows(EURO):
        yield _abroad(symbol, broker, name, isin(body), mic, price, SEDOLS[symbol])


def _abroad(symbol: str, broker: str, name: str, key: str, mic: str, price: str, sedol: str) -> Listing:
    ccy, tick = _MARKETS[mic][1], units(_MARKETS[mic][4])
    on_tick = units(price) // tick * tick
    return Listing(key, symbol, broker, name, Asset.EQUITY, ccy, on_tick, tick, key, sedol=sedol, mic=mic)


def _receipts(known: dict[str, Listing]) -> Iterator[Listing]:
    """American depositary receipts of the known European lines."""
    for of, symbol, cusip, mic, price in RECEIPTS:
        yield _us(symbol, f"{known[of].name} ADR", cusip, mic, units(price), Asset.EQUITY, known[of].key)


def _names(taken: set[str]) -> Iterator[tuple[str, str]]:
    """Invented (ticker, name) pairs, each ticker once, none of `taken`."""
    used = set(taken)
    for step in range(len(TITLES) * len(TRADES)):
        title = TITLES[step % len(TITLES)]
        trade = TRADES[(step // len(TITLES) * 7 + step * 5) % len(TRADES)]
        base = (title[:1] + "".join(c for c in title[1:] if c not in "aeiou")).upper()
        choices = (base[:2] + trade[0], base[:3] + trade[0], base[0] + base[-1] + trade[:2].upper(), base[:4])
        ticker = next((choice for choice in choices if choice not in used and len(choice) >= 3), None)
        if ticker is not None:
            used.add(ticker)
            yield ticker, f"{title} {trade}"


def _invented_abroad(random: Generator, names: Iterator[tuple[str, str]], known: list[Listing]) -> list[Listing]:
    rows = []
    for mic, count in _LINES_ABROAD.items():
        country, ccy, suffix, broker_suffix, tick_text, usual = _MARKETS[mic]
        tick = units(tick_text)
        numbers = random.permutation(90)
        for n in range(count - sum(row.mic == mic for row in known)):
            ticker, name = next(names)
            if mic == "XTKS":
                ticker = str(4001 + 50 * int(numbers[n]))
            if mic == "XHKG":
                ticker = str(120 + 29 * int(numbers[n])).zfill(4)
            code = drawn_sedol(random)
            key = drawn_isin(random, country, code)
            price = rounded(usual * float(random.lognormal(0, 0.6)), tick)
            broker = ticker.lstrip("0") + broker_suffix
            rows.append(Listing(key, ticker + suffix, broker, name, Asset.EQUITY, ccy, price, tick, key, "", code, mic))
    return rows


def _invented_us(random: Generator, names: Iterator[tuple[str, str]], count: int) -> list[Listing]:
    """US lines; the first companies list two classes of shares, each the other's partner."""
    rows: list[Listing] = []
    for n in range(count - _DUAL_CLASSES):
        ticker, name = next(names)
        mic = "XNAS" if random.random() < 0.5 else "XNYS"
        price = rounded(60 * float(random.lognormal(0, 0.8)), _CENT)
        first = drawn_cusip(random)
        if n >= _DUAL_CLASSES:
            rows.append(_us(ticker, name, first, mic, price, Asset.EQUITY, ""))
            continue
        second = drawn_cusip(random, first[:6], "20")
        near = rounded(price / 1e8 * (1 + float(random.normal(0, 0.01))), _CENT)
        keys = isin(f"US{first}"), isin(f"US{second}")
        rows.append(_us(f"{ticker}.A", f"{name} A", first, mic, price, Asset.EQUITY, keys[1]))
        rows.append(_us(f"{ticker}.B", f"{name} B", second, mic, near, Asset.EQUITY, keys[0]))
    return rows
