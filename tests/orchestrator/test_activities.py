"""Activities: the engine gives each task to one worker, over restarts, time limits and redrives; and boto3's view."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.clock import ManualClock, SystemClock
from domain.errors import PermanentError, TransientError
from orchestrator.activities_desk import ActivityDesk, Poll
from orchestrator.activities_task import TAKE
from orchestrator.commands import RunTask
from orchestrator.embedded import EmbeddedEngine
from orchestrator.replies import Replies
from orchestrator.service.api import create_api
from orchestrator.service.operations import Operations
from orchestrator.service.server import running
from orchestrator.service.sigv4 import Keys
from tests.orchestrator.test_service import SECRET, Json, check_shape, client, ended, machine, refusal, until

pytest.importorskip("boto3")
ROLE = "arn:aws:iam::000000000000:role/tieout"
# As a definition written for AWS names it: account and region do not matter here.
WORK = "arn:aws:states:eu-west-1:123456789012:activity:work"


def task(**more: object) -> Json:
    return {"Type": "Task", "Resource": WORK, "End": True, **more}


class Desk:
    """Opens the engine again and again over one file."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, ManualClock()
        self.definition = machine(T=task())
        self.engine: EmbeddedEngine | None = None

    def open(self) -> EmbeddedEngine:
        self.close()
        self.engine = EmbeddedEngine(self.path, self.definition, {}, self.clock)
        return self.engine

    def begin(self, *states: Json) -> EmbeddedEngine:
        """An engine whose execution `one` began a machine of this state."""
        self.definition = machine(T=states[0] if states else task())
        engine = self.open()
        engine.activities.create("work")
        engine.start("one", {"n": 1})
        return engine

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()
            self.engine = None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "e.sqlite")
    yield made
    made.close()


def taken(engine: EmbeddedEngine, worker: str = "w") -> tuple[str, Any]:
    token, text = engine.poll("work", worker).result(10)
    return token, json.loads(text)


def types(engine: EmbeddedEngine, name: str = "one") -> list[str]:
    return [event.type for event in engine.history(name) if "Activity" in event.type]


def nobody(poll: "Future[Any]") -> bool:
    """Whether nothing was given within a moment; the poll is over."""
    threading.Event().wait(0.1)
    return poll.cancel()


def test_a_worker_takes_a_task_and_answers_it(desk: Desk) -> None:
    engine = desk.begin(task(HeartbeatSeconds=10, TimeoutSeconds=60))
    token, given = taken(engine, "BASE")
    assert given == {"n": 1}
    scheduled, started = [e.details for e in engine.history("one") if e.type.startswith("ActivityS")]
    assert scheduled == {"resource": WORK, "input": '{"n":1}', "timeoutInSeconds": 60, "heartbeatInSeconds": 10}
    assert started == {"workerName": "BASE"}, "the history tells of it while the worker works"
    engine.task_succeeded(token, {"found": 1})
    assert engine.wait("one", 10).output == {"found": 1}
    assert [(e.type, e.previous_event_id) for e in engine.history("one")] == [
        ("ExecutionStarted", 0), ("TaskStateEntered", 0), ("ActivityScheduled", 2), ("ActivityStarted", 3),
        ("ActivitySucceeded", 4), ("TaskStateExited", 5), ("ExecutionSucceeded", 6),
    ]  # fmt: skip
    numbers = engine.statistics()["T"]
    assert [numbers[key] for key in ("count", "succeeded", "failed")] == [1, 1, 0]
    with pytest.raises(PermanentError, match="TaskTimedOut"):
        engine.task_succeeded(token, {})


def test_workers_that_waited_first_are_served_first_and_each_task_goes_to_one(desk: Desk) -> None:
    desk.definition = machine(T=task())
    engine = desk.open()
    engine.activities.create("work")
    gone = engine.poll("work", "gone")
    assert nobody(gone)
    polls = [engine.poll("work", f"w{n}") for n in range(40)]
    for n in range(30):
        engine.start(f"e{n}", {"n": n})
    given = [poll.result(10) for poll in polls[:30]]
    assert len({token for token, _ in given}) == 30
    assert sorted(json.loads(text)["n"] for _, text in given) == list(range(30))
    assert all(poll.cancel() for poll in polls[30:]), "there was no task for the rest"
    for token, text in given:
        engine.task_succeeded(token, json.loads(text)["n"])
    assert engine.wait_idle(10)
    assert [engine.describe(f"e{n}").output for n in range(30)] == list(range(30))


def test_a_token_outlives_restarts_and_the_task_is_given_to_nobody_else(desk: Desk) -> None:
    engine = desk.begin()
    token, _ = taken(engine)
    for _ in range(2):
        assert nobody(desk.open().poll("work"))
    engine = desk.open()
    engine.task_succeeded(token, 7)
    assert engine.wait("one", 10).output == 7
    assert types(engine) == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]


def test_a_task_nobody_took_waits_through_restarts_without_a_limit(desk: Desk) -> None:
    desk.begin(task(TimeoutSeconds=5, HeartbeatSeconds=2))
    desk.clock.advance(3_600)
    engine = desk.open()
    desk.clock.advance(3_600)
    assert engine.describe("one").status == "RUNNING"
    token, _ = taken(engine)
    desk.clock.advance(1)
    engine.task_succeeded(token, 1)
    assert engine.wait("one", 10).output == 1
    assert types(engine) == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]


@pytest.mark.parametrize(("limits", "error"), [
    ({"TimeoutSeconds": 60}, "States.Timeout"),
    ({"TimeoutSeconds": 600, "HeartbeatSeconds": 10}, "States.HeartbeatTimeout"),
])  # fmt: skip
def test_limits_count_from_when_a_worker_took_the_task(desk: Desk, limits: Json, error: str) -> None:
    engine = desk.begin(task(**limits))
    desk.clock.advance(100)
    token, _ = taken(engine)
    desk.clock.advance(9)
    engine.task_heartbeat(token)
    engine = desk.open()
    desk.clock.advance(9)
    assert engine.describe("one").status == "RUNNING"
    desk.clock.advance(50)
    assert engine.wait("one", 10).error == error
    assert [e.details["error"] for e in engine.history("one") if e.type == "ActivityTimedOut"] == [error]
    with pytest.raises(PermanentError, match="TaskTimedOut"):
        engine.task_heartbeat(token)


def test_an_attempt_more_is_a_task_more(desk: Desk) -> None:
    engine = desk.begin(task(Retry=[{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}]))
    first, _ = taken(engine)
    engine.task_failed(first, "Busy", "")
    desk.clock.advance(2)
    second, _ = taken(engine, "other")
    assert first != second
    engine.task_failed(second, "Refused", "by hand")
    assert engine.wait("one", 10).error == "Refused"
    assert types(engine) == ["ActivityScheduled", "ActivityStarted", "ActivityFailed"] * 2


def test_a_redrive_gives_the_task_out_anew_and_old_tokens_are_void(desk: Desk) -> None:
    engine = desk.begin()
    old, _ = taken(engine)
    engine.task_failed(old, "Refused", "")
    engine.wait("one", 10)
    engine.redrive("one")
    new, _ = taken(engine)
    with pytest.raises(PermanentError, match="TaskDoesNotExist"):
        engine.task_succeeded(old, "old")
    engine.stop("one")
    engine.redrive("one")
    last, _ = taken(engine)
    with pytest.raises(PermanentError, match="TaskDoesNotExist"):
        engine.task_succeeded(new, "stopped meanwhile")
    engine.task_succeeded(last, "last")
    assert engine.wait("one", 10).output == "last"
    asked = ["ActivityScheduled", "ActivityStarted"]
    assert types(engine) == [*asked, "ActivityFailed", *asked, *asked, "ActivitySucceeded"]


def test_a_redrive_leaves_finished_branches_and_gives_out_the_others(desk: Desk) -> None:
    branches = [machine(**{name: task(Parameters={"b": name})}) for name in ("A", "B", "C")]
    engine = desk.begin({"Type": "Parallel", "Branches": branches, "End": True})
    held = {given["b"]: token for token, given in (taken(engine) for _ in range(3))}
    engine.task_succeeded(held["A"], "a")
    engine.task_failed(held["B"], "Refused", "")
    assert engine.wait("one", 10).error == "Refused"
    with pytest.raises(PermanentError, match="TaskTimedOut"):
        engine.task_succeeded(held["C"], "late")
    engine.redrive("one")
    again = {given["b"]: token for token, given in (taken(engine) for _ in range(2))}
    assert sorted(again) == ["B", "C"]
    engine = desk.open()
    for name, token in again.items():
        engine.task_succeeded(token, name.lower())
    assert engine.wait("one", 10).output == ["a", "b", "c"]


def test_an_activity_that_is_not_there_fails_the_execution_as_on_aws(desk: Desk) -> None:
    catches_all = task(Retry=[{"ErrorEquals": ["States.ALL"]}], Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T"}])
    engine = desk.begin(catches_all | {"Resource": WORK + "2"})
    failed = engine.wait("one", 10)
    assert failed.error == "States.Runtime" and failed.cause == (
        "An error occurred while executing the state 'T' (entered at the event id #2). "
        f"The activity {WORK}2 does not exist."
    )
    assert [e.type for e in engine.history("one")] == ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"]
    engine.activities.create("work2")
    engine.redrive("one")
    token, _ = engine.poll("work2").result(10)
    engine.task_succeeded(token, 1)
    assert engine.wait("one", 10).output == 1


def test_what_ended_is_given_to_nobody(desk: Desk) -> None:
    engine = desk.begin()
    until(lambda: types(engine))
    engine.stop("one")
    poll = engine.poll("work")
    engine.start("two", {"n": 2})
    assert json.loads(poll.result(10)[1]) == {"n": 2}
    with pytest.raises(PermanentError, match="ActivityDoesNotExist"):
        engine.poll("other")


def test_tasks_of_executions_that_ended_are_not_kept(desk: Desk) -> None:
    engine = desk.open()
    waiting = ActivityDesk(engine.activities, Replies())
    for name in ("one", "two"):
        waiting.offer(name, RunTask("T@1#0.take", WORK, {}, "T", stage=TAKE))
    waiting.forget("one")
    waiting.ask(Poll("work", "a"))
    waiting.ask(Poll("work", "b"))
    assert [(name, poll.worker) for name, _, poll in waiting.matches(9)] == [("two", "a")]
    waiting.offer("three", RunTask("T@1#0.take", WORK, {}, "T", stage=TAKE))
    assert [(name, poll.worker) for name, _, poll in waiting.matches(9)] == [("three", "b")]


def test_what_cannot_be_written_is_not_given(desk: Desk) -> None:
    engine = desk.begin()
    until(lambda: types(engine))
    engine.store.execute("PRAGMA query_only = 1")
    poll = engine.poll("work")
    threading.Event().wait(0.2)
    assert not poll.done(), "as long as nothing can be written the worker waits"
    engine.store.execute("PRAGMA query_only = 0")
    engine.task_succeeded(poll.result(10)[0], 1)
    assert engine.wait("one", 10).output == 1
    engine.store.execute("CREATE TRIGGER no BEFORE INSERT ON token BEGIN SELECT RAISE(ABORT, 'no'); END")
    engine.start("two", {"n": 2})
    with pytest.raises(TransientError):
        taken(engine)
    engine.store.execute("DROP TRIGGER no")
    engine = desk.open()
    token, given = taken(engine)
    engine.task_succeeded(token, given)
    assert engine.wait("two", 10).output == {"n": 2}
    assert types(engine, "two") == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]


@contextmanager
def served(path: Path, poll_seconds: float) -> Iterator[str]:
    clock = SystemClock()
    engine = EmbeddedEngine(path, machine(P={"Type": "Pass", "End": True}), {}, clock)
    operations = Operations(engine, clock, may_change=True, poll_seconds=poll_seconds)
    with running(create_api(operations, Keys({"tieout": SECRET}), clock)) as address:
        yield address
    engine.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path / "api.sqlite", 0.3) as address:
        yield address


@pytest.fixture
def sfn(url: str) -> Any:
    return client(url)


def test_activities_are_made_listed_and_removed(sfn: Any, url: str) -> None:
    made = sfn.create_activity(name="b.v2", tags=[{"key": "a", "value": "b"}])
    arn = made["activityArn"]
    assert arn == "arn:aws:states:local:000000000000:activity:b.v2"
    assert sfn.create_activity(name="b.v2")["creationDate"] == made["creationDate"], "made once"
    told = sfn.describe_activity(activityArn=arn)
    assert {key: told[key] for key in ("activityArn", "name", "creationDate")} == {
        "activityArn": arn, "name": "b.v2", "creationDate": made["creationDate"],
    }  # fmt: skip
    for name in ("c", "a"):
        sfn.create_activity(name=name)
    pages = list(sfn.get_paginator("list_activities").paginate(PaginationConfig={"PageSize": 2}))
    assert [[row["name"] for row in page["activities"]] for page in pages] == [["a", "b.v2"], ["c"]]
    model, headers = sfn.meta.service_model, {"Authorization": f"Bearer {SECRET}"}
    for operation, body in (
        ("CreateActivity", {"name": "d"}), ("DescribeActivity", {"activityArn": arn}), ("ListActivities", {}),
        ("DeleteActivity", {"activityArn": arn}),
    ):  # fmt: skip
        answer = httpx.post(
            url, json=body, headers={"X-Amz-Target": f"AWSStepFunctions.{operation}", **headers}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        check_shape(answer.json(), model.operation_model(operation).output_shape)
    sfn.delete_activity(activityArn=arn)
    expected: list[tuple[str, Callable[[], Any]]] = [
        ("ActivityDoesNotExist", lambda: sfn.describe_activity(activityArn=arn)),
        ("ActivityDoesNotExist", lambda: sfn.get_activity_task(activityArn=arn)),
        ("InvalidName", lambda: sfn.create_activity(name="TestActivity InvalidName$")),
        ("InvalidArn", lambda: sfn.describe_activity(activityArn="nonsense")),
        ("InvalidArn", lambda: sfn.get_activity_task(activityArn=arn.replace("activity", "stateMachine"))),
        ("InvalidToken", lambda: sfn.list_activities(nextToken="x")),
        ("ValidationException", lambda: sfn.get_activity_task(activityArn=arn, workerName="w" * 81)),
    ]  # fmt: skip
    assert [refusal(call) for _, call in expected] == [code for code, _ in expected]


def test_a_worker_over_the_api(sfn: Any) -> None:
    arn = sfn.create_activity(name="work")["activityArn"]
    assert "taskToken" not in sfn.get_activity_task(activityArn=arn), "nothing within the poll's time"
    definition = json.dumps(machine(T=task(TimeoutSeconds=30)))
    made = sfn.create_state_machine(name="m", definition=definition, roleArn=ROLE)["stateMachineArn"]
    found: list[Json] = []
    workers = [
        threading.Thread(target=lambda n=n: found.append(sfn.get_activity_task(activityArn=arn, workerName=f"w{n}")))
        for n in range(60)
    ]
    for worker in workers:
        worker.start()
    run = sfn.start_execution(stateMachineArn=made, input='{"Value1": "Hello"}')["executionArn"]
    for worker in workers:
        worker.join(20)
    (given,) = [item for item in found if item.get("taskToken")]
    assert (len(found), json.loads(given["input"])) == (60, {"Value1": "Hello"})
    sfn.send_task_heartbeat(taskToken=given["taskToken"])
    sfn.send_task_failure(taskToken=given["taskToken"], error="Programmatic Error", cause="why")
    failed = ended(sfn, run)
    assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "Programmatic Error", "why")
    events = sfn.get_execution_history(executionArn=run)["events"]
    details: list[Json] = [next((event[key] for key in event if key.endswith("Details")), {}) for event in events][2:5]
    assert details[0] == {
        "resource": WORK, "input": '{"Value1":"Hello"}', "inputDetails": {"truncated": False}, "timeoutInSeconds": 30,
    }  # fmt: skip
    assert details[1]["workerName"].startswith("w")
    assert details[2] == {"error": "Programmatic Error", "cause": "why"}
    assert refusal(lambda: sfn.send_task_success(taskToken=given["taskToken"], output="1")) == "TaskTimedOut"


def test_a_worker_that_went_away_gets_no_task(tmp_path: Path) -> None:
    headers = {"X-Amz-Target": "AWSStepFunctions.GetActivityTask", "Authorization": f"Bearer {SECRET}"}
    with served(tmp_path / "api.sqlite", 30) as url:
        sfn = client(url)
        arn = sfn.create_activity(name="work")["activityArn"]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json={"activityArn": arn}, headers=headers, trust_env=False, timeout=0.2)
        # It is looked once a second whether the worker is still there.
        threading.Event().wait(1.5)
        made = sfn.create_state_machine(name="m", definition=json.dumps(machine(T=task())), roleArn=ROLE)
        sfn.start_execution(stateMachineArn=made["stateMachineArn"])
        assert sfn.get_activity_task(activityArn=arn).get("taskToken")


def test_an_express_machine_has_no_activities(sfn: Any) -> None:
    inside = machine(P={"Type": "Parallel", "Branches": [machine(T=task())], "End": True})
    for definition in (machine(T=task()), inside):
        asked = {"name": "m", "definition": json.dumps(definition), "roleArn": ROLE, "type": "EXPRESS"}
        assert refusal(partial(sfn.create_state_machine, **asked)) == "InvalidDefinition"
    plain = json.dumps(machine(P={"Type": "Pass", "End": True}))
    made = sfn.create_state_machine(name="m", definition=plain, roleArn=ROLE, type="EXPRESS")["stateMachineArn"]
    change = {"stateMachineArn": made, "definition": json.dumps(inside)}
    assert refusal(partial(sfn.update_state_machine, **change)) == "InvalidDefinition"
