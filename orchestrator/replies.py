"""Answers to callers of the engine: gathered while a batch is taken, told once it is on disk."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from domain.errors import TransientError

_ANSWER_SECONDS = 10.0
_UNCOMMITTED = "the engine could not commit"


@dataclass(slots=True)
class Replies:
    """Used by the engine's thread; `wait` by the caller's."""

    held: list[tuple[Future[Any], Any]] = field(default_factory=list)

    def later(self, answer: Future[Any], value: Any) -> None:
        """Tell the caller this, or raise it there if it is an error, once the batch is on disk."""
        self.held.append((answer, value))

    def tell(self) -> None:
        """The batch is on disk."""
        for answer, value in self.held:
            if isinstance(value, Exception):
                answer.set_exception(value)
            else:
                answer.set_result(value)
        self.held = []

    def fail(self, but: Sequence[Future[Any]] = ()) -> None:
        """Nothing of the batch happened; those in `but` are told later."""
        for answer, _ in self.held:
            if not any(answer is other for other in but):
                answer.set_exception(TransientError(_UNCOMMITTED))
        self.held = []

    @staticmethod
    def wait(answer: Future[Any]) -> Any:
        """The answer; raises TransientError when the engine has none in time."""
        try:
            return answer.result(_ANSWER_SECONDS)
        except TimeoutError:
            raise TransientError("the engine did not answer in time") from None
