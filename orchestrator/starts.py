"""Executions somebody starts: put on record in the batch that also takes their first steps."""

import json
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from domain.clock import Clock
from domain.errors import PermanentError
from orchestrator.arns import MAIN, machine_and_name
from orchestrator.machines import Machines
from orchestrator.replies import Replies
from orchestrator.store import Row, Store

# The input as JSON text, and whom to tell when it began (UTC ns, None when it was there already).
Request = tuple[str, "Future[int | None]"]


@dataclass(slots=True)
class Starts:
    """Used by the engine's thread, all but `insert`; `held` are the starts of the batch that is being taken."""

    store: Store
    machines: Machines
    main_revision: str
    clock: Clock
    replies: Replies
    held: dict[str, Request] = field(default_factory=dict)

    def insert(self, name: str, text: str) -> Row:
        """Record an execution inside the caller's transaction; raises PermanentError when it has no machine."""
        machine = machine_and_name(name)[0]
        digest = self.main_revision if machine == MAIN else self.machines.get(machine).revision
        return self.store.add_execution(name, digest, text, self.clock.now_ns())

    def take(self, name: str, row: Row | None, request: Request) -> Row | None:
        """The row of an execution somebody starts, None when it is refused; `row` is what is on record already."""
        text, answer = request
        try:
            if row is not None and row["input"] != text:
                raise PermanentError(f"ExecutionAlreadyExists: {name} was started with another input")
            found = self.insert(name, text) if row is None else row
        except PermanentError as error:
            self.replies.later(answer, error)
            return None
        self.held[name] = request
        self.replies.later(answer, found["started_at"] if row is None else None)
        return found

    def undone(self) -> dict[str, Request]:
        """Nothing of the batch happened: its starts, whose callers still wait; everybody else is told so."""
        starting, self.held = self.held, {}
        self.replies.fail(but=[answer for _, answer in starting.values()])
        return starting

    def keep(self, starting: dict[str, Request]) -> None:
        """Record these without a step: what they do cannot be written, and they stay as they are."""
        with self.store.transaction():
            for name, request in starting.items():
                self.take(name, self.store.execution(name), request)
        self.held.clear()
        self.replies.tell()

    def refuse(self, starting: dict[str, Request]) -> None:
        """These did not start; whoever asked may ask again."""
        for request in starting.values():
            self.replies.later(request[1], None)
        self.replies.fail()

    def done(self) -> None:
        """The batch is on disk."""
        self.held.clear()
        self.replies.tell()


def text_of(input: Any) -> str:
    """An input as it is stored: equal inputs give equal texts."""
    return json.dumps(input, sort_keys=True)
