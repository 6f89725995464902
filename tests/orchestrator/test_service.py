"""The engine's HTTP API as boto3 sees it: every call, paging, refusals, task tokens, and who may call."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.clock import SystemClock
from orchestrator.embedded import EmbeddedEngine
from orchestrator.service.api import beside, create_api
from orchestrator.service.operations import Operations
from orchestrator.service.server import running
from orchestrator.service.sigv4 import Keys

boto3 = pytest.importorskip("boto3")
from botocore.exceptions import ClientError  # noqa: E402

Json = dict[str, Any]
UNKNOWN = "arn:aws:states:local:000000000000:execution:tieout:x"
MAIN = "arn:aws:states:local:000000000000:stateMachine:tieout"
ROLE = "arn:aws:iam::000000000000:role/tieout"
WAITS = "arn:aws:states:::lambda:invoke.waitForTaskToken"
SECRET = "no-secret-at-all"


def machine(**states: Json) -> Json:
    return {"StartAt": next(iter(states)), "States": states}


def callback(**more: object) -> Json:
    parameters = {"FunctionName": "carry", "Payload": {"token.$": "$$.Task.Token"}}
    return {"Type": "Task", "Resource": WAITS, "Parameters": parameters, "End": True, **more}


SHIPPED = machine(
    A={
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "a", "Payload.$": "$"},
        "ResultPath": "$.a",
        "Next": "B",
    },
    B={"Type": "Pass", "End": True},
)


@pytest.fixture
def tokens() -> list[str]:
    return []


@pytest.fixture
def broken() -> threading.Event:
    return threading.Event()


@pytest.fixture
def engine(tmp_path: Path, tokens: list[str], broken: threading.Event) -> Iterator[EmbeddedEngine]:
    def first(payload: Json) -> Json:
        if broken.is_set():
            raise ValueError("no")
        return {"n": payload.get("n", 0)}

    functions: dict[str, Callable[[Json], Any]] = {"a": first, "carry": lambda p: tokens.append(p["token"])}
    opened = EmbeddedEngine(tmp_path / "e.sqlite", SHIPPED, functions, SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def url(engine: EmbeddedEngine) -> Iterator[str]:
    api = create_api(Operations(engine, SystemClock(), may_change=True), Keys({"tieout": SECRET}), SystemClock())
    with running(api) as address:
        yield address


def client(url: str, secret: str = SECRET, access: str = "tieout") -> Any:
    return boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name="local",
        aws_access_key_id=access,
        aws_secret_access_key=secret,
    )


@pytest.fixture
def sfn(url: str) -> Any:
    return client(url)


def until(look: Callable[[], Any]) -> Any:
    for _ in range(1_000):
        found = look()
        if found:
            return found
        threading.Event().wait(0.005)
    raise AssertionError("it did not come")


def ended(sfn: Any, arn: str) -> Json:
    def look() -> Json | None:
        found: Json = sfn.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    return dict(until(look))


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_an_execution_from_start_to_history(sfn: Any, engine: EmbeddedEngine) -> None:
    started = sfn.start_execution(stateMachineArn=MAIN, name="one", input='{"n": 1}')
    arn = started["executionArn"]
    assert arn == "arn:aws:states:local:000000000000:execution:tieout:one"
    done = ended(sfn, arn)
    assert (done["status"], done["name"], done["stateMachineArn"]) == ("SUCCEEDED", "one", MAIN)
    assert json.loads(done["output"])["a"]["Payload"] == {"n": 1}
    assert done["startDate"] == started["startDate"] <= done["stopDate"]
    assert (done["redriveStatus"], done["redriveCount"]) == ("NOT_REDRIVABLE", 0)
    assert "SUCCEEDED" in done["redriveStatusReason"]
    events = sfn.get_execution_history(executionArn=arn)["events"]
    assert [e["type"] for e in events] == [e.type for e in engine.history("one")]
    by_type = {e["type"]: e for e in events}
    assert by_type["ExecutionStarted"]["executionStartedEventDetails"]["roleArn"] == ROLE
    scheduled = by_type["TaskScheduled"]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"], scheduled["region"]) == ("lambda", "invoke", "local")
    assert by_type["PassStateExited"]["stateExitedEventDetails"]["name"] == "B"
    assert by_type["PassStateExited"]["previousEventId"] == by_type["PassStateEntered"]["id"]


def test_every_answer_has_the_fields_and_no_others(sfn: Any, url: str) -> None:
    """Clients drop what they do not know, so the raw answers are held against boto3's own model."""
    model = sfn.meta.service_model
    arn = sfn.start_execution(stateMachineArn=MAIN, name="one")["executionArn"]
    ended(sfn, arn)
    calls: dict[str, Json] = {
        "DescribeExecution": {"executionArn": arn},
        "GetExecutionHistory": {"executionArn": arn},
        "ListExecutions": {"stateMachineArn": MAIN},
        "DescribeStateMachine": {"stateMachineArn": MAIN},
        "DescribeStateMachineForExecution": {"executionArn": arn},
        "ListStateMachines": {},
        "ValidateStateMachineDefinition": {"definition": "{}"},
        "StopExecution": {"executionArn": arn},
        "UpdateStateMachine": {"stateMachineArn": MAIN, "definition": "{}"},
    }
    for name, body in calls.items():
        headers = {"X-Amz-Target": f"AWSStepFunctions.{name}", "Authorization": f"Bearer {SECRET}"}
        answer = httpx.post(url, json=body, headers=headers, trust_env=False)
        assert answer.headers["content-type"] == "application/x-amz-json-1.0"
        if name == "UpdateStateMachine":
            assert (answer.status_code, answer.json()["__type"]) == (400, "AccessDeniedException")
            continue
        assert answer.status_code == 200, answer.text
        check_shape(answer.json(), model.operation_model(name).output_shape)


def check_shape(value: Any, shape: Any) -> None:
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), (set(value) - set(shape.members), shape.name)
        assert set(shape.required_members) <= set(value), shape.name
        for key, item in value.items():
            check_shape(item, shape.members[key])
    elif shape.type_name == "list":
        for item in value:
            check_shape(item, shape.member)
    elif shape.type_name in ("string", "boolean"):
        assert isinstance(value, {"string": str, "boolean": bool}[shape.type_name])
        assert not getattr(shape, "enum", None) or value in shape.enum, (value, shape.name)
    elif shape.type_name in ("integer", "long", "timestamp"):
        assert isinstance(value, int | float)


def test_a_name_is_used_once(sfn: Any) -> None:
    arn = sfn.start_execution(stateMachineArn=MAIN, name="one", input='{"n":1}')["executionArn"]
    ended(sfn, arn)
    again = refusal(lambda: sfn.start_execution(stateMachineArn=MAIN, name="one", input='{"n": 1}'))
    assert again == "ExecutionAlreadyExists", "as on AWS, the name of an execution that ended is taken"
    made_up = {sfn.start_execution(stateMachineArn=MAIN)["executionArn"] for _ in range(2)}
    assert len(made_up) == 2


def test_the_same_start_of_one_that_runs_is_the_same_execution(sfn: Any) -> None:
    made = sfn.create_state_machine(name="m", definition=json.dumps(machine(T=callback())), roleArn=ROLE)
    arn = made["stateMachineArn"]
    first = sfn.start_execution(stateMachineArn=arn, name="one", input='{"a": 1, "b": 2}')
    again = sfn.start_execution(stateMachineArn=arn, name="one", input='{"b":2,"a":1}')
    assert [again[key] for key in ("executionArn", "startDate")] == [first["executionArn"], first["startDate"]]
    other = refusal(lambda: sfn.start_execution(stateMachineArn=arn, name="one", input="{}"))
    assert other == "ExecutionAlreadyExists"


def test_pages_of_executions_and_events(sfn: Any) -> None:
    arns = {sfn.start_execution(stateMachineArn=MAIN, name=f"e{n}")["executionArn"] for n in range(7)}
    for arn in arns:
        ended(sfn, arn)
    pages = list(sfn.get_paginator("list_executions").paginate(stateMachineArn=MAIN, PaginationConfig={"PageSize": 3}))
    assert [len(page["executions"]) for page in pages] == [3, 3, 1]
    rows = [row for page in pages for row in page["executions"]]
    assert {row["executionArn"] for row in rows} == arns
    assert [row["startDate"] for row in rows] == sorted((row["startDate"] for row in rows), reverse=True)
    assert sfn.list_executions(stateMachineArn=MAIN, statusFilter="FAILED")["executions"] == []
    first = sfn.list_executions(stateMachineArn=MAIN, maxResults=3)
    other_list = {"stateMachineArn": MAIN, "statusFilter": "SUCCEEDED", "nextToken": first["nextToken"]}
    assert refusal(lambda: sfn.list_executions(**other_list)) == "InvalidToken"
    history = sfn.get_paginator("get_execution_history")
    for reverse in (False, True):
        found = history.paginate(executionArn=rows[0]["executionArn"], reverseOrder=reverse, maxResults=4)
        ids = [event["id"] for page in found for event in page["events"]]
        assert ids == sorted(ids, reverse=reverse) and len(ids) == 9
    bare = sfn.get_execution_history(executionArn=rows[0]["executionArn"], includeExecutionData=False)
    assert not any("input" in part for event in bare["events"] for part in event.values() if isinstance(part, dict))


def test_stop_and_redrive(sfn: Any, broken: threading.Event) -> None:
    broken.set()
    arn = sfn.start_execution(stateMachineArn=MAIN, name="one")["executionArn"]
    failed = ended(sfn, arn)
    assert (failed["status"], failed["error"], failed["redriveStatus"]) == ("FAILED", "ValueError", "REDRIVABLE")
    broken.clear()
    at = sfn.redrive_execution(executionArn=arn)["redriveDate"]
    done = ended(sfn, arn)
    assert (done["status"], done["redriveCount"], done["redriveDate"]) == ("SUCCEEDED", 1, at)
    assert refusal(lambda: sfn.redrive_execution(executionArn=arn)) == "ExecutionNotRedrivable"
    assert sfn.stop_execution(executionArn=arn)["stopDate"] == done["stopDate"], "what ended stays as it is"
    redriven = sfn.list_executions(stateMachineArn=MAIN, redriveFilter="REDRIVEN")["executions"]
    assert [row["name"] for row in redriven] == ["one"]

    made = sfn.create_state_machine(name="m", definition=json.dumps(machine(T=callback())), roleArn=ROLE)
    waiting = sfn.start_execution(stateMachineArn=made["stateMachineArn"], name="one")["executionArn"]
    assert waiting != arn, "each machine has names of its own"
    sfn.stop_execution(executionArn=waiting, error="Operator", cause="not needed")
    stopped = sfn.describe_execution(executionArn=waiting)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Operator", "not needed")


def start_waiting(sfn: Any, **more: object) -> str:
    definition = json.dumps(machine(T=callback(**more)))
    made = sfn.create_state_machine(name="waits", definition=definition, roleArn=ROLE)
    return str(sfn.start_execution(stateMachineArn=made["stateMachineArn"], name="one")["executionArn"])


def test_a_task_ends_when_its_token_is_returned(sfn: Any, tokens: list[str]) -> None:
    arn = start_waiting(sfn)
    (token,) = until(lambda: tokens)
    sfn.send_task_heartbeat(taskToken=token)
    assert refusal(lambda: sfn.send_task_success(taskToken=token, output="no json")) == "InvalidOutput"
    sfn.send_task_success(taskToken=token, output='{"found": 3}')
    done = ended(sfn, arn)
    assert (done["status"], done["output"]) == ("SUCCEEDED", '{"found":3}')
    assert refusal(lambda: sfn.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
    assert refusal(lambda: sfn.send_task_failure(taskToken="0" * 64)) == "TaskDoesNotExist"
    assert refusal(lambda: sfn.send_task_heartbeat(taskToken="?")) == "InvalidToken"


def test_a_failure_returned_is_retried_and_caught(sfn: Any, tokens: list[str]) -> None:
    arn = start_waiting(sfn, Retry=[{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}])
    (token,) = until(lambda: tokens)
    sfn.send_task_failure(taskToken=token, error="Refused", cause="by hand")
    failed = ended(sfn, arn)
    assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "Refused", "by hand")
    sfn.redrive_execution(executionArn=arn)
    again = until(lambda: tokens[1:])
    sfn.send_task_success(taskToken=again[0], output="1")
    assert ended(sfn, arn)["output"] == "1"


def test_machines_are_made_changed_and_removed_and_executions_keep_theirs(sfn: Any, tokens: list[str]) -> None:
    arn = start_waiting(sfn)
    made = sfn.list_state_machines()["stateMachines"]
    assert [row["name"] for row in made] == ["tieout", "waits"]
    where = made[1]["stateMachineArn"]
    assert sfn.describe_state_machine(stateMachineArn=where)["status"] == "ACTIVE"
    other = json.dumps(machine(P={"Type": "Pass", "Result": 2, "End": True}))
    assert refusal(lambda: sfn.create_state_machine(name="waits", definition=other, roleArn=ROLE)) == (
        "StateMachineAlreadyExists"
    )
    sfn.update_state_machine(stateMachineArn=where, definition=other)
    of_old = sfn.describe_state_machine_for_execution(executionArn=arn)["definition"]
    assert (
        "waitForTaskToken" in of_old
        and "waitForTaskToken" not in (sfn.describe_state_machine(stateMachineArn=where)["definition"])
    )
    sfn.send_task_success(taskToken=until(lambda: tokens)[0], output="1")
    assert ended(sfn, arn)["output"] == "1"
    new = sfn.start_execution(stateMachineArn=where, name="two")["executionArn"]
    assert ended(sfn, new)["output"] == "2"
    sfn.delete_state_machine(stateMachineArn=where)
    assert refusal(lambda: sfn.describe_state_machine(stateMachineArn=where)) == "StateMachineDoesNotExist"
    assert sfn.describe_execution(executionArn=new)["status"] == "SUCCEEDED"


def test_refusals_have_the_names_of_step_functions(sfn: Any) -> None:
    bad = json.dumps(machine(P={"Type": "Pass", "Next": "Nowhere"}))
    start = sfn.start_execution
    expected: list[tuple[str, Callable[[], Any]]] = [
        ("InvalidArn", lambda: sfn.describe_execution(executionArn="nonsense")),
        ("InvalidArn", lambda: sfn.describe_execution(executionArn=MAIN)),
        ("ExecutionDoesNotExist", lambda: sfn.describe_execution(executionArn=UNKNOWN)),
        ("StateMachineDoesNotExist", lambda: start(stateMachineArn=MAIN + "x")),
        ("InvalidName", lambda: start(stateMachineArn=MAIN, name="a b")),
        ("InvalidExecutionInput", lambda: start(stateMachineArn=MAIN, input="{")),
        ("InvalidExecutionInput", lambda: start(stateMachineArn=MAIN, input="NaN")),
        ("ValidationException", lambda: start(stateMachineArn=MAIN, input='"' + "x" * 300_000 + '"')),
        ("InvalidDefinition", lambda: sfn.create_state_machine(name="m", definition=bad, roleArn=ROLE)),
        ("InvalidName", lambda: sfn.create_state_machine(name="a/b", definition="{}", roleArn=ROLE)),
        ("AccessDeniedException", lambda: sfn.delete_state_machine(stateMachineArn=MAIN)),
        ("ValidationException", lambda: sfn.list_executions(stateMachineArn=MAIN, maxResults=1001)),
        ("UnknownOperationException", lambda: sfn.list_map_runs(executionArn=UNKNOWN)),
    ]  # fmt: skip
    assert [refusal(call) for _, call in expected] == [code for code, _ in expected]
    told = sfn.validate_state_machine_definition(definition=bad)
    assert told["result"] == "FAIL" and "MISSING_TRANSITION_TARGET" in {d["code"] for d in told["diagnostics"]}
    assert sfn.validate_state_machine_definition(definition=json.dumps(SHIPPED))["result"] == "OK"


def test_only_who_knows_the_secret_may_call(url: str, engine: EmbeddedEngine) -> None:
    assert refusal(lambda: client(url, "wrong").list_state_machines()) == "InvalidSignatureException"
    assert refusal(lambda: client(url, access="nobody").list_state_machines()) == "UnrecognizedClientException"
    headers = {"X-Amz-Target": "AWSStepFunctions.ListStateMachines"}

    def code(**more: str) -> str:
        answer = httpx.post(url, json={}, headers={**headers, **more}, trust_env=False)
        return str(answer.json().get("__type", answer.status_code))

    assert code() == "MissingAuthenticationTokenException"
    assert code(Authorization="Bearer wrong") == "UnrecognizedClientException"
    assert code(Authorization=f"Bearer {SECRET}") == "200"
    assert code(Authorization=f"Bearer {SECRET}", Host="attacker.example") == "AccessDeniedException"
    assert code(Authorization="AWS4-HMAC-SHA256 Credential=tieout/x, SignedHeaders=host, Signature=") == (
        "InvalidSignatureException"
    ), "a signature over less than host, date and operation is none"


def test_a_service_may_keep_its_machines_to_itself(engine: EmbeddedEngine) -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    api = create_api(Operations(engine, SystemClock()), Keys({"tieout": SECRET}), SystemClock())
    with running(beside(api, page)) as url:
        sfn = client(url)
        made = refusal(lambda: sfn.create_state_machine(name="m", definition="{}", roleArn=ROLE))
        assert made == "AccessDeniedException"
        assert [row["name"] for row in sfn.list_state_machines()["stateMachines"]] == ["tieout"]
        assert httpx.get(url, trust_env=False).text == "a page"
