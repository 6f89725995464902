"""`tieout simulate`: a simulated fund and its prime brokers written to a folder, with the truth to score against."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from domain.clock import Clock, SystemClock
from simulator.calendars import last_business_day
from simulator.manifest import Manifest, OutputRefused
from simulator.profiles import ALL_PBS, PROFILES, Profile
from simulator.simulate import LIVE_PBS, simulate

MOST_FILLS = 5_000_000
LEAST_FILLS = 20
# Reference data begins and calendars end a little beyond these.
YEARS = range(2016, 2046)


class SimulateRefused(Exception):
    """The command cannot do what it was asked; the text is one line for a person."""


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What the command line asked for."""

    out: Path
    profile: str = "smoke"
    seed: int = 7
    pbs: str | None = None
    fills: int | None = None
    date: str | None = None
    live: bool = False
    to: str | None = None
    rate: float | None = None


def run_simulate(options: SimulateOptions, say: Callable[[str], None], clock: Clock | None = None) -> None:
    """Simulate to the folder, or over FIX sessions with `live`. Raises SimulateRefused."""
    clock = clock or SystemClock()
    profile, first = profile_of(options), first_day(options.date, clock)
    if options.live:
        from app.simulate_live import play

        play(options, profile, first, say, clock)
        return
    if options.to is not None or options.rate is not None:
        raise SimulateRefused("--to and --rate are for --live; without it nothing is sent")
    started = clock.monotonic()
    try:
        made = simulate(profile, options.seed, first, options.out)
    except OutputRefused as error:
        raise SimulateRefused(str(error)) from None
    except OSError as error:
        raise SimulateRefused(f"{error.filename or options.out}: {(error.strerror or str(error)).lower()}") from None
    say(summary(made, options.out, clock.monotonic() - started))


def profile_of(options: SimulateOptions) -> Profile:
    """The profile with what the command line changes of it. Raises SimulateRefused."""
    profile = PROFILES.get(options.profile)
    if profile is None:
        raise SimulateRefused(f"--profile {options.profile}: no such profile; known: {', '.join(PROFILES)}")
    if options.pbs is not None:
        profile = replace(profile, pbs=_letters(options.pbs))
    if options.fills is not None:
        if not LEAST_FILLS <= options.fills <= MOST_FILLS:
            raise SimulateRefused(f"--fills {options.fills}: expected {LEAST_FILLS} to {MOST_FILLS:,}")
        profile = replace(profile, fills=options.fills)
    if options.seed < 0:
        raise SimulateRefused(f"--seed {options.seed}: expected 0 or more")
    if options.live and not set(profile.pbs) & set(LIVE_PBS):
        raise SimulateRefused(f"--pbs {options.pbs}: only {', '.join(LIVE_PBS)} can be played live")
    return profile


def _letters(text: str) -> str:
    given = [part.strip().upper() for part in text.split(",") if part.strip()]
    for letter in given:
        if len(letter) != 1 or letter not in ALL_PBS:
            known = ",".join(ALL_PBS)
            raise SimulateRefused(f"--pbs {text}: {letter!r} is no prime broker; choose from {known}")
    if not given:
        raise SimulateRefused(f"--pbs {text!r}: names no prime broker; choose from {','.join(ALL_PBS)}")
    return "".join(letter for letter in ALL_PBS if letter in given)


def first_day(text: str | None, clock: Clock) -> date:
    """The day asked for, else the last US business day. Raises SimulateRefused for another than a simulated day."""
    if text is None:
        return last_business_day(datetime.fromtimestamp(clock.now_ns() / 1e9, UTC).date())
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise SimulateRefused(f"--date {text!r} is not a date like 2026-11-20") from None
    if day.year not in YEARS:
        raise SimulateRefused(f"--date {text}: the simulated markets are open from {YEARS[0]} to {YEARS[-1]}")
    return day


def summary(made: Manifest, out: Path, seconds: float) -> str:
    """What was made, in a few lines."""
    days = made.trade_dates[0] if len(made.trade_dates) == 1 else f"{made.trade_dates[0]} to {made.trade_dates[-1]}"
    size = sum(file.bytes for file in made.files.values()) / 1e6
    breaks, codes = sum(made.breaks.values()), len(made.breaks)
    return (
        f"{made.profile}, {days}, seed {made.seed}: {made.counts['fills']:,} fills,"
        f" {sum(made.bookings.values()):,} bookings at {', '.join(made.bookings)}\n"
        f"{breaks:,} breaks of {codes} codes planted; {made.counts['messages']:,} messages\n"
        f"{out}: {len(made.files)} files, {size:,.1f} MB in {seconds:.1f} s\n"
        f"tie out:  tieout reconcile --config {out / 'tieout.yaml'} --out result"
    )
