"""Several workers on one warehouse: turns exclude each other, and who was replaced writes nothing any more."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from app.fencing import SERIAL, Fencing
from app.worker import SWEEPER
from domain.clock import ManualClock, SystemClock
from domain.errors import TransientError
from orchestrator.leases import LeaseKeeper
from orchestrator.ledger_sqlite import SharedSqliteLedger
from orchestrator.ledger_turns import Turns
from warehouse.duckdb import DuckDbWarehouse
from warehouse.fenced import FencedWarehouse

ROW = pa.table({"n": [1]})


def turns(root: Path, owner: str, clock: ManualClock | SystemClock | None = None) -> Turns:
    ledger = SharedSqliteLedger(root / "ledger.sqlite", "t")
    return Turns(ledger, owner, clock or SystemClock(), 9.0, pause_seconds=0.001, patience_seconds=20.0)


def writer(warehouse: DuckDbWarehouse, token: int, right: str = "it") -> FencedWarehouse:
    @contextmanager
    def rights() -> Iterator[Mapping[str, int]]:
        yield {right: token}

    return FencedWarehouse(warehouse, rights)


def test_a_writer_that_was_replaced_changes_nothing() -> None:
    store = DuckDbWarehouse()
    old, new = writer(store, 1), writer(store, 2)
    old.execute("CREATE TABLE kept (n BIGINT)")
    assert old.append("kept", ROW) == 1
    with new.transaction():
        new.append("kept", ROW)
        new.execute("DELETE FROM kept WHERE n > 1")
    for late in (lambda: old.append("kept", ROW), lambda: old.execute("DELETE FROM kept"), lambda: _both(old)):
        with pytest.raises(TransientError, match="fenced: it belongs to another worker"):
            late()
    assert old.query("SELECT count(*) AS n FROM kept")["n"].to_pylist() == [2], "reading is free"
    with pytest.raises(ValueError, match="half"), new.transaction():
        new.append("kept", ROW)
        raise ValueError("half")
    assert new.append("kept", ROW) and new.query("SELECT count(*) AS n FROM kept")["n"].to_pylist() == [3]
    store.close()


def _both(warehouse: FencedWarehouse) -> None:
    with warehouse.transaction():
        warehouse.append("kept", ROW)


def test_turns_of_several_workers_exclude_each_other(tmp_path: Path) -> None:
    inside, most, tokens = [0], [0], list[int]()

    def work(mine: Turns) -> None:
        for _ in range(12):
            with mine.turn("it") as token:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                tokens.append(token)
                threading.Event().wait(0.001)
                inside[0] -= 1

    shared = turns(tmp_path, "a")
    threads = [threading.Thread(target=work, args=(one,)) for one in (shared, shared, turns(tmp_path, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] and tokens == sorted(set(tokens)) and len(tokens) == 36


def test_the_turn_of_a_worker_that_stands_still_is_taken_and_its_late_write_refused(tmp_path: Path) -> None:
    store, clock = DuckDbWarehouse(), ManualClock(0)
    asleep = turns(tmp_path, "asleep")
    token = asleep.records.take("it", "asleep", None)
    assert token == 1
    late, waiting = writer(store, token), turns(tmp_path, "waiting", clock)
    late.execute("CREATE TABLE kept (n BIGINT)")
    late.append("kept", ROW)
    began = clock.monotonic()
    with waiting.turn("it") as newer:
        assert clock.monotonic() - began >= 9 and newer > token
        writer(store, newer).append("kept", ROW)
        with pytest.raises(TransientError, match="fenced"):
            late.append("kept", ROW)
    assert not asleep.records.renew("it", token)
    store.close()


def test_waiting_for_a_turn_ends(tmp_path: Path) -> None:
    busy, waiting = turns(tmp_path, "busy"), turns(tmp_path, "waiting", ManualClock(0))
    waiting.lease_seconds = 100.0
    with busy.turn("it"), pytest.raises(TransientError, match="busy did not end its turn"), waiting.turn("it"):
        pass


def test_a_task_that_lost_its_turn_writes_nothing_and_goes_well_when_it_is_tried_again(tmp_path: Path) -> None:
    store, mine = DuckDbWarehouse(), turns(tmp_path, "mine")
    other, calls = turns(tmp_path, "other").records, list[int]()
    fencing = Fencing(store, mine, LeaseKeeper(mine.records, "mine", mine.clock))
    fencing.warehouse.execute("CREATE TABLE kept (n BIGINT)")

    def match(task: dict[str, object]) -> dict[str, object]:
        calls.append(1)
        if len(calls) == 1:
            newer = other.take(SERIAL, "other", other.leases()[SERIAL])
            assert newer is not None
            writer(store, newer, SERIAL).append("kept", ROW)
            other.release(SERIAL, newer)
        fencing.warehouse.append("kept", ROW)
        return {}

    fenced = fencing.tasks({"match": match}, ["match"])["match"]
    with pytest.raises(TransientError, match="fenced: ~serial belongs to another worker"):
        fenced({"kind": "sweep"})
    assert store.query("SELECT n FROM kept").num_rows == 1
    assert fenced({"kind": "sweep"}) == {} and store.query("SELECT n FROM kept").num_rows == 2
    store.close()


def test_one_of_several_leads_and_who_was_replaced_writes_nothing_for_all(tmp_path: Path) -> None:
    store, clocks = DuckDbWarehouse(), (ManualClock(0), ManualClock(0))
    made = []
    for owner, clock in zip(("first", "second"), clocks, strict=True):
        mine = turns(tmp_path, owner, clock)
        leases = LeaseKeeper(mine.records, owner, clock, 9.0)
        made.append((leases, Fencing(store, mine, leases)))
    (first, asleep), (second, next_one) = made
    asleep.warehouse.execute("CREATE TABLE kept (n BIGINT)")
    with asleep.leading() as leads:
        assert not leads, "nobody does before the leases are looked at"
    first.lanes([SWEEPER])
    second.lanes([SWEEPER])
    with next_one.leading() as leads:
        assert not leads
    with asleep.leading() as leads:
        assert leads and asleep.warehouse.append("kept", ROW) == 1
        clocks[1].advance(9)
        second.lanes([SWEEPER])
        with next_one.leading() as leads_now:
            assert leads_now and next_one.warehouse.append("kept", ROW) == 1
        with pytest.raises(TransientError, match="fenced: lane ~sweeper"):
            asleep.warehouse.append("kept", ROW)
    assert asleep.warehouse.append("kept", ROW) == 1, "what it does for itself is its right"
    store.close()
