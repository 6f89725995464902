"""What a durable engine must survive: full disks, half-done redrives, slow lanes, careless functions, restarts."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.clock import ManualClock
from domain.errors import PermanentError, TransientError
from orchestrator.embedded import EmbeddedEngine
from orchestrator.store import Store

Json = dict[str, Any]
Function = Callable[[Json], Json]


def task(function: str, **more: object) -> Json:
    parameters = {"FunctionName": function, "Payload.$": "$"}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, **more}


def machine(*states: tuple[str, Json]) -> Json:
    return {"StartAt": states[0][0], "States": dict(states)}


ONE = machine(("A", task("a", End=True)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def open_engine(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[..., EmbeddedEngine]]:
    opened: list[EmbeddedEngine] = []

    def make(definition: Json, functions: dict[str, Function], **more: Any) -> EmbeddedEngine:
        opened.append(EmbeddedEngine(tmp_path / "e.sqlite", definition, functions, clock, **more))
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


Open = Callable[..., EmbeddedEngine]


def types(engine: EmbeddedEngine, name: str) -> list[str]:
    return [event.type for event in engine.history(name)]


def until(engine: EmbeddedEngine, name: str, type: str) -> None:
    """Wait until the history tells of an event."""
    for _ in range(1_000):
        if type in types(engine, name):
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"no {type}: {types(engine, name)}")


def test_a_result_that_is_not_json_fails_the_task(open_engine: Open) -> None:
    engine = open_engine(ONE, {"a": lambda _: {"value": object()}})
    engine.start("one", {})
    assert engine.wait("one", 10).error == "Runtime.MarshalError"


def test_a_function_cannot_change_what_the_engine_holds(open_engine: Open) -> None:
    def careless(payload: Json) -> Json:
        payload["list"].append("mine")
        return payload

    engine = open_engine(machine(("A", task("a", ResultPath="$.a", End=True))), {"a": careless})
    engine.start("one", {"list": []})
    output = engine.wait("one", 10).output
    assert output["list"] == [] and output["a"]["Payload"]["list"] == ["mine"]


def test_a_result_too_large_is_a_failed_task(open_engine: Open) -> None:
    engine = open_engine(ONE, {"a": lambda _: {"value": "x" * 300_000}})
    engine.start("one", {})
    assert engine.wait("one", 10).error == "States.DataLimitExceeded"
    assert types(engine, "one")[-2:] == ["TaskFailed", "ExecutionFailed"]


def test_a_full_disk_delays_but_loses_nothing(open_engine: Open) -> None:
    calls: list[str] = []
    entered, go = threading.Event(), threading.Event()

    def slow(payload: Json) -> Json:
        calls.append(payload["n"])
        entered.set()
        go.wait(10)
        return {"value": "x" * 50_000}

    engine = open_engine(ONE, {"a": slow})
    engine.start("one", {"n": "one"})
    assert entered.wait(10)
    # SQLite answers "database or disk is full" beyond this many pages.
    engine.store.execute(f"PRAGMA max_page_count = {engine.store.rows('PRAGMA page_count')[0]['page_count']}")
    go.set()
    threading.Event().wait(0.1)
    assert engine.describe("one").status == "RUNNING"
    engine.store.execute("PRAGMA max_page_count = 1000000")
    assert engine.wait("one", 10).status == "SUCCEEDED"
    # The outcome that could not be recorded is asked for again.
    assert calls[:2] == ["one", "one"]


def test_a_time_limit_starts_with_the_task_not_with_its_turn(open_engine: Open, clock: ManualClock) -> None:
    gates = {"one": threading.Event(), "two": threading.Event()}
    entered = {"one": threading.Event(), "two": threading.Event()}

    def slow(payload: Json) -> Json:
        entered[payload["n"]].set()
        gates[payload["n"]].wait(10)
        return {}

    engine = open_engine(machine(("A", task("a", TimeoutSeconds=10, End=True))), {"a": slow}, serial=("a",))
    for name in gates:
        engine.start(name, {"n": name})
    assert entered["one"].wait(10)
    clock.advance(8)
    gates["one"].set()
    assert entered["two"].wait(10)
    clock.advance(8)
    gates["two"].set()
    assert [engine.wait(name, 10).status for name in gates] == ["SUCCEEDED", "SUCCEEDED"]


def test_a_task_over_its_time_limit_fails_and_its_late_result_is_ignored(open_engine: Open, clock: ManualClock) -> None:
    entered, gate = threading.Event(), threading.Event()

    def slow(_: Json) -> Json:
        entered.set()
        gate.wait(10)
        return {}

    engine = open_engine(machine(("A", task("a", TimeoutSeconds=10, End=True))), {"a": slow})
    engine.start("one", {})
    assert entered.wait(10)
    clock.advance(11)
    assert (engine.wait("one", 10).status, engine.describe("one").error) == ("FAILED", "States.Timeout")
    gate.set()
    assert types(engine, "one")[-2:] == ["TaskTimedOut", "ExecutionFailed"]


def test_a_machine_over_its_time_limit_times_out_and_can_be_redriven(open_engine: Open, clock: ManualClock) -> None:
    wait = {"Type": "Wait", "Seconds": 20, "End": True}
    engine = open_engine({"TimeoutSeconds": 10, **machine(("W", wait))}, {})
    engine.start("one", {})
    until(engine, "one", "WaitStateEntered")
    clock.advance(15)
    assert (engine.wait("one", 10).status, types(engine, "one")[-1]) == ("TIMED_OUT", "ExecutionTimedOut")
    engine.redrive("one")
    clock.advance(6)
    assert engine.wait("one", 10).status == "SUCCEEDED"


def test_a_wait_goes_on_where_it_was_after_a_restart(open_engine: Open, clock: ManualClock) -> None:
    wait = {"Type": "Wait", "Seconds": 60, "Next": "P"}
    passing = {"Type": "Pass", "Parameters": {"at.$": "$$.State.EnteredTime"}, "Next": "A"}
    definition = machine(("P0", {**passing, "Next": "W"}), ("W", {**wait}), ("P", passing), ("A", task("a", End=True)))
    definition["States"]["P0"]["ResultPath"] = "$.first"
    definition["States"]["P"]["ResultPath"] = "$.second"
    definition["States"]["A"]["ResultPath"] = "$.a"
    before = open_engine(definition, {"a": lambda p: p})
    before.start("one", {})
    until(before, "one", "WaitStateEntered")
    first = clock.now_ns()
    before.close()
    clock.advance(59)
    after = open_engine(definition, {"a": lambda p: p})
    threading.Event().wait(0.05)
    assert after.describe("one").status == "RUNNING"
    clock.advance(2)
    done = after.wait("one", 10)
    assert done.status == "SUCCEEDED" and done.output["first"] != done.output["second"]
    assert done.output["first"] == done.output["a"]["Payload"]["first"], "an entered time is the same on every replay"
    entered = [event for event in after.history("one") if event.type == "PassStateEntered"]
    assert entered[0].timestamp_ns == first


def test_a_redrive_that_crashed_halfway_is_told_and_done(open_engine: Open, tmp_path: Path) -> None:
    broken = open_engine(ONE, {"a": lambda _: (_ for _ in ()).throw(PermanentError("no"))})
    broken.start("one", {})
    assert broken.wait("one", 10).status == "FAILED"
    broken.close()
    store = Store(tmp_path / "e.sqlite")
    store.forget_failed_visit("one")
    store.execute("UPDATE exec SET status = 'RUNNING', redrive_count = 1")
    store.close()
    mended = open_engine(ONE, {"a": lambda _: {}})
    assert mended.wait("one", 10).status == "SUCCEEDED"
    told = types(mended, "one")
    assert told[told.index("ExecutionRedriven") :] == [
        "ExecutionRedriven", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


def test_a_redrive_keeps_what_succeeded_even_after_a_retry(open_engine: Open, clock: ManualClock) -> None:
    calls: list[str] = []

    def first(_: Json) -> Json:
        calls.append("a")
        if len(calls) == 1:
            raise TransientError("busy")
        return {}

    retry = [{"ErrorEquals": ["TransientError"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    wait = {"Type": "Wait", "Seconds": 60, "End": True}
    engine = open_engine(machine(("A", task("a", Retry=retry, Next="W")), ("W", wait)), {"a": first})
    engine.start("one", {})
    until(engine, "one", "TaskFailed")
    clock.advance(1)
    until(engine, "one", "WaitStateEntered")
    assert engine.stop("one", "Operator", "enough").status == "ABORTED"
    engine.redrive("one")
    clock.advance(61)
    assert engine.wait("one", 10).status == "SUCCEEDED"
    assert calls == ["a", "a"]


def test_a_redrive_of_a_fail_state_fails_again_and_says_so(open_engine: Open) -> None:
    calls: list[Json] = []
    fail = {"Type": "Fail", "Error": "Refused", "Cause": "by definition"}
    engine = open_engine(machine(("A", task("a", Next="F")), ("F", fail)), {"a": lambda p: calls.append(p) or {}})
    engine.start("one", {})
    engine.wait("one", 10)
    engine.redrive("one")
    assert (engine.wait("one", 10).error, engine.describe("one").redrive_count, len(calls)) == ("Refused", 1, 1)
    assert types(engine, "one")[-2:] == ["ExecutionRedriven", "ExecutionFailed"]


def test_an_execution_that_was_planned_but_never_started_can_be_stopped(open_engine: Open) -> None:
    engine = open_engine(ONE, {"a": lambda _: {}})
    engine.insert("one", {})
    assert engine.stop("one").status == "ABORTED"


def test_numbers_per_state_outlive_the_executions(open_engine: Open) -> None:
    engine = open_engine(ONE, {"a": lambda _: {}})
    for number in range(3):
        engine.start(str(number), {})
    assert engine.wait_idle(10)
    assert engine.prune(2**62) == 3
    told = engine.statistics()["A"]
    assert (told["count"], told["succeeded"], told["failed"]) == (3, 3, 0)
    assert told["p99_ms"] >= told["p50_ms"] > 0


BEFORE = """
CREATE TABLE exec (
  name TEXT PRIMARY KEY, definition_hash TEXT NOT NULL, input TEXT NOT NULL, status TEXT NOT NULL,
  output TEXT, error TEXT, cause TEXT, started_at INTEGER NOT NULL, stopped_at INTEGER,
  redrive_count INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE definition (hash TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE task (
  exec TEXT NOT NULL, key TEXT NOT NULL, visit TEXT NOT NULL, ok INTEGER NOT NULL, result TEXT, error TEXT,
  cause TEXT, ended_at INTEGER NOT NULL, PRIMARY KEY (exec, key)) WITHOUT ROWID;
CREATE TABLE event (
  exec TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, state TEXT, ts INTEGER NOT NULL,
  previous INTEGER NOT NULL, details TEXT NOT NULL, PRIMARY KEY (exec, seq)) WITHOUT ROWID;
"""
TOLD = (
    "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited",
    "TaskStateEntered", "TaskScheduled", "TaskStarted",
)  # fmt: skip


def test_a_file_of_the_first_version_is_taken_over_with_what_runs_in_it(open_engine: Open, tmp_path: Path) -> None:
    calls: list[str] = []
    two = machine(("A", task("a", Next="B")), ("B", task("b", End=True)))
    with closing(sqlite3.connect(tmp_path / "e.sqlite")) as old:
        old.executescript(BEFORE)
        old.execute("INSERT INTO definition VALUES ('h', ?)", (json.dumps(two, sort_keys=True),))
        old.execute("INSERT INTO exec VALUES ('one', 'h', '{}', 'RUNNING', NULL, NULL, NULL, 1, NULL, 0)")
        done = json.dumps({"Payload": {"from": "before"}, "StatusCode": 200})
        old.execute("INSERT INTO task VALUES ('one', 'A@1#0', 'A@1', 1, ?, '', '', 2)", (done,))
        rows = [("one", n, type, "", n, n - 1, "{}") for n, type in enumerate(TOLD, 1)]
        old.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        old.commit()
    engine = open_engine(ONE, {"a": lambda _: calls.append("a") or {}, "b": lambda p: calls.append("b") or p})
    first = engine.wait("one", 10)
    assert (first.status, calls) == ("SUCCEEDED", ["b"]), "what was recorded is not called again"
    assert types(engine, "one")[len(TOLD) :] == ["TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"]
    assert engine.definition_of("one") == two, "it ran by its own definition"
    engine.start("two", {})
    assert engine.wait("two", 10).status == "SUCCEEDED"


def test_one_execution_that_cannot_be_written_holds_up_nobody(open_engine: Open) -> None:
    """A lone surrogate is JSON, but no text a database takes: here it is the name of a state."""
    engine = open_engine(ONE, {"a": lambda _: {"found": "\ud800"}})
    engine.machines.create("odd", json.dumps(machine(("\ud800", {"Type": "Pass", "End": True}))), "role", "STANDARD")
    for number in range(5):
        engine.start(f"good{number}", {"n": "\udfff"})
        engine.start(f"odd:{number}", {})
    done = [engine.wait(f"good{number}", 20) for number in range(5)]
    assert {execution.status for execution in done} == {"SUCCEEDED"}
    assert done[0].output["Payload"] == {"found": "\ud800"}, "in data it is kept"
    assert engine.describe("odd:0").status == "RUNNING"
