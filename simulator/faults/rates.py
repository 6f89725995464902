"""How many breaks of each of the 53 codes a day carries: a rate per 1,000 bookings, or a fixed number under stress."""

from collections.abc import Mapping
from types import MappingProxyType

from simulator.profiles import Profile

# code -> (realistic rate per 1,000 bookings at prime brokers, number planted under stress).
# The trade rates add up to about 48 economic breaks per 1,000 bookings, 14 unaffirmed, 10 late, 5 rounding.
RATES: Mapping[str, tuple[float, int]] = MappingProxyType(
    {
        "T01": (6.0, 400), "T02": (3.0, 400), "T03": (1.0, 200), "T04": (0.5, 200), "T05": (2.5, 400),
        "T06": (3.5, 400), "T07": (0.5, 200), "T08": (1.0, 200), "T09": (0.8, 200), "T10": (2.0, 300),
        "T11": (1.5, 300), "T12": (1.0, 200), "T13": (1.0, 200), "T14": (3.0, 300), "T15": (0.8, 200),
        "T16": (5.0, 400), "T17": (4.0, 400), "T18": (2.0, 300), "T19": (1.0, 200), "T20": (1.0, 200),
        "T21": (0.5, 200), "T22": (1.5, 300), "T23": (2.0, 300), "T24": (0.5, 200), "T25": (1.0, 200),
        "T26": (0.8, 200), "T27": (14.0, 200), "T28": (10.0, 400), "T29": (5.0, 200), "T30": (0.5, 200),
        "P01": (1.0, 100), "P02": (0.3, 60), "P03": (0.3, 60), "P04": (0.3, 60), "P05": (2.0, 60),
        "P06": (0.3, 60), "P07": (1.0, 60), "P08": (0.2, 60),
        "C01": (0.5, 60), "C02": (0.5, 60), "C03": (0.5, 60), "C04": (0.3, 60), "C05": (0.1, 60),
        "S01": (19.0, 100), "S02": (2.0, 60), "S03": (2.0, 100),
        "I01": (1.0, 100), "I02": (5.0, 100), "I03": (1.0, 100), "I04": (0.5, 60), "I05": (0.3, 30),
        "I06": (0.1, 20), "I07": (0.1, 20),
    }
)  # fmt: skip

# Planted on top of the above and put right later by the broker, as a share of the open ones.
CURED_SHARE = 0.15
CURED_CODES = ("T01", "T05", "T06", "T10", "T14", "T16")


def planned(profile: Profile, bookings: int) -> dict[str, int]:
    """How many of each code to plant on a day of `bookings` clean records at prime brokers; all 53 codes are named.

    A code outside `profile.codes` (where that is not empty) counts zero, as do all when `profile.breaks` is none.
    """
    return {code: _count(profile, code, bookings) for code in RATES}


def cured(code: str, count: int) -> int:
    """How many breaks of `code` a broker repairs the same day where `count` stay open."""
    return round(count * CURED_SHARE) if code in CURED_CODES else 0


def _count(profile: Profile, code: str, bookings: int) -> int:
    if profile.breaks == "none" or (profile.codes and code not in profile.codes):
        return 0
    rate, stress = RATES[code]
    if profile.breaks == "stress":
        return stress
    return max(1, round(rate * bookings / 1000 * profile.rate_factor))
