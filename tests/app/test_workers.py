"""Several workers over one stream and one ledger: lanes are shared out, taken over, and never driven twice."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import WorkerSettings
from app.worker import SWEEPER, Worker
from domain.clock import ManualClock, SystemClock
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream
from orchestrator.embedded import EmbeddedEngine
from orchestrator.leases import LeaseKeeper
from orchestrator.ledger_dynamodb import DynamoDbLedger, make_table
from orchestrator.ledger_sqlite import SharedSqliteLedger
from tests.app.test_worker import ONE_STATE

Json = dict[str, Any]
SharedLedger = DynamoDbLedger | SharedSqliteLedger
LANES = ("A", "B", "C", "D")


class Fleet:
    """Workers with an engine of their own each, as on machines of their own; what their tasks did, by name."""

    def __init__(self, root: Path, open_ledger: Callable[[], SharedLedger], tenant: str, count: int) -> None:
        self.root, self.log, self.taken = root, SegmentStream(root / "log"), Counter[str]()
        self.ranges: dict[str, list[bytes]] = {}
        self.sweeps: list[str] = []
        self.workers: list[tuple[Worker, ManualClock]] = []
        self._stack = contextlib.ExitStack()
        for number in range(count):
            engine = EmbeddedEngine(root / f"{number}.sqlite", ONE_STATE, {"do": self._do}, SystemClock())
            self._stack.callback(engine.close)
            # Five minutes apart, and fast: leases are about time that passes, not about what time it is.
            clock = ManualClock(1_700_000_000_000_000_000 + number * 300 * 10**9)
            ledger = open_ledger()
            worker = Worker(
                tenant=tenant,
                stream=SegmentStream(root / "log"),
                engine=engine,
                ledger=ledger,
                limits=WorkerSettings(batch_min_wait_ms=1, batch_max_messages=5),
                clock=SystemClock(),
                due=lambda: (None, None),
                on_ended=lambda _name, _status: None,
                leases=LeaseKeeper(ledger, f"worker-{number}", clock, lease_seconds=9),
            )
            self.workers.append((worker, clock))

    def _do(self, task: Json) -> Json:
        if task["kind"] == "sweep":
            self.sweeps.append(task["execution"])
            return {}
        batch = self.log.read(task["lane"], task["after"], task["count"], until=task["until"])
        # By name, as every task of Tieout: a second run of a range changes nothing.
        self.ranges[task["execution"]] = [message for e in batch.envelopes for message in e.messages]
        self.taken[task["execution"]] += 1
        return {}

    def append(self, lane: str, count: int) -> None:
        first = self.log.tail(lane).number + 1
        messages = tuple(b"%s%d" % (lane.encode(), first + n) for n in range(count))
        self.log.append([Envelope(lane, first, first, messages, first)])

    def turn(self, *who: int, seconds: float = 1.0) -> None:
        for number in who:
            worker, clock = self.workers[number]
            clock.advance(seconds)
            worker.step()

    def settle(self, *who: int) -> None:
        deadline = time.monotonic() + 60
        total = sum(self.log.tail(lane).number for lane in LANES)
        while sum(map(len, self.ranges.values())) < total or any(not self.workers[n][0].idle for n in who):
            assert time.monotonic() < deadline, (total, self.ranges)
            self.turn(*who)
            time.sleep(0.001)

    def check(self) -> None:
        """Every message in exactly one range, each lane's in order."""
        sent = {lane: [b"%s%d" % (lane.encode(), n + 1) for n in range(self.log.tail(lane).number)] for lane in LANES}
        got = [message for messages in self.ranges.values() for message in messages]
        assert sorted(got) == sorted(message for messages in sent.values() for message in messages)

    def close(self) -> None:
        self._stack.close()
        self.log.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    moto = pytest.importorskip("moto")
    import boto3

    with moto.mock_aws():
        made = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        make_table(made, "ledger")
        yield made


@pytest.fixture(params=["dynamodb", "sqlite"])
def fleet(tmp_path: Path, client: Any, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    def opened() -> SharedLedger:
        if request.param == "sqlite":
            return SharedSqliteLedger(tmp_path / "ledger.sqlite", "t")
        return DynamoDbLedger(client, "ledger", request.node.name)

    made = Fleet(tmp_path, opened, request.node.name, 3)
    for lane in LANES:
        made.append(lane, 12)
    yield made
    made.close()


def driven(fleet: Fleet, number: int) -> set[str]:
    return set(fleet.workers[number][0]._lanes)


def test_lanes_are_shared_out_and_everything_is_taken_once(fleet: Fleet) -> None:
    for _ in range(30):
        fleet.turn(0, 1, 2, seconds=4)
    for lane in LANES:
        fleet.append(lane, 12)
    fleet.settle(0, 1, 2)
    fleet.check()
    shares = [driven(fleet, n) for n in range(3)]
    assert set().union(*shares) == set(LANES) and sum(map(len, shares)) == len(LANES)
    assert max(map(len, shares)) == 2
    assert sum(SWEEPER in worker.leases.lanes(LANES) for worker, _ in fleet.workers if worker.leases) == 1


def test_a_worker_that_died_is_replaced_and_what_it_planned_is_run(fleet: Fleet) -> None:
    fleet.turn(0)
    assert driven(fleet, 0) == set(LANES)
    dead, _ = fleet.workers[0]
    planned = {lane.running for lane in dead._lanes.values() if lane.running}
    dead.engine.close()
    fleet.ranges.clear()
    for _ in range(4):
        fleet.turn(1, seconds=4)
    fleet.settle(1)
    fleet.check()
    assert planned <= set(fleet.ranges), "ranges are run again under the names they were planned with"


def test_a_zombie_that_wakes_late_starts_nothing(fleet: Fleet) -> None:
    fleet.turn(0)
    for _ in range(4):
        fleet.turn(1, seconds=4)
    fleet.settle(1)
    for lane in LANES:
        fleet.append(lane, 7)
    before = set(fleet.ranges)
    # Nine seconds have not passed on its own clock: it still believes in its leases, and the ledger refuses it.
    deadline = time.monotonic() + 60
    while driven(fleet, 0):
        assert time.monotonic() < deadline
        fleet.turn(0, seconds=0)
    assert set(fleet.ranges) <= before
    fleet.settle(1)
    fleet.check()


@pytest.mark.parametrize(
    "seed", [3, pytest.param(4, marks=pytest.mark.heavy), pytest.param(5, marks=pytest.mark.heavy)]
)
def test_pauses_at_random_moments_lose_and_repeat_nothing(fleet: Fleet, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        fleet.turn(chance.randrange(3), seconds=chance.choice([0.5, 2, 12]))
        if chance.random() < 0.3:
            fleet.append(chance.choice(LANES), chance.randint(1, 9))
    for _ in range(8):
        fleet.turn(0, 1, 2, seconds=4)
    fleet.settle(0, 1, 2)
    fleet.check()


def test_the_end_of_input_may_be_told_to_one_that_does_not_lead(fleet: Fleet) -> None:
    for _ in range(30):
        fleet.turn(0, 1, seconds=4)
    fleet.settle(0, 1)
    (asked,) = [worker for worker, _ in fleet.workers[:2] if not worker.leads]
    asked.request_final_sweep()
    assert not asked.idle
    fleet.settle(0, 1)
    assert len(fleet.sweeps) == 1
