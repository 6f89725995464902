"""When things happen: market sessions, drop-copy and booking delays, the slots at which brokers' files are cut."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.random import Generator

from simulator.calendars import is_open
from simulator.market.world import World
from simulator.records import I32, I64, SECOND_NS, Bool, Source

EPOCH = date(1970, 1, 1)
DAY_NS = 86_400 * SECOND_NS
MS_NS = 1_000_000
NEW_YORK = ZoneInfo("America/New_York")

# How long after the other side's record (FIX) or after its next file (files) a source's own record may still come.
GRACE_SECONDS: Mapping[Source, int] = MappingProxyType(
    {
        Source.OMS: 60,
        Source.ALPHA: 60,
        Source.BRAVO: 60,
        Source.CHARLIE: 600,
        Source.DELTA: 600,
        Source.ECHO: 600,
    }
)
# New York times at which a broker cuts a file of everything booked since the one before.
SLOTS: Mapping[Source, tuple[time, ...]] = MappingProxyType(
    {
        Source.CHARLIE: (time(12, 0), time(16, 30), time(18, 30)),
        Source.DELTA: (time(18, 30),),
        Source.ECHO: (time(6, 0),),
    }
)
# A file shows what its broker knew this long before the cut.
CUT_NS = 60 * SECOND_NS
# Longest usual delay of a booking behind the fund's own record, in ms.
_LAG_MS: Mapping[Source, int] = MappingProxyType({Source.ALPHA: 15_000, Source.BRAVO: 40_000})
_CHARLIE_FIX_SECONDS = (30, 840)

# market -> (zone, opening, seconds of trading); everything else keeps New York hours.
_SESSIONS: Mapping[str, tuple[str, time, int]] = MappingProxyType(
    {
        "XLON": ("Europe/London", time(8, 0), 30_600),
        "XETR": ("Europe/Berlin", time(9, 0), 30_600),
        "XPAR": ("Europe/Berlin", time(9, 0), 30_600),
        "XAMS": ("Europe/Berlin", time(9, 0), 30_600),
        "XTKS": ("Asia/Tokyo", time(9, 0), 21_600),
        "XHKG": ("Asia/Hong_Kong", time(9, 30), 23_400),
    }
)
_CALENDARS: Mapping[str, str] = MappingProxyType(
    {mic: mic for mic in ("XLON", "XETR", "XPAR", "XAMS", "XHKG")} | {"XTKS": "XJPX", "XEUR": "XETR", "IFLL": "XLON"}
)
_US_SESSION = ("America/New_York", time(9, 30), 23_400)


def local_ns(day: int, at: time, zone: ZoneInfo = NEW_YORK) -> int:
    """The UTC ns of a local time on `day` (days since 1970)."""
    moment = datetime.combine(EPOCH + timedelta(days=day), at, zone)
    return int(moment.timestamp()) * SECOND_NS


def sessions(world: World, instruments: I32, day: int) -> tuple[I64, I64]:
    """First moment (UTC ns) and length (ns) of the trading session of each instrument's market on `day`."""
    mics, inverse = np.unique(world.instruments.mic, return_inverse=True)
    opens, lengths = [], []
    for mic in mics:
        zone, opening, seconds = _SESSIONS.get(str(mic), _US_SESSION)
        opens.append(local_ns(day, opening, ZoneInfo(zone)))
        lengths.append(seconds * SECOND_NS)
    at = inverse[instruments]
    return np.array(opens, np.int64)[at], np.array(lengths, np.int64)[at]


def open_lines(world: World, day: int) -> Bool:
    """Which instruments' markets are open on `day`; where no market of ours is named, New York's counts."""
    mics, inverse = np.unique(world.instruments.mic, return_inverse=True)
    today = EPOCH + timedelta(days=day)
    opened = np.array([is_open(_CALENDARS.get(str(mic), "XNYS"), today) for mic in mics])
    made: Bool = opened[inverse]
    return made


def business_day(day: int, step: int) -> int:
    """The next (`step` 1) or previous (-1) NYSE trading day of `day`, both as days since 1970."""
    found = EPOCH + timedelta(days=day + step)
    while not is_open("XNYS", found):
        found += timedelta(days=step)
    return (found - EPOCH).days


@cache
def _slots(source: Source, first: int, last: int) -> I64:
    days = [day for day in range(first, last + 1) if is_open("XNYS", EPOCH + timedelta(days=day))]
    return np.array([local_ns(day, at) for day in days for at in SLOTS[source]], np.int64)


def slot_after(source: Source, ns: I64) -> I64:
    """The first file cut of `source` strictly after each moment; `source` must be one that sends files."""
    if not len(ns):
        return ns
    first, last = int(ns.min()) // DAY_NS, int(ns.max()) // DAY_NS
    slots = _slots(source, first - 1, last + 8)
    found: I64 = slots[np.searchsorted(slots, ns, side="right")]
    return found


def sends_files(source: Source, charlie_fix: bool) -> bool:
    """Whether a source's records come in files rather than over a FIX session."""
    return source in SLOTS and not (source is Source.CHARLIE and charlie_fix)


def due(source: Source, known_ns: I64, charlie_fix: bool = False) -> I64:
    """When a record of `source` about something known at `known_ns` is late: its next file or at once, plus grace."""
    grace = GRACE_SECONDS[source] * SECOND_NS
    if sends_files(source, charlie_fix):
        return slot_after(source, known_ns + CUT_NS) + grace
    return known_ns + grace + (_CHARLIE_FIX_SECONDS[1] * SECOND_NS if source is Source.CHARLIE else 0)


def drop_copy(random: Generator, event_ns: I64) -> I64:
    """Arrival of the fund's own copy: 5 to 500 ms after the event, 2% of them 1 to 60 s."""
    delay = random.integers(5_000, 500_000, len(event_ns))
    slow = random.random(len(event_ns)) < 0.02
    delay[slow] = random.integers(1_000_000, 60_000_000, int(slow.sum()))
    return event_ns + delay * 1_000


def booked_live(random: Generator, source: Source, ours_ns: I64, first: bool = True) -> I64:
    """Arrival of a booking over FIX for a record of ours: seconds later; 2% of first versions a ms before ours."""
    if source is Source.CHARLIE:
        low, high = _CHARLIE_FIX_SECONDS
        return ours_ns + random.integers(low * 1_000, high * 1_000, len(ours_ns)) * MS_NS
    lag = random.integers(200, _LAG_MS[source], len(ours_ns)) * MS_NS
    if first:
        lag[random.random(len(ours_ns)) < 0.02] = -MS_NS
    return ours_ns + lag


def booked_file(source: Source, known_ns: I64, day: int) -> I64:
    """Arrival of a booking by file; what was known before the morning of `day` goes into the files of that day."""
    return slot_after(source, np.maximum(known_ns + CUT_NS, local_ns(day, time(6, 0))))


def morning(random: Generator, day: int, rows: int) -> I64:
    """Moments between 07:00 and 09:15 New York time on `day`."""
    return local_ns(day, time(7, 0)) + random.integers(0, 8_100_000, rows) * MS_NS
