"""The durable engine: idempotent starts, retries without threads, redrive, crash and resume, serial tasks."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from orchestrator.embedded import EmbeddedEngine

INVOKE = "arn:aws:states:::lambda:invoke"
Json = dict[str, Any]


class FastClock(SystemClock):
    """Wall time a thousand times as fast from where it started, so that retry pauses cost milliseconds."""

    def __init__(self) -> None:
        self._start = time.time_ns()

    def now_ns(self) -> int:
        return self._start + (time.time_ns() - self._start) * 1_000


def task(function: str, **more: object) -> Json:
    return {
        "Type": "Task",
        "Resource": INVOKE,
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "ResultSelector": {"value.$": "$.Payload.value"},
        "ResultPath": f"$.{function}",
        **more,
    }


RETRY = [{"ErrorEquals": ["TransientError"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2}]
TWO_STEPS = {"StartAt": "A", "States": {"A": task("a", Next="B"), "B": task("b", Retry=RETRY, End=True)}}


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Callable[..., EmbeddedEngine]]:
    opened: list[EmbeddedEngine] = []

    def make(functions: dict[str, Callable[[Json], Json]], definition: Json = TWO_STEPS, **more: Any) -> EmbeddedEngine:
        engine = EmbeddedEngine(tmp_path / "e.sqlite", definition, functions, FastClock(), **more)
        opened.append(engine)
        return engine

    yield make
    for engine in opened:
        engine.close()


def ok(_payload: Json) -> Json:
    return {"value": 1}


def test_runs_and_tells_the_history_in_order(engines: Callable[..., EmbeddedEngine]) -> None:
    engine = engines({"a": ok, "b": ok})
    engine.start("one", {"x": 1})
    done = engine.wait("one", 10)
    assert (done.status, done.output) == ("SUCCEEDED", {"x": 1, "a": {"value": 1}, "b": {"value": 1}})
    events = engine.history("one")
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    assert [e.type for e in events][:2] == ["ExecutionStarted", "TaskStateEntered"]
    assert events[-1].type == "ExecutionSucceeded"
    assert engine.statistics()["A"]["count"] == 1 and engine.counts() == {"SUCCEEDED": 1}


def test_a_name_is_an_idempotency_key(engines: Callable[..., EmbeddedEngine]) -> None:
    calls: list[Json] = []
    engine = engines({"a": lambda p: calls.append(p) or {"value": 1}, "b": ok})  # type: ignore[func-returns-value]
    for _ in range(3):
        engine.start("one", {"x": 1})
        engine.wait("one", 10)
    assert len(calls) == 1
    with pytest.raises(PermanentError, match="ExecutionAlreadyExists"):
        engine.start("one", {"x": 2})
    with pytest.raises(PermanentError, match="ExecutionDoesNotExist"):
        engine.describe("other")


def test_transient_errors_are_retried_and_others_are_not(engines: Callable[..., EmbeddedEngine]) -> None:
    calls = {"transient": 0, "permanent": 0}

    def second(payload: Json) -> Json:
        calls[payload["kind"]] += 1
        if payload["kind"] == "permanent":
            raise PermanentError("refused")
        if calls["transient"] < 3:
            raise TransientError("busy")
        return {"value": 2}

    engine = engines({"a": ok, "b": second})
    engine.start("t", {"kind": "transient"})
    engine.start("p", {"kind": "permanent"})
    assert engine.wait("t", 10).status == "SUCCEEDED"
    failed = engine.wait("p", 10)
    assert (failed.status, failed.error, json.loads(failed.cause)["errorMessage"]) == (
        "FAILED", "PermanentError", "refused",
    )  # fmt: skip
    assert calls == {"transient": 3, "permanent": 1}


def test_a_retry_pause_does_not_hold_up_others(tmp_path: Path) -> None:
    released = threading.Event()

    def second(payload: Json) -> Json:
        if payload["kind"] == "slow" and not released.is_set():
            raise TransientError("busy")
        return {"value": 2}

    engine = EmbeddedEngine(tmp_path / "e.sqlite", TWO_STEPS, {"a": ok, "b": second}, SystemClock(), serial=("a", "b"))
    try:
        engine.start("slow", {"kind": "slow"})
        engine.start("fast", {"kind": "fast"})
        assert engine.wait("fast", 10).status == "SUCCEEDED"
        assert engine.describe("slow").status == "RUNNING"
        released.set()
        assert engine.wait("slow", 10).status == "SUCCEEDED"
    finally:
        engine.close()


def test_redrive_continues_at_the_state_that_failed(engines: Callable[..., EmbeddedEngine]) -> None:
    calls: list[str] = []
    broken = threading.Event()
    broken.set()

    def first(_payload: Json) -> Json:
        calls.append("a")
        return {"value": 1}

    def second(_payload: Json) -> Json:
        calls.append("b")
        if broken.is_set():
            raise TransientError("busy")
        return {"value": 2}

    engine = engines({"a": first, "b": second})
    engine.start("one", {})
    assert engine.wait("one", 10).status == "FAILED"
    broken.clear()
    engine.redrive("one")
    done = engine.wait("one", 10)
    assert (done.status, done.redrive_count, calls) == ("SUCCEEDED", 1, ["a", "b", "b", "b", "b"])
    types = [e.type for e in engine.history("one")]
    assert types.count("ExecutionRedriven") == 1 and types.count("ExecutionStarted") == 1
    assert types[-1] == "ExecutionSucceeded"
    with pytest.raises(PermanentError, match="ExecutionNotRedrivable"):
        engine.redrive("one")


def test_serial_functions_never_overlap(engines: Callable[..., EmbeddedEngine]) -> None:
    inside, most = 0, 0

    def first(_payload: Json) -> Json:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        return {"value": 1}

    engine = engines({"a": first, "b": ok}, serial=("a",), max_workers=4)
    for n in range(20):
        engine.start(f"e{n}", {})
    assert engine.wait_idle(20) and most == 1
    assert engine.counts() == {"SUCCEEDED": 20}


def test_an_unknown_function_and_a_bug_fail_with_their_names(engines: Callable[..., EmbeddedEngine]) -> None:
    engine = engines({"a": lambda _p: 1 / 0})  # type: ignore[dict-item,return-value]
    engine.start("one", {})
    assert engine.wait("one", 10).error == "ZeroDivisionError"


def test_stop_aborts_and_ignores_the_late_outcome(engines: Callable[..., EmbeddedEngine]) -> None:
    gate = threading.Event()

    def first(_payload: Json) -> Json:
        gate.wait(5)
        return {"value": 1}

    engine = engines({"a": first, "b": ok})
    engine.start("one", {})
    stopped = engine.stop("one", "Operator", "no longer needed")
    gate.set()
    assert (stopped.status, stopped.error) == ("ABORTED", "Operator")


def test_retention_forgets_what_ended_before(engines: Callable[..., EmbeddedEngine]) -> None:
    engine = engines({"a": ok, "b": ok})
    engine.start("one", {})
    engine.wait("one", 10)
    assert engine.prune(0) == 0
    assert engine.prune(2**62) == 1 and engine.counts() == {}


CHILD = """
import sys, time
from pathlib import Path
from domain.clock import SystemClock
from orchestrator.embedded import EmbeddedEngine
import json
folder = Path(sys.argv[1]); definition = json.loads(sys.argv[2])
def step(name):
    def run(payload):
        with (folder / "calls").open("a") as log: log.write(f"{name} {payload['n']}\\n")
        time.sleep(0.001)
        return {"value": 1}
    return run
engine = EmbeddedEngine(folder / "e.sqlite", definition, {"a": step("a"), "b": step("b")}, SystemClock(), serial=("b",))
for n in range(int(sys.argv[3])): engine.start(f"e{n}", {"n": n})
print("started", flush=True)
engine.wait_idle(30)
print(engine.counts(), flush=True)
engine.close()
"""


def test_kill_and_resume_calls_recorded_tasks_once(tmp_path: Path) -> None:
    executions, kills = 60, 6
    command = [sys.executable, "-c", CHILD, str(tmp_path), json.dumps(TWO_STEPS), str(executions)]
    root = Path(__file__).parents[2]
    for round_number in range(kills):
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None and child.stdout.readline().strip() == "started"
            time.sleep(0.005 + 0.02 * round_number)
            os.kill(child.pid, signal.SIGKILL)
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert f"{{'SUCCEEDED': {executions}}}" in done.stdout
    calls = (tmp_path / "calls").read_text().split("\n")
    seen = {call: calls.count(call) for call in calls if call}
    assert len(seen) == 2 * executions
    # A task whose outcome was not recorded when the process died is called again; nothing else is.
    assert sum(count - 1 for count in seen.values()) <= kills * 4
