"""The gate before a ticket system: a token bucket below the tenant's hourly limit, and a circuit breaker."""

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alerting.port import TicketBusy, TicketThrottled
from domain.clock import Clock

_HOUR_SECONDS = 3_600.0
# What is left of the hourly limit for others who work under the same user, and for clocks that differ.
_SHARE = 0.95
# A budget on record is this share of the bucket below what is left, so that not every request has to be written down.
_AHEAD = 0.1
_NANOSECONDS = 1e9


class Circuit(StrEnum):
    """What the breaker lets through: everything, nothing, or one request to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class GateLimits:
    """`requests_per_hour` is the tenant's rule (0: none); `burst` requests may go at once when nothing was sent."""

    requests_per_hour: int = 0
    burst: int = 100
    breaker_failures: int = 8
    breaker_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a gate that starts again must know: requests left at `at_ns` (UTC), the limit the service stated
    (0: none), and until when it asked to wait (UTC ns, 0: it did not). `left` is never more than the truth.
    """

    left: float
    at_ns: int
    hourly: int = 0
    blocked_until_ns: int = 0


class BudgetBook(Protocol):
    """Keeps a budget over restarts; called with the gate's lock held."""

    def load(self) -> Budget | None:
        """What was kept last; None for nothing, or nothing that can be read."""
        ...

    def keep(self, budget: Budget) -> None:
        """Keep it: readable after the process was killed at any moment."""
        ...


class Gate:
    """Says whether a request may go now; used from several threads.

    In any hour at most `burst` plus the refill goes out, which together stay below the hourly limit; with a `book`
    also over restarts.
    """

    def __init__(self, clock: Clock, limits: GateLimits | None = None, book: BudgetBook | None = None) -> None:
        self._clock = clock
        self._limits = limits or GateLimits()
        self._lock = threading.Lock()
        self._hourly = 0
        self._adopt(self._limits.requests_per_hour)
        self._tokens = self._capacity
        self._filled_at = clock.monotonic()
        self._blocked_until = 0.0
        self._book = book
        # What the book would say is left, as of `_filled_at`.
        self._noted = self._tokens
        self._resume()
        self._failures = 0
        self._words = ""
        self._opened_at: float | None = None
        self._trying = False

    @property
    def circuit(self) -> Circuit:
        """The breaker's state now."""
        with self._lock:
            return self._circuit()

    @property
    def largest(self) -> int:
        """The most requests that can go together without breaking the budget; with no limit, any number can."""
        with self._lock:
            return int(self._capacity) if self._hourly else 1_000_000

    def enter(self, cost: int = 1) -> None:
        """Take `cost` requests (at most `largest`) from the budget.

        Raises TicketThrottled or, with the breaker open, TicketBusy.
        """
        with self._lock:
            now = self._clock.monotonic()
            state = self._circuit()
            if state is Circuit.OPEN or (state is Circuit.HALF_OPEN and self._trying):
                left = max(0.0, (self._opened_at or 0.0) + self._limits.breaker_seconds - now)
                raise TicketBusy(f"not asked after {self._failures} failures, last: {self._words}", None, left)
            if self._blocked_until > now:
                raise TicketThrottled("ticket service asked to wait", 429, self._blocked_until - now)
            self._take(cost, now)
            self._trying = state is Circuit.HALF_OPEN

    def succeeded(self) -> None:
        """The service answered: the breaker closes."""
        with self._lock:
            self._failures, self._opened_at, self._trying = 0, None, False

    def failed(self, words: str) -> None:
        """No answer, or one that says the service is down (`words`); enough of them in a row open the breaker."""
        with self._lock:
            self._failures += 1
            self._words = words
            self._trying = False
            if self._failures >= self._limits.breaker_failures:
                self._opened_at = self._clock.monotonic()

    def limited(self, retry_after_seconds: float) -> None:
        """The service refused for its rate limit: nothing goes out before `retry_after_seconds` have passed."""
        with self._lock:
            self._failures, self._opened_at, self._trying = 0, None, False
            self._blocked_until = max(self._blocked_until, self._clock.monotonic() + retry_after_seconds)
            self._note()

    def told_limit(self, requests_per_hour: int) -> None:
        """The service's own statement of its limit (X-RateLimit-Limit); a lower one than ours is adopted."""
        with self._lock:
            if requests_per_hour > 0 and (not self._hourly or requests_per_hour < self._hourly):
                self._fill()
                self._adopt(requests_per_hour)
                self._tokens = min(self._tokens, self._capacity)
                self._note()

    def reset(self) -> None:
        """Somebody asked to try again: the breaker closes and a wait the service asked for is over."""
        with self._lock:
            waited = self._blocked_until > 0.0
            self._failures, self._opened_at, self._trying, self._blocked_until = 0, None, False, 0.0
            if waited:
                self._note()

    def _resume(self) -> None:
        """Go on where the process before this one stopped."""
        known = self._book.load() if self._book else None
        if known is None:
            return
        if known.hourly and (not self._hourly or known.hourly < self._hourly):
            self._adopt(known.hourly)
        now_ns = self._clock.now_ns()
        # A clock that went back gives nothing back.
        passed = max(0, now_ns - known.at_ns) / _NANOSECONDS
        self._tokens = self._noted = min(self._capacity, known.left + passed * self._refill)
        wait = min((known.blocked_until_ns - now_ns) / _NANOSECONDS, _HOUR_SECONDS)
        if wait > 0:
            self._blocked_until = self._clock.monotonic() + wait

    def _note(self) -> None:
        """Write down a little less than is left: it holds until that much more is spent."""
        if self._book is None:
            return
        self._noted = self._tokens - (self._capacity * _AHEAD if self._hourly else 0.0)
        now_ns = self._clock.now_ns()
        wait = self._blocked_until - self._clock.monotonic()
        until = now_ns + int(wait * _NANOSECONDS) if wait > 0 else 0
        stated = self._hourly if self._hourly != self._limits.requests_per_hour else 0
        self._book.keep(Budget(self._noted, now_ns, stated, until))

    def _adopt(self, requests_per_hour: int) -> None:
        self._hourly = requests_per_hour
        allowed = requests_per_hour * _SHARE
        self._capacity = max(1.0, min(float(self._limits.burst), allowed / 2))
        self._refill = max(allowed - self._capacity, 1.0) / _HOUR_SECONDS

    def _take(self, cost: int, now: float) -> None:
        if not self._hourly:
            return
        self._fill(now)
        if self._tokens < cost:
            wait = (cost - self._tokens) / self._refill
            raise TicketThrottled(f"hourly budget of {self._hourly} requests is spent", None, wait)
        self._tokens -= cost
        if self._tokens < self._noted:
            self._note()

    def _fill(self, now: float | None = None) -> None:
        at = self._clock.monotonic() if now is None else now
        gained = (at - self._filled_at) * self._refill
        self._tokens = min(self._capacity, self._tokens + gained)
        self._noted = min(self._capacity, self._noted + gained)
        self._filled_at = at

    def _circuit(self) -> Circuit:
        if self._opened_at is None:
            return Circuit.CLOSED
        waited = self._clock.monotonic() - self._opened_at
        return Circuit.HALF_OPEN if waited >= self._limits.breaker_seconds else Circuit.OPEN
