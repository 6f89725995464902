"""FIX logs: a schedule's messages rendered, framed and written a chunk at a time, so that memory stays flat."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator

from simulator.delivery.damage import Damaged, damaged_bytes, nonsense
from simulator.delivery.schedule import Damage, Schedule
from simulator.emit.fix import frame
from simulator.emit.text import log_time, utc
from simulator.records import Index, Records, noisy
from simulator.truth_file import text_bytes

TARGET = "TIEOUT"
CHUNK = 100_000
# In the archives of some engines BodyLength(9) has leading zeros.
_PADDED_LENGTH = 24


class Emitter(Protocol):
    """A source's dialect of FIX: its version, its CompID and how its records become messages."""

    BEGIN: str
    SENDER: str

    def heads(self, records: Records) -> Index:
        """The rows that head a message."""

    def render(self, context: Any, records: Records, rows: Index) -> tuple[Any, pa.StringArray]:
        """MsgType(35) and body of the messages headed by `rows`."""


@dataclass(frozen=True, slots=True)
class Session:
    """One counterparty's FIX session: who renders, and the records of that source alone."""

    source: str
    emitter: Any
    context: Any
    records: Records

    @property
    def name(self) -> str:
        """The session as the receiving side knows it, `SENDER->TIEOUT`."""
        return f"{self.emitter.SENDER}->{TARGET}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some transmissions in order: sending times as log text, messages as bytes, and the damaged ones among them."""

    plan: Schedule
    times: pa.StringArray
    raws: pa.BinaryArray
    damaged: tuple[Damaged, ...]


def chunks(session: Session, plan: Schedule, rng: Generator, size: int = CHUNK) -> Iterator[Chunk]:
    """The messages of the plan, `size` at a time; `Damaged.at` counts through the whole plan."""
    for begin in range(0, len(plan), size):
        part = plan.take(slice(begin, begin + size))
        msg_type, bodies = _rendered(session, part.row)
        bodies, shown = nonsense(part, bodies)
        idle = pa.array(part.damage == Damage.IDLE)
        if pc.any(idle).as_py():
            msg_type, bodies = pc.if_else(idle, "0", msg_type), pc.if_else(idle, "", bodies)
        raws = frame(
            session.emitter.BEGIN,
            session.emitter.SENDER,
            TARGET,
            part.seq,
            utc(part.at_ns),
            msg_type,
            bodies,
            poss_dup=part.poss_dup,
            orig_sending=utc(part.orig_ns) if part.poss_dup.any() else None,
            poss_resend=part.poss_resend,
            padded=noisy(session.records.noise[part.row], _PADDED_LENGTH),
            wrong_checksum=part.damage == Damage.CHECKSUM,
        )
        times = log_time(part.at_ns)
        raws, damaged = damaged_bytes(rng, part, raws, shown, times)
        moved = tuple(Damaged(begin + each.at, each.damage, each.shown, each.hashes) for each in damaged)
        yield Chunk(part, times, raws, moved)


def _rendered(session: Session, rows: Index) -> tuple[pa.StringArray, pa.StringArray]:
    """MsgType(35) and body of each row; one that is sent more than once is rendered once."""
    once, place = np.unique(rows, return_inverse=True)
    msg_type, bodies = session.emitter.render(session.context, session.records, once)
    back = pa.array(place)
    return msg_type.take(back), bodies.take(back)


def write_log(out: BinaryIO, session: Session, plan: Schedule, rng: Generator, size: int = CHUNK) -> list[Damaged]:
    """Write the log, `2026-11-20T14:30:01.123456789Z 8=FIX...` a line, and return what of it is damaged."""
    found: list[Damaged] = []
    for chunk in chunks(session, plan, rng, size):
        times = chunk.times.cast(pa.binary())
        out.write(text_bytes(pc.binary_join_element_wise(times, b" ", chunk.raws, b"\n", b"")))
        found += chunk.damaged
    return found


def messages(session: Session, plan: Schedule, rng: Generator, found: list[Damaged]) -> list[tuple[int, bytes]]:
    """The plan's messages in memory: sending time in UTC nanoseconds and bytes; what is damaged goes to `found`."""
    made: list[tuple[int, bytes]] = []
    for chunk in chunks(session, plan, rng):
        made += zip(chunk.plan.at_ns.tolist(), chunk.raws.to_pylist(), strict=True)
        found += chunk.damaged
    return made
