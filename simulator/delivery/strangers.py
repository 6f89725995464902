"""Trades nobody can name: in a new issue the reference data lacks (I03), in an account it does not map (I04)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from simulator.flow.rows import GROUPS_A_DAY
from simulator.flow.trades import Trades
from simulator.market.identifiers import cusip, isin
from simulator.market.world import Accounts, Asset, Instruments, World
from simulator.records import PRICE_UNIT, Bool, Index, Records, Source

NEW_ISSUES = 6
_US_MARKETS = ("XNYS", "XNAS", "ARCX")
_USD = 0


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """Rows of the orders that were moved: into a new issue, into an account not mapped yet."""

    issues: Index
    accounts: Index

    def moved(self, world: World, trades: Trades) -> Trades:
        """The trades with these orders in a new issue or account, on both sides alike. `world` is the wider one."""
        first_issue, first_account = len(world.instruments) - NEW_ISSUES, _first_new_account(world)
        orders, records = trades.orders, trades.records
        line, account = orders.instrument.copy(), orders.account.copy()
        line[self.issues] = first_issue + self.issues % NEW_ISSUES
        account_of = np.array([first_account + max(int(pb) - 1, 0) for pb in range(len(Source))], np.int16)
        moved = np.zeros(len(orders) + 1, np.bool_)
        moved[self.issues] = True
        at = np.flatnonzero(moved[records.order])
        instrument = records.instrument.copy()
        instrument[at] = line[records.order[at]]
        moved[:] = False
        moved[self.accounts] = True
        at = np.flatnonzero(moved[records.order])
        held = records.account.copy()
        held[at] = account_of[records.pb[at]]
        account[self.accounts] = account_of[np.asarray(world.accounts.pb)[account[self.accounts]]]
        return Trades(
            orders.with_(instrument=line, account=account), records.with_(instrument=instrument, account=held)
        )

    def touches(self, records: Records) -> Bool:
        """Records of the moved orders."""
        made: Bool = np.isin(records.order, np.concatenate([self.issues, self.accounts]))
        return made


def wider(world: World) -> World:
    """The world with the new issues and one account more at each broker: what the reference files do not know."""
    return World(
        Instruments.concat([world.instruments, _new_issues(world.instruments)]),
        Accounts.concat([world.accounts, _new_accounts(world.accounts)]),
        world.brokers,
        world.usd,
    )


def _first_new_account(world: World) -> int:
    return len(world.accounts) - (len(Source) - 1)


def _new_issues(known: Instruments) -> Instruments:
    model = np.flatnonzero((known.asset == Asset.EQUITY) & (known.ccy == _USD))[:1]
    numbers = range(NEW_ISSUES)
    cusips = [cusip(f"99{number}N1P10") for number in numbers]
    isins = np.array([isin(f"US{code}") for code in cusips])
    return replace(
        known.take(np.repeat(model, NEW_ISSUES)).with_(line=-1, price=50 * PRICE_UNIT),
        key=isins,
        isin=isins,
        cusip=np.array(cusips),
        symbol=np.array([f"NWI{chr(65 + number)}" for number in numbers]),
        broker_symbol=np.array([f"NWI{chr(65 + number)} US" for number in numbers]),
        name=np.array([f"New Issue {number + 1}" for number in numbers]),
    )


def _new_accounts(known: Accounts) -> Accounts:
    letters = [source.name[0] for source in Source if source is not Source.OMS]
    names = np.array([f"MER-NEW-{letter}" for letter in letters])
    alias = np.array([{"B": "BR-7799", "D": "4QM19990"}.get(letter, f"MER-NEW-{letter}") for letter in letters])
    models = [int(np.flatnonzero(np.asarray(known.pb) == pb)[0]) for pb in range(1, len(Source))]
    made = known.take(np.array(models))
    masters = [f"{str(master).split('/')[0]}/{name}" for master, name in zip(made.master, alias, strict=True)]
    return replace(made, account_id=names, alias=alias, master=np.array(masters))


def chosen(rng: Generator, world: World, trades: Trades, spoiled: Bool, issues: int, accounts: int) -> Strangers:
    """Orders whose trades shall be strangers: about as many trades as asked for, of orders no break touches.

    Whole orders move, as their fills belong together. `spoiled` marks records a label names.
    """
    records, orders = trades.records, trades.orders
    known = records.order >= 0
    bad = spoiled | (records.group <= 0) | (records.account < 0)
    able = np.bincount(records.order[known & bad], minlength=len(orders)) == 0
    # Groups of a day differ in their last nine digits.
    pairs = np.unique(records.order[known].astype(np.int64) << 30 | records.group[known] % GROUPS_A_DAY)
    trades_of = np.bincount(pairs >> 30, minlength=len(orders))
    able &= (trades_of > 0) & (np.asarray(orders.account) >= 0)
    table = world.instruments
    listed = (table.asset == Asset.EQUITY) & (table.ccy == _USD) & np.isin(table.mic, _US_MARKETS)
    order = rng.permutation(len(orders))
    first = _fill_up(order[(able & listed[orders.instrument])[order]], trades_of, issues)
    able[first] = False
    return Strangers(first, _fill_up(order[able[order]], trades_of, accounts))


def _fill_up(rows: Index, sizes: Index, wanted: int) -> Index:
    found: list[int] = []
    for row in rows.tolist():
        if wanted <= 0:
            break
        if sizes[row] <= wanted:
            found.append(row)
            wanted -= int(sizes[row])
    return np.sort(np.array(found, np.int64))
