"""The embedded engine: durable executions on SQLite, recovered by memoised task outcomes and deterministic replay."""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from orchestrator.activities import Activities, forget_unfinished
from orchestrator.activities_desk import ActivityDesk, Given, Poll
from orchestrator.activities_task import QUEUE, TAKE
from orchestrator.calls import Caller, Function, called_by
from orchestrator.desk import Desk
from orchestrator.drive import Driver, Step, limit_seconds
from orchestrator.journal import Journal
from orchestrator.lanes import Lane
from orchestrator.machine import RunTask, TaskFailure, TaskResult
from orchestrator.machines import Machines
from orchestrator.port import REDRIVABLE, Execution
from orchestrator.records import Records
from orchestrator.replies import Replies
from orchestrator.report import is_over
from orchestrator.starts import Starts, text_of
from orchestrator.store import Store, Synchronous
from orchestrator.timers import Timers
from orchestrator.tokens import Tokens
from orchestrator.waiters import Waiters, came

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 0.5
_BATCH_MAX = 256
_ANY_RUNNING = "SELECT 1 FROM exec WHERE status = 'RUNNING' LIMIT 1"
_Batch = list[tuple[str, Callable[[], Step | None]]]


class EmbeddedEngine(Records):
    """Runs its own machine and those in `machines`; barriers that meet are committed together, then acted on.

    Task functions run at least once and are keyed by FunctionName; those named in `serial` run one at a time over all
    executions. A retry's pause or a Wait never holds a thread. Executions left RUNNING by a crash go on when the
    engine is opened again; tasks whose outcome was recorded are not called a second time.
    """

    def __init__(
        self,
        path: Path | str,
        definition: Mapping[str, Any],
        functions: Mapping[str, Function],
        clock: Clock,
        *,
        serial: Collection[str] = (),
        synchronous: Synchronous = "NORMAL",
        max_workers: int = 2,
    ) -> None:
        self.store = Store(path, synchronous)
        self._clock, self._serial = clock, frozenset(serial)
        self.machines = Machines(self.store, clock)
        self._main = self.machines.open_main(definition)
        self._caller = Caller(functions, clock)
        # Outcomes go before the rest: what was done is recorded before more is begun, so a crash repeats little.
        self._outcomes: deque[tuple[str, RunTask, Any, float]] = deque()
        self._asked: deque[tuple[str, str, Any]] = deque()
        self._wake, self._pause = threading.Event(), threading.Event()
        self._journal, self._tokens = Journal(), Tokens(self.store, clock)
        self._desk = Desk(self.store, self._journal, self._tokens, clock)
        self._replies = Replies()
        self.activities = Activities(self.store, clock)
        self._workers = ActivityDesk(self.activities, self._replies)
        self._starts = Starts(self.store, self.machines, self._main.revision, clock, self._replies)
        self._careful = 0
        self._drivers: dict[str, Driver] = {}
        self._timers = Timers(clock)
        self._parallel = Lane("task", max_workers, self._call, clock)
        self._one_at_a_time = Lane("serial-task", 1, self._call, clock)
        self._waiters = Waiters()
        self._stopping = False
        for row in self.store.rows("SELECT name FROM exec WHERE status = 'RUNNING' ORDER BY started_at, name"):
            self._ask("go", row["name"])
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)
        self._thread.start()

    def start(self, name: str, input: Any) -> Execution:
        """As the port says; an execution that a ledger planned is taken up here. Not inside a store transaction."""
        answer = Future[int | None]()
        self._ask("start", name, (text_of(input), answer))
        begun = self._replies.wait(answer)
        return self.describe(name) if begun is None else Execution(name, "RUNNING", input, None, "", "", begun, None, 0)

    def insert(self, name: str, input: Any) -> None:
        """Record an execution inside the caller's store transaction without running it yet (see `start`)."""
        self._starts.insert(name, text_of(input))

    def redrive(self, name: str) -> Execution:
        """As the port says; the task the execution ended on is forgotten, everything else is kept."""
        with self.store.transaction():
            row = self.store.execution(name)
            if row is None or row["status"] not in REDRIVABLE:
                state = "does not exist" if row is None else f"is {row['status']}"
                raise PermanentError(f"ExecutionNotRedrivable: {name} {state}")
            self.store.forget_failed_visit(name)
            forget_unfinished(self.store, name)
            self.store.execute(
                "UPDATE exec SET status = 'RUNNING', error = NULL, cause = NULL, stopped_at = NULL,"
                " redrive_count = redrive_count + 1, redriven_at = ? WHERE name = ?",
                (self._clock.now_ns(), name),
            )
        self._ask("go", name)
        return self.describe(name)

    def stop(self, name: str, error: str = "", cause: str = "") -> Execution:
        """Abort a running execution; a task that is being called is not interrupted, its outcome is ignored."""
        self._ask("stop", name, (error, cause))
        return self.wait(name, 10.0)

    def ended(self, name: str) -> "Future[None]":
        """Done once the execution has ended; who waits no longer cancels it."""
        # What is being driven is told when it ends: nobody needs to ask the store.
        return self._waiters.ended(name, lambda: name not in self._drivers and is_over(self.store, name))

    def wait(self, name: str, timeout_seconds: float) -> Execution:
        """The execution once it ended; raises TransientError when it is still running after the time-out."""
        if not came(self.ended(name), timeout_seconds):
            raise TransientError(f"execution {name} is still running after {timeout_seconds:g} s")
        return self.describe(name)

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Whether every execution ended within the time-out."""
        return self._waiters.wait_all(lambda: not self.store.rows(_ANY_RUNNING), timeout_seconds)

    def task_succeeded(self, token: str, output: Any) -> None:
        """Whoever holds a task's token returns its result.

        Raises PermanentError: InvalidToken, TaskDoesNotExist, or TaskTimedOut when nobody waits for it any more.
        """
        self._return(token, "token", TaskResult(output))

    def task_failed(self, token: str, error: str, cause: str) -> None:
        """As `task_succeeded`, with a failure."""
        self._return(token, "token", TaskFailure(error, cause))

    def task_heartbeat(self, token: str) -> None:
        """As `task_succeeded`: the task is alive, HeartbeatSeconds begin anew."""
        self._return(token, "beat", None)

    def poll(self, activity: str, worker: str = "") -> "Future[Given]":
        """A task of an activity for a worker, once there is one: its token, and its input as JSON text.

        Only one worker gets it. Who waits no longer cancels the answer; where that is refused the task is the worker's.
        Raises PermanentError (ActivityDoesNotExist).
        """
        poll = Poll(self.activities.get(activity).name, worker)
        self._workers.ask(poll)
        self._rouse()
        return poll.answer

    def _return(self, token: str, verb: str, result: TaskResult | TaskFailure | None) -> None:
        row, answer = self._tokens.find(token), Future[bool]()
        self._ask(verb, row["exec"], (row["key"], result, answer))
        if not self._replies.wait(answer):
            raise PermanentError("TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'")

    def close(self) -> None:
        """Stop; running tasks finish, everything else goes on when the engine is opened again."""
        self._stopping = True
        self._pause.set()
        self._wake.set()
        self._thread.join()
        for lane in (self._parallel, self._one_at_a_time):
            lane.close()
        self.store.close()

    def _ask(self, verb: str, name: str, value: Any = None) -> None:
        self._asked.append((verb, name, value))
        self._rouse()

    def _rouse(self) -> None:
        # The engine clears it before it looks, so what was added before this is seen.
        if not self._wake.is_set():
            self._wake.set()

    def call_now(self, command: RunTask) -> TaskResult | TaskFailure:
        """What a task's function answers, called here and now for no execution."""
        return self._caller.call("", command)[0]

    def _call(self, name: str, command: RunTask) -> None:
        """Runs in a worker's thread: call the function and hand its outcome to the engine's thread."""
        result, milliseconds = self._caller.call(name, command)
        self._outcomes.append((name, command, result, milliseconds))
        self._rouse()

    def _loop(self) -> None:
        while not self._stopping:
            work = self._gather()
            if work:
                self._commit(work)

    def _gather(self) -> _Batch:
        """What is due and what came in, at most a batch; waits a little when there is nothing."""
        if not self._outcomes and not self._asked:
            self._wake.wait(self._timers.pause(_IDLE_SECONDS))
        # Cleared before looking: what comes in afterwards sets it again.
        self._wake.clear()
        work: _Batch = [(name, partial(self._timer, name, key)) for name, key in self._timers.due()]
        most = 1 if self._careful else _BATCH_MAX
        while len(work) < most and self._outcomes:
            name, command, result, milliseconds = self._outcomes.popleft()
            self._lane(command).done(name, command.key, milliseconds)
            work.append((name, partial(self._outcome, name, command, result, milliseconds)))
        for name, key, poll in self._workers.matches(most - len(work)):
            work.append((name, partial(self._handle, "take", name, (key, poll))))
        while len(work) < most and self._asked:
            verb, name, value = self._asked.popleft()
            work.append((name, partial(self._handle, verb, name, value)))
        if len(work) >= most:
            self._rouse()
        return work

    def _commit(self, work: _Batch) -> None:
        """Take every step of the batch in one transaction, and act on the steps once it is on disk."""
        steps: list[tuple[str, Step]] = []
        try:
            with self.store.transaction():
                for name, action in work:
                    step = self._guarded(name, action)
                    if step is not None:
                        steps.append((name, step))
                self._journal.flush(self.store)
            self._careful = max(0, self._careful - 1)
        except Exception as error:
            steps = []
            self._journal.clear()
            self._undone(work, error)
        for name, step in steps:
            self._follow(name, step)
        self._starts.done()
        self._waiters.tell([name for name, step in steps if step.status is not None])
        for lane in (self._parallel, self._one_at_a_time):
            self._hand_out(lane)

    def _undone(self, work: _Batch, error: Exception) -> None:
        """Nothing of the batch happened, so its executions are taken up again from the store, one at a time.

        A full disk passes; what is wrong with one execution must not keep the others: it is left as it is.
        """
        logger.exception("the engine could not commit; it goes on in a moment")
        names, starting = sorted({name for name, _ in work if name}), self._starts.undone()
        self._workers.undone()
        for name in names:
            self._drivers.pop(name, None)
        if isinstance(error, sqlite3.OperationalError):
            self._starts.refuse(starting)
            starting = {}
            self._pause.wait(_IDLE_SECONDS)
        elif len(names) == 1:
            self._starts.keep(starting)
            return
        self._careful = len(names)
        for name in names:
            self._ask("start" if name in starting else "go", name, starting.get(name))

    def _guarded(self, name: str, action: Callable[[], Step | None]) -> Step | None:
        """An engine fault must not end the engine: the execution is left RUNNING and is taken up at the next start."""
        try:
            return action()
        except sqlite3.Error:
            raise
        except Exception:
            logger.exception("the engine could not drive an execution", extra={"execution": name})
            self._drivers.pop(name, None)
            return None

    def _outcome(self, name: str, command: RunTask, result: Any, milliseconds: float) -> Step | None:
        driver = self._drivers.get(name)
        if driver is None or not driver.expects(command.key):
            return None
        if command.token is not None:
            return self._desk.called(driver, command, command.token, result)
        self._timers.cancel(name, f"timeout|{command.key}")
        return driver.outcome(command, result, milliseconds)

    def _token(self, verb: str, driver: Driver | None, value: Any) -> Step | None:
        """Something was heard of a token; whoever told it learns whether its task still waits."""
        key, result, reply = value
        command = driver.task(key) if driver is not None else None
        is_awaited, step = False, None
        if driver is not None and command is not None and command.token is not None:
            is_awaited = True
            if verb == "beat":
                self._desk.beat(driver, command.token)
            elif verb == "early":
                step = self._desk.resumed(driver, command, command.token)
            else:
                is_awaited, step = self._desk.returned(driver, command, command.token, result)
        if reply is not None:
            self._replies.later(reply, is_awaited)
        return step

    def _handle(self, verb: str, name: str, value: Any) -> Step | None:
        if name in self._journal.names:
            # What this batch wrote about it must be there to be read.
            self._journal.flush(self.store)
        if verb in ("token", "beat", "early"):
            return self._token(verb, self._drivers.get(name), value)
        if verb == "find":
            return self._workers.found(self._drivers.get(name), value)
        if verb == "take":
            return self._workers.taken(self._drivers.get(name), *value)
        driver, row = self._drivers.get(name), self.store.execution(name)
        is_new = verb == "start" and row is None
        if verb == "start":
            row = self._starts.take(name, row, value)
        if row is None or row["status"] != "RUNNING":
            return None
        if verb == "stop":
            driver = driver or Driver.open(self.store, self._journal, self._clock, name)
            return driver.abort(*value)
        if driver is not None:
            return None
        driver = self._drivers[name] = Driver.open(self.store, self._journal, self._clock, name, row, is_new)
        if driver.deadline_ns is not None:
            self._timers.add(name, "execution", driver.deadline_ns)
        return driver.begin()

    def _timer(self, name: str, key: str) -> Step | None:
        driver = self._drivers.get(name)
        if driver is None:
            return None
        if key == "execution":
            return driver.expire()
        if not key.startswith("timeout|"):
            return driver.fired(key) if driver.expects(key) else None
        command = driver.task(key.removeprefix("timeout|"))
        return self._limit(driver, command) if command is not None else None

    def _limit(self, driver: Driver, command: RunTask) -> Step | None:
        """A task's time limit may be over."""
        if command.token is not None:
            step = self._desk.overdue(driver, command, command.token)
            if step is None:
                self._watch(driver.name, command)
            return step
        # Handed out is not begun: the limit counts from when a worker took the task.
        limit_ns, now = int(limit_seconds(command) * 1e9), self._clock.now_ns()
        begun = self._lane(command).begun_ns(driver.name, command.key)
        if begun is not None and begun + limit_ns <= now:
            return driver.timed_out(command)
        self._timers.add(driver.name, f"timeout|{command.key}", (now if begun is None else begun) + limit_ns)
        return None

    def _watch(self, name: str, command: RunTask) -> None:
        """Look again when a task that waits for its token would be overdue."""
        due_ns = self._tokens.next_due_ns(command.token or "")
        if due_ns is not None:
            self._timers.add(name, f"timeout|{command.key}", due_ns)

    def _follow(self, name: str, step: Step) -> None:
        for wait in step.waits:
            self._timers.add(name, wait.key, wait.due_ns)
        for command in step.tasks:
            if command.stage == QUEUE:
                self._ask("find", name, command.key)
                continue
            if command.stage == TAKE:
                self._workers.offer(name, command)
                self._rouse()
                continue
            if command.token is not None:
                self._watch(name, command)
                if self._tokens.early(command.token) is not None:
                    self._ask("early", name, (command.key, None, None))
                    continue
                if self._tokens.submitted(command.token) is not None:
                    continue
            self._lane(command).add(name, command)
        if step.status is not None:
            self._drivers.pop(name, None)
            self._timers.cancel(name, "execution")
            self._workers.forget(name)

    def _hand_out(self, lane: Lane) -> None:
        """Give a lane's workers their next tasks; a task's time limit starts here, not while it waits its turn."""
        while (found := lane.next()) is not None:
            name, command = found
            driver = self._drivers.get(name)
            if driver is None or not driver.expects(command.key):
                continue
            limit = limit_seconds(command)
            if limit and command.token is None:
                self._timers.add(name, f"timeout|{command.key}", self._clock.now_ns() + int(limit * 1e9))
            lane.hand_out(name, command)

    def _lane(self, command: RunTask) -> Lane:
        return self._one_at_a_time if called_by(command) in self._serial else self._parallel
