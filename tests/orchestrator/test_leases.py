"""Leases: every lane has one driver, a dead one is replaced, a newcomer gets its share, whatever wall clocks say."""

import random
from collections.abc import Mapping, Sequence

import pytest

from domain.clock import ManualClock
from domain.errors import TransientError
from orchestrator.leases import Lease, LeaseKeeper

LANES = [f"lane-{n}" for n in range(7)]


class Records:
    """The records in memory, under the same conditions as a table's; `away` makes them unreachable."""

    def __init__(self) -> None:
        self.rows: dict[str, Lease] = {}
        self.away = False

    def leases(self) -> Mapping[str, Lease]:
        self._reach()
        return dict(self.rows)

    def take(self, lane: str, owner: str, seen: Lease | None) -> int | None:
        self._reach()
        if self.rows.get(lane) != seen:
            return None
        before = seen or Lease(lane, "", 0, 0)
        self.rows[lane] = Lease(lane, owner, before.token + 1, before.beat + 1)
        return before.token + 1

    def renew(self, lane: str, token: int) -> bool:
        self._reach()
        row = self.rows[lane]
        if row.token != token:
            return False
        self.rows[lane] = Lease(lane, row.owner, row.token, row.beat + 1)
        return True

    def release(self, lane: str, token: int) -> None:
        self._reach()
        row = self.rows[lane]
        if row.token == token:
            self.rows[lane] = Lease(lane, "", row.token, row.beat + 1)

    def _reach(self) -> None:
        if self.away:
            raise TransientError("ledger out of reach")


def keepers(records: Records, count: int, seed: int = 0) -> list[tuple[LeaseKeeper, ManualClock]]:
    """Workers whose clocks are up to five minutes apart."""
    chance = random.Random(seed)
    made = []
    for n in range(count):
        clock = ManualClock(1_700_000_000_000_000_000 + chance.randrange(-300, 300) * 10**9)
        made.append((LeaseKeeper(records, f"worker-{n}", clock), clock))
    return made


def rounds(workers: Sequence[tuple[LeaseKeeper, ManualClock]], seconds: float) -> None:
    for _ in range(int(seconds)):
        for keeper, clock in workers:
            clock.advance(1)
            keeper.lanes(LANES)


def driven(workers: Sequence[tuple[LeaseKeeper, ManualClock]]) -> list[str]:
    return sorted(lane for keeper, _ in workers for lane in keeper.lanes(LANES))


def test_the_first_worker_takes_everything() -> None:
    (one,) = workers = keepers(Records(), 1)
    assert set(one[0].lanes(LANES)) == set(LANES)
    assert driven(workers) == LANES


def test_a_newcomer_gets_its_share_and_every_lane_keeps_one_driver() -> None:
    workers = keepers(Records(), 3)
    rounds(workers[:1], 5)
    rounds(workers, 60)
    assert driven(workers) == LANES
    assert sorted(len(keeper.lanes(LANES)) for keeper, _ in workers) == [2, 2, 3]


def test_lanes_stay_where_they_are_once_they_are_even() -> None:
    records = Records()
    workers = keepers(records, 3)
    rounds(workers, 60)
    before = {lane: row.token for lane, row in records.rows.items()}
    rounds(workers, 120)
    assert {lane: row.token for lane, row in records.rows.items()} == before


def test_a_dead_worker_is_replaced_after_the_lease_and_not_before() -> None:
    workers = keepers(Records(), 2)
    rounds(workers, 60)
    dead = set(workers[0][0].lanes(LANES))
    rounds(workers[1:], 8)
    assert dead.isdisjoint(workers[1][0].lanes(LANES))
    rounds(workers[1:], 8)
    assert set(workers[1][0].lanes(LANES)) == set(LANES)


def test_a_worker_that_leaves_in_order_is_replaced_at_once() -> None:
    workers = keepers(Records(), 2)
    rounds(workers, 60)
    workers[0][0].close()
    rounds(workers[1:], 4)
    assert set(workers[1][0].lanes(LANES)) == set(LANES)


def test_who_cannot_renew_stops_after_the_lease() -> None:
    records = Records()
    ((keeper, clock),) = keepers(records, 1)
    keeper.lanes(LANES)
    records.away = True
    clock.advance(4)
    with pytest.raises(TransientError):
        keeper.lanes(LANES)
    assert set(keeper.lanes(LANES)) == set(LANES), "a short absence costs nothing"
    clock.advance(7)
    with pytest.raises(TransientError):
        keeper.lanes(LANES)
    assert keeper.lanes(LANES) == {}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_stops_and_wakes_two_newest_tokens_of_a_lane_never_meet(seed: int) -> None:
    """Workers pause for any time and wake: at most one of them holds the newest token of a lane, and all are driven."""
    chance = random.Random(seed)
    records = Records()
    workers = keepers(records, 4, seed)
    for _ in range(120):
        for keeper, clock in workers:
            clock.advance(chance.choice([1, 1, 1, 2, 25]))
            if chance.random() < 0.7:
                keeper.lanes(LANES)
        newest = [
            lane for keeper, _ in workers for lane, token in keeper._mine.items() if records.rows[lane].token == token
        ]
        assert len(newest) == len(set(newest))
    rounds(workers, 60)
    assert driven(workers) == LANES


def test_the_end_of_a_lane_is_known_to_all() -> None:
    records, clocks = Records(), [ManualClock(0), ManualClock(0)]
    one, other = (LeaseKeeper(records, name, clock, 9.0) for name, clock in zip("ab", clocks, strict=True))
    for keeper in (one, other):
        keeper.lanes(LANES)
    one.end("lane-1")
    one.end("lane-1")
    assert one.ended() == {"lane-1"} and other.ended() == frozenset()
    clocks[1].advance(5)
    mine = other.lanes(LANES)
    assert other.ended() == {"lane-1"} and set(mine) <= set(LANES)
