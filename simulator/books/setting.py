"""What every part of a day's books needs: the day, its world, its clock times, and labels made to one pattern."""

from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal

import numpy as np
from numpy.random import Generator

from simulator.flow.rng import rng
from simulator.flow.timing import EPOCH, business_day, local_ns
from simulator.market.actions import Action, Kind, actions_on
from simulator.market.prices import closes
from simulator.market.world import CURRENCIES, Asset, World
from simulator.profiles import Profile
from simulator.records import I64, MONEY_UNIT, PRICE_UNIT, Source
from simulator.truth import BreakTruth, Member

# Books come when the next morning's late corrections are in them: the fund's, then the brokers'.
_FUND_AT, _BROKERS_AT = time(9, 20), time(9, 25)
_AFFIRMED_BY = time(21, 0)
_SETTLED_AT = time(18, 30)
_SETTLES_WITHIN = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """One day of books; `more` says that another day of the run follows, on which things can be put right.

    By instrument: prices at the close of the day and of the one before, whether prices are per 100, contract sizes.
    """

    seed: int
    day: int
    world: World
    profile: Profile
    more: bool
    closes: I64
    previous_closes: I64
    actions: tuple[Action, ...]
    percent: tuple[bool, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, seed: int, day: int, world: World, profile: Profile, number: int) -> "Setting":
        """The setting of the `number`th day (from 0) of a run."""
        before = closes(world, seed, business_day(day, -1))
        more = number + 1 < profile.days
        actions = tuple(actions_on(world, seed, day))
        percent = tuple(np.isin(world.instruments.asset, (Asset.BOND, Asset.CDS)).tolist())
        sizes = tuple(world.instruments.multiplier.tolist())
        return cls(seed, day, world, profile, more, closes(world, seed, day), before, actions, percent, sizes)

    def rng(self, stage: str) -> Generator:
        """The generator of one stage of the books."""
        return rng(self.seed, self.day, f"books.{stage}")

    def actions_of(self, kind: Kind) -> list[Action]:
        """The day's corporate actions of one kind."""
        return [action for action in self.actions if action.kind is kind]

    def text(self, form: str = "%Y%m%d", day: int | None = None) -> str:
        """A day, by default the books' own, in a strftime form."""
        return date_text(self.day if day is None else day, form)

    @property
    def next_day(self) -> int:
        """The next business day."""
        return business_day(self.day, 1)

    @property
    def fund_ns(self) -> int:
        """When the fund's books arrive, UTC ns."""
        return local_ns(self.next_day, _FUND_AT)

    @property
    def brokers_ns(self) -> int:
        """When the brokers' positions and cash arrive, UTC ns."""
        return local_ns(self.next_day, _BROKERS_AT)

    @property
    def affirmed_ns(self) -> int:
        """When the brokers say which trades are affirmed, UTC ns."""
        return local_ns(self.day, _AFFIRMED_BY)

    @property
    def settled_day(self) -> int:
        """The day as of whose evening the settlement of the day's bookings is reported."""
        return settled_day(self.day)

    @property
    def settled_ns(self) -> int:
        """When that report arrives, UTC ns."""
        return local_ns(self.settled_day, _SETTLED_AT)

    @property
    def cured_books_ns(self) -> int | None:
        """When the next books put right what was late in these; None if no other day follows."""
        return local_ns(business_day(self.next_day, 1), _BROKERS_AT) if self.more else None

    @property
    def cured_settled_ns(self) -> int | None:
        """When the next settlement report comes; None if no other day follows."""
        return local_ns(settled_day(self.next_day), _SETTLED_AT) if self.more else None

    def worth(self, instrument: int, qty: int, price: int | None = None) -> int:
        """The value of a quantity at the close, or at `price`, in MONEY_UNITs of the line's currency."""
        size = qty * self.sizes[instrument] * (int(self.closes[instrument]) if price is None else price)
        return rounded(size * 100, PRICE_UNIT * (100 if self.percent[instrument] else 1)) * (MONEY_UNIT // 100)

    def usd(self, amount: int, ccy: int) -> int:
        """Money in US dollars, both in MONEY_UNITs."""
        return rounded(amount * int(self.world.usd[ccy]), PRICE_UNIT)

    def cell_uid(self, account: int, instrument: int) -> str:
        """What truth rows call a position."""
        return f"{self.world.accounts.account_id[account]}|{self.world.instruments.key[instrument]}"

    def cash_uid(self, account: int, ccy: int) -> str:
        """What truth rows call a balance."""
        return f"{self.world.accounts.account_id[account]}|{CURRENCIES[ccy]}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A planted break before it has a number: `amount` is what it is worth, in MONEY_UNITs of currency `ccy`."""

    code: str
    pb: Source
    internal: tuple[str, ...]
    external: tuple[str, ...]
    field: str
    true: str
    shown: str
    amount: int
    ccy: int
    group: int = 0


def label(
    setting: Setting, finding: Finding, number: int, seen: tuple[int | None, int], cured: int | None
) -> BreakTruth:
    """The truth row of a planted break; `seen` is when the fund's side and the broker's showed it."""
    code, amount = finding.code, abs(finding.amount)
    return BreakTruth(
        break_id=f"{code}-{setting.text('%y%m%d')}-{number:05d}",
        code=code,
        group_id=str(finding.group) if finding.group else finding.external[0],
        internal_ids=tuple(Member(Source.OMS.name, uid) for uid in finding.internal),
        external_ids=tuple(Member(finding.pb.name, uid) for uid in finding.external),
        pb=finding.pb.name,
        field=finding.field,
        true_value=finding.true,
        shown_value=finding.shown,
        injected_at=seen[1],
        visible_at_internal=seen[0],
        visible_at_external=seen[1],
        detectable_at=max(seen[1], seen[0] or 0),
        cured_at=cured,
        materiality=decimal_of(amount),
        ccy=CURRENCIES[finding.ccy],
        materiality_usd=decimal_of(setting.usd(amount, finding.ccy)),
    )


def settled_day(day: int) -> int:
    """Two business days on, all but a few of a day's bookings are due."""
    for _ in range(_SETTLES_WITHIN):
        day = business_day(day, 1)
    return day


def date_text(day: int, form: str = "%Y-%m-%d") -> str:
    """Days since 1970 in a strftime form."""
    return f"{EPOCH + timedelta(days=int(day)):{form}}"


def rounded(numerator: int, denominator: int) -> int:
    """Integer division rounding half away from zero."""
    half = (abs(numerator) + denominator // 2) // denominator
    return half if numerator >= 0 else -half


def decimal_of(amount: int) -> Decimal:
    """Money as a decimal with two digits, four where two do not do."""
    exact = Decimal(amount) / MONEY_UNIT
    return exact.quantize(Decimal("0.01")) if amount % (MONEY_UNIT // 100) == 0 else exact


def scaled_text(value: int, unit: int, least: int) -> str:
    """An integer of 1/`unit` as an exact decimal with at least `least` digits and no needless zeros."""
    digits = len(str(unit)) - 1
    whole, rest = divmod(abs(value), unit)
    fraction = f"{rest:0{digits}d}".rstrip("0").ljust(least, "0")
    return f"{'-' if value < 0 else ''}{whole}{'.' if fraction else ''}{fraction}"
