"""Step Functions as the engine of a service: its executions, and the functions it calls served from this process."""

import json
import threading
from collections.abc import Mapping
from typing import Any

from domain.clock import Clock
from domain.errors import TransientError
from orchestrator.port import FINISHED, Execution
from orchestrator.stepfunctions import StepFunctionsEngine
from orchestrator.task_server import TaskServer

# A service asks often how far an execution is; AWS counts its requests.
_FRESH_SECONDS = 0.25
_COUNTS_FRESH_SECONDS = 2.0
_COUNTED_MAX = 1_000
_KEPT_MAX = 10_000


class RemoteEngine(StepFunctionsEngine):
    """What a service asks of its engine beyond the port, asked of AWS no more often than needed."""

    def __init__(self, client: Any, state_machine_arn: str, server: TaskServer, clock: Clock) -> None:
        """`server` is closed with the engine."""
        super().__init__(client, state_machine_arn)
        self._server, self._clock = server, clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Execution]] = {}
        self._counts: tuple[float, Mapping[str, int]] = (float("-inf"), {})

    def describe(self, name: str) -> Execution:
        """As the port says; what runs may be a quarter of a second old."""
        now = self._clock.monotonic()
        with self._lock:
            at, found = self._known.get(name, (float("-inf"), None))
        if found is not None and (found.status in FINISHED or now - at < _FRESH_SECONDS):
            return found
        told = super().describe(name)
        with self._lock:
            if len(self._known) >= _KEPT_MAX:
                self._known.clear()
            self._known[name] = (now, told)
        return told

    def redrive(self, name: str) -> Execution:
        """As the port says."""
        self._forget(name)
        try:
            return super().redrive(name)
        finally:
            self._forget(name)

    def stop(self, name: str, error: str = "", cause: str = "") -> Execution:
        """Abort a running execution."""
        self._forget(name)
        return super().stop(name, error, cause)

    def counts(self) -> Mapping[str, int]:
        """How many executions have each status, at most 1,000 of each, some seconds old."""
        now = self._clock.monotonic()
        if now - self._counts[0] >= _COUNTS_FRESH_SECONDS:
            every = ("RUNNING", *sorted(FINISHED))
            found = {status: len(self.list(status, _COUNTED_MAX)) for status in every}
            self._counts = (now, {status: count for status, count in found.items() if count})
        return self._counts[1]

    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """Nothing: CloudWatch counts what the states do."""
        return {}

    def definition_of(self, name: str) -> Mapping[str, Any]:
        """The definition an execution runs by."""
        found = self._call("describe_state_machine_for_execution", executionArn=self._arn(name))
        return dict(json.loads(found["definition"]))

    def wait(self, name: str, timeout_seconds: float) -> Execution:
        """The execution once it ended; raises TransientError when it is still running after the time-out."""
        until = self._clock.monotonic() + timeout_seconds
        while (found := self.describe(name)).status not in FINISHED:
            if self._clock.monotonic() >= until:
                raise TransientError(f"execution {name} is still running after {timeout_seconds:g} s")
            self._clock.sleep(_FRESH_SECONDS)
        return found

    def prune(self, older_than_ns: int) -> int:
        """Nothing to do: Step Functions forgets executions 90 days after their end."""
        return 0

    def close(self) -> None:
        """Stop serving tasks; executions go on, and their tasks wait in the queues."""
        self._server.close()

    def _forget(self, name: str) -> None:
        with self._lock:
            self._known.pop(name, None)


def machine_named(client: Any, name: str) -> str | None:
    """The ARN of the state machine of this name, None when there is none; an ARN stands for itself."""
    if name.startswith("arn:"):
        return name
    for page in client.get_paginator("list_state_machines").paginate():
        for item in page["stateMachines"]:
            if item["name"] == name:
                return str(item["stateMachineArn"])
    return None


def put_machine(client: Any, name: str, definition: Mapping[str, Any], role: str) -> str:
    """Make the state machine, or give it this definition; returns its ARN. What runs keeps the definition it has."""
    text = json.dumps(definition)
    arn = machine_named(client, name)
    if arn is None:
        return str(client.create_state_machine(name=name, definition=text, roleArn=role)["stateMachineArn"])
    if json.loads(client.describe_state_machine(stateMachineArn=arn)["definition"]) != definition:
        client.update_state_machine(stateMachineArn=arn, definition=text)
    return arn
