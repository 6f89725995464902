"""Leases: which worker drives which lanes, without trusting anyone's wall clock."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.clock import Clock
from domain.errors import TransientError

# A lease is renewed this many times before it may be taken away.
RENEWALS = 3
# A record of this name says that the lane after it has ended.
_END = "~ended "


@dataclass(frozen=True, slots=True)
class Lease:
    """A lane as its record says: `owner` "" when nobody has it; `beat` moves with every renewal."""

    lane: str
    owner: str
    token: int
    beat: int


class Leases(Protocol):
    """The records of who drives what; every change holds only if the record is still as the caller saw it."""

    def leases(self) -> Mapping[str, Lease]:
        """Every lane that ever had an owner."""
        ...

    def take(self, lane: str, owner: str, seen: Lease | None) -> int | None:
        """The new token, or None where the record is not as `seen` any more (None: not there)."""
        ...

    def renew(self, lane: str, token: int) -> bool:
        """Say that the owner lives; False when the lane has a newer one."""
        ...

    def release(self, lane: str, token: int) -> None:
        """Give the lane up, so that nobody has to wait for it; harmless with an old token."""
        ...


@dataclass(slots=True)
class _Seen:
    lease: Lease
    since: float


@dataclass(slots=True)
class LeaseKeeper:
    """One worker's lanes: keeps what it has, takes what nobody keeps, asks for its share of the rest.

    A lease counts as abandoned when its record did not change for `lease_seconds` of *our own* monotonic clock, so
    clocks that differ change nothing. A worker that could not renew for as long stops by itself; where it was only
    slow, its old token is refused at the next plan. Safety is the token's, leases only keep two from trying.
    """

    records: Leases
    owner: str
    clock: Clock
    lease_seconds: float = 10.0
    _mine: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _renewed: float = float("-inf")
    _looked: float = float("-inf")
    _ended: frozenset[str] = frozenset()

    def lanes(self, known: Sequence[str]) -> Mapping[str, int]:
        """Lane to token of what this worker drives now, out of the lanes the stream has; cheap to call often.

        Raises TransientError when the records cannot be reached; the lanes stay ours until the lease is over.
        """
        now = self.clock.monotonic()
        if now - self._looked < self.lease_seconds / RENEWALS:
            return self._mine
        self._looked = now
        try:
            self._let_go(known)
            self._renew(now)
            self._acquire(known, now)
        except TransientError:
            if now - self._renewed >= self.lease_seconds:
                self._mine.clear()
            raise
        return self._mine

    def token(self, lane: str) -> int | None:
        """The token this worker drives the lane with, None where it does not; for any thread."""
        return self._mine.get(lane)

    def ended(self) -> frozenset[str]:
        """Lanes that some worker read to their end, as of the last look at the records."""
        return self._ended

    def end(self, lane: str) -> None:
        """Tell every worker that this lane was read to its end; harmless when told again."""
        if lane not in self._ended:
            self.records.take(f"{_END}{lane}", self.owner, None)
            self._ended |= {lane}

    def lost(self, lane: str) -> None:
        """The ledger refused our token: somebody else drives the lane."""
        self._mine.pop(lane, None)

    def close(self) -> None:
        """Give every lane up."""
        for lane, token in self._mine.items():
            self.records.release(lane, token)
        self._mine.clear()

    def _let_go(self, known: Sequence[str]) -> None:
        # What the stream no longer offers us (a consumer group moved it) somebody else waits for.
        for lane in set(self._mine) - set(known):
            self.records.release(lane, self._mine.pop(lane))

    def _renew(self, now: float) -> None:
        for lane, token in list(self._mine.items()):
            if not self.records.renew(lane, token):
                del self._mine[lane]
        self._renewed = now

    def _acquire(self, known: Sequence[str], now: float) -> None:
        found = self.records.leases()
        self._ended |= {name.removeprefix(_END) for name in found if name.startswith(_END)}
        for lane, lease in found.items():
            before = self._seen.get(lane)
            if before is None or before.lease != lease:
                self._seen[lane] = _Seen(lease, now)
        living = Counter(
            lease.owner
            for lane, lease in found.items()
            if lane in known and lease.owner and not self._abandoned(lane, now)
        )
        share = -(-len(known) // len({*living, self.owner}))
        for lane in self._in_own_order(lane for lane in known if lane not in self._mine):
            if len(self._mine) >= share:
                return
            held = found.get(lane)
            if held is None or not held.owner or held.owner == self.owner or self._abandoned(lane, now):
                self._take(lane, held)
        self._ask_for_one(found, living, known)

    def _ask_for_one(self, found: Mapping[str, Lease], living: Counter[str], known: Sequence[str]) -> None:
        """One lane of whoever has most, where that evens things out: a newcomer gets its share round by round."""
        if not living:
            return
        richest, most = max(living.items(), key=lambda item: (item[1], item[0]))
        if richest == self.owner or most - len(self._mine) < 2:
            return
        theirs = [lane for lane in known if lane in found and found[lane].owner == richest]
        for lane in self._in_own_order(theirs)[:1]:
            self._take(lane, found[lane])

    def _take(self, lane: str, seen: Lease | None) -> None:
        token = self.records.take(lane, self.owner, seen)
        if token is not None:
            self._mine[lane] = token

    def _abandoned(self, lane: str, now: float) -> bool:
        return now - self._seen[lane].since >= self.lease_seconds

    def _in_own_order(self, lanes: Iterable[str]) -> list[str]:
        # Every worker tries the lanes in another order, so that they do not all ask for the same one.
        return sorted(lanes, key=lambda lane: hashlib.sha256(f"{self.owner}|{lane}".encode()).digest())
