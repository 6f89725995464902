"""The worker: contiguous ranges under fixed names, one at a time per lane, resumed after a crash, sweeps when due."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.intake import Matched
from app.settings import WorkerSettings
from app.worker import Worker
from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream
from orchestrator.embedded import EmbeddedEngine
from orchestrator.ledger import SqliteLedger, execution_name

ONE_STATE = {
    "StartAt": "Do",
    "States": {
        "Do": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "do", "Payload.$": "$"},
            "End": True,
        }
    },
}
Json = dict[str, Any]


class Plant:
    """A worker over a real segment log, engine and ledger; `gate` holds the tasks back while it is not set."""

    def __init__(self, root: Path, **limits: int) -> None:
        self.calls: list[Json] = []
        self.ended: list[tuple[str, str]] = []
        self.due: tuple[int | None, int | None] = (None, None)
        self.gate = threading.Event()
        self.gate.set()
        self.matched = Matched()
        self.log = SegmentStream(root / "log")
        self.engine = EmbeddedEngine(root / "e.sqlite", ONE_STATE, {"do": self._do}, SystemClock())
        self.worker = Worker(
            tenant="t",
            stream=self.log,
            engine=self.engine,
            ledger=SqliteLedger(self.engine),
            limits=WorkerSettings(**{"batch_min_wait_ms": 1, **limits}),
            clock=SystemClock(),
            due=lambda: self.due,
            on_ended=lambda name, status: self.ended.append((name, status)),
            matched=self.matched.take,
        )

    def _do(self, task: Json) -> Json:
        self.gate.wait(20)
        self.calls.append(task)
        if b"poison" in b"".join(self.messages(task)):
            raise PermanentError("poison")
        return {}

    def messages(self, task: Json) -> list[bytes]:
        if not task["lane"]:
            return []
        batch = self.log.read(task["lane"], task["after"], task["count"], until=task["until"])
        return [message for envelope in batch.envelopes for message in envelope.messages]

    def append(self, lane: str, *messages: bytes, recv_ts: int = 1) -> None:
        first = self.log.tail(lane).number + 1
        self.log.append([Envelope(lane, first, recv_ts, messages, first)])

    def run(self) -> None:
        deadline = time.monotonic() + 20
        while self.worker.step() or not self.worker.idle:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def close(self) -> None:
        self.gate.set()
        self.engine.close()
        self.log.close()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Callable[..., Plant]]:
    with contextlib.ExitStack() as stack:

        def make(**limits: int) -> Plant:
            made = Plant(tmp_path, **limits)
            stack.callback(made.close)
            return made

        yield make


def texts(*numbers: int) -> list[bytes]:
    return [b"m%d" % n for n in numbers]


def test_ranges_are_contiguous_and_bounded_and_everything_is_taken_once(plant: Callable[..., Plant]) -> None:
    here = plant(batch_max_messages=3)
    here.append("A", *texts(*range(7)))
    here.append("B", b"only")
    here.run()
    mine = [task for task in here.calls if task["lane"] == "A"]
    assert [here.messages(task) for task in mine] == [texts(0, 1, 2), texts(3, 4, 5), texts(6)]
    assert [task["after"] for task in mine] == [None, mine[0]["until"], mine[1]["until"]]
    assert [task["marks"] for task in mine] == [{}, {"A": 3}, {"A": 6}]
    assert [here.messages(task) for task in here.calls if task["lane"] == "B"] == [[b"only"]]
    assert len(here.ended) == 4 and {status for _, status in here.ended} == {"SUCCEEDED"}


def test_the_name_says_tenant_lane_and_range(plant: Callable[..., Plant]) -> None:
    here = plant()
    here.append("A", b"x")
    here.run()
    (task,) = here.calls
    assert task["execution"] == execution_name("t", "A", "", task["until"])
    assert here.engine.describe(task["execution"]).status == "SUCCEEDED"


def test_one_execution_of_a_lane_at_a_time_but_lanes_side_by_side(plant: Callable[..., Plant]) -> None:
    here = plant(batch_max_messages=1)
    here.gate.clear()
    here.append("A", *texts(1, 2))
    here.append("B", *texts(3, 4))
    for _ in range(20):
        here.worker.step()
        time.sleep(0.002)
    assert here.engine.counts() == {"RUNNING": 2}
    assert here.worker.lag() == {"A": 1, "B": 1} and not here.worker.idle
    here.gate.set()
    here.run()
    assert here.engine.counts() == {"SUCCEEDED": 4}


def test_a_lane_goes_on_once_its_range_is_matched(plant: Callable[..., Plant]) -> None:
    """What is left of an execution after that is waited for by nobody but the end."""
    here = plant(batch_max_messages=1, executions_max=2)
    here.gate.clear()
    here.append("A", *texts(1, 2, 3))
    here.worker.step()
    (first,) = here.engine.list("RUNNING")
    here.matched.note(first.name)
    for _ in range(20):
        here.worker.step()
        time.sleep(0.002)
    assert here.engine.counts() == {"RUNNING": 2} and here.worker.lag() == {"A": 1}
    (second,) = {one.name for one in here.engine.list("RUNNING")} - {first.name}
    here.matched.note(second)
    for _ in range(20):
        here.worker.step()
        time.sleep(0.002)
    assert here.engine.counts() == {"RUNNING": 2}, "as many as may be under way"
    assert not here.worker.idle and not here.ended
    here.gate.set()
    here.run()
    assert here.engine.counts() == {"SUCCEEDED": 3} and len(here.ended) == 3
    assert sorted(m for task in here.calls for m in here.messages(task)) == texts(1, 2, 3)


def test_what_falls_due_in_a_moment_is_swept_together(plant: Callable[..., Plant]) -> None:
    here = plant(sweep_together_ms=100)
    second = 10**9
    begun = here.worker.clock.now_ns()
    here.due = (begun - 10 * second, begun - 10 * second)
    for _ in range(2_000):
        here.worker.step()
        assert not here.worker.idle
        if len(here.calls) >= 4:
            break
        # Every sweep is followed at once by something else that is due.
        here.due = (here.worker.clock.now_ns(), here.worker.clock.now_ns()) if here.calls else here.due
        time.sleep(0.01)
    here.due = (None, None)
    here.run()
    passed = (here.worker.clock.now_ns() - begun) / second
    assert len(here.calls) >= 4 and passed >= 0.1 * (len(here.calls) - 2)


@pytest.mark.parametrize(("together_ms", "running"), [(60_000, 1), (1, 2)])
def test_a_lane_that_is_ready_waits_a_moment_for_those_that_run(
    plant: Callable[..., Plant], together_ms: int, running: int
) -> None:
    here = plant(batch_together_ms=together_ms)
    here.gate.clear()
    here.append("A", *texts(1))
    here.worker.step()
    here.append("B", *texts(2))
    for _ in range(20):
        here.worker.step()
        time.sleep(0.002)
    assert here.engine.counts() == {"RUNNING": running}
    assert here.worker.lag()["B"] == 2 - running and not here.worker.idle
    here.gate.set()
    here.run()
    assert here.engine.counts() == {"SUCCEEDED": 2}


def test_as_of_is_the_latest_receipt_and_never_goes_back(plant: Callable[..., Plant]) -> None:
    here = plant()
    here.append("A", b"x", recv_ts=500)
    here.run()
    here.append("B", b"y", recv_ts=100)
    here.run()
    here.append("A", b"z", recv_ts=900)
    here.run()
    assert [task["as_of"] for task in here.calls] == [500, 500, 900]


def test_a_failed_range_does_not_stop_its_lane(plant: Callable[..., Plant]) -> None:
    here = plant(batch_max_messages=1)
    here.append("A", b"a", b"poison", b"b")
    here.run()
    assert [here.messages(task) for task in here.calls] == [[b"a"], [b"poison"], [b"b"]]
    assert [status for _, status in here.ended] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]


def test_a_crash_after_the_plan_repeats_the_same_range(plant: Callable[..., Plant]) -> None:
    """The ledger knows a range whose execution never ended; a new worker adds what came later as its own range."""
    first = plant()
    first.gate.clear()
    first.append("A", *texts(1, 2))
    first.worker.step()
    (planned,) = first.engine.list("RUNNING")
    first.engine._stopping = True  # the process is gone before the task ends
    first.close()
    second = plant()
    second.append("A", b"m3")
    second.run()
    assert second.engine.describe(planned.name).input == planned.input
    done = {name.name: name.status for name in second.engine.list()}
    assert done[planned.name] == "SUCCEEDED" and len(done) == 2
    assert [second.messages(task) for task in second.calls if task["execution"] != planned.name] == [[b"m3"]]


def test_a_crash_after_a_lane_went_on_ends_both_executions(plant: Callable[..., Plant]) -> None:
    first = plant(batch_max_messages=1)
    first.gate.clear()
    first.append("A", *texts(1, 2))
    first.worker.step()
    (matched,) = first.engine.list("RUNNING")
    first.matched.note(matched.name)
    deadline = time.monotonic() + 20
    while first.engine.counts() != {"RUNNING": 2}:
        assert time.monotonic() < deadline
        first.worker.step()
        time.sleep(0.002)
    planned = {one.name: one.input for one in first.engine.list("RUNNING")}
    first.engine._stopping = True  # the process is gone before a task ends
    first.close()
    second = plant(batch_max_messages=1)
    second.append("A", b"m3")
    second.run()
    while second.engine.counts() != {"SUCCEEDED": 3}:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert all(second.engine.describe(name).input == given for name, given in planned.items())
    # In the first process both may have been called before it ended; a range is the same each time.
    taken = {task["execution"]: second.messages(task) for task in (*first.calls, *second.calls)}
    assert sorted(message for messages in taken.values() for message in messages) == texts(1, 2, 3)


def test_a_worker_that_was_replaced_is_fenced(plant: Callable[..., Plant]) -> None:
    here = plant()
    here.append("A", b"x")
    here.run()
    SqliteLedger(here.engine).claim("A")
    here.append("A", b"y")
    with pytest.raises(PermanentError, match="fenced"):
        here.run()
    assert len(here.calls) == 1


def test_a_sweep_starts_when_something_is_due_and_not_before(plant: Callable[..., Plant]) -> None:
    here = plant()
    far = here.worker.clock.now_ns() + 3_600 * 10**9
    here.due = (far, far)
    here.run()
    assert here.calls == []
    passed = here.worker.clock.now_ns() - 1
    here.due = (passed, far)
    # What a person changed while nothing ran is noticed within a moment.
    assert any(here.worker.step() or time.sleep(0.01) for _ in range(200))
    here.due = (far, far)
    here.run()
    (sweep,) = here.calls
    assert (sweep["kind"], sweep["lane"], sweep["count"], sweep["after"], sweep["until"]) == (
        "sweep",
        "",
        0,
        None,
        None,
    )
    assert sweep["execution"] == f"sweep-{sweep['as_of']}" and passed < sweep["as_of"] < far


@pytest.mark.parametrize(("hold", "held"), [(300, True), (5, False)])
def test_no_grace_ends_while_what_is_waited_for_may_lie_unread(
    plant: Callable[..., Plant], hold: int, held: bool
) -> None:
    """A is done while B still has what came a minute ago: time stands at what B reached, for a while at most."""
    here = plant(batch_max_messages=1, grace_hold_seconds=hold)
    second, now = 10**9, here.worker.clock.now_ns()
    for number, ago in enumerate((60, 40, 20)):
        here.append("B", b"b%d" % number, recv_ts=now - ago * second)
    here.append("A", b"a", recv_ts=now)
    here.due = (now - 10 * second, now - 10 * second)
    for _ in range(2_000):
        here.worker.step()
        if not all(task["lane"] for task in here.calls):
            break
        time.sleep(0.002)
    lanes = [task["lane"] for task in here.calls]
    assert (lanes[: lanes.index("")].count("B") == 3) is held
    as_of = {task["lane"]: task["as_of"] for task in here.calls}
    assert (as_of["A"] < now - 60 * second) is held and as_of[""] >= now - 10 * second


def test_the_final_sweep_waits_for_every_lane_and_is_as_of_the_last_due_time(plant: Callable[..., Plant]) -> None:
    here = plant(batch_max_messages=1)
    far = here.worker.clock.now_ns() + 3_600 * 10**9
    here.due = (far - 5, far)
    here.append("A", *texts(1, 2, 3))
    here.worker.request_final_sweep()
    here.run()
    assert [task["kind"] for task in here.calls] == ["batch"] * 3 + ["sweep"]
    assert here.calls[-1]["as_of"] == far


def test_a_final_sweep_that_is_being_started_is_not_idle(
    plant: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plant()
    start, told = here.engine.start, []

    def slow(name: str, task: Json) -> Any:
        told.append(here.worker.idle)
        return start(name, task)

    monkeypatch.setattr(here.engine, "start", slow)
    here.worker.request_final_sweep()
    here.run()
    assert told == [False] and here.worker.idle


def test_a_lane_in_trouble_does_not_hold_up_the_others(
    plant: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plant()
    here.append("A", b"x")
    here.append("B", b"y")
    read = here.log.read

    def flaky(lane: str, *rest: Any, **more: Any) -> Any:
        if lane == "A":
            raise TransientError("the disk is away")
        return read(lane, *rest, **more)

    monkeypatch.setattr(here.log, "read", flaky)
    for _ in range(50):
        here.worker.step()
        time.sleep(0.002)
    assert [task["lane"] for task in here.calls] == ["B"]
    monkeypatch.undo()
    here.run()
    assert sorted(task["lane"] for task in here.calls) == ["A", "B"]


def test_a_range_that_was_planned_and_could_not_be_started_is_never_cut_again(
    plant: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plant()
    here.append("A", b"x")

    def busy(*_: Any) -> Any:
        raise TransientError("the engine is busy")

    monkeypatch.setattr(here.engine, "start", busy)
    here.worker.step()
    here.append("A", b"y")
    here.worker.request_final_sweep()
    here.worker.step()
    monkeypatch.undo()
    here.run()
    assert [here.messages(task) for task in here.calls] == [[b"x"], [b"y"], []], "both, and then the sweep"
