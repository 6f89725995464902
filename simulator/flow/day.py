"""A clean day: orders, executions, allocations and bookings on both sides, and what happens to them later."""

import numpy as np

from simulator.flow.blocks import own_shares
from simulator.flow.book import fill_bookings, order_bookings, rebooked, share_bookings
from simulator.flow.fills import draw_fills, segment_sums
from simulator.flow.lifecycle import draw_changes, executed, with_running
from simulator.flow.orders import draw_orders, finished
from simulator.flow.rows import basis, own_fills
from simulator.flow.trades import Trades
from simulator.market.world import World
from simulator.profiles import Profile
from simulator.records import I64, Records, Source


def trade_day(seed: int, day: int, world: World, profile: Profile) -> Trades:
    """Everything both sides say of the trades of `day` (days since 1970), without any break.

    The fund's first versions of executions number exactly `profile.fills`. Rows: the fund's executions in order of
    their orders, their later versions, its allocations (the shares of an order and version together), then the
    brokers' records.
    """
    draft = draw_orders(seed, day, world, profile)
    fills = draw_fills(seed, day, world, draft)
    base = basis(seed, day, world, draft)
    own = own_fills(base, fills)
    changes = draw_changes(base, own, profile.next_day_percent)
    state = executed(own, fills, changes)
    own, changes = with_running(own, changes, state)
    ends = fills.first + draft.fills - 1
    last = fills.event_ns[ends], np.maximum.reduceat(own.arrive_ns, fills.first)
    used = len(own) + len(changes.records)
    shares = own_shares(base, profile, state, last, (used, len(own) + len(draft)))
    used += len(shares)
    fix = profile.charlie_fix
    versions = Records.concat([own, changes.records])
    bookings = [
        fill_bookings(base, versions),
        share_bookings(base, shares, state, fix),
        order_bookings(base, state, last, used, fix),
    ]
    booked = Records.concat(bookings)
    again = rebooked(base, booked, used + 2 * len(draft), fix)
    records = _numbered(Records.concat([versions, shares, booked, again]))
    return Trades(finished(draft, day, segment_sums(fills.qty, fills.first)), records)


def _numbered(records: Records) -> Records:
    """Serials 1, 2, ... per source in order of arrival in place of the provisional ones, and references to match."""
    columns = {name: getattr(records, name).copy() for name in ("serial", "root", "prev", "cross")}
    most = int(records.serial.max(initial=0))
    ours: I64 = np.zeros(most + 1, np.int64)
    for source in Source:
        rows = np.flatnonzero(records.source == source)
        number: I64 = np.zeros(most + 1, np.int64)
        sequence = rows[np.argsort(records.arrive_ns[rows], kind="stable")]
        number[records.serial[sequence]] = np.arange(1, len(rows) + 1)
        if source is Source.OMS:
            ours = number
        for name in ("serial", "root", "prev"):
            columns[name][rows] = number[columns[name][rows]]
    columns["cross"] = ours[columns["cross"]]
    return records.with_(**columns)
