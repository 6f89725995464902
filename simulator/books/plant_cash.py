"""Breaks planted in cash, C01 to C05: a wrong entry, one nobody expects, a balance nothing explains."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from simulator.books.cash import Entry, Till, interest
from simulator.books.setting import Finding, Setting, rounded, scaled_text
from simulator.books.shapes import brokers_of
from simulator.market.world import CURRENCIES
from simulator.records import MONEY_UNIT, PRICE_UNIT, Source

_CENT = MONEY_UNIT // 100
# Taxes withheld that a treaty would spare.
_WITHHELD = (15, 25, 30)
_YEARS = (365, 366)
_SPREADS_BP = (-75, -40, 25, 50, 120)
# Amounts below these dollars are too small to argue about.
_LEAST_DIVIDEND, _LEAST_INTEREST, _LEAST_MARGIN = 20, 60, 200


@dataclass(frozen=True, slots=True)
class Planted:
    """A finding and what it concerns: the place of an entry in the till, or of a balance where `entry` is -1."""

    finding: Finding
    entry: int
    cell: int


Planter = Callable[[Setting, Till, Generator], Iterator[Planted]]


def plant(setting: Setting, till: Till, counts: Mapping[str, int]) -> list[Planted]:
    """Plant up to `counts` of each code, fewer where the day has not enough entries of the kind."""
    made: list[Planted] = []
    for code, planter in PLANTERS.items():
        found = planter(setting, till, setting.rng(code))
        made += [one for _, one in zip(range(counts.get(code, 0)), found, strict=False)]
    return made


def _entries(setting: Setting, till: Till, random: Generator, kinds: tuple[str, ...], least: int) -> Iterator[int]:
    """Places of agreed entries of some kinds, of at least so many dollars, in random order."""
    of = [at for at, entry in enumerate(till.entries) if entry.kind in kinds and entry.ours == entry.theirs]
    for at in random.permutation(np.array(of, np.int64)).tolist():
        entry = till.entries[at]
        if abs(setting.usd(entry.ours or 0, entry.ccy)) >= least * MONEY_UNIT:
            yield at


def _changed(till: Till, code: str, at: int, theirs: int) -> Planted:
    entry = till.entries[at]
    till.entries[at] = replace(entry, theirs=theirs)
    off = theirs - (entry.ours or 0)
    return Planted(_finding(entry, code, entry.ours or 0, theirs, off), at, -1)


def _finding(entry: Entry, code: str, true: int | None, shown: int, off: int) -> Finding:
    """The finding about an entry; the uids are put in once the entries are numbered."""
    texts = ["" if value is None else scaled_text(value, MONEY_UNIT, 2) for value in (true, shown)]
    return Finding(code, entry.pb, (), (), "amount", texts[0], texts[1], off, entry.ccy)


def _dividend(setting: Setting, till: Till, random: Generator) -> Iterator[Planted]:
    """C02: the broker withholds tax, or pays on another quantity."""
    for at in _entries(setting, till, random, ("DIVIDEND", "COUPON"), _LEAST_DIVIDEND):
        right = till.entries[at].ours or 0
        if random.random() < 0.7:
            wrong = rounded(right * (100 - int(random.choice(_WITHHELD))), 100 * _CENT) * _CENT
        else:
            wrong = rounded(right * int(random.integers(40, 90)), 100 * _CENT) * _CENT
        if wrong != right:
            yield _changed(till, "C02", at, wrong)


def _interest(setting: Setting, till: Till, random: Generator) -> Iterator[Planted]:
    """C03: the broker accrues at another rate or over another year."""
    for at in _entries(setting, till, random, ("INTEREST",), _LEAST_INTEREST):
        entry = till.entries[at]
        balance = int(till.fund_opening[int(entry.pb), entry.account, entry.ccy])
        if random.random() < 0.5:
            wrong = interest(balance, entry.ccy, year=int(random.choice(_YEARS)))
        else:
            wrong = interest(balance, entry.ccy, extra_bp=int(random.choice(_SPREADS_BP)))
        if abs(setting.usd(wrong - (entry.ours or 0), entry.ccy)) >= MONEY_UNIT // 2:
            yield _changed(till, "C03", at, wrong)


def _margin(setting: Setting, till: Till, random: Generator) -> Iterator[Planted]:
    """C04: the broker calls another variation margin."""
    for at in _entries(setting, till, random, ("MARGIN",), _LEAST_MARGIN):
        right = till.entries[at].ours or 0
        share = float(random.uniform(0.04, 0.4)) * (1 if random.random() < 0.5 else -1)
        yield _changed(till, "C04", at, right + round(right * share / _CENT) * _CENT)


def _wire(setting: Setting, till: Till, random: Generator) -> Iterator[Planted]:
    """C05: money comes or goes without any instruction of the fund's."""
    held = np.flatnonzero(np.isin(setting.world.accounts.pb, brokers_of(setting.profile.pbs)))
    number = 0
    while len(held):
        number += 1
        account = int(random.choice(held))
        ccy = CURRENCIES.index(str(random.choice(("USD", "USD", "EUR", "GBP"))))
        dollars = round(float(random.lognormal(11, 1.2))) + 1_000
        amount = rounded(dollars * PRICE_UNIT, int(setting.world.usd[ccy])) * MONEY_UNIT
        amount *= 1 if random.random() < 0.4 else -1
        reference = f"WIRE {int(random.integers(10**7, 10**8))}"
        pb = Source(int(setting.world.accounts.pb[account]))
        entry = Entry("WIRE", pb, account, ccy, setting.day, None, amount, reference)
        till.entries.append(entry)
        yield Planted(_finding(entry, "C05", None, amount, amount), len(till.entries) - 1, -1)


def _unexplained(setting: Setting, till: Till, random: Generator) -> Iterator[Planted]:
    """C01: opening balance and entries do not add up to the closing one; balances without other breaks first."""
    agreed = till.fund_opening == till.broker_opening
    for entry in till.entries:
        agreed[int(entry.pb), entry.account, entry.ccy] &= entry.ours == entry.theirs
    used = (till.fund_opening != 0) | (till.broker_opening != 0)
    closing = till.closing()[1].reshape(-1)
    # A balance that slipped on an earlier day already has its label.
    slipped = {cell for cell, ids in till.why.items() if any(one.startswith("C01-") for one in ids)}
    for mask in (used & agreed, used & ~agreed):
        for cell in random.permutation(np.flatnonzero(mask.reshape(-1))).tolist():
            if cell in slipped:
                continue
            pb, account, ccy = (int(at) for at in np.unravel_index(cell, till.fund_opening.shape))
            dollars = round(float(random.lognormal(7, 1.3))) + 25
            unit = MONEY_UNIT if CURRENCIES[ccy] in ("JPY", "KRW") else _CENT
            off = rounded(dollars * MONEY_UNIT * PRICE_UNIT, int(setting.world.usd[ccy]) * unit) * unit
            off *= 1 if random.random() < 0.5 else -1
            till.slip[cell] = off
            right = int(closing[cell])
            texts = [scaled_text(value, MONEY_UNIT, 2) for value in (right, right + off)]
            uid = (setting.cash_uid(account, ccy),)
            yield Planted(Finding("C01", Source(pb), uid, uid, "balance", texts[0], texts[1], off, ccy), -1, cell)


# Entries first: they decide which balances are left without a break.
PLANTERS = MappingProxyType({"C02": _dividend, "C03": _interest, "C04": _margin, "C05": _wire, "C01": _unexplained})
