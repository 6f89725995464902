"""Storing a batch: once, whatever is repeated."""

from collections.abc import Callable, Iterator

import pytest

from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from ingest.store import Counts, store
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

Make = Callable[..., bytes]
Ingest = Callable[..., Normalised]
_FACTS = ("raw_message", "trade_event", "trade_fee", "trade_identifier", "quarantine")


@pytest.fixture
def warehouse() -> Iterator[DuckDbWarehouse]:
    opened = DuckDbWarehouse()
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def ingest(make_batch: Callable[..., RawBatch], reference: Reference) -> Callable[..., Normalised]:
    def go(messages: list[bytes], first: int = 1) -> Normalised:
        return normalise(make_batch(messages, first=first), reference)

    return go


def _content(warehouse: DuckDbWarehouse) -> dict[str, list[object]]:
    return {t: sorted(warehouse.query(f"SELECT * FROM {t}").to_pylist(), key=repr) for t in _FACTS}


def test_every_received_message_is_counted_once(
    warehouse: DuckDbWarehouse, ingest: Ingest, fill: Make, frame: Make
) -> None:
    messages = [
        fill(), fill({43: "Y"}), fill({17: "E2"}), frame("35=0|49=A|"), fill({35: "D"}), fill({32: "XXXX"}), b"junk",
        fill({34: "9"}),
    ]  # fmt: skip
    counts = store(warehouse, ingest(messages), "x1")
    assert counts == Counts(messages=8, facts=2, duplicates=2, session=1, quarantined=2, ignored=1)
    rows = warehouse.query("SELECT number, outcome FROM raw_message ORDER BY number").to_pylist()
    assert [row["outcome"] for row in rows] == [
        "FACT", "DUPLICATE", "FACT", "SESSION", "IGNORED", "QUARANTINE", "QUARANTINE", "DUPLICATE",
    ]  # fmt: skip
    assert warehouse.query("SELECT DISTINCT execution FROM trade_event")["execution"].to_pylist() == ["x1"]


def test_running_an_execution_again_changes_nothing(warehouse: DuckDbWarehouse, ingest: Ingest, fill: Make) -> None:
    normalised = ingest([fill(), fill({17: "E2", 136: "1", 137: "0.5"}), b"junk"])
    first = store(warehouse, normalised, "x1")
    before = _content(warehouse)
    assert store(warehouse, normalised, "x1") == first
    assert _content(warehouse) == before
    assert len(before["trade_fee"]) == 1


def test_messages_stored_by_another_execution_are_skipped(
    warehouse: DuckDbWarehouse, ingest: Ingest, fill: Make
) -> None:
    store(warehouse, ingest([fill(), fill({17: "E2"})]), "x1")
    overlap = store(warehouse, ingest([fill({17: "E2"}), fill({17: "E3"})], first=2), "x2")
    assert overlap == Counts(messages=1, facts=1, duplicates=0, session=0, quarantined=0, ignored=0)
    assert warehouse.query("SELECT trade_uid FROM trade_event ORDER BY 1")["trade_uid"].to_pylist() == [
        "E1",
        "E2",
        "E3",
    ]


def test_a_replayed_day_brings_no_new_trade(warehouse: DuckDbWarehouse, ingest: Ingest, fill: Make) -> None:
    day = [fill({17: f"E{n}"}) for n in range(20)]
    store(warehouse, ingest(day), "x1")
    trades = _content(warehouse)["trade_event"]
    replay = [fill({17: f"E{n}", 43: "Y", 34: str(900 + n)}) for n in range(20)]
    assert store(warehouse, ingest(replay, first=101), "x2").duplicates == 20
    assert _content(warehouse)["trade_event"] == trades


def test_a_correction_with_new_content_is_a_new_fact(warehouse: DuckDbWarehouse, ingest: Ingest, fill: Make) -> None:
    counts = store(
        warehouse, ingest([fill(), fill({150: "G", 19: "E1", 17: "E2", 32: "90"}), fill({32: "100.0"})]), "x1"
    )
    assert (counts.facts, counts.duplicates) == (2, 1)


def test_a_message_with_one_new_row_is_a_fact_with_that_row(
    warehouse: DuckDbWarehouse, ingest: Ingest, frame: Make
) -> None:
    head = "35=AE|571=T1|487=0|32=1|31=2|15=USD|60=20260604-13:30:01|55=A|"
    store(warehouse, ingest([frame(head + "552=1|54=1|1=X|12=1|")]), "x1")
    counts = store(warehouse, ingest([frame(head + "552=2|54=1|1=X|12=1|54=2|1=Y|12=1|")], first=2), "x2")
    assert counts == Counts(messages=1, facts=1, duplicates=0, session=0, quarantined=0, ignored=0)
    assert warehouse.query("SELECT side FROM trade_event ORDER BY 1")["side"].to_pylist() == ["BUY", "SELL"]


def test_an_empty_batch(warehouse: DuckDbWarehouse, ingest: Ingest) -> None:
    assert store(warehouse, ingest([]), "x1") == Counts(0, 0, 0, 0, 0, 0)
