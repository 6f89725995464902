"""The state machine engine beside moto's interpreter and DBOS, each doing the same work in the same process and run.

`python -m bench orchestrator`. DBOS is no dependency of ours: install it elsewhere and name the folder in PYTHONPATH.
Memory over many executions: `python -m bench.orchestrator_memory 100000`.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from domain.clock import SystemClock
from orchestrator import run
from orchestrator.definition import load_shipped
from orchestrator.embedded import EmbeddedEngine

Json = dict[str, Any]
_ROLE = "arn:aws:iam::123456789012:role/bench"
_INVOKE = "arn:aws:states:::lambda:invoke"
_MAP_INPUT: Json = {"items": list(range(10))}
_TASKS = 5
_ROUNDS = 2


def map_of_ten() -> Json:
    """Pass with an intrinsic, Choice, Map over ten items, Pass, Succeed: 54 events."""
    each = {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}
    return {
        "StartAt": "Count",
        "States": {
            "Count": {
                "Type": "Pass",
                "Parameters": {"n.$": "States.ArrayLength($.items)", "items.$": "$.items"},
                "Next": "Any",
            },
            "Any": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericGreaterThan": 0, "Next": "Each"}],
                "Default": "Done",
            },
            "Each": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": each, "Next": "Last"},
            "Last": {"Type": "Pass", "Next": "Done"},
            "Done": {"Type": "Succeed"},
        },
    }


def five_tasks() -> Json:
    """Five Task states that hand their input on: 27 events."""
    states: Json = {}
    for n in range(_TASKS):
        onward = {"End": True} if n == _TASKS - 1 else {"Next": f"T{n + 1}"}
        called = {"FunctionName": "step", "Payload.$": "$"}
        states[f"T{n}"] = {
            "Type": "Task", "Resource": _INVOKE, "Parameters": called, "OutputPath": "$.Payload", **onward,
        }  # fmt: skip
    return {"StartAt": "T0", "States": states}


def step(payload: Json) -> Json:
    """What each step of every contender does."""
    return {"n": payload["n"] + 1}


class Figure:
    """The best of some rounds: executions a second of wall time and of CPU time."""

    def __init__(self, name: str, work: Callable[[], int], rounds: int = _ROUNDS) -> None:
        self.name, self.wall, self.cpu = name, 0.0, 0.0
        for _ in range(rounds):
            cpu, wall = process_time(), perf_counter()
            done = work()
            self.wall = max(self.wall, done / (perf_counter() - wall))
            self.cpu = max(self.cpu, done / (process_time() - cpu))

    def line(self, ours: "Figure") -> str:
        """The figure beside ours."""
        by = f"ours is {ours.wall / self.wall:,.1f} x by wall, {ours.cpu / self.cpu:,.1f} x by CPU"
        return f"  {self.name:<46}{self.wall:>8,.0f} /s {self.cpu:>8,.0f} /CPU-s   {'ours' if self is ours else by}"


def in_memory(definition: Json, given: Json, count: int) -> Callable[[], int]:
    """Runs of a machine without a store."""

    def work() -> int:
        for _ in range(count):
            assert run(definition, given, {}).status == "SUCCEEDED"
        return count

    return work


def durable(
    definition: Json, given: Json, count: int, callers: int, synchronous: str = "NORMAL"
) -> tuple[Callable[[], int], list[float]]:
    """Executions on SQLite with their whole history, each caller starts one and waits for it; seconds each took."""
    took: list[float] = []

    def work() -> int:
        took.clear()
        with tempfile.TemporaryDirectory() as folder:
            functions = {"step": step} | dict.fromkeys(_shipped_functions(), _quiet)
            path = Path(folder) / "e.sqlite"
            engine = EmbeddedEngine(path, definition, functions, SystemClock(), synchronous=synchronous)  # type: ignore[arg-type]
            took.extend(all_through(engine, range(count), lambda _: given, callers))
            assert engine.counts() == {"SUCCEEDED": count}
            engine.close()
        return count

    return work, took


def all_through(
    engine: EmbeddedEngine, numbers: Iterable[int], given: Callable[[int], Json], callers: int
) -> list[float]:
    """Start an execution for each number with what `given` makes of it; each caller waits for one before the next.

    Returns the seconds each took.
    """
    left, lock, took = iter(numbers), threading.Lock(), list[float]()

    def caller() -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            begun = perf_counter()
            engine.start(f"e{number}", given(number))
            engine.wait(f"e{number}", 120)
            took.append(perf_counter() - begun)

    threads = [threading.Thread(target=caller) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _shipped_functions() -> tuple[str, ...]:
    return ("tieout-normalize", "tieout-match", "tieout-score", "tieout-ticket", "tieout-park")


def _quiet(_payload: Json) -> Json:
    names = "facts duplicates session quarantined ignored messages changes opened cured expected groups next_due"
    return dict.fromkeys([*names.split(), "scored", "flagged", "ticketable", "written", "delivered"], 1)


def moto(count: int) -> Callable[[], int]:
    """moto's interpreter in process, over boto3; raises ImportError where it is not installed."""
    import boto3
    from moto import mock_aws

    def work() -> int:
        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
            client = boto3.client("stepfunctions", region_name="us-east-1", **keys)
            made = client.create_state_machine(name="m", definition=json.dumps(map_of_ten()), roleArn=_ROLE)
            arn = made["stateMachineArn"]
            waiting = {
                client.start_execution(stateMachineArn=arn, name=f"e{n}", input=json.dumps(_MAP_INPUT))["executionArn"]
                for n in range(count)
            }
            while waiting:
                waiting = {n for n in waiting if client.describe_execution(executionArn=n)["status"] == "RUNNING"}
                SystemClock().sleep(0.01)
        return count

    return work


def dbos(count: int) -> Iterator[Callable[[], int]]:
    """Five-step DBOS workflows on SQLite, all started at once; raises ImportError where it is not installed."""
    from dbos import DBOS

    with tempfile.TemporaryDirectory() as folder:
        address = f"sqlite:///{Path(folder) / 'dbos.sqlite'}"
        DBOS(config={"name": "bench", "system_database_url": address, "log_level": "ERROR"})

        @DBOS.step()
        def one(payload: Json) -> Json:
            return step(payload)

        @DBOS.workflow()
        def five(payload: Json) -> Json:
            for _ in range(_TASKS):
                payload = one(payload)
            return payload

        DBOS.launch()

        def work() -> int:
            handles = [DBOS.start_workflow(five, {"n": 0}) for _ in range(count)]
            assert all(handle.get_result() == {"n": _TASKS} for handle in handles)
            return count

        yield work
        DBOS.destroy()


def lines() -> Iterator[str]:
    """The comparisons as text."""
    yield from _beside_moto()
    yield from _beside_dbos()
    yield from _overhead()


def _beside_moto() -> Iterator[str]:
    yield "Map of ten items: 54 events"
    kept, _ = durable(map_of_ten(), _MAP_INPUT, 400, 16)
    ours = Figure("tieout, durable (SQLite, whole history)", kept)
    figures = [ours, Figure("tieout, in memory", in_memory(map_of_ten(), _MAP_INPUT, 400))]
    try:
        figures.append(Figure("moto's interpreter (in process, in memory)", moto(60)))
    except ImportError:
        yield "  skipped: moto is not installed"
    yield from (figure.line(ours) for figure in figures)
    yield ""


def _beside_dbos() -> Iterator[str]:
    yield "Five steps, 64 at once"
    work, took = durable(five_tasks(), {"n": 0}, 2_000, 64)
    ours = Figure("tieout, durable, synchronous NORMAL", work)
    full, _ = durable(five_tasks(), {"n": 0}, 2_000, 64, "FULL")
    figures = [ours, Figure("tieout, durable, synchronous FULL", full)]
    try:
        for theirs in dbos(64):
            figures.append(Figure("DBOS on SQLite (its default, DELETE journal)", theirs))
    except ImportError:
        yield "  skipped: DBOS is not installed"
    yield from (figure.line(ours) for figure in figures)
    yield f"  ours from start to end: p50 {_quantile(took, 0.5):,.1f} ms, p99 {_quantile(took, 0.99):,.1f} ms"
    yield ""


def _overhead() -> Iterator[str]:
    """What the engine adds to a micro-batch: the shipped machine, its functions doing nothing, one after another."""
    for synchronous in ("NORMAL", "FULL"):
        work, took = durable(load_shipped(), {"kind": "batch", "count": 1}, 300, 1, synchronous)
        work()
        p50, p99 = _quantile(took, 0.5), _quantile(took, 0.99)
        yield f"The shipped machine, {synchronous}: {p50:,.2f} ms p50, {p99:,.2f} ms p99 an execution"
    yield ""


def _quantile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000
