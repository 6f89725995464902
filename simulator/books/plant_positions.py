"""Breaks planted in positions, P01 to P08, each on lines that no other break is about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from simulator.books.positions import Desk
from simulator.books.setting import Finding, Setting, scaled_text
from simulator.market.actions import Kind
from simulator.market.world import Asset
from simulator.records import PRICE_UNIT, Bool, Source

_SHARES = (Asset.EQUITY, Asset.ETF)
_PRICED = (Asset.EQUITY, Asset.ETF, Asset.OPTION, Asset.FUTURE, Asset.BOND)
# Ratios that would read as a split.
_RATIOS = ((2, 1), (3, 1), (4, 1), (3, 2), (10, 1), (1, 5), (5, 1), (1, 2), (1, 3), (1, 4), (2, 3), (1, 10))
_STALE = (0.03, 0.09)
_LEAST_QTY = 4
# Lines a break takes where it takes two; of all lines without a break at most this share gets one.
_TAKES = {"P06": 2, "P08": 2}
_FILLED = 0.6

Planter = Callable[[Setting, Desk, Generator], Iterator[Finding]]


def plant(setting: Setting, desk: Desk, counts: Mapping[str, int]) -> list[Finding]:
    """Plant up to `counts` of each code, fewer where the day has not enough lines of the kind.

    Where so many trades are broken that few lines are left, every code gets its share of them.
    """
    wanted = {code: counts.get(code, 0) for code in PLANTERS}
    room = int(np.count_nonzero(desk.free & (desk.broker != 0))) * _FILLED
    share = min(1.0, room / max(1, sum(count * _TAKES.get(code, 1) for code, count in wanted.items())))
    made: list[Finding] = []
    for code, planter in PLANTERS.items():
        found = planter(setting, desk, setting.rng(code))
        number = max(1, int(wanted[code] * share)) if wanted[code] else 0
        made += [finding for _, finding in zip(range(number), found, strict=False)]
    return made


def _lines(desk: Desk, mask: Bool, random: Generator) -> Iterator[int]:
    """Free places of the arrays where `mask` is true, in random order; what is planted meanwhile drops out."""
    free = desk.free.reshape(-1)
    for cell in random.permutation(np.flatnonzero((mask & desk.free).reshape(-1))).tolist():
        if free[cell]:
            yield cell


def _finding(setting: Setting, desk: Desk, code: str, places: Sequence[int], field: str, true: str, shown: str,
             amount: int) -> Finding:  # fmt: skip
    """A finding about whole lines, which are then no longer free; the first one's broker and currency count."""
    spots = [desk.place(cell) for cell in places]
    desk.free.reshape(-1)[list(places)] = False
    uids = tuple(setting.cell_uid(account, instrument) for _, account, instrument in spots)
    external = tuple(
        f"{uid.split('|')[0]}|{desk.old[cell]}" if cell in desk.old else uid
        for uid, cell in zip(uids, places, strict=True)
    )
    ccy = int(setting.world.instruments.ccy[spots[0][2]])
    return Finding(code, Source(spots[0][0]), uids, external, field, true, shown, amount, ccy)


def _asset(setting: Setting, *assets: Asset) -> Bool:
    made: Bool = np.isin(setting.world.instruments.asset, assets)[None, None, :]
    return made


def _split(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P02: the broker has not split its opening position yet."""
    broker, before = desk.broker.reshape(-1), desk.opening.reshape(-1)
    ratios = {action.instrument: action for action in setting.actions_of(Kind.SPLIT)}
    mask = np.zeros(desk.fund.shape, np.bool_)
    mask[..., list(ratios)] = desk.opening[..., list(ratios)] != 0
    # Untraded lines first: there the whole position is off by the ratio.
    for part in (mask & ~desk.traded, mask & desk.traded):
        for cell in _lines(desk, part, random):
            _, _, instrument = desk.place(cell)
            action, old = ratios[instrument], int(before[cell])
            after = int(desk.broker_opening.reshape(-1)[cell])
            if after * action.denominator != old * action.numerator:
                continue
            true, shown = int(broker[cell]), int(broker[cell]) - after + old
            broker[cell] = shown
            off = setting.worth(instrument, shown - true)
            yield _finding(setting, desk, "P02", [cell], "qty", str(true), str(shown), off)


def _identity(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P03: the broker still shows a renamed line under its old name."""
    names = {action.instrument: action.old_isin for action in setting.actions_of(Kind.RENAME)}
    mask = np.zeros(desk.fund.shape, np.bool_)
    mask[..., list(names)] = desk.broker[..., list(names)] != 0
    for cell in _lines(desk, mask, random):
        _, _, instrument = desk.place(cell)
        desk.old[cell] = names[instrument]
        true, off = str(setting.world.instruments.key[instrument]), int(desk.broker.reshape(-1)[cell])
        yield _finding(setting, desk, "P03", [cell], "instrument_id", true, names[instrument],
                       setting.worth(instrument, off))  # fmt: skip


def _exercise(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P06: the broker has exercised or assigned options of which the fund has not heard.

    The shares move with them; where something else is wrong with that line, the broker books them the next day.
    """
    lines = setting.world.instruments
    under = lines.underlying[None, None, :]
    mask = _asset(setting, Asset.OPTION) & (np.abs(desk.broker) >= _LEAST_QTY) & (under >= 0)
    free, count = desk.free.reshape(-1), len(lines)
    for alone in (False, True):
        for cell in _lines(desk, mask, random):
            pb, account, option = desk.place(cell)
            share = cell - cell % count + int(lines.underlying[option])
            if not free[share] and not alone:
                continue
            held = int(desk.broker[pb, account, option])
            used = int(random.integers(1, abs(held) // 2 + 1)) * (1 if held > 0 else -1)
            # A long call receives shares, a long put delivers them; assigned short ones the other way round.
            moved = used * int(lines.multiplier[option]) * (1 if lines.put_call[option] == 1 else -1)
            together = bool(free[share])
            for array in (desk.broker, desk.broker_after, desk.fund_after):
                array.reshape(-1)[cell] -= used
                if together or array is not desk.broker:
                    array.reshape(-1)[share] += moved
            off = setting.worth(int(lines.underlying[option]), moved)
            places = [cell, share] if together else [cell]
            yield _finding(setting, desk, "P06", places, "qty", str(held - used), str(held), off)


def _settled(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P05: the broker shows a line by settlement date, without what is still to settle."""
    broker = desk.broker.reshape(-1)
    for cell in _lines(desk, desk.pending != 0, random):
        _, _, instrument = desk.place(cell)
        true, off = int(broker[cell]), int(desk.pending.reshape(-1)[cell])
        broker[cell] = true - off
        # Half of them say so; the others must be recognised by the amount.
        if random.random() < 0.5:
            desk.dated.add(cell)
        yield _finding(setting, desk, "P05", [cell], "qty", str(true), str(true - off), setting.worth(instrument, off))


def _transfer(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P08: shares on their way between two brokers: moved in the fund's books, at both brokers not yet."""
    held = _asset(setting, *_SHARES) & (desk.fund >= _LEAST_QTY)
    shape, free = desk.fund.shape, desk.free.reshape(-1)
    accounts = setting.world.accounts.pb
    for cell in _lines(desk, held, random):
        pb, _, instrument = desk.place(cell)
        others = [
            int(np.ravel_multi_index((int(accounts[other]), other, instrument), shape))
            for other in random.permutation(len(accounts)).tolist()
            if accounts[other] != pb and desk.free[accounts[other], other, instrument]
        ]
        other_cell = next((spot for spot in others if held.reshape(-1)[spot] and free[spot]), None)
        if other_cell is None:
            continue
        true = int(desk.fund.reshape(-1)[cell])
        qty = max(1, round(true * float(random.uniform(0.1, 0.6))))
        for array in (desk.fund, desk.fund_after, desk.broker_after):
            array.reshape(-1)[cell] -= qty
            array.reshape(-1)[other_cell] += qty
        off = setting.worth(instrument, qty)
        yield _finding(setting, desk, "P08", [cell, other_cell], "qty", str(true - qty), str(true), off)


def _box(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P04: the broker shows part of a line both long and short."""
    mask = _asset(setting, *_SHARES, Asset.BOND) & (np.abs(desk.broker) >= _LEAST_QTY)
    for cell in _lines(desk, mask, random):
        _, _, instrument = desk.place(cell)
        held = int(desk.broker.reshape(-1)[cell])
        both = max(1, round(abs(held) * float(random.uniform(0.05, 0.5))))
        desk.box[cell] = both
        field, true = ("short_qty", max(-held, 0)) if held > 0 else ("long_qty", max(held, 0))
        yield _finding(setting, desk, "P04", [cell], field, str(true), str(true + both),
                       setting.worth(instrument, both))  # fmt: skip


def _valuation(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P07: the broker values a line at another price."""
    lines = setting.world.instruments
    for cell in _lines(desk, _asset(setting, *_PRICED) & (desk.broker != 0), random):
        _, _, instrument = desk.place(cell)
        close, tick = int(setting.closes[instrument]), int(lines.tick[instrument])
        move = float(random.uniform(*_STALE)) * (1 if random.random() < 0.5 else -1)
        price = max(1, round(close * (1 + move) / tick)) * tick
        held = int(desk.broker.reshape(-1)[cell])
        off = setting.worth(instrument, held, price) - setting.worth(instrument, held)
        if abs(price - close) * 50 < close or not off:
            continue
        desk.price[cell] = price
        true, shown = (scaled_text(value, PRICE_UNIT, 2) for value in (close, price))
        yield _finding(setting, desk, "P07", [cell], "price", true, shown, off)


def _quantity(setting: Setting, desk: Desk, random: Generator) -> Iterator[Finding]:
    """P01: the broker's quantity is off, and nothing says why."""
    broker, pending = desk.broker.reshape(-1), desk.pending.reshape(-1)
    used: set[tuple[int, int]] = set()
    for cell in _lines(desk, desk.broker != 0, random):
        _, _, instrument = desk.place(cell)
        true = int(broker[cell])
        off = max(1, round(abs(true) * float(random.uniform(0.01, 0.35)))) * (1 if random.random() < 0.5 else -1)
        shown = true + off
        # Equal and opposite differences at two brokers would be a transfer, a known ratio a split.
        likely = off in (-int(pending[cell]), int(pending[cell])) or (instrument, abs(off)) in used or not shown
        if likely or any(shown * below == true * above for above, below in _RATIOS):
            continue
        used.add((instrument, abs(off)))
        broker[cell] = shown
        yield _finding(setting, desk, "P01", [cell], "qty", str(true), str(shown), setting.worth(instrument, off))


# Rare kinds of line first.
PLANTERS = MappingProxyType(
    {
        "P02": _split,
        "P03": _identity,
        "P06": _exercise,
        "P05": _settled,
        "P08": _transfer,
        "P04": _box,
        "P07": _valuation,
        "P01": _quantity,
    }
)
