"""Who stores facts right now, so that a Match run waits the moment it takes and has those facts along.

A run costs much the same for twenty messages as for two hundred. Lanes that store within the same moment then share one
run instead of having one after another; whom it came too early for has his own, as ever.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A batch of some thousand messages is stored within this time.
PATIENCE_SECONDS = 0.25


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
