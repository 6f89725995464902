"""Drives one execution: replays what is recorded, then lives on; each barrier is one transaction."""

import heapq
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from domain.clock import Clock
from orchestrator.activities_task import is_activity
from orchestrator.arns import ROLE, execution_arn, machine_and_name, machine_arn
from orchestrator.commands import Await, Command, Drop
from orchestrator.journal import ENTRIES, Event, Journal, as_stored, packed
from orchestrator.machine import Emit, Outcome, RunTask, Sleep, TaskFailure, TaskResult, execute
from orchestrator.store import Row, Store, TaskRow

_NANOSECONDS = 1_000_000_000
_TASK_BEGINNINGS = frozenset({"TaskScheduled", "TaskStarted", "LambdaFunctionScheduled", "LambdaFunctionStarted"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing comes of this before its time (UTC ns)."""

    key: str
    due_ns: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one turn of an execution begins: tasks to call, pauses, or its end with a status.

    What earlier turns began goes on beside it, unless `Driver.expects` says that nobody waits for it any more.
    """

    tasks: Sequence[RunTask] = ()
    waits: Sequence[Waiting] = ()
    status: str | None = None


@dataclass(slots=True)
class Driver:
    """One execution in memory; everything it knows can be replayed from the store."""

    journal: Journal
    clock: Clock
    name: str
    machine: Generator[Command, Any, Outcome]
    recorded: list[tuple[int, int, str, Any]]
    due_ns: dict[str, int]
    seq: int
    replaying: bool
    turn_ns: int
    redriven: bool = False
    deadline_ns: int | None = None
    entered_ns: Sequence[int] = ()
    entered: int = 0
    turn: int = 0
    events: list[Event] = field(default_factory=list)
    skipped: list[Emit] = field(default_factory=list)
    begun: dict[str, list[Emit]] = field(default_factory=dict)
    pending: dict[str, RunTask | Sleep] = field(default_factory=dict)
    fresh: dict[str, RunTask | Sleep] = field(default_factory=dict)

    @classmethod
    def open(
        cls, store: Store, journal: Journal, clock: Clock, name: str, row: Row | None = None, is_new: bool = False
    ) -> "Driver":
        """The driver of a stored execution, ready to `begin`; it writes to the journal. `row` saves a look-up."""
        row = row or store.execution(name)
        assert row is not None, name
        definition, seq = store.definition(row["definition_hash"]), 0 if is_new else store.last_event(name)
        given = json.loads(row["input"])
        machine = execute(definition, given, _context(row, given))
        driver = cls(journal, clock, name, machine, [], {}, seq, replaying=seq > 0, turn_ns=row["started_at"])
        limit, started = definition.get("TimeoutSeconds"), row["started_at"]
        if seq > 0:
            timers = store.timers(name)
            driver.recorded = _recorded(store, name)
            driver.due_ns = {key: due for key, (due, _) in timers.items()}
            driver.redriven = row["redrive_count"] > store.redrives_told(name)
            driver.entered_ns = store.entered_ns(name)
            started = row["redriven_at"] or started
        driver.deadline_ns = started + int(limit * _NANOSECONDS) if limit else None
        return driver

    def begin(self) -> Step:
        """Replay to where the execution stands and say what comes next."""
        if self.redriven:
            self._event(Emit("ExecutionRedriven", {}))
        return self._advance(None)

    def expects(self, key: str) -> bool:
        """Whether the outcome of this task, or the end of this pause, is still awaited."""
        return key in self.pending

    def outcome(self, command: RunTask, result: TaskResult | TaskFailure, milliseconds: float) -> Step:
        """Record a task's outcome and how long it ran, and go on."""
        ok = isinstance(result, TaskResult)
        self._next_turn()
        row = TaskRow(
            command.key,
            visit_of(command.key),
            ok,
            result.output if isinstance(result, TaskResult) else None,
            result.error if isinstance(result, TaskFailure) else "",
            result.cause if isinstance(result, TaskFailure) else "",
            self.turn_ns,
            self.turn,
        )
        del self.pending[command.key]
        # Who has a task is no end of it: not counted among the state's.
        state = "" if command.stage else command.state
        return self._advance((command.key, result), task=row, ended=(state, milliseconds))

    def task(self, key: str) -> RunTask | None:
        """The task of this key, if its outcome is still awaited."""
        command = self.pending.get(key)
        return command if isinstance(command, RunTask) else None

    def timed_out(self, command: RunTask) -> Step:
        """A pending task took longer than TimeoutSeconds or HeartbeatSeconds (a local function has no heartbeat)."""
        limit = limit_seconds(command)
        error = "States.HeartbeatTimeout" if limit != command.timeout_seconds else "States.Timeout"
        return self.outcome(command, TaskFailure(error, ""), limit * 1000)

    def fired(self, key: str) -> Step:
        """A pause is over."""
        # Not when it was noticed, so that a replay has the same time.
        self.turn, self.turn_ns = self.turn + 1, self.due_ns[key]
        del self.pending[key]
        return self._advance((key, None), fired=key)

    def abort(self, error: str, cause: str) -> Step:
        """End the execution as ABORTED."""
        return self._end("ABORTED", "ExecutionAborted", error, cause)

    def expire(self) -> Step:
        """The machine's own TimeoutSeconds is over: end the execution as TIMED_OUT."""
        return self._end("TIMED_OUT", "ExecutionTimedOut", "States.Timeout", "")

    def _end(self, status: str, type: str, error: str, cause: str) -> Step:
        self._event(Emit(type, {"error": error, "cause": cause}, previous=self.seq))
        self._record_events()
        self.journal.end(self.name, status, None, error, cause, self.clock.now_ns())
        self.machine.close()
        self.pending.clear()
        return Step(status=status)

    def _next_turn(self) -> None:
        self.turn, self.turn_ns = self.turn + 1, self.clock.now_ns()

    def _advance(
        self,
        answer: tuple[str, Any] | None,
        *,
        task: TaskRow | None = None,
        fired: str | None = None,
        ended: tuple[str, float] | None = None,
    ) -> Step:
        outcome = self._run(answer)
        if outcome is not None and self.replaying and self.skipped:
            # A redrive found nothing to do again: the execution ends as it did before.
            self._event(self.skipped[-1])
        tasks = [command for command in self.fresh.values() if isinstance(command, RunTask)]
        waits = [Waiting(c.key, self._due(c)) for c in self.fresh.values() if isinstance(c, Sleep)]
        self.fresh = {}
        output = as_stored(outcome.output) if outcome is not None and outcome.status == "SUCCEEDED" else None
        if task is not None and ended is not None:
            self.journal.add_task(self.name, task, *ended)
        if fired is not None:
            self.journal.fire(self.name, fired, self.turn)
        for wait in waits:
            self.journal.add_timer(self.name, wait.key, wait.due_ns)
        for command in tasks:
            if command.token is not None:
                self.journal.add_token(self.name, command, self.clock.now_ns())
                if is_activity(command.resource):
                    # No call carries it away: the worker has it.
                    self.journal.submit(self.name, command.token, None)
        self._record_events()
        if outcome is not None:
            now = self.clock.now_ns()
            self.journal.end(self.name, outcome.status, output, outcome.error, outcome.cause, now)
        return Step(tasks, waits, outcome.status if outcome else None)

    def _run(self, answer: Any) -> Outcome | None:
        """Go on until everything waits (None) or the machine ends."""
        while True:
            try:
                command = self.machine.send(answer)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if isinstance(command, Emit):
                answer = self._told(command)
            elif isinstance(command, Await):
                answer = self._known() if self.replaying else None
                if answer is None:
                    self._live()
                    return None
            else:
                self._begun(command)
                answer = None

    def _known(self) -> tuple[str, Any] | None:
        """The next recorded outcome, in the order they were recorded; None when there is none to take up."""
        passed = []
        found = None
        while self.recorded and found is None:
            row = heapq.heappop(self.recorded)
            if row[2] in self.pending:
                found = row
            else:
                passed.append(row)
        for row in passed:
            heapq.heappush(self.recorded, row)
        if found is None:
            return None
        turn, ended_ns, key, answer = found
        self.turn, self.turn_ns = max(self.turn, turn), ended_ns
        del self.pending[key]
        self.fresh.pop(key, None)
        self.begun.pop(key, None)
        return key, answer

    def _begun(self, command: RunTask | Sleep | Drop) -> None:
        if isinstance(command, Drop):
            for held in (self.pending, self.fresh, self.begun):
                held.pop(command.key, None)
            return
        self.pending[command.key] = self.fresh[command.key] = command
        if self.replaying and self.redriven and isinstance(command, RunTask):
            self.begun[command.key] = [emit for emit in self.skipped if emit.type in _TASK_BEGINNINGS]
        self.skipped.clear()

    def _told(self, event: Emit) -> str | None:
        """The answer to an event: the time its state was entered, the same on every replay."""
        is_entry = event.type in ENTRIES
        if not event.is_heard:
            return _iso(self.turn_ns) if is_entry else None
        if self.replaying:
            self.skipped.append(event)
        else:
            self._event(event)
        if not is_entry:
            return None
        self.entered += 1
        if self.entered <= len(self.entered_ns):
            return _iso(self.entered_ns[self.entered - 1])
        return _iso(self.events[-1][4] if self.events else self.clock.now_ns())

    def _live(self) -> None:
        """From here on things happen for the first time."""
        # States are not entered again; their tasks are scheduled again, as Step Functions tells a redrive.
        for emits in self.begun.values():
            for emit in emits:
                self._event(emit)
        self.begun.clear()
        self.replaying = False
        self.skipped.clear()

    def _due(self, command: Sleep) -> int:
        due_ns = self.due_ns.get(command.key)
        if due_ns is None and command.until is not None:
            due_ns = int(datetime.fromisoformat(command.until).timestamp() * _NANOSECONDS)
        elif due_ns is None:
            due_ns = self.clock.now_ns() + int((command.seconds or 0) * _NANOSECONDS)
        self.due_ns[command.key] = due_ns
        return due_ns

    def _event(self, event: Emit) -> None:
        self.seq += 1
        # Events of a redrive are not numbered as the interpreter numbers them; what led to them came before anyway.
        previous = event.previous if event.previous < self.seq else self.seq - 1
        details = packed(event.details)
        self.events.append((self.name, self.seq, event.type, event.state, self.clock.now_ns(), previous, details))

    def _record_events(self) -> None:
        self.journal.add_events(self.name, self.events)
        self.events = []


def visit_of(key: str) -> str:
    """A task key without its attempt."""
    return key.rpartition("#")[0] or key


def limit_seconds(command: RunTask) -> float:
    """Seconds a task may take, 0 without a limit."""
    return min(filter(None, (command.timeout_seconds, command.heartbeat_seconds)), default=0.0)


def _iso(ns: int) -> str:
    return f"{_second(ns // _NANOSECONDS)}.{ns // 1_000_000 % 1_000:03d}Z"


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _context(row: Row, given: Any) -> dict[str, Any]:
    """The context object of an execution."""
    machine, name = machine_and_name(row["name"])
    return {
        "Execution": {
            "Id": execution_arn(row["name"]),
            "Input": given,
            "Name": name,
            "RoleArn": ROLE,
            "StartTime": _iso(row["started_at"]),
            "RedriveCount": row["redrive_count"],
            **({"RedriveTime": _iso(row["redriven_at"])} if row["redriven_at"] else {}),
        },
        "StateMachine": {"Id": machine_arn(machine), "Name": machine},
    }


def _recorded(store: Store, name: str) -> list[tuple[int, int, str, Any]]:
    """What came of tasks and pauses, as a heap in the order it was recorded: turn, time (UTC ns), key, answer."""
    rows: list[tuple[int, int, str, Any]] = []
    told = store.submissions(name)
    for key, row in store.task_rows(name).items():
        submitted = told.get(key)
        answer = TaskResult(row.result, submitted) if row.ok else TaskFailure(row.error, row.cause, submitted)
        rows.append((row.turn, row.ended_at, key, answer))
    rows += [(turn, due, key, None) for key, (due, turn) in store.timers(name).items() if turn]
    heapq.heapify(rows)
    return rows
