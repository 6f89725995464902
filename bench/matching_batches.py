"""Micro-batches against many open items: `python -m bench matching_batches [OPEN ...] [PICTURE.svg]`.

A desk has OPEN trades of its own that wait for their prime broker, all inside grace. Then batches of 5,000 records
arrive, 2,500 new trades of ours and 2,500 bookings of older ones, and each is matched and committed to a file. Every
twelfth booking shows another price. With several OPEN and a picture, how the cost grows is drawn.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain.schema import TABLES, arrow_schema
from matching.engine import match
from matching.levels.port import FeedTerms
from matching.rules import load_rules
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

OPEN, HALF, BATCHES = 250_000, 2_500, 40
_START_NS = 1_795_530_600 * 1_000_000_000  # 2026-11-24 14:30:00 UTC
_TRADE, _SETTLE = date(2026, 11, 24), date(2026, 11, 25)
_GRACE_SECONDS = 7 * 86_400
FEEDS = (
    FeedTerms("oms", "INTERNAL", "MERIDIAN", _GRACE_SECONDS),
    FeedTerms("alpha", "PB", "ALPHA", _GRACE_SECONDS),
)
_SCHEMA = arrow_schema(TABLES["trade_event"])


@dataclass(frozen=True, slots=True)
class Numbers:
    """Milliseconds per batch, commit included, by the clock and of CPU, and rows a second over all of them."""

    open_items: int
    median: float
    p99: float
    cpu: float
    rows_per_second: float
    groups: int


def records(rows: NDArray[np.int64], side: str, execution: str, at_ns: int) -> pa.Table:
    """trade_event rows: trade number `rows` as we booked it (`side` L) or as the prime broker did (R)."""
    count, internal = len(rows), side == "L"
    text = pc.utf8_lpad(pa.array(rows).cast(pa.string()), 9, "0")
    ids = pc.binary_join_element_wise("F" if internal else "B", text, "")
    ours = pc.binary_join_element_wise("F", text, "")
    kind = _SCHEMA.field("recv_time_utc").type
    # Ten executions an order, all of one instrument and account.
    orders = rows // 10
    symbols = pa.array([f"US{n:09d}0" for n in range(300)]).take(pa.array(orders * 7919 % 300))
    off = (rows % 12 == 0) & (not internal)
    price = pa.array(1_000 + rows * 31 % 9_000 + off * 25, pa.int64()).cast(pa.decimal128(19, 0))
    values: dict[str, pa.Array] = {
        "record_id": ids, "message_id": ids, "event_key": ids, "raw_sha256": ids, "trade_uid": ids,
        "cross_uid": pa.nulls(count, pa.string()) if internal else ours,
        "client_order_id": pc.binary_join_element_wise("C", pc.utf8_slice_codeunits(text, 0, 8), ""),
        "instrument_id": symbols, "symbol": symbols,
        "account_id": pa.array([f"MERIDIAN-{n:03d}" for n in range(40)]).take(pa.array(orders * 104_729 % 40)),
        "qty": pa.array(100 + rows * 13 % 900 * 10, pa.int64()).cast(pa.decimal128(19, 0)),
        "price": pc.multiply(price, pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))),
    }  # fmt: skip
    constant = {
        "execution": execution, "feed": "oms" if internal else "alpha", "source_id": "s", "level": "FILL",
        "source_role": "INTERNAL" if internal else "PB", "version": 1, "status": "NEW", "event_time_precision": "ms",
        "trade_date": _TRADE, "settle_date": _SETTLE, "side": "BUY", "price_scale": 2, "multiplier": 1,
        "trade_ccy": "USD", "pb_id": "ALPHA", "commission": 1,
    }  # fmt: skip
    for name in ("event_time_utc", "recv_time_utc"):
        values[name] = pa.array(at_ns + np.arange(count), pa.int64()).cast(kind)
    columns = {
        field.name: values[field.name].cast(field.type) if field.name in values
        else _same(constant.get(field.name), field.type, count)
        for field in _SCHEMA
    }  # fmt: skip
    return pa.table(columns, schema=_SCHEMA)


def _same(value: object, kind: pa.DataType, count: int) -> pa.Array:
    if pa.types.is_decimal(kind) and value is not None:
        value = Decimal(str(value))
    return pa.repeat(pa.scalar(value, kind), count)


def run(open_items: int, folder: Path, batches: int = BATCHES) -> Numbers:
    """Fill a warehouse file with `open_items` and time the batches that follow, while any are left to book."""
    batches = max(1, min(batches, open_items // HALF))
    warehouse, rules = DuckDbWarehouse(folder / "tieout.duckdb", threads=1, memory_limit_mb=8192), load_rules()
    migrate(warehouse)
    first = np.arange(open_items, dtype=np.int64)
    warehouse.append("trade_event", records(first, "L", "before", _START_NS))
    match(warehouse, execution="before", as_of=_START_NS, rules=rules, feeds=FEEDS)
    rng = np.random.Generator(np.random.PCG64(7))
    booked = iter(rng.permutation(open_items))
    spent, busy, groups = [], [], 0
    for number in range(batches):
        at_ns = _START_NS + (number + 1) * 1_000_000_000
        new = np.arange(open_items + number * HALF, open_items + (number + 1) * HALF, dtype=np.int64)
        old = np.array([row for row, _ in zip(booked, range(HALF), strict=False)], dtype=np.int64)
        name = f"batch-{number:04d}"
        warehouse.append("trade_event", records(new, "L", name, at_ns))
        warehouse.append("trade_event", records(old, "R", name, at_ns))
        started, worked = time.perf_counter(), time.process_time()
        groups += match(warehouse, execution=name, as_of=at_ns, rules=rules, feeds=FEEDS).groups
        spent.append((time.perf_counter() - started) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    warehouse.close()
    steady = np.array(spent[batches // 8 :])
    rate = 2 * HALF * len(steady) / (steady.sum() / 1000)
    return Numbers(
        open_items, float(np.median(steady)), float(np.quantile(steady, 0.99)),
        float(np.median(busy[batches // 8 :])), float(rate), groups,
    )  # fmt: skip


_WIDE, _HIGH, _LEFT, _TOP, _FOOT = 640, 360, 70, 40, 50


def picture(numbers: Sequence[Numbers]) -> str:
    """CPU milliseconds per batch over open items, both axes logarithmic, as an SVG document."""
    items = [one.open_items for one in numbers]
    low, high = 10 ** np.floor(np.log10(min(items))), 10 ** np.ceil(np.log10(max(items) * 1.01))
    least, most = 100.0, 10 ** np.ceil(np.log10(max(n.cpu for n in numbers)))

    def x(items: float) -> float:
        return float(_LEFT + (_WIDE - _LEFT - 20) * np.log10(items / low) / np.log10(high / low))

    def y(milliseconds: float) -> float:
        return float(_HIGH - _FOOT - (_HIGH - _FOOT - _TOP) * np.log10(milliseconds / least) / np.log10(most / least))

    text = '<text x="{:.0f}" y="{:.0f}" text-anchor="{}">{}</text>'
    parts = [text.format(_LEFT, 22, "start", f"CPU ms for a batch of {2 * HALF:,} records, matched and committed")]
    for step in range(int(np.log10(most / least)) + 1):
        at = least * 10**step
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDE - 20}" y1="{y(at):.0f}" y2="{y(at):.0f}" stroke="#ccc"/>')
        parts.append(text.format(_LEFT - 8, y(at) + 4, "end", f"{at:,.0f}"))
    for one in numbers:
        parts.append(f'<circle cx="{x(one.open_items):.1f}" cy="{y(one.cpu):.1f}" r="4" fill="#1f6feb"/>')
        parts.append(text.format(x(one.open_items), y(one.cpu) - 10, "middle", f"{one.cpu:,.0f}"))
        parts.append(text.format(x(one.open_items), _HIGH - 28, "middle", f"{one.open_items:,}"))
    line = " ".join(f"{x(one.open_items):.1f},{y(one.cpu):.1f}" for one in numbers)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>')
    parts.append(text.format(_WIDE / 2, _HIGH - 8, "middle", "open items"))
    font = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" {font}>'
    back = f'<rect width="{_WIDE}" height="{_HIGH}" fill="#fff"/>'
    return "\n".join([head, back, *parts, "</svg>", ""])


def lines() -> Iterator[str]:
    """One line per number of open items."""
    pictures = [Path(text) for text in sys.argv[2:] if text.endswith(".svg")]
    numbers = [text.replace("_", "") for text in sys.argv[2:]]
    sizes = [int(text) for text in numbers if text.isdigit()] or [OPEN]
    told = []
    yield f"batches of {2 * HALF:,} records, matched and committed"
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found = run(size, Path(folder))
        told.append(found)
        yield (
            f"  {found.open_items:>9,} open   p50 {found.median:,.0f} ms   p99 {found.p99:,.0f} ms"
            f"   CPU {found.cpu:,.0f} ms   {found.rows_per_second:,.0f} records/s   {found.groups:,} groups"
        )
    for path in pictures:
        path.write_text(picture(told), encoding="utf-8")
        yield f"  drawn to {path}"
