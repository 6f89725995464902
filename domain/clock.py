"""Time: the one place that reads wall time; everything else is handed a Clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where an adapter or loop takes its time from."""

    def now_ns(self) -> int:
        """UTC wall time in integer nanoseconds since 1970-01-01."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told; `sleep` advances it, so waits cost nothing in tests and replays."""

    def __init__(self, start_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._now_ns / 1e9

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`; raises ValueError for a negative step."""
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._now_ns += int(seconds * 1_000_000_000)
