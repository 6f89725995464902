"""The operations of the Step Functions API over the embedded engine: a request's body in, an answer's body out."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from domain.clock import Clock
from orchestrator.activities import express_problems
from orchestrator.arns import MAIN, execution_arn, is_name, key_in, key_of, machine_and_name, machine_arn, machine_in
from orchestrator.embedded import EmbeddedEngine
from orchestrator.json_text import parsed
from orchestrator.machines import Machines, check_definition
from orchestrator.report import history_page
from orchestrator.service import requests as asked
from orchestrator.service import shapes
from orchestrator.service.activities import POLL_SECONDS
from orchestrator.service.paging import position, token
from orchestrator.service.refusal import Refusal
from orchestrator.store import Row

Json = dict[str, Any]
_MAX_INPUT_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Operations:
    """One engine's executions and machines; `may_change` says whether machines may be made, changed and removed.

    `poll_seconds` is how long a worker that asks for a task is kept waiting.
    """

    engine: EmbeddedEngine
    clock: Clock
    may_change: bool = False
    poll_seconds: float = POLL_SECONDS

    @property
    def _machines(self) -> Machines:
        return self.engine.machines

    def start_execution(self, body: asked.StartExecution) -> Json:
        """As Step Functions: the same name and input again is the execution that runs, anything else is refused."""
        machine = self._machines.get(machine_in(body.state_machine_arn)).name
        name = str(uuid.uuid4()) if body.name is None else body.name
        if not is_name(name):
            raise Refusal("InvalidName", f"Invalid Name: '{name[:100]}'")
        value = json_in(body.input, "InvalidExecutionInput", "Invalid State Machine Execution Input")
        key = key_of(machine, name)
        known = self.engine.store.execution(key)
        if known is not None and (known["status"] != "RUNNING" or json.loads(known["input"]) != value):
            raise Refusal("ExecutionAlreadyExists", f"Execution Already Exists: '{execution_arn(key)}'")
        begun = self.engine.start(key, value)
        return {"executionArn": execution_arn(key), "startDate": shapes.seconds(begun.started_at)}

    def describe_execution(self, body: asked.OneExecution) -> Json:
        """The execution as it stands."""
        return shapes.execution(self._row(body.execution_arn), self.clock.now_ns())

    def get_execution_history(self, body: asked.GetExecutionHistory) -> Json:
        """A page of events."""
        key = self._row(body.execution_arn)["name"]
        of = f"history|{key}|{body.reverse_order}"
        after = _whole(position(of, body.next_token))
        found = history_page(self.engine.store, key, after, body.reverse_order, body.rows + 1)
        page, more = found[: body.rows], len(found) > body.rows
        answer: Json = {"events": [shapes.event(item, body.include_execution_data) for item in page]}
        return answer | ({"nextToken": token(of, page[-1].id)} if more else {})

    def list_executions(self, body: asked.ListExecutions) -> Json:
        """A page of a machine's executions, newest first."""
        machine = self._machines.get(machine_in(body.state_machine_arn)).name
        of = f"executions|{machine}|{body.status_filter}|{body.redrive_filter}"
        where, params = ["machine = ?"], [machine]
        if body.status_filter:
            where, params = [*where, "status = ?"], [*params, body.status_filter]
        if body.redrive_filter:
            where.append("redrive_count > 0" if body.redrive_filter == "REDRIVEN" else "redrive_count = 0")
        after = position(of, body.next_token)
        if after is not None:
            where, params = [*where, "(started_at, name) < (?, ?)"], [*params, *after]
        order = "ORDER BY started_at DESC, name DESC LIMIT ?"
        rows = self.engine.store.rows(
            f"SELECT * FROM exec WHERE {' AND '.join(where)} {order}", (*params, body.rows + 1)
        )
        page, more = rows[: body.rows], len(rows) > body.rows
        answer: Json = {"executions": [shapes.execution_item(row) for row in page]}
        last = (page[-1]["started_at"], page[-1]["name"]) if more else None
        return answer | ({"nextToken": token(of, last)} if more else {})

    def stop_execution(self, body: asked.StopExecution) -> Json:
        """Stop one that runs; one that ended stays as it is."""
        row = self._row(body.execution_arn)
        if row["status"] == "RUNNING":
            self.engine.stop(row["name"], body.error, body.cause)
            row = self._row(body.execution_arn)
        return {"stopDate": shapes.seconds(row["stopped_at"])}

    def redrive_execution(self, body: asked.OneExecution) -> Json:
        """Go on from the state that failed."""
        row = self._row(body.execution_arn)
        reason = shapes.not_redrivable(row, self.clock.now_ns())
        if reason:
            raise Refusal("ExecutionNotRedrivable", reason)
        self.engine.redrive(row["name"])
        return {"redriveDate": shapes.seconds(self._row(body.execution_arn)["redriven_at"])}

    def send_task_success(self, body: asked.SendTaskSuccess) -> Json:
        """The result of a task that waits."""
        self.engine.task_succeeded(body.task_token, json_in(body.output, "InvalidOutput", "Invalid Output"))
        return {}

    def send_task_failure(self, body: asked.SendTaskFailure) -> Json:
        """The failure of a task that waits."""
        self.engine.task_failed(body.task_token, body.error, body.cause)
        return {}

    def send_task_heartbeat(self, body: asked.SendTaskHeartbeat) -> Json:
        """The task that waits is alive."""
        self.engine.task_heartbeat(body.task_token)
        return {}

    def describe_state_machine(self, body: asked.OneMachine) -> Json:
        """A machine with its definition."""
        return shapes.machine(self._machines.get(machine_in(body.state_machine_arn)))

    def describe_state_machine_for_execution(self, body: asked.OneExecution) -> Json:
        """The definition the execution runs by, which may not be the machine's any more."""
        row = self._row(body.execution_arn)
        name = machine_and_name(row["name"])[0]
        text = self.engine.store.definition_text(row["definition_hash"])
        return {
            "stateMachineArn": machine_arn(name),
            "name": name,
            "definition": text,
            "roleArn": self._role(name),
            "updateDate": shapes.seconds(row["started_at"]),
            "revisionId": row["definition_hash"],
        }

    def list_state_machines(self, body: asked.Paged) -> Json:
        """A page of machines by name."""
        after = position("machines", body.next_token)
        found = self._machines.list(str(after or ""), body.rows + 1)
        page, more = found[: body.rows], len(found) > body.rows
        answer: Json = {"stateMachines": [shapes.machine_item(item) for item in page]}
        return answer | ({"nextToken": token("machines", page[-1].name)} if more else {})

    def create_state_machine(self, body: asked.CreateStateMachine) -> Json:
        """A machine beside the engine's own."""
        self._changing(body.name)
        if body.type == "EXPRESS":
            _check_express(body.definition)
        made = self._machines.create(body.name, body.definition, body.role_arn, body.type)
        return {"stateMachineArn": machine_arn(made.name), "creationDate": shapes.seconds(made.created_at)}

    def update_state_machine(self, body: asked.UpdateStateMachine) -> Json:
        """Another definition; what runs keeps its own."""
        name = machine_in(body.state_machine_arn)
        self._changing(name)
        if body.definition is not None and self._machines.get(name).kind == "EXPRESS":
            _check_express(body.definition)
        changed = self._machines.change(name, body.definition, body.role_arn)
        return {"updateDate": shapes.seconds(changed.updated_at), "revisionId": changed.revision}

    def delete_state_machine(self, body: asked.OneMachine) -> Json:
        """Forget a machine; one that is not there is no error, as in Step Functions."""
        name = machine_in(body.state_machine_arn)
        self._changing(name)
        self._machines.remove(name)
        return {}

    def validate_state_machine_definition(self, body: asked.ValidateStateMachineDefinition) -> Json:
        """What is wrong with a definition."""
        problems = check_definition(body.definition)
        told = [
            {
                "severity": "ERROR",
                "code": _code(problem.message),
                "message": problem.message,
                "location": problem.path or "/",
            }
            for problem in problems
        ]
        shown = told[: body.max_results or 100]
        return {
            "result": "FAIL" if told else "OK",
            "diagnostics": shown,
            "truncated": len(shown) < len(told),
        }

    def _row(self, arn: str) -> Row:
        row = self.engine.store.execution(key_in(arn))
        if row is None:
            raise Refusal("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return row

    def _role(self, name: str) -> str:
        return next((m.role for m in self._machines.list("", 1_000_000) if m.name == name), "")

    def _changing(self, name: str) -> None:
        if not self.may_change:
            raise Refusal("AccessDeniedException", "The machines of this service are set in its settings (workflow)")
        if name == MAIN:
            raise Refusal("AccessDeniedException", f"The machine {MAIN!r} is the engine's own")


def json_in(text: str, code: str, message: str) -> Any:
    """The JSON value of a text. Raises Refusal with this code for no JSON, ValidationException above the limit."""
    if len(text.encode("utf-8", "replace")) > _MAX_INPUT_BYTES:
        raise Refusal("ValidationException", f"The text has more than {_MAX_INPUT_BYTES:,} bytes")
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(code, f"{message}: '{error}'") from None


def _check_express(definition: str) -> None:
    try:
        problem = next(express_problems(json.loads(definition)), None)
    except (ValueError, RecursionError):
        return
    if problem is not None:
        raise Refusal("InvalidDefinition", f"Invalid State Machine Definition: '{problem.message} at {problem.path}'")


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _code(message: str) -> str:
    word = message.partition(":")[0]
    return word if word.isupper() else "SCHEMA_VALIDATION_FAILED"


def table(operations: Operations) -> Mapping[str, tuple[type[asked.Body], Callable[[Any], Json]]]:
    """Operation name -> its request's shape and what answers it."""
    o = operations
    return MappingProxyType(
        {
            "StartExecution": (asked.StartExecution, o.start_execution),
            "DescribeExecution": (asked.OneExecution, o.describe_execution),
            "GetExecutionHistory": (asked.GetExecutionHistory, o.get_execution_history),
            "ListExecutions": (asked.ListExecutions, o.list_executions),
            "StopExecution": (asked.StopExecution, o.stop_execution),
            "RedriveExecution": (asked.OneExecution, o.redrive_execution),
            "SendTaskSuccess": (asked.SendTaskSuccess, o.send_task_success),
            "SendTaskFailure": (asked.SendTaskFailure, o.send_task_failure),
            "SendTaskHeartbeat": (asked.SendTaskHeartbeat, o.send_task_heartbeat),
            "DescribeStateMachine": (asked.OneMachine, o.describe_state_machine),
            "DescribeStateMachineForExecution": (asked.OneExecution, o.describe_state_machine_for_execution),
            "ListStateMachines": (asked.Paged, o.list_state_machines),
            "CreateStateMachine": (asked.CreateStateMachine, o.create_state_machine),
            "UpdateStateMachine": (asked.UpdateStateMachine, o.update_state_machine),
            "DeleteStateMachine": (asked.OneMachine, o.delete_state_machine),
            "ValidateStateMachineDefinition": (
                asked.ValidateStateMachineDefinition, o.validate_state_machine_definition,
            ),
        }
    )  # fmt: skip
