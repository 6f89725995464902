"""The embedded engine: durable executions on SQLite, recovered by memoised task outcomes and deterministic replay."""

import hashlib
import itertools
import json
import logging
import queue
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from orchestrator.drive import Dispatch, Driver, Finished, Waiting
from orchestrator.machine import RunTask, TaskFailure, TaskResult
from orchestrator.port import FINISHED, REDRIVABLE, Execution, HistoryEvent
from orchestrator.report import counts, executions, history, statistics
from orchestrator.store import Store, Synchronous
from orchestrator.timers import Timers

logger = logging.getLogger(__name__)

Function = Callable[[dict[str, Any]], dict[str, Any]]
_INVOKE = "arn:aws:states:::lambda:invoke"
_IDLE_SECONDS = 0.5


class EmbeddedEngine:
    """Runs one definition; every barrier (dispatch, outcome, wait, end) is one SQLite transaction.

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
        self._functions, self._clock, self._serial = functions, clock, frozenset(serial)
        self._definition = json.dumps(definition, sort_keys=True)
        self._digest = hashlib.sha256(self._definition.encode()).hexdigest()
        # Outcomes go before starts: what was done is recorded before more is begun, so a crash repeats little.
        self._inbox: queue.PriorityQueue[tuple[int, int, str, str, Any]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._drivers: dict[str, Driver] = {}
        self._timers = Timers(clock)
        self._parallel = ThreadPoolExecutor(max_workers, thread_name_prefix="task")
        self._one_at_a_time = ThreadPoolExecutor(1, thread_name_prefix="serial-task")
        self._changed = threading.Condition()
        self._stopping = False
        for row in self.store.rows("SELECT name FROM exec WHERE status = 'RUNNING' ORDER BY started_at, name"):
            self._put("go", row["name"])
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)
        self._thread.start()

    def start(self, name: str, input: Any) -> Execution:
        """As the port says; an execution that a ledger planned is taken up here."""
        text = json.dumps(input, sort_keys=True)
        with self.store.transaction():
            row = self.store.execution(name)
            if row is None:
                self.insert(name, input)
            elif row["input"] != text:
                raise PermanentError(f"ExecutionAlreadyExists: {name} was started with another input")
        if row is None or row["status"] == "RUNNING":
            self._put("go", name)
        return self.describe(name)

    def insert(self, name: str, input: Any) -> None:
        """Record an execution inside the caller's store transaction without running it yet (see `start`)."""
        text = json.dumps(input, sort_keys=True)
        self.store.add_execution(name, self._digest, self._definition, text, self._clock.now_ns())

    def describe(self, name: str) -> Execution:
        """The execution as it stands; raises PermanentError when there is none."""
        found = executions(self.store, "WHERE name = ?", (name,))
        if not found:
            raise PermanentError(f"ExecutionDoesNotExist: {name}")
        return found[0]

    def history(self, name: str) -> Sequence[HistoryEvent]:
        """Its events in order."""
        return history(self.store, name)

    def list(self, status: str | None = None, limit: int = 100) -> Sequence[Execution]:
        """The newest executions, newest first."""
        where, params = ("WHERE status = ?", (status,)) if status else ("", ())
        return executions(self.store, f"{where} ORDER BY started_at DESC, name LIMIT ?", (*params, limit))

    def counts(self) -> Mapping[str, int]:
        """How many executions have each status."""
        return counts(self.store)

    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """Per state: `count` entered, `succeeded`, `failed`, `p50_ms` and `p99_ms` of its tasks (None without any)."""
        return statistics(self.store)

    def redrive(self, name: str) -> Execution:
        """As the port says; the attempts of the state that failed are forgotten, everything else is kept."""
        with self.store.transaction():
            row = self.store.execution(name)
            if row is None or row["status"] not in REDRIVABLE:
                state = "does not exist" if row is None else f"is {row['status']}"
                raise PermanentError(f"ExecutionNotRedrivable: {name} {state}")
            failed = self.store.rows(
                "SELECT visit FROM task WHERE exec = ? AND ok = 0 ORDER BY ended_at DESC, key DESC LIMIT 1", (name,)
            )
            for visit in (item["visit"] for item in failed):
                self.store.execute("DELETE FROM task WHERE exec = ? AND visit = ? AND ok = 0", (name, visit))
                own = (name, len(visit), visit)
                self.store.execute("DELETE FROM timer WHERE exec = ? AND substr(key, 1, ?) = ?", own)
            self.store.execute(
                "UPDATE exec SET status = 'RUNNING', error = NULL, cause = NULL, stopped_at = NULL,"
                " redrive_count = redrive_count + 1 WHERE name = ?",
                (name,),
            )
        self._put("redrive", name)
        return self.describe(name)

    def stop(self, name: str, error: str = "", cause: str = "") -> Execution:
        """Abort a running execution; a task that is being called is not interrupted, its outcome is ignored."""
        self._put("stop", name, (error, cause))
        return self.wait(name, 10.0)

    def wait(self, name: str, timeout_seconds: float) -> Execution:
        """The execution once it ended; raises TransientError when it is still running after the time-out."""
        with self._changed:
            done = self._changed.wait_for(lambda: self.describe(name).status in FINISHED, timeout_seconds)
        if not done:
            raise TransientError(f"execution {name} is still running after {timeout_seconds:g} s")
        return self.describe(name)

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Whether every execution ended within the time-out."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.counts().get("RUNNING"), timeout_seconds)

    def prune(self, older_than_ns: int) -> int:
        """Forget executions that ended before a time (UTC ns); returns how many."""
        with self.store.transaction():
            ended = "SELECT name FROM exec WHERE status <> 'RUNNING' AND stopped_at < ?"
            old = self.store.rows(ended, (older_than_ns,))
            for row in old:
                for table in ("task", "event", "timer", "duration"):
                    self.store.execute(f"DELETE FROM {table} WHERE exec = ?", (row["name"],))
                self.store.execute("DELETE FROM exec WHERE name = ?", (row["name"],))
        return len(old)

    def close(self) -> None:
        """Stop; running tasks finish, everything else goes on when the engine is opened again."""
        self._stopping = True
        self._put("close", "")
        self._thread.join()
        for pool in (self._parallel, self._one_at_a_time):
            pool.shutdown(wait=True, cancel_futures=True)
        self.store.close()

    def _put(self, verb: str, name: str, value: Any = None) -> None:
        self._inbox.put((0 if verb == "outcome" else 1, next(self._order), verb, name, value))

    def _loop(self) -> None:
        while not self._stopping:
            for name, key in self._timers.due():
                self._guard(name, partial(self._timer, name, key))
            try:
                _, _, verb, name, value = self._inbox.get(timeout=self._timers.pause(_IDLE_SECONDS))
            except queue.Empty:
                continue
            self._guard(name, partial(self._handle, verb, name, value))

    def _handle(self, verb: str, name: str, value: Any) -> None:
        if verb in ("go", "redrive"):
            if name not in self._drivers:
                self._drivers[name] = Driver.open(self.store, self._clock, name, redriven=verb == "redrive")
                self._follow(name, self._drivers[name].begin())
        elif verb == "outcome" and name in self._drivers:
            command, result, milliseconds = value
            driver = self._drivers[name]
            if driver.expects(command.key):
                self._timers.cancel(name, f"timeout|{command.key}")
                self._follow(name, driver.outcome(command, result, milliseconds))
        elif verb == "stop" and name in self._drivers:
            self._follow(name, self._drivers[name].abort(*value))

    def _timer(self, name: str, key: str) -> None:
        driver = self._drivers.get(name)
        if driver is None:
            return
        if key.startswith("timeout|"):
            if driver.expects(key.removeprefix("timeout|")):
                self._follow(name, driver.timed_out())
        else:
            self._follow(name, driver.fired(key))

    def _follow(self, name: str, step: Dispatch | Waiting | Finished) -> None:
        if isinstance(step, Waiting):
            self._timers.add(name, step.key, step.due_ns)
        elif isinstance(step, Dispatch):
            if step.command.timeout_seconds:
                due = self._clock.now_ns() + int(step.command.timeout_seconds * 1e9)
                self._timers.add(name, f"timeout|{step.command.key}", due)
            self._pool(step.command).submit(self._call, name, step.command)
        else:
            del self._drivers[name]
            with self._changed:
                self._changed.notify_all()

    def _pool(self, command: RunTask) -> Executor:
        return self._one_at_a_time if _function_name(command) in self._serial else self._parallel

    def _call(self, name: str, command: RunTask) -> None:
        """Runs in a pool thread: call the function and hand its outcome to the engine thread."""
        function_name = _function_name(command)
        function = self._functions.get(function_name)
        result: TaskResult | TaskFailure
        begun = self._clock.monotonic()
        try:
            if function is None:
                raise PermanentError(f"no function {function_name!r}")
            payload = command.input["Payload"] if command.resource == _INVOKE else command.input
            answer = function(payload)
            wrapped = {"ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200}
            result = TaskResult(wrapped if command.resource == _INVOKE else answer)
        except (TransientError, PermanentError) as error:
            logger.warning("%s", error, extra={"execution": name, "state": command.state})
            result = _failure(error)
        except Exception as error:
            logger.exception("task failed unexpectedly", extra={"execution": name, "state": command.state})
            result = _failure(error)
        self._put("outcome", name, (command, result, (self._clock.monotonic() - begun) * 1000))

    def _guard(self, name: str, action: Callable[[], None]) -> None:
        """An engine fault must not end the engine: the execution is left RUNNING and is taken up at the next start."""
        try:
            action()
        except Exception:
            logger.exception("the engine could not drive an execution", extra={"execution": name})
            self._drivers.pop(name, None)


def _function_name(command: RunTask) -> str:
    if command.resource == _INVOKE and isinstance(command.input, dict):
        return str(command.input.get("FunctionName", "")).rpartition(":function:")[2]
    return command.resource.rpartition(":function:")[2]


def _failure(error: Exception) -> TaskFailure:
    # What Lambda reports for a raised exception.
    name = type(error).__name__
    return TaskFailure(name, json.dumps({"errorMessage": str(error), "errorType": name}))
