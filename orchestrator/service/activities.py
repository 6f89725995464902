"""The operations on activities: made and removed, and the long poll by which a worker asks for a task."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orchestrator.activities import Activities
from orchestrator.activities_desk import Given
from orchestrator.arns import activity_arn, activity_in
from orchestrator.embedded import EmbeddedEngine
from orchestrator.service import requests as asked
from orchestrator.service import shapes
from orchestrator.service.paging import position, token

Json = dict[str, Any]
# Step Functions holds a request this long.
POLL_SECONDS = 60.0
# How often it is looked whether the worker is still there.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ActivityOperations:
    """The activities of one engine. Whoever may call may make and remove them: they change no machine."""

    engine: EmbeddedEngine

    @property
    def _activities(self) -> Activities:
        return self.engine.activities

    def create_activity(self, body: asked.CreateActivity) -> Json:
        """A name workers ask for tasks under; the same one again is the one that is there."""
        made = self._activities.create(body.name)
        return {"activityArn": activity_arn(made.name), "creationDate": shapes.seconds(made.created_at)}

    def describe_activity(self, body: asked.OneActivity) -> Json:
        """The activity."""
        return shapes.activity(self._activities.get(activity_in(body.activity_arn)))

    def delete_activity(self, body: asked.OneActivity) -> Json:
        """Forget an activity; one that is not there is no error, as in Step Functions."""
        self._activities.remove(activity_in(body.activity_arn))
        return {}

    def list_activities(self, body: asked.Paged) -> Json:
        """A page of activities by name."""
        after = position("activities", body.next_token)
        found = self._activities.list(str(after or ""), body.rows + 1)
        page, more = found[: body.rows], len(found) > body.rows
        answer: Json = {"activities": [shapes.activity(item) for item in page]}
        return answer | ({"nextToken": token("activities", page[-1].name)} if more else {})

    def get_activity_task(self, body: asked.GetActivityTask) -> "Future[Given]":
        """What `polled` waits for."""
        return self.engine.poll(activity_in(body.activity_arn), body.worker_name or "")


async def polled(poll: "Future[Given]", seconds: float, is_gone: Callable[[], Awaitable[bool]]) -> Json:
    """A task's token and input, both null when there was none in time or the worker went away. Holds no thread.

    Raises TransientError when the engine could not commit what it would have given.
    """
    answer, loop = asyncio.wrap_future(poll), asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        while not answer.done():
            left = until - loop.time()
            if (left <= 0 or await is_gone()) and poll.cancel():
                return {"taskToken": None, "input": None}
            # What the engine has begun to give is waited for.
            await asyncio.wait([answer], timeout=min(_LOOK_SECONDS, max(left, 0.01)))
        given, text = answer.result()
    except asyncio.CancelledError:
        # Nobody is there to be told: the server ends.
        poll.cancel()
        raise
    return {"taskToken": given, "input": text}


def table(operations: ActivityOperations) -> Mapping[str, tuple[type[asked.Body], Callable[[Any], Any]]]:
    """Operation name -> its request's shape and what answers it."""
    o = operations
    return MappingProxyType(
        {
            "CreateActivity": (asked.CreateActivity, o.create_activity),
            "DescribeActivity": (asked.OneActivity, o.describe_activity),
            "DeleteActivity": (asked.OneActivity, o.delete_activity),
            "ListActivities": (asked.Paged, o.list_activities),
            "GetActivityTask": (asked.GetActivityTask, o.get_activity_task),
        }
    )
