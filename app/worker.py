"""The worker: cuts lanes into micro-batches, starts one execution each, and sweeps when something falls due."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from app.build_engine import ServiceEngine
from app.settings import WorkerSettings
from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from ingest.streams.marks import accept
from ingest.streams.port import ENDED, Batch, Stream
from orchestrator.leases import LeaseKeeper
from orchestrator.ledger import Fenced, Ledger, Plan, execution_name, greatest
from orchestrator.port import FINISHED, REDRIVABLE

logger = logging.getLogger(__name__)

Json = dict[str, Any]
# What falls due changes when an execution ends; a person's decision is noticed within this time.
_LOOK_SECONDS = 0.25
# A lane that could not be read is tried again after this long.
_RETRY_SECONDS = 1.0
# What fell due is looked at again this long after a sweep failed: what failed once would fail at once again.
_SWEEP_RETRY_SECONDS = 30.0
# A lane this little behind is not behind: its newest messages are being worked off right now.
_AT_ONCE_NS = 1_000_000_000
# Where several workers share the lanes, one of them sweeps: whoever holds this lease.
SWEEPER = "~sweeper"


@dataclass(slots=True)
class _Lane:
    token: int
    position: str | None
    marks: dict[str, int]
    running: str | None = None
    started: float = float("-inf")
    ready: float | None = None
    behind: int = 0
    late_seconds: float | None = None
    # All that was received up to then (UTC ns) is matched; and will be, once what runs has ended.
    reached: int = 0
    reaching: int = 0


@dataclass(slots=True)
class Worker:
    """Drives every lane of the stream; one execution of a lane at a time, so that its order is kept.

    A range is planned and committed in the ledger before its execution starts and is never cut again; `as_of` is the
    greatest receive time of the range, and never goes back. Where another lane is behind, `as_of` stays at what that
    one reached, `grace_hold_seconds` at most: no grace ends while what is waited for lies in the log unread. `due`
    gives the first and the last time (UTC ns) at which the grace of something expected ends. With `leases` it drives
    the lanes it holds a lease of and leaves the others to other workers; a lane whose token was refused is dropped, and
    its new owner goes on where the ledger stands.
    A range is done with its lane once it is `matched`: scores and tickets look at all there is, in any order, so the
    next range may be stored and matched while they are made. Where it cannot be known, the whole execution has to end.
    Nothing is read ahead: what no execution takes yet stays in the stream. Lanes that are ready while others run wait a
    moment for them, so that all start together and one Match run takes the facts of all: it costs much the same.
    """

    tenant: str
    stream: Stream
    engine: ServiceEngine
    ledger: Ledger
    limits: WorkerSettings
    clock: Clock
    due: Callable[[], tuple[int | None, int | None]]
    on_ended: Callable[[str, str], None]
    leases: LeaseKeeper | None = None
    booked: Callable[[], bool] = lambda: True
    matched: Callable[[str], bool] = lambda _execution: False
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _sweep: str | None = None
    _final: bool = False
    _not_before: float = float("-inf")
    _as_of: int = 0
    _known: tuple[int | None, int | None] | None = None
    _looked: float = float("-inf")
    _names: list[str] = field(default_factory=list)
    _sweeps: bool = True
    _waits: dict[str, float] = field(default_factory=dict)
    _matching_since: float = float("-inf")
    _gathers: bool = False
    # Executions whose facts are matched, with lane and token: the rest of them needs the lane no longer.
    _tails: dict[str, tuple[str, int]] = field(default_factory=dict)

    def step(self) -> bool:
        """One round over the lanes; True when something was started or ended."""
        driven, moved = self._driven(), False
        for name, token in driven:
            moved |= self._tried(name, partial(self._ended, name, token))
        for execution, (name, _) in list(self._tails.items()):
            moved |= self._tried(name, partial(self._tail_ended, execution))
        busy = any(lane.running is not None for lane in self._lanes.values())
        for name, _ in driven:
            moved |= self._tried(name, partial(self._advance, name, together=busy))
        # What was asked of this one, or begun by it, it does whoever leads by now.
        if self._sweeps or self._final or self._sweep is not None:
            moved |= self._sweep_if_due()
        else:
            self._gathers = False
        return moved

    def _tried(self, name: str, what: Callable[[], bool]) -> bool:
        """Whether something moved; a lane in trouble waits or is left to others, and does not hold up the rest."""
        if self.clock.monotonic() < self._waits.get(name, float("-inf")):
            return False
        try:
            moved = what()
            self._waits.pop(name, None)
            return moved
        except TransientError as error:
            self._waits[name] = self.clock.monotonic() + _RETRY_SECONDS
            logger.warning("lane waits: %s", error, extra={"lane": name})
        except Fenced as error:
            if self.leases is None and name in self.stream.lanes():
                raise
            logger.warning("lane is left to its new owner: %s", error, extra={"lane": name})
            if self.leases is not None:
                self.leases.lost(name)
            self._lanes.pop(name, None)
        return False

    def close(self) -> None:
        """Let go of the lanes, so that another worker takes them over at once; what runs goes on or is found again."""
        if self.leases is not None:
            self.leases.close()

    def _driven(self) -> list[tuple[str, int | None]]:
        """Lanes to look at and the lease's token, the one that waited longest first: no lane starves."""
        names = self.stream.lanes()
        if self.leases is None:
            tokens: Mapping[str, int] = {}
            self._sweeps = True
            # A consumer group may give a lane to another worker, and give it back when that one has moved it on.
            for name in set(self._lanes) - set(names):
                del self._lanes[name]
        else:
            tokens = self.leases.lanes([*names, SWEEPER])
            for name in self.leases.ended():
                self.stream.hint(name, ENDED)
            self._sweeps = SWEEPER in tokens
            for name in [n for n, lane in self._lanes.items() if tokens.get(n) != lane.token]:
                del self._lanes[name]
            names = [name for name in names if name in tokens]
        first = float("-inf")
        names.sort(key=lambda name: self._lanes[name].started if name in self._lanes else first)
        self._names = names
        return [(name, tokens.get(name)) for name in names]

    def request_final_sweep(self) -> None:
        """Ask for the end-of-input sweep: once every lane is quiet, as of the time the last grace ends."""
        self._final = True

    @property
    def leads(self) -> bool:
        """Whether this is the one that does what one of several workers does for all."""
        return self._sweeps

    @property
    def idle(self) -> bool:
        """True when no lane has anything durable that was not reconciled and nothing runs."""
        try:
            known = self.stream.lanes() if self.leases is None else self._names
        except TransientError:
            # Out of reach: who knows what is there.
            return False
        waits = set(self._waits) & set(known)
        sweeps = self._sweep is not None or self._final or self._gathers
        return self._is_quiet(known) and not waits and not sweeps and self.booked()

    def _is_quiet(self, known: Collection[str]) -> bool:
        """Whether each of these lanes was opened, and none has anything left to do."""
        lanes = self._lanes
        resting = (one.running is None and one.behind == 0 for one in lanes.values())
        return set(lanes) == set(known) and not self._tails and all(resting)

    def lag(self) -> dict[str, int]:
        """Durable messages per lane that no execution has taken yet; for any thread."""
        return {name: lane.behind for name, lane in list(self._lanes.items())}

    def late(self) -> dict[str, float]:
        """Seconds by which what was read last of a lane is older than its newest, where it is known; for any thread."""
        return {name: one.late_seconds for name, one in list(self._lanes.items()) if one.late_seconds is not None}

    def _ended(self, name: str, token: int | None) -> bool:
        """Book what ended of the lane; True when something did."""
        lane = self._lanes.get(name) or self._open(name, token)
        if lane.running is None:
            return False
        status = self._status(lane.running)
        if status in FINISHED:
            self._finished(name, lane.token, lane.running, status)
        elif self.matched(lane.running):
            self._tails[lane.running] = (name, lane.token)
        else:
            return False
        lane.running, lane.reached = None, max(lane.reached, lane.reaching)
        return True

    def _tail_ended(self, execution: str) -> bool:
        status = self._status(execution)
        if status not in FINISHED:
            return False
        self._finished(*self._tails[execution], execution, status)
        del self._tails[execution]
        return True

    def _finished(self, name: str, token: int, execution: str, status: str) -> None:
        self.ledger.done(name, token, execution)
        self._book(execution, status)

    def _advance(self, name: str, *, together: bool) -> bool:
        """Start the lane's next range, if there is one and it is time; `together` with what still runs."""
        lane = self._lanes.get(name)
        if lane is None or lane.running is not None:
            return False
        now = self.clock.monotonic()
        if now - lane.started < self.limits.batch_min_wait_ms / 1000:
            return False
        if together and lane.ready is not None and now - lane.ready < self.limits.batch_together_ms / 1000:
            return False
        running = sum(other.running is not None for other in self._lanes.values())
        if running + len(self._tails) >= self.limits.executions_max:
            return False
        looked = self.clock.now_ns()
        batch = self.stream.read(name, lane.position, self.limits.batch_max_messages)
        lane.behind, lane.late_seconds = batch.behind_messages + batch.count, batch.behind_seconds
        if batch.ended and not batch.envelopes and self.leases is not None:
            self.leases.end(name)
        if not batch.envelopes:
            if not batch.behind_messages:
                lane.reached = max(lane.reached, looked - int((batch.behind_seconds or 0) * 1_000_000_000))
            return False
        if together and lane.ready is None:
            lane.ready = now
            return False
        self._plan(name, lane, batch)
        return True

    def _open(self, name: str, token: int | None) -> _Lane:
        token = self.ledger.claim(name) if token is None else token
        state = self.ledger.resume(name, token)
        lane = _Lane(token, state.position, dict(state.marks))
        if state.unfinished is not None:
            found = self.engine.start(state.unfinished.name, state.unfinished.input)
            if self.leases is not None and found.status in REDRIVABLE:
                # It ended here when the lane was another's for a while, who did not finish it either.
                self.engine.redrive(state.unfinished.name)
            lane.running = state.unfinished.name
        self._lanes[name] = lane
        return lane

    def _plan(self, name: str, lane: _Lane, batch: Batch) -> None:
        marks = self._accept(lane, batch)
        lane.reaching = max(envelope.recv_ts for envelope in batch.envelopes)
        self._as_of = max(self._as_of, self._held(lane.reaching, name))
        execution = execution_name(self.tenant, name, lane.position or "", batch.next)
        task = self._input(execution, "batch", name, lane.position, batch.next, batch.count, lane.marks)
        plan = Plan(
            name=execution, after=lane.position, until=batch.next, marks=lane.marks, next_marks=marks, input=task
        )
        try:
            self.ledger.plan(name, lane.token, plan)
            self.engine.start(execution, task)
        except TransientError:
            # It may be planned, and then is never cut again: the lane is opened where the ledger stands.
            del self._lanes[name]
            raise
        lane.position, lane.marks, lane.running = batch.next, dict(marks), execution
        lane.started, lane.ready, lane.behind = self.clock.monotonic(), None, batch.behind_messages
        self._matching_since = lane.started
        self.stream.hint(name, batch.next)

    def _accept(self, lane: _Lane, batch: Batch) -> dict[str, int]:
        """The marks after the batch. TransientError for a hole, which is on its way or in a lane not read that far."""
        try:
            return accept(batch.envelopes, lane.marks)[1]
        except TransientError:
            # A session changes lanes where a shard is split or partitions are added: it goes on after what was planned.
            lane.marks = greatest((lane.marks, self.ledger.marks()))
            return accept(batch.envelopes, lane.marks)[1]

    def _input(
        self, execution: str, kind: str, lane: str, after: str | None, until: str | None, count: int, marks: Json
    ) -> Json:
        return {
            "execution": execution,
            "tenant": self.tenant,
            "kind": kind,
            "lane": lane,
            "after": after,
            "until": until,
            "count": count,
            "as_of": self._as_of,
            "marks": dict(marks),
        }

    def _sweep_if_due(self) -> bool:
        if self._sweep is not None:
            status = self._status(self._sweep)
            if status not in FINISHED:
                return False
            self._book(self._sweep, status)
            self._sweep = None
            if status != "SUCCEEDED":
                self._not_before = self.clock.monotonic() + _SWEEP_RETRY_SECONDS
        first, last = self._falls_due()
        now = self.clock.now_ns()
        as_of = self._held(now)
        if self._final and self._is_quiet(self._names):
            # In this order: who asks in between is not told that nothing is left to do.
            self._start_sweep(max(now, last or 0))
            self._final = False
            return True
        if not self._sweeps or first is None or first > as_of or self.clock.monotonic() < self._not_before:
            self._gathers = False
            return False
        # What falls due in the same moment is swept together, or by the batch that is matched right now.
        together_ns = self.limits.sweep_together_ms * 1_000_000
        since_ns = (self.clock.monotonic() - self._matching_since) * 1_000_000_000
        gathers = since_ns < together_ns and as_of - first < 2 * together_ns
        if not gathers:
            self._start_sweep(as_of)
        # In this order: who asks in between is not told that nothing is left to do.
        self._gathers = gathers
        return not gathers

    def _held(self, at: int, but: str | None = None) -> int:
        """`at` (UTC ns), or what the lane furthest behind reached: what it has not matched may be what is missed."""
        lanes = [self._lanes.get(name) for name in self._names if name != but]
        reached = [0 if lane is None else lane.reached for lane in lanes]
        held = min((one for one in reached if one < at - _AT_ONCE_NS), default=at)
        return min(at, max(held, self.clock.now_ns() - self.limits.grace_hold_seconds * 1_000_000_000))

    def _falls_due(self) -> tuple[int | None, int | None]:
        """`due`, asked again once something ended, or once in a while: an idle service must not keep asking."""
        if self._known is None or self.clock.monotonic() - self._looked >= _LOOK_SECONDS:
            self._known, self._looked = self.due(), self.clock.monotonic()
        return self._known

    def _start_sweep(self, as_of: int) -> None:
        self._as_of = max(self._as_of, as_of)
        name = f"sweep-{self._as_of}"
        self.engine.start(name, self._input(name, "sweep", "", None, None, 0, {}))
        self._sweep, self._matching_since = name, self.clock.monotonic()

    def _status(self, name: str) -> str:
        return self.engine.describe(name).status

    def _book(self, name: str, status: str) -> None:
        self._known = None
        try:
            self.on_ended(name, status)
        except (TransientError, PermanentError):
            logger.exception("bookkeeping after an execution failed", extra={"execution": name})
