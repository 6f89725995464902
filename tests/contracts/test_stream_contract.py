"""One suite for the stream port, over every adapter: segment log, scripted, Kinesis (three emulators), Kafka."""

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from domain.clock import SystemClock
from domain.errors import PermanentError, TransientError
from ingest.streams.forward import FilePositions, forward_once
from ingest.streams.kinesis import KinesisLimits, KinesisStream
from ingest.streams.marks import accept
from ingest.streams.port import Batch, Envelope, Stream
from ingest.streams.scripted import MemoryLog, ScriptedStream
from ingest.streams.segment import SegmentStream
from tests.ingest.streams.brokers import kafka_topic, kinesis_at, node_kinesis
from tests.ingest.streams.mock_kafka import MockCluster, mock_kafka

OPEN = Callable[[], Stream]


def envelope(session: str, first: int, size: int, next_in: int = 0) -> Envelope:
    messages = tuple(f"8=FIX.4.4|{session}|{number}".encode() for number in range(first, first + size))
    return Envelope(session, first, 1_700_000_000_000_000_000 + first, messages, next_in)


def numbered(envelopes: tuple[Envelope, ...] | list[Envelope]) -> list[tuple[str, int, bytes]]:
    return [(e.session, n, m) for e in envelopes for n, m in enumerate(e.messages, e.first)]


@pytest.fixture(scope="module")
def kinesis_client() -> Iterator[object]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield kinesis_at(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="module")
def mock_cluster() -> Iterator[MockCluster]:
    with mock_kafka() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    return (f"contract-{secrets.token_hex(3)}-{n}" for n in count())


KINDS = (
    "segment", "scripted", "kinesis", "kinesalite", pytest.param("kinesis-local", marks=pytest.mark.heavy), "kafka",
    "kafka-group", "kafka-mock",
)  # fmt: skip


@pytest.fixture(params=KINDS)
def open_stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, names: Iterator[str]) -> OPEN:
    """Opens the same stored stream again and again, as separate processes would."""
    kind, name = request.param, next(names)
    if kind == "segment":
        root = tmp_path_factory.mktemp("log")
        return lambda: SegmentStream(root, segment_bytes=2_000)
    if kind == "scripted":
        log = MemoryLog()
        return lambda: ScriptedStream(log)
    if kind.startswith("kafka"):
        kafka = pytest.importorskip("ingest.streams.kafka", reason="the extra kafka (aiokafka) is not installed")
        if kind == "kafka-mock":
            cluster = request.getfixturevalue("mock_cluster")
            cluster.topic(name, 1)
            topic = kafka.KafkaTopic(cluster.brokers, name)
        else:
            topic = kafka_topic(name, group=name if kind == "kafka-group" else None)
        return lambda: closing_at_end(request, kafka.KafkaStream(topic, SystemClock()))
    client = request.getfixturevalue("kinesis_client") if kind == "kinesis" else node_kinesis(request, kind)
    client.create_stream(StreamName=name, ShardCount=1)
    while client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        time.sleep(0.01)
    # The emulators do not throttle; pacing has tests of its own.
    return lambda: KinesisStream(client, name, SystemClock(), KinesisLimits(read_interval_seconds=0))


def closing_at_end(request: pytest.FixtureRequest, stream: Stream) -> Stream:
    """A test that fails leaves no thread and no group member behind."""
    request.addfinalizer(stream.close)
    return stream


def the_lanes(stream: Stream) -> list[str]:
    """The lanes, as soon as there are any: a group takes a moment to agree."""
    for _ in range(200):
        if lanes := stream.lanes():
            return lanes
        time.sleep(0.05)
    raise AssertionError("no lane")


def the_lane(stream: Stream) -> str:
    (lane,) = the_lanes(stream)
    return lane


def drain(stream: Stream, lane: str, limit: int, after: str | None = None) -> list[Batch]:
    """Everything after the position; a remote stream may answer "more is there" with nothing yet."""
    batches = []
    for _ in range(5_000):
        batch = stream.read(lane, after, limit)
        if batch.envelopes:
            batches.append(batch)
        elif not batch.behind_messages:
            return batches
        after = batch.next
    raise AssertionError("the lane does not end")


def test_what_was_appended_is_read_in_order_with_times(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 3), envelope("A->B", 4, 2)])
    lane = the_lane(stream)
    batch = stream.read(lane, None, 100)
    assert numbered(batch.envelopes) == numbered([envelope("A->B", 1, 5)])
    assert [e.recv_ts - 1_700_000_000_000_000_000 for e in batch.envelopes] == [1, 4]
    assert batch.behind_messages == 0
    stream.close()


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_any_limit_reads_the_same_messages(open_stream: OPEN, limit: int) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", first, 10) for first in range(1, 51, 10)])
    lane = the_lane(stream)
    batches = drain(stream, lane, limit)
    assert all(0 < batch.count <= limit for batch in batches)
    assert [m for b in batches for m in numbered(b.envelopes)] == numbered([envelope("A->B", 1, 50)])
    assert all(batch.behind_messages > 0 for batch in batches[:-1])
    stream.close()


def test_an_empty_read_keeps_the_position(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 4)])
    lane = the_lane(stream)
    end = stream.read(lane, None, 10).next
    assert stream.read(lane, end, 10) == Batch(lane, (), end, 0)
    stream.append([envelope("A->B", 5, 1)])
    assert numbered(stream.read(lane, end, 10).envelopes) == numbered([envelope("A->B", 5, 1)])
    stream.close()


@pytest.mark.parametrize("limit", [3, 10, 25])
def test_a_planned_range_reads_identically_for_ever(open_stream: OPEN, limit: int) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 10), envelope("A->B", 11, 10)])
    lane = the_lane(stream)
    planned = drain(stream, lane, limit)
    stream.append([envelope("A->B", 21, 10)])
    stream.close()
    again = open_stream()
    after = None
    for batch in planned:
        repeated = again.read(lane, after, 1_000, batch.next)
        assert (repeated.envelopes, repeated.next) == (batch.envelopes, batch.next)
        after = batch.next
    again.close()


def test_a_range_may_be_reread_in_smaller_pieces(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 10), envelope("A->B", 11, 10)])
    lane = the_lane(stream)
    until = stream.read(lane, None, 13).next
    got, after = [], None
    while (batch := stream.read(lane, after, 4, until)).envelopes:
        got += numbered(batch.envelopes)
        after = batch.next
    assert got == numbered([envelope("A->B", 1, 13)])
    assert after == until
    stream.close()


def test_positions_survive_reopening_and_later_appends(open_stream: OPEN) -> None:
    got, after = [], None
    for first in range(1, 41, 8):
        stream = open_stream()
        stream.append([envelope("A->B", first, 8)])
        lane = the_lane(stream)
        batch = stream.read(lane, after, 5)
        got, after = got + numbered(batch.envelopes), batch.next
        stream.close()
    stream = open_stream()
    got += [m for b in drain(stream, lane, 5, after) for m in numbered(b.envelopes)]
    assert got == numbered([envelope("A->B", 1, 40)])
    stream.close()


def test_many_sessions_keep_their_own_order(open_stream: OPEN) -> None:
    stream = open_stream()
    sessions = [f"PB{n}->FUND" for n in range(7)]
    for first in (1, 4, 7):
        stream.append([envelope(session, first, 3) for session in sessions])
    got = [m for lane in the_lanes(stream) for b in drain(stream, lane, 10) for m in numbered(b.envelopes)]
    for session in sessions:
        assert [m for m in got if m[0] == session] == numbered([envelope(session, 1, 9)])
    assert len(got) == 63
    stream.close()


def test_a_repeated_append_is_undone_by_the_marks(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 6)])
    stream.append([envelope("A->B", 1, 6)])
    stream.append([envelope("A->B", 4, 6)])
    lane = the_lane(stream)
    marks: dict[str, int] = {}
    got: list[Envelope] = []
    for batch in drain(stream, lane, 4):
        fresh, marks = accept(batch.envelopes, marks)
        got += fresh
    assert numbered(got) == numbered([envelope("A->B", 1, 9)])
    assert marks == {"A->B": 9}
    stream.close()


def test_any_bytes_and_large_messages_come_back(open_stream: OPEN) -> None:
    stream = open_stream()
    messages = (b"", bytes(range(256)) * 300, b"\x018=FIX", b"\xff" * 65_536)
    stream.append([Envelope("A->B", 1, 5, messages)])
    lane = the_lane(stream)
    assert stream.read(lane, None, 10).envelopes == (Envelope("A->B", 1, 5, messages),)
    stream.close()


def test_a_message_of_three_mebibytes_comes_back_among_small_ones(open_stream: OPEN) -> None:
    large = random.Random(7).randbytes(3 * 1024 * 1024)
    stream = open_stream()
    stream.append([envelope("A->B", 1, 3), Envelope("A->B", 4, 9, (b"x", large, b"y")), envelope("C->B", 1, 3)])
    stream.append([envelope("A->B", 7, 2), envelope("C->B", 4, 2)])
    expected = numbered([envelope("A->B", 1, 3), Envelope("A->B", 4, 9, (b"x", large, b"y")), envelope("A->B", 7, 2)])
    stream.close()
    got, after = list[tuple[str, int, bytes]](), dict[str, str | None]()
    for _ in range(20):
        # After every position somebody else goes on, who knows nothing but the position.
        stream, before = open_stream(), len(got)
        for lane in the_lanes(stream):
            batch = some(stream, lane, after.get(lane), 4)
            again = stream.read(lane, after.get(lane), 100, batch.next)
            assert (again.envelopes, again.next) == (batch.envelopes, batch.next)
            got, after[lane] = got + numbered(batch.envelopes), batch.next
        stream.close()
        if len(got) == before:
            break
    assert [item for item in got if item[0] == "A->B"] == expected
    assert [item for item in got if item[0] == "C->B"] == numbered([envelope("C->B", 1, 5)])


def some(stream: Stream, lane: str, after: str | None, limit: int) -> Batch:
    """The next messages, or none at the end; parts of a large one are more to come, and no message yet."""
    for _ in range(500):
        batch = stream.read(lane, after, limit)
        if batch.envelopes or not batch.behind_messages:
            return batch
    raise AssertionError("the lane does not end")


def test_a_position_of_another_kind_is_refused(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 2)])
    lane = the_lane(stream)
    with pytest.raises((PermanentError, TransientError)):
        stream.read(lane, "no position", 10)
    stream.close()


def test_a_hint_decides_nothing(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", 1, 4)])
    lane = the_lane(stream)
    end = stream.read(lane, None, 10).next
    stream.hint(lane, end)
    stream.hint(lane, "no position")
    assert numbered(stream.read(lane, None, 10).envelopes) == numbered([envelope("A->B", 1, 4)])
    stream.close()
    stream.close()


def test_a_range_is_read_again_while_the_lane_goes_on(open_stream: OPEN) -> None:
    stream = open_stream()
    stream.append([envelope("A->B", first, 20) for first in range(1, 201, 20)])
    lane = the_lane(stream)
    planned = drain(stream, lane, 15)
    again: list[tuple[str, int, bytes]] = []

    def reread() -> None:
        after = None
        for batch in planned:
            again.extend(numbered(stream.read(lane, after, 1_000, batch.next).envelopes))
            after = batch.next

    thread = threading.Thread(target=reread)
    thread.start()
    live = [m for b in drain(stream, lane, 7) for m in numbered(b.envelopes)]
    thread.join(60)
    assert live == again == numbered([envelope("A->B", 1, 200)])
    stream.close()


def test_the_forwarder_ships_everything_once_by_marks(open_stream: OPEN, tmp_path: Path) -> None:
    root = tmp_path
    source, sink = SegmentStream(root / "raw"), open_stream()
    for first in (1, 31, 61):
        source.append([envelope("A->B", first, 30), envelope("C->B", first, 30)])
    assert forward_once(source, sink, FilePositions(root / "positions.json"), 100) == 100
    # A crash between append and save: the old position ships the same messages again.
    (root / "positions.json").unlink()
    positions = FilePositions(root / "positions.json")
    while forward_once(source, sink, positions, 50):
        pass
    assert forward_once(source, sink, FilePositions(root / "positions.json")) == 0
    marks: dict[str, int] = {}
    got: list[Envelope] = []
    for lane in the_lanes(sink):
        for batch in drain(sink, lane, 64):
            fresh, marks = accept(batch.envelopes, marks)
            got += fresh
    for session in ("A->B", "C->B"):
        kept = [m for m in numbered(got) if m[0] == session]
        assert kept == numbered([envelope(session, 1, 90)])
    source.close()
    sink.close()
