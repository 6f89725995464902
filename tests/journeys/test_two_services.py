"""Two services, each with processes and a disk of its own, on one Snowflake, one ledger and one Kinesis stream."""

import copy
import os
import signal
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import ServiceError
from app.paths import DataDir
from tests.journeys.inside import inside
from tests.journeys.outside import Outside, outside
from tests.journeys.service import Service, edit, free_ports, raw_streams, settings_file, until
from tests.warehouse.fake_snowflake import fake_login
from warehouse.port import Warehouse
from warehouse.snowflake import SnowflakeWarehouse

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1_200)]
SEED, FILLS, LEASE_SECONDS, NAME = 7, 30, 3, "TWO"
PATIENCE_SECONDS = 300.0
NO_MODEL = {"model": "http://127.0.0.1:1"}
# What a worker that was replaced must not touch.
TABLES = (
    "raw_message", "trade_event", "quarantine", "match_group", "match_member", "recon_break", "break_change",
    "execution_log", "break_score", "ticket_outbox", "ticket_delivery",
)  # fmt: skip


def two(root: Path, shared: Outside) -> tuple[Service, Service]:
    """Services on what is shared, not started; each has a folder, ports and sessions of its own."""
    worker = {"batch_max_messages": 25, "lease_seconds": LEASE_SECONDS}
    settings = {**shared.settings, **NO_MODEL, "worker": worker, "audit": {"key": str(root / "audit.pem")}}
    first = Service(root, FILLS, SEED, **settings)
    first.environment = shared.environment
    second = copy.copy(first)
    second.config, second.data = first.config.with_name("second.yaml"), DataDir(first.config.parent / "second")
    second.config.write_text(first.config.read_text())
    second.acceptor_port, console = free_ports(2)
    second.log, second.address, second._seen = root / "second.log", f"http://127.0.0.1:{console}", set()
    edit(second.config, {"data_dir": "second", "console": {"port": console}})
    for one, names in zip((first, second), shares(first), strict=True):
        feeds = [name.partition("->")[0].replace("MERIDIAN_OMS", "OMS") for name in names]
        edit(one.config, {"acceptor": {"port": one.acceptor_port, "feeds": feeds}})
    return first, second


def shares(service: Service) -> tuple[list[str], list[str]]:
    """The sessions that log on to the first, and to the second."""
    names = sorted(raw_streams(service.day))
    return names[::2], names[1::2]


def progress(service: Service) -> dict[str, Any]:
    with suppress(ServiceError, AssertionError):
        return dict(service.client.get("/api/progress"))
    return {}


def count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.query(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py())


def contents(warehouse: Warehouse) -> dict[str, list[str]]:
    return {name: sorted(map(str, warehouse.query(f"SELECT * FROM {name}").to_pylist())) for name in TABLES}


def busy(*services: Service) -> Service:
    """The service that runs an execution now."""
    found: Service = until(
        lambda: next((one for one in services if progress(one).get("running")), None), "one works", PATIENCE_SECONDS
    )
    return found


def settled(services: tuple[Service, ...], warehouse: Warehouse, total: int) -> None:
    def quiet() -> bool:
        return count(warehouse, "raw_message") >= total and all(one.idle() for one in services)

    until(quiet, "everything sent is reconciled", PATIENCE_SECONDS, pause=1)


@contextmanager
def asleep(service: Service) -> Iterator[None]:
    """All its processes stand still, as on a machine that is suspended; then they wake and know nothing of it."""
    pids = list(service._note().values())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def incidents(shared: Outside) -> list[dict[str, str]]:
    given = shared.settings["ticketing"]
    trust = ssl.create_default_context(cafile=given["auth"]["ca"])
    url = shared.settings["tickets"].replace("servicenow://", "https://")
    with httpx.Client(verify=trust, auth=(given["username"], given["password"]), trust_env=False) as client:
        answer = client.get(f"{url}/api/now/table/incident", params={"sysparm_limit": "1000"}).raise_for_status()
    return list(answer.json()["result"])


def alone(root: Path) -> tuple[dict[str, Any], list[str]]:
    """The same day on one worker and a warehouse of its own: the tie-out, and what its tickets say."""
    day, config = settings_file(root, FILLS, SEED, NO_MODEL)
    with inside(config) as single:
        single.feed(raw_streams(day))
        summary = single.end_of_input()
        single.settle()
        told = single.rows("SELECT DISTINCT break_id FROM ticket_outbox WHERE operation = 'open'")
    return summary, sorted(row["break_id"] for row in told)


def test_one_is_killed_the_other_sleeps_and_the_day_ties_out_as_on_one(tmp_path: Path) -> None:
    with outside(tmp_path, NAME) as shared:
        first, second = both = two(tmp_path, shared)
        with closing(SnowflakeWarehouse(fake_login(shared.account, database=NAME))) as warehouse:
            try:
                for one in both:
                    one.start(ready=False)
                for one in both:
                    until(lambda one=one: progress(one), "it answers", PATIENCE_SECONDS)
                streams, (ours, theirs) = raw_streams(first.day), shares(first)
                total = sum(map(len, streams.values()))
                first.push({name: streams[name] for name in ours})
                second.push({name: streams[name] for name in theirs})
                victim = busy(*both)
                survivor = second if victim is first else first
                before = count(warehouse, "raw_message")
                victim.kill("group")
                until(lambda: progress(survivor).get("running"), "the other takes its lanes", PATIENCE_SECONDS)
                with asleep(survivor):
                    victim.start(ready=False)
                    until(lambda: progress(victim), "it answers again", PATIENCE_SECONDS)
                    settled((victim,), warehouse, total)
                    held = contents(warehouse)
                assert before < total, "it was killed in the middle"
                settled(both, warehouse, total)
                assert "belongs to another worker by now" in survivor.log.read_text(), "it woke and tried"
                assert contents(warehouse) == held, "who was replaced wrote nothing"
                victim.client.post("/api/sweep", {"as_of": "end"})
                settled(both, warehouse, total)
                summary = victim.summary()
                expected, tickets = alone(tmp_path / "alone")
                assert summary["digest"] == expected["digest"] and summary["groups"] == expected["groups"]
                assert summary["completeness"]["problems"] == []
                told = warehouse.query("SELECT DISTINCT break_id FROM ticket_outbox WHERE operation = 'open'")
                assert sorted(told["break_id"].to_pylist()) == tickets
                rows = incidents(shared)
                assert len(rows) == len({row["correlation_id"] for row in rows}) > 0
            finally:
                for one in both:
                    one.stop()
