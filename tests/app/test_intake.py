"""A Match waits for what is being stored at that moment, for no later batch, and not for ever."""

import threading

from app.intake import Intake


def test_it_waits_for_what_is_stored_now_and_not_for_what_begins_later() -> None:
    intake, begun, end, later = Intake(), threading.Event(), threading.Event(), threading.Event()

    def store(started: threading.Event, until: threading.Event) -> None:
        with intake.storing():
            started.set()
            until.wait(20)

    first = threading.Thread(target=store, args=(begun, end))
    first.start()
    begun.wait(20)
    assert not intake.settle(0.01), "the batch is still being stored"
    waited: list[bool] = []
    match = threading.Thread(target=lambda: waited.append(intake.settle(20)))
    match.start()
    while not intake._changed._waiters:  # type: ignore[attr-defined]
        pass
    last_begun = threading.Event()
    last = threading.Thread(target=store, args=(last_begun, later))
    last.start()
    last_begun.wait(20)
    end.set()
    match.join(20)
    assert waited == [True], "what began later is the next run's"
    later.set()
    first.join(20)
    last.join(20)
    assert intake.settle(0)


def test_a_batch_that_fails_is_not_waited_for() -> None:
    intake = Intake()
    try:
        with intake.storing():
            raise ValueError
    except ValueError:
        pass
    assert intake.settle(0)
