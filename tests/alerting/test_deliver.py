"""Delivery over real HTTP: once in effect, in order, through outages; people's decisions stay."""

import threading
from dataclasses import replace

import pytest

from alerting.actions import mirror_action
from alerting.completeness import completeness
from alerting.deliver import deliver
from alerting.gate import Gate, GateLimits
from alerting.instance import Instance
from alerting.outbox import write
from alerting.pending import redrive
from alerting.servicenow import ServiceNow
from alerting.task import run_ticket
from alerting.triage import TriagePolicy
from domain.clock import SystemClock
from domain.errors import TransientError

POLICY = TriagePolicy(console_url="http://127.0.0.1:8400")


def connect(url, password):
    clock = SystemClock()
    gate = Gate(clock, GateLimits(breaker_failures=10_000))
    return ServiceNow(Instance(url, ("tieout", password), clock, gate), "tieout")


@pytest.fixture
def send(book, ticketing, limits):
    def run(policy=POLICY, adapter=ticketing):
        write(book.warehouse, "e1", book.clock.now_ns(), policy)
        return deliver(book.warehouse, adapter, book.clock, limits)

    return run


def test_open_carries_texts_impact_urgency_and_group(book, service, send):
    book.opened("b1")
    report = send()
    assert (report.delivered, report.pending, report.dead) == (1, 0, 0)
    (incident,) = service.incidents(sysparm_display_value="true")
    assert incident["number"] == "INC0010001"
    assert incident["short_description"] == "T05 QTY_MISMATCH: ALPHA booked 200 AAPL where we booked 100"
    assert incident["priority"] == "2 - High" and incident["assignment_group"] == "Trade Operations"
    for words in ("ours 100, theirs 200, difference 100", "18,500 USD", "America/New_York", "Ask ALPHA", "/breaks/b1"):
        assert words in incident["description"], incident["description"]
    numbers = book.warehouse.query("SELECT ticket_number FROM break_queue")["ticket_number"].to_pylist()
    assert numbers == ["INC0010001"]


def test_running_the_task_again_changes_nothing(book, service, ticketing, limits):
    book.opened("b1")
    first = run_ticket(book.warehouse, ticketing, "e1", book.clock.now_ns(), POLICY, book.clock, limits)
    again = run_ticket(book.warehouse, ticketing, "e1", book.clock.now_ns(), POLICY, book.clock, limits)
    assert (first, again) == ({"written": 1, "delivered": 1}, {"written": 0, "delivered": 0})
    assert len(service.incidents()) == 1


def test_a_lost_delivery_record_does_not_open_or_note_twice(book, service, send):
    book.opened("b1")
    send()
    book.cured("b1")
    send()
    book.warehouse.execute("DELETE FROM ticket_delivery")
    send()
    (incident,) = service.incidents()
    assert incident["state"] == "6" and len(service.journal(incident["sys_id"])) == 1


def test_resolve_needs_no_person_and_says_why(book, service, send):
    book.opened("b1")
    send()
    book.cured("b1")
    send()
    (incident,) = service.incidents()
    assert (incident["state"], incident["close_code"]) == ("6", "Solution provided")
    assert "both sides agree" in incident["close_notes"]
    assert "The break cleared by itself" in service.journal(incident["sys_id"])[0]


def test_updates_wait_and_fold_into_the_latest(book, service, send, ticketing, limits):
    book.opened("b1")
    send()
    for value in ("300", "400", "500"):
        book.changed("b1", right_value=value, headline=f"ALPHA booked {value}")
        write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
    report = deliver(book.warehouse, ticketing, book.clock, limits)
    assert report.delivered == 3
    (incident,) = service.incidents()
    assert incident["short_description"].endswith("ALPHA booked 500") and incident["sys_mod_count"] == "1"
    assert len(service.journal(incident["sys_id"])) == 1


def test_open_update_resolve_waiting_together_arrive_in_order(book, service, send, ticketing, limits):
    book.opened("b1")
    write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
    book.changed("b1", headline="changed meanwhile")
    write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
    book.cured("b1", headline="changed meanwhile")
    write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
    assert deliver(book.warehouse, ticketing, book.clock, limits).delivered == 3
    (incident,) = service.incidents()
    assert incident["state"] == "6" and "changed meanwhile" in incident["short_description"]


@pytest.mark.parametrize("state", ["3", "6", "7", "8"])
def test_a_person_who_closed_or_holds_the_ticket_wins(book, service, send, state):
    book.opened("b1")
    send()
    (incident,) = service.incidents()
    body = {"state": state, "close_code": "Known error", "close_notes": "called the broker"}
    service.person.patch(f"/api/now/table/incident/{incident['sys_id']}", json=body).raise_for_status()
    book.cured("b1")
    report = send()
    assert (report.delivered, report.dead) == (1, 0)
    (incident,) = service.incidents()
    assert (incident["state"], incident["close_notes"]) == (state, "called the broker")
    assert any("cleared by itself" in note for note in service.journal(incident["sys_id"]))


def test_fields_a_person_edited_are_left_alone(book, service, send):
    book.opened("b1")
    send()
    (incident,) = service.incidents()
    edit = {"short_description": "Maria: waiting for ALPHA", "impact": "1"}
    service.person.patch(f"/api/now/table/incident/{incident['sys_id']}", json=edit).raise_for_status()
    book.changed("b1", headline="ALPHA booked 300", severity=4)
    send()
    (incident,) = service.incidents()
    assert incident["short_description"] == "Maria: waiting for ALPHA" and incident["impact"] == "1"
    assert "ALPHA booked 300" in incident["description"]


def test_the_due_date_follows_the_deadline_until_a_person_sets_another(book, service, send):
    hour = 3_600_000_000_000
    start = book.clock.now_ns() // hour * hour
    book.opened("b1")
    send()
    book.changed("b1", deadline_at=start + 24 * hour)
    send()
    (incident,) = service.incidents()
    assert incident["due_date"] == "2026-02-03 02:00:00"
    place = f"/api/now/table/incident/{incident['sys_id']}"
    service.person.patch(place, json={"due_date": "2026-03-01 12:00:00"}).raise_for_status()
    book.changed("b1", deadline_at=start + 48 * hour)
    send()
    assert service.incidents()[0]["due_date"] == "2026-03-01 12:00:00"


def test_outage_is_reported_and_then_recovered(book, service, send):
    book.many(30)
    service.fault("503")
    with pytest.raises(TransientError, match=r"30 ticket rows wait: .*503"):
        send()
    assert (
        service.admin.post("/tieout/fault", json={"mode": "off"}, headers={"X-Tieout-Token": "wrong"}).status_code
        == 403
    )
    service.fault("off")
    report = send()
    assert (report.delivered, report.pending) == (30, 0)
    assert len(service.incidents()) == 30


def test_the_breaker_stops_a_run_early(book, service, send):
    book.many(200)
    service.fault("429", retry_after_seconds=30)
    with pytest.raises(TransientError, match="429"):
        send()
    assert book.outcomes()["RETRY"] <= 8


def test_a_few_failures_are_ridden_out_within_one_run(book, service, send):
    book.many(5)
    service.fault("503", count=2, retry_after_seconds=0)
    assert send().delivered == 5


def test_refused_rows_are_dead_letters_until_sent_again(book, service, send, limits):
    book.opened("b1")
    with connect(service.url, "wr0ng") as stranger:
        report = send(adapter=stranger)
    assert (report.delivered, report.dead) == (0, 1)
    (row,) = book.warehouse.query("SELECT outcome, http_status, detail FROM ticket_delivery").to_pylist()
    assert (row["outcome"], row["http_status"]) == ("DEAD", 401) and "User Not Authenticated" in row["detail"]
    assert "wr0ng" not in row["detail"]
    book.cured("b1")
    report = send()
    assert (report.delivered, report.pending) == (0, 1), "what follows a refused opening waits for it"
    assert redrive(book.warehouse, book.clock, "alice") == 1
    assert send().delivered == 2
    assert [incident["state"] for incident in service.incidents()] == ["6"]


def test_nothing_can_be_told_on_a_deleted_ticket(book, service, send):
    book.opened("b1")
    send()
    (incident,) = service.incidents()
    service.admin.delete(f"/api/now/table/incident/{incident['sys_id']}").raise_for_status()
    book.cured("b1")
    report = send()
    assert (report.delivered, report.pending, report.dead) == (1, 0, 0)
    (row,) = book.warehouse.query("SELECT detail FROM ticket_delivery WHERE outbox_key LIKE '%resolve%'").to_pylist()
    assert "somebody deleted it" in row["detail"]


def test_two_workers_and_lost_replies_open_each_break_once(book, service, limits):
    """1,000 breaks, 8% of all replies lost after the commit, two deliveries at once."""
    book.many(1_000)
    write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
    service.fault("drop_reply", rate=0.08, seed=7)
    patient = replace(limits, breaker_failures=10_000, attempts_per_run=6)

    def work(rows):
        with connect(service.url, "secret") as adapter:
            for _ in range(40):
                try:
                    if deliver(book.warehouse, adapter, book.clock, replace(patient, rows=rows)).pending == 0:
                        return
                except TransientError:
                    continue

    workers = [threading.Thread(target=work, args=(rows,)) for rows in (2_000, 300)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    service.fault("off")
    incidents = service.incidents(sysparm_fields="sys_id,correlation_id")
    assert len(incidents) == 1_000 and len({incident["correlation_id"] for incident in incidents}) == 1_000
    check = completeness(book.warehouse, POLICY)
    assert check.complete and check.ticketed == 1_000


def test_actions_reach_the_journal_and_state(book, service, send, ticketing, limits):
    change = book.opened("b1")
    book.action("b1", "comment", reason="seen before the ticket", change_id=change)
    send()
    book.action("b1", "assign", assignee="bob", change_id=change)
    book.action("b1", "resolve", reason="ALPHA rebooked", change_id=change)
    report = mirror_action(book.warehouse, ticketing, "b1", POLICY, book.clock, limits)
    assert report.delivered == 3
    (incident,) = service.incidents(sysparm_display_value="true")
    assert (incident["assigned_to"], incident["state"]) == ("Bob", "Resolved")
    assert incident["close_notes"] == "ALPHA rebooked"
    notes = " / ".join(service.journal(service.incidents()[0]["sys_id"]))
    for words in (
        "alice in Tieout: seen before",
        "assigned the break to bob",
        "resolved the break in Tieout: ALPHA rebooked",
    ):
        assert words in notes
    assert send().delivered == 0, "a break an analyst resolved is not opened again by itself"
    book.action("b1", "reopen", reason="wrong account", change_id=change)
    mirror_action(book.warehouse, ticketing, "b1", POLICY, book.clock, limits)
    assert service.incidents()[0]["state"] == "2"


def test_actions_survive_an_outage(book, service, send, ticketing, limits):
    change = book.opened("b1")
    send()
    service.fault("503", retry_after_seconds=0)
    book.action("b1", "comment", reason="calling them", change_id=change)
    assert mirror_action(book.warehouse, ticketing, "b1", POLICY, book.clock, limits).pending == 1
    service.fault("off")
    assert send().delivered == 1
    assert "calling them" in service.journal(service.incidents()[0]["sys_id"])[0]


def test_a_change_after_an_analyst_resolved_opens_the_ticket_again(book, service, send, ticketing, limits):
    change = book.opened("b1")
    send()
    book.action("b1", "resolve", reason="done", change_id=change)
    mirror_action(book.warehouse, ticketing, "b1", POLICY, book.clock, limits)
    book.changed("b1", headline="ALPHA booked 700")
    send()
    (incident,) = service.incidents()
    assert incident["state"] == "2" and "ALPHA booked 700" in incident["short_description"]


def test_resolving_a_change_the_ticket_has_not_heard_of_does_not_open_it_again(book, service, send, ticketing, limits):
    book.opened("b1")
    send()
    change = book.changed("b1", headline="ALPHA booked 700")
    book.action("b1", "resolve", reason="seen and settled", change_id=change)
    mirror_action(book.warehouse, ticketing, "b1", POLICY, book.clock, limits)
    assert send().delivered == 0
    assert service.incidents()[0]["state"] == "6"


def test_a_resolved_break_never_ticketed_stays_without_one(book, service, send):
    change = book.opened("b1")
    book.action("b1", "resolve", reason="known", change_id=change)
    assert send().delivered == 0 and service.incidents() == []
    assert completeness(book.warehouse, POLICY).complete
