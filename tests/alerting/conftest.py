"""A warehouse with breaks in it, and the embedded ticket service over real HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import httpx
import pyarrow as pa
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from alerting.deliver import DeliveryLimits
from alerting.gate import Gate, GateLimits
from alerting.instance import Connection, Instance
from alerting.service.api import create_service
from alerting.service.auth import Credentials
from alerting.service.server import running
from alerting.servicenow import ServiceNow
from alerting.triage import DEFAULT_GROUPS
from domain.clock import ManualClock, SystemClock
from domain.schema import TABLES, arrow_schema
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

FAULT_TOKEN = "fault-token"
WRITTEN = (
    "recon_break",
    "break_change",
    "break_score",
    "action",
    "execution_log",
    "ticket_outbox",
    "ticket_delivery",
    "ticket_seen",
)
START_NS = 1_770_000_000_000_000_000


@dataclass(frozen=True)
class Service:
    """The running embedded service: its address, and clients as the adapter's user and as a person."""

    url: str
    admin: httpx.Client
    person: httpx.Client

    def fault(self, mode: str, **options: object) -> None:
        answer = self.admin.post(
            "/tieout/fault", json={"mode": mode, **options}, headers={"X-Tieout-Token": FAULT_TOKEN}
        )
        answer.raise_for_status()

    def incidents(self, **params: str) -> list[dict[str, str]]:
        answer = self.admin.get("/api/now/table/incident", params={"sysparm_exclude_reference_link": "true", **params})
        return answer.json()["result"]

    def journal(self, sys_id: str) -> list[str]:
        query = f"element_id={sys_id}^element=work_notes^ORDERBYsys_created_on"
        answer = self.admin.get("/api/now/table/sys_journal_field", params={"sysparm_query": query})
        return [entry["value"] for entry in answer.json()["result"]]


class Switchboard:
    """One HTTP server for the whole session; every test puts its own fresh application behind it."""

    def __init__(self) -> None:
        self.app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def line() -> Iterator[tuple[Switchboard, Service]]:
    switchboard = Switchboard()
    with (
        running(switchboard) as url,
        httpx.Client(base_url=url, auth=("tieout", "secret"), timeout=10) as admin,
        httpx.Client(base_url=url, auth=("maria", "hers"), timeout=10) as person,
    ):
        yield switchboard, Service(url, admin, person)


@pytest.fixture
def service(line: tuple[Switchboard, Service]) -> Iterator[Service]:
    switchboard, made = line
    switchboard.app = create_service(
        ":memory:",
        Credentials({"tieout": "secret", "maria": "hers"}, FAULT_TOKEN),
        SystemClock(),
        groups=tuple(sorted(set(DEFAULT_GROUPS.values()))),
        people={"bob": "Bob"},
    )
    yield made
    switchboard.app.state.close()


@pytest.fixture(scope="session")
def adapter(line: tuple[Switchboard, Service]) -> Iterator[ServiceNow]:
    clock = SystemClock()
    gate = Gate(clock, GateLimits(breaker_failures=10_000))  # the tests of the breaker make their own
    instance = Instance(line[1].url, ("tieout", "secret"), clock, gate, Connection(timeout_seconds=5.0))
    with ServiceNow(instance, "tieout") as made:
        yield made


@pytest.fixture
def ticketing(service: Service, adapter: ServiceNow) -> ServiceNow:
    adapter.instance.gate.reset()
    return adapter


@pytest.fixture
def limits() -> DeliveryLimits:
    return DeliveryLimits(backoff_seconds=0.001, max_wait_seconds=0.01)


class Book:
    """Writes breaks, changes, scores and actions as matching, anomaly and the console do."""

    def __init__(self, warehouse: DuckDbWarehouse) -> None:
        self.warehouse = warehouse
        for table in WRITTEN:
            warehouse.execute(f"DELETE FROM {table}")
        self.clock = ManualClock(START_NS)
        self._number = 0
        # The run that makes what changes.
        self.execution = "e1"

    def append(self, table: str, rows: list[dict[str, object]]) -> None:
        schema = arrow_schema(TABLES[table])
        names = [name for name in schema.names if any(name in row for row in rows)]
        columns = {name: pa.array([row.get(name) for row in rows], schema.field(name).type) for name in names}
        self.warehouse.append(table, pa.table(columns))

    def _now(self) -> int:
        self.clock.advance(1)
        return self.clock.now_ns()

    def change(self, break_id: str, kind: str, *, generation: int = 1, code: str = "T05", severity: int = 3) -> str:
        self._number += 1
        change_id = f"change-{self._number:06d}"
        row = {
            "change_id": change_id,
            "break_id": break_id,
            "generation": generation,
            "kind": kind,
            "as_of": self._now(),
            "code": code,
            "severity": severity,
            "execution": self.execution,
        }
        self.append("break_change", [row])
        return change_id

    def break_row(self, break_id: str, state: str = "OPEN", **values: object) -> dict[str, object]:
        row: dict[str, object] = {
            "break_id": break_id,
            "generation": 1,
            "level": "FILL",
            "pb_id": "ALPHA",
            "anchor": f"O-{break_id}",
            "field_family": "qty",
            "code": "T05",
            "severity": 3,
            "state": state,
            "first_seen": self.clock.now_ns(),
            "opened_at": self.clock.now_ns(),
            "changed_at": self.clock.now_ns(),
            "deadline_at": START_NS + 3_600_000_000_000,
            "symbol": "AAPL",
            "account_id": "MERID-EQ-01",
            "ccy": "USD",
            "exposure": Decimal("18500"),
            "left_value": "100",
            "right_value": "200",
            "delta": Decimal("100"),
            "headline": "ALPHA booked 200 AAPL where we booked 100",
            "next_step": "Ask ALPHA to correct the quantity",
            "rule_set_hash": "r1",
            "component": "c1",
        }
        return row | values

    def opened(self, break_id: str, **values: object) -> str:
        generation = int(values.get("generation", 1))  # type: ignore[call-overload]
        code, severity = str(values.get("code", "T05")), int(values.get("severity", 3))  # type: ignore[call-overload]
        kind = "OPENED" if generation == 1 else "REOPENED"
        change_id = self.change(break_id, kind, generation=generation, code=code, severity=severity)
        self.replace(break_id, **values)
        return change_id

    def replace(self, break_id: str, state: str = "OPEN", **values: object) -> None:
        self.warehouse.execute("DELETE FROM recon_break WHERE break_id = :id", {"id": break_id})
        self.append("recon_break", [self.break_row(break_id, state, **values)])

    def cured(self, break_id: str, **values: object) -> str:
        change_id = self.change(break_id, "CURED", generation=int(values.get("generation", 1)))  # type: ignore[call-overload]
        self.replace(break_id, "CURED", cured_at=self.clock.now_ns(), **values)
        return change_id

    def changed(self, break_id: str, **values: object) -> str:
        change_id = self.change(break_id, "CHANGED")
        self.replace(break_id, **values)
        return change_id

    def score(self, change_id: str, break_id: str, score: str) -> None:
        row = {"change_id": change_id, "break_id": break_id, "score": Decimal(score), "p_value": Decimal("0.01")}
        self.append("break_score", [row | {"reasons": '["unusual size"]', "model_version": "m1", "execution": "e1"}])

    def action(self, break_id: str, kind: str, **values: object) -> None:
        self._number += 1
        row = {"action_id": f"action-{self._number:06d}", "break_id": break_id, "actor": "alice", "kind": kind}
        self.append("action", [row | {"acted_at": self._now()} | values])

    def many(self, count: int) -> None:
        names = [f"break-{index:05d}" for index in range(count)]
        changes = [
            {
                "change_id": f"open-{name}",
                "break_id": name,
                "generation": 1,
                "kind": "OPENED",
                "as_of": self.clock.now_ns(),
            }
            | {"code": "T05", "severity": 3, "execution": "e1"}
            for name in names
        ]
        self.append("break_change", changes)
        self.append("recon_break", [self.break_row(name) for name in names])

    def operations(self) -> list[tuple[str, int, str]]:
        rows = self.warehouse.query("SELECT break_id, generation, operation FROM ticket_outbox ORDER BY outbox_key")
        return [(row["break_id"], row["generation"], row["operation"]) for row in rows.to_pylist()]

    def outcomes(self) -> dict[str, int]:
        rows = self.warehouse.query("SELECT outcome, count(*) AS n FROM ticket_delivery GROUP BY outcome")
        return {row["outcome"]: row["n"] for row in rows.to_pylist()}


@pytest.fixture(scope="session")
def warehouse() -> Iterator[DuckDbWarehouse]:
    made = DuckDbWarehouse(":memory:")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def book(warehouse: DuckDbWarehouse) -> Book:
    return Book(warehouse)
