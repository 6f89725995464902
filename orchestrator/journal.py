"""The journal: what the steps of a batch write, gathered row by row and handed to the store in a few statements."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from orchestrator.checks import TYPES
from orchestrator.commands import RunTask
from orchestrator.dataflow import text
from orchestrator.store import Store, TaskRow, bucket_of
from orchestrator.tokens import row_of

_Row = tuple[object, ...]
ENTRIES = frozenset(f"{kind}StateEntered" for kind in TYPES)
# Execution, number, type, state, time (UTC ns), number of the event before, packed details: as the table has them.
Event = tuple[str, int, str, str, int, int, str]
# ASCII: a lone surrogate, which JSON allows, is no text a database takes.
_ascii = json.JSONEncoder(separators=(",", ":")).encode


def packed(value: Any) -> str:
    """JSON text for the store alone, written some times faster than by `json`."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return _ascii(value)


def as_stored(value: Any) -> str:
    """JSON text as Step Functions shows it, ASCII where it is no Unicode text otherwise."""
    shown = text(value)
    try:
        shown.encode()
    except UnicodeEncodeError:
        return _ascii(value)
    return shown


@dataclass(slots=True)
class Journal:
    """Rows to write; `names` are the executions they belong to. Nothing is stored before `flush`."""

    names: set[str] = field(default_factory=set)
    tasks: list[_Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    timers: list[_Row] = field(default_factory=list)
    fired: list[_Row] = field(default_factory=list)
    ends: list[_Row] = field(default_factory=list)
    tokens: list[_Row] = field(default_factory=list)
    submitted: list[_Row] = field(default_factory=list)
    returned: list[_Row] = field(default_factory=list)
    beats: list[_Row] = field(default_factory=list)
    entered: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, bool]] = field(default_factory=Counter)
    took: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add_task(self, name: str, row: TaskRow, state: str, milliseconds: float) -> None:
        """A task's outcome, the state whose end it is (none: of what comes before a task) and how long it ran."""
        result = packed(row.result) if row.ok else None
        self.names.add(name)
        self.tasks.append((name, row.key, row.visit, int(row.ok), result, row.error, row.cause, row.ended_at, row.turn))
        if not state:
            return
        self.ended[state, row.ok] += 1
        if row.ok:
            self.took[state, bucket_of(milliseconds)] += 1

    def add_events(self, name: str, events: Sequence[Event]) -> None:
        """History events of one execution; states entered are counted."""
        self.names.add(name)
        self.events += events
        for event in events:
            if event[2] in ENTRIES:
                self.entered[event[3]] += 1

    def add_timer(self, name: str, key: str, due_ns: int) -> None:
        """When a pause ends (UTC ns)."""
        self.names.add(name)
        self.timers.append((name, key, due_ns))

    def fire(self, name: str, key: str, turn: int) -> None:
        """A pause is over."""
        self.names.add(name)
        self.fired.append((turn, name, key))

    def add_token(self, name: str, command: RunTask, now_ns: int) -> None:
        """A task begins to wait for its token; one that waits already goes on as it is."""
        self.names.add(name)
        self.tokens.append(row_of(name, command, now_ns))

    def submit(self, name: str, token: str, answer: Any) -> None:
        """The function that carries a token away was called, with this answer."""
        self.names.add(name)
        self.submitted.append((as_stored(answer), token))

    def early(self, name: str, token: str, result: str) -> None:
        """A token came back before the call that carries it was over; `result` is packed."""
        self.names.add(name)
        self.returned.append((result, token))

    def beat(self, name: str, token: str, now_ns: int) -> None:
        """A task that waits is alive."""
        self.names.add(name)
        self.beats.append((now_ns, token))

    def end(self, name: str, status: str, output: str | None, error: str | None, cause: str | None, now: int) -> None:
        """An execution's end; `output` is JSON text."""
        self.names.add(name)
        self.ends.append((status, output, error, cause, now, name))

    def flush(self, store: Store) -> None:
        """Write everything inside the caller's transaction and begin anew."""
        many = store.executemany
        if self.tasks:
            many("INSERT OR IGNORE INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.tasks)
        if self.events:
            many("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", self.events)
        if self.timers:
            many("INSERT OR IGNORE INTO timer (exec, key, due) VALUES (?, ?, ?)", self.timers)
        if self.fired:
            many("UPDATE timer SET fired = ? WHERE exec = ? AND key = ?", self.fired)
        if self.ends:
            many(
                "UPDATE exec SET status = ?, output = ?, error = ?, cause = ?, stopped_at = ? WHERE name = ?", self.ends
            )
        if self.tokens:
            columns = "token, exec, key, created_at, due, beat_due, beat_seconds"
            many(f"INSERT OR IGNORE INTO token ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", self.tokens)
        if self.submitted:
            many("UPDATE token SET submitted = ? WHERE token = ?", self.submitted)
        if self.returned:
            many("UPDATE token SET early = ? WHERE token = ?", self.returned)
        if self.beats:
            many(
                "UPDATE token SET beat_due = ? + CAST(beat_seconds * 1000000000 AS INTEGER) WHERE token = ?", self.beats
            )
        store.count(self.entered, self.ended, self.took)
        self.clear()

    def clear(self) -> None:
        """Forget what was gathered: none of it happened."""
        rows = (self.tasks, self.events, self.timers, self.fired, self.ends)
        for held in (self.names, *rows, self.tokens, self.submitted, self.returned, self.beats):
            held.clear()
        for counted in (self.entered, self.ended, self.took):
            counted.clear()
