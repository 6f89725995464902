"""A Task of an activity as the interpreter sees it: known or not, scheduled, taken by a worker, and its answer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.commands import Emit, Program, RunTask, TaskFailure
from orchestrator.dataflow import forget
from orchestrator.errors import StateFailure

QUEUE, TAKE = "queue", "take"
"""Stages before an activity's task: it is asked whether there is such an activity, and who takes the task.

They are answered like a task and recorded like one, so that a replay tells the same. `TAKE` is answered with `worker`
(its name, where it has one) and `token`, what the worker returns; nothing of either in a run in memory.
"""
_MARK = ":activity:"


def is_activity(resource: str) -> bool:
    """Whether a Task of this resource is given to the workers of an activity."""
    return resource.startswith("arn:") and _MARK in resource


def given_out(asked: RunTask, details: Mapping[str, Any]) -> Program:
    """How a worker answers the task; raises StateFailure (States.Runtime) where there is no such activity.

    TimeoutSeconds and HeartbeatSeconds count from the moment a worker takes the task, so nothing limits the wait for
    one but the machine's own TimeoutSeconds.
    """
    waiting = replace(asked, timeout_seconds=None, heartbeat_seconds=None, token=None)
    found = yield replace(waiting, key=stage_key(asked.key, QUEUE), stage=QUEUE)
    if isinstance(found, TaskFailure):
        raise StateFailure(found.error, found.cause)
    yield Emit("ActivityScheduled", details)
    taken = yield replace(waiting, key=stage_key(asked.key, TAKE), stage=TAKE)
    forget()
    told = taken.output or {}
    yield Emit("ActivityStarted", {"workerName": told["worker"]} if told.get("worker") else {})
    answer = yield replace(asked, token=told.get("token"))
    return replace(answer, submitted=None)


def stage_key(key: str, stage: str) -> str:
    """The key of a stage before the task of this key; both belong to one visit."""
    return f"{key}.{stage}"
