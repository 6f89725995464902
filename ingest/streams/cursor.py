"""A reader's place in a stream of records: positions inside records, and what was fetched but not yet returned."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import PermanentError
from ingest.streams.parts import Stored, is_part, opened
from ingest.streams.port import READ_BYTES, Envelope
from ingest.streams.record import unpack

# Parts of messages whose closing record may come are kept up to this size; the rest is fetched again if it is needed.
_PARTS_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A position: after record `sequence`, or after its first `messages` messages where that is given.

    Its text is `<sequence>` or `<sequence>:<messages>`.
    """

    sequence: int
    messages: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The position again; PermanentError for text of another kind of stream."""
        sequence, _, messages = text.partition(":")
        if not sequence.isdecimal() or not (messages.isdecimal() or ":" not in text):
            raise PermanentError(f"{text!r} is no position of a record stream")
        return cls(int(sequence), int(messages) if messages else None)

    def __str__(self) -> str:
        return str(self.sequence) if self.messages is None else f"{self.sequence}:{self.messages}"

    def reaches(self, other: "Place") -> bool:
        """True when everything up to `other` lies at or before this position."""
        if self.sequence != other.sequence:
            return self.sequence > other.sequence
        return self.messages is None or (other.messages is not None and self.messages >= other.messages)


class RecordCursor:
    """Records fetched after a position. They are unpacked one at a time, when their messages are asked for.

    `fetched` is the last record that was added; a fetch goes on after it (`resume`). `lane` is how the places of parts
    name this lane. Parts do not move the position: a message is where its closing record stands. `missing` are the
    parts without which the next message cannot be opened; they are fetched for `give`.
    """

    def __init__(self, after: str | None, where: str, lane: str = "") -> None:
        self.place = Place.parse(after) if after else None
        self.fetched: int | None = None
        self.missing: list[Stored] = []
        self._where, self._lane = where, lane
        self._parts: dict[Stored, bytes] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._opened: tuple[int, tuple[Envelope, ...]] | None = None

    @property
    def position(self) -> str:
        """The position as text; "" at the start of the lane."""
        return str(self.place) if self.place else ""

    @property
    def resume(self) -> Place | None:
        """After what a fetch continues: a whole record, or inside one that has to be fetched again; None: the start."""
        return Place(self.fetched) if self.fetched is not None else self.place

    @property
    def waiting(self) -> int:
        """Messages that wait to be returned; a record that was not unpacked yet counts as one."""
        opened = 0
        if self._opened is not None:
            sequence, envelopes = self._opened
            opened = sum(len(e.messages) for e in envelopes) - self._done(sequence)
        return opened + len(self._waiting)

    def add(self, sequence: int, data: bytes) -> None:
        """Put a fetched record at the end; one the cursor has already passed is left out."""
        self.fetched = sequence
        if self.place is None or not self.place.reaches(Place(sequence)):
            self._waiting.append((sequence, data))

    def give(self, place: Stored, record: bytes) -> None:
        """A part that was missing. PermanentError for a record that is none."""
        where = f"record {place[1]} of {self._where}"
        if not is_part(record):
            raise PermanentError(f"{where} is no part of a message")
        self._parts[place] = opened(record, where).body
        self.missing = [other for other in self.missing if other != place]

    def reached(self, stop: Place | None) -> bool:
        """True when the position is at or past `stop`."""
        return stop is not None and self.place is not None and self.place.reaches(stop)

    def take(self, room: int, stop: Place | None) -> list[Envelope]:
        """At most `room` messages of the records held, not past `stop`; the position moves with them.

        PermanentError for a record that is none of ours; what was before it has been returned by then.
        """
        taken: list[Envelope] = []
        self.missing = []
        # A planned range is no larger than what was taken when it was planned.
        left: float = READ_BYTES if stop is None else math.inf
        while room > 0 and left > 0 and (self._opened or self._waiting) and not self.reached(stop):
            if self._opened is None:
                sequence, data = self._waiting[0]
                try:
                    envelopes = self._open(sequence, data)
                except PermanentError:
                    if taken:
                        return taken
                    raise
                if self.missing:
                    return taken
                self._waiting.popleft()
                if envelopes is None:
                    continue
                self._opened = sequence, envelopes
            found = self._from_opened(*self._opened, room, stop)
            room -= sum(len(envelope.messages) for envelope in found)
            left -= sum(map(len, (message for envelope in found for message in envelope.messages)))
            taken += found
        return taken

    def _open(self, sequence: int, data: bytes) -> tuple[Envelope, ...] | None:
        """The record's envelopes; None for a part that was put aside, nothing while parts are missing."""
        where = f"record {sequence} of {self._where}"
        if not is_part(data):
            return unpack(data, where)
        part = opened(data, where)
        if not part.closes:
            self._keep((self._lane, sequence), part.body)
            return None
        self.missing = [place for place in part.places if place not in self._parts]
        if self.missing:
            return ()
        whole = part.joined([self._parts[place] for place in part.places], where)
        for place in part.places:
            del self._parts[place]
        return unpack(whole, where)

    def _keep(self, place: Stored, body: bytes) -> None:
        self._parts[place] = body
        held = sum(map(len, self._parts.values()))
        while held > _PARTS_BYTES:
            held -= len(self._parts.pop(next(iter(self._parts))))

    def _from_opened(
        self, sequence: int, envelopes: Sequence[Envelope], room: int, stop: Place | None
    ) -> list[Envelope]:
        done = self._done(sequence)
        total = sum(len(envelope.messages) for envelope in envelopes)
        end = min(total, done + room)
        if stop and sequence == stop.sequence and stop.messages is not None:
            end = min(end, stop.messages)
        whole = end >= total
        self.place = Place(sequence, None if whole else end)
        if whole:
            self._opened = None
        return _slice(envelopes, done, end)

    def _done(self, sequence: int) -> int:
        inside = self.place is not None and self.place.sequence == sequence
        return (self.place.messages or 0) if inside and self.place else 0


def _slice(envelopes: Sequence[Envelope], start: int, end: int) -> list[Envelope]:
    """Messages start..end (end excluded) counted over all envelopes of a record."""
    parts, at = [], 0
    for envelope in envelopes:
        low, high = max(start - at, 0), min(end - at, len(envelope.messages))
        if low < high:
            parts.append(envelope.between(envelope.first + low, envelope.first + high - 1))
        at += len(envelope.messages)
    return parts
