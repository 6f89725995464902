"""Instrument identity: the strongest identifier a record carries, the same from every feed where evidence allows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TypeGuard

_NOT_ALPHANUMERIC = re.compile(r"[^A-Z0-9]+")
_NO_SYMBOL = frozenset({"", "NA", "N/A", "[N/A]"})

# SecurityIDSource(22) to the prefix of an instrument id, strongest first.
SOURCES: Mapping[str, str] = MappingProxyType({"4": "ISIN", "2": "SEDOL", "1": "CUSIP", "5": "RIC", "S": "FIGI"})


@dataclass(frozen=True, slots=True)
class Validity:
    """One effective-dated answer; `until` is the first day it no longer holds."""

    answer: str
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one record says about its instrument."""

    symbol: str | None
    suffix: str | None
    ids: tuple[tuple[str, str], ...]
    contract: str


def normalised_symbol(symbol: str, suffix: str | None = None) -> str:
    """Ticker without the punctuation brokers disagree on: `BRK/B`, `BRK.B` and `BRK` with suffix `B` are `BRKB`."""
    return _NOT_ALPHANUMERIC.sub("", f"{symbol}{suffix or ''}".upper())


def has_symbol(symbol: str | None) -> TypeGuard[str]:
    """False for the ways FIX says "no symbol" (`[N/A]`)."""
    return symbol is not None and symbol.strip().upper() not in _NO_SYMBOL


def instrument_id(
    evidence: Evidence, known: Mapping[tuple[str, str], tuple[Validity, ...]], on: date | None
) -> str | None:
    """The security master's id if any identifier is known on that day, else one made of the strongest identifier.

    Identifiers rank ISIN, SEDOL, CUSIP, RIC, FIGI, then the normalised symbol; contract terms are appended to a symbol
    because one root names many contracts. None when the record names no instrument at all.
    """
    ranked = sorted(evidence.ids, key=lambda pair: list(SOURCES).index(pair[0]) if pair[0] in SOURCES else len(SOURCES))
    symbol = normalised_symbol(evidence.symbol, evidence.suffix) if has_symbol(evidence.symbol) else ""
    for source, value in [*ranked, ("8", evidence.symbol or ""), ("8", symbol)]:
        for validity in known.get((source, value), ()):
            if on is None or validity.since <= on < validity.until:
                return validity.answer
    for source, value in ranked:
        if source in SOURCES:
            return f"{SOURCES[source]}:{value.strip().upper()}"
    if symbol:
        return f"SYM:{symbol}{evidence.contract}"
    return f"ID{ranked[0][0]}:{ranked[0][1].strip().upper()}{evidence.contract}" if ranked else None
