"""Durable numbers: inbound and logged from the log's tail, outbound reserved ahead, whatever moment the crash picks."""

from pathlib import Path

import pytest

from domain.errors import PermanentError
from ingest.session.journal import Journal
from ingest.session.state import Numbers
from ingest.session.store import SessionStore
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream

NAME = "PB->US"


def test_a_new_session_starts_at_one(tmp_path: Path) -> None:
    stream = SegmentStream(tmp_path / "log")
    assert SessionStore(tmp_path, stream).load(NAME) == Numbers(1, 1, 0)
    stream.close()


def test_inbound_numbers_are_exactly_what_the_log_holds(tmp_path: Path) -> None:
    for first, next_in in ((1, 3), (3, 3), (5, 90)):
        stream = SegmentStream(tmp_path / "log")
        stream.append([Envelope(NAME, first, 0, (b"a", b"b"), next_in)])
        stream.close()
        stream = SegmentStream(tmp_path / "log")
        assert SessionStore(tmp_path, stream).load(NAME) == Numbers(next_in, 1, first + 1)
        stream.close()


def test_outbound_numbers_are_never_used_twice_after_a_crash(tmp_path: Path) -> None:
    used: list[int] = []
    for crash_after in (1, 5, 64, 65, 66, 200):
        stream = SegmentStream(tmp_path / "log")
        store = SessionStore(tmp_path, stream)
        next_out = store.load(NAME).next_out
        for _ in range(crash_after):
            next_out += 1
            store.reserve(NAME, next_out)
            used.append(next_out - 1)
        stream.close()
    assert len(used) == len(set(used))
    assert used == sorted(used)


def test_an_orderly_end_leaves_no_gap(tmp_path: Path) -> None:
    stream = SegmentStream(tmp_path / "log")
    store = SessionStore(tmp_path, stream)
    store.reserve(NAME, 8)
    store.release(NAME)
    assert SessionStore(tmp_path, stream).load(NAME).next_out == 8
    store.reserve(NAME, 2)
    store.release(NAME)
    assert SessionStore(tmp_path, stream).load(NAME).next_out == 2
    stream.close()


def test_a_damaged_number_is_said_so(tmp_path: Path) -> None:
    stream = SegmentStream(tmp_path / "log")
    store = SessionStore(tmp_path, stream)
    store.reserve(NAME, 8)
    (file,) = tmp_path.glob("*.out")
    file.write_text("eight")
    with pytest.raises(PermanentError, match="holds no number"):
        SessionStore(tmp_path, stream).load(NAME)
    stream.close()


def test_the_sender_remembers_what_it_sent_up_to_any_torn_byte(tmp_path: Path) -> None:
    path = tmp_path / "sent"
    with Journal(path) as journal:
        for n in range(1, 4):
            journal.used(n, b"message %d" % n)
        journal.used(4)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with Journal(path) as journal:
            kept = journal.next_out - 1
            assert [journal.message(n) for n in range(1, 5)] == [
                b"message %d" % n if n <= min(kept, 3) else b"" for n in range(1, 5)
            ]
            journal.used(kept + 1, b"again")
        with Journal(path) as journal:
            assert (journal.next_out, journal.message(kept + 1)) == (kept + 2, b"again")
