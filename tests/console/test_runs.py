"""Runs: the list, one run worked out from its history, redrive, export."""

import dataclasses
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from console.app import create_console
from console.ports import ConsoleDeps
from console.runs import build
from orchestrator.embedded import EmbeddedEngine
from orchestrator.port import Execution, HistoryEvent

NOW_NS = 1_795_205_100_000_000_000
TICKET = {
    "States": {
        "Ticket": {"Type": "Task", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Undelivered"}]},
        "Undelivered": {"Type": "Fail"},
    }
}


def event(n: int, kind: str, state: str = "", **details: Any) -> HistoryEvent:
    return HistoryEvent(n, kind, n - 1, NOW_NS + n * 1_000_000_000, state, details)


def run_of(status: str, error: str = "", cause: str = "") -> Execution:
    return Execution("r", status, {}, None, error, cause, NOW_NS, NOW_NS + 1, 0)


def statuses(definition: dict[str, Any], execution: Execution, history: list[HistoryEvent]) -> dict[str, str]:
    return {s.name: s.status for s in build(definition, execution, history).states}


FAILED_TICKET = [
    event(1, "TaskStateEntered", "Ticket", name="Ticket"),
    event(2, "TaskScheduled", "Ticket"),
    event(3, "TaskFailed", "Ticket", error="TransientError", cause="HTTP 503"),
    event(4, "TaskStateExited", "Ticket", name="Ticket"),
    event(5, "FailStateEntered", "Undelivered", name="Undelivered"),
    event(6, "ExecutionFailed", "Undelivered", error="Undelivered"),
]


def test_list_filters_by_status(client: TestClient) -> None:
    assert [r["name"] for r in client.get("/api/runs").json()["runs"]] == ["run-bad", "run-good"]
    (failed,) = client.get("/api/runs?status=FAILED").json()["runs"]
    assert failed["error"] == "PermanentError" and "HTTP 503 from /api/now/table/incident" in failed["cause"]
    assert (failed["kind"], failed["lane"], failed["count"]) == ("batch", "BRAVO", 41)
    page = client.get("/runs?status=FAILED").text
    assert "run-bad" in page and "run-good" not in page and "Failed" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs?status=WRONG", 422),
        ("/api/runs?limit=0", 422),
        ("/api/runs?limit=9999", 422),
        ("/runs?status=WRONG", 400),
        ("/api/runs/none", 404),
        ("/runs/none", 404),
        ("/api/runs/%00", 422),
        ("/runs/%27%22", 404),
        ("/runs/" + "x" * 300, 404),
    ],
)
def test_malformed_requests(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_states_come_from_the_history(client: TestClient) -> None:
    run = client.get("/api/runs/run-bad").json()
    states = {s["name"]: s for s in run["states"]}
    assert {n: s["status"] for n, s in states.items()} == {
        "IsSweep": "SUCCEEDED", "Normalize": "SUCCEEDED", "Match": "SUCCEEDED", "HasBreaks": "SUCCEEDED",
        "Score": "SUCCEEDED", "Flagged": "SUCCEEDED", "Ticket": "FAILED", "TicketsUndelivered": "FAILED",
        "Parked": "NOT_STARTED", "Done": "NOT_STARTED",
    }  # fmt: skip
    assert (states["Ticket"]["error"], states["Ticket"]["cause"][:8]) == ("PermanentError", "HTTP 503")
    assert json.loads(states["Match"]["output"])["match"]["changes"] == 1
    assert json.loads(states["Match"]["input"])["normalize"]["facts"] == 41
    assert run["status"] == "FAILED" and run["duration_ms"] >= 0


def test_page_names_the_failed_state_and_offers_redrive_from_it(client: TestClient) -> None:
    page = client.get("/runs/run-bad").text
    assert "Redrive from “Ticket”" in page and "HTTP 503 from /api/now/table/incident" in page
    assert "Redrive" not in client.get("/runs/run-good").text


def test_export_is_a_file(client: TestClient) -> None:
    answer = client.get("/api/runs/run-bad?download=true")
    assert answer.headers["content-disposition"] == 'attachment; filename="run-bad.json"'
    assert answer.json()["events"][0]["type"] == "ExecutionStarted"


def test_a_retried_state_counts_its_attempts_and_ends_well() -> None:
    history = [
        event(1, "TaskStateEntered", "Match", input={}),
        event(2, "TaskScheduled", "Match"),
        event(3, "TaskFailed", "Match", error="TransientError", cause="busy"),
        event(4, "TaskScheduled", "Match"),
        event(5, "TaskSucceeded", "Match"),
        event(6, "TaskStateExited", "Match", output={}),
    ]
    run = build({"States": {"Match": {"Type": "Task"}}}, run_of("SUCCEEDED"), history)
    (state,) = run.states
    assert (state.status, state.attempts, state.error, state.duration_ms) == ("SUCCEEDED", 2, "", 5000)
    assert [e.delta_ms for e in run.events] == [None, 1000, 1000, 1000, 1000, 1000]


def test_a_caught_error_is_not_called_success() -> None:
    history = [
        event(1, "TaskStateEntered", "Score"),
        event(2, "TaskFailed", "Score", error="States.Timeout"),
        event(3, "TaskStateExited", "Score"),
    ]
    run = build({"States": {"Score": {"Type": "Task"}}}, run_of("SUCCEEDED"), history)
    assert run.states[0].status == "CAUGHT" and run.states[0].error == "States.Timeout"


def test_the_state_whose_error_led_to_the_end_is_the_one_that_failed() -> None:
    run = build(TICKET, run_of("FAILED", "Undelivered"), FAILED_TICKET)
    assert {s.name: s.status for s in run.states} == {"Ticket": "FAILED", "Undelivered": "FAILED"}
    assert run.failed_state == "Ticket" and run.states[0].cause == "HTTP 503"


def test_a_redriven_run_forgets_where_it_had_failed() -> None:
    history = [
        *FAILED_TICKET,
        event(7, "ExecutionRedriven"),
        event(8, "TaskScheduled", "Ticket"),
    ]
    assert statuses(TICKET, run_of("RUNNING"), history) == {"Ticket": "RUNNING", "Undelivered": "NOT_STARTED"}
    history += [event(9, "TaskSucceeded", "Ticket"), event(10, "TaskStateExited", "Ticket", output={})]
    run = build(TICKET, run_of("SUCCEEDED"), [*history, event(11, "ExecutionSucceeded", "Ticket")])
    assert {s.name: s.status for s in run.states} == {"Ticket": "SUCCEEDED", "Undelivered": "NOT_STARTED"}
    assert run.states[0].error == "" and run.states[0].attempts == 2 and run.failed_state == ""


def test_details_may_be_wrapped_as_aws_wraps_them() -> None:
    history = [event(1, "TaskStateEntered", "Ticket", stateEnteredEventDetails={"name": "Ticket", "input": '{"a": 1}'})]
    assert json.loads(build(TICKET, run_of("RUNNING"), history).states[0].input) == {"a": 1}


def test_nested_states_are_found() -> None:
    inner = {"StartAt": "A", "States": {"A": {"Type": "Pass"}}}
    each, both = {"Type": "Map", "ItemProcessor": inner}, {"Type": "Parallel", "Branches": [inner]}
    assert set(statuses({"States": {"Each": each, "Both": both}}, run_of("RUNNING"), [])) == {"Each", "A", "Both"}


def test_hostile_error_text_is_escaped(deps: ConsoleDeps) -> None:
    class Hostile:
        def __getattr__(self, name: str) -> Any:
            return getattr(deps.engine, name)

        def describe(self, name: str) -> Any:
            return dataclasses.replace(deps.engine.describe(name), cause="<script>alert(1)</script>")

    app = create_console(dataclasses.replace(deps, engine=Hostile()))
    with TestClient(app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {deps.token}"}) as c:
        page = c.get("/runs/run-bad").text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_redrive_continues_the_failed_run_only(client: TestClient, engine: EmbeddedEngine, tasks: Any) -> None:
    assert client.post("/api/runs/run-good/redrive", json={}).status_code == 409
    assert client.post("/api/runs/none/redrive", json={}).status_code == 404
    tasks.tickets_down = False
    assert client.post("/api/runs/run-bad/redrive", json={}).status_code == 200
    engine.wait("run-bad", 20.0)
    run = client.get("/api/runs/run-bad").json()
    states = {s["name"]: s for s in run["states"]}
    assert (run["status"], run["redrives"], states["Ticket"]["status"]) == ("SUCCEEDED", 1, "SUCCEEDED")
    assert states["Ticket"]["error"] == "" and states["Normalize"]["attempts"] == 1
