"""SLA clocks of the embedded service: attached by priority and due date, paused on hold, breached by time alone."""

import httpx
import pytest

from alerting.service.api import create_service
from alerting.service.auth import Credentials
from alerting.service.moments import duration
from alerting.service.server import running
from domain.clock import ManualClock

TABLE, CLOCKS = "/api/now/table/incident", "/api/now/table/task_sla"
DONE = {"state": "6", "close_code": "Known error", "close_notes": "x"}


@pytest.fixture(scope="module")
def desk():
    clock = ManualClock()
    with (
        running(create_service(":memory:", Credentials({"u": "p"}), clock)) as url,
        httpx.Client(base_url=url, auth=("u", "p"), timeout=10) as api,
    ):
        yield api, clock


def opened(api, **fields):
    return api.post(TABLE, json={"short_description": "x", **fields}).json()["result"]


def clocks(api, sys_id, **params):
    query = f"task={sys_id}^ORDERBYsla.name^ORDERBYsys_created_on"
    fields = "sla.name,stage,has_breached,percentage,planned_end_time,active,pause_duration,time_left,sys_id"
    return api.get(CLOCKS, params={"sysparm_query": query, "sysparm_fields": fields, **params}).json()["result"]


def test_a_clock_runs_by_priority_breaches_and_completes(desk):
    api, clock = desk
    incident = opened(api, impact="1", urgency="1")
    (one,) = clocks(api, incident["sys_id"])
    assert (one["sla.name"], one["stage"], one["has_breached"]) == (
        "Priority 1 resolution (1 h)",
        "in_progress",
        "false",
    )
    clock.advance(1_800)
    assert clocks(api, incident["sys_id"])[0]["percentage"] == "50.00"
    shown = clocks(api, incident["sys_id"], sysparm_display_value="true")[0]
    assert (shown["stage"], shown["time_left"]) == ("In progress", "30 Minutes")
    late = f"task={incident['sys_id']}^has_breached=true"
    count = {"sysparm_count": "true", "sysparm_query": late}
    assert api.get("/api/now/stats/task_sla", params=count).json()["result"]["stats"]["count"] == "0"
    clock.advance(1_801)
    assert api.get("/api/now/stats/task_sla", params=count).json()["result"]["stats"]["count"] == "1"
    api.patch(f"{TABLE}/{incident['sys_id']}", json=DONE).raise_for_status()
    clock.advance(7_200)
    (one,) = clocks(api, incident["sys_id"])
    assert (one["stage"], one["active"], one["has_breached"], one["percentage"]) == (
        "completed",
        "false",
        "true",
        "100.03",
    )


def test_a_hold_stops_the_clock_but_not_the_due_date(desk):
    api, clock = desk
    due = duration(clock.now_ns() // 10**9 + 5_400)
    incident = opened(api, impact="1", urgency="1", due_date=due)
    clock.advance(600)
    api.patch(f"{TABLE}/{incident['sys_id']}", json={"state": "3", "hold_reason": "4"})
    clock.advance(3_600)
    by_name = {one["sla.name"]: one for one in clocks(api, incident["sys_id"])}
    priority, deadline = by_name["Priority 1 resolution (1 h)"], by_name["Due date"]
    assert (priority["stage"], priority["has_breached"], priority["percentage"]) == ("paused", "false", "16.67")
    assert deadline["stage"] == "in_progress" and float(deadline["percentage"]) > 70
    api.patch(f"{TABLE}/{incident['sys_id']}", json={"state": "2"})
    clock.advance(1_300)
    by_name = {one["sla.name"]: one for one in clocks(api, incident["sys_id"])}
    priority, deadline = by_name["Priority 1 resolution (1 h)"], by_name["Due date"]
    assert (priority["pause_duration"], priority["has_breached"]) == ("1970-01-01 01:00:00", "false")
    assert deadline["has_breached"] == "true"


def test_a_due_date_that_has_passed_is_a_breach_from_the_start(desk):
    api, clock = desk
    incident = opened(api, impact="3", urgency="3", due_date="2020-01-01 00:00:00")
    clock.advance(60)
    (due, _) = clocks(api, incident["sys_id"])
    assert (due["sla.name"], due["has_breached"], due["percentage"]) == ("Due date", "true", "100.00")
    assert due["time_left"] == "1970-01-01 00:00:00"


def test_another_priority_is_another_clock_from_the_same_start(desk):
    api, clock = desk
    incident = opened(api, impact="2", urgency="2")
    clock.advance(5_400)
    api.patch(f"{TABLE}/{incident['sys_id']}", json={"impact": "1", "urgency": "1"})
    told = {one["sla.name"]: (one["stage"], one["has_breached"]) for one in clocks(api, incident["sys_id"])}
    assert told == {
        "Priority 1 resolution (1 h)": ("in_progress", "true"),
        "Priority 3 resolution (24 h)": ("cancelled", "false"),
    }
    api.delete(f"{TABLE}/{incident['sys_id']}")
    assert clocks(api, incident["sys_id"]) == []


def test_a_definition_of_ones_own_applies(desk):
    api, _ = desk
    body = {"name": "ALPHA", "duration": "1970-01-01 00:10:00", "start_condition": "categorySTARTSWITHTrade",
            "stop_condition": "active=false", "collection": "incident"}  # fmt: skip
    api.post("/api/now/table/contract_sla", json=body).raise_for_status()
    incident = opened(api, category="Trade break T05", impact="3", urgency="3")
    assert [one["sla.name"] for one in clocks(api, incident["sys_id"])] == ["ALPHA", "Priority 5 resolution (96 h)"]
