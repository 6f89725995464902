"""Fills of orders whose reports tell totals: the difference of each report to the one before, whatever came first.

The totals stay as records of level ORDER. Beside each stands a FILL of what it added, under the report's own id. A
report that comes late changes what the next one added: that fill then gets another version, and the last one counts.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from domain.ids import digest128
from ingest.fix.flags import Flag, shown
from ingest.normalise_trades import EVENT_KEY_FIELDS, TRADE_SCHEMA
from ingest.normalise_units import AVERAGE, CUMULATED, EXEC_ID, LAST_PRICE
from warehouse.port import Warehouse

_TOTAL, _FILL = "ORDER", "FILL"
_MARK = shown(int(Flag.CUMULATIVE))[0]
_EXACT = Context(prec=60)
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{0,12})?")
_PRICE_PLACES, _MONEY_PLACES = 12, Decimal("0.000001")
_TOLD = ("status", "qty", "price", "price_scale")  # what makes another version of a fill
# What is stored of the orders at hand; the caller's batch is not yet.
_KNOWN = """
SELECT t.* FROM trade_event t
WHERE t.level IN ('ORDER', 'FILL') AND t.flags LIKE '%CUMULATIVE%'
  AND t.order_id IN (SELECT s.event_key FROM ingest_stage s WHERE s.execution = :execution)
"""
_CLEAR = "DELETE FROM ingest_stage WHERE execution = :execution"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Total:
    """A report of an order's total: quantity so far and money so far (None without an average price)."""

    row: Row
    exec_id: str
    qty: Decimal | None
    average: Decimal | None
    last: Decimal | None


def with_increments(warehouse: Warehouse, trades: pa.Table, execution: str) -> pa.Table:
    """The trades to store, and for those that tell an order's total the fills they and their successors now make."""
    told = pc.and_(pc.equal(trades["level"], _TOTAL), pc.fill_null(pc.match_substring(trades["flags"], _MARK), False))
    fresh = _rows(trades.filter(told)) if trades.num_rows else []
    if not fresh:
        return trades
    orders: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in fresh:
        orders[_order(row)].append(row)
    stored: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in _known(warehouse, sorted({uid for _, uid in orders}), execution):
        stored[_order(row)].append(row)
    made = [row for order, rows in sorted(orders.items()) for row in _fills(rows, stored[order])]
    return pa.concat_tables([trades, pa.Table.from_pylist(made, schema=trades.schema)]) if made else trades


def _order(row: Row) -> tuple[str, str]:
    return row["feed"], row["order_id"] or row["trade_uid"]


def _known(warehouse: Warehouse, orders: Sequence[str], execution: str) -> list[Row]:
    keys = pa.table({"execution": pa.array([execution] * len(orders)), "event_key": pa.array(orders, pa.string())})
    warehouse.append("ingest_stage", keys)
    rows = warehouse.query(_KNOWN, {"execution": execution})
    warehouse.execute(_CLEAR, {"execution": execution})
    return _rows(rows.select(TRADE_SCHEMA.names))


def _rows(table: pa.Table) -> list[Row]:
    """Rows as Python values, times as nanoseconds."""
    plain = pa.schema([f.with_type(pa.int64()) if pa.types.is_timestamp(f.type) else f for f in table.schema])
    return list(table.cast(plain).to_pylist())


def _fills(fresh: Sequence[Row], stored: Sequence[Row]) -> list[Row]:
    """New versions of an order's fills: those of its new totals, and of older ones whose predecessor is new."""
    totals = [_total(row) for row in (*fresh, *stored) if row["level"] == _TOTAL]
    last: dict[str, Row] = {}
    for row in sorted((row for row in stored if row["level"] == _FILL), key=lambda row: int(row["version"])):
        last[row["trade_uid"]] = row
    mine, made = {row["message_id"] for row in fresh}, []
    for total, previous, values in _differences(totals):
        now = {name: total.row[name] for name in _TOLD} | dict(values)
        before = last.get(total.exec_id)
        if before is not None and all(before[name] == now[name] for name in _TOLD):
            continue
        known = [one.row for one in (total, previous) if one is not None]
        cause = next((row for row in known if row["message_id"] in mine), fresh[0])
        version = before["version"] + 1 if before is not None else 1
        last[total.exec_id] = _record(total, now, version, cause)
        made.append(last[total.exec_id])
    return made


def _total(row: Row) -> _Total:
    told: Mapping[str, str] = json.loads(row["ext"] or "{}")
    average = row["price"] if AVERAGE in told else None
    last = _plain(told.get(LAST_PRICE)) if average is not None else row["price"]
    if average is not None and _plain(told[AVERAGE]) != average:
        last = None  # prices were folded into another unit, which the text as sent is not
    qty = row["qty"] if CUMULATED in told or row["status"] == "NEW" else None
    return _Total(row, told.get(EXEC_ID) or row["trade_uid"], qty, average, last)


def _plain(text: str | None) -> Decimal | None:
    return Decimal(text) if text and _NUMBER.fullmatch(text) else None


def _differences(totals: Sequence[_Total]) -> list[tuple[_Total, _Total | None, Mapping[str, Any]]]:
    """Each report with the one before it and what it says happened; a total told again says nothing.

    Between two cancels or corrections totals only grow, so they count in the order of their quantities; cancels and
    corrections stand where their time puts them.
    """
    found: list[tuple[_Total, _Total | None, Mapping[str, Any]]] = []
    previous: _Total | None = None
    done = Decimal(0)
    fills: dict[str, Decimal] = {}
    for total in _in_order(totals):
        status, ended = total.row["status"], total.row["prev_uid"]
        if status == "CANCEL":
            gone = fills.pop(ended, Decimal(0))
            done = total.qty if total.qty is not None else done - gone
            found.append((total, previous, {"qty": gone or total.row["qty"]}))
        elif total.qty is None:
            continue
        elif status == "CORRECT":
            qty = _EXACT.add(fills.get(ended, Decimal(0)), total.qty - done)
            fills[total.exec_id], done = qty, total.qty
            price = total.last if total.last is not None else total.average
            found.append((total, previous, {"qty": qty, "price": price} if price is not None else {"qty": qty}))
        elif total.qty > done:
            added = total.qty - done
            found.append((total, previous, {"qty": added, **_price(total, previous, done, added)}))
            fills[total.exec_id], done = added, total.qty
        previous = total
    return found


def _in_order(totals: Sequence[_Total]) -> list[_Total]:
    timed = sorted(
        totals,
        key=lambda one: (one.row["event_time_utc"], one.row["status"] != "NEW", one.qty or 0, one.row["record_id"]),
    )
    found: list[_Total] = []
    grown: list[_Total] = []
    for one in (*timed, None):
        if one is not None and one.row["status"] == "NEW":
            grown.append(one)
            continue
        found += sorted(grown, key=lambda each: each.qty or Decimal(0))
        grown = []
        if one is not None:
            found.append(one)
    return found


def _price(total: _Total, previous: _Total | None, done: Decimal, added: Decimal) -> Mapping[str, Any]:
    """Price of what was added: from both averages, with no more digits than those leave certain.

    LastPx(31) is the price where the averages allow it.
    """
    if total.average is None or not done:
        price = total.average if total.last is None or total.average is not None else total.last
        return {"price": price} if price is not None else {}
    if previous is None or previous.average is None:
        return {"price": total.last} if total.last is not None else {}
    money = _EXACT.multiply(done + added, total.average) - _EXACT.multiply(done, previous.average)
    price = _EXACT.divide(money, added)
    half = Decimal(5).scaleb(-1 - (total.row["price_scale"] or 0))
    doubt = _EXACT.divide(_EXACT.multiply(half, (total.qty or done) + done), added)
    if total.last is not None and abs(total.last - price) <= doubt:
        return {"price": total.last}
    digits = int((-(2 * doubt).log10(_EXACT)).to_integral_value(ROUND_FLOOR)) if doubt else _PRICE_PLACES
    digits = max(0, min(digits, total.row["price_scale"] or 0))
    return {"price": price.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, _EXACT), "price_scale": digits}


def _record(total: _Total, values: Mapping[str, Any], version: int, cause: Row) -> Row:
    """The FILL beside a total; money that is the order's as a whole stays with the total."""
    name = digest128(total.row["record_id"], "increment", str(version), *(str(values[name]) for name in _TOLD))
    row = {**total.row, **values, "record_id": name, "version": version, "level": _FILL, "trade_uid": total.exec_id}
    row |= {"order_id": _order(total.row)[1], "commission": None, "net_money": None, "accrued_interest": None}
    row |= {name: cause[name] for name in ("message_id", "recv_time_utc", "raw_sha256", "raw_start", "raw_end")}
    row["gross_money"] = _gross(row, total.row)
    if row["status"] == "NEW":
        row["prev_uid"] = None
    key = [row[field] for field in EVENT_KEY_FIELDS]
    row["event_key"] = digest128(*("" if value is None else str(value) for value in key), name)
    return row


def _gross(row: Row, total: Row) -> Decimal | None:
    """In proportion to what the total's own gross money is of its quantity and price."""
    known, qty, price = total["gross_money"], total["qty"], total["price"]
    if known is None or not qty or not price:
        return None
    unit = _EXACT.divide(known, _EXACT.multiply(qty, price))
    return _EXACT.multiply(_EXACT.multiply(row["qty"], row["price"]), unit).quantize(
        _MONEY_PLACES, ROUND_HALF_EVEN, _EXACT
    )
