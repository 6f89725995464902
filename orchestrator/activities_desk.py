"""Tasks of activities that wait for a worker, and workers that wait for a task: each task goes to one of them."""

import secrets
from collections import OrderedDict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from domain.errors import PermanentError
from orchestrator.activities import Activities
from orchestrator.arns import activity_in
from orchestrator.commands import RunTask, TaskResult
from orchestrator.dataflow import text
from orchestrator.drive import Driver, Step
from orchestrator.replies import Replies

# As many as Step Functions lets ask for one activity at a time.
POLLS_MAX = 1_000
_TOKEN_BYTES = 32
# The token of a task and its input as JSON text.
Given = tuple[str, str]
_Task = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Poll:
    """A worker that asks for a task of an activity; whoever waits no longer cancels the answer."""

    activity: str
    worker: str
    answer: "Future[Given]" = field(default_factory=Future)


@dataclass(slots=True)
class ActivityDesk:
    """Used by the engine's thread, all but `ask`. Nothing here is stored: what waits is found again by replay."""

    activities: Activities
    replies: Replies
    asked: deque[Poll] = field(default_factory=deque)
    polls: dict[str, deque[Poll]] = field(default_factory=dict)
    tasks: dict[str, OrderedDict[_Task, RunTask]] = field(default_factory=dict)
    held: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    matched: list[Poll] = field(default_factory=list)

    def ask(self, poll: Poll) -> None:
        """A worker asks; by any thread."""
        self.asked.append(poll)

    def offer(self, name: str, command: RunTask) -> None:
        """A task of the execution waits for a worker."""
        activity = activity_in(command.resource)
        self.tasks.setdefault(activity, OrderedDict())[name, command.key] = command
        self.held.setdefault(name, set()).add((activity, command.key))

    def forget(self, name: str) -> None:
        """The execution ended: nobody waits for its tasks."""
        for activity, key in self.held.pop(name, ()):
            self.tasks.get(activity, OrderedDict()).pop((name, key), None)

    def matches(self, limit: int) -> list[tuple[str, str, Poll]]:
        """Tasks and who is to have them, first come first served: execution, key, poll; none is kept here."""
        while self.asked:
            self._seat(self.asked.popleft())
        found: list[tuple[str, str, Poll]] = []
        for activity in [activity for activity in self.polls if self.tasks.get(activity)]:
            polls, tasks = self.polls[activity], self.tasks[activity]
            while polls and tasks and len(found) < limit:
                poll = polls.popleft()
                if not poll.answer.cancelled():
                    (name, key), _ = tasks.popitem(last=False)
                    found.append((name, key, poll))
            if not polls:
                del self.polls[activity]
            if not tasks:
                del self.tasks[activity]
        self.matched = [poll for _, _, poll in found]
        return found

    def undone(self) -> None:
        """Nothing of the batch happened: who was to have a task and was not told otherwise asks again."""
        for poll in self.matched:
            if not (poll.answer.done() or poll.answer.running() or poll in self.polls.get(poll.activity, ())):
                self.asked.append(poll)
        self.matched = []

    def found(self, driver: Driver | None, key: str) -> Step | None:
        """Whether there is such an activity, recorded as the task's first step."""
        command = driver.task(key) if driver is not None else None
        if driver is None or command is None:
            return None
        return driver.outcome(command, self.activities.found(command.resource), 0.0)

    def taken(self, driver: Driver | None, key: str, poll: Poll) -> Step | None:
        """Give the task to who asked, if both still wait; the worker learns of it once that is on disk."""
        command = driver.task(key) if driver is not None else None
        if driver is None or command is None:
            self.polls.setdefault(poll.activity, deque()).appendleft(poll)
            return None
        if not poll.answer.set_running_or_notify_cancel():
            self.offer(driver.name, command)
            self.tasks[poll.activity].move_to_end((driver.name, key), last=False)
            return None
        # Not made from the key, as other tokens are: who had the task before a redrive holds another one.
        token = secrets.token_hex(_TOKEN_BYTES)
        self.held.get(driver.name, set()).discard((poll.activity, key))
        self.replies.later(poll.answer, (token, text(command.input)))
        return driver.outcome(command, TaskResult({"worker": poll.worker, "token": token}), 0.0)

    def _seat(self, poll: Poll) -> None:
        waiting = self.polls.setdefault(poll.activity, deque())
        while waiting and waiting[0].answer.cancelled():
            waiting.popleft()
        if len(waiting) < POLLS_MAX:
            waiting.append(poll)
        elif poll.answer.set_running_or_notify_cancel():
            poll.answer.set_exception(
                PermanentError(
                    "ActivityWorkerLimitExceeded: The maximum number of workers concurrently polling for activity"
                    " tasks has been reached"
                )
            )
