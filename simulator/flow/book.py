"""What the prime brokers book: fill by fill, by allocation, or an order at its average price; cancel-and-rebook."""

import numpy as np
from numpy.random import Generator

from simulator.flow.fees import recompute
from simulator.flow.lifecycle import NOTIONAL, QTY, State, costs_of
from simulator.flow.rng import rng
from simulator.flow.rows import GROUPS_A_DAY, Basis, average, fill_decimals, identified, of_orders, rounded
from simulator.flow.timing import CUT_NS, MS_NS, booked_file, booked_live, sends_files, slot_after
from simulator.records import I8, I64, SECOND_NS, Bool, Level, Records, Source, Status

BY_FILL = (Source.ALPHA, Source.BRAVO)
BY_ORDER = (Source.CHARLIE, Source.DELTA, Source.ECHO)
REBOOK_NOISE = 25
_REBOOKED = 0.003
_REBOOK_SECONDS = (120, 5_400)


def fill_bookings(base: Basis, own: Records) -> Records:
    """Every version of the fund's executions `own` as ALPHA and BRAVO book them, quoting the fund's id."""
    parts = []
    for source in BY_FILL:
        random = rng(base.seed, base.day, f"book fills {source.name}")
        theirs = own.take(own.pb == source)
        arrive = np.where(
            theirs.version == 1,
            booked_live(random, source, theirs.arrive_ns),
            booked_live(random, source, theirs.arrive_ns, first=False),
        )
        decimals = fill_decimals(base.world, theirs.instrument, np.full(len(theirs), source, np.int8))
        price = rounded(theirs.price, decimals)
        booked = theirs.with_(source=source, cross=theirs.serial, arrive_ns=arrive, price=price, price_dp=decimals)
        finer = np.flatnonzero(price != theirs.price)
        parts.append(_replaced(booked, finer, recompute(booked.take(finer), base.world)))
    return Records.concat(parts)


def share_bookings(base: Basis, shares: Records, state: State, charlie_fix: bool) -> Records:
    """The fund's allocations `shares` as their brokers book them, at the average price to the decimals they show."""
    parts = []
    for source in (*BY_FILL, *BY_ORDER):
        random = rng(base.seed, base.day, f"book shares {source.name}")
        theirs = shares.take(shares.pb == source)
        files = sends_files(source, charlie_fix)
        if files:
            arrive = booked_file(source, theirs.arrive_ns, base.day)
        else:
            arrive = booked_live(random, source, theirs.arrive_ns, first=False)
        orders = theirs.order.astype(np.int64)
        totals = np.zeros((len(theirs), state.base.shape[1]), np.int64)
        for version in (1, 2):
            of = np.flatnonzero(theirs.version == version)
            totals[of] = state.at(orders[of], theirs.arrive_ns[of])
        price, decimals = average(totals[:, NOTIONAL], totals[:, QTY], np.full(len(theirs), source, np.int8))
        booked = theirs.with_(
            source=source,
            cross=theirs.root if source in BY_FILL else 0,
            arrive_ns=arrive,
            price=price,
            price_dp=decimals,
            avg_price=price,
        )
        parts.append(recompute(_settled(booked), base.world))
    return Records.concat(parts)


def order_bookings(base: Basis, state: State, last: tuple[I64, I64], above: int, charlie_fix: bool) -> Records:
    """Single-account orders at CHARLIE, DELTA and ECHO: one record for all executions, another if they change later.

    `last` is when each order's last execution happened and when all were known; serials start after `above`.
    """
    account = base.draft.account
    pb = np.where(account >= 0, base.world.accounts.pb[account], -1)
    parts = []
    for source in BY_ORDER:
        random = rng(base.seed, base.day, f"book orders {source.name}")
        orders = np.flatnonzero(pb == source)
        files = sends_files(source, charlie_fix)
        if files:
            arrive = booked_file(source, last[1][orders], base.day)
        else:
            arrive = booked_live(random, source, last[1][orders])
        cut = arrive - (CUT_NS if files else SECOND_NS)
        before = state.at(orders, cut)
        first = _booked(base, source, orders, before, arrive, last[0])
        known = state.last_change(orders)
        later = np.flatnonzero((known > cut) & (before[:, QTY] > 0))
        if files:
            again = slot_after(source, known[later] + CUT_NS)
        else:
            again = np.maximum(booked_live(random, source, known[later]), arrive[later] + SECOND_NS)
        after = state.at(orders[later], known[later])
        gone = after[:, QTY] == 0
        after[gone] = before[later][gone]
        second = _booked(base, source, orders[later], after, again, last[0]).with_(
            status=np.where(gone, Status.CANCEL, Status.CORRECT), version=2
        )
        serials = above + 1 + 2 * orders
        first = first.with_(serial=serials, root=serials).take(before[:, QTY] > 0)
        second = second.with_(serial=serials[later] + 1, root=serials[later], prev=serials[later])
        parts += [first, second]
    return Records.concat(parts)


def _booked(base: Basis, source: Source, orders: I64, state: I64, arrive: I64, last_event: I64) -> Records:
    made = of_orders(base, orders)
    live = np.maximum(state[:, QTY], 1)
    shown: I8 = np.full(len(orders), source, np.int8)
    price, decimals = average(state[:, NOTIONAL], live, shown)
    group = base.day * GROUPS_A_DAY + int(base.draft.fills.sum()) + 1 + orders
    filled = made.with_(
        source=source,
        level=Level.ALLOCATION,
        pb=source,
        group=group,
        qty=state[:, QTY],
        price=price,
        price_dp=decimals,
        avg_price=price,
        event_ns=last_event[orders],
        arrive_ns=arrive,
        order_qty=state[:, QTY],
        cum_qty=state[:, QTY],
        **costs_of(state),
    )
    return recompute(identified(filled, base.world), base.world)


def _settled(booked: Records) -> Records:
    """Versions that would appear at one broker at the same moment: the last stands, as its first."""
    second = np.flatnonzero(booked.version == 2)
    rows = np.full(int(booked.serial.max(initial=0)) + 1, -1, np.int64)
    rows[booked.serial] = np.arange(len(booked))
    first = rows[booked.prev[second]]
    same = booked.arrive_ns[first] >= booked.arrive_ns[second]
    alone = second[same]
    columns = {name: getattr(booked, name).copy() for name in ("status", "version", "prev", "root")}
    for name, value in (("status", Status.NEW), ("version", 1), ("prev", 0), ("root", booked.serial[alone])):
        columns[name][alone] = value
    keep: Bool = np.ones(len(booked), np.bool_)
    keep[first[same]] = False
    return booked.with_(**columns).take(keep)


def rebooked(base: Basis, bookings: Records, above: int, charlie_fix: bool) -> Records:
    """Cancels and new bookings of 0.3% of the brokers' records that nothing else happens to: the same trade again.

    DELTA and ECHO keep the trade's id over all three, as a third version; elsewhere the new booking is a new record.
    """
    random = rng(base.seed, base.day, "rebook")
    changed = np.unique(bookings.root[bookings.version > 1])
    candidates = np.flatnonzero((bookings.version == 1) & ~np.isin(bookings.root, changed))
    count = min(len(candidates), max(1, round(len(bookings) * _REBOOKED)))
    old = bookings.take(np.sort(random.choice(candidates, count, replace=False)))
    arrive = _later(random, old, charlie_fix)
    rows = np.arange(len(old))
    noise = old.noise | (1 << REBOOK_NOISE)
    cancel = old.with_(
        serial=above + 1 + rows, prev=old.serial, version=2, status=Status.CANCEL, arrive_ns=arrive, noise=noise
    )
    again = old.with_(serial=above + 1 + len(old) + rows, noise=noise)
    keeps = (old.source == Source.DELTA) | (old.source == Source.ECHO)
    live = np.isin(old.source, BY_FILL) | ((old.source == Source.CHARLIE) & charlie_fix)
    again = again.with_(
        root=np.where(keeps, old.root, again.serial),
        version=np.where(keeps, 3, 1),
        arrive_ns=arrive + np.where(live, 500 * MS_NS, 0),
    )
    return Records.concat([cancel, again])


def _later(random: Generator, old: Records, charlie_fix: bool) -> I64:
    """When the cancels come: minutes later over FIX, with CHARLIE's next file of the day, else in the same file."""
    delay = random.integers(_REBOOK_SECONDS[0], _REBOOK_SECONDS[1], len(old)) * SECOND_NS
    arrive = old.arrive_ns + delay
    for source in BY_ORDER:
        of = np.flatnonzero(old.source == source)
        if not len(of) or not sends_files(source, charlie_fix):
            continue
        same = old.arrive_ns[of]
        following = slot_after(source, same)
        # Never overnight: a file of the same day or the very same one.
        arrive[of] = np.where(following - same < 12 * 3_600 * SECOND_NS, following, same)
    return arrive


def _replaced(records: Records, rows: I64, by: Records) -> Records:
    """The records with some rows replaced; only gross, net and upfront of `by` are taken."""
    columns = {name: getattr(records, name).copy() for name in ("gross", "net", "upfront")}
    for name, column in columns.items():
        column[rows] = getattr(by, name)
    return records.with_(**columns)
