"""A desk of one fund and three prime brokers, and a builder of canonical rows with sane defaults."""

import itertools
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from domain.ids import digest128
from domain.schema import TABLES, arrow_schema
from matching.engine import MatchResult, match
from matching.levels.port import FeedTerms
from matching.rules import RuleSet
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

SECOND = 1_000_000_000
T0 = 1_795_530_600 * SECOND  # 2026-11-24 14:30:00 UTC
DAY = date(2026, 11, 24)
LATE = T0 + 86_400 * SECOND

FEEDS = (
    FeedTerms("oms", "INTERNAL", "MERIDIAN", 30),
    FeedTerms("alpha", "PB", "ALPHA", 60),
    FeedTerms("bravo", "PB", "BRAVO", 60),
    FeedTerms("charlie", "PB", "CHARLIE", 120),
)
PARTY = {feed.feed: feed.party for feed in FEEDS}
SCHEMA = arrow_schema(TABLES["trade_event"])
Row = dict[str, Any]
_OWN_WORLD = ("trade_uid", "prev_uid", "cross_uid", "client_order_id", "instrument_id")


def row(feed: str, uid: str | None, **changes: Any) -> Row:
    """One trade_event row: a fill of 100 NVDA at 10.50 at ALPHA unless told otherwise."""
    internal = feed == "oms"
    base: Row = {
        "feed": feed,
        "source_id": feed,
        "source_role": "INTERNAL" if internal else "PB",
        "level": "ALLOCATION" if feed == "charlie" else "FILL",
        "trade_uid": uid,
        "client_order_id": "C1",
        "version": 1,
        "status": "NEW",
        "event_time_utc": T0,
        "event_time_precision": "s",
        "recv_time_utc": T0,
        "trade_date": DAY,
        "settle_date": date(2026, 11, 25),
        "side": "BUY",
        "qty": "100",
        "price": "10.50",
        "multiplier": "1",
        "trade_ccy": "USD",
        "instrument_id": "NVDA-ID",
        "symbol": "NVDA",
        "account_id": "MERID-EQ-01",
        "pb_id": "ALPHA" if internal else PARTY[feed],
        "commission": "1.00",
    }
    base |= changes
    if base.get("price_scale") is None:
        base["price_scale"] = len(str(base["price"]).partition(".")[2])
    key = digest128(*(f"{name}={base[name]}" for name in sorted(base) if name not in {"recv_time_utc", "execution"}))
    base.setdefault("record_id", digest128("row", key))
    base.setdefault("message_id", f"{feed}:{base['record_id']}")
    base |= {"event_key": key, "raw_sha256": key}
    return base


def ours(uid: str, **changes: Any) -> Row:
    """A fill of our own."""
    return row("oms", uid, **changes)


def theirs(uid: str, cross: str | None = None, *, feed: str = "alpha", **changes: Any) -> Row:
    """A prime broker's booking; `cross` is our execution id as it knows it."""
    return row(feed, uid, cross_uid=cross, **changes)


def own_world(rows: Iterable[Row], name: str) -> list[Row]:
    """The rows with ids and instruments of their own, so that many cases can be matched in one run."""
    renamed = [{**item, **{k: f"{name}-{item[k]}" for k in _OWN_WORLD if item.get(k)}} for item in rows]
    return [{**item, "record_id": digest128(name, item["record_id"])} for item in renamed]


def new_warehouse() -> DuckDbWarehouse:
    """A warehouse in memory with all its tables."""
    made = DuckDbWarehouse(":memory:")
    migrate(made)
    return made


def emptied(warehouse: DuckDbWarehouse) -> DuckDbWarehouse:
    """The warehouse as it was when it was new: a second of planning and creating is not repeated for every test."""
    filled = warehouse.query(
        "select t.table_name from duckdb_tables() t where t.estimated_size > 0 and t.table_name <> 'schema_version'"
    )
    for name in filled["table_name"].to_pylist():
        warehouse.execute(f"delete from {name}")
    return warehouse


def kept(warehouse: DuckDbWarehouse) -> dict[str, pa.Table]:
    """Rows of every table that has any, for `put_back`."""
    filled = warehouse.query(
        "select t.table_name from duckdb_tables() t where t.estimated_size > 0 and not t.temporary"
        " and t.table_name <> 'schema_version'"
    )
    return {name: warehouse.query(f"select * from {name}") for name in filled["table_name"].to_pylist()}


def put_back(warehouse: DuckDbWarehouse, tables: Mapping[str, pa.Table]) -> DuckDbWarehouse:
    """The warehouse as it was when `tables` were kept: as good as a run that made them, and much faster."""
    emptied(warehouse)
    for name, rows in tables.items():
        warehouse.append(name, rows)
    return warehouse


class Desk:
    """A warehouse with the default rules and one short way to store and match rows."""

    def __init__(self, rules: RuleSet, warehouse: DuckDbWarehouse | None = None) -> None:
        self.warehouse = new_warehouse() if warehouse is None else warehouse
        self.rules = rules
        self._names = itertools.count(1)

    def store(self, rows: Iterable[Row], execution: str) -> None:
        """Append facts as Normalize would."""
        full = [{**item, "execution": execution} for item in rows]
        if full:
            self.warehouse.append("trade_event", pa.table({f.name: _column(full, f) for f in SCHEMA}))

    def match(
        self, rows: Iterable[Row] = (), *, as_of: int = T0, execution: str | None = None, **more: Any
    ) -> MatchResult:
        """Store `rows` as one execution and match it."""
        name = execution or f"e{next(self._names):03d}"
        self.store(rows, name)
        return match(
            self.warehouse, execution=name, as_of=as_of, rules=self.rules, feeds=more.pop("feeds", FEEDS), **more
        )

    def table(self, sql: str, params: Mapping[str, object] | None = None) -> list[Row]:
        """Rows of a query."""
        return self.warehouse.query(sql, params).to_pylist()

    def breaks(self, state: str = "OPEN") -> list[str]:
        """Codes in a state, sorted."""
        found = self.table("select code from recon_break where state = :state order by code", {"state": state})
        return [item["code"] for item in found]

    def dump(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Whole tables as sorted rows."""
        return {
            name: sorted(tuple(map(str, item.values())) for item in self.table(f"select * from {name}"))
            for name in tables
        }


def _column(rows: list[Row], field: pa.Field) -> pa.Array:
    values = [item.get(field.name) for item in rows]
    if pa.types.is_timestamp(field.type):
        return pa.array(values, pa.int64()).cast(field.type)
    if pa.types.is_decimal(field.type):
        return pa.array([None if v is None else Decimal(str(v)) for v in values], field.type)
    return pa.array(values, field.type)
