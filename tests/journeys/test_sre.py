"""Night shift: the ticket system is down, a worker is killed, an operator redrives; nobody loses a ticket."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.client import ServiceError
from tests.journeys.service import Service, count, raw_streams, tieout, until


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, list[dict[str, Any]]]]:
    """A day reconciled while every ticket call answered 503; the failed executions."""
    with Service(tmp_path_factory.mktemp("night"), fills=60) as service:
        service.client.post("/api/fault", {"mode": "503"})
        streams = raw_streams(service.day)
        service.push({session: streams[session] for session in ("MERIDIAN_OMS->TIEOUT", "ALPHA->TIEOUT")})
        service.end_of_input()
        failed = service.client.get("/api/runs", status="FAILED")["runs"]
        service.client.post("/api/fault", {"mode": "off"})
        yield service, failed


def page(service: Service, path: str) -> str:
    answer = httpx.get(service.address + path, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def gauge(service: Service, name: str) -> dict[str, float]:
    """A metric's values by its only label."""
    found = re.findall(rf'^{name}{{\w+="([^"]*)"}} (\S+)$', page(service, "/metrics"), re.M)
    return {label: float(value) for label, value in found}


def test_a_failed_execution_shows_where_and_why(night: tuple[Service, list[dict[str, Any]]]) -> None:
    service, failed = night
    assert failed, "no execution failed although every ticket call did"
    name = failed[0]["name"]
    run = service.client.get(f"/api/runs/{name}")
    assert run["status"] == "FAILED"
    states = {state["name"]: state for state in run["states"]}
    assert states["Ticket"]["status"] == "FAILED" and states["Match"]["status"] == "SUCCEEDED"
    kinds = [event["type"] for event in run["events"] if event["state"] == "Ticket"]
    assert kinds.count("TaskFailed") == 3 == kinds.count("TaskScheduled"), "the call was retried twice"
    assert "ExecutionFailed" in [event["type"] for event in run["events"]]
    html = page(service, f"/runs/{name}")
    assert 'data-status="FAILED"' in html and "Redrive" in html
    assert re.search(r'data-state="Ticket"[^>]*data-status="FAILED"|data-status="FAILED"[^>]*data-state="Ticket"', html)
    assert "503" in html


def test_what_waits_is_said_and_the_breaks_are_there(night: tuple[Service, list[dict[str, Any]]]) -> None:
    service, _ = night
    summary = service.summary()
    if not summary["tickets"]["pending"]:
        pytest.fail("nothing waits for the ticket system")
    assert any("without a delivered ticket" in problem for problem in summary["completeness"]["problems"])
    assert summary["breaks"] and service.ticket_table() == []


def test_metrics_agree_with_the_api(night: tuple[Service, list[dict[str, Any]]]) -> None:
    service, failed = night
    counts = service.client.get("/api/runs")["counts"]
    assert gauge(service, "tieout_executions_now") == {k: v for k, v in counts.items() if v}
    ended = gauge(service, "tieout_executions_total")
    assert ended["FAILED"] == counts["FAILED"] == len(failed)
    assert gauge(service, "tieout_messages_total") == service.summary()["messages"]
    assert gauge(service, "tieout_task_failures_total")["Ticket"] >= 3 * len(failed)
    open_now = {k: v for k, v in gauge(service, "tieout_breaks_open").items() if v}
    severities: dict[str, int] = {}
    for row in service.summary()["breaks"]:
        severities[row["severity"]] = severities.get(row["severity"], 0) + row["count"]
    assert open_now == severities


def test_redrive_delivers_every_ticket_once(night: tuple[Service, list[dict[str, Any]]]) -> None:
    service, failed = night
    first = tieout("redrive", failed[0]["name"][:20], "--config", service.config)
    assert first.returncode == 0 and "SUCCEEDED" in first.stdout, first.stdout + first.stderr
    rest = tieout("redrive", "all", "--config", service.config)
    assert rest.returncode == 0 and "FAILED" not in rest.stdout, rest.stdout + rest.stderr
    assert service.client.get("/api/runs", status="FAILED")["runs"] == []
    summary = service.summary()
    assert summary["completeness"]["problems"] == [] and summary["tickets"]["pending"] == 0
    incidents = service.ticket_table()
    assert len(incidents) == summary["completeness"]["ticketable"] == summary["tickets"]["opened"] > 3
    assert set(count(incidents, "correlation_id").values()) == {1}
    nobody = tieout("redrive", "no-such-run", "--config", service.config)
    assert nobody.returncode == 2 and "no-such-run" in nobody.stderr


def test_a_killed_worker_comes_back_where_it_was(night: tuple[Service, list[dict[str, Any]]]) -> None:
    service, _ = night
    before, pids = service.summary(), service.pids()
    service.kill("worker")
    after = service.wait_ready(other_than=[pids["worker"]])
    assert after["acceptor"] == pids["acceptor"], "the FIX side never noticed"
    now = until(lambda: _summary(service), "the API answers again")
    assert (now["digest"], now["messages"]) == (before["digest"], before["messages"])
    assert page(service, "/healthz") == "ok\n" and page(service, "/readyz") == "ready\n"
    assert service.client.get("/api/progress")["idle"] or until(
        lambda: service.client.get("/api/progress")["idle"], "idle again"
    )


def _summary(service: Service) -> Any:
    try:
        return service.summary()
    except ServiceError:
        return None
