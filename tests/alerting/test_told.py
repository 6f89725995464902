"""What tickets know already is not looked through again, and nothing is missed for it."""

import random

import pytest

from alerting.actions import mirror_actions
from alerting.outbox import write
from alerting.told import Told
from alerting.triage import TriagePolicy

POLICY = TriagePolicy(storm_size=4)


def run(book, seq: int) -> None:
    """The next run begins: what changes from here on is its own."""
    book.execution = f"e{seq}"
    book.append(
        "execution_log",
        [{"execution": book.execution, "kind": "batch", "count": 1, "as_of": book.clock.now_ns(), "seq": seq}],
    )


def is_news(book, told: Told) -> bool:
    with book.warehouse.transaction():
        return told.is_news(book.warehouse)


def test_new_breaks_are_no_news_to_old_tickets_but_their_own_changes_are(book):
    told = Told()
    run(book, 1)
    book.opened("b1")
    assert is_news(book, told), "whoever begins knows nothing"
    assert write(book.warehouse, "e1", book.clock.now_ns(), POLICY, told=told) == 1
    assert not is_news(book, told)
    run(book, 2)
    book.opened("b2")
    assert not is_news(book, told)
    assert write(book.warehouse, "e2", book.clock.now_ns(), POLICY, told=told) == 1
    run(book, 3)
    book.changed("b1")
    assert is_news(book, told)
    told.forget()
    assert write(book.warehouse, "e3", book.clock.now_ns(), POLICY, told=told) == 1
    assert not is_news(book, told)
    # What a person did, and what no run made.
    book.action("b1", "comment")
    assert is_news(book, told)
    assert write(book.warehouse, "e3", book.clock.now_ns(), POLICY, told=told) == 0
    assert not is_news(book, told)
    book.execution = "by hand"
    book.changed("b2")
    assert is_news(book, told)


def test_what_was_left_over_or_taken_back_is_looked_at_again(book):
    told = Told()
    run(book, 1)
    for number in range(3):
        book.opened(f"b{number}")
    assert write(book.warehouse, "e1", 1, POLICY, told=told) == 3
    run(book, 2)
    for number in range(3):
        book.changed(f"b{number}")
    assert [write(book.warehouse, "e2", 1, POLICY, limit=2, told=told) for _ in range(3)] == [2, 1, 0]
    book.changed("b1")
    book.warehouse.execute("ALTER TABLE ticket_outbox RENAME TO elsewhere")
    with pytest.raises(Exception, match="ticket_outbox"):
        write(book.warehouse, "e2", 1, POLICY, told=told)
    book.warehouse.execute("ALTER TABLE elsewhere RENAME TO ticket_outbox")
    assert write(book.warehouse, "e2", 1, POLICY, told=told) == 1


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_a_whole_look_finds_nothing_more(book, seed):
    chance, told, generation, state = random.Random(seed), Told(), {}, {}
    skipped = 0
    for seq in range(1, 25):
        run(book, seq)
        for _ in range(chance.randrange(3)):
            name = f"b{chance.randrange(8)}"
            if state.get(name) == "OPEN" and chance.random() < 0.5:
                book.cured(name, generation=generation[name])
                state[name] = "CURED"
            elif state.get(name) == "OPEN" and generation[name] == 1:
                book.changed(name, right_value=str(seq))
            elif state.get(name) != "OPEN":
                generation[name] = generation.get(name, 0) + 1
                book.opened(name, generation=generation[name])
                state[name] = "OPEN"
        if state and chance.random() < 0.2:
            book.action(chance.choice(sorted(state)), chance.choice(["comment", "assign", "resolve", "reopen"]))
        skipped += not is_news(book, told)
        write(book.warehouse, book.execution, book.clock.now_ns(), POLICY, told=told)
        assert write(book.warehouse, book.execution, book.clock.now_ns(), POLICY) == 0
        mirror_actions(book.warehouse, book.execution, book.clock.now_ns(), POLICY)
    assert skipped
