"""AWS Step Functions as an engine: the embedded engine's calls over a boto3 `stepfunctions` client."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.errors import PermanentError, TransientError
from orchestrator.port import Execution, HistoryEvent

_PAGE = 1_000
_BUSY = frozenset(
    {
        "InternalFailure", "RequestLimitExceeded", "RequestTimeout", "ServiceUnavailable", "ThrottlingException",
        "TooManyRequestsException", "ExecutionLimitExceeded", "InternalServerError",
    }
)  # fmt: skip


class StepFunctionsEngine:
    """Executions of one state machine on AWS (or a server that speaks its protocol).

    Every call raises TransientError when the service is busy or out of reach, PermanentError ("<Code>: <message>")
    when it refuses.
    """

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        """`client` is a boto3 client of the service `stepfunctions`."""
        self._client, self._machine = client, state_machine_arn

    def start(self, name: str, input: Any) -> Execution:
        """As the port says. AWS refuses a finished execution's name even with equal input; here that is no error."""
        text = json.dumps(input, sort_keys=True)
        try:
            self._call("start_execution", stateMachineArn=self._machine, name=name, input=text)
        except PermanentError as error:
            if not str(error).startswith("ExecutionAlreadyExists"):
                raise
            found = self.describe(name)
            if found.input != input:
                raise PermanentError(f"ExecutionAlreadyExists: {name} was started with another input") from None
            return found
        return self.describe(name)

    def describe(self, name: str) -> Execution:
        """The execution as it stands."""
        found = self._call("describe_execution", executionArn=self._arn(name))
        return _execution(found, json.loads(found["input"]))

    def history(self, name: str) -> Sequence[HistoryEvent]:
        """Its events in order, all pages; `details` is the event's own details object."""
        states: dict[int, str] = {}
        events = []
        for raw in self._pages("get_execution_history", "events", executionArn=self._arn(name)):
            details: Mapping[str, Any] = next((v for k, v in raw.items() if k.endswith("EventDetails")), {})
            number, previous = int(raw["id"]), int(raw.get("previousEventId", 0))
            is_own = raw["type"].startswith("Execution")
            named = details.get("name") if "State" in raw["type"] else None
            states[number] = "" if is_own else str(named or states.get(previous, ""))
            events.append(HistoryEvent(number, raw["type"], previous, _ns(raw["timestamp"]), states[number], details))
        return events

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Execution]:
        """The newest executions, newest first; AWS lists neither input, output nor error (None, None, empty)."""
        only = {"statusFilter": status} if status else {}
        found = self._pages("list_executions", "executions", limit, stateMachineArn=self._machine, **only)
        return [_execution(item, None) for item in found]

    def redrive(self, name: str) -> Execution:
        """As the port says; AWS allows it for 14 days after the execution ended."""
        self._call("redrive_execution", executionArn=self._arn(name))
        return self.describe(name)

    def stop(self, name: str, error: str = "", cause: str = "") -> Execution:
        """Abort a running execution."""
        self._call("stop_execution", executionArn=self._arn(name), error=error, cause=cause)
        return self.describe(name)

    def _arn(self, name: str) -> str:
        return self._machine.replace(":stateMachine:", ":execution:", 1) + f":{name}"

    def _pages(self, verb: str, key: str, limit: int | None = None, **arguments: Any) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            size = _PAGE if limit is None else max(1, min(_PAGE, limit - len(found)))
            page = self._call(verb, **arguments, **token, maxResults=size)
            found += page[key]
            if not page.get("nextToken") or (limit is not None and len(found) >= limit):
                return found[:limit]
            token = {"nextToken": page["nextToken"]}

    def _call(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        # A client comes from botocore, so it is there to import; the room itself does not depend on it.
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return dict(getattr(self._client, verb)(**arguments))
        except ClientError as error:
            told = error.response.get("Error", {})
            text = f"{told.get('Code', 'Unknown')}: {told.get('Message', '')}"
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            is_busy = told.get("Code") in _BUSY or status >= 500 or status == 429
            raise (TransientError(text) if is_busy else PermanentError(text)) from None
        except BotoCoreError as error:
            raise TransientError(str(error)) from error


def _execution(raw: Mapping[str, Any], input: Any) -> Execution:
    stopped = raw.get("stopDate")
    return Execution(
        name=raw["name"],
        status=raw["status"],
        input=input,
        output=json.loads(raw["output"]) if raw.get("output") else None,
        error=raw.get("error") or "",
        cause=raw.get("cause") or "",
        started_at=_ns(raw["startDate"]),
        stopped_at=_ns(stopped) if stopped else None,
        redrive_count=int(raw.get("redriveCount") or 0),
    )


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000) * 1_000_000
