"""Profiles: how big a simulated flow is, what it is made of, and how much goes wrong in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

ALL_PBS = "ABCDE"

# Shares of orders by kind of instrument; `equity` is equities and ETFs.
MIX = MappingProxyType({"equity": 82, "option": 6, "future": 4, "fx": 3, "bond": 4, "otc": 1})
# Where each planted code must find enough trades of its kind.
STRESS_MIX = MappingProxyType({"equity": 64, "option": 8, "future": 6, "fx": 6, "bond": 10, "otc": 6})


@dataclass(frozen=True, slots=True)
class Profile:
    """One size of flow.

    `breaks` is realistic (rates per 1,000 bookings), stress (a number per code), or none; `noise` multiplies the
    shares of the benign variations; `transport` turns repetitions, gaps, damage and file faults on; `days` are
    consecutive business days whose positions and open breaks carry over. `codes` limits what is planted (empty: all).
    `charlie_fix` lets CHARLIE send AllocationReports over FIX instead of files. `blocks_percent` of equity orders are
    blocks that the fund allocates to accounts afterwards; `next_day_percent` of corrections come the next morning.
    An order has at most `most_fills` executions. `cases` limits the adversarial set-ups (empty: all).
    """

    name: str
    fills: int
    days: int = 1
    breaks: str = "realistic"
    noise: float = 1.0
    transport: bool = True
    adversarial: int = 2
    pbs: str = ALL_PBS
    mix: Mapping[str, int] = field(default_factory=lambda: MIX)
    codes: tuple[str, ...] = ()
    charlie_fix: bool = False
    rate_factor: float = 1.0
    blocks_percent: int = 40
    next_day_percent: int = 40
    most_fills: int = 400
    cases: tuple[str, ...] = ()


PROFILES = MappingProxyType(
    {
        "smoke": Profile("smoke", 2_000),
        "day": Profile("day", 30_000),
        "heavy": Profile("heavy", 1_000_000),
        "stress": Profile("stress", 200_000, breaks="stress", adversarial=20, mix=STRESS_MIX),
        "noise-only": Profile("noise-only", 30_000, breaks="none", adversarial=0),
        "soak": Profile("soak", 5_000, days=20),
    }
)
# The day of `tieout demo`, played over FIX sessions in seconds: nothing that comes days later, and the codes that a
# service names from trades alone.
DEMO = Profile(
    "demo",
    2_000,
    pbs="ABC",
    mix=MappingProxyType({"equity": 1}),
    codes=(
        "T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10", "T12", "T13", "T14", "T15", "T16", "T18",
        "T22", "T28", "I01",
    ),
    charlie_fix=True,
    rate_factor=1.25,
    blocks_percent=0,
    next_day_percent=0,
    most_fills=15,
    cases=(
        "two_breaks", "break_and_cure", "twins_swapped", "offsetting", "inside_tolerance", "outside_tolerance",
        "two_brokers",
    ),
)  # fmt: skip
