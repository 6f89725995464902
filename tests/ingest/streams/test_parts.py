"""Messages in parts: between other records, left behind by a writer that died, begun in the middle, damaged."""

import random
from collections.abc import Sequence

import pytest

from domain.errors import PermanentError
from ingest.streams.cursor import RecordCursor
from ingest.streams.parts import Part, Sending
from ingest.streams.port import Envelope
from ingest.streams.record import records

LARGE = random.Random(5).randbytes(10_000)
SIZE = 4_000


def envelope(session: str, first: int, *messages: bytes) -> Envelope:
    return Envelope(session, first, first, messages)


class Lane:
    """A lane's records in memory, and a writer that puts one record after the other."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []

    def put(self, sending: Sending, count: int = 1) -> None:
        for _ in range(count):
            self.rows.append(sending.head)
            sending.stored("lane", len(self.rows))

    def read(self, after: str | None = None, upto: int | None = None) -> tuple[list[tuple[str, int]], list[str], int]:
        """What a new reader finds by session and number, the positions it passes, and how often it had to look back."""
        cursor, looks = RecordCursor(after, "the lane", "lane"), 0
        begin = 0 if cursor.resume is None else cursor.resume.sequence - (1 if cursor.resume.messages else 0)
        found, positions = list[tuple[str, int]](), list[str]()
        for sequence in range(begin + 1, (upto or len(self.rows)) + 1):
            cursor.add(sequence, self.rows[sequence - 1])
            while True:
                taken = cursor.take(1, None)
                for place in list(cursor.missing):
                    cursor.give(place, self.rows[place[1] - 1])
                    looks += 1
                    taken += cursor.take(1, None) if not cursor.missing else []
                if not taken:
                    break
                found += [(e.session, e.first) for e in taken]
                positions.append(cursor.position)
        return found, positions, looks


def sending(*envelopes: Envelope) -> Sending:
    return Sending(list(records(envelopes[0].session, envelopes, SIZE)))


def whole(lane: Lane, sent: Sending) -> None:
    while not sent.is_over:
        lane.put(sent)


def parts_of(message: bytes) -> Sequence[Part]:
    return [part for part in records("A->B", [envelope("A->B", 1, message)], SIZE) if isinstance(part, Part)]


def test_what_stands_between_the_parts_is_read_without_waiting() -> None:
    lane, large = Lane(), sending(envelope("A->B", 1, LARGE), envelope("A->B", 2, b"after"))
    lane.put(large, 2)
    whole(lane, sending(envelope("C->B", 1, b"other")))
    assert lane.read()[0] == [("C->B", 1)], "no session waits for the message of another"
    whole(lane, large)
    found, positions, looks = lane.read()
    assert (found, looks) == ([("C->B", 1), ("A->B", 1), ("A->B", 2)], 0)
    # Whoever goes on from any position finds the rest, and looks back only where the parts lie before it.
    for number, position in enumerate(positions):
        rest, _, looks = lane.read(position)
        assert (rest, looks) == (found[number + 1 :], 2 if number == 0 else 0)


def test_parts_a_writer_left_behind_are_nobodys_loss() -> None:
    lane = Lane()
    lane.put(sending(envelope("A->B", 1, LARGE)), 2)
    # The writer came back and began with the message again.
    whole(lane, sending(envelope("A->B", 1, LARGE)))
    whole(lane, sending(envelope("A->B", 2, b"x")))
    found, positions, looks = lane.read()
    assert (found, looks) == ([("A->B", 1), ("A->B", 2)], 0)
    assert [lane.read(position)[0] for position in positions] == [[("A->B", 2)], []]


def test_parts_that_lie_in_a_shard_that_was_split_are_found() -> None:
    parent, child, sent = Lane(), Lane(), sending(envelope("A->B", 1, LARGE))
    parent.rows += [sent.head]
    sent.stored("parent", 1)
    whole(child, sent)
    cursor = RecordCursor(None, "the child", "lane")
    for sequence, row in enumerate(child.rows, 1):
        cursor.add(sequence, row)
    assert not cursor.take(10, None)
    assert cursor.missing == [("parent", 1)]
    cursor.give(("parent", 1), parent.rows[0])
    (found,) = cursor.take(10, None)
    assert found.messages == (LARGE,)


def test_parts_that_do_not_fit_together_are_told() -> None:
    first, other = parts_of(LARGE), parts_of(LARGE[::-1])
    cursor = RecordCursor(None, "the lane", "lane")
    rows = [first[0].packed([]), other[1].packed([]), first[2].packed([])]
    rows.append(first[-1].packed([("lane", n) for n in (1, 2, 3)]))
    for sequence, row in enumerate(rows, 1):
        cursor.add(sequence, row)
    with pytest.raises(PermanentError, match="record 4 of the lane: the parts of a message do not fit together"):
        cursor.take(10, None)
    with pytest.raises(PermanentError, match="no part of a message"):
        cursor.give(("lane", 9), b"something else")


@pytest.mark.parametrize("cut", [1, 4, 9, 40])
def test_a_part_that_is_damaged_is_no_record_of_ours(cut: int) -> None:
    cursor = RecordCursor(None, "the lane", "lane")
    cursor.add(1, parts_of(LARGE)[-1].packed([("lane", 1)])[:cut])
    with pytest.raises(PermanentError, match="record 1 of the lane is no record of ours"):
        cursor.take(10, None)
