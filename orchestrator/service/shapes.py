"""Answers in the shapes of the Step Functions API; times are seconds, as AWS JSON 1.0 writes them."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.activities import Activity
from orchestrator.arns import activity_arn, execution_arn, machine_and_name, machine_arn
from orchestrator.dataflow import text
from orchestrator.machines import Machine
from orchestrator.port import REDRIVABLE, HistoryEvent
from orchestrator.store import Row

Json = dict[str, Any]
REDRIVE_DAYS = 14
_REDRIVE_NS = REDRIVE_DAYS * 86_400 * 1_000_000_000
_REGION = "local"
# Events that carry no details of their own.
_BARE = frozenset(
    {
        "ParallelStateStarted", "ParallelStateSucceeded", "ParallelStateAborted", "ParallelStateFailed",
        "MapStateSucceeded", "MapStateAborted", "MapStateFailed", "WaitStateAborted", "TaskStateAborted",
        "MapRunSucceeded", "MapRunAborted", "LambdaFunctionStarted",
    }
)  # fmt: skip


def seconds(ns: int) -> float:
    """UTC nanoseconds as seconds, to the millisecond."""
    return round(ns / 1_000_000) / 1_000


def execution_item(row: Row) -> Json:
    """One row of ListExecutions."""
    machine, name = machine_and_name(row["name"])
    item: Json = {
        "executionArn": execution_arn(row["name"]),
        "stateMachineArn": machine_arn(machine),
        "name": name,
        "status": row["status"],
        "startDate": seconds(row["started_at"]),
        "redriveCount": row["redrive_count"],
    }
    if row["stopped_at"] is not None:
        item["stopDate"] = seconds(row["stopped_at"])
    if row["redriven_at"] is not None:
        item["redriveDate"] = seconds(row["redriven_at"])
    return item


def execution(row: Row, now_ns: int) -> Json:
    """DescribeExecution."""
    found = {**execution_item(row), "input": text(json.loads(row["input"])), "inputDetails": {"included": True}}
    if row["output"] is not None:
        found |= {"output": row["output"], "outputDetails": {"included": True}}
    for field in ("error", "cause"):
        if row["status"] in REDRIVABLE and row[field]:
            found[field] = row[field]
    reason = not_redrivable(row, now_ns)
    found["redriveStatus"] = "NOT_REDRIVABLE" if reason else "REDRIVABLE"
    if reason:
        found["redriveStatusReason"] = reason
    return found


def not_redrivable(row: Row, now_ns: int) -> str:
    """Why an execution cannot be redriven, empty when it can."""
    if row["status"] not in REDRIVABLE:
        return f"Execution is {row['status']} and cannot be redriven"
    if row["stopped_at"] is not None and now_ns - row["stopped_at"] > _REDRIVE_NS:
        return f"Execution ended more than {REDRIVE_DAYS} days ago and cannot be redriven"
    return ""


def activity(found: Activity) -> Json:
    """DescribeActivity, and one row of ListActivities."""
    return {
        "activityArn": activity_arn(found.name),
        "name": found.name,
        "creationDate": seconds(found.created_at),
    }


def machine_item(machine: Machine) -> Json:
    """One row of ListStateMachines."""
    return {
        "stateMachineArn": machine_arn(machine.name),
        "name": machine.name,
        "type": machine.kind,
        "creationDate": seconds(machine.created_at),
    }


def machine(found: Machine) -> Json:
    """DescribeStateMachine."""
    return {
        **machine_item(found),
        "status": "ACTIVE",
        "definition": found.definition,
        "roleArn": found.role,
        "revisionId": found.revision,
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "tracingConfiguration": {"enabled": False},
    }


def event(found: HistoryEvent, with_data: bool) -> Json:
    """One event of GetExecutionHistory; without data, inputs and outputs are left out."""
    item: Json = {
        "timestamp": seconds(found.timestamp_ns),
        "type": found.type,
        "id": found.id,
        "previousEventId": found.previous_event_id,
    }
    if found.type not in _BARE:
        item[_details_key(found.type)] = _details(found, with_data)
    return item


def _details_key(type: str) -> str:
    for ending in ("StateEntered", "StateExited"):
        if type.endswith(ending):
            type = ending
    return f"{type[0].lower()}{type[1:]}EventDetails"


def _details(found: HistoryEvent, with_data: bool) -> Mapping[str, Any]:
    details = {key: value for key, value in found.details.items() if value is not None}
    for field in ("error", "cause"):
        if details.get(field) == "":
            del details[field]
    if found.type == "TaskScheduled":
        details.setdefault("region", _REGION)
    if not with_data:
        return {key: value for key, value in details.items() if key not in ("input", "output", "assignedVariables")}
    for field in ("input", "output", "assignedVariables"):
        if field in details:
            details[f"{field}Details"] = {"truncated": False}
    return details
