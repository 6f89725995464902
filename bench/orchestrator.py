"""The state machine engine: ours in memory and durable on SQLite, against moto's Step Functions interpreter."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.harness import Bench, Contender
from domain.clock import SystemClock
from orchestrator import run
from orchestrator.embedded import EmbeddedEngine

_STATES = 5
_ARN = "arn:aws:iam::123456789012:role/bench"


def _machine() -> dict[str, Any]:
    states: dict[str, Any] = {}
    for n in range(_STATES):
        end: Mapping[str, Any] = {"End": True} if n == _STATES - 1 else {"Next": f"S{n + 1}"}
        states[f"S{n}"] = {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, **end}
    return {"StartAt": "S0", "States": states}


def _memory(count: int) -> Contender:
    machine = _machine()

    def work() -> int:
        for _ in range(count):
            assert run(machine, {"n": 0}, {}).output == {"n": _STATES}
        return count

    return Contender("tieout, in memory", work)


def _durable(count: int) -> Contender:
    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            engine = EmbeddedEngine(Path(folder) / "e.sqlite", _machine(), {}, SystemClock())
            for n in range(count):
                engine.start(f"e{n}", {"n": 0})
            assert engine.wait_idle(120) and engine.counts() == {"SUCCEEDED": count}
            engine.close()
        return count

    return Contender("tieout, durable (SQLite WAL, whole history)", work)


def _moto(count: int) -> Contender:
    import boto3
    from moto import mock_aws

    def work() -> int:
        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            client = boto3.client(
                "stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
            )
            arn = client.create_state_machine(name="m", definition=json.dumps(_machine()), roleArn=_ARN)[
                "stateMachineArn"
            ]
            names = [
                client.start_execution(stateMachineArn=arn, name=f"e{n}", input='{"n": 0}')["executionArn"]
                for n in range(count)
            ]
            waiting, clock = set(names), SystemClock()
            while waiting:
                waiting = {n for n in waiting if client.describe_execution(executionArn=n)["status"] == "RUNNING"}
                clock.sleep(0.01)
        return count

    return Contender("moto's interpreter (in process, in memory)", work)


def benches() -> list[Bench]:
    """The engine comparison."""
    contenders, skipped = [_memory(1_000), _durable(500)], []
    try:
        contenders.append(_moto(40))
    except ImportError:
        skipped.append("moto is not installed")
    return [Bench(f"State machine of {_STATES} Pass states", "executions", contenders, skipped, repeat=2)]
