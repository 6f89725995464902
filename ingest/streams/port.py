"""The stream port: envelopes of raw messages, batches, and the five verbs every stream adapter keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

# A read returns no more bytes of messages than this, but always one record: memory is bounded whatever their size.
READ_BYTES = 32 * 1024 * 1024
# A position that is none: the lane was read to its end.
ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Consecutive raw messages of one session as they were received.

    `first` is the session's own number of `messages[0]`; numbers start at 1, never repeat and never skip (they are not
    MsgSeqNum(34), which resets). `recv_ts` is UTC nanoseconds, stamped once when the messages entered the raw log.
    `next_in` is the MsgSeqNum the session expects after the last message (0 where there is no FIX session); it lets a
    session recover its state from the log and is no part of an envelope's identity.
    """

    session: str
    first: int
    recv_ts: int
    messages: Sequence[bytes]
    next_in: int = field(default=0, compare=False)

    @property
    def last(self) -> int:
        """Number of the last message; `first - 1` for an empty envelope."""
        return self.first + len(self.messages) - 1

    def between(self, low: int, high: int) -> "Envelope":
        """The part with numbers low..high inclusive; a cut at the end forgets `next_in`."""
        if low <= self.first and high >= self.last:
            return self
        start, end = max(low, self.first), min(high, self.last)
        kept = self.messages[start - self.first : end - self.first + 1]
        return replace(self, first=start, messages=kept, next_in=self.next_in if end == self.last else 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read returned.

    `next` is the position after the last message returned (the one passed in when nothing was read; "" is the start of
    the lane). `behind_messages` counts durable messages after `next`; an adapter that cannot count answers at least 1
    for "more is there" and 0 for "at the end" (a remote one: at its last look, which is under a second ago).
    `behind_seconds` is the age of what was read last against the newest there is, where the service tells it. `ended`:
    nothing will ever follow `next` in this lane.
    """

    lane: str
    envelopes: tuple[Envelope, ...]
    next: str
    behind_messages: int
    behind_seconds: float | None = field(default=None, compare=False)
    ended: bool = field(default=False, compare=False)

    @property
    def count(self) -> int:
        """Messages in the batch."""
        return sum(len(envelope.messages) for envelope in self.envelopes)


class Stream(Protocol):
    """An ordered, durable, re-readable log of raw messages.

    Positions are opaque strings, ordered only inside their lane, and always mean "after this message". A stream keeps
    no reader state: the caller stores positions. Delivery is at least once: an append that is repeated after a failure
    may store a message twice, and `ingest.streams.marks.accept` drops the second copy.
    """

    def append(self, envelopes: Sequence[Envelope]) -> None:
        """Store the envelopes; returns only when all are durable. Order within a session is kept.

        Raises TransientError when a retry of the same call may succeed, PermanentError when it cannot.
        """
        ...

    def lanes(self) -> list[str]:
        """Names of the lanes that can be read now, sorted; a session lives in exactly one lane at a time."""
        ...

    def read(self, lane: str, after: str | None, limit_messages: int, until: str | None = None) -> Batch:
        """At most `limit_messages` durable messages after position `after` (None or "": from the start).

        Fewer where they are large (`READ_BYTES`), but always one where there is one.

        With `until` (the `next` of an earlier batch) nothing past that position is returned, so a range that was
        planned once reads identically for ever; TransientError when the stream does not reach `until` (yet).
        Raises PermanentError for data that does not pass its checks: damage is never skipped.
        """
        ...

    def hint(self, lane: str, position: str) -> None:
        """Tell the broker how far the reader came, for tools that watch lag; it decides nothing and never raises.

        `ENDED`: another reader came to the end of the lane, which may open lanes that had to wait for it.
        """
        ...

    def close(self) -> None:
        """Release files, locks and connections; closing twice is harmless."""
        ...
