"""All FIX sessions of a run: their records, what happens to the messages of each, and the labels that follow."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.delivery import sessions
from simulator.delivery.sessions import Planned, Trouble
from simulator.emit.context import Context
from simulator.flow.rng import rng
from simulator.records import Index, Source
from simulator.run import Run

# A live session is never silent for longer than this.
_IDLE_SECONDS = 60
_CODES = ("I01", "I02", "I05")


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One source's session: the rows of the run's records that are its own, and their schedule."""

    source: Source
    rows: Index
    planned: Planned


def fix_sources(run: Run) -> tuple[Source, ...]:
    """The sources of the run that send FIX messages."""
    return tuple(source for source in run.sources if sessions.over_fix(source, run.profile.charlie_fix))


def ways(run: Run, *, on_wire: bool = False, rate: float | None = None) -> list[Way]:
    """The sessions of a run. `on_wire` leaves out what a live session repairs or refuses by itself; `rate` are the
    messages a second it is played at, by which silences are known that need a heartbeat."""
    sources, records = fix_sources(run), run.trades.records
    shares = _shares(run, len(sources))
    arrivals = records.arrive_ns[np.isin(records.source, sources)]
    idle = int(np.ptp(arrivals) * rate / len(arrivals)) * _IDLE_SECONDS if rate and len(arrivals) else 0
    context = Context(run.world, run.trades.orders)
    made = []
    for number, source in enumerate(sources):
        rows = np.flatnonzero(records.source == source)
        session = sessions.session(source, context, records.take(rows))
        if run.profile.transport:
            trouble = Trouble(*(int(shares[code][number]) for code in _CODES))
            draw = rng(run.seed, run.days[0], f"way {source.name}")
            planned = sessions.disturbed(draw, session, run.spoiled[rows], trouble, on_wire=on_wire, idle_ns=idle)
        else:
            planned = sessions.undisturbed(session)
        made.append(Way(source, rows, planned))
    return made


def _shares(run: Run, sources: int) -> Mapping[str, Index]:
    """How many of each code fall on each session."""
    draw = rng(run.seed, run.days[0], "trouble")
    return {
        code: np.bincount(draw.integers(0, sources, run.troubles[code]), minlength=sources).astype(np.int64)
        for code in _CODES
    }


def note_noise(run: Run, made: list[Way]) -> None:
    """Tell the run's records which of them the way repeated."""
    for way in made:
        run.trades.records.noise[way.rows] |= way.planned.noise
