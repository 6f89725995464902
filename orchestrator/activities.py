"""Activities on record: names under which workers outside ask for tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.clock import Clock
from domain.errors import PermanentError
from orchestrator.activities_task import QUEUE, TAKE, is_activity, stage_key
from orchestrator.arns import activity_arn, activity_in, is_name
from orchestrator.commands import TaskFailure, TaskResult
from orchestrator.problem import Problem
from orchestrator.store import Store


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity; `created_at` is UTC nanoseconds."""

    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Activities:
    """The activities on record. Refusals are PermanentErrors ("<Code>: <message>") with the codes of Step Functions."""

    store: Store
    clock: Clock

    def create(self, name: str) -> Activity:
        """A new activity; the same name again is the one that is there."""
        if not is_name(name):
            raise PermanentError(f"InvalidName: Invalid Name: '{name[:100]}'")
        with self.store.transaction():
            self.store.execute("INSERT OR IGNORE INTO activity VALUES (?, ?)", (name, self.clock.now_ns()))
        return self.get(name)

    def remove(self, name: str) -> None:
        """Forget an activity; what waits for its workers is theirs again when it is made anew."""
        with self.store.transaction():
            self.store.execute("DELETE FROM activity WHERE name = ?", (name,))

    def get(self, name: str) -> Activity:
        """The activity of this name."""
        found = self._rows("WHERE name = ?", (name,))
        if not found:
            raise PermanentError(f"ActivityDoesNotExist: Activity Does Not Exist: '{activity_arn(name)}'")
        return found[0]

    def list(self, after: str, limit: int) -> Sequence[Activity]:
        """Activities by name, those behind `after`."""
        return self._rows("WHERE name > ? ORDER BY name LIMIT ?", (after, limit))

    def found(self, resource: str) -> TaskResult | TaskFailure:
        """Whether a Task's resource is an activity on record; which account and region it names does not matter."""
        try:
            self.get(activity_in(resource))
        except PermanentError:
            return TaskFailure("States.Runtime", f"The activity {resource} does not exist.")
        return TaskResult(None)

    def _rows(self, where: str, params: Sequence[object]) -> Sequence[Activity]:
        rows = self.store.rows(f"SELECT * FROM activity {where}", params)
        return [Activity(row["name"], row["created_at"]) for row in rows]


def forget_unfinished(store: Store, name: str) -> None:
    """Give the activities' tasks an ended execution left unanswered out anew when it is redriven.

    Their tokens are void: who held one when the execution ended is told so.
    """
    keys = {row["key"] for row in store.rows("SELECT key FROM task WHERE exec = ?", (name,))}
    for key in keys:
        task, _, stage = key.rpartition(".")
        if stage in (QUEUE, TAKE) and key == stage_key(task, stage) and task not in keys:
            store.execute("DELETE FROM task WHERE exec = ? AND key = ?", (name, key))
            store.execute("DELETE FROM token WHERE exec = ? AND key = ?", (name, task))


def express_problems(definition: Any, path: str = "") -> Iterator[Problem]:
    """Where a definition calls activities, which no machine of the type EXPRESS may."""
    states = definition.get("States", {}) if isinstance(definition, Mapping) else {}
    for name, state in states.items() if isinstance(states, Mapping) else ():
        if not isinstance(state, Mapping):
            continue
        place = f"{path}/States/{name}"
        if is_activity(str(state.get("Resource", ""))):
            yield Problem(
                f"{place}/Resource", "SCHEMA_VALIDATION_FAILED: Express state machine does not support Activity ARN"
            )
        for key in ("ItemProcessor", "Iterator"):
            yield from express_problems(state.get(key), f"{place}/{key}")
        for number, branch in enumerate(state.get("Branches") or ()):
            yield from express_problems(branch, f"{place}/Branches[{number}]")
