"""A warehouse with breaks of every kind, a console around it, and a client for it."""

import contextlib
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.decisions import Decisions
from console.app import create_console
from console.explain import explain_break
from console.ports import ConsoleDeps
from domain.clock import ManualClock, SystemClock
from domain.errors import PermanentError
from domain.ids import digest128
from domain.schema import TABLES, arrow_schema
from ingest.originals import HERE
from orchestrator.embedded import EmbeddedEngine
from orchestrator.graph import render
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate
from warehouse.port import Warehouse

NOW_NS = 1_795_205_100_000_000_000  # 2026-11-20 20:05 UTC, 15:05 in New York
HOUR_NS = 3_600_000_000_000
TOKEN = "test-token-5f2c"
BASE = "http://127.0.0.1"
CHROMIUM = Path("/usr/bin/chromium")
SYMBOLS = (("AAPL", "US0378331005", "227.48"), ("MSFT", "US5949181045", "418.79"), ("NVDA", "US67066G1040", "141.95"),
           ("JPM", "US46625H1004", "243.09"), ("XOM", "US30231G1022", "118.63"))  # fmt: skip
CODES = (("T05", 3, "qty"), ("T06", 2, "price"), ("T01", 3, "presence"), ("T07", 4, "side"), ("T16", 1, "commission"),
         ("T14", 3, "settle_date"), ("T29", 0, "price"))  # fmt: skip
TAGS = {8: "BeginString", 35: "MsgType", 55: "Symbol", 54: "Side", 32: "LastQty", 31: "LastPx", 58: "Text"}


def put(warehouse: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    """Append rows, filling absent columns with NULL and giving every column its declared type."""
    names = {name for row in rows for name in row}
    full = arrow_schema(TABLES[table])
    schema = pa.schema([f.with_nullable(True) for f in full if f.name in names])
    assert names == set(schema.names), names - set(schema.names)
    columns = [pa.array([row.get(f.name) for row in rows]).cast(f.type) if pa.types.is_decimal(f.type) else
               pa.array([row.get(f.name) for row in rows], f.type) for f in schema]  # fmt: skip
    warehouse.append(table, pa.table(columns, schema=schema))


def trade(record: str, side_role: str, **values: Any) -> dict[str, Any]:
    """A canonical record with sensible defaults."""
    symbol, isin, price = SYMBOLS[0]
    return {
        "record_id": record, "execution": "e1",
        "message_id": f"{'OMS' if side_role == 'INTERNAL' else 'BRAVO'}:{record}",
        "feed": "oms" if side_role == "INTERNAL" else "bravo", "source_id": "S", "source_role": side_role,
        "level": "FILL", "trade_uid": f"X{record}", "version": 1, "status": "NEW", "event_time_utc": NOW_NS - HOUR_NS,
        "event_time_precision": "ms", "recv_time_utc": NOW_NS - HOUR_NS, "trade_date": date(2026, 11, 20),
        "settle_date": date(2026, 11, 23), "side": "BUY", "qty": Decimal("1000"), "price": Decimal(price),
        "multiplier": Decimal(1), "trade_ccy": "USD", "symbol": symbol, "isin": isin, "instrument_id": f"ISIN:{isin}",
        "account_id": "MERID-EQ-01", "raw_sha256": "0" * 64, "event_key": record,
    } | values  # fmt: skip


def _values(family: str, qty: int, price: str, rng: random.Random) -> tuple[str, str]:
    if family == "qty":
        return f"{qty:,}", f"{qty + rng.choice((-100, 100, 10, 1000)):,}"
    if family == "price":
        return price, str(Decimal(price) + rng.choice((Decimal("0.01"), Decimal("-0.1"))))
    if family == "presence":
        return f"{qty:,} @ {price}", ""
    if family == "side":
        return "BUY", "SELL"
    if family == "settle_date":
        return "2026-11-23", "2026-11-24"
    return "63.78", "70.86"


def seed_breaks(warehouse: Warehouse, n: int, seed: int = 7, first: int = 0) -> list[str]:
    """`n` open breaks over three brokers with scores, and tickets for two in three; returns their ids in order.

    Their numbers start at `first`, so that more can be added to the same warehouse.
    """
    rng = random.Random(seed)
    breaks, changes, scores, outbox, delivery = [], [], [], [], []
    for i in range(first, first + n):
        symbol, isin, price = SYMBOLS[rng.randrange(len(SYMBOLS))]
        code, severity, family = CODES[rng.randrange(len(CODES))]
        break_id, change_id = digest128("break", str(i)), digest128("change", str(i))
        opened = NOW_NS - int(rng.choice((0.4, 2, 9, 30, 60, 100, 200)) * HOUR_NS) - i
        qty = rng.randrange(100, 90_000)
        left, right = _values(family, qty, price, rng)
        deadline = None if code == "T29" else NOW_NS + int(rng.choice((-3.2, -0.4, 0.6, 4.9, 9.5)) * HOUR_NS)
        breaks.append({
            "break_id": break_id, "generation": 1, "level": "FILL", "pb_id": rng.choice(("ALPHA", "BRAVO", "CHARLIE")),
            "anchor": break_id, "field_family": family, "code": code, "severity": severity, "state": "OPEN",
            "first_seen": opened, "opened_at": opened, "changed_at": opened, "deadline_at": deadline,
            "instrument_id": f"ISIN:{isin}", "symbol": symbol, "account_id": f"MERID-EQ-{rng.randrange(1, 40):02d}",
            "side": "BUY", "trade_date": date(2026, 11, 20), "settle_date": date(2026, 11, 23), "ccy": "USD",
            "exposure_base": None if i % 19 == 3 else Decimal(rng.randrange(200, 9_000_000)).quantize(Decimal("0.01")),
            "left_value": left, "right_value": right,
            "headline": f"{symbol}: internal {left}, broker {right or 'nothing'}",
            "next_step": "Ask the broker for its fill report", "rule_id": "fills-by-exec-id", "rule_set_hash": "h",
            "component": "c",
        })  # fmt: skip
        changes.append({"change_id": change_id, "break_id": break_id, "generation": 1, "kind": "OPENED",
                        "as_of": opened, "code": code, "severity": severity, "execution": "e1"})  # fmt: skip
        scores.append({"change_id": change_id, "break_id": break_id, "score": Decimal(rng.randrange(1000)) / 1000,
                       "p_value": Decimal("0.031"), "model_version": "break-score-1", "execution": "e1",
                       "reasons": json.dumps([{"text": "Seen 3 times this month with BRAVO", "weight": 0.41},
                                              {"text": "Quantity differs by one lot", "weight": -0.12}])})  # fmt: skip
        key = digest128("out", str(i))
        outbox.append(
            {
                "outbox_key": key,
                "break_id": break_id,
                "generation": 1,
                "change_id": change_id,
                "operation": "open",
                "sys_id": key,
                "payload": "{}",
                "created_as_of": opened,
                "execution": "e1",
            }
        )
        if i % 3:
            delivery.append(
                {
                    "outbox_key": key,
                    "attempt": 1,
                    "outcome": "DELIVERED",
                    "http_status": 201,
                    "ticket_number": f"INC{11000 + i:07d}",
                    "attempted_at": opened + 2_000_000_000,
                }
            )
    for table, found in (("recon_break", breaks), ("break_change", changes), ("break_score", scores),
                         ("ticket_outbox", outbox), ("ticket_delivery", delivery)):  # fmt: skip
        put(warehouse, table, found)
    return [str(b["break_id"]) for b in breaks]


def seed_members(warehouse: Warehouse, break_id: str) -> None:
    """Both sides of a quantity break, with the raw messages behind them; the broker's text is hostile."""
    put(warehouse, "trade_event", [
        trade("L1", "INTERNAL", commission=Decimal("63.78"), client_order_id="C-1"),
        trade("R1", "PB", qty=Decimal("1100"), pb_id="BRAVO", account_raw="BR-7701", trade_uid="<b>BOLD</b>"),
    ])  # fmt: skip
    put(warehouse, "trade_state", [{"record_id": r, "root_id": r, "feed": "f", "is_live": True} for r in ("L1", "R1")])
    put(warehouse, "recon_break_member", [
        {"break_id": break_id, "side": "L", "record_id": "L1"}, {"break_id": break_id, "side": "R", "record_id": "R1"},
    ])  # fmt: skip
    messages = []
    for number, (session, record, text) in enumerate(
        (("OMS", "L1", "ok"), ("BRAVO", "R1", "<script>alert(1)</script>"))
    ):
        raw = f"8=FIX.4.4|35=8|55=AAPL|54=1|32=1000|31=227.48|58={text}|".replace("|", "\x01").encode()
        messages.append({"message_id": f"{session}:{record}", "lane": session, "session": session, "number": number,
                         "feed": session.lower(), "recv_ts": NOW_NS - HOUR_NS, "sha256": "0" * 64, "length": len(raw),
                         "msg_type": "8", "outcome": "FACT", "raw": raw, "execution": "e1"})  # fmt: skip
    garbage = b"8=FIX.4.4\x019=12\x0135=8\x01\xff\xfe=<img src=x>"
    messages.append(messages[0] | {"message_id": "BRAVO:9", "number": 9, "feed": "bravo", "raw": garbage,
                                   "outcome": "QUARANTINE", "length": len(garbage)})  # fmt: skip
    put(warehouse, "raw_message", messages)
    put(warehouse, "quarantine", [{"quarantine_id": "q1", "message_id": "BRAVO:9", "feed": "bravo", "code": "I01",
                                   "recv_ts": NOW_NS - HOUR_NS, "reason": "broken_framing", "raw": garbage,
                                   "detail": "The message has no checksum.", "execution": "e1"}])  # fmt: skip


DEFINITION = json.loads((Path(__file__).parents[2] / "orchestrator" / "reconcile.asl.json").read_text(encoding="utf-8"))


@dataclass
class Tasks:
    """The four tasks; tickets of the lane BRAVO are refused while `tickets_down`."""

    tickets_down: bool = True
    parked: set[str] = field(default_factory=set)

    def normalize(self, payload: dict[str, Any]) -> dict[str, Any]:
        return dict.fromkeys(("facts", "duplicates", "session", "quarantined", "ignored", "messages"), payload["count"])

    def match(self, payload: dict[str, Any]) -> dict[str, Any]:
        return dict.fromkeys(("changes", "opened", "cured", "expected", "groups", "next_due"), 1)

    def score(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"scored": 1, "flagged": 1, "ticketable": 1}

    def ticket(self, payload: dict[str, Any]) -> dict[str, Any]:
        if self.tickets_down and payload["lane"] == "BRAVO":
            raise PermanentError("HTTP 503 from /api/now/table/incident")
        return {"written": 1, "delivered": 1}

    def park(self, payload: dict[str, Any]) -> dict[str, Any]:
        if payload["lane"] not in self.parked:
            self.parked.add(payload["lane"])
            raise PermanentError(f"parked after {payload['failure']['Error']}: {payload['failure']['Cause']}")
        self.parked.remove(payload["lane"])
        return {"count": 1}

    def functions(self) -> dict[str, Any]:
        return {f"tieout-{name}": getattr(self, name) for name in ("normalize", "match", "score", "ticket", "park")}


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, tasks: Tasks) -> Iterator[EmbeddedEngine]:
    """A real engine with one good run and one whose tickets could not be delivered."""
    path = tmp_path_factory.mktemp("engine") / "engine.sqlite"
    found = EmbeddedEngine(path, DEFINITION, tasks.functions(), SystemClock())
    for name, lane in (("run-good", "OMS"), ("run-bad", "BRAVO")):
        found.start(name, {"tenant": "MERIDIAN", "kind": "batch", "lane": lane, "count": 41, "as_of": NOW_NS})
        found.wait(name, 20.0)
    yield found
    found.close()


def feeds_status() -> list[dict[str, Any]]:
    return [
        {
            "name": "oms",
            "role": "INTERNAL",
            "party": "MERIDIAN",
            "connected": True,
            "last_recv_ts": NOW_NS - 4_000_000_000,
            "received": 18_204,
            "late": False,
        },
        {
            "name": "alpha",
            "role": "PB",
            "party": "ALPHA",
            "connected": True,
            "last_recv_ts": NOW_NS - 9_000_000_000,
            "received": 9_110,
            "late": False,
        },
        {
            "name": "bravo",
            "role": "PB",
            "party": "BRAVO",
            "connected": False,
            "last_recv_ts": NOW_NS - 2 * HOUR_NS,
            "received": 6_021,
            "late": False,
        },
        {
            "name": "charlie",
            "role": "PB",
            "party": "CHARLIE",
            "connected": False,
            "last_recv_ts": None,
            "received": 0,
            "late": True,
        },
    ]


def make_deps(warehouse: Warehouse, engine: EmbeddedEngine, **changes: Any) -> ConsoleDeps:
    clock = ManualClock(NOW_NS)
    values: dict[str, Any] = {
        "warehouse": warehouse, "engine": engine, "definition": lambda _name: DEFINITION, "graph": render,
        "actions": Decisions(warehouse, clock, lambda _break_id: None), "feeds_status": feeds_status, "token": TOKEN,
        "clock": clock,
        "metrics": lambda: "tieout_up 1\n", "tenant": "MERIDIAN", "actor": "Ana Lyst",
        "explain": lambda break_id: explain_break(
            warehouse, break_id, lambda tag: TAGS.get(tag, ""), HERE.of
        ),
    }  # fmt: skip
    return ConsoleDeps(**(values | changes))


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDbWarehouse]:
    found = DuckDbWarehouse(":memory:")
    migrate(found)
    yield found
    found.close()


@pytest.fixture(scope="module")
def seeded(warehouse: DuckDbWarehouse, engine: EmbeddedEngine) -> SimpleNamespace:
    """The builders, for suites that fill the warehouse themselves."""
    return SimpleNamespace(
        warehouse=warehouse, engine=engine, seed_breaks=seed_breaks, seed_members=seed_members, make_deps=make_deps
    )  # fmt: skip


@pytest.fixture(scope="module")
def break_ids(warehouse: DuckDbWarehouse) -> list[str]:
    ids = seed_breaks(warehouse, 60)
    seed_members(warehouse, ids[0])
    return ids


@pytest.fixture(scope="module")
def deps(warehouse: DuckDbWarehouse, engine: EmbeddedEngine, break_ids: list[str]) -> ConsoleDeps:
    return make_deps(warehouse, engine)


@pytest.fixture(scope="module")
def client(deps: ConsoleDeps) -> Iterator[TestClient]:
    with TestClient(create_console(deps), base_url=BASE, headers={"authorization": f"Bearer {TOKEN}"}) as found:
        yield found


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of `app` on a real server, configured as the service's own: no log settings of uvicorn's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        clock = SystemClock()
        while not server.started and thread.is_alive():
            clock.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Serves applications until the module's tests are over."""
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium per module; a test that needs it is skipped where there is none.

    Not one per session: Playwright keeps an event loop running in this thread, and no other test could run its own.
    """
    play_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    with play_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()
