"""The shipped machine with task tokens over SQS: the embedded engine against moto's interpreter, or LocalStack's."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.clock import SystemClock
from ingest.streams.kinesis import KinesisStream
from ingest.streams.port import Envelope
from orchestrator.calls import Caller
from orchestrator.definition import load_shipped
from orchestrator.embedded import EmbeddedEngine
from orchestrator.port import Engine
from orchestrator.portable import QUEUE, problems
from orchestrator.queued import over_queues
from orchestrator.stepfunctions import StepFunctionsEngine
from orchestrator.task_server import Queue, TaskServer
from tests.contracts.aws_sessions import Client, aws, is_localstack
from tests.contracts.test_engine_contract import FUNCTIONS, ROLE, broken, finished

Json = dict[str, Any]


class EmbeddedApi:
    """The calls a worker makes, in process."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine

    def send_task_success(self, taskToken: str, output: str) -> None:
        self._engine.task_succeeded(taskToken, json.loads(output))

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:
        self._engine.task_failed(taskToken, error, cause)

    def send_task_heartbeat(self, taskToken: str) -> None:
        self._engine.task_heartbeat(taskToken)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with aws() as made:
        yield made


def told(engine: Engine) -> tuple[str, str, Any, list[tuple[str, str]]]:
    engine.start("one", {"kind": "batch", "count": 3})
    done = finished(engine, "one")
    output = {k: v for k, v in (done.output or {}).items() if not k.endswith("failure")}
    return done.status, done.error, output, [(e.type, e.state) for e in engine.history("one")]


@pytest.mark.parametrize("failing", ["", "tieout-score", "tieout-normalize"])
def test_the_shipped_machine_with_task_tokens_runs_the_same(failing: str, client: Client, tmp_path: Path) -> None:
    functions = {**FUNCTIONS, **({failing: broken} if failing else {})}
    if failing == "tieout-normalize":
        functions["tieout-park"] = broken
    sqs, sfn = client("sqs"), client("stepfunctions")
    found = []
    for kind in ("aws", "embedded"):
        url = sqs.create_queue(QueueName=f"tasks-{kind}-{failing or 'none'}")["QueueUrl"]
        definition = over_queues(load_shipped(), lambda _, url=url: (url, False))  # type: ignore[misc]
        assert problems(definition) == []
        if kind == "aws":
            name = f"shipped-{failing or 'none'}"
            made = sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
            engine: Engine = StepFunctionsEngine(sfn, made["stateMachineArn"])
            workers = TaskServer(sqs, sfn, Caller(functions, SystemClock()), [Queue(url, 1)], 1)
        else:

            def send(given: Json) -> Json:
                sent = sqs.send_message(QueueUrl=given["QueueUrl"], MessageBody=json.dumps(given["MessageBody"]))
                return {"MessageId": sent["MessageId"]}

            ours = EmbeddedEngine(tmp_path / "e.sqlite", definition, {QUEUE: send}, SystemClock())
            api, called = EmbeddedApi(ours), Caller(functions, SystemClock())
            engine, workers = ours, TaskServer(sqs, api, called, [Queue(url, 1)], 1)
        try:
            found.append(told(engine))
        finally:
            workers.close()
            if isinstance(engine, EmbeddedEngine):
                engine.close()
    assert found[0] == found[1]


@pytest.mark.skipif(not is_localstack(), reason="tests/contracts/test_stream_contract.py does this on moto")
def test_a_stream_on_localstack_keeps_what_was_appended(client: Client) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="parity", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="parity", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    stream = KinesisStream(kinesis, "parity", SystemClock())
    messages = tuple(f"8=FIX.4.4|{n}".encode() for n in range(10))
    stream.append([Envelope("A->B", 1, 1_700_000_000_000_000_000, messages, 11)])
    (lane,) = stream.lanes()
    deadline = time.monotonic() + 30
    while not (batch := stream.read(lane, None, 100)).envelopes and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [m for envelope in batch.envelopes for m in envelope.messages] == list(messages)
