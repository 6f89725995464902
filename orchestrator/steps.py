"""The states that wait for something: Task and Wait."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from orchestrator.activities_task import given_out, is_activity
from orchestrator.choice import is_timestamp
from orchestrator.commands import Emit, Program, RunTask, Sleep, TaskFailure, TaskResult
from orchestrator.dataflow import check_size, forget, named, text
from orchestrator.errors import StateFailure
from orchestrator.flow import Flow
from orchestrator.numbers import too_long

_MAX_DELAY_SECONDS = 2**31 - 1
_CALLBACK = ".waitForTaskToken"
_LIMITS = ("TimeoutSeconds", "HeartbeatSeconds")


def waits_for_token(resource: str) -> bool:
    """Whether a Task of this resource ends when somebody returns its token."""
    return resource.endswith(_CALLBACK) and not is_activity(resource)


def task_token(context: Mapping[str, Any], key: str) -> str:
    """The token of a Task's attempt, `$$.Task.Token`: the same on every replay, told by nothing but the execution."""
    execution = str(context.get("Execution", {}).get("Id", ""))
    return hashlib.sha256(f"{execution}|{key}".encode()).hexdigest()


def task(name: str, flow: Flow, given: Any, context: Mapping[str, Any], key: str) -> Program:
    """The task's result; `given` is its effective input."""
    resource = str(flow.state["Resource"])
    check_size(given)
    base = flow.base()
    limits = [flow.number(field_name, base) for field_name in _LIMITS]
    family, about, label_of_input = _told(resource)
    details: dict[str, Any] = {**(about or {"resource": resource}), label_of_input: text(given)}
    if "Credentials" in flow.state:
        role = flow.filled(flow.state["Credentials"], base, "Credentials").get("RoleArn")
        details["taskCredentials"] = {"roleArn": role}
    for limit, label in zip(limits, ("timeoutInSeconds", "heartbeatInSeconds"), strict=True):
        if limit is not None:
            details[label] = int(limit)
    timeout, heartbeat = (None if limit is None else float(limit) for limit in limits)
    token = task_token(context, key) if waits_for_token(resource) else None
    asked = RunTask(key, resource, given, name, timeout, heartbeat, token)
    if family == "Activity":
        answer = yield from given_out(asked, details)
    else:
        yield Emit(f"{family}Scheduled", details)
        yield Emit(f"{family}Started", about)
        answer = yield asked
    forget()
    submitted = answer.submitted
    if submitted is None and family == "Task" and ".sync" in resource and _is_of_job(answer):
        submitted = ""
    if submitted is not None:
        yield Emit(f"{family}Submitted", {**about, **({"output": submitted} if submitted else {})})
    if isinstance(answer, TaskFailure):
        failure = named(StateFailure(answer.error, answer.cause), about.get("resourceType", resource))
        ending = "TimedOut" if answer.error in ("States.Timeout", "States.HeartbeatTimeout") else "Failed"
        yield Emit(f"{family}{ending}", {**about, "error": failure.error, "cause": failure.cause})
        raise failure
    try:
        check_size(answer.output, about.get("resourceType", resource))
    except StateFailure as failure:
        yield Emit(f"{family}Failed", {**about, "error": failure.error, "cause": failure.cause})
        raise
    yield Emit(f"{family}Succeeded", {**about, "output": text(answer.output)})
    return answer.output


@lru_cache(maxsize=256)
def _told(resource: str) -> tuple[str, Mapping[str, Any], str]:
    """The family of a task's events, what each of them says, and what its Scheduled calls the input."""
    for is_one, family in ((is_activity(resource), "Activity"), ("arn:aws:lambda:" in resource, "LambdaFunction")):
        if is_one:
            return family, {}, "input"
    kind, _, action = resource.split(":::")[-1].partition(":")
    return "Task", {"resourceType": kind, "resource": action}, "parameters"


def _is_of_job(answer: TaskResult | TaskFailure) -> bool:
    """Whether the answer of a `.sync` task is that of the job, not of the call that began it."""
    return isinstance(answer, TaskResult) or answer.error in ("States.TaskFailed", "States.Timeout")


def wait(flow: Flow, given: Any, context: Mapping[str, Any], key: str) -> Program:
    """Sleep as the state says; a whole number of seconds, or until an RFC 3339 time with an offset."""
    seconds, until = flow.pause(given)
    if until is not None:
        until = until.replace("Z", "+00:00")
        if _too_far(until, context):
            raise too_long()
    yield Sleep(key, seconds=seconds, until=until)


def _too_far(until: str, context: Mapping[str, Any]) -> bool:
    # Told from the start of the execution, because the interpreter reads no clock.
    started = context.get("Execution", {}).get("StartTime")
    if not is_timestamp(started):
        return False
    delay = datetime.fromisoformat(until) - datetime.fromisoformat(started.replace("Z", "+00:00"))
    return delay.total_seconds() > _MAX_DELAY_SECONDS
