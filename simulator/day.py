"""One simulated trading day: universe, orders, fills, truth ledger, emitters, corruptor; streams and truth come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from random import Random

from simulator.booking import build_ledger
from simulator.corrupt import BreakRates, corrupt
from simulator.ledger import CANCEL, NEW, BreakTruth, Fill, Ledger, Leg, MatchTruth, Member, NoiseTruth, TruthRow
from simulator.orders import make_fills
from simulator.transport import EMITTERS, TimedMessage, encode, garbage, garbage_truth, repeats, sends
from simulator.universe import OMS, Reference, reference, universe

_REPLAYS_PERCENT = 1
_NO_REFERENCE_PERCENT = 3


@dataclass(frozen=True, slots=True)
class Day:
    """A whole day in memory: messages per session in order of time, the labelled truth, and the reference rows."""

    trade_date: date
    streams: Mapping[str, Sequence[TimedMessage]]
    truth: Sequence[TruthRow]
    reference: Reference

    @property
    def breaks(self) -> list[BreakTruth]:
        """The break labels alone."""
        return [row for row in self.truth if isinstance(row, BreakTruth)]

    @property
    def matches(self) -> list[MatchTruth]:
        """The match labels alone."""
        return [row for row in self.truth if isinstance(row, MatchTruth)]


def simulate_day(seed: int, trade_date: date, fills: int = 2_000, breaks: BreakRates | None = None) -> Day:
    """The day of `trade_date`, byte for byte the same for the same arguments; no clock and no file is read."""
    rates = BreakRates() if breaks is None else breaks
    world = universe()
    made = make_fills(_rng(seed, trade_date, "orders"), world, trade_date, fills)
    ledger = build_ledger(_rng(seed, trade_date, "booking"), made)
    labels = corrupt(_rng(seed, trade_date, "breaks"), world, ledger, rates, fills)
    _drop_references(_rng(seed, trade_date, "references"), ledger, labels)
    streams, transport_noise, garbled = _streams(seed, trade_date, ledger, rates.count("I01", fills))
    truth: list[TruthRow] = [*labels, *garbled, *_matches(ledger), *ledger.noise, *_twins(made), *transport_noise]
    return Day(trade_date, streams, tuple(truth), reference(world))


def _rng(seed: int, trade_date: date, stage: str) -> Random:
    # One generator per stage: a change in one stage leaves the draws of the others alone.
    return Random(f"{seed}|{trade_date.isoformat()}|{stage}")


def _drop_references(rng: Random, ledger: Ledger, labels: Sequence[BreakTruth]) -> None:
    """BRAVO forgets our ExecID now and then: only order id and economics are left to match a clean booking by."""
    labelled = {member.trade_uid for row in labels for member in row.external_ids}
    chained = {leg.prev_uid for leg in ledger.external if leg.prev_uid}
    for index, leg in enumerate(ledger.external):
        plain = leg.source == "BRAVO" and leg.status == NEW and leg.uid not in labelled | chained
        if plain and leg.cross_uid and rng.randrange(100) < _NO_REFERENCE_PERCENT:
            ledger.external[index] = replace(leg, cross_uid="")
            ledger.noise.append(NoiseTruth("no_cross_reference", leg.source, leg.uid, leg.arrive_ns))


def _streams(
    seed: int, trade_date: date, ledger: Ledger, garbage_count: int
) -> tuple[dict[str, Sequence[TimedMessage]], list[NoiseTruth], list[BreakTruth]]:
    legs = [*ledger.internal, *ledger.external]
    broken = garbage(_rng(seed, trade_date, "garbage"), legs, garbage_count)
    streams: dict[str, Sequence[TimedMessage]] = {}
    noise: list[NoiseTruth] = []
    for source, emitter in EMITTERS.items():
        rng = _rng(seed, trade_date, f"transport {source}")
        clean = sends(source, legs)
        extra, repeated = repeats(rng, source, clean)
        bad = [send for name, send, _ in broken if name == source]
        messages, replayed = encode(rng, source, [*clean, *extra, *bad], _REPLAYS_PERCENT)
        streams[emitter.session] = tuple(messages)
        noise += [*repeated, *replayed]
    return streams, noise, [garbage_truth(n, *item) for n, item in enumerate(broken, 1)]


def _matches(ledger: Ledger) -> list[MatchTruth]:
    """The groups of live records: an external record with the fund's executions it covers, as the day ends."""
    replaced = {leg.prev_uid for leg in (*ledger.external, *ledger.internal) if leg.prev_uid}
    booked: dict[tuple[str, ...], list[Leg]] = {}
    for leg in ledger.external:
        if leg.covers and leg.status != CANCEL and leg.uid not in replaced:
            booked.setdefault(leg.covers, []).append(leg)
    rows = []
    for covers, live in booked.items():
        internal = tuple(Member(OMS, uid) for uid in covers)
        external = tuple(Member(leg.source, leg.uid) for leg in live)
        rows.append(MatchTruth(f"G-{live[0].uid}", live[0].source, internal, external))
    return rows


def _twins(fills: Sequence[Fill]) -> list[NoiseTruth]:
    """Fills that equal the one before in order, second, size and price: two trades, not one trade twice."""
    rows = []
    for before, fill in pairwise(fills):
        same = (before.order, before.at_ns, before.qty, before.price) == (fill.order, fill.at_ns, fill.qty, fill.price)
        if same:
            rows.append(NoiseTruth("identical_twin", OMS, fill.exec_id, fill.at_ns))
    return rows
