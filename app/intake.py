"""Who stores facts right now, so that a Match run waits the moment it takes and has those facts along; what is matched.

A run costs much the same for twenty messages as for two hundred. Lanes that store within the same moment then share one
run instead of having one after another; whom it came too early for has his own, as ever.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A batch of some thousand messages is stored within this time.
PATIENCE_SECONDS = 0.25
_KNOWN_MAX = 1_000


class Intake:
    """The batches that are being stored in this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._storing: set[object] = set()

    @contextmanager
    def storing(self) -> Iterator[None]:
        """While one batch is read and stored."""
        batch = object()
        with self._changed:
            self._storing.add(batch)
        try:
            yield
        finally:
            with self._changed:
                self._storing.discard(batch)
                self._changed.notify_all()

    def settle(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait for the batches that are being stored now, not for later ones; False when it took too long."""
        with self._changed:
            now = set(self._storing)
            return self._changed.wait_for(lambda: not now & self._storing, seconds)


class Matched:
    """Executions whose Match run is over in this process, until somebody asked for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, None] = {}

    def note(self, execution: str) -> None:
        """What the execution brought is matched, and on disk."""
        with self._lock:
            self._known[execution] = None
            # Sweeps and files are asked for by nobody.
            while len(self._known) > _KNOWN_MAX:
                del self._known[next(iter(self._known))]

    def take(self, execution: str) -> bool:
        """Whether it is; said once."""
        with self._lock:
            return self._known.pop(execution, self) is None
