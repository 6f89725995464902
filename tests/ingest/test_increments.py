"""Reports that tell an order's total become fills: the same live fills in whatever order and batches they come."""

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pyarrow as pa

from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.normalise import normalise
from ingest.normalise_reference import Reference
from ingest.store import store
from tests.ingest.fix.conftest import batch_of
from tests.ingest.quirk_desk import fill
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

KNOWN = Reference({"totals": Dialect(name="totals", fill_mode="cumulative")})
FEED = Feed(name="NG", role="PB", party="NG", dialect="totals")
LIVE = """
SELECT trade_uid, qty, price, price_scale, gross_money, prev_uid, status, order_id FROM trade_event
WHERE level = 'FILL' QUALIFY row_number() OVER (PARTITION BY trade_uid ORDER BY version DESC) = 1 ORDER BY trade_uid
"""


def report(number: int, total: str, average: str, **more: Any) -> bytes:
    """Report E<number> of order O1: the total so far, at a time of its own."""
    tags = {17: f"E{number}", 32: total, 14: total, 31: None, 6: average, 60: f"20251120-15:00:{number:02}.000"}
    return fill({**tags, **{int(tag[1:]): value for tag, value in more.items()}})


def stored(*batches: list[bytes]) -> DuckDbWarehouse:
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    for number, messages in enumerate(batches):
        batch = batch_of(messages, FEED)
        names = [f"S:{number}-{at}" for at in range(len(messages))]
        batch = replace(batch, message_ids=names, numbers=[number * 100 + at + 1 for at in range(len(messages))])
        result = normalise(batch, KNOWN)
        assert result.quarantine.num_rows == 0, result.quarantine.to_pylist()
        store(warehouse, result, f"x{number}")
    return warehouse


def live(warehouse: DuckDbWarehouse) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in warehouse.query(LIVE).to_pylist()]


def test_successive_totals_are_differenced_in_any_order_and_any_batches() -> None:
    told = [report(1, "100", "10.50"), report(2, "300", "10.60"), report(3, "450", "10.80")]
    expected = [
        ("E1", 100, Decimal("10.5"), 2, Decimal("1050"), None, "NEW", "O1"),
        ("E2", 200, Decimal("10.6"), 1, Decimal("2120"), None, "NEW", "O1"),
        ("E3", 150, Decimal("11.2"), 1, Decimal("1680"), None, "NEW", "O1"),
    ]
    whole = live(stored(told))
    assert [row[0:2] for row in whole] == [row[0:2] for row in expected]
    for order in permutations(told):
        assert live(stored(list(order))) == whole
        assert live(stored(*([one] for one in order))) == whole
    assert whole == expected


def test_told_twice_changes_nothing_and_totals_stay_as_records_of_the_order() -> None:
    told = [report(1, "100", "10.50"), report(2, "300", "10.60")]
    again = stored(told, [*told, report(4, "300", "10.60")])
    assert live(again) == live(stored(told))
    levels = again.query("SELECT level, count(*) AS n FROM trade_event GROUP BY level ORDER BY level").to_pylist()
    assert levels == [{"level": "FILL", "n": 2}, {"level": "ORDER", "n": 3}], (
        "E4 tells the same total again: a record, and no fill"
    )


def test_a_late_report_makes_another_version_of_the_fill_after_it() -> None:
    late = stored([report(1, "100", "10.50")], [report(3, "300", "10.70")], [report(2, "200", "10.60")])
    versions = late.query("SELECT trade_uid, version, qty FROM trade_event WHERE level = 'FILL' ORDER BY 1, 2")
    assert [tuple(row.values()) for row in versions.to_pylist()] == [
        ("E1", 1, 100), ("E2", 1, 100), ("E3", 1, 200), ("E3", 2, 100),
    ]  # fmt: skip


def test_busts_and_corrections_keep_their_chain_and_the_totals_after_them() -> None:
    told = [
        report(1, "100", "10.50"),
        report(2, "300", "10.50"),
        report(3, "200", "10.50", t150="H", t19="E1"),
        report(4, "250", "10.50"),
        report(5, "240", "10.50", t150="G", t19="E4"),
        report(6, "300", "10.50"),
    ]
    whole = live(stored(told))
    assert [(row[0], row[1], row[5], row[6]) for row in whole] == [
        ("E1", 100, None, "NEW"), ("E2", 200, None, "NEW"), ("E3", 100, "E1", "CANCEL"), ("E4", 50, None, "NEW"),
        ("E5", 40, "E4", "CORRECT"), ("E6", 60, None, "NEW"),
    ]  # fmt: skip
    assert live(stored(told[::-1])) == whole
    assert live(stored(told[3:], told[:3])) == whole


def test_a_price_has_no_more_digits_than_the_averages_leave_certain() -> None:
    told = [report(1, "100", "10.5000"), report(2, "300", "10.5667")]
    assert live(stored(told))[1][2:4] == (Decimal("10.6"), 3)
    shown = [told[0], report(2, "300", "10.5667", t31="10.60")]
    assert live(stored(shown))[1][2] == Decimal("10.6")


def test_fills_of_their_own_are_left_alone() -> None:
    trades = normalise(batch_of([fill()], FEED), Reference({"totals": Dialect(name="totals")})).trades
    assert isinstance(trades, pa.Table) and trades["level"].to_pylist() == ["FILL"]
