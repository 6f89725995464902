"""Turns: what only one of several workers may do at a time, each turn with a token that outdates all before it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from domain.clock import Clock
from domain.errors import TransientError
from orchestrator.leases import RENEWALS, Lease, Leases


@dataclass(slots=True)
class Turns:
    """Takes turns with other workers by the records that also say who drives which lane.

    Whoever wants a turn waits until the record is free, or stood still for `lease_seconds` of its own monotonic clock;
    while it has the turn its record moves. Two may still believe in theirs for a moment, one of them slow: every write
    made in a turn must be refused when its token is no longer the newest (`warehouse.fenced`). Threads of one process
    take turns among themselves first. After `patience_seconds` waiting ends with TransientError.
    """

    records: Leases
    owner: str
    clock: Clock
    lease_seconds: float = 10.0
    pause_seconds: float = 0.02
    patience_seconds: float = 120.0
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def turn(self, name: str) -> Iterator[int]:
        """Wait for the turn called `name`; its token."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=self.patience_seconds):
            raise TransientError(f"{name}: another thread did not end its turn")
        try:
            token = self._wait(name)
            ended = threading.Event()
            keeper = threading.Thread(target=self._keep, args=(name, token, ended.wait), daemon=True)
            keeper.start()
            try:
                yield token
            finally:
                ended.set()
                keeper.join()
                # A record that nobody frees stands still, and is taken after its time.
                with suppress(TransientError):
                    self.records.release(name, token)
        finally:
            lock.release()

    def _wait(self, name: str) -> int:
        began = since = self.clock.monotonic()
        last: Lease | None = None
        while True:
            seen, now = self.records.leases().get(name), self.clock.monotonic()
            if seen != last:
                last, since = seen, now
            free = seen is None or not seen.owner or now - since >= self.lease_seconds
            token = self.records.take(name, self.owner, seen) if free else None
            if token is not None:
                return token
            if now - began >= self.patience_seconds:
                raise TransientError(f"{name}: {seen.owner if seen else 'another worker'} did not end its turn")
            self.clock.sleep(self.pause_seconds)

    def _keep(self, name: str, token: int, ended: Callable[[float], bool]) -> None:
        while not ended(self.lease_seconds / RENEWALS):
            with suppress(TransientError):
                if not self.records.renew(name, token):
                    return
