"""Kinesis under partial failures: whatever PutRecords does, every message is accepted once and in order."""

import random
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from domain.clock import ManualClock
from domain.errors import PermanentError, TransientError
from ingest.streams.kinesis import KinesisLimits, KinesisStream
from ingest.streams.marks import accept
from ingest.streams.parts import Part
from ingest.streams.port import Envelope
from ingest.streams.record import pack, records, unpack


class FaultyKinesis:
    """The service's contract in memory: one shard, records fail at random and later ones of the request still land."""

    def __init__(self, seed: int, failure_rate: float) -> None:
        self.rng, self.failure_rate = random.Random(seed), failure_rate
        self.rows: list[tuple[str, bytes]] = []
        self.puts = 0
        self.largest_put = 0

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        self.puts += 1
        self.largest_put = max(self.largest_put, len(Records))
        if self.rng.random() < self.failure_rate / 4:
            raise error("InternalFailure", "PutRecords")
        results = []
        for record in Records:
            if self.rng.random() < self.failure_rate:
                results.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.rows.append((record["PartitionKey"], record["Data"]))
                results.append({"ShardId": "shard-0", "SequenceNumber": str(len(self.rows))})
        if self.rng.random() < self.failure_rate / 4:
            raise ReadTimeoutError(endpoint_url="the answer was lost, the rows were not")
        return {"Records": results}

    def list_shards(self, **_: Any) -> dict[str, Any]:
        return {"Shards": [{"ShardId": "shard-0", "SequenceNumberRange": {"StartingSequenceNumber": "0"}}]}

    def get_shard_iterator(self, ShardIteratorType: str, StartingSequenceNumber: str = "0", **_: Any) -> dict[str, str]:
        start = int(StartingSequenceNumber) - (ShardIteratorType == "AT_SEQUENCE_NUMBER")
        return {"ShardIterator": str(start)}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        if self.rng.random() < self.failure_rate / 4:
            raise error("ExpiredIteratorException", "GetRecords")
        if self.rng.random() < self.failure_rate / 4:
            raise error("ProvisionedThroughputExceededException", "GetRecords")
        start = int(ShardIterator)
        if self.rng.random() < self.failure_rate / 2:
            return {"Records": [], "NextShardIterator": ShardIterator, "MillisBehindLatest": 5}
        end = min(start + self.rng.randint(1, 7), start + Limit, len(self.rows))
        page = [{"SequenceNumber": str(n + 1), "Data": self.rows[n][1]} for n in range(start, end)]
        return {"Records": page, "NextShardIterator": str(end), "MillisBehindLatest": int(end < len(self.rows))}


def error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


def envelope(session: str, first: int, size: int) -> Envelope:
    return Envelope(session, first, first, tuple(f"{session} {n}".encode() for n in range(first, first + size)))


# The first ones in every run, a thousand in the long one.
SEEDS = [*range(40), *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(40, 1_000))]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_message_is_accepted_once_and_in_order(seed: int) -> None:
    rng = random.Random(seed)
    limits = KinesisLimits(records_per_put=5, bytes_per_record=400, put_attempts=200)
    written_and_read(seed, limits, lambda session, first: envelope(session, first, rng.randint(1, 40)))


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(8, 200))])
def test_messages_in_parts_too(seed: int) -> None:
    rng = random.Random(seed)
    limits = KinesisLimits(records_per_put=5, bytes_per_record=3_000, put_attempts=200)

    def mixed(session: str, first: int) -> Envelope:
        sizes = [rng.choice((20, 20, 20, 9_000)) for _ in range(rng.randint(1, 4))]
        return Envelope(session, first, first, tuple(rng.randbytes(size) for size in sizes))

    written_and_read(seed, limits, mixed)


def written_and_read(seed: int, limits: KinesisLimits, make: Callable[[str, int], Envelope]) -> None:
    service = FaultyKinesis(seed, failure_rate=(0.01, 0.1, 0.3, 0.5)[seed % 4])
    clock, rng = ManualClock(), random.Random(seed)
    written: dict[str, list[bytes]] = {f"PB{n}->FUND": [] for n in range(8)}
    for _ in range(12):
        group = [make(session, len(messages) + 1) for session, messages in written.items()]
        KinesisStream(service, "trades", clock, limits).append(group)
        for envelope in group:
            written[envelope.session] += envelope.messages
    assert service.largest_put <= 5
    reader, after, marks = KinesisStream(service, "trades", clock, limits), "", dict[str, int]()
    got: list[Envelope] = []
    for idle in range(10_000):
        if seed % 3 == 0 and idle % 7 == 0:
            reader = KinesisStream(service, "trades", clock, limits)
        try:
            batch = reader.read("shard-0", after, rng.randint(1, 50))
        except TransientError:
            clock.advance(1)
            continue
        fresh, marks = accept(batch.envelopes, marks)
        got += fresh
        after = batch.next
        clock.advance(0.2)
        if not batch.behind_messages and not batch.envelopes:
            break
    for session, messages in written.items():
        assert [m for e in got if e.session == session for m in e.messages] == messages


def test_reads_are_paced_per_shard() -> None:
    service, clock = FaultyKinesis(1, 0.0), ManualClock()
    stream = KinesisStream(service, "trades", clock)
    asked: list[float] = []
    answer = service.get_records
    service.get_records = lambda **request: asked.append(clock.monotonic()) or answer(**request)  # type: ignore[method-assign,func-returns-value]
    for _ in range(101):
        stream.read("shard-0", None, 10)
        clock.advance(0.02)
    assert 9 <= len(asked) <= 11
    assert min(b - a for a, b in pairwise(asked)) >= 0.199


def test_a_service_that_stays_down_is_transient_and_a_wrong_request_permanent() -> None:
    class Down(FaultyKinesis):
        def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
            raise error(code, "PutRecords")

    code = "ThrottlingException"
    with pytest.raises(TransientError, match="puts in a row failed"):
        KinesisStream(Down(1, 0), "trades", ManualClock()).append([envelope("A->B", 1, 1)])
    code = "ResourceNotFoundException"
    with pytest.raises(PermanentError, match="ResourceNotFound"):
        KinesisStream(Down(1, 0), "trades", ManualClock()).append([envelope("A->B", 1, 1)])


def test_children_wait_for_their_parents() -> None:
    class Split(FaultyKinesis):
        def list_shards(self, **_: Any) -> dict[str, Any]:
            closed = {"StartingSequenceNumber": "0", "EndingSequenceNumber": "9"}
            child = {"ShardId": "shard-1", "ParentShardId": "shard-0", "SequenceNumberRange": {}}
            return {"Shards": [{"ShardId": "shard-0", "SequenceNumberRange": closed}, child]}

    service, clock = Split(1, 0.0), ManualClock()
    stream = KinesisStream(service, "trades", clock)
    stream.append([envelope("A->B", 1, 3)])
    assert stream.lanes() == ["shard-0"]
    after = None
    while (batch := stream.read("shard-0", after, 10)).envelopes or batch.behind_messages:
        after = batch.next
        clock.advance(0.2)
        assert not batch.envelopes or stream.lanes() == ["shard-0"]
    stream.read("shard-0", after, 10)
    assert stream.lanes() == ["shard-0", "shard-1"]


def test_a_parent_that_expired_holds_nobody_back() -> None:
    class Expired(FaultyKinesis):
        def list_shards(self, **_: Any) -> dict[str, Any]:
            child = {"ShardId": "shard-1", "ParentShardId": "shard-0", "AdjacentParentShardId": "gone"}
            return {"Shards": [child | {"SequenceNumberRange": {}}]}

    assert KinesisStream(Expired(1, 0.0), "trades", ManualClock()).lanes() == ["shard-1"]


def test_zlib_records_of_before_are_read() -> None:
    raw = pack("A->B", [envelope("A->B", 1, 2)])
    assert raw[1] == 0
    old = raw[:1] + b"\x01" + raw[2:6] + zlib.compress(raw[6:])
    assert unpack(old, "old") == (envelope("A->B", 1, 2),)
    large = pack("A->B", [envelope("A->B", 1, 200)])
    assert large[1] == 2 and len(large) < 1_500
    # A length that damage made huge is refused before anything is allocated for it.
    with pytest.raises(PermanentError, match="no record of ours"):
        unpack(large[:6] + b"\xff\xff\xff\xff" + large[10:], "record 7")


def test_records_stay_within_their_size() -> None:
    rng = random.Random(3)
    sizes = [rng.randint(0, 400) for _ in range(300)]
    group = [Envelope("A->B", 1 + 100 * n, n, tuple(rng.randbytes(s) for s in sizes[n::3])) for n in range(3)]
    packed = [one for one in records("A->B", group, 2_000) if isinstance(one, bytes)]
    assert all(len(one) + 4 <= 2_000 for one in packed)
    back = [(n, m) for one in packed for e in unpack(one, "test") for n, m in enumerate(e.messages, e.first)]
    assert back == [(n, m) for e in group for n, m in enumerate(e.messages, e.first)]
    large = Envelope("A->B", 1, 0, (rng.randbytes(3_000),))
    parts = [part for part in records("A->B", [large], 2_000) if isinstance(part, Part)]
    assert [part.closes for part in parts] == [False, False, True]
    assert all(len(part.packed([("shardId-000000000000", 10**55)] * 2)) + 4 <= 2_000 for part in parts)
    for bytes_per_record in (260, 600):
        with pytest.raises(PermanentError, match="does not fit"):
            list(records("A->B", [large], bytes_per_record))


@pytest.mark.parametrize("cut", [0, 1, 5, 30, -1])
def test_a_foreign_record_is_refused_by_name(cut: int) -> None:
    record = pack("A->B", [envelope("A->B", 1, 3)])
    with pytest.raises(PermanentError, match="record 7 is no record of ours"):
        unpack(record[:cut], "record 7")
