"""Positions, cash entries and settlement statuses as facts, with sane defaults, for the desk of desk.py."""

import itertools
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from domain.schema import TABLES, arrow_schema
from tests.matching.desk import DAY, T0, Desk

_number = itertools.count(1)
ACCOUNT = "MERID-EQ-01"


def _fact(table: str, ours: bool, **values: Any) -> dict[str, Any]:
    at = next(_number)
    kind = table.split("_")[0]
    base = {
        "record_id": f"{kind}-{at:04d}", "feed": f"{'oms' if ours else 'alpha'}_{kind}", "pb_id": "ALPHA",
        "source_role": "INTERNAL" if ours else "PB", "recv_time_utc": T0, "raw_sha256": f"{at:064d}",
        "file": f"{'ours' if ours else 'theirs'}.csv", "line": at, "account_id": ACCOUNT,
    }  # fmt: skip
    return {**base, **values, "table": table}


def position(ours: bool, qty: str, instrument: str = "NVDA-ID", **more: Any) -> dict[str, Any]:
    """A holding: positive long, negative short."""
    net = Decimal(qty)
    base = {
        "instrument_id": instrument, "as_of_date": DAY, "snapshot_type": "EOD", "basis": "TRADE_DATE",
        "long_qty": max(net, Decimal(0)), "short_qty": max(-net, Decimal(0)), "price": "10.50", "price_ccy": "USD",
        "market_value": net * Decimal("10.50"),
    }  # fmt: skip
    return _fact("position_snapshot", ours, **{**base, **more})


def cash(ours: bool, kind: str, amount: str, **more: Any) -> dict[str, Any]:
    """An entry or a balance in dollars."""
    made = _fact("cash_entry", ours, entry_type=kind, amount=amount, value_date=DAY, ccy="USD")
    return {**made, "entry_uid": more.pop("uid", made["record_id"]), **more}


def statement(ours: bool, closing: str, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    """A day's statement: its entries and its closing balance."""
    return [cash(ours, "BALANCE", closing), *entries]


def status(uid: str, word: str, **more: Any) -> dict[str, Any]:
    """What ALPHA reports of one of its bookings."""
    made = _fact("settlement_status", False, trade_uid=uid, settle_status=word, settle_date=date(2026, 11, 25))
    del made["account_id"]
    return {
        **made,
        "event_time_utc": T0 + 2 * 86_400 * 1_000_000_000,
        "settled_qty": "100",
        "remaining_qty": "0",
        **more,
    }


def store(desk: Desk, rows: Iterable[dict[str, Any]], execution: str) -> None:
    """Append the facts to their tables as one execution would."""
    by_table: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_table.setdefault(row["table"], []).append({**row, "execution": execution})
    for table, items in by_table.items():
        schema = arrow_schema(TABLES[table])
        columns = {field.name: _column([item.get(field.name) for item in items], field) for field in schema}
        desk.warehouse.append(table, pa.table(columns))


def _column(values: list[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_decimal(field.type):
        return pa.array([None if value is None else Decimal(str(value)) for value in values], field.type)
    if pa.types.is_timestamp(field.type):
        return pa.array(values, pa.int64()).cast(field.type)
    return pa.array(values, field.type)


def reference(desk: Desk, table: str, **values: Any) -> None:
    """One row of a reference table."""
    schema = arrow_schema(TABLES[table])
    row = {"valid_from": date(2020, 1, 1), **values}
    columns = {field.name: _column([row.get(field.name)], field) for field in schema}
    desk.warehouse.append(table, pa.table(columns))


def run(desk: Desk, rows: Iterable[dict[str, Any]], name: str, as_of: int = T0, **more: Any) -> None:
    """Store facts of the books and match them."""
    store(desk, rows, name)
    desk.match(execution=name, as_of=as_of, **more)


def found(desk: Desk, state: str = "OPEN") -> list[str]:
    """Codes of the books' breaks in a state, sorted."""
    sql = "select code from recon_break where state = :state and level in ('POSITION', 'CASH', 'SETTLEMENT') order by 1"
    return [row["code"] for row in desk.table(sql, {"state": state})]
