"""Fills to ledger: what the fund reports, what each prime broker books, and busts and corrections on both sides."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from random import Random

from simulator.ledger import CANCEL, CORRECT, Fill, Ledger, Leg, NoiseTruth, Order
from simulator.orders import commission
from simulator.universe import OMS

SECOND_NS = 1_000_000_000
_PX4 = Decimal("0.0001")


def build_ledger(rng: Random, fills: list[Fill]) -> Ledger:
    """The clean day: every fill on both sides with equal economics, some later busted or corrected on both sides."""
    ledger = Ledger()
    changes = _lifecycle(rng, fills)
    for order, group in groupby(fills, key=lambda fill: fill.order):
        members = list(group)
        versions = [_versions(rng, fill, changes.get(fill.exec_id)) for fill in members]
        for chain in versions:
            ledger.internal += chain
        if order.account.pb == "CHARLIE":
            booked = _block(rng, order, versions)
        else:
            booked = [leg for chain in versions for leg in _mirror(rng, chain)]
        ledger.external += booked
        for leg in booked:
            if leg.prev_uid:
                ledger.noise.append(NoiseTruth(f"{leg.status.lower()}_both_sides", leg.source, leg.uid, leg.arrive_ns))
    return ledger


def _lifecycle(rng: Random, fills: list[Fill]) -> dict[str, str]:
    busts, corrections = max(2, len(fills) // 500), max(2, len(fills) // 200)
    chosen = rng.sample(fills, min(busts + corrections, len(fills) // 4))
    return {fill.exec_id: CANCEL if index < busts else CORRECT for index, fill in enumerate(chosen)}


def _versions(rng: Random, fill: Fill, change: str | None) -> list[Leg]:
    """The fund's versions of one fill: the fill, and where `change` says so its bust or correction minutes later."""
    slow = rng.randrange(100) < 2
    delay_ms = rng.randrange(1_000, 20_000) if slow else rng.randrange(5, 500)
    first = Leg(
        source=OMS,
        uid=fill.exec_id,
        order=fill.order,
        account=fill.order.account,
        side=fill.order.side,
        qty=fill.qty,
        price=fill.price,
        commission=fill.commission,
        settle_date=fill.order.settle_date,
        event_ns=fill.at_ns,
        arrive_ns=fill.at_ns + delay_ms * 1_000_000,
        covers=(fill.exec_id,),
        cum_qty=fill.cum_qty,
        avg_price=fill.avg_price,
    )
    if change is None:
        return [first]
    later_ns = rng.randrange(90, 2_400) * SECOND_NS
    uid = f"{fill.exec_id}{'X' if change == CANCEL else 'C'}"
    second = replace(
        first,
        uid=uid,
        prev_uid=first.uid,
        status=change,
        covers=(uid,),
        arrive_ns=first.arrive_ns + later_ns,
        cum_qty=first.cum_qty - (first.qty if change == CANCEL else 0),
    )
    if change == CORRECT:
        price = first.price + 3 * fill.order.instrument.tick
        second = replace(second, price=price, commission=commission(fill.order, fill.qty, price))
    return [first, second]


def _mirror(rng: Random, chain: list[Leg]) -> list[Leg]:
    """A broker that books fill by fill: one leg per version, seconds after the fund's; sometimes just before it."""
    pb = chain[0].order.account.pb
    most_ms = {"ALPHA": 15_000, "BRAVO": 40_000}.get(pb, 15_000)
    booked: list[Leg] = []
    for version in chain:
        uid = broker_uid(pb, version.uid)
        lag_ns = rng.randrange(200, most_ms) * 1_000_000
        early = rng.randrange(100) < 2
        arrive_ns = version.event_ns + 1_000_000 if early and not booked else version.arrive_ns + lag_ns
        previous = booked[-1].uid if booked else ""
        booked.append(
            replace(
                version, source=pb, uid=uid, cross_uid=version.uid, prev_uid=previous, arrive_ns=arrive_ns,
            )
        )  # fmt: skip
    return booked


def broker_uid(pb: str, exec_id: str) -> str:
    """The broker's own trade id for the fund's execution; it only looks unrelated, so that truth stays readable."""
    prefix = {"ALPHA": "ALT-", "BRAVO": "B7", "CHARLIE": "CHA"}.get(pb, f"{pb[:3]}-")
    return prefix + exec_id[2:]


def _block(rng: Random, order: Order, chains: list[list[Leg]]) -> list[Leg]:
    """A broker that books an order at its average price: one leg, replaced or cancelled when a fill changes later."""
    first = [chain[0] for chain in chains]
    last_fill_ns = max(leg.event_ns for leg in first)
    booked_ns = last_fill_ns + rng.randrange(30, 840) * SECOND_NS
    base = first[0].uid
    booked: list[Leg] = []
    for moment in [booked_ns, *sorted(c[1].arrive_ns for c in chains if len(c) > 1 and c[1].arrive_ns > booked_ns)]:
        live = [leg for leg in (_as_of(chain, moment) for chain in chains) if leg is not None]
        index = len(booked)
        uid = broker_uid("CHARLIE", base) + (f"R{index}" if index else "")
        leg = _average(order, live or first, uid, moment + (rng.randrange(2, 60) * SECOND_NS if index else 0))
        if index:
            leg = replace(leg, prev_uid=booked[-1].uid, status=CORRECT if live else CANCEL)
        elif not live:
            return []  # everything was busted before the broker booked it
        booked.append(replace(leg, event_ns=last_fill_ns))
    return booked


def _as_of(chain: list[Leg], moment_ns: int) -> Leg | None:
    known = [leg for leg in chain if leg.arrive_ns <= moment_ns] or chain[:1]
    return None if known[-1].status == CANCEL else known[-1]


def _average(order: Order, live: Iterable[Leg], uid: str, arrive_ns: int) -> Leg:
    legs = list(live)
    qty = sum(leg.qty for leg in legs)
    notional = sum((leg.qty * leg.price for leg in legs), Decimal(0))
    return Leg(
        source="CHARLIE",
        uid=uid,
        order=order,
        account=order.account,
        side=order.side,
        qty=qty,
        price=(notional / qty).quantize(_PX4, ROUND_HALF_UP),
        commission=sum((leg.commission for leg in legs), Decimal(0)),
        settle_date=order.settle_date,
        event_ns=arrive_ns,
        arrive_ns=arrive_ns,
        covers=tuple(leg.uid for leg in legs),
    )
