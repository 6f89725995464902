"""Callers that wait for executions to end: told by name, so that many of them cost no more than a few."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future


class Waiters:
    """Whoever waits asks again once told; `tell` comes after the end is on disk."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answers: dict[str, list[Future[None]]] = {}

    def ended(self, name: str, is_over: Callable[[], bool]) -> "Future[None]":
        """Done once the execution has ended; who waits no longer cancels it."""
        answer = Future[None]()
        with self._changed:
            self._answers.setdefault(name, []).append(answer)
        answer.add_done_callback(lambda done: self._take(name, done))
        # Asked after it is listed: an end between the two is told.
        if is_over() and self._take(name, answer):
            _end(answer)
        return answer

    def wait_all(self, are_over: Callable[[], bool], timeout_seconds: float) -> bool:
        """Whether nothing runs any more within the time-out."""
        with self._changed:
            return self._changed.wait_for(are_over, timeout_seconds)

    def tell(self, names: Sequence[str]) -> None:
        """These executions ended."""
        if not names:
            return
        with self._changed:
            told = [answer for name in names for answer in self._answers.pop(name, ())]
            self._changed.notify_all()
        for answer in told:
            _end(answer)

    def _take(self, name: str, answer: "Future[None]") -> bool:
        """Whether it was listed; it is no longer, so only who took it ends it."""
        with self._changed:
            listed = self._answers.get(name, [])
            if answer not in listed:
                return False
            listed.remove(answer)
            if not listed:
                del self._answers[name]
            return True


def came(answer: "Future[None]", timeout_seconds: float) -> bool:
    """Whether it was done in time; it is not waited for any more."""
    try:
        answer.result(timeout_seconds)
    except TimeoutError:
        answer.cancel()
        return False
    return True


def _end(answer: "Future[None]") -> None:
    if answer.set_running_or_notify_cancel():
        answer.set_result(None)
