"""Passes that are left out because no two free records meet: such a pass would have found nothing."""

import random
from datetime import date
from decimal import Decimal

import pyarrow as pa

from matching.compile import compile_passes
from matching.derive import _key_columns
from matching.meet import Meeting, free
from matching.rules import load_rules
from matching.tables import FREE_COLUMNS, prepare
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

_IDS = ("uid", "cross_uid", "order_id", "client_order_id", "order_ref")


def _records(rng: random.Random, leg: str) -> list[dict[str, object]]:
    """A few records of few different terms, some unknown."""
    rows = []
    for nr in range(1, rng.randint(2, 5)):
        row: dict[str, object] = dict.fromkeys(FREE_COLUMNS)
        row |= {name: rng.choice(["A-001", "A-002", None]) for name in _IDS}
        qty = Decimal(rng.choice([100, 200, 300]))
        row |= {
            "record_id": f"{leg}{nr}", "nr": nr, "twin": 1, "component": rng.choice(["c1", "c1", "c2"]),
            "pb": rng.choice(["PB", "PB", None]) if leg == "L" else "PB", "level": rng.choice(["FILL", "ALLOCATION"]),
            "uid": row["uid"] or "A-003", "account": rng.choice(["a", "b"]), "instrument": rng.choice(["i", "j"]),
            "side": "BUY", "direction": "BUY", "qty": qty, "small_qty": qty, "price": Decimal(1), "notional": qty,
            "half_unit": Decimal("0.005"), "trade_date": date(2026, 11, 23), "settle_date": date(2026, 11, 24),
            "ccy": "USD", "settle_ccy": "USD", "commission": Decimal(rng.choice([1, 2])), "event_precision": "ms",
            ("part" if leg == "L" else "whole"): False,
        }  # fmt: skip
        rows.append(row)
    return rows


def test_a_pass_that_is_left_out_would_have_found_nothing() -> None:
    warehouse = DuckDbWarehouse()
    migrate(warehouse)
    prepare(warehouse)
    passes = compile_passes(load_rules())
    asked = [one for one in passes if one.meeting is not None]
    found = left_out = 0
    for seed in range(12):
        rng = random.Random(seed)
        with warehouse.transaction():
            for leg in ("L", "R"):
                table = f"work_{leg.lower()}"
                shape = warehouse.query(f"select * from {table} limit 0").schema
                warehouse.execute(f"delete from {table}")
                rows = _records(rng, leg)
                fields = [field for field in shape if field.name in rows[0]]
                warehouse.append(table, pa.Table.from_pylist(rows, pa.schema(fields)))
            known = free(warehouse, _key_columns(passes))
            for one in asked:
                assert one.meeting is not None
                warehouse.execute("delete from work_candidate")
                warehouse.execute("delete from work_pair")
                rows_of_pass = warehouse.query(one.sql).num_rows if one.search else warehouse.execute(one.sql)
                if known.may(one.meeting):
                    found += rows_of_pass > 0
                else:
                    left_out += 1
                    assert rows_of_pass == 0, (seed, one.name)
    assert min(found, left_out) > 12


def test_what_is_unknown_meets_nothing_and_sums_need_three() -> None:
    warehouse = DuckDbWarehouse()
    for leg, rows in (("l", "('c', 'a', 'x'), ('c', null, 'y')"), ("r", "('c', 'a', 'z'), ('d', null, 'y')")):
        warehouse.execute(f"create table work_{leg} (component varchar, account varchar, uid varchar)")
        warehouse.execute(f"insert into work_{leg} values {rows}")
    known = free(warehouse, ("component", "account", "uid"))
    assert known.may(Meeting(("account",), ("account",)))
    assert not known.may(Meeting(("account",), ("account",), 3))
    assert not known.may(Meeting(("uid",), ("uid",)))
    assert known.has("r", "account")
