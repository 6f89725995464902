"""The gate: below the hourly limit in any hour, closed while the service is down, patient when it is told to wait."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.gate import Budget, Circuit, Gate, GateLimits
from alerting.port import TicketBusy, TicketThrottled
from domain.clock import ManualClock

HOUR = 3_600.0


def test_without_a_limit_everything_passes():
    gate = Gate(ManualClock())
    for _ in range(10_000):
        gate.enter()


@given(limit=st.integers(1, 3_000), steps=st.lists(st.tuples(st.floats(0, 900), st.integers(1, 60)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_hour_ever_holds_more_than_the_limit(limit, steps):
    clock = ManualClock()
    gate = Gate(clock, GateLimits(limit))
    sent: list[tuple[float, int]] = []
    for seconds, cost in steps:
        clock.advance(seconds)
        asked = min(cost, gate.largest)
        try:
            gate.enter(asked)
        except TicketThrottled as spent:
            assert spent.retry_after_seconds is not None
            clock.advance(spent.retry_after_seconds + 0.001)
            gate.enter(asked)  # what it says is when it is right
        sent.append((clock.monotonic(), asked))
    for start, _ in sent:
        assert sum(cost for at, cost in sent if start <= at < start + HOUR) <= max(limit, 2)


def test_a_lower_limit_that_the_service_states_is_adopted():
    clock = ManualClock()
    gate = Gate(clock, GateLimits(5_000, burst=1_000))
    gate.told_limit(10)
    with pytest.raises(TicketThrottled):
        for _ in range(10):
            gate.enter()
    gate.told_limit(1_000_000)
    assert gate.largest < 10, "a higher one is not: ours was given for a reason"


def test_the_breaker_opens_tries_one_and_closes():
    clock = ManualClock()
    gate = Gate(clock, GateLimits(breaker_failures=3, breaker_seconds=10))
    for number in range(3):
        assert gate.circuit is Circuit.CLOSED
        gate.enter()
        gate.failed(f"answered 503 #{number}")
    with pytest.raises(TicketBusy, match=r"3 failures, last: answered 503 #2") as raised:
        gate.enter()
    assert raised.value.retry_after_seconds == 10 and gate.circuit is Circuit.OPEN
    clock.advance(10)
    assert gate.circuit is Circuit.HALF_OPEN
    gate.enter()
    with pytest.raises(TicketBusy):
        gate.enter()  # one is being tried
    gate.failed("still 503")
    assert gate.circuit is Circuit.OPEN
    clock.advance(10)
    gate.enter()
    gate.succeeded()
    gate.enter()
    assert gate.circuit is Circuit.CLOSED


def test_a_wait_the_service_asked_for_is_kept_until_somebody_asks():
    clock = ManualClock()
    gate = Gate(clock)
    gate.limited(60)
    with pytest.raises(TicketThrottled) as raised:
        gate.enter()
    assert raised.value.retry_after_seconds == 60
    gate.reset()
    gate.enter()


class Page:
    """A book that outlives its gates."""

    def __init__(self):
        self.budget: Budget | None = None
        self.writes = 0

    def load(self):
        return self.budget

    def keep(self, budget):
        self.budget, self.writes = budget, self.writes + 1


@given(
    limit=st.integers(2, 3_000),
    steps=st.lists(st.tuples(st.floats(0, 900), st.integers(1, 60), st.booleans()), max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_no_hour_holds_more_than_the_limit_over_restarts_either(limit, steps):
    clock, page = ManualClock(), Page()
    gate = Gate(clock, GateLimits(limit), page)
    sent: list[tuple[float, int]] = []
    for seconds, cost, dies in steps:
        clock.advance(seconds)
        gate = Gate(clock, GateLimits(limit), page) if dies else gate
        asked = min(cost, gate.largest)
        try:
            gate.enter(asked)
        except TicketThrottled as spent:
            clock.advance((spent.retry_after_seconds or 0.0) + 0.001)
            gate.enter(asked)
        sent.append((clock.monotonic(), asked))
    for start, _ in sent:
        assert sum(cost for at, cost in sent if start <= at < start + HOUR) <= max(limit, 2)


def test_a_gate_that_starts_again_knows_what_was_spent_stated_and_asked():
    clock, page = ManualClock(), Page()
    gate = Gate(clock, GateLimits(5_000, burst=100), page)
    for _ in range(100):
        gate.enter()
    assert page.writes <= 12, "not every request is written down"
    with pytest.raises(TicketThrottled):
        Gate(clock, GateLimits(5_000, burst=100), page).enter()
    gate.told_limit(40)
    gate.limited(600)
    again = Gate(clock, GateLimits(5_000, burst=100), page)
    assert again.largest == 19, "the limit the service stated"
    with pytest.raises(TicketThrottled, match="asked to wait") as raised:
        again.enter()
    assert raised.value.retry_after_seconds == pytest.approx(600)
    again.reset()
    clock.advance(HOUR)
    Gate(clock, GateLimits(5_000, burst=100), page).enter()


def test_a_budget_of_a_clock_that_was_ahead_gives_nothing_back():
    clock, page = ManualClock(), Page()
    page.budget = Budget(0.0, clock.now_ns() + 3_600_000_000_000)
    with pytest.raises(TicketThrottled):
        Gate(clock, GateLimits(1_000), page).enter()
