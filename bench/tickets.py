"""Tickets under kills, lost replies and a rate limit; and how long a break takes to become one. `bench tickets N`."""

import logging
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import httpx
import pyarrow as pa

from alerting import storm
from alerting.completeness import completeness
from alerting.deliver import DeliveryLimits, deliver
from alerting.gate import Gate, GateLimits
from alerting.instance import Instance
from alerting.outbox import write
from alerting.reconciler import Reconciler
from alerting.service.api import create_service
from alerting.service.auth import Credentials
from alerting.service.server import running
from alerting.servicenow import ServiceNow
from alerting.task import run_ticket
from alerting.triage import TriagePolicy
from bench.tickets_child import POLICY
from domain.clock import Clock, ManualClock, SystemClock
from domain.schema import TABLES, arrow_schema
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

CREDENTIALS = Credentials({"tieout": "bench"}, "bench")
TABLE = "/api/now/table/incident"
_CODES = ("T05", "T06", "T07", "T10", "T11", "T12", "T13", "T14", "T19", "T20")
_KILLS = 6
_HOURLY = 2_000


class Breaks:
    """Breaks written as matching writes them."""

    def __init__(self, warehouse: DuckDbWarehouse, clock: Clock) -> None:
        self._warehouse, self._clock, self._number = warehouse, clock, 0

    def put(self, names: Sequence[str], kind: str = "OPENED", code: str = "T05", pb_id: str = "ALPHA") -> None:
        """Open, change or cure breaks: a change and the break as it is then."""
        now = self._clock.now_ns()
        state = "CURED" if kind == "CURED" else "OPEN"
        common = {"generation": 1, "code": code, "severity": 3}
        changes, rows = [], []
        for name in names:
            self._number += 1
            change = {"change_id": f"{kind}-{name}", "break_id": name, "kind": kind, "as_of": now + self._number,
                      "execution": "bench"}  # fmt: skip
            changes.append(common | change)
            rows.append(common | {
                "break_id": name, "level": "FILL", "pb_id": pb_id, "anchor": name, "field_family": "qty",
                "state": state, "first_seen": now, "opened_at": now, "changed_at": now, "symbol": "AAPL",
                "account_id": "FUND-1", "ccy": "USD", "exposure": Decimal(18_500), "left_value": "100",
                "right_value": "200", "headline": f"{pb_id} {kind.lower()} {name}", "rule_set_hash": "r",
                "component": "c",
            })  # fmt: skip
        self._append("break_change", changes)
        if kind != "OPENED":
            listed = ", ".join(f"'{name}'" for name in names)
            self._warehouse.execute(f"DELETE FROM recon_break WHERE break_id IN ({listed})")
        self._append("recon_break", rows)

    def _append(self, table: str, rows: Sequence[dict[str, object]]) -> None:
        schema = arrow_schema(TABLES[table])
        names = [name for name in schema.names if name in rows[0]]
        columns = {name: pa.array([row.get(name) for row in rows], schema.field(name).type) for name in names}
        self._warehouse.append(table, pa.table(columns))


def lines() -> Iterator[str]:
    """The three experiments, a line per figure."""
    logging.disable(logging.WARNING)  # every lost reply is one
    count = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdigit() else 1_000
    yield from killed(count)
    yield from stormed(count * 10)
    yield from timed(min(count, 500))


def _incidents(url: str, fields: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while True:
        params = {"sysparm_fields": fields, "sysparm_limit": "5000", "sysparm_offset": str(len(found)),
                  "sysparm_query": "ORDERBYsys_id"}  # fmt: skip
        page = httpx.get(url + TABLE, params=params, auth=("tieout", "bench"), timeout=60).json()["result"]
        found += page
        if len(page) < 5_000:
            return found


def killed(count: int, kills: int = _KILLS) -> Iterator[str]:
    """`count` breaks, 8% of replies lost after the commit, two workers, the process killed with -9 `kills` times."""
    chance = random.Random(7)
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(create_service(":memory:", CREDENTIALS, SystemClock())) as url,
    ):
        database = str(Path(folder) / "bench.duckdb")
        warehouse = DuckDbWarehouse(database)
        migrate(warehouse)
        names = [f"b{index:06d}" for index in range(count)]
        Breaks(warehouse, SystemClock()).put(names)
        write(warehouse, "bench", SystemClock().now_ns(), POLICY)
        warehouse.close()
        order = {"mode": "drop_reply", "rate": 0.08, "seed": 7}
        httpx.post(f"{url}/tieout/fault", json=order, headers={"X-Tieout-Token": "bench"}).raise_for_status()
        killed_so_far = 0
        turns = [("CHANGED", names[: count // 5]), ("CURED", names[count // 2 :])]
        finished = False
        while not finished:
            child = subprocess.Popen(
                [sys.executable, "-m", "bench.tickets_child", database, url], stdout=subprocess.PIPE
            )
            assert child.stdout is not None
            child.stdout.readline()
            try:
                finished = child.wait(chance.uniform(0.2, 2.0) if killed_so_far < kills else 600) == 0 and not turns
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                killed_so_far += 1
            child.stdout.close()
            # While it is dead, breaks change and cure: at the second and the fourth death, or when it was done before.
            if turns and (killed_so_far in (2, 4) or child.returncode == 0):
                kind, chosen = turns.pop(0)
                warehouse = DuckDbWarehouse(database)
                Breaks(warehouse, SystemClock()).put(chosen, kind)
                warehouse.close()
        hits = httpx.get(f"{url}/tieout/fault", headers={"X-Tieout-Token": "bench"}).json()["hits"]
        httpx.post(f"{url}/tieout/fault", json={"mode": "off"}, headers={"X-Tieout-Token": "bench"})
        yield from _judged(
            database, url, names, set(names[count // 2 :]), killed_so_far, hits, time.perf_counter() - began
        )


def _judged(
    database: str, url: str, names: Sequence[str], cured: set[str], kills: int, hits: int, seconds: float
) -> Iterator[str]:
    warehouse = DuckDbWarehouse(database)
    clock = SystemClock()
    with ServiceNow(Instance(url, ("tieout", "bench"), clock), "tieout") as adapter:
        repairs = Reconciler(warehouse, adapter, adapter, POLICY).run(clock.now_ns())
        deliver(warehouse, adapter, clock)
    rows = _incidents(url, "correlation_id,state")
    per_break = Counter(row["correlation_id"] for row in rows)
    states = {row["correlation_id"].split(":")[1]: row["state"] for row in rows}
    wrong = [name for name in names if states.get(name) != ("6" if name in cured else "1")]
    yield (
        f"kills    {len(names):,} breaks, {hits:,} replies lost after commit, two workers, killed -9 {kills} times: "
        f"{sum(count - 1 for count in per_break.values())} duplicates, {len(set(names) - set(states))} lost, "
        f"{len(wrong)} tickets in another state than their break after one comparison ({repairs.made} repairs), "
        f"{seconds:.0f} s"
    )
    check = completeness(warehouse, POLICY)
    yield f"kills    {check.ticketed:,} of {check.ticketable:,} breaks have their ticket; complete: {check.complete}"
    warehouse.close()


def stormed(count: int) -> Iterator[str]:
    """`count` breaks at once, most of one cause, under an hourly limit, on a clock that is moved by hand."""
    clock = ManualClock()
    policy = TriagePolicy(namespace="bench", storm_size=50)
    service = create_service(":memory:", CREDENTIALS, clock, requests_per_hour=_HOURLY)
    warehouse = DuckDbWarehouse(":memory:")
    migrate(warehouse)
    breaks = Breaks(warehouse, clock)
    per_cause = [("T05", "ALPHA", count * 6 // 10), ("T07", "BRAVO", count * 25 // 100)]
    left = count - sum(size for _, _, size in per_cause)
    small = [(code, f"PB{index:02d}") for index in range(left // (len(_CODES) * 30) + 1) for code in _CODES]
    per_cause += [(code, pb, 0) for code, pb in small]
    total = 0
    for code, pb, size in per_cause:
        size = size or min(30, count - total)
        breaks.put([f"b{total + index:06d}" for index in range(size)], "OPENED", code, pb) if size else None
        total += size
    with running(service) as url:
        sent = Counter[str]()
        hours = Counter[int]()

        def watch(_operation: str, outcome: str, _seconds: float) -> None:
            sent[outcome] += 1
            hours[clock.now_ns() // 3_600_000_000_000] += 1

        gate = Gate(clock, GateLimits(_HOURLY))
        with ServiceNow(Instance(url, ("tieout", "bench"), clock, gate, watch=watch), "tieout") as adapter:
            began = clock.now_ns()
            first_hour = 0
            for _ in range(10_000):
                written = write(warehouse, "bench", began, policy)
                storm.refresh(warehouse, policy, "bench", began)
                report = deliver(warehouse, adapter, clock, DeliveryLimits(rows=20_000, batch_from=20))
                if clock.now_ns() - began < 3_600_000_000_000:
                    first_hour = _told(warehouse)
                if not written and not report.pending:
                    break
                clock.sleep(max(report.throttled_seconds, 1.0))
        incidents = len(_incidents(url, "sys_id")) if not sent["429"] else 0
    check = completeness(warehouse, policy)
    waited = (clock.now_ns() - began) / 3.6e12
    yield (
        f"storm    {total:,} breaks under {_HOURLY:,} requests an hour: {incidents:,} tickets, "
        f"{sum(sent.values()):,} HTTP requests ({sent['429']} refused), at most {max(hours.values()):,} in an hour"
    )
    yield (
        f"storm    {first_hour:,} breaks were told within the first hour, {check.ticketed:,} of {check.ticketable:,} "
        f"after {waited:.2f} hours; dropped {len(check.missing)}"
    )
    warehouse.close()


def _told(warehouse: DuckDbWarehouse) -> int:
    rows = warehouse.query(
        "SELECT count(DISTINCT o.break_id) AS n FROM ticket_outbox o JOIN ticket_delivery d"
        " ON d.outbox_key = o.outbox_key AND d.outcome = 'DELIVERED'"
        " WHERE o.operation = 'open' AND o.break_id NOT LIKE 'storm-%'"
    )
    return int(rows["n"][0].as_py())


def timed(count: int) -> Iterator[str]:
    """From the commit of a break to the answer that its ticket is there, in batches of one to twenty."""
    chance = random.Random(7)
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        warehouse = DuckDbWarehouse(str(Path(folder) / "bench.duckdb"))
        migrate(warehouse)
        breaks = Breaks(warehouse, clock)
        service = create_service(Path(folder) / "tickets.sqlite", CREDENTIALS, clock)
        with running(service) as url, ServiceNow(Instance(url, ("tieout", "bench"), clock), "tieout") as adapter:
            taken: list[float] = []
            spent: list[float] = []
            run_ticket(warehouse, adapter, "warm", clock.now_ns(), POLICY, clock)
            done = 0
            while done < count:
                size = chance.randint(1, 20)
                breaks.put([f"b{done + index:06d}" for index in range(size)])
                began, cpu = time.perf_counter(), time.process_time()
                run_ticket(warehouse, adapter, f"e{done}", clock.now_ns(), POLICY, clock)
                taken += [time.perf_counter() - began] * size
                spent += [time.process_time() - cpu] * size
                done += size
        warehouse.close()
    half, most = len(taken) // 2, int(len(taken) * 0.99)
    taken.sort()
    spent.sort()
    yield (
        f"latency  {len(taken):,} breaks in batches of 1 to 20, break on record to ticket on record: "
        f"p50 {taken[half] * 1_000:.0f} ms, p99 {taken[most] * 1_000:.0f} ms; CPU, ticket service included, "
        f"p50 {spent[half] * 1_000:.0f} ms, p99 {spent[most] * 1_000:.0f} ms"
    )
