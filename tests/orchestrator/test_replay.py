"""Replay: machines made by chance, run with and without restarts at any moment, tell and give the same."""

import json
import random
from typing import Any

from domain.clock import ManualClock
from orchestrator import validate
from orchestrator.activities import forget_unfinished
from orchestrator.activities_task import QUEUE, TAKE
from orchestrator.commands import RunTask, TaskFailure, TaskResult
from orchestrator.drive import Driver, Step
from orchestrator.journal import Journal
from orchestrator.machines import Machines
from orchestrator.store import Store

Json = dict[str, Any]
ACTIVITY = "arn:aws:states:local:000000000000:activity:work"
NEXT = {"Type": "Pass", "Parameters": {"seen.$": "$", "id.$": "States.UUID()", "at.$": "$$.State.EnteredTime"}}


class Maker:
    """Draws valid machines."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.count = 0

    def machine(self, depth: int) -> Json:
        names = [self._name() for _ in range(self.chance.randint(1, 3))]
        states = {}
        for name, following in zip(names, [*names[1:], None], strict=True):
            onward: Json = {"Next": following} if following else {"End": True}
            states[name] = self._state(depth) | onward
            if following and states[name]["Type"] != "Wait" and "Retry" in states[name] and self.chance.random() < 0.5:
                states[name]["Catch"] = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": following}]
        return {"StartAt": names[0], "States": states}

    def _name(self) -> str:
        self.count += 1
        return f"S{self.count}"

    def _state(self, depth: int) -> Json:
        kinds = ["task", "task", "wait", "pass"] + (["parallel", "map", "map", "distributed"] if depth else [])
        kind = self.chance.choice(kinds)
        retry = [{"ErrorEquals": ["Busy"], "MaxAttempts": 2, "JitterStrategy": self.chance.choice(["FULL", "NONE"])}]
        if kind == "wait":
            return {"Type": "Wait", "Seconds": self.chance.randint(0, 5)}
        if kind == "pass":
            return {**NEXT, "ResultPath": "$.p"}
        if kind == "task":
            resource = ACTIVITY if self.count % 3 == 0 else "r"
            return {"Type": "Task", "Resource": resource, "ResultPath": "$.t", "Retry": retry}
        if kind == "parallel":
            branches = [self.machine(depth - 1) for _ in range(self.chance.randint(1, 3))]
            return {"Type": "Parallel", "Branches": branches, "ResultSelector": {"b.$": "$"}, "Retry": retry}
        processor = self.machine(depth - 1)
        state: Json = {
            "Type": "Map",
            "ItemsPath": "$$.Execution.Input.items",
            "ItemProcessor": processor,
            "Retry": retry,
        }
        if kind == "distributed":
            processor["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
            state["ToleratedFailureCount"] = 1
        selector = {"ItemSelector": {"v.$": "$$.Map.Item.Value", "id.$": "States.UUID()"}}
        return state | selector | {"MaxConcurrency": self.chance.randint(0, 2), "ResultSelector": {"m.$": "$"}}


class World:
    """One execution, driven by a schedule drawn from a seed; `restarts` is how often it begins anew from the store."""

    def __init__(self, definition: Json, seed: int, restarts: float) -> None:
        self.chance, self.luck = random.Random(seed), random.Random(seed + 1)
        self.restarts = restarts
        self.clock, self.store, self.journal = ManualClock(), Store(":memory:"), Journal()
        revision = Machines(self.store, self.clock).open_main(definition).revision
        given = json.dumps({"items": [1, 2, 3]})
        self.store.add_execution("x", revision, given, self.clock.now_ns())
        self.due: dict[str, int] = {}
        self.tasks: dict[str, RunTask] = {}
        self.done: list[str] = []
        self.reopened = 0
        self.is_mended = False
        self.driver = self._open()
        self.status = self._take(self.driver.begin())

    def _open(self) -> Driver:
        return Driver.open(self.store, self.journal, self.clock, "x")

    def _take(self, step: Step) -> str | None:
        with self.store.transaction():
            self.journal.flush(self.store)
        self.tasks |= {command.key: command for command in step.tasks}
        self.due |= {wait.key: wait.due_ns for wait in step.waits}
        return step.status

    def run(self) -> "World":
        while self.status is None:
            if self.luck.random() < self.restarts:
                self._restart()
            waiting = {key for key in (*self.tasks, *self.due) if self.driver.expects(key)}
            ready = sorted(waiting & self.tasks.keys())
            # Tasks end in any order; a pause ends when nothing else can be chosen before it.
            if ready and (not waiting & self.due.keys() or self.chance.random() < 0.7):
                key = self.chance.choice(ready)
                self.done.append(key)
                self.clock.advance(self.chance.randint(0, 3))
                self.status = self._take(self.driver.outcome(self.tasks.pop(key), self._answer(key), 1.0))
            else:
                key = min(sorted(waiting & self.due.keys()), key=lambda key: self.due[key])
                self.clock.advance(max(0, self.due.pop(key) - self.clock.now_ns()) / 1e9)
                self.status = self._take(self.driver.fired(key))
        return self

    def redrive(self) -> None:
        """Take a failed execution up again; from now on every task succeeds."""
        with self.store.transaction():
            self.store.forget_failed_visit("x")
            forget_unfinished(self.store, "x")
            again = "status = 'RUNNING', error = NULL, cause = NULL, redrive_count = redrive_count + 1, redriven_at = ?"
            self.store.execute(f"UPDATE exec SET {again} WHERE name = 'x'", (self.clock.now_ns(),))
        self.is_mended, self.tasks, self.due = True, {}, {}
        self.driver = self._open()
        self.status = self._take(self.driver.begin())
        self.run()

    def _answer(self, key: str) -> TaskResult | TaskFailure:
        if key.endswith((f".{QUEUE}", f".{TAKE}")):
            return TaskResult({"worker": key, "token": key})
        if self.is_mended:
            return TaskResult({"of": key})
        draw = self.chance.random()
        if draw < 0.2:
            return TaskFailure("Busy" if draw < 0.15 else "Broken", key)
        return TaskResult({"of": key})

    def _restart(self) -> None:
        expected = {key for key in (*self.tasks, *self.due) if self.driver.expects(key)}
        told = self.store.last_event("x")
        self.reopened += 1
        self.driver, self.tasks, self.due = self._open(), {}, {}
        assert self._take(self.driver.begin()) is None
        assert self.tasks.keys() | self.due.keys() == expected, "a restart takes up what was under way"
        assert self.store.last_event("x") == told, "a restart tells nothing"

    def outcome(self) -> Any:
        row = self.store.execution("x")
        assert row is not None
        output = json.loads(row["output"]) if row["output"] else None
        return row["status"], output, row["error"], row["cause"], self._history()

    def _history(self) -> list[Any]:
        sql = "SELECT seq, type, state, ts, previous, details FROM event WHERE exec = 'x' ORDER BY seq"
        return [tuple(row.values()) for row in self.store.rows(sql)]


def test_restarts_change_nothing() -> None:
    told: set[str] = set()
    reopened = 0
    for seed in range(40):
        definition = Maker(seed).machine(2)
        assert validate(definition) == []
        plain, restarted = World(definition, seed, 0.0).run(), World(definition, seed, 0.4).run()
        assert restarted.outcome() == plain.outcome(), seed
        assert restarted.done == plain.done and len(set(plain.done)) == len(plain.done), seed
        reopened += restarted.reopened
        told |= {event[1] for event in plain.outcome()[4]}
    # The machines drawn are worth it.
    assert reopened > 100
    assert {"TaskStateAborted", "MapIterationAborted", "MapRunSucceeded", "ExecutionFailed", "WaitStateExited"} <= told
    assert {"ActivityScheduled", "ActivityStarted", "ActivitySucceeded", "ActivityFailed"} <= told


def test_a_redrive_ends_well_and_repeats_nothing_that_succeeded() -> None:
    failed = 0
    for seed in (*range(12), 33, 69, 101, 129, 246, 305):
        world = World(Maker(seed).machine(2), seed, 0.2).run()
        if world.status != "FAILED":
            continue
        failed += 1
        succeeded = {row["key"] for row in world.store.rows("SELECT key FROM task WHERE ok = 1")}
        before = len(world.done)
        for _ in range(3):
            world.redrive()
            if world.status == "SUCCEEDED":
                break
        assert world.status == "SUCCEEDED", seed
        assert not succeeded & set(world.done[before:]), seed
    assert failed >= 3
