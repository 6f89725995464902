"""Blocks after the fact: the fund's allocations of an order's shares to accounts at the average price."""

import numpy as np

from simulator.flow.allocate import split
from simulator.flow.fees import charge
from simulator.flow.lifecycle import NOTIONAL, QTY, State
from simulator.flow.orders import block_accounts
from simulator.flow.rng import rng
from simulator.flow.rows import GROUPS_A_DAY, Basis, average, of_orders
from simulator.flow.timing import MS_NS
from simulator.profiles import Profile
from simulator.records import I64, SECOND_NS, Level, Records, Status

_MINUTE_MS = 60_000
_MOST_WEIGHT = 10


def own_shares(base: Basis, profile: Profile, state: State, last: tuple[I64, I64], above: tuple[int, int]) -> Records:
    """The fund's allocations of all blocks, later versions last; shares of an order and version follow each other.

    `last` is when each order's last execution happened and when the fund knew all of them; `above` the highest
    serial and group used so far. A correction after the allocation replaces all shares of its order.
    """
    random = rng(base.seed, base.day, "blocks")
    orders = np.flatnonzero(base.draft.account < 0)
    sent = last[1][orders] + random.integers(5 * _MINUTE_MS, 90 * _MINUTE_MS, len(orders)) * MS_NS
    # Busts change quantities, so the desk waits for them; a corrected price can be sent on later.
    sent = np.maximum(sent, state.last_bust(orders) + SECOND_NS)
    accounts, parts = block_accounts(random, base.world, profile, len(orders))
    weights = random.integers(1, _MOST_WEIGHT + 1, accounts.shape)
    weights[np.arange(weights.shape[1]) >= parts[:, None]] = 0
    first = state.at(orders, sent)
    shares = split(first[:, QTY], weights, base.draft.rule[orders])
    block, column = np.nonzero(shares)
    of = orders[block]
    rows = np.arange(1, len(block) + 1)
    account = accounts[block, column].astype(np.int16)
    made = of_orders(base, of).with_(
        level=Level.ALLOCATION,
        serial=above[0] + rows,
        root=above[0] + rows,
        group=base.day * GROUPS_A_DAY + above[1] + rows,
        account=account,
        pb=base.world.accounts.pb[account],
        qty=shares[block, column],
        event_ns=last[0][of],
        arrive_ns=sent[block],
        order_qty=state.base[of, QTY],
        cum_qty=first[block, QTY],
    )
    made = _priced(base, made, first[block])
    known = state.last_change(orders)
    again = np.flatnonzero((known > sent)[block])
    resent = (known + random.integers(_MINUTE_MS, 10 * _MINUTE_MS, len(orders)) * MS_NS)[block][again]
    final = state.at(orders, np.maximum(known, 0))[block][again]
    second = made.take(again)
    second = second.with_(
        status=Status.CORRECT,
        serial=above[0] + len(rows) + 1 + np.arange(len(again)),
        prev=second.serial,
        version=2,
        arrive_ns=resent,
    )
    return Records.concat([made, _priced(base, second, final)])


def _priced(base: Basis, shares: Records, state: I64) -> Records:
    price, decimals = average(state[:, NOTIONAL], state[:, QTY], shares.source)
    return charge(shares.with_(price=price, price_dp=decimals, avg_price=price), base.world)
