"""Drives one execution: replays what is recorded, then lives on; each barrier is one transaction."""

import json
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from domain.clock import Clock
from orchestrator.machine import Emit, Outcome, RunTask, Sleep, TaskFailure, TaskResult, execute
from orchestrator.store import EventRow, Store, TaskRow

_NANOSECONDS = 1_000_000_000
_TASK_BEGINNINGS = frozenset({"TaskScheduled", "TaskStarted", "LambdaFunctionScheduled", "LambdaFunctionStarted"})


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Call this task."""

    command: RunTask


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to do before this time (UTC ns)."""

    key: str
    due_ns: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The execution ended with this status."""

    status: str


Step = Dispatch | Waiting | Finished


@dataclass(slots=True)
class Driver:
    """One execution in memory; everything it knows can be replayed from the store."""

    store: Store
    clock: Clock
    name: str
    machine: Generator[Any, Any, Outcome]
    memo: Mapping[str, TaskRow]
    timers: Mapping[str, tuple[int, bool]]
    seq: int
    replaying: bool
    redriven: bool = False
    deadline_ns: int | None = None
    entered_ns: Sequence[int] = ()
    entered: int = 0
    events: list[EventRow] = field(default_factory=list)
    state: str = ""
    skipped: list[Emit] = field(default_factory=list)
    pending: RunTask | None = None

    @classmethod
    def open(cls, store: Store, clock: Clock, name: str) -> "Driver":
        """The driver of a stored execution, ready to `begin`."""
        row = store.execution(name)
        assert row is not None, name
        value = json.loads(row["input"])
        context = {
            "Execution": {
                "Id": f"arn:aws:states:local:000000000000:execution:tieout:{name}",
                "Input": value,
                "Name": name,
                "RoleArn": "arn:aws:iam::000000000000:role/tieout",
                "StartTime": _iso(row["started_at"]),
                "RedriveCount": row["redrive_count"],
            },
            "StateMachine": {"Id": "arn:aws:states:local:000000000000:stateMachine:tieout", "Name": "tieout"},
        }
        definition, seq = store.definition(row["definition_hash"]), store.last_event(name)
        told = store.redrives_told(name)
        started = row["started_at"] if not row["redrive_count"] else clock.now_ns()
        limit = definition.get("TimeoutSeconds")
        return cls(
            store,
            clock,
            name,
            execute(definition, value, context),
            store.task_rows(name),
            store.timers(name),
            seq,
            replaying=seq > 0,
            redriven=row["redrive_count"] > told,
            deadline_ns=started + int(limit * _NANOSECONDS) if limit else None,
            entered_ns=store.entered_ns(name),
        )

    def begin(self) -> Step:
        """Replay to where the execution stands and say what comes next."""
        if self.redriven:
            self._event("ExecutionRedriven", {})
        return self._advance(None)

    def expects(self, key: str) -> bool:
        """Whether the outcome of this task is still awaited."""
        return self.pending is not None and self.pending.key == key

    def outcome(self, command: RunTask, result: TaskResult | TaskFailure, milliseconds: float) -> Step:
        """Record a task's outcome and how long it ran, and go on."""
        now = self.clock.now_ns()
        ok = isinstance(result, TaskResult)
        row = TaskRow(
            command.key,
            visit_of(command.key),
            ok,
            result.output if isinstance(result, TaskResult) else None,
            result.error if isinstance(result, TaskFailure) else "",
            result.cause if isinstance(result, TaskFailure) else "",
            now,
        )
        self.pending = None
        return self._advance(result, task=row, ended=(command.state, ok, milliseconds))

    def timed_out(self) -> Step:
        """The pending task took longer than TimeoutSeconds or HeartbeatSeconds (a local function has no heartbeat)."""
        assert self.pending is not None
        return self.outcome(self.pending, TaskFailure("States.Timeout", ""), limit_seconds(self.pending) * 1000)

    def fired(self, key: str) -> Step:
        """A wait is over."""
        return self._advance(None, fired=key)

    def abort(self, error: str, cause: str) -> Step:
        """End the execution as ABORTED."""
        return self._end("ABORTED", "ExecutionAborted", error, cause)

    def expire(self) -> Step:
        """The machine's own TimeoutSeconds is over: end the execution as TIMED_OUT."""
        return self._end("TIMED_OUT", "ExecutionTimedOut", "States.Timeout", "")

    def _end(self, status: str, type: str, error: str, cause: str) -> Step:
        self._event(type, {"error": error, "cause": cause})
        with self.store.transaction():
            self._flush()
            self._finish(status, None, error, cause)
        self.machine.close()
        return Finished(status)

    def _advance(
        self,
        value: Any,
        *,
        task: TaskRow | None = None,
        fired: str | None = None,
        ended: tuple[str, bool, float] | None = None,
    ) -> Step:
        outcome: Outcome | None = None
        step: Step | None = None
        while step is None:
            try:
                command = self.machine.send(value)
            except StopIteration as end:
                outcome = end.value
                break
            value, step = self._command(command)
        if outcome is not None and self.replaying and self.skipped:
            # A redrive found nothing to do again: the execution ends as it did before.
            self._event(self.skipped[-1].type, self.skipped[-1].details)
        with self.store.transaction():
            if task is not None:
                self.store.add_task(self.name, task)
            if ended is not None:
                self.store.add_latency(*ended)
            if fired is not None:
                self.store.execute("UPDATE timer SET fired = 1 WHERE exec = ? AND key = ?", (self.name, fired))
            if isinstance(step, Waiting):
                self.store.execute(
                    "INSERT OR IGNORE INTO timer (exec, key, due) VALUES (?, ?, ?)", (self.name, step.key, step.due_ns)
                )
            self._flush()
            if outcome is not None:
                self._finish(outcome.status, outcome.output, outcome.error, outcome.cause)
        return step if step is not None else Finished(outcome.status if outcome else "FAILED")

    def _command(self, command: Emit | RunTask | Sleep) -> tuple[Any, Step | None]:
        """The value to send back, or the step that ends this turn."""
        if isinstance(command, Emit):
            is_entry = command.type.endswith("StateEntered")
            if is_entry:
                self.state = str(command.details.get("name", ""))
            if self.replaying:
                self.skipped.append(command)
            else:
                self._event(command.type, command.details)
            return self._entry_time() if is_entry else None, None
        if isinstance(command, RunTask):
            known = self.memo.get(command.key)
            if known is not None:
                self.skipped.clear()
                return TaskResult(known.result) if known.ok else TaskFailure(known.error, known.cause), None
            self._live(command)
            self.pending = command
            return None, Dispatch(command)
        due, over = self.timers.get(command.key, (0, False))
        if over:
            return None, None
        self._live(None)
        return None, Waiting(command.key, due or self._due(command))

    def _entry_time(self) -> str:
        """When the state was entered, the same on every replay."""
        self.entered += 1
        if self.entered <= len(self.entered_ns):
            return _iso(self.entered_ns[self.entered - 1])
        return _iso(self.events[-1].ts if self.events else self.clock.now_ns())

    def _live(self, command: RunTask | None) -> None:
        if self.replaying and self.redriven and command is not None:
            # The state is not entered again; its task is scheduled again, as Step Functions tells it.
            for emit in self.skipped:
                if emit.type in _TASK_BEGINNINGS:
                    self._event(emit.type, emit.details)
        self.replaying = False
        self.skipped.clear()

    def _due(self, command: Sleep) -> int:
        if command.until is not None:
            return int(datetime.fromisoformat(command.until).timestamp() * _NANOSECONDS)
        return self.clock.now_ns() + int((command.seconds or 0) * _NANOSECONDS)

    def _event(self, type: str, details: Mapping[str, Any]) -> None:
        previous, self.seq = self.seq, self.seq + 1
        state = "" if type.startswith("Execution") else self.state
        self.events.append(EventRow(self.seq, type, state, self.clock.now_ns(), previous, details))

    def _flush(self) -> None:
        self.store.add_events(self.name, self.events)
        self.store.add_entries(Counter(e.state for e in self.events if e.type.endswith("StateEntered")))
        self.events = []

    def _finish(self, status: str, output: Any, error: str | None, cause: str | None) -> None:
        self.store.execute(
            "UPDATE exec SET status = ?, output = ?, error = ?, cause = ?, stopped_at = ? WHERE name = ?",
            (
                status,
                json.dumps(output) if status == "SUCCEEDED" else None,
                error,
                cause,
                self.clock.now_ns(),
                self.name,
            ),
        )


def visit_of(key: str) -> str:
    """A task key without its attempt."""
    return key.rpartition("#")[0] or key


def limit_seconds(command: RunTask) -> float:
    """Seconds a task may take, 0 without a limit."""
    return min(filter(None, (command.timeout_seconds, command.heartbeat_seconds)), default=0.0)


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns / _NANOSECONDS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
