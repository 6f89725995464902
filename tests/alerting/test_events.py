"""Event Management over the real service: an alert per ticket, changed and cleared with it, told again without harm."""

import json

import pytest

from alerting.deliver import deliver
from alerting.events import Evented
from alerting.outbox import write
from alerting.port import TicketDraft
from alerting.triage import TriagePolicy

POLICY = TriagePolicy()


@pytest.fixture
def send(book, ticketing, limits):
    def run(store=None):
        write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
        used = store or Evented(ticketing, ticketing.instance, "meridian")
        return deliver(book.warehouse, used, book.clock, limits)

    return run


def alerts(service) -> dict[str, dict[str, str]]:
    rows = service.admin.get("/api/now/table/em_alert").json()["result"]
    return {row["message_key"].split(":")[1]: row for row in rows}


def test_an_alert_opens_with_its_ticket_and_closes_with_it(book, service, send):
    book.opened("b1", severity=4)
    book.opened("b2", severity=2)
    assert send().delivered == 2
    found = alerts(service)
    assert {name: (row["state"], row["severity"]) for name, row in found.items()} == {
        "b1": ("Open", "1"), "b2": ("Open", "3"),
    }  # fmt: skip
    assert found["b1"]["node"] == "meridian" and found["b1"]["resource"] == "ALPHA"
    assert json.loads(found["b1"]["additional_info"])["code"] == "T05"
    book.cured("b1")
    send()
    assert {name: row["state"] for name, row in alerts(service).items()} == {"b1": "Closed", "b2": "Open"}


def test_urgency_alone_changes_the_severity(book, service, send):
    book.opened("b1", severity=3)
    send()
    assert alerts(service)["b1"]["severity"] == "2"
    book.changed("b1", severity=2)
    send()
    assert alerts(service)["b1"]["severity"] == "3"


def test_no_event_is_lost_when_the_request_after_a_change_fails(book, service, ticketing, send):
    book.opened("b1", severity=4)
    send()
    book.cured("b1")

    def fail_next(operation, _outcome, _seconds):
        if operation == "patch":
            service.fault("503", count=1, retry_after_seconds=0)

    ticketing.instance.observe(fail_next)
    try:
        send()
    finally:
        ticketing.instance.observe(lambda *_: None)
        service.fault("off")
    send()
    assert [row["state"] for row in service.incidents()] == ["6"]
    assert alerts(service)["b1"]["state"] == "Closed"


def test_what_is_told_again_is_one_alert(book, service, ticketing, send):
    book.opened("b1")
    send()
    store = Evented(ticketing, ticketing.instance, "meridian")
    key = POLICY.key("b1", 1, code="T05", pb_id="ALPHA")
    store.open(TicketDraft(key, "again", "again", 2, 1))
    assert len(alerts(service)) == 1 and len(service.incidents()) == 1


def test_many_openings_are_one_call(book, service, send, limits):
    book.many(30)
    before = len(service.admin.get("/api/now/table/em_event").json()["result"])
    assert send().delivered == 30
    assert len(alerts(service)) == 30 and len(service.incidents()) == 30
    assert len(service.admin.get("/api/now/table/em_event").json()["result"]) - before >= 30
