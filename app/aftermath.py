"""What is written down after executions, on a thread of its own: no lane waits for the books of another one's batch.

Writing waits for the Match run that holds the warehouse; whoever starts batches must not wait with it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue

logger = logging.getLogger(__name__)

# Executions that end within this time are told to the audit trail together.
GATHER_SECONDS = 0.25
_CLOSE_SECONDS = 10.0

_Ended = tuple[str, str]


class Aftermath:
    """Tells `book` (each of them) of the executions that ended, in order; `follow` comes after as many as are there.

    A crash loses how long the last breaks took to show; the trail is complete again with the next execution.
    """

    def __init__(self, book: Sequence[Callable[[str, str], None]], follow: Callable[[], None]) -> None:
        self._book_one, self._follow = book, follow
        self._ended: SimpleQueue[_Ended | None] = SimpleQueue()
        self._waiting, self._lock, self._stop = 0, threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="aftermath", daemon=True)
        self._thread.start()

    def ended(self, execution: str, status: str) -> None:
        """Note it; returns at once."""
        with self._lock:
            self._waiting += 1
        self._ended.put((execution, status))

    @property
    def idle(self) -> bool:
        """Whether everything that ended is booked."""
        with self._lock:
            return self._waiting == 0

    def close(self) -> None:
        """Book what ended, and stop; gives up after a few seconds."""
        self._stop.set()
        self._ended.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (first := self._ended.get()) is not None:
            self._stop.wait(GATHER_SECONDS)
            found, last = [first], False
            while not last:
                try:
                    more = self._ended.get_nowait()
                except Empty:
                    break
                last = more is None
                found += [more] if more is not None else []
            try:
                self._book(found)
            finally:
                with self._lock:
                    self._waiting -= len(found)
            if last:
                return

    def _book(self, found: list[_Ended]) -> None:
        for execution, status in found:
            for book in self._book_one:
                self._tried(execution, partial(book, execution, status))
        self._tried(found[-1][0], self._follow)

    def _tried(self, execution: str, what: Callable[[], object]) -> None:
        try:
            what()
        except Exception:
            # A thread that ends would leave everything after it unbooked.
            logger.exception("bookkeeping after an execution failed", extra={"execution": execution})
