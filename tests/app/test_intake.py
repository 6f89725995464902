"""A Match waits for what is being stored at that moment, for no later batch, and not for ever."""

import threading
from contextlib import ExitStack

import pytest

from app.intake import Intake


def test_it_waits_for_what_is_being_stored_as_long_as_it_may() -> None:
    intake, end = Intake(), threading.Event()
    begun = threading.Event()

    def store() -> None:
        with intake.storing():
            begun.set()
            end.wait(20)

    batch = threading.Thread(target=store)
    batch.start()
    assert begun.wait(20)
    assert not intake.settle(0.01), "the batch is still being stored"
    end.set()
    assert intake.settle(20)
    batch.join(20)


def test_what_begins_later_is_the_next_runs() -> None:
    intake, over, begun = Intake(), threading.Event(), threading.Event()

    def store_on_and_on() -> None:
        """The next batch begins before the one before it ends: there is always one."""
        with ExitStack() as last:
            last.enter_context(intake.storing())
            begun.set()
            while not over.wait(0.005):
                following = ExitStack()
                following.enter_context(intake.storing())
                last.pop_all().close()
                last.push(following)

    batches = threading.Thread(target=store_on_and_on)
    batches.start()
    assert begun.wait(20)
    try:
        assert intake.settle(5)
    finally:
        over.set()
        batches.join(20)


def test_a_batch_that_fails_is_not_waited_for() -> None:
    intake = Intake()
    with pytest.raises(ValueError, match="unreadable"), intake.storing():
        raise ValueError("unreadable")
    assert intake.settle(0)
