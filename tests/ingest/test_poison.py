"""Poison: one message that cannot be taken goes to quarantine, its batch and its lane go on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.errors import PermanentError, TransientError
from ingest.dialects.dialect import load_dialects
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from ingest.poison import take
from ingest.quarantine import READER_FAILED
from ingest.retry import Selection, retry
from ingest.store import Counts, store
from ingest.suspects import Suspects
from tests.ingest.fix.conftest import OMS, batch_of, framed
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse

BODY = (
    "35=8|49=OMS|56=TIEOUT|34=2|52=20260604-13:30:01.500|37=O1|11=C1|17=E{n}|150=F|39=2|1=A1|55=AAPL|48=US0378331005"
    "|22=4|54=1|38=100|32=100|31=187.25|14=100|151=0|6=187.25|15=USD|60=20260604-13:30:01.123|75=20260604|58={text}|"
)
BAD = frozenset({7, 8, 30})


class Died(BaseException):
    """The process is gone: nothing of it runs any more."""


def message(n: int, text: str = "") -> bytes:
    return framed(BODY.format(n=n, text=text or ("POISON" if n in BAD else "fine")))


@pytest.fixture
def warehouse() -> Iterator[DuckDbWarehouse]:
    made = DuckDbWarehouse(":memory:")
    migrate(made)
    yield made
    made.close()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(load_dialects())


@pytest.fixture
def day() -> RawBatch:
    return batch_of([message(n) for n in range(1, 41)])


@pytest.fixture
def reader_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """A fault in the reader that one kind of message brings out."""

    def install(error: BaseException) -> None:
        def faulty(batch: RawBatch, reference: Reference) -> Normalised:
            if any(b"POISON" in message for message in batch.messages):
                raise error
            return normalise(batch, reference)

        monkeypatch.setattr("ingest.poison.normalise", faulty)

    return install


def outcomes(warehouse: Warehouse) -> dict[int, str]:
    rows = warehouse.query("SELECT number, outcome FROM raw_message").to_pylist()
    assert len({row["number"] for row in rows}) == len(rows)
    return {row["number"]: row["outcome"] for row in rows}


def go(warehouse: Warehouse, batch: RawBatch, reference: Reference, **more: Any) -> Counts:
    given: dict[str, Any] = {"suspects": Suspects(None), "limit": 100, **more}
    return take(warehouse, batch, reference, "e1", **given)


def expected() -> dict[int, str]:
    return {n: "QUARANTINE" if n in BAD else "FACT" for n in range(1, 41)}


def test_only_the_messages_at_fault_are_set_aside(
    warehouse: DuckDbWarehouse, day: RawBatch, reference: Reference, reader_fails: Callable[[BaseException], None]
) -> None:
    reader_fails(IndexError("list index out of range"))
    counts = go(warehouse, day, reference)
    assert (counts.messages, counts.facts, counts.quarantined) == (40, 37, 3)
    assert outcomes(warehouse) == expected()
    held = warehouse.query("SELECT * FROM quarantine ORDER BY message_id").to_pylist()
    assert {row["raw"] for row in held} == {message(n) for n in BAD}
    assert {(row["code"], row["reason"]) for row in held} == {("I01", READER_FAILED)}
    assert held[0]["detail"] == "The reader failed: IndexError: list index out of range"
    assert go(warehouse, day, reference) == counts, "running it again changes nothing"
    assert outcomes(warehouse) == expected()


def test_a_message_the_warehouse_refuses_is_set_aside(day: RawBatch, reference: Reference) -> None:
    class Refusing(DuckDbWarehouse):
        def append(self, table: str, rows: Any) -> int:
            if table == "trade_event" and {f"OMS->TIEOUT:{n}" for n in BAD} & set(rows["message_id"].to_pylist()):
                raise PermanentError("append to trade_event: Conversion Error: value out of range")
            return super().append(table, rows)

    here = Refusing(":memory:")
    migrate(here)
    counts = go(here, day, reference)
    assert (counts.facts, counts.quarantined) == (37, 3) and outcomes(here) == expected()
    here.close()


def test_a_fault_of_our_own_parks_the_batch_and_blames_nobody(
    warehouse: DuckDbWarehouse, day: RawBatch, reference: Reference, reader_fails: Callable[[BaseException], None]
) -> None:
    reader_fails(IndexError("list index out of range"))
    with pytest.raises(PermanentError, match="more than 2 of 40 messages"):
        go(warehouse, day, reference, limit=2)
    assert outcomes(warehouse) == {}


@pytest.mark.parametrize("error", [TransientError("later"), PermanentError("no dialect"), MemoryError()])
def test_the_world_and_the_settings_are_no_poison(
    warehouse: DuckDbWarehouse,
    day: RawBatch,
    reference: Reference,
    reader_fails: Callable[[BaseException], None],
    error: Exception,
) -> None:
    reader_fails(error)
    with pytest.raises(type(error)):
        go(warehouse, day, reference)
    assert outcomes(warehouse) == {}


def test_a_warehouse_that_takes_nothing_is_no_poison(day: RawBatch, reference: Reference) -> None:
    class Full(DuckDbWarehouse):
        def append(self, table: str, rows: Any) -> int:
            if table == "schema_version":
                return super().append(table, rows)
            raise PermanentError("append: No space left on device")

    here = Full(":memory:")
    migrate(here)
    with pytest.raises(PermanentError, match="No space left"):
        go(here, day, reference)
    assert outcomes(here) == {}
    here.close()


def test_a_warehouse_without_memory_blames_no_message(day: RawBatch, reference: Reference, tmp_path: Path) -> None:
    here = DuckDbWarehouse(":memory:", memory_limit_mb=1, spill_folder=tmp_path)
    migrate(here)
    with pytest.raises(MemoryError):
        go(here, day, reference)
    assert outcomes(here) == {}
    here.close()


def test_a_message_that_kills_the_process_is_found_and_set_aside(
    warehouse: DuckDbWarehouse,
    reference: Reference,
    reader_fails: Callable[[BaseException], None],
    tmp_path: Path,
) -> None:
    """Each death is a new process over the same range: it comes to an end, in few deaths, with one message blamed."""
    reader_fails(Died())
    day = batch_of([message(n, "POISON" if n == 777 else "fine") for n in range(1, 2_001)])
    deaths = 0
    while True:
        try:
            counts = take(warehouse, day, reference, "e1", suspects=Suspects(tmp_path), limit=100)
            break
        except Died:
            deaths += 1
            assert deaths < 16
    assert deaths == 12
    assert (counts.messages, counts.facts, counts.quarantined) == (2_000, 1_999, 1)
    (held,) = warehouse.query("SELECT message_id, detail FROM quarantine").to_pylist()
    assert held["message_id"].endswith(":777") and "ended 6 times" in held["detail"]
    assert list(tmp_path.iterdir()) == []


def test_one_death_blames_nobody(
    warehouse: DuckDbWarehouse, day: RawBatch, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 in the middle of a range: the next run takes it whole."""
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("ingest.poison.put", lambda *_: (_ for _ in ()).throw(Died()))
        go(warehouse, day, reference, suspects=Suspects(tmp_path))
    assert Suspects(tmp_path).died_before("e1")
    counts = go(warehouse, day, reference, suspects=Suspects(tmp_path))
    assert (counts.facts, counts.quarantined) == (40, 0)


def test_a_damaged_note_is_no_note(tmp_path: Path) -> None:
    (tmp_path / "e1.json").write_text('{"first": 3')
    assert [(part.first, part.last) for part in Suspects(tmp_path).parts("e1", 9)] == [(0, 9)]


def test_retry_heals_what_can_be_read_now_and_refuses_the_rest(
    warehouse: DuckDbWarehouse,
    day: RawBatch,
    reference: Reference,
    reader_fails: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context():
        reader_fails(IndexError("x"))
        go(warehouse, day, reference)
    feeds = {"OMS->TIEOUT": OMS}
    still = retry(warehouse, feeds, reference, Selection(), execution="r1", at_ns=1)
    assert (still.messages, still.quarantined) == (3, 3)
    monkeypatch.undo()
    healed = retry(warehouse, feeds, reference, Selection(), execution="r2", at_ns=2)
    assert (healed.messages, healed.facts) == (3, 3)
    assert retry(warehouse, feeds, reference, Selection(), execution="r2", at_ns=2) == healed


def test_without_poison_the_outcome_is_that_of_a_plain_store(
    warehouse: DuckDbWarehouse, day: RawBatch, reference: Reference
) -> None:
    plain = DuckDbWarehouse(":memory:")
    migrate(plain)
    assert go(warehouse, day, reference) == store(plain, normalise(day, reference), "e1")
    sql = "SELECT * FROM trade_event ORDER BY record_id"
    assert warehouse.query(sql).equals(plain.query(sql))
    plain.close()
