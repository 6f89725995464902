"""The segment log under damage: torn tails are cut, synced data that changed stops it, one writer at a time."""

import random
import shutil
from pathlib import Path

import pytest

from domain.errors import PermanentError, TransientError
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream, Tail
from ingest.streams.segment_files import MARK_NAME, lane_directory

LANE = "PB->FUND"


def envelope(first: int, size: int = 3, session: str = LANE) -> Envelope:
    messages = tuple(f"35=8|34={number}".encode() for number in range(first, first + size))
    return Envelope(session, first, first, messages, next_in=first + size)


def numbers(stream: SegmentStream, lane: str = LANE) -> list[int]:
    batch = stream.read(lane, None, 10_000)
    return [n for e in batch.envelopes for n in range(e.first, e.last + 1)]


def stored(root: Path, *envelopes: Envelope) -> Path:
    """A closed log of the envelopes, one append each; returns its only segment."""
    stream = SegmentStream(root)
    for one in envelopes:
        stream.append([one])
    stream.close()
    (segment,) = lane_directory(root, LANE).glob("*.seg")
    return segment


def test_a_torn_tail_is_cut_at_every_byte(tmp_path: Path) -> None:
    """The crash came after some bytes of the last frame were written and before its fdatasync returned."""
    durable_part = stored(tmp_path / "short", envelope(1), envelope(4)).read_bytes()
    whole = stored(tmp_path / "whole", envelope(1), envelope(4), envelope(7)).read_bytes()
    mark = (lane_directory(tmp_path / "short", LANE) / MARK_NAME).read_bytes()
    assert whole.startswith(durable_part)
    torn = lane_directory(tmp_path / "torn", LANE)
    for length in range(len(durable_part), len(whole) + 1):
        shutil.rmtree(tmp_path / "torn", ignore_errors=True)
        torn.mkdir(parents=True)
        (torn / f"{1:020d}.seg").write_bytes(whole[:length])
        (torn / MARK_NAME).write_bytes(mark)
        stream = SegmentStream(tmp_path / "torn")
        assert numbers(stream) == list(range(1, 7)), "readers never pass the durable mark"
        last = 9 if length == len(whole) else 6
        assert stream.tail(LANE) == Tail(last, last + 1)
        stream.append([envelope(last + 1)])
        assert numbers(stream) == list(range(1, last + 4))
        stream.close()


def test_a_tail_with_lost_sectors_is_cut(tmp_path: Path) -> None:
    """Power loss: the file has its length, the unsynced frame's bytes are partly zeros or noise."""
    rng = random.Random(7)
    durable = len(stored(tmp_path / "short", envelope(1)).read_bytes())
    whole = stored(tmp_path / "whole", envelope(1), envelope(4)).read_bytes()
    mark = (lane_directory(tmp_path / "short", LANE) / MARK_NAME).read_bytes()
    for case in range(200):
        tail = bytearray(whole[durable:])
        start, end = sorted(rng.sample(range(len(tail)), 2))
        tail[start:end] = bytes(end - start) if case % 2 else rng.randbytes(end - start)
        damaged = bytes(tail) != whole[durable:]
        root = tmp_path / f"case{case}"
        directory = lane_directory(root, LANE)
        directory.mkdir(parents=True)
        (directory / f"{1:020d}.seg").write_bytes(whole[:durable] + tail)
        (directory / MARK_NAME).write_bytes(mark)
        stream = SegmentStream(root)
        assert stream.tail(LANE).number == (3 if damaged else 6)
        stream.close()


def test_every_flipped_bit_of_durable_data_stops_the_reader(tmp_path: Path) -> None:
    segment = stored(tmp_path, envelope(1), envelope(4))
    whole = segment.read_bytes()
    for at in range(len(whole)):
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        with pytest.raises(PermanentError, match=r"damaged|missing"):
            SegmentStream(tmp_path).read(LANE, None, 100)


def test_damage_behind_a_lost_mark_still_stops_the_writer(tmp_path: Path) -> None:
    """Without the mark, a later frame proves that the damaged one had been durable."""
    segment = stored(tmp_path, envelope(1), envelope(4), envelope(7))
    whole = segment.read_bytes()
    for at in range(len(whole) // 3):
        (segment.parent / MARK_NAME).unlink(missing_ok=True)
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(PermanentError, match="durable"):
            SegmentStream(tmp_path).tail(LANE)


def test_missing_durable_bytes_stop_the_writer(tmp_path: Path) -> None:
    segment = stored(tmp_path, envelope(1), envelope(4))
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(PermanentError, match="durable"):
        SegmentStream(tmp_path).tail(LANE)


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_a_lost_mark_is_rebuilt_by_the_writer(tmp_path: Path, damage: str) -> None:
    stream = SegmentStream(tmp_path, segment_bytes=200)
    for first in range(1, 31, 3):
        stream.append([envelope(first)])
    stream.close()
    mark = lane_directory(tmp_path, LANE) / MARK_NAME
    assert len(list(mark.parent.glob("*.seg"))) > 3
    if damage == "gone":
        mark.unlink()
    else:
        mark.write_bytes(b"x" * 36)
        with pytest.raises(TransientError, match="durable mark"):
            stream.read(LANE, None, 10)
    again = SegmentStream(tmp_path, segment_bytes=200)
    assert again.tail(LANE) == Tail(30, 31)
    assert numbers(again) == list(range(1, 31))
    again.close()


def test_a_crash_right_after_a_new_segment_was_made(tmp_path: Path) -> None:
    segment = stored(tmp_path, envelope(1))
    (segment.parent / f"{4:020d}.seg").write_bytes(b"TOF")
    stream = SegmentStream(tmp_path)
    assert stream.tail(LANE) == Tail(3, 4)
    stream.append([envelope(4)])
    assert numbers(stream) == [1, 2, 3, 4, 5, 6]
    stream.close()


def test_one_writer_many_readers(tmp_path: Path) -> None:
    first, second = SegmentStream(tmp_path), SegmentStream(tmp_path)
    first.append([envelope(1)])
    with pytest.raises(TransientError, match="another process"):
        second.append([envelope(4)])
    assert numbers(second) == [1, 2, 3]
    first.close()
    second.append([envelope(4)])
    second.close()


def test_holes_and_contradictions_are_refused(tmp_path: Path) -> None:
    stream = SegmentStream(tmp_path)
    stream.append([envelope(1)])
    with pytest.raises(TransientError, match="hole"):
        stream.append([envelope(5)])
    with pytest.raises(PermanentError, match="other content"):
        stream.append([Envelope(LANE, 3, 0, (b"not what 3 was",))])
    assert numbers(stream) == [1, 2, 3]
    stream.close()


def test_a_position_beyond_the_durable_end_is_not_read_over(tmp_path: Path) -> None:
    """A log that lost durable data must not quietly give old numbers to new messages."""
    stored(tmp_path / "long", envelope(1), envelope(4))
    position = SegmentStream(tmp_path / "long").read(LANE, None, 100).next
    stored(tmp_path / "lost", envelope(1))
    with pytest.raises(TransientError, match="beyond the durable end"):
        SegmentStream(tmp_path / "lost").read(LANE, position, 100)


def test_no_lane_name_leaves_the_root(tmp_path: Path) -> None:
    stream = SegmentStream(tmp_path / "log")
    names = sorted(["../up", "..", ".", "a/b", "Ä->B", "50%->X"])
    stream.append([envelope(1, session=name) for name in names])
    assert stream.lanes() == names
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert numbers(stream, "../up") == [1, 2, 3]
    stream.close()
