"""The corruptor, business half: turns clean bookings into labelled breaks; it never touches the fund's side."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from types import MappingProxyType

from simulator.booking import SECOND_NS
from simulator.calendars import next_settle_day
from simulator.ledger import CORRECT, LAG_SECONDS, NEW, BreakTruth, Ledger, Leg, Member
from simulator.universe import OMS, Account, Universe

_CENT = Decimal("0.01")
_CURE_SECONDS = (3_600, 6_600)
_RATES = MappingProxyType(
    {"T01": 50, "T02": 35, "T03": 25, "T05": 50, "T06": 50, "T07": 15, "T10": 30, "T14": 40, "T16": 60, "I01": 20}
)
_CURED = MappingProxyType({"T01": 10, "T05": 10, "T06": 10})


@dataclass(frozen=True, slots=True)
class BreakRates:
    """How many breaks of each code per 10,000 fills, how many of those cured later, and the least number of each."""

    per_ten_thousand: Mapping[str, int] = field(default_factory=lambda: _RATES)
    cured_per_ten_thousand: Mapping[str, int] = field(default_factory=lambda: _CURED)
    minimum: int = 3

    @classmethod
    def none(cls) -> "BreakRates":
        """Noise only: a correct reconciliation of such a day shows no break."""
        return cls({}, {}, 0)

    def count(self, code: str, fills: int) -> int:
        """Breaks of `code` that stay open on a day of `fills`."""
        rate = self.per_ten_thousand.get(code, 0)
        # On a small day the least number shrinks, so that breaks stay the exception.
        return max(min(self.minimum, max(1, fills // 100)), rate * fills // 10_000) if rate else 0

    def cured(self, code: str, fills: int) -> int:
        """Breaks of `code` that the broker repairs later the same day."""
        rate = self.cured_per_ten_thousand.get(code, 0)
        return max(min(self.minimum, 1), rate * fills // 10_000) if rate else 0


@dataclass(frozen=True, slots=True)
class _Case:
    """A clean booking picked to be spoiled, and what the maker of a break may draw on."""

    leg: Leg
    rng: Random
    world: Universe
    visible_internal_ns: int


@dataclass(frozen=True, slots=True)
class _Spoiled:
    """What the broker shows instead: the legs it sends, the field that is wrong, truth and show, money at stake."""

    legs: tuple[Leg, ...]
    field: str
    true_value: str
    shown_value: str
    materiality: Decimal


def corrupt(rng: Random, world: Universe, ledger: Ledger, rates: BreakRates, fills: int) -> list[BreakTruth]:
    """Break labels for the spoiled bookings; `ledger.external` is changed in place."""
    arrived = {leg.uid: leg.arrive_ns for leg in ledger.internal}
    pool = _candidates(rng, ledger)
    swaps: dict[str, tuple[Leg, ...]] = {}
    truth: list[BreakTruth] = []
    for code, make in _MAKERS.items():
        open_count, cured_count = rates.count(code, fills), rates.cured(code, fills)
        for index in range(open_count + cured_count):
            leg = _take(pool, code, index)
            if leg is None:
                break
            case = _Case(leg, rng, world, max(arrived[uid] for uid in leg.covers))
            spoiled = make(case)
            cure = _cure(rng, leg, spoiled) if index >= open_count else None
            swaps[leg.uid] = spoiled.legs + ((cure,) if cure else ())
            truth.append(_label(code, len(truth) + 1, case, spoiled, cure))
    ledger.external = [new for leg in ledger.external for new in swaps.get(leg.uid, (leg,))]
    return truth


def _candidates(rng: Random, ledger: Ledger) -> list[Leg]:
    """Bookings whose label can only mean one thing: never changed later, and no second trade with equal economics."""
    twins = Counter(_economics(leg) for leg in ledger.external)
    changed = {leg.prev_uid for leg in (*ledger.external, *ledger.internal) if leg.prev_uid}
    pool = [
        leg
        for leg in ledger.external
        if leg.status == NEW
        and leg.uid not in changed
        and not changed.intersection(leg.covers)
        and not any(uid.endswith("C") for uid in leg.covers)
        and twins[_economics(leg)] == 1
    ]
    rng.shuffle(pool)
    return pool


def _economics(leg: Leg) -> tuple[object, ...]:
    return leg.account.account_id, leg.order.instrument.isin, leg.side, leg.qty, leg.price


def _take(pool: list[Leg], code: str, index: int) -> Leg | None:
    """The next usable booking; the first three of a code go to the three brokers in turn, so each shows every code."""
    wanted = tuple(LAG_SECONDS)[index % len(LAG_SECONDS)] if index < len(LAG_SECONDS) else ""
    floor = Decimal("0.20") if code == "T16" else Decimal(0)
    for strict in (True, False):
        for position, leg in enumerate(pool):
            fits = not (strict and wanted) or leg.source == wanted
            if fits and leg.commission >= floor and (code != "T05" or leg.qty > 1):
                return pool.pop(position)
    return None


def _money(leg: Leg) -> Decimal:
    return (leg.qty * leg.price).quantize(_CENT)


def _missing_at_pb(case: _Case) -> _Spoiled:
    return _Spoiled((), "record", case.leg.uid, "", _money(case.leg))


def _missing_internal(case: _Case) -> _Spoiled:
    """An extra booking in another name and odd size with order ids the fund never used: an away trade."""
    rng, leg = case.rng, case.leg
    line = rng.choice([x for x in case.world.instruments if x != leg.order.instrument and x.ccy == "USD"])
    stray = replace(
        leg.order,
        order_id=f"XO{leg.order.order_id[2:]}",
        client_order_id=f"AW{leg.order.client_order_id[2:]}",
        instrument=line,
        settle_date=next_settle_day(line.mic, leg.order.trade_date),
    )
    qty = 101 + 2 * rng.randrange(200)
    price = line.price + line.tick * 77
    away = replace(
        leg, uid=f"{leg.uid}A", order=stray, qty=qty, price=price, cross_uid="", covers=(), cum_qty=qty,
        avg_price=price, settle_date=stray.settle_date,
    )  # fmt: skip
    return _Spoiled((leg, away), "record", "", away.uid, _money(away))


def _duplicate(case: _Case) -> _Spoiled:
    again = replace(
        case.leg, uid=f"{case.leg.uid}D", arrive_ns=case.leg.arrive_ns + case.rng.randrange(5, 900) * SECOND_NS
    )
    return _Spoiled((case.leg, again), "record", "1 booking", "2 bookings", _money(case.leg))


def _quantity(case: _Case) -> _Spoiled:
    leg = case.leg
    wrong = leg.qty * 10 if case.rng.randrange(4) == 0 else leg.qty - max(1, leg.qty // case.rng.randrange(2, 6))
    shown = replace(leg, qty=wrong)
    return _Spoiled((shown,), "qty", str(leg.qty), str(wrong), (abs(wrong - leg.qty) * leg.price).quantize(_CENT))


def _price(case: _Case) -> _Spoiled:
    leg = case.leg
    if leg.source == "BRAVO" and leg.order.instrument.ccy == "GBP":
        wrong = leg.price * 100  # pence shown as pounds: a true hundredfold error
        shown = replace(leg, price=wrong, minor_units=False)
    else:
        percent = case.rng.choice((-3, -2, -1, 1, 2, 3))
        step = max((leg.price * percent / 100).copy_abs().quantize(_CENT), Decimal("0.03"))
        wrong = leg.price + step if percent > 0 or step >= leg.price else leg.price - step
        shown = replace(leg, price=wrong)
    return _Spoiled((shown,), "price", f"{leg.price}", f"{wrong}", (leg.qty * abs(wrong - leg.price)).quantize(_CENT))


def _side(case: _Case) -> _Spoiled:
    wrong = "2" if case.leg.side == "1" else "1"
    return _Spoiled((replace(case.leg, side=wrong),), "side", case.leg.side, wrong, 2 * _money(case.leg))


def _account(case: _Case) -> _Spoiled:
    leg = case.leg
    others: list[Account] = [a for a in case.world.accounts if a.pb == leg.account.pb and a != leg.account]
    wrong = case.rng.choice(others)
    shown = replace(leg, account=wrong)
    return _Spoiled((shown,), "account_id", leg.account.account_id, wrong.account_id, _money(leg))


def _settle(case: _Case) -> _Spoiled:
    wrong = next_settle_day(case.leg.order.instrument.mic, case.leg.settle_date)
    shown = replace(case.leg, settle_date=wrong)
    return _Spoiled((shown,), "settle_date", f"{case.leg.settle_date}", f"{wrong}", _money(case.leg))


def _commission(case: _Case) -> _Spoiled:
    leg = case.leg
    wrong = (leg.commission * 3 / 2 + Decimal("0.35")).quantize(_CENT)
    shown = replace(leg, commission=wrong)
    return _Spoiled((shown,), "commission", f"{leg.commission}", f"{wrong}", wrong - leg.commission)


_MAKERS: Mapping[str, Callable[[_Case], _Spoiled]] = MappingProxyType(
    {
        "T01": _missing_at_pb,
        "T02": _missing_internal,
        "T03": _duplicate,
        "T05": _quantity,
        "T06": _price,
        "T07": _side,
        "T10": _account,
        "T14": _settle,
        "T16": _commission,
    }
)


def _cure(rng: Random, leg: Leg, spoiled: _Spoiled) -> Leg:
    """The broker's later message that makes the trade right: a correction, or the booking itself if it was missing."""
    at_ns = leg.arrive_ns + rng.randrange(*_CURE_SECONDS) * SECOND_NS
    if not spoiled.legs:
        return replace(leg, arrive_ns=at_ns)
    return replace(leg, uid=f"{leg.uid}K", prev_uid=leg.uid, status=CORRECT, arrive_ns=at_ns)


def _label(code: str, number: int, case: _Case, spoiled: _Spoiled, cure: Leg | None) -> BreakTruth:
    leg = case.leg
    internal = () if code == "T02" else tuple(Member(OMS, uid) for uid in leg.covers)
    shown = spoiled.legs[-1:] if code == "T02" else spoiled.legs
    if cure and not shown:
        shown = (cure,)
    external = tuple(Member(leg.source, each.uid) for each in shown)
    # For a missing record nothing is visible; a cured one becomes visible with its cure.
    visible = max((each.arrive_ns for each in shown), default=None)
    internal_ns = None if code == "T02" else case.visible_internal_ns
    lag_ns = LAG_SECONDS.get(leg.source, 60) * SECOND_NS
    if code == "T01":
        detectable = case.visible_internal_ns + lag_ns
    elif code == "T02":
        detectable = (visible or 0) + 60 * SECOND_NS
    else:
        detectable = max(visible or 0, case.visible_internal_ns)
    return BreakTruth(
        break_id=f"{code}-{number:04d}",
        code=code,
        group_id=shown[-1].uid if code == "T02" else f"G-{leg.uid}",
        internal_ids=internal,
        external_ids=external,
        pb=leg.source,
        field=spoiled.field,
        true_value=spoiled.true_value,
        shown_value=spoiled.shown_value,
        injected_at=leg.arrive_ns,
        visible_at_internal=internal_ns,
        visible_at_external=visible,
        detectable_at=detectable,
        cured_at=cure.arrive_ns if cure else None,
        materiality=spoiled.materiality,
    )
