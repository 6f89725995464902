"""Runs: the list, one run worked out from its history, redrive, export."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from console.ports import ConsoleDeps
from console.runs import build, millis


def test_list_filters_by_status(client: TestClient) -> None:
    assert [r["name"] for r in client.get("/api/runs").json()["runs"]] == ["run-good", "run-bad"]
    assert [r["name"] for r in client.get("/api/runs?status=FAILED").json()["runs"]] == ["run-bad"]
    page = client.get("/runs?status=FAILED").text
    assert "run-bad" in page and "run-good" not in page and "Failed" in page


@pytest.mark.parametrize(("path", "status"), [
    ("/api/runs?status=WRONG", 422), ("/api/runs?limit=0", 422), ("/api/runs?limit=9999", 422),
    ("/runs?status=WRONG", 400), ("/api/runs/none", 404), ("/runs/none", 404), ("/api/runs/%00", 422),
    ("/runs/%27%22", 404),    ("/runs/" + "x" * 300, 404),
])  # fmt: skip
def test_malformed_requests(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_states_come_from_the_history(client: TestClient) -> None:
    run = client.get("/api/runs/run-bad").json()
    states = {s["name"]: s for s in run["states"]}
    assert {n: s["status"] for n, s in states.items()} == {
        "Normalize": "SUCCEEDED", "Match": "SUCCEEDED", "Any breaks?": "NOT_STARTED", "Score": "SUCCEEDED",
        "Ticket": "FAILED", "Done": "NOT_STARTED",
    }  # fmt: skip
    assert states["Ticket"]["error"] == "TransientError" and "503" in states["Ticket"]["cause"]
    assert json.loads(states["Match"]["output"]) == {"facts": 41} and states["Match"]["duration_ms"] > 0
    assert run["status"] == "FAILED" and run["duration_ms"] == pytest.approx(7700)


def test_page_names_the_failed_state_and_offers_redrive_from_it(client: TestClient) -> None:
    page = client.get("/runs/run-bad").text
    assert "Redrive from “Ticket”" in page and "HTTP 503 from /api/now/table/incident" in page
    assert "Redrive" not in client.get("/runs/run-good").text


def test_redrive_only_failed_runs(client: TestClient, deps: ConsoleDeps) -> None:
    assert client.post("/api/runs/run-good/redrive", json={}).status_code == 409
    assert client.post("/api/runs/none/redrive", json={}).status_code == 404
    assert client.post("/api/runs/run-bad/redrive", json={}).status_code == 200
    assert deps.engine.redriven == ["run-bad"]  # type: ignore[attr-defined]


def test_export_is_a_file(client: TestClient) -> None:
    answer = client.get("/api/runs/run-bad?download=true")
    assert answer.headers["content-disposition"] == 'attachment; filename="run-bad.json"'
    assert len(answer.json()["events"]) == 17


def event(n: int, kind: str, **details: Any) -> dict[str, Any]:
    return {"id": n, "previousEventId": n - 1, "type": kind, "timestamp": 1_795_205_100 + n, **details}


def test_a_retried_state_counts_its_attempts_and_ends_well() -> None:
    name = {"name": "Match", "input": "{}", "output": "{}"}
    history = [
        event(1, "TaskStateEntered", stateEnteredEventDetails=name),
        event(2, "TaskScheduled"),
        event(3, "TaskFailed", taskFailedEventDetails={"error": "TransientError", "cause": "busy"}),
        event(4, "TaskScheduled"),
        event(5, "TaskSucceeded"),
        event(6, "TaskStateExited", stateExitedEventDetails=name),
    ]
    run = build({"States": {"Match": {"Type": "Task"}}}, {"name": "r", "status": "SUCCEEDED"}, history)
    (state,) = run.states
    assert (state.status, state.attempts, state.error, state.duration_ms) == ("SUCCEEDED", 2, "", 5000)
    assert [e.state for e in run.events] == ["Match"] * 6


def test_a_caught_error_is_not_called_success() -> None:
    name = {"name": "Score", "output": "{}"}
    history = [
        event(1, "TaskStateEntered", stateEnteredEventDetails=name),
        event(2, "TaskFailed", taskFailedEventDetails={"error": "States.Timeout"}),
        event(3, "TaskStateExited", stateExitedEventDetails=name),
    ]
    run = build({"States": {"Score": {"Type": "Task"}}}, {"name": "r", "status": "SUCCEEDED"}, history)
    assert run.states[0].status == "CAUGHT" and run.states[0].error == "States.Timeout"


def test_the_state_behind_a_fail_state_is_the_one_that_failed() -> None:
    history = [
        event(1, "TaskStateEntered", stateEnteredEventDetails={"name": "Ticket"}),
        event(2, "TaskFailed", taskFailedEventDetails={"error": "TransientError", "cause": "HTTP 503"}),
        event(3, "TaskStateExited", stateExitedEventDetails={"name": "Ticket"}),
        event(4, "FailStateEntered", stateEnteredEventDetails={"name": "Undelivered"}),
        event(5, "ExecutionFailed", executionFailedEventDetails={"error": "Undelivered"}),
    ]
    definition = {"States": {"Ticket": {"Type": "Task"}, "Undelivered": {"Type": "Fail"}}}
    run = build(definition, {"name": "r", "status": "FAILED"}, history)
    assert {s.name: s.status for s in run.states} == {"Ticket": "FAILED", "Undelivered": "FAILED"}
    assert run.failed_state == "Ticket" and run.states[0].cause == "HTTP 503"


def test_nested_states_are_found() -> None:
    inner = {"StartAt": "A", "States": {"A": {"Type": "Pass"}}}
    definition = {
        "States": {"Each": {"Type": "Map", "ItemProcessor": inner}, "Both": {"Type": "Parallel", "Branches": [inner]}}
    }
    assert {s.name for s in build(definition, {"name": "r", "status": "RUNNING"}, []).states} == {"Each", "A", "Both"}


@pytest.mark.parametrize("value", [1_795_205_100, 1_795_205_100_000, 1_795_205_100_000_000, 1_795_205_100_000_000_000,
                                   "2026-11-20T20:05:00+00:00", "2026-11-20T20:05:00"])  # fmt: skip
def test_times_of_any_unit_are_understood(value: Any) -> None:
    assert millis(value) == 1_795_205_100_000
    assert millis(None) is None and millis("soon") is None and millis(True) is None


def test_hostile_error_text_is_escaped(deps: ConsoleDeps) -> None:
    import dataclasses

    from console.app import create_console

    class Hostile(type(deps.engine)):  # type: ignore[misc]
        def describe(self, name: str) -> Any:
            return super().describe(name) | {"cause": "<script>alert(1)</script>"}

    with TestClient(create_console(dataclasses.replace(deps, engine=Hostile())), base_url="http://127.0.0.1",
                    headers={"authorization": f"Bearer {deps.token}"}) as c:  # fmt: skip
        page = c.get("/runs/run-bad").text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
