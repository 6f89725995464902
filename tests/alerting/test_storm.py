"""Storms: many breaks of one cause share a parent ticket; every break stays accounted for."""

import pytest

from alerting import storm
from alerting.actions import mirror_actions
from alerting.completeness import completeness
from alerting.deliver import deliver
from alerting.outbox import write
from alerting.reconciler import Reconciler
from alerting.triage import TriagePolicy

POLICY = TriagePolicy(storm_size=5, console_url="http://127.0.0.1:8400")


@pytest.fixture
def send(book, ticketing, limits):
    def run(refresh=False):
        write(book.warehouse, "e1", book.clock.now_ns(), POLICY)
        mirror_actions(book.warehouse, "e1", book.clock.now_ns(), POLICY)
        if refresh:
            storm.refresh(book.warehouse, POLICY, "e1", book.clock.now_ns())
        return deliver(book.warehouse, ticketing, book.clock, limits)

    return run


def attached(service, sys_id):
    found = service.admin.get("/api/now/attachment", params={"sysparm_query": f"table_sys_id={sys_id}"})
    return [
        service.admin.get(f"/api/now/attachment/{row['sys_id']}/file").text
        for row in sorted(found.json()["result"], key=lambda row: row["file_name"])
    ]


def test_one_cause_is_one_ticket_with_the_list_of_its_breaks(book, service, send):
    book.many(8)
    book.opened("other", code="T10", pb_id="BRAVO")
    assert send().pending == 0
    parent, single = sorted(service.incidents(), key=lambda row: row["short_description"])
    assert parent["short_description"] == "8 breaks T05 QTY_MISMATCH at ALPHA"
    assert "8 HIGH" in parent["description"] and "/breaks?code=T05" in parent["description"]
    assert single["short_description"].startswith("T10")
    (listed,) = attached(service, parent["sys_id"])
    assert listed.count("\n") == 9 and "break-00007,open,T05,ALPHA" in listed
    numbers = book.warehouse.query("SELECT DISTINCT ticket_number AS n FROM break_queue WHERE code = 'T05'")["n"]
    assert numbers.to_pylist() == [parent["number"]]
    check = completeness(book.warehouse, POLICY)
    assert check.complete and check.ticketed == 9
    assert send().delivered == 0 and len(service.incidents()) == 2, "running it again changes nothing"


def test_breaks_that_trickle_in_make_a_storm_as_well(book, service, send):
    for index in range(7):
        book.opened(f"b{index}")
        send()
    incidents = service.incidents()
    assert len(incidents) == 5, "four of their own, the others share one"
    assert completeness(book.warehouse, POLICY).complete


def test_the_parent_follows_its_breaks_and_resolves_with_the_last(book, service, send):
    book.many(6)
    send()
    book.cured("break-00000")
    book.cured("break-00001")
    send()
    (parent,) = service.incidents()
    assert parent["short_description"].startswith("6 breaks"), "an update waits for the next refresh"
    book.replace("break-00002", deadline_at=book.clock.now_ns() // 3_600_000_000_000 * 3_600_000_000_000)
    assert parent["due_date"] == "2026-02-02 03:40:00", "the earliest of their deadlines"
    send(refresh=True)
    (parent,) = service.incidents()
    assert parent["due_date"] == "2026-02-02 02:00:00"
    assert parent["short_description"].startswith("4 breaks") and len(attached(service, parent["sys_id"])) == 2
    assert "4 breaks are open now, of 6" in service.journal(parent["sys_id"])[0]
    assert send(refresh=True).delivered == 0, "nothing changed"
    for index in range(2, 6):
        book.cured(f"break-{index:05d}")
    send()
    (parent,) = service.incidents()
    assert (parent["state"], parent["close_notes"]) == ("6", "All 6 breaks of this ticket cleared.")


def test_a_storm_that_comes_back_is_a_new_ticket_and_stragglers_get_their_own(book, service, send):
    book.many(5)
    send()
    for index in range(5):
        book.cured(f"break-{index:05d}")
    send()
    book.clock.advance(7_200)
    for index in range(2):
        book.opened(f"break-{index:05d}", generation=2)
    send()
    assert len(service.incidents()) == 3, "two alone are no storm"
    for index in range(20, 26):
        book.opened(f"b{index}")
    send()
    numbers = [row["short_description"] for row in service.incidents()]
    assert len(numbers) == 4 and sum(text.startswith("6 breaks") for text in numbers) == 1
    assert completeness(book.warehouse, POLICY).complete


def test_what_people_do_about_a_break_is_told_on_the_parent(book, service, send):
    book.many(5)
    send()
    book.action("break-00003", "comment", reason="called ALPHA")
    book.action("break-00004", "resolve", reason="known", change_id="open-break-00004")
    send(refresh=True)
    (parent,) = service.incidents()
    notes = " / ".join(service.journal(parent["sys_id"]))
    assert "Break break-00003: alice in Tieout: called ALPHA" in notes
    assert parent["state"] == "1" and parent["short_description"].startswith("4 breaks")
    assert completeness(book.warehouse, POLICY).complete


def test_a_break_of_a_storm_that_is_over_gets_a_ticket_of_its_own(book, service, send):
    book.many(5)
    send()
    for index in range(5):
        book.action(f"break-{index:05d}", "resolve", reason="x", change_id=f"open-break-{index:05d}")
    send(refresh=True)
    assert [row["state"] for row in service.incidents()] == ["6"]
    book.changed("break-00002", headline="ALPHA booked 700")
    send()
    send()
    states = {row["short_description"]: row["state"] for row in service.incidents()}
    assert len(states) == 2 and any("ALPHA booked 700" in text and state == "1" for text, state in states.items())
    (number,) = book.warehouse.query("SELECT ticket_number FROM break_queue WHERE break_id = 'break-00002'")[
        "ticket_number"
    ].to_pylist()
    assert number == "INC0010002"


def test_a_parent_that_somebody_deleted_comes_back_as_what_it_was(book, service, ticketing, send):
    book.many(6)
    send()
    (parent,) = service.incidents()
    book.cured("break-00000")
    assert service.person.delete(f"/api/now/table/incident/{parent['sys_id']}").status_code == 204
    assert send(refresh=True).pending == 0 and "DEAD" not in book.outcomes(), "nobody is there to be told"
    repairs = Reconciler(book.warehouse, ticketing, ticketing, POLICY).run(book.clock.now_ns())
    assert repairs.reissued == [parent["correlation_id"]] and not repairs.left_to_people
    send(refresh=True)
    send(refresh=True)
    (back,) = service.incidents()
    assert back["sys_id"] == parent["sys_id"] and back["short_description"].startswith("5 breaks")
    assert "break-00001,open" in attached(service, back["sys_id"])[-1]
    assert send(refresh=True).delivered == 0, "then nothing is left to tell"
    assert not Reconciler(book.warehouse, ticketing, ticketing, POLICY).run(book.clock.now_ns()).made
    assert completeness(book.warehouse, POLICY).complete
    for index in range(1, 6):
        book.cured(f"break-{index:05d}")
    send()
    assert [row["state"] for row in service.incidents()] == ["6"]
