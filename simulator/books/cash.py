"""Cash of a day, entry by entry: what the fund expects to move its balances, and what the broker posts."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from simulator.books.positions import Desk
from simulator.books.setting import Setting, rounded
from simulator.books.shapes import BROKERS, State, booked, brokers_of, holder
from simulator.books.touch import Touched, merged
from simulator.market.actions import Kind
from simulator.market.world import CURRENCIES, Asset
from simulator.records import I8, I64, MONEY_UNIT, PRICE_UNIT, Bool, Records, Side, Source

_CENT = MONEY_UNIT // 100
# Usual opening balances in dollars' worth, and the yearly interest in basis points by currency.
_USUAL_USD = 4_000_000
_SPREAD = 0.9
_MOST = 6.0
_OVERDRAWN = 0.15
_RATES_BP = {"USD": 450, "GBP": 475, "EUR": 240, "JPY": 45, "HKD": 390, "CHF": 90, "CAD": 330, "AUD": 410, "KRW": 300,
             "INR": 620}  # fmt: skip
_YEAR = 360
_BASIS_POINTS = 10_000
_DAY_LIMIT = 1 << 20
_CURRENCY_LIMIT = 16
_WIRED = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement on both sides: `ours` as the fund expects it, `theirs` as the broker posts it, None where absent.

    Amounts in MONEY_UNITs, + receive; `instrument` is -1 for none. `why` names breaks that make the two differ.
    """

    kind: str
    pb: Source
    account: int
    ccy: int
    value_date: int
    ours: int | None
    theirs: int | None
    reference: str
    instrument: int = -1
    why: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Till:
    """Cash while the day's books are made: opening balances [broker, account, currency], entries, and what is planted.

    `slip` is what a closing balance is off by without any entry, by place.
    """

    fund_opening: I64
    broker_opening: I64
    entries: list[Entry]
    why: dict[int, tuple[str, ...]]
    slip: dict[int, int] = field(default_factory=dict)

    def cell(self, pb: int, account: int, ccy: int) -> int:
        """The place of a balance in the arrays."""
        return int(np.ravel_multi_index((pb, account, ccy), self.fund_opening.shape))

    def closing(self) -> tuple[I64, I64]:
        """Balances at the end of the day: the fund's and the brokers'."""
        fund, broker = self.fund_opening.copy(), self.broker_opening.copy()
        for entry in self.entries:
            spot = (int(entry.pb), entry.account, entry.ccy)
            fund[spot] += entry.ours or 0
            broker[spot] += entry.theirs or 0
        for cell, off in self.slip.items():
            broker.reshape(-1)[cell] += off
        return fund, broker


def open_till(
    setting: Setting, desk: Desk, shown: Records, standing: Bool, touch: Touched, opening: State | None
) -> Till:
    """The day's cash before anything is planted in it; `standing` records are live and booked."""
    fund = opening.fund_cash if opening else seeded(setting)
    broker = opening.broker_cash if opening else fund
    till = Till(fund, broker, [], dict(opening.why_cash) if opening else {})
    till.entries += traded(setting, shown, standing, touch)
    till.entries += paid(setting, desk)
    till.entries += financed(setting, till)
    till.entries += margined(setting, desk)
    till.entries += wired(setting)
    return till


def seeded(setting: Setting) -> I64:
    """Balances before the first day of a run, in every currency, some overdrawn."""
    world, random = setting.world, setting.rng("cash")
    shape = (len(world.accounts), len(CURRENCIES))
    dollars = np.minimum(random.lognormal(0, _SPREAD, shape), _MOST) * _USUAL_USD
    cents = np.rint(dollars / (world.usd / PRICE_UNIT) * 100).astype(np.int64) * _CENT
    cents = np.where(random.random(shape) < _OVERDRAWN, -cents // 4 // _CENT * _CENT, cents)
    made = np.zeros((BROKERS, *shape), np.int64)
    for source in brokers_of(setting.profile.pbs):
        mine = world.accounts.pb == source
        made[source, mine] = cents[mine]
    return made


def traded(setting: Setting, shown: Records, standing: Bool, touch: Touched) -> Iterator[Entry]:
    """One TRADE entry per account, currency and value date: the net of all its bookings.

    Where both sides agree on a trade the fund expects what the broker confirms; rounding makes no difference.
    """
    world = setting.world
    rows = shown.take(standing)
    broken = touch.mask(len(shown))[standing]
    ours, theirs = rows.source == Source.OMS, rows.source != Source.OMS
    agreed = ~broken & (rows.group > 0)
    for side in (ours, theirs):
        agreed &= np.isin(rows.group, np.unique(rows.group[side & agreed]))
    sums: dict[bool, dict[int, int]] = {}
    # The fund expects the brokers' amounts of agreed trades and its own of all others.
    for inside, used in ((True, np.where(ours, ~agreed, agreed)), (False, theirs)):
        keys, amounts = _legs(setting, rows.take(used))
        unique, at = np.unique(keys, return_inverse=True)
        total = np.zeros(len(unique), np.int64)
        np.add.at(total, at, amounts)
        sums[inside] = dict(zip(unique.tolist(), total.tolist(), strict=True))
    why = _touched_keys(setting, shown, touch)
    for key in sorted({*sums[True], *sums[False]}):
        left, day = divmod(key, _DAY_LIMIT)
        left, ccy = divmod(left, _CURRENCY_LIMIT)
        pb, account = divmod(left, len(world.accounts))
        mine, other = (sums[inside].get(key) or None for inside in (True, False))
        if mine or other:
            reference = f"TRADES {CURRENCIES[ccy]} {setting.text(day=day)}"
            yield Entry("TRADE", Source(pb), account, ccy, day, mine, other, reference, why=why.get(key, ()))


def _touched_keys(setting: Setting, shown: Records, touch: Touched) -> dict[int, tuple[str, ...]]:
    wanted = booked(shown)
    legs = [_keys(setting, shown, ccy) for ccy in (shown.settle_ccy, setting.world.instruments.ccy[shown.instrument])]
    lines = setting.world.instruments
    pair = wanted & np.isin(lines.asset[shown.instrument], (Asset.FX_SPOT, Asset.FX_FWD))
    return merged(touch.why(legs[0], wanted), touch.why(legs[1], pair))


def _keys(setting: Setting, records: Records, ccy: I8) -> I64:
    account = np.maximum(records.account, 0).astype(np.int64)
    key = holder(records, setting.world) * len(setting.world.accounts) + account
    made: I64 = (key * _CURRENCY_LIMIT + ccy) * _DAY_LIMIT + records.settle_date
    return made


def _legs(setting: Setting, records: Records) -> tuple[I64, I64]:
    """Keys and amounts of what records pay and receive: the net, and of currency trades the first currency too."""
    lines = setting.world.instruments
    asset = lines.asset[records.instrument]
    pair: Bool = (asset == Asset.FX_SPOT) | (asset == Asset.FX_FWD)
    bought = records.take(pair)
    amount = np.where(bought.side == Side.BUY, bought.qty, -bought.qty) * MONEY_UNIT
    keys = [_keys(setting, records, records.settle_ccy), _keys(setting, bought, lines.ccy[bought.instrument])]
    return np.concatenate(keys), np.concatenate([records.net, amount])


def paid(setting: Setting, desk: Desk) -> Iterator[Entry]:
    """Dividends and coupons of the day on what each account opened with; the short pay."""
    lines, accounts = setting.world.instruments, setting.world.accounts
    for action in (*setting.actions_of(Kind.DIVIDEND), *setting.actions_of(Kind.COUPON)):
        line, ccy = action.instrument, int(lines.ccy[action.instrument])
        for account, pb in enumerate(accounts.pb.tolist()):
            held = int(desk.fund_opening[pb, account, line]), int(desk.broker_opening[pb, account, line])
            ours, theirs = (rounded(qty * action.amount * 100, PRICE_UNIT) * _CENT for qty in held)
            if ours or theirs:
                cell = int(np.ravel_multi_index((pb, account, line), desk.fund.shape))
                why = desk.why.get(cell, ()) if ours != theirs else ()
                yield Entry(str(action.kind), Source(pb), account, ccy, setting.day, ours or None, theirs or None,
                            action.action_id, line, why)  # fmt: skip


def financed(setting: Setting, till: Till) -> Iterator[Entry]:
    """A day's interest on every opening balance."""
    for cell in np.flatnonzero((till.fund_opening != 0) | (till.broker_opening != 0)).tolist():
        pb, account, ccy = (int(at) for at in np.unravel_index(cell, till.fund_opening.shape))
        both = (int(array.reshape(-1)[cell]) for array in (till.fund_opening, till.broker_opening))
        ours, theirs = (interest(balance, ccy) for balance in both)
        if ours or theirs:
            why = till.why.get(cell, ()) if ours != theirs else ()
            reference = f"INT {CURRENCIES[ccy]} {setting.text()}"
            yield Entry("INTEREST", Source(pb), account, ccy, setting.day, ours or None, theirs or None, reference,
                        why=why)  # fmt: skip


def interest(balance: int, ccy: int, extra_bp: int = 0, year: int = _YEAR) -> int:
    """One day's interest on a balance, to the cent."""
    rate = _RATES_BP[CURRENCIES[ccy]] + extra_bp
    return rounded(balance * rate, _BASIS_POINTS * year * _CENT) * _CENT


def margined(setting: Setting, desk: Desk) -> Iterator[Entry]:
    """Variation margin of futures held at the open: today's close against yesterday's."""
    lines, accounts = setting.world.instruments, setting.world.accounts
    for line in np.flatnonzero(lines.asset == Asset.FUTURE).tolist():
        move = int(setting.closes[line] - setting.previous_closes[line])
        for account, pb in enumerate(accounts.pb.tolist()):
            held = int(desk.fund_opening[pb, account, line]), int(desk.broker_opening[pb, account, line])
            ours, theirs = (setting.worth(line, qty, move) for qty in held)
            if ours or theirs:
                cell = int(np.ravel_multi_index((pb, account, line), desk.fund.shape))
                why = desk.why.get(cell, ()) if ours != theirs else ()
                reference = f"VM {lines.symbol[line]} {setting.text()}"
                yield Entry("MARGIN", Source(pb), account, int(lines.ccy[line]), setting.day, ours or None,
                            theirs or None, reference, line, why)  # fmt: skip


def wired(setting: Setting) -> Iterator[Entry]:
    """Wires the fund has instructed: every other account moves money."""
    random = setting.rng("wires")
    brokers = brokers_of(setting.profile.pbs)
    for account, pb in enumerate(setting.world.accounts.pb.tolist()):
        amount = int(random.integers(-40, 41)) * 25_000 * MONEY_UNIT
        if random.random() < _WIRED and amount and Source(pb) in brokers:
            reference = f"WIRE {setting.text('%y%m%d')}{account + 1:04d}"
            yield Entry("WIRE", Source(pb), account, 0, setting.day, amount, amount, reference)
