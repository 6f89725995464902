"""Machines whose functions are called through queues: what becomes of a definition, and of messages that are none."""

import json
from typing import Any

from domain.clock import SystemClock
from orchestrator import run, validate
from orchestrator.calls import Caller
from orchestrator.definition import load_shipped
from orchestrator.portable import INVOKE, QUEUE, problems
from orchestrator.queued import over_queues
from orchestrator.task_server import Queue, TaskServer

Json = dict[str, Any]
SERIAL = ("tieout-match",)


def queues(function: str) -> tuple[str, bool]:
    return ("serial" if function in SERIAL else "parallel"), function in SERIAL


def test_the_shipped_machine_over_queues_is_valid_portable_and_calls_everything_by_a_token() -> None:
    made = over_queues(load_shipped(), queues)
    assert validate(made) == [] and problems(made) == []
    tasks = {name: state for name, state in made["States"].items() if state["Type"] == "Task"}
    assert {state["Resource"] for state in tasks.values()} == {f"{QUEUE}.waitForTaskToken"}
    asked = tasks["Match"]["Parameters"]
    assert (asked["QueueUrl"], asked["MessageGroupId"]) == ("serial", "serial")
    assert "MessageGroupId" not in tasks["Normalize"]["Parameters"]
    assert tasks["Match"]["Retry"] == load_shipped()["States"]["Match"]["Retry"]


def test_branches_and_iterations_too_and_other_resources_stay() -> None:
    def calls(payload: Json) -> Json:
        task = {"Type": "Task", "Resource": INVOKE, "Parameters": {"FunctionName": "f", **payload}, "End": True}
        return {"StartAt": "T", "States": {"T": task}}

    states = {
        "P": {"Type": "Parallel", "Branches": [calls({"Payload": {"n": 1}})], "Next": "M"},
        "M": {"Type": "Map", "ItemProcessor": calls({"Payload.$": "$"}), "Next": "X"},
        "X": {"Type": "Task", "Resource": "x", "End": True},
    }
    seen: list[Any] = []

    def send(given: Json) -> Json:
        seen.append(given["MessageBody"]["payload"])
        return {"Payload": given["MessageBody"]["function"]}

    outcome = run(
        over_queues({"StartAt": "P", "States": states}, queues),
        {},
        {f"{QUEUE}.waitForTaskToken": send, "x": lambda given: given},
    )
    assert seen == [{"n": 1}, {"Payload": "f"}] and outcome.output == [{"Payload": "f"}]


class Wire:
    """What stands where SQS and Step Functions do: messages to hand out, and what was said."""

    def __init__(self, bodies: list[str]) -> None:
        self.bodies, self.said = bodies, []  # type: list[str], list[Any]

    def receive_message(self, **_: Any) -> Json:
        left = [{"Body": self.bodies.pop(0), "ReceiptHandle": "r"}] if self.bodies else []
        return {"Messages": left}

    def delete_message(self, **_: Any) -> None:
        self.said.append("deleted")

    def send_task_success(self, **said: Any) -> None:
        self.said.append((said["taskToken"], json.loads(said["output"])["Payload"]))

    def send_task_failure(self, **said: Any) -> None:
        self.said.append((said["taskToken"], said["error"]))


def test_a_message_that_is_no_task_is_left_out_and_failures_have_lambdas_names() -> None:
    def task(payload: Json) -> Json:
        if payload["n"] > 1:
            raise ValueError("too many")
        return payload

    tasks = [json.dumps({"token": f"t{n}", "function": "f", "payload": {"n": n}}) for n in (1, 2)]
    wire = Wire(["not json", json.dumps([1]), *tasks, json.dumps({"token": "t3", "function": "g", "payload": {}})])
    server = TaskServer(wire, wire, Caller({"f": task}, SystemClock()), [Queue("q", 1)], 0)
    for _ in range(2_000):
        if len(wire.said) == 8:
            break
        SystemClock().sleep(0.01)
    server.close()
    assert wire.said == [
        "deleted",
        "deleted",
        ("t1", {"n": 1}),
        "deleted",
        ("t2", "ValueError"),
        "deleted",
        ("t3", "PermanentError"),
        "deleted",
    ]
