"""Several workers on one warehouse: what their tasks write is serial, and refused once a worker was replaced."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from app.worker import SWEEPER
from orchestrator.leases import LeaseKeeper
from orchestrator.ledger_turns import Turns
from warehouse.fenced import FencedWarehouse
from warehouse.port import Warehouse

Json = dict[str, Any]
Task = Callable[[Json], Json]

# Every write transaction, whoever makes it; a whole Match, Score or Ticket; and the opening of the stores.
WRITE, SERIAL, OPENING = "~write", "~serial", "~opening"


class Fencing:
    """One worker's rights to write: the turn of every write transaction, of every serial task, and its lanes.

    Normalize decodes beside other workers and takes a turn to store; Match, Score and Ticket are one at a time among
    all workers. A task that started under a lane's lease writes only as long as nobody else was given the lane. A lane
    that this worker does not drive (any more) is no right and needs none: what is redriven is idempotent by its name.
    """

    def __init__(self, warehouse: Warehouse, turns: Turns, leases: LeaseKeeper) -> None:
        self._turns, self._leases = turns, leases
        self._held = threading.local()
        self.warehouse = FencedWarehouse(warehouse, self._rights)

    def tasks(self, functions: Mapping[str, Task], serial: Collection[str]) -> dict[str, Task]:
        """The functions, each with the rights it needs."""
        return {name: self._task(function, name in serial) for name, function in functions.items()}

    def _task(self, function: Task, serial: bool) -> Task:
        def fenced(task: Json) -> Json:
            tokens: dict[str, int] = {}
            driven = {"batch": task.get("lane"), "sweep": SWEEPER}.get(task.get("kind", ""))
            token = self._leases.token(driven) if driven else None
            if token is not None:
                tokens[f"lane {driven}"] = token
            with ExitStack() as stack:
                if serial:
                    tokens[SERIAL] = stack.enter_context(self._turns.turn(SERIAL))
                self._held.tokens = tokens
                stack.callback(self._held.__dict__.clear)
                if serial:
                    # What is read from here on is what every earlier turn left behind: none of them writes any more.
                    with self.warehouse.transaction():
                        pass
                return function(task)

        return fenced

    @contextmanager
    def leading(self) -> Iterator[bool]:
        """Whether this worker does what one does for all; what the thread writes meanwhile needs it to stay so."""
        token = self._leases.token(SWEEPER)
        if token is None:
            yield False
            return
        self._held.tokens = {f"lane {SWEEPER}": token}
        try:
            yield True
        finally:
            self._held.__dict__.clear()

    @contextmanager
    def _rights(self) -> Iterator[Mapping[str, int]]:
        with self._turns.turn(WRITE) as token:
            yield {WRITE: token, **getattr(self._held, "tokens", {})}
