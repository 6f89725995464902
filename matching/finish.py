"""The last step of an opened, changed or cured break: money in base currency, deadline, severity and sentences."""

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pyarrow as pa

from domain.derived import BREAK_CHANGE, RECON_BREAK
from domain.ids import digest128
from domain.schema import arrow_schema
from domain.taxonomy import Severity, taxonomy
from matching.changes import BEFORE_ROWS, FINISHED_ROWS
from matching.deadlines import Deadlines, business_days
from matching.rules import RuleSet
from matching.settle_dates import SettleCalendar, settle_calendar
from matching.text import headline, next_step
from warehouse.port import Warehouse
from warehouse.sql import timestamp

Row = dict[str, Any]
_CENT_FRACTION = Decimal("0.000001")
_SETTLE_DATE = "T14"
_MINUTE_NS = 60 * 1_000_000_000
_TOLD = (
    "code", "severity", "state", "exposure", "exposure_base", "ccy", "left_value", "right_value", "delta",
    "instrument_id", "symbol", "account_id", "side", "pb_id", "trade_date", "settle_date", "deadline_at", "pass_id",
    "rule_id", "rule_set_hash", "headline", "next_step",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FxRates:
    """Effective-dated rates into the base currency."""

    base_ccy: str
    rates: Mapping[str, list[tuple[date, Decimal]]]

    def convert(self, amount: Decimal | None, ccy: str | None, on: date) -> Decimal | None:
        """`amount` in base currency by the newest rate valid on `on`; None (unknown) where there is no rate."""
        if amount is None or ccy is None or ccy == self.base_ccy:
            return amount if ccy is not None else None
        if not amount:
            return amount
        known = self.rates.get(ccy, [])
        index = bisect_right(known, on, key=lambda rate: rate[0])
        if index == 0:
            return None
        return (amount * known[index - 1][1]).quantize(_CENT_FRACTION, ROUND_HALF_EVEN)


def fx_rates(warehouse: Warehouse, base_ccy: str, known_by_ns: int) -> FxRates:
    """The rates into `base_ccy` that were known by then (UTC ns)."""
    rows = warehouse.query(
        "select from_ccy, valid_from, rate from fx_rate where to_ccy = :base"
        " and (known_at is null or known_at <= cast(:known_by as timestamp_ntz(9)))"
        " order by from_ccy, valid_from, rate",
        {"base": base_ccy, "known_by": timestamp(known_by_ns)},
    ).to_pylist()
    rates: dict[str, list[tuple[date, Decimal]]] = {}
    for row in rows:
        rates.setdefault(row["from_ccy"], []).append((row["valid_from"], row["rate"]))
    return FxRates(base_ccy, rates)


def rows_of(table: pa.Table) -> list[Row]:
    """Rows as dicts, with times as integer nanoseconds."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            exact = table.column(index).cast(pa.timestamp("ns")).cast(pa.int64())
            table = table.set_column(index, field.name, exact)
    rows: list[Row] = table.to_pylist()
    return rows


def finish(
    warehouse: Warehouse, rules: RuleSet, *, as_of_ns: int, rates_by_ns: int, execution: str, known: bool = True
) -> tuple[pa.Table, pa.Table]:
    """The finished recon_break and break_change rows of this run's opened, changed and cured breaks.

    `known`: whether any of them was on record before; `rates_by_ns`: exchange rates known by then count.
    """
    found = rows_of(warehouse.query(FINISHED_ROWS))
    breaks, changes = arrow_schema(RECON_BREAK), arrow_schema(BREAK_CHANGE)
    if not found:
        return breaks.empty_table(), changes.empty_table()
    before = {row["break_id"]: row for row in rows_of(warehouse.query(BEFORE_ROWS))} if known else {}
    abroad = any(row["ccy"] not in (None, rules.base_ccy) for row in found)
    rates = fx_rates(warehouse, rules.base_ccy, rates_by_ns) if abroad else FxRates(rules.base_ccy, {})
    deadlines = Deadlines(business_days(warehouse))
    calendar = settle_calendar(warehouse) if any(row["code"] == _SETTLE_DATE for row in found) else None
    rows, log = [], []
    for row in found:
        kind = row["kind"]
        if kind == "CURED":
            row.update(state="CURED", cured_at=as_of_ns, changed_at=as_of_ns)
        else:
            _complete(row, rules, rates, deadlines, as_of_ns)
            row["headline"] = headline(row, row["deadline_at"], as_of_ns, _expected(row, calendar))
        rows.append({name: row[name] for name in RECON_BREAK.columns})
        log.append(change_row(row, before.get(row["break_id"]), kind, as_of_ns, execution))
    return table_of(rows, breaks), table_of(log, changes)


def _complete(row: Row, rules: RuleSet, rates: FxRates, deadlines: Deadlines, as_of_ns: int) -> None:
    opened_ns = row["opened_at"] if row["opened_at"] is not None else as_of_ns
    due_ns = deadlines.of(row["code"], row["trade_date"], row["settle_date"], opened_ns)
    base = rates.convert(row["exposure"], row["ccy"], row["trade_date"])
    severity = rules.severity.of(taxonomy()[row["code"]].severity, base, minutes_left(due_ns, opened_ns))
    row.update(opened_at=opened_ns, changed_at=as_of_ns, cured_at=None, deadline_at=due_ns, exposure_base=base)
    row.update(severity=int(severity), next_step=next_step(row))


def minutes_left(due_ns: int | None, opened_ns: int) -> float | None:
    """What a break had until its deadline when it opened; None where it has none."""
    return None if due_ns is None else (due_ns - opened_ns) / _MINUTE_NS


def _expected(row: Row, calendar: SettleCalendar | None) -> str | None:
    """What the calendars say of a settlement date in doubt, and which side it agrees with."""
    if calendar is None or row["code"] != _SETTLE_DATE:
        return None
    found = calendar.expected(row["detail"], row["ccy"], row["trade_date"])
    if found is None:
        return None
    sides = {row["left_value"]: "ours", row["right_value"]: "theirs"}
    agrees = sides.get(found.day.isoformat(), "neither")
    return f"{agrees} is right by the calendar, {found.day} ({found.basis})"


def change_row(row: Row, before: Row | None, kind: str, as_of_ns: int, execution: str) -> Row:
    """What a break became, as a row of its history; `before` is how it stood."""
    after = _told(row)
    return {
        "change_id": digest128(row["break_id"], str(row["generation"]), kind, timestamp(as_of_ns), after),
        "break_id": row["break_id"],
        "generation": row["generation"],
        "kind": kind,
        "as_of": as_of_ns,
        "code": row["code"],
        "severity": int(row["severity"]),
        "before": _told(before) if before is not None and before["state"] != "EXPECTED" else None,
        "after": after,
        "execution": execution,
    }


def _told(row: Row) -> str:
    """What a reader of the history needs, as canonical JSON: decimals, dates and times as text."""
    told = {name: _text(name, row[name]) for name in _TOLD if row[name] is not None}
    return json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _text(name: str, value: object) -> object:
    if name == "severity":
        return Severity(int(str(value))).name
    if name.endswith("_at") and isinstance(value, int):
        return timestamp(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def table_of(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Rows as Arrow; integer nanoseconds become timestamps."""
    columns = {}
    for field in schema:
        values = [row[field.name] for row in rows]
        if pa.types.is_timestamp(field.type):
            columns[field.name] = pa.array(values, pa.int64()).cast(field.type)
        else:
            columns[field.name] = pa.array(values, field.type)
    return pa.table(columns)
