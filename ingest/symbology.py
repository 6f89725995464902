"""Instrument identity: the strongest identifier a record carries, the same from every feed where evidence allows."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import TypeGuard

from ingest.fix.flags import Flag
from ingest.identifiers import CHECKS, country, isin, isin_of

_NOT_ALPHANUMERIC = re.compile(r"[^A-Z0-9]+")
_NO_SYMBOL = frozenset({"", "NA", "N/A", "[N/A]"})

# A ticker with its market as terminals write it: `VOD LN`, `VOD LN Equity`.
_LISTED = re.compile(r" [A-Z]{2}( EQUITY)?$")

# SecurityIDSource(22) to the prefix of an instrument id, strongest first.
SOURCES: Mapping[str, str] = MappingProxyType({"4": "ISIN", "S": "FIGI", "2": "SEDOL", "1": "CUSIP", "5": "RIC"})


@dataclass(frozen=True, slots=True)
class Validity:
    """One effective-dated answer; `until` is the first day it no longer holds."""

    answer: str
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one record says about its instrument: symbol and suffix, (22, 48) pairs, contract terms, listing, days.

    `on` is the trade date; `seen` the day the record was sent, for identifiers that changed in between.
    """

    symbol: str | None
    suffix: str | None
    ids: tuple[tuple[str, str], ...]
    contract: str
    mic: str | None = None
    ccy: str | None = None
    country: str | None = None
    on: date | None = None
    seen: date | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The instrument's id, None when nothing usable names one, and what was done to find it."""

    instrument_id: str | None
    flags: Flag


Known = Mapping[tuple[str, str], tuple[Validity, ...]]
Listing = Callable[[str, date | None], tuple[str | None, str | None] | None]


def normalised_symbol(symbol: str, suffix: str | None = None) -> str:
    """Ticker without the punctuation brokers disagree on: `BRK/B`, `BRK.B` and `BRK` with suffix `B` are `BRKB`."""
    return _NOT_ALPHANUMERIC.sub("", f"{symbol}{suffix or ''}".upper())


def has_symbol(symbol: str | None) -> TypeGuard[str]:
    """False for the ways FIX says "no symbol" (`[N/A]`)."""
    return symbol is not None and symbol.strip().upper() not in _NO_SYMBOL


def resolve(evidence: Evidence, known: Known, listing: Listing) -> Resolved:
    """The security master's id if an identifier is known on that day, else one made of the strongest identifier.

    Identifiers rank ISIN, FIGI, SEDOL, CUSIP, RIC, then the normalised symbol; contract terms are appended to a symbol
    because one root names many contracts. An identifier whose check digit fails is not used. One that names several
    lines is settled by `listing` (an instrument's MIC and currency) or not used; nothing is guessed.
    """
    ids, flags = _usable(evidence)
    symbol = normalised_symbol(evidence.symbol, evidence.suffix) if has_symbol(evidence.symbol) else ""
    if known:
        answer, found = _known_answer(evidence, ids, symbol, known, listing)
        flags |= found
        if answer is not None:
            return Resolved(answer, flags)
        flags |= Flag.ID_UNKNOWN
    for source, value in ids:
        if source in SOURCES:
            return Resolved(f"{SOURCES[source]}:{value}", flags)
    if symbol:
        return Resolved(f"SYM:{symbol}{evidence.contract}", flags)
    return Resolved(f"ID{ids[0][0]}:{ids[0][1]}{evidence.contract}" if ids else None, flags)


def instrument_id(evidence: Evidence, known: Known, on: date | None) -> str | None:
    """The id that `resolve` finds on a day, without a security master's listings."""
    return resolve(replace(evidence, on=on), known, lambda _instrument, _day: None).instrument_id


def _usable(evidence: Evidence) -> tuple[list[tuple[str, str]], Flag]:
    """The identifiers that can be believed, strongest first: check digits hold, an ISIN is one whatever 22 says."""
    flags, ids = Flag(0), []
    home = country(evidence.country) if evidence.country else ""
    if evidence.country and home != evidence.country:
        flags |= Flag.COUNTRY
    for source, given in evidence.ids:
        value = given.strip().upper()
        if source not in CHECKS and isin(value) is not None:
            source, flags = "4", flags | Flag.ID_SOURCE
        check = CHECKS.get(source)
        checked = check(value) if check else value
        if checked is None:
            flags |= Flag.ID_CHECK
            continue
        if checked != value:
            flags |= Flag.ID_DERIVED
        ids.append((source, checked))
        derived = isin_of(source, checked, home)
        if derived is not None:
            ids.append(("4", derived))
            flags |= Flag.ID_DERIVED
    ranked = list(SOURCES)
    ids = sorted(dict.fromkeys(ids), key=lambda pair: ranked.index(pair[0]) if pair[0] in SOURCES else len(ranked))
    return ids, flags


def _known_answer(
    evidence: Evidence, ids: Sequence[tuple[str, str]], symbol: str, known: Known, listing: Listing
) -> tuple[str | None, Flag]:
    flags, answer = Flag(0), None
    for source, value in ids:
        found, told = _look_up(evidence, known.get((source, value), ()), listing)
        if answer is None:
            flags, answer = flags | told, found
        elif found is not None and found != answer and source in SOURCES:
            flags |= Flag.ID_CONFLICT
    names = [evidence.symbol or "", symbol, _LISTED.sub("", (evidence.symbol or "").upper())]
    for place, name in enumerate(names):
        if answer is None and name:
            answer, told = _look_up(evidence, known.get(("8", name), ()), listing)
            flags |= told | (Flag.ID_DERIVED if answer is not None and place == 2 else Flag(0))
    return answer, flags


def _look_up(evidence: Evidence, dated: Sequence[Validity], listing: Listing) -> tuple[str | None, Flag]:
    """What an identifier means on the trade date, else on the day it was sent; nothing where it means several."""
    for day, flags in ((evidence.on, Flag(0)), (evidence.seen, Flag.ID_LATER)):
        answers = {one.answer for one in dated if day is None or one.since <= day < one.until}
        if len(answers) > 1:
            answers = {answer for answer in answers if _on_line(evidence, listing(answer, day))}
            if len(answers) != 1:
                return None, Flag.ID_AMBIGUOUS
        if answers:
            return answers.pop(), flags
        if day is None or evidence.seen is None:
            break
    return None, Flag(0)


def _on_line(evidence: Evidence, line: tuple[str | None, str | None] | None) -> bool:
    """Whether a listing (MIC, currency) is the record's: what both state is equal, and they state something."""
    if line is None:
        return False
    stated = [(ours, theirs) for ours, theirs in ((evidence.mic, line[0]), (evidence.ccy, line[1])) if ours and theirs]
    return bool(stated) and all(ours == theirs for ours, theirs in stated)
