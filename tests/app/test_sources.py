"""A source of work that fails waits by itself; what concerns the whole worker passes."""

import logging
from collections.abc import Iterator

import pytest

from app.settings import SettingsError
from app.sources import PAUSE_SECONDS, Source
from domain.clock import ManualClock
from domain.errors import TransientError
from orchestrator.ledger import Fenced


def test_a_source_that_fails_is_told_of_waits_and_is_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(0)
    answers: Iterator[BaseException | bool] = iter([MemoryError("a file of 3 GB"), True])
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    source = Source("files", look, clock)
    with caplog.at_level(logging.ERROR):
        assert [source.step(), source.step()] == [False, False]
    assert looks == 1 and "files: MemoryError: a file of 3 GB; tried again" in caplog.text
    clock.advance(PAUSE_SECONDS)
    assert source.step() and looks == 2


@pytest.mark.parametrize("error", [TransientError("away"), Fenced("another's"), SettingsError("feeds: wrong")])
def test_what_concerns_the_whole_worker_passes(error: Exception) -> None:
    def look() -> bool:
        raise error

    with pytest.raises(type(error)):
        Source("tables", look, ManualClock(0)).step()
