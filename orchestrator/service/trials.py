"""Operations that wait for their answer: an execution from start to end, and one state by itself."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.arns import key_in, machine_in
from orchestrator.commands import RunTask, TaskFailure, TaskResult
from orchestrator.embedded import EmbeddedEngine
from orchestrator.machines import check_definition
from orchestrator.port import Execution
from orchestrator.service import requests as asked
from orchestrator.service import shapes
from orchestrator.service.later import Later
from orchestrator.service.operations import Operations, json_in
from orchestrator.service.refusal import Refusal
from orchestrator.try_state import Tried, problems, try_state

Json = dict[str, Any]
# As long as an Express execution may take.
_SYNC_SECONDS = 290.0
_MAPPED = frozenset({"Map", "Parallel"})


@dataclass(frozen=True, slots=True)
class Trials:
    """Beside the other operations; where machines may be changed, TestState calls functions it is given no mock of."""

    operations: Operations

    @property
    def _engine(self) -> EmbeddedEngine:
        return self.operations.engine

    def start_sync_execution(self, body: asked.StartExecution) -> Later:
        """Run an Express machine's execution to its end; a failure is part of the answer. Holds no thread."""
        machine = self._engine.machines.get(machine_in(body.state_machine_arn))
        if machine.kind != "EXPRESS":
            raise Refusal(
                "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
            )
        begun = self.operations.start_execution(body)
        key = key_in(begun["executionArn"])
        about = {**begun, "stateMachineArn": body.state_machine_arn, "name": key.rpartition(":")[2]}

        def told(in_time: bool) -> Json:
            found = self._engine.describe(key) if in_time else self._stopped(key)
            return {**about, **_ended(found)}

        return Later(self._engine.ended(key), _SYNC_SECONDS, told)

    def _stopped(self, key: str) -> Execution:
        return self._engine.stop(key, "States.Timeout")

    def test_state(self, body: asked.TestState) -> Json:
        """What one state does with an input."""
        name, state = _state(body)
        context = json_in(body.context or "{}", "ValidationException", "Invalid context")
        variables = json_in(body.variables or "{}", "ValidationException", "Invalid variables")
        given = json_in(body.input, "InvalidExecutionInput", "Invalid State Machine Execution Input")
        if not isinstance(context, dict) or not isinstance(variables, dict):
            raise Refusal("ValidationException", "context and variables are JSON objects")
        wrong = problems(name, state)
        if wrong:
            told = "; ".join(f"{problem.message} at {problem.path or '/'}" for problem in wrong[:5])
            raise Refusal("InvalidDefinition", f"Invalid State Machine Definition: '{told}'")
        if body.mock is None and state.get("Type") in {"Task", *_MAPPED} and not self._can_call(state):
            raise Refusal("ValidationException", f"A {state['Type']} state needs a mock here")
        tried = try_state(
            name, state, given, partial(self._call, body.mock), context=context, variables=variables,
            retries=body.state_configuration.retrier_retry_count if body.state_configuration else 0,
        )  # fmt: skip
        return _tried(tried, body.inspection_level)

    def _can_call(self, state: Json) -> bool:
        return self.operations.may_change and state["Type"] == "Task"

    def _call(self, mock: asked.Mock | None, command: RunTask) -> TaskResult | TaskFailure:
        if mock is None:
            return self._engine.call_now(command)
        if mock.error_output is not None:
            return TaskFailure(mock.error_output.error, mock.error_output.cause)
        return TaskResult(json_in(mock.result or "null", "ValidationException", "Invalid mock result"))


def _state(body: asked.TestState) -> tuple[str, Json]:
    """The state that is asked for: the definition itself, or one of its states by name."""
    try:
        found = json.loads(body.definition)
    except (ValueError, RecursionError):
        raise Refusal("InvalidDefinition", "Invalid State Machine Definition: 'the definition is not JSON'") from None
    if not isinstance(found, dict):
        raise Refusal("InvalidDefinition", "Invalid State Machine Definition: 'a state is an object'")
    if "States" not in found:
        return body.state_name or "State", found
    told = check_definition(body.definition)
    if told:
        raise Refusal("InvalidDefinition", f"Invalid State Machine Definition: '{told[0].message}'")
    state = found["States"].get(body.state_name or "")
    if state is None:
        raise Refusal("ValidationException", "stateName must be the name of a state of the definition")
    return str(body.state_name), {"QueryLanguage": found.get("QueryLanguage", "JSONPath"), **state}


def _ended(found: Execution) -> Json:
    status = "TIMED_OUT" if found.status == "ABORTED" else found.status
    answer: Json = {"status": status, "stopDate": shapes.seconds(found.stopped_at or 0)}
    answer["input"], answer["inputDetails"] = json.dumps(found.input), {"included": True}
    if status == "SUCCEEDED":
        return answer | {"output": json.dumps(found.output), "outputDetails": {"included": True}}
    return answer | {key: value for key, value in (("error", found.error), ("cause", found.cause)) if value}


def _tried(tried: Tried, level: str) -> Json:
    answer: Json = {"status": tried.status}
    if tried.status in ("SUCCEEDED", "CAUGHT_ERROR"):
        answer["output"] = json.dumps(tried.output, ensure_ascii=False)
    for key, value in (("error", tried.error), ("cause", tried.cause), ("nextState", tried.following)):
        if value:
            answer[key] = value
    return answer | ({} if level == "INFO" else {"inspectionData": dict(tried.data)})
