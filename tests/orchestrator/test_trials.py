"""StartSyncExecution and TestState as boto3 calls them: what one state does, and executions that are waited for."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from domain.clock import SystemClock
from orchestrator.embedded import EmbeddedEngine
from orchestrator.service.api import create_api
from orchestrator.service.operations import Operations
from orchestrator.service.server import running
from orchestrator.service.sigv4 import Keys

boto3 = pytest.importorskip("boto3")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

Json = dict[str, Any]
TOKENS: Queue[str] = Queue()
ROLE = "arn:aws:iam::000000000000:role/tieout"
TASK = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}


def machine(**states: Json) -> Json:
    return {"StartAt": next(iter(states)), "States": states}


@pytest.fixture(scope="module")
def sfn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path: Path = tmp_path_factory.mktemp("trials") / "e.sqlite"
    functions = {"f": lambda payload: {"n": payload["n"] + 1}, "w": lambda payload: TOKENS.put(payload["token"])}
    engine = EmbeddedEngine(path, machine(A={"Type": "Pass", "End": True}), functions, SystemClock())
    api = create_api(Operations(engine, SystemClock(), may_change=True), Keys({"tieout": "s" * 20}), SystemClock())
    with running(api) as url:
        # AWS has another host for these two calls.
        plain = Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, max_pool_connections=64)
        yield boto3.client(
            "stepfunctions", endpoint_url=url, region_name="local", config=plain, aws_access_key_id="tieout",
            aws_secret_access_key="s" * 20,
        )  # fmt: skip
    engine.close()


def tried(sfn: Any, state: Json, given: Any = None, **more: Any) -> Json:
    found = sfn.test_state(definition=json.dumps(state), input=json.dumps({} if given is None else given), **more)
    return {key: value for key, value in found.items() if key != "ResponseMetadata"}


def test_an_express_machine_is_waited_for_and_a_standard_one_is_refused(sfn: Any) -> None:
    called = {**TASK, "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "OutputPath": "$.Payload"}
    for kind in ("EXPRESS", "STANDARD"):
        sfn.create_state_machine(name=f"m{kind}", definition=json.dumps(machine(T=called)), roleArn=ROLE, type=kind)
    arn = "arn:aws:states:local:000000000000:stateMachine:mEXPRESS"
    done = sfn.start_sync_execution(stateMachineArn=arn, name="one", input='{"n": 4}')
    assert (done["status"], json.loads(done["output"]), done["name"]) == ("SUCCEEDED", {"n": 5}, "one")
    failed = sfn.start_sync_execution(stateMachineArn=arn, input="{}")
    assert (failed["status"], failed["error"]) == ("FAILED", "KeyError") and "output" not in failed
    with pytest.raises(ClientError, match="StateMachineTypeNotSupported"):
        sfn.start_sync_execution(stateMachineArn=arn.replace("EXPRESS", "STANDARD"))


def test_what_a_state_does_is_told_stage_by_stage(sfn: Any) -> None:
    state = {
        **TASK, "Next": "After", "InputPath": "$.in", "Parameters": {"FunctionName": "x", "Payload.$": "$.n"},
        "ResultSelector": {"v.$": "$.Payload"}, "ResultPath": "$.r", "OutputPath": "$.r",
    }  # fmt: skip
    del state["End"]
    found = tried(sfn, state, {"in": {"n": 1}}, mock={"result": '{"Payload": 7}'}, inspectionLevel="DEBUG")
    assert (found["status"], json.loads(found["output"]), found["nextState"]) == ("SUCCEEDED", {"v": 7}, "After")
    data = {key: json.loads(value) for key, value in found["inspectionData"].items()}
    assert data == {
        "input": {"in": {"n": 1}}, "afterInputPath": {"n": 1}, "afterParameters": {"FunctionName": "x", "Payload": 1},
        "result": {"Payload": 7}, "afterResultSelector": {"v": 7}, "afterResultPath": {"in": {"n": 1}, "r": {"v": 7}},
    }  # fmt: skip


def test_failures_are_told_as_what_becomes_of_them(sfn: Any) -> None:
    retry = {"Retry": [{"ErrorEquals": ["Busy"], "MaxAttempts": 2}]}
    catch = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Got", "ResultPath": "$.err"}]}
    busy: Json = {"mock": {"errorOutput": {"error": "Busy", "cause": "c"}}}
    assert tried(sfn, TASK, **busy) == {"status": "FAILED", "error": "Busy", "cause": "c"}
    assert tried(sfn, {**TASK, **retry, **catch}, **busy)["status"] == "RETRIABLE"
    spent = tried(sfn, {**TASK, **retry, **catch}, {"k": 1}, stateConfiguration={"retrierRetryCount": 2}, **busy)
    assert (spent["status"], spent["nextState"]) == ("CAUGHT_ERROR", "Got")
    assert json.loads(spent["output"]) == {"k": 1, "err": {"Error": "Busy", "Cause": "c"}}


@pytest.mark.parametrize(
    ("state", "given", "more", "wanted"),
    [
        ({"Type": "Succeed"}, {"k": 1}, {}, ("SUCCEEDED", '{"k": 1}', None)),
        ({"Type": "Fail", "Error": "E"}, {}, {}, ("FAILED", None, None)),
        ({"Type": "Wait", "Seconds": 3600, "Next": "N"}, {}, {}, ("SUCCEEDED", "{}", "N")),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "One"}], "Default": "Other"},
            {"n": 1},
            {},
            ("SUCCEEDED", '{"n": 1}', "One"),
        ),
        (
            {"Type": "Pass", "Parameters": {"v.$": "$x"}, "End": True},
            {},
            {"variables": '{"x": 5}'},
            ("SUCCEEDED", '{"v": 5}', None),
        ),
        (
            {"Type": "Pass", "Parameters": {"v.$": "$$.Execution.Id"}, "End": True},
            {},
            {"context": '{"Execution": {"Id": "e"}}'},
            ("SUCCEEDED", '{"v": "e"}', None),
        ),
        (
            {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input.n + 1 %}", "End": True},
            {"n": 1},
            {},
            ("SUCCEEDED", "2", None),
        ),
        (
            {
                "Type": "Map",
                "ItemProcessor": machine(I={"Type": "Pass", "End": True}),
                "End": True,
                "ResultPath": "$.all",
            },
            {"k": 1},
            {"mock": {"result": "[1, 2]"}},
            ("SUCCEEDED", '{"k": 1, "all": [1, 2]}', None),
        ),
        ({"Type": "Pass", "InputPath": "$.nothing", "End": True}, {}, {}, ("FAILED", None, None)),
        (
            {**TASK, "Parameters": {"FunctionName": "f", "Payload": {"n": 1}}, "OutputPath": "$.Payload.n"},
            {},
            {},
            ("SUCCEEDED", "2", None),
        ),
    ],
)
def test_each_kind_of_state(sfn: Any, state: Json, given: Json, more: Json, wanted: tuple[Any, ...]) -> None:
    found = tried(sfn, state, given, **more)
    assert (found["status"], found.get("output"), found.get("nextState")) == wanted


def test_a_state_of_a_whole_definition_and_what_is_refused(sfn: Any) -> None:
    whole = machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Result": 3, "End": True})
    assert tried(sfn, whole, stateName="B")["output"] == "3" and tried(sfn, whole, stateName="A")["nextState"] == "B"
    for definition, more, code in (
        ({"Type": "Pass"}, {}, "InvalidDefinition"),
        (whole, {}, "ValidationException"),
        ({"Type": "Map", "ItemProcessor": {"StartAt": "X", "States": {}}, "End": True}, {}, "InvalidDefinition"),
        ({"Type": "Parallel", "Branches": [whole], "End": True}, {}, "ValidationException"),
        (whole, {"stateName": "A", "variables": "[1]"}, "ValidationException"),
    ):
        with pytest.raises(ClientError, match=code):
            tried(sfn, definition, **more)


def test_executions_that_are_waited_for_hold_no_thread(sfn: Any) -> None:
    """More at a time than the server has threads, all of which wait; other calls are answered meanwhile."""
    held = {**TASK, "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Parameters": {"FunctionName": "w",
            "Payload": {"n": 1, "token.$": "$$.Task.Token"}}}  # fmt: skip
    sfn.create_state_machine(name="held", definition=json.dumps(machine(T=held)), roleArn=ROLE, type="EXPRESS")
    arn = "arn:aws:states:local:000000000000:stateMachine:held"
    with ThreadPoolExecutor(60) as pool:
        asked = [pool.submit(sfn.start_sync_execution, stateMachineArn=arn, name=f"h{n}") for n in range(60)]
        tokens: set[str] = set()
        while len(tokens) < 60:
            tokens.add(TOKENS.get(timeout=20))
        assert not any(one.done() for one in asked)
        assert sfn.describe_state_machine(stateMachineArn=arn)["name"] == "held"
        for token in tokens:
            sfn.send_task_success(taskToken=token, output='"done"')
        found = [one.result(20) for one in asked]
    assert {(one["status"], one["output"]) for one in found} == {("SUCCEEDED", '"done"')}


def test_an_execution_that_takes_too_long_is_ended(sfn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.service.trials._SYNC_SECONDS", 0.05)
    waits = machine(W={"Type": "Wait", "Seconds": 600, "End": True})
    sfn.create_state_machine(name="long", definition=json.dumps(waits), roleArn=ROLE, type="EXPRESS")
    found = sfn.start_sync_execution(stateMachineArn="arn:aws:states:local:000000000000:stateMachine:long")
    assert (found["status"], found["error"]) == ("TIMED_OUT", "States.Timeout")
