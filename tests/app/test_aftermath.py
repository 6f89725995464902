"""Books after executions: kept on a thread of their own, complete once it is idle, whatever one of them raises."""

import threading
import time

from app.aftermath import Aftermath


def test_nobody_waits_for_the_books_and_all_are_kept() -> None:
    booked: list[str] = []
    followed: list[int] = []
    gate = threading.Event()

    def book(execution: str, status: str) -> None:
        assert gate.wait(10)
        if status == "BAD":
            raise ValueError(execution)
        booked.append(execution)

    after = Aftermath([book], lambda: followed.append(len(booked)))
    after.ended("first", "SUCCEEDED")
    for number in range(20):
        after.ended(f"{number}", "BAD" if number == 7 else "SUCCEEDED")
    seen = (after.idle, list(booked))
    assert seen == (False, [])
    gate.set()
    deadline = time.monotonic() + 10
    while not after.idle and time.monotonic() < deadline:
        time.sleep(0.01)
    assert booked == ["first", *(f"{number}" for number in range(20) if number != 7)]
    # Told together, not once each; the last time with everything there.
    assert 1 <= len(followed) <= 2 and followed[-1] == 20
    after.close()


def test_what_ended_before_the_end_is_booked() -> None:
    booked: list[tuple[str, str]] = []
    after = Aftermath([lambda execution, status: booked.append((execution, status))], lambda: None)
    for number in range(3):
        after.ended(f"{number}", "SUCCEEDED")
    after.close()
    assert booked == [(f"{number}", "SUCCEEDED") for number in range(3)] and after.idle
