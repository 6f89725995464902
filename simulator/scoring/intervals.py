"""Shares with their uncertainty: the Wilson score interval at 95 %."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

_Z_95 = 1.959963984540054


def wilson(hits: int, trials: int) -> tuple[float, float] | None:
    """Lower and upper end of the share behind `hits` of `trials`, 95 % confidence; None without trials.

    Unlike the usual plus-minus it stays inside 0..1 and says something about 200 of 200 (above 0.981).
    """
    if trials <= 0:
        return None
    share, z2 = hits / trials, _Z_95 * _Z_95
    scale = 1 + z2 / trials
    middle = (share + z2 / (2 * trials)) / scale
    half = _Z_95 / scale * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    # At the ends the formula gives 0 and 1 but for the last bit.
    return (0.0 if hits == 0 else max(0.0, middle - half)), (1.0 if hits == trials else min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `trials`."""

    hits: int
    trials: int

    @property
    def value(self) -> float | None:
        """The share, None without trials."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson interval of the share at 95 %."""
        return wilson(self.hits, self.trials)

    def as_json(self) -> dict[str, Any]:
        """Counts, share and interval."""
        low, high = self.interval or (None, None)
        return {"hits": self.hits, "of": self.trials, "value": self.value, "low": low, "high": high}
