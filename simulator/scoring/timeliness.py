"""Timeliness: how long after a break could be known the result opened it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.scoring.truth import Label


@dataclass(frozen=True, slots=True)
class Timeliness:
    """Delays in seconds over labels that say when they were detectable and were reported with a time of opening.

    `early` counts those opened before anybody could know by the truth's reckoning.
    """

    delays: tuple[float, ...]

    @property
    def early(self) -> int:
        """How many delays are negative."""
        return sum(delay < 0 for delay in self.delays)

    def quantile(self, share: float) -> float:
        """The smallest delay that `share` of all do not exceed."""
        return float(np.quantile(self.delays, share, method="inverted_cdf"))

    def as_json(self) -> dict[str, Any]:
        """Count, median, 99th percentile and largest delay in seconds."""
        return {
            "labels": len(self.delays),
            "p50_seconds": self.quantile(0.5),
            "p99_seconds": self.quantile(0.99),
            "max_seconds": max(self.delays),
            "early": self.early,
        }


def timeliness(labels: Sequence[Label], opened: Mapping[int, int]) -> Timeliness | None:
    """Delays of the labels in `opened` (place: UTC nanoseconds); None where nothing can be said.

    A result that opened at one instant what could be known at different times looked once, at the end: it says
    nothing about delay.
    """
    known = [(at, labels[place].detectable_at) for place, at in sorted(opened.items())]
    pairs = [(at, detectable) for at, detectable in known if detectable is not None]
    openings, detectables = {at for at, _ in pairs}, {detectable for _, detectable in pairs}
    if not pairs or (len(openings) == 1 and len(detectables) > 1):
        return None
    return Timeliness(tuple((at - detectable) / 1e9 for at, detectable in pairs))
