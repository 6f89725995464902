"""Executions for people: one run's states, timings and events worked out from its Step Functions history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from console.ports import Engine

MAX_RUNS = 500
STATUS_WORDS = {
    "SUCCEEDED": "Succeeded", "FAILED": "Failed", "RUNNING": "In progress", "CAUGHT": "Caught error",
    "NOT_STARTED": "Not started", "TIMED_OUT": "Timed out", "ABORTED": "Aborted", "PENDING_REDRIVE": "Redrive pending",
}  # fmt: skip
STATUS_GLYPHS = {
    "SUCCEEDED": "✓", "FAILED": "✕", "RUNNING": "◷", "CAUGHT": "!", "NOT_STARTED": "○", "TIMED_OUT": "✕",
    "ABORTED": "■", "PENDING_REDRIVE": "↻",
}  # fmt: skip
REDRIVABLE = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_FAILURES = ("TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "LambdaFunctionTimedOut", "ActivityFailed")


@dataclass(slots=True)
class StateRun:
    """What one state did in one run; times are milliseconds since 1970."""

    name: str
    type: str
    status: str = "NOT_STARTED"
    entered: float | None = None
    exited: float | None = None
    input: str = ""
    output: str = ""
    error: str = ""
    cause: str = ""
    attempts: int = 0
    events: list[int] = field(default_factory=list)

    @property
    def duration_ms(self) -> float | None:
        """Time between entry and exit."""
        return None if self.entered is None or self.exited is None else self.exited - self.entered


@dataclass(frozen=True, slots=True)
class Event:
    """One history event."""

    id: int
    type: str
    state: str
    at: float | None
    delta_ms: float | None
    is_failure: bool
    details: str


@dataclass(frozen=True, slots=True)
class Run:
    """One execution, ready to show."""

    name: str
    status: str
    started: float | None
    stopped: float | None
    input: str
    output: str
    error: str
    cause: str
    states: tuple[StateRun, ...]
    events: tuple[Event, ...]

    @property
    def duration_ms(self) -> float | None:
        """Start to stop."""
        return None if self.started is None or self.stopped is None else self.stopped - self.started

    @property
    def failed_state(self) -> str:
        """The state a redrive starts from, or empty."""
        return next((s.name for s in self.states if s.status == "FAILED"), "")


def millis(value: object) -> float | None:
    """Any time an engine may give as milliseconds since 1970: datetime, ISO text, seconds, ms or ns."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.timestamp() * 1000
    if isinstance(value, str):
        try:
            return millis(datetime.fromisoformat(value))
        except ValueError:
            return None
    if isinstance(value, (int, float)):
        # Seconds, milliseconds, microseconds and nanoseconds of this century do not overlap.
        for limit, factor in ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (1e20, 1e-6)):
            if abs(value) < limit:
                return float(value) * factor
    return None


def pretty(value: object) -> str:
    """JSON text or a JSON value, indented; anything else as it is."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    for key, value in event.items():
        if key.endswith("EventDetails") and isinstance(value, Mapping):
            return value
    found = event.get("details")
    return found if isinstance(found, Mapping) else {}


def _states_of(definition: Mapping[str, Any]) -> dict[str, StateRun]:
    states: dict[str, StateRun] = {}
    for name, body in definition.get("States", {}).items():
        states[name] = StateRun(name, str(body.get("Type", "")))
        for inner in [*body.get("Branches", []), body.get("ItemProcessor") or body.get("Iterator") or {}]:
            states.update(_states_of(inner))
    return states


def _apply(states: dict[str, StateRun], event: Mapping[str, Any], owner: dict[int, str]) -> str:
    kind, details = str(event.get("type", "")), _details(event)
    at, event_id = millis(event.get("timestamp")), int(event.get("id", 0))
    if kind.endswith(("StateEntered", "StateExited")):
        name = str(details.get("name", ""))
        state = states.setdefault(name, StateRun(name, kind.partition("State")[0]))
        if kind.endswith("StateEntered"):
            state.status, state.entered, state.exited = "RUNNING", at, None
            state.input, state.output, state.attempts = pretty(details.get("input")), "", state.attempts + 1
        else:
            state.exited, state.output = at, pretty(details.get("output"))
            state.status = "CAUGHT" if state.error else "SUCCEEDED"
    else:
        name = owner.get(int(event.get("previousEventId", 0) or 0), "")
        if name and name in states:
            state = states[name]
            if kind in _FAILURES:
                state.error, state.cause = str(details.get("error", "")), str(details.get("cause", ""))
            elif kind in ("TaskSucceeded", "LambdaFunctionSucceeded"):
                state.error = state.cause = ""
            elif kind in ("TaskScheduled", "LambdaFunctionScheduled") and state.error:
                state.attempts += 1
    if name and name in states:
        owner[event_id] = name
        states[name].events.append(event_id)
    return name


def build(definition: Mapping[str, Any], described: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Run:
    """A run with its states in the definition's order and every event tied to its state."""
    states = _states_of(definition)
    owner: dict[int, str] = {}
    events: list[Event] = []
    previous: float | None = None
    last_state = ""
    for raw in history:
        name = _apply(states, raw, owner)
        kind, at = str(raw.get("type", "")), millis(raw.get("timestamp"))
        failure = "Failed" in kind or "TimedOut" in kind or "Aborted" in kind
        last_state = name or last_state
        delta = None if at is None or previous is None else at - previous
        previous = at if at is not None else previous
        shown = {k: v for k, v in _details(raw).items() if v not in (None, "")}
        events.append(Event(int(raw.get("id", 0)), kind, name, at, delta, failure, pretty(shown) if shown else ""))
    status = str(described.get("status", ""))
    if status in REDRIVABLE and last_state in states and states[last_state].exited is None:
        failed = states[last_state]
        failed.status = "FAILED"
        failed.error = failed.error or str(described.get("error") or "")
        failed.cause = failed.cause or str(described.get("cause") or "")
        if failed.type == "Fail":
            # A Fail state only passes on an error that was caught: the state that raised it failed, too.
            culprits = [s for s in states.values() if s.status == "CAUGHT" and (s.exited or 0) <= (failed.entered or 0)]
            if culprits:
                max(culprits, key=lambda s: s.exited or 0).status = "FAILED"
    return Run(
        name=str(described.get("name", "")),
        status=status,
        started=millis(described.get("startDate")),
        stopped=millis(described.get("stopDate")),
        input=pretty(described.get("input")),
        output=pretty(described.get("output")),
        error=str(described.get("error") or ""),
        cause=str(described.get("cause") or ""),
        states=tuple(states.values()),
        events=tuple(events),
    )


def load(engine: Engine, definition: Mapping[str, Any], name: str) -> Run | None:
    """The run called `name`, or None when the engine does not know it."""
    try:
        described = engine.describe(name)
    except LookupError:
        return None
    return build(definition, described, engine.history(name)) if described else None


def summaries(engine: Engine, status: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest executions as rows: name, status, word, start, duration in ms, error and the input's own labels."""
    found = []
    for item in engine.list(status, limit):
        started, stopped = millis(item.get("startDate")), millis(item.get("stopDate"))
        given = item.get("input")
        try:
            labels = json.loads(given) if isinstance(given, str) else given
        except ValueError:
            labels = None
        labels = labels if isinstance(labels, Mapping) else {}
        found.append(
            {
                "name": str(item.get("name", "")),
                "status": str(item.get("status", "")),
                "word": STATUS_WORDS.get(str(item.get("status", "")), str(item.get("status", ""))),
                "glyph": STATUS_GLYPHS.get(str(item.get("status", "")), "·"),
                "started": started,
                "duration_ms": None if started is None or stopped is None else stopped - started,
                "error": str(item.get("error") or ""),
                "cause": str(item.get("cause") or ""),
                "kind": str(labels.get("kind", "")),
                "lane": str(labels.get("lane", "")),
                "count": labels.get("count"),
            }
        )
    return found


def run_json(run: Run) -> dict[str, Any]:
    """The run for API clients and for Export JSON."""
    return {
        "name": run.name, "status": run.status, "started": run.started, "stopped": run.stopped,
        "duration_ms": run.duration_ms, "error": run.error, "cause": run.cause,
        "input": run.input, "output": run.output,
        "states": [
            {
                "name": s.name, "type": s.type, "status": s.status, "entered": s.entered, "exited": s.exited,
                "duration_ms": s.duration_ms, "attempts": s.attempts, "error": s.error, "cause": s.cause,
                "input": s.input, "output": s.output,
            }
            for s in run.states
        ],
        "events": [
            {"id": e.id, "type": e.type, "state": e.state, "at": e.at, "details": e.details} for e in run.events
        ],
    }  # fmt: skip
