"""The scorer port: feature rows in, one score with its reasons per row out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Features = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a break scored as it did: the feature, whether it is high or low, how much it weighed, and plain words."""

    feature: str
    direction: str
    weight: float
    text: str


@dataclass(frozen=True, slots=True)
class Scored:
    """`score` in [0, 1] (0.9 = more notable than 90% of breaks seen), `p_value` of being an ordinary break."""

    score: float
    p_value: float
    reasons: tuple[Reason, ...]
    model_version: str


class Scorer(Protocol):
    """Something that scores breaks: the model in this process, a container, or a SageMaker endpoint."""

    def score(self, rows: Sequence[Features]) -> list[Scored]:
        """One result per row, in order; an absent or None feature counts as ordinary.

        Raises TransientError when the model cannot be reached now, PermanentError when it refuses the request.
        """
        ...
