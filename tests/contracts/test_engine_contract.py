"""Both engines answer the same calls the same way: the embedded one, and Step Functions as moto plays it."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.clock import SystemClock
from domain.errors import PermanentError
from orchestrator.definition import load_shipped
from orchestrator.embedded import EmbeddedEngine
from orchestrator.port import FINISHED, Engine, Execution
from orchestrator.stepfunctions import StepFunctionsEngine

Json = dict[str, Any]
ROLE = "arn:aws:iam::123456789012:role/tieout"
MACHINE: Json = {
    "StartAt": "Which",
    "States": {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.broken", "BooleanEquals": True, "Next": "Broken"}],
            "Default": "Good",
        },
        "Good": {"Type": "Pass", "Result": 1, "ResultPath": "$.good", "End": True},
        "Broken": {"Type": "Fail", "Error": "PermanentError", "Cause": "refused"},
    },
}
FUNCTIONS: dict[str, Callable[[Json], Json]] = {
    "tieout-normalize": lambda p: {
        "facts": p["count"], "duplicates": 0, "session": 0, "quarantined": 0, "ignored": 0, "messages": p["count"],
    },
    "tieout-match": lambda p: {
        "changes": p["count"], "opened": 1, "cured": 0, "expected": 0, "groups": 0, "next_due": None,
    },
    "tieout-score": lambda p: {"scored": 1, "flagged": 1, "ticketable": p["count"] - 1},
    "tieout-ticket": lambda p: {"written": 1, "delivered": 1},
    "tieout-park": lambda p: {"count": 0},
}  # fmt: skip


def broken(_payload: Json) -> Json:
    raise PermanentError("no")


def moto_engine(definition: Json, functions: dict[str, Callable[[Json], Json]], patch: pytest.MonkeyPatch) -> Engine:
    """An engine on moto's own interpreter, whose Lambda calls our functions instead of echoing."""
    boto3 = pytest.importorskip("boto3")
    from moto.awslambda_simple.models import LambdaSimpleBackend

    def invoke(_self: object, function_name: str, _qualifier: object, body: Any, *rest: Any) -> bytes:
        headers = rest[-1]
        try:
            answer: Any = functions[function_name.rpartition(":")[2]](json.loads(body))
        except PermanentError as error:
            headers["x-amz-function-error"] = "Unhandled"
            answer = {"errorMessage": str(error), "errorType": "PermanentError"}
        return json.dumps(answer).encode()

    patch.setattr(LambdaSimpleBackend, "invoke", invoke)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    client = boto3.client("stepfunctions", **keys)
    machine = client.create_state_machine(name="m", definition=json.dumps(definition), roleArn=ROLE)
    return StepFunctionsEngine(client, machine["stateMachineArn"])


Make = Callable[[str, Json, dict[str, Callable[[Json], Json]]], Engine]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes an engine by name: embedded or stepfunctions."""
    moto = pytest.importorskip("moto")
    opened: list[EmbeddedEngine] = []
    started: list[Any] = []

    def build(kind: str, definition: Json, functions: dict[str, Callable[[Json], Json]]) -> Engine:
        if kind == "embedded":
            opened.append(EmbeddedEngine(tmp_path / "e.sqlite", definition, functions, SystemClock()))
            return opened[-1]
        if not started:
            config = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
            started.append(moto.mock_aws(config=config))
            started[-1].start()
        return moto_engine(definition, functions, monkeypatch)

    yield build
    for engine in opened:
        engine.close()
    for mock in started:
        mock.stop()


def finished(engine: Engine, name: str) -> Execution:
    for _ in range(1_000):
        found = engine.describe(name)
        if found.status in FINISHED:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{name} did not end")


KINDS = ["embedded", "stepfunctions"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_execution_is_started_once_and_described(kind: str, make: Make) -> None:
    engine = make(kind, MACHINE, {})
    engine.start("one", {"broken": False})
    done = finished(engine, "one")
    assert (done.status, done.input, done.output) == ("SUCCEEDED", {"broken": False}, {"broken": False, "good": 1})
    assert done.stopped_at is not None and done.stopped_at >= done.started_at and done.redrive_count == 0
    assert engine.start("one", {"broken": False}).stopped_at == done.stopped_at
    with pytest.raises(PermanentError, match="ExecutionAlreadyExists"):
        engine.start("one", {"broken": True})
    with pytest.raises(PermanentError, match="ExecutionDoesNotExist"):
        engine.describe("other")


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_has_error_and_cause_and_lists_by_status(kind: str, make: Make) -> None:
    engine = make(kind, MACHINE, {})
    engine.start("good", {"broken": False})
    engine.start("bad", {"broken": True})
    finished(engine, "good")
    failed = finished(engine, "bad")
    assert (failed.status, failed.error, failed.cause, failed.output) == ("FAILED", "PermanentError", "refused", None)
    assert [e.name for e in engine.list("FAILED")] == ["bad"]
    assert {e.name for e in engine.list()} == {"good", "bad"}
    assert len(engine.list(limit=1)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_is_in_order_and_tells_each_event_s_state(kind: str, make: Make) -> None:
    engine = make(kind, MACHINE, {})
    engine.start("one", {"broken": False})
    finished(engine, "one")
    told = [(e.id, e.type, e.state) for e in engine.history("one")]
    assert told == [
        (1, "ExecutionStarted", ""),
        (2, "ChoiceStateEntered", "Which"),
        (3, "ChoiceStateExited", "Which"),
        (4, "PassStateEntered", "Good"),
        (5, "PassStateExited", "Good"),
        (6, "ExecutionSucceeded", ""),
    ]


@pytest.mark.parametrize("failing", ["", "tieout-score", "tieout-normalize"])
def test_the_shipped_machine_runs_the_same_on_both(failing: str, make: Make) -> None:
    functions = {**FUNCTIONS, **({failing: broken} if failing else {})}
    if failing == "tieout-normalize":
        functions["tieout-park"] = broken
    told = []
    for kind in KINDS:
        engine = make(kind, load_shipped(), functions)
        engine.start("one", {"kind": "batch", "count": 3})
        done = finished(engine, "one")
        events = [(e.type, e.state) for e in engine.history("one")]
        output = {k: v for k, v in (done.output or {}).items() if not k.endswith("failure")}
        told.append((done.status, done.error, output, events))
    assert told[0] == told[1]
