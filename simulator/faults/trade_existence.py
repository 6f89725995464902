"""Breaks of being there: missing, unknown, doubled, at another broker, orphaned, refused, late (T01-T04, T12, ...)."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from simulator.faults.bench import Bench, Plan, Planner, Planted, Trade, differs
from simulator.faults.draft import Row
from simulator.faults.text import amount
from simulator.flow import timing
from simulator.flow.book import BY_FILL, BY_ORDER
from simulator.flow.rows import average_decimals, fill_decimals, rounded
from simulator.market.world import Asset
from simulator.records import I8, I64, SECOND_NS, Bool, Level, Source, Status

_HOLD_SECONDS = 900
_REPEAT_SECONDS = (5, 900)
_REPLAY_SECONDS = (1, 600)
_LATE_SECONDS = (1_800, 5_400)
# Just behind the longest usual delay, and just inside the grace, in seconds after the fund's record.
_SLOW_SECONDS = MappingProxyType({Source.ALPHA: (20, 57), Source.BRAVO: (43, 57), Source.CHARLIE: (845, 897)})
_AWAY_TICKS = 77


def missing_at_pb(bench: Bench) -> Plan:
    """T01: the broker never books the trade."""

    def make(trade: Trade) -> Planted:
        bench.draft.drop(trade.row)
        bench.draft.part(*trade.ours)
        made = _one_sided(bench, trade, "T01")
        return replace(made, theirs=(), theirs_at=None)

    return Plan(_any(bench), make)


def booked_late(bench: Bench) -> Plan:
    """T01, cured: the broker books the trade long after its grace."""

    def make(trade: Trade) -> Planted | None:
        source = trade.theirs["source"]
        late = bench.due(source, trade.ours_at)
        if not bench.files(source):
            arrive_at: int | None = late + bench.between(*_LATE_SECONDS) * SECOND_NS
        else:
            arrive_at = bench.soon({**trade.theirs, "arrive_ns": late})
        if arrive_at is None:
            return None
        bench.draft.edit(trade.row, arrive_ns=arrive_at)
        return replace(_one_sided(bench, trade, "T01"), theirs_at=arrive_at, cured_at=arrive_at)

    return Plan(_any(bench), make)


def missing_internal(bench: Bench) -> Plan:
    """T02: the broker books a trade the fund never did, in another name and an odd size, under orders unknown to us."""

    def make(trade: Trade) -> Planted | None:
        stray = _stray(bench, trade, arrive_at=trade.theirs["arrive_ns"])
        if stray is None:
            return None
        row = bench.draft.add({**stray, "serial": (serial := bench.draft.serial(stray["source"])), "root": serial})
        bench.draft.charge(row)
        return unknown_trade(bench, row)

    return Plan(bench.is_asset(Asset.EQUITY), make, uses=False)


def duplicate_at_pb(bench: Bench) -> Plan:
    """T03: the broker books the trade twice under two ids."""

    def make(trade: Trade) -> Planted:
        again = trade.theirs
        wait = 0 if bench.files(again["source"]) else bench.between(*_REPEAT_SECONDS) * SECOND_NS
        serial = bench.draft.serial(again["source"])
        arrive_at = again["arrive_ns"] + wait
        row = bench.draft.add(
            {**again, "serial": serial, "root": serial, "group": 0, "noise": 0, "arrive_ns": arrive_at}
        )
        made = differs(trade, "T03", "record", "1 booking", "2 bookings", _worth(bench, trade))
        return replace(
            made, theirs=(trade.row, row), injected_at=arrive_at, theirs_at=arrive_at,
            detectable_at=max(arrive_at, trade.ours_at),
        )  # fmt: skip

    return Plan(_any(bench), make)


def duplicate_internal(bench: Bench) -> Plan:
    """T04: the fund's order system states an execution twice, with another id at the same moment."""

    def make(trade: Trade) -> Planted:
        again = bench.draft.row(trade.first)
        serial = bench.draft.serial(Source.OMS)
        arrive_at = again["arrive_ns"] + bench.between(*_REPLAY_SECONDS) * SECOND_NS
        row = bench.draft.add(
            {**again, "serial": serial, "root": serial, "group": 0, "noise": 0, "arrive_ns": arrive_at}
        )
        made = differs(trade, "T04", "record", "1 execution", "2 executions", _worth(bench, trade))
        return replace(
            made, ours=(trade.first, row), injected_at=arrive_at, ours_at=arrive_at,
            detectable_at=max(bench.due(trade.theirs["source"], arrive_at), trade.theirs["arrive_ns"]),
        )  # fmt: skip

    return Plan(bench.pool.alone & bench.of(*BY_FILL), make)


def wrong_pb(bench: Bench) -> Plan:
    """T12: another broker than the one the fund told books the trade."""
    accounts = bench.world.accounts
    rivals = {source: _rivals(source, bench.profile.pbs) for source in (*BY_FILL, *BY_ORDER)}

    def make(trade: Trade) -> Planted:
        source = trade.theirs["source"]
        there = np.flatnonzero(np.isin(accounts.pb, rivals[Source(source)]))
        account = int(there[bench.below(len(there))])
        row = at_broker(bench, trade, account)
        bench.draft.edit(trade.row, **row)
        bench.draft.reprice(trade.row)
        shown = Source(row["source"])
        made = differs(trade, "T12", "pb", Source(source).name, shown.name, _worth(bench, trade))
        arrived = row["arrive_ns"]
        return replace(
            made, pb=row["source"], injected_at=arrived, theirs_at=arrived, detectable_at=max(arrived, trade.ours_at)
        )

    return Plan(bench.of(*(source for source, others in rivals.items() if others)), make)


def orphan_reference(bench: Bench) -> Plan:
    """T24: the broker cancels or corrects a trade nobody has heard of."""

    def make(trade: Trade) -> Planted | None:
        stray = _stray(bench, trade, arrive_at=trade.theirs["arrive_ns"])
        if stray is None:
            return None
        source, of = stray["source"], bench.draft.unknown(stray["source"])
        status = Status.CANCEL if bench.below(2) else Status.CORRECT
        row = bench.draft.add(
            {**stray, "status": status, "version": 2, "serial": bench.draft.serial(source), "root": of, "prev": of}
        )
        bench.draft.charge(row)
        made = unknown_trade(bench, row)
        hold = stray["arrive_ns"] + _HOLD_SECONDS * SECOND_NS
        return replace(made, code="T24", field="reference", detectable_at=hold)

    return Plan(bench.is_asset(Asset.EQUITY), make, uses=False)


def rejected(bench: Bench) -> Plan:
    """T25: the broker refuses the trade."""

    def make(trade: Trade) -> Planted:
        bench.draft.edit(trade.row, status=Status.REJECT)
        bench.draft.part(trade.row, *trade.ours)
        return differs(trade, "T25", "status", "NEW", "REJECT", _worth(bench, trade))

    return Plan(~bench.of(Source.ECHO), make)


def late(bench: Bench) -> Plan:
    """T28: the broker's record comes later than usual but inside the grace; the break ends by itself."""
    live = [source for source in _SLOW_SECONDS if not bench.files(source)]

    def make(trade: Trade) -> Planted:
        low, high = _SLOW_SECONDS[Source(trade.theirs["source"])]
        arrive_at = trade.ours_at + bench.between(low, high) * SECOND_NS
        bench.draft.edit(trade.row, arrive_ns=arrive_at)
        made = differs(trade, "T28", "record", "in time", "late", _worth(bench, trade))
        return replace(
            made, injected_at=trade.ours_at, theirs_at=arrive_at, detectable_at=trade.ours_at, cured_at=arrive_at
        )

    return Plan(bench.of(*live), make)


def unknown_trade(bench: Bench, row: int) -> Planted:
    """The label T02 of an added record no trade of the fund's stands behind."""
    theirs = bench.draft.row(row)
    arrived = theirs["arrive_ns"]
    return Planted(
        code="T02", group=0, pb=theirs["source"], ours=(), theirs=(row,), field="record", true="",
        shown=amount(bench.gross(theirs)), stake=bench.gross(theirs), ccy=bench.value_ccy(theirs), injected_at=arrived,
        ours_at=None, theirs_at=arrived, detectable_at=bench.due(Source.OMS, arrived),
    )  # fmt: skip


def at_broker(bench: Bench, trade: Trade, account: int) -> Row:
    """What a trade's booking would look like at another broker, in `account` there: columns to replace."""
    source, theirs = Source(int(bench.world.accounts.pb[account])), trade.theirs
    known: I64 = np.array([trade.ours_at], np.int64)
    if bench.files(source):
        arrive = timing.booked_file(source, known, bench.day)
    else:
        arrive = timing.booked_live(bench.random, source, known, first=False)
    who: I8 = np.array([source], np.int8)
    price: I64 = np.array([theirs["price"]], np.int64)
    if theirs["level"] == Level.FILL:
        decimals = fill_decimals(bench.world, np.array([theirs["instrument"]], np.int32), who)
    else:
        decimals = average_decimals(price, who)
    serial = bench.draft.serial(source)
    return {
        "source": int(source), "pb": int(source), "account": account, "serial": serial, "root": serial,
        "price": int(rounded(price, decimals)[0]), "price_dp": int(decimals[0]), "arrive_ns": int(arrive[0]),
    }  # fmt: skip


def _any(bench: Bench) -> Bool:
    return np.ones(len(bench.pool.group), np.bool_)


def _rivals(source: Source, present: str) -> list[Source]:
    """The other brokers of the run that book trades the same way."""
    alike = BY_FILL if source in BY_FILL else BY_ORDER
    return [other for other in alike if other is not source and other.name[0] in present]


def _worth(bench: Bench, trade: Trade) -> tuple[int, int]:
    return bench.gross(trade.theirs), bench.value_ccy(trade.theirs)


def _one_sided(bench: Bench, trade: Trade, code: str) -> Planted:
    made = differs(trade, code, "record", "1 booking", "", _worth(bench, trade))
    return replace(made, detectable_at=bench.due(trade.theirs["source"], trade.ours_at))


def _stray(bench: Bench, trade: Trade, arrive_at: int) -> Row | None:
    """A trade like `trade` in another line of the same market, of a size and price nobody else has."""
    lines, theirs = bench.world.instruments, trade.theirs
    line = theirs["instrument"]
    alike = np.flatnonzero(
        (lines.asset == lines.asset[line]) & (lines.mic == lines.mic[line]) & (lines.ccy == lines.ccy[line])
    )
    others = alike[alike != line]
    if not len(others):
        return None
    other = int(others[bench.below(len(others))])
    step = bench.step({**theirs, "instrument": other})
    price = int(lines.price[other]) // step * step + _AWAY_TICKS * step
    return {
        **theirs,
        "cross": 0, "order": -1, "group": 0, "noise": 0, "instrument": other, "qty": 101 + 2 * bench.below(400),
        "price": price, "avg_price": 0, "cum_qty": 0, "order_qty": 0, "settle_ccy": theirs["ccy"], "fx_rate": 0,
        "arrive_ns": arrive_at,
    }  # fmt: skip


PLANNERS: Mapping[str, Planner] = MappingProxyType(
    {
        "T01": missing_at_pb,
        "T02": missing_internal,
        "T03": duplicate_at_pb,
        "T04": duplicate_internal,
        "T12": wrong_pb,
        "T24": orphan_reference,
        "T25": rejected,
        "T28": late,
    }
)
