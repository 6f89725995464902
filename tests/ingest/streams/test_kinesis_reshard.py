"""Kinesis shards that split and merge while sessions write: parents first, every session once and in order."""

import secrets
import time
from typing import Any

import pytest

from domain.clock import SystemClock
from ingest.streams.kinesis import KinesisLimits, KinesisStream
from ingest.streams.marks import accept
from ingest.streams.port import ENDED, Envelope
from tests.ingest.streams.brokers import node_kinesis

QUICK = KinesisLimits(read_interval_seconds=0, list_shards_seconds=0.1)
SESSIONS = [f"PB{n}->FUND" for n in range(12)]


def envelope(session: str, first: int, size: int) -> Envelope:
    return Envelope(session, first, first, tuple(f"{session} {n}".encode() for n in range(first, first + size)))


def active(client: Any, name: str) -> None:
    deadline = time.monotonic() + 20
    while client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def open_shards(client: Any, name: str) -> list[dict[str, Any]]:
    shards = client.list_shards(StreamName=name)["Shards"]
    found = [shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
    return sorted(found, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))


def split(client: Any, name: str) -> None:
    shard = open_shards(client, name)[0]
    low, high = (int(shard["HashKeyRange"][key]) for key in ("StartingHashKey", "EndingHashKey"))
    middle = str((low + high) // 2)
    client.split_shard(StreamName=name, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
    active(client, name)


def merge(client: Any, name: str) -> None:
    first, second = open_shards(client, name)[:2]
    client.merge_shards(StreamName=name, ShardToMerge=first["ShardId"], AdjacentShardToMerge=second["ShardId"])
    active(client, name)


@pytest.mark.parametrize("kind", ["kinesalite", pytest.param("kinesis-local", marks=pytest.mark.heavy)])
def test_sessions_keep_their_order_over_splits_and_merges(kind: str, request: pytest.FixtureRequest) -> None:
    client, name = node_kinesis(request, kind), f"reshard-{secrets.token_hex(3)}"
    client.create_stream(StreamName=name, ShardCount=2)
    active(client, name)
    writer, reader = (KinesisStream(client, name, SystemClock(), QUICK) for _ in range(2))
    after: dict[str, str] = {}
    marks: dict[str, int] = {}
    got: dict[str, list[bytes]] = {}

    def read(lanes: list[str]) -> None:
        nonlocal marks
        for lane in lanes:
            batch = reader.read(lane, after.get(lane), 25)
            # One set of marks over all lanes: a hole would mean that a child was read before its parent.
            fresh, marks = accept(batch.envelopes, marks)
            after[lane] = batch.next
            for part in fresh:
                got.setdefault(part.session, []).extend(part.messages)

    first = 1
    for change in (split, split, merge, merge, split, None):
        for _ in range(2):
            writer.append([envelope(session, first, 5) for session in SESSIONS])
            first += 5
        if change:
            change(client, name)
        read(reader.lanes())
        if change is merge:
            # Another process goes on where this one stopped: what it has drained it finds out anew.
            reader = KinesisStream(client, name, SystemClock(), QUICK)
    deadline = time.monotonic() + 30
    while sum(map(len, got.values())) < (first - 1) * len(SESSIONS):
        assert time.monotonic() < deadline, (reader.lanes(), after)
        read(reader.lanes())
    assert got == {session: [f"{session} {n}".encode() for n in range(1, first)] for session in SESSIONS}
    assert len(after) >= 7


def test_a_merged_shard_appears_when_its_parents_were_drained_by_two_readers(request: pytest.FixtureRequest) -> None:
    client, name = node_kinesis(request, "kinesalite"), f"shared-{secrets.token_hex(3)}"
    client.create_stream(StreamName=name, ShardCount=2)
    active(client, name)
    writer, one, other = (KinesisStream(client, name, SystemClock(), QUICK) for _ in range(3))
    writer.append([envelope(session, 1, 5) for session in SESSIONS])
    parents = one.lanes()
    merge(client, name)
    writer.append([envelope(session, 6, 5) for session in SESSIONS])
    for lane, reader in zip(parents, (one, other), strict=True):
        position, deadline = "", time.monotonic() + 20
        while not (batch := reader.read(lane, position, 25)).ended or batch.envelopes:
            assert time.monotonic() < deadline
            position = batch.next
        assert batch.behind_seconds == 0
    assert one.lanes() == other.lanes() == parents, "each knows of one parent only"
    for lane, reader in zip(reversed(parents), (one, other), strict=True):
        reader.hint(lane, ENDED)
        (child,) = set(reader.lanes()) - set(parents)
        read = reader.read(child, None, 1_000)
        assert {part.first for part in read.envelopes} == {6} and not read.ended
