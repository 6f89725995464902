"""The mark+1 rule: duplicates drop, overlaps are cut, holes stop."""

import pytest

from domain.errors import TransientError
from ingest.streams.marks import accept
from ingest.streams.port import Envelope


def envelope(session: str, first: int, last: int) -> Envelope:
    return Envelope(session, first, 0, tuple(str(n).encode() for n in range(first, last + 1)), next_in=last + 1)


def test_each_number_is_accepted_once() -> None:
    seen = [envelope("A", 1, 3), envelope("B", 1, 2), envelope("A", 2, 5), envelope("A", 1, 5), envelope("B", 3, 3)]
    accepted, marks = accept(seen, {})
    assert [(e.session, e.first, e.last) for e in accepted] == [("A", 1, 3), ("B", 1, 2), ("A", 4, 5), ("B", 3, 3)]
    assert [m for e in accepted if e.session == "A" for m in e.messages] == [b"1", b"2", b"3", b"4", b"5"]
    assert marks == {"A": 5, "B": 3}


def test_a_hole_names_session_and_numbers_and_changes_nothing() -> None:
    before = {"A": 4}
    with pytest.raises(TransientError, match=r"session A: messages 5\.\.6 are missing before 7"):
        accept([envelope("A", 7, 9)], before)
    assert before == {"A": 4}


def test_a_cut_envelope_forgets_what_it_no_longer_ends_with() -> None:
    whole = envelope("A", 1, 5)
    assert whole.between(2, 5).next_in == 6
    assert whole.between(2, 4).next_in == 0
    assert whole.between(2, 4).messages == (b"2", b"3", b"4")
