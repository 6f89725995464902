"""Tickets and breaks kept together: what people do there is taken over here, and differences are repaired."""

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from alerting.outbox import write
from alerting.service.api import create_service
from alerting.service.auth import Credentials
from alerting.service.server import running
from alerting.triage import DEFAULT_GROUPS
from app.decisions import Decisions
from app.emulate import self_signed
from app.installation import Installation, open_installation
from app.room_metrics import RoomMetrics
from app.settings import load
from app.ticket_metrics import TicketMetrics
from app.ticket_sync import TicketSync
from app.ticket_verbs import ResendRequest, as_text, checked, dead_letters, resend
from domain.clock import SystemClock
from domain.principal import Principal
from tests.alerting.conftest import Book

TABLE = "/api/now/table/incident"
ENDED = {"close_code": "Known error", "close_notes": "ALPHA rebooks tonight"}
USERS = {"tieout": "ours", "maria": "hers"}


class Desk:
    """One installation with breaks written by hand, and its ticket system as a person sees it."""

    def __init__(self, here: Installation, admin: httpx.Client, person: httpx.Client) -> None:
        self.here, self.admin, self.person = here, admin, person
        self.book = Book(here.warehouse)  # type: ignore[arg-type]
        self.sync = TicketSync(here)

    def told(self) -> None:
        """What the Ticket task does, and a round."""
        write(self.here.warehouse, "e1", self.here.clock.now_ns(), self.here.policy)
        self.sync.once(compare=False)

    def incidents(self) -> list[dict[str, str]]:
        params = {"sysparm_exclude_reference_link": "true", "sysparm_query": "ORDERBYnumber"}
        found: list[dict[str, str]] = self.admin.get(TABLE, params=params).json()["result"]
        return found

    def incident(self) -> dict[str, str]:
        (row,) = self.incidents()
        return row

    def edit(self, **fields: str) -> None:
        """Maria changes the only ticket."""
        self.person.patch(f"{TABLE}/{self.incident()['sys_id']}", json=fields).raise_for_status()

    def journal(self, sys_id: str) -> str:
        params = {"sysparm_query": f"element_id={sys_id}"}
        rows = self.admin.get("/api/now/table/sys_journal_field", params=params).json()["result"]
        return " / ".join(row["value"] for row in rows)

    def queue(self, column: str, break_id: str = "b1") -> object:
        rows = self.here.warehouse.query(f"SELECT {column} AS it FROM break_queue WHERE break_id = :b", {"b": break_id})
        return rows["it"][0].as_py()

    def actions(self) -> list[tuple[str, str, str | None]]:
        rows = self.here.warehouse.query("SELECT kind, actor, reason FROM action ORDER BY acted_at").to_pylist()
        return [(row["kind"], row["actor"], row["reason"]) for row in rows]

    def proved(self) -> None:
        """A proof ran just now and found what stands."""
        row = {"proof_id": f"p{self.here.clock.now_ns()}", "rule_set_hash": "r", "took_ms": 1}
        times = dict.fromkeys(("as_of", "ran_at"), self.here.clock.now_ns())
        counts = dict.fromkeys(("seq", "facts", "breaks", "groups", "differences"), 0)
        self.book.append("proof_run", [row | times | counts])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, httpx.Client, httpx.Client]]:
    folder = tmp_path_factory.mktemp("tickets")
    tls = self_signed(folder / "tls", SystemClock())
    groups = tuple(sorted(set(DEFAULT_GROUPS.values())))
    service = create_service(":memory:", Credentials(USERS, "t"), SystemClock(), groups=groups, people={"bob": "Bob"})
    trust = ssl.create_default_context(cafile=str(tls.certificate))
    with running(service, tls=tls) as url:
        settings = folder / "tieout.yaml"
        settings.write_text(
            f"data_dir: data\ntickets: servicenow://localhost:{url.rpartition(':')[2]}\n"
            "ticketing: {password: ours, storm: {size: 4}, auth: {ca: tls/tickets.crt.pem}}\n"
        )
        with (
            httpx.Client(base_url=url, auth=("tieout", "ours"), verify=trust) as admin,
            httpx.Client(base_url=url, auth=("maria", "hers"), verify=trust) as person,
            open_installation(load(settings)) as installation,
        ):
            yield installation, admin, person


@pytest.fixture
def desk(here: tuple[Installation, httpx.Client, httpx.Client]) -> Desk:
    made = Desk(*here)
    for table in ("proof_run", "audit_entry"):
        made.here.warehouse.execute(f"DELETE FROM {table}")
    for row in made.incidents():
        made.admin.delete(f"{TABLE}/{row['sys_id']}")
    return made


def test_the_check_reads_and_writes_nothing(desk: Desk) -> None:
    found = {one["what"]: (one["verdict"], one["words"]) for one in checked(desk.here)}
    verdicts = {what: verdict for what, (verdict, _) in found.items()}
    assert verdicts.pop("invalid queries") == "ok" and set(verdicts.values()) == {"ok"}, found
    assert "resolved 6 Resolved" in found["states"][1] and found["roles"][1] == "itil"
    assert desk.incidents() == []


def test_closed_there_is_closed_here_with_who_and_why(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    desk.edit(state="7", **ENDED)
    report = desk.sync.once()
    assert (report.taken, report.refused) == (1, [])
    assert desk.queue("state") == "CLOSED" and desk.actions() == [("close", "maria", "ALPHA rebooks tonight")]
    again = desk.sync.once()
    assert again.taken == 0 and again.repairs is not None and again.repairs.made == 0
    assert "in Tieout" not in desk.journal(desk.incident()["sys_id"]), "what came from the ticket is not told to it"


def test_still_there_at_the_next_proof_means_another_ticket(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    desk.edit(state="7", **ENDED)
    desk.sync.once()
    assert desk.sync.once().reopened == 0, "nothing has been proved since"
    desk.proved()
    assert desk.sync.once().reopened == 1
    desk.sync.once()
    first, second = desk.incidents()
    assert (first["state"], second["state"]) == ("7", "1") and second["correlation_id"].endswith(":b1:1.1")
    assert desk.queue("state") == "REOPENED" and desk.queue("ticket_number") == second["number"]
    desk.proved()
    assert desk.sync.once().reopened == 0
    desk.book.cured("b1")
    desk.told()
    assert [row["state"] for row in desk.incidents()] == ["7", "6"]


def test_resolved_there_and_still_there_opens_the_same_ticket_again(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    desk.edit(state="6", **ENDED)
    desk.sync.once()
    assert desk.queue("state") == "RESOLVED"
    desk.proved()
    desk.sync.once()
    incident = desk.incident()
    assert incident["state"] == "2" and "still there at the proof of" in desk.journal(incident["sys_id"])


def test_assignee_notes_and_holds_come_back(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    bob = desk.admin.get("/api/now/table/sys_user", params={"user_name": "bob"}).json()["result"][0]["sys_id"]
    desk.edit(assigned_to=bob)
    desk.edit(work_notes="called ALPHA", state="3", hold_reason="4")
    assert desk.sync.once().taken == 3
    assert (desk.queue("state"), desk.queue("assignee")) == ("WAIT_PB", "bob")
    assert ("comment", "maria", "called ALPHA") in desk.actions()
    assert desk.sync.once().taken == 0


def test_a_critical_break_closed_there_waits_for_a_second_person(desk: Desk) -> None:
    desk.book.opened("b1", severity=4)
    desk.told()
    desk.edit(state="6", **ENDED)
    desk.sync.once()
    assert desk.queue("state") == "OPEN" and desk.queue("proposals") == 1
    desk.sync.once()
    assert "a second person has to approve" in desk.journal(desk.incident()["sys_id"])
    (proposal,) = Decisions(desk.here.warehouse, desk.here.clock, lambda _: None).pending()
    who = Principal("eve", "user", frozenset({"analyst", "approver"}))
    Decisions(desk.here.warehouse, desk.here.clock, lambda _: None).answer(proposal["action_id"], who, "approve")
    desk.sync.once()
    assert desk.queue("state") == "RESOLVED" and desk.incident()["state"] == "6"


def test_a_cured_break_leaves_a_ticket_that_people_work_on(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    desk.edit(work_notes="looking into it")
    desk.sync.once()
    desk.book.cured("b1")
    desk.told()
    incident = desk.incident()
    assert incident["state"] == "1" and "left open for you to close" in desk.journal(incident["sys_id"])
    repairs = desk.sync.once().repairs
    assert repairs is not None and repairs.left_to_people == [incident["number"]] and repairs.made == 0


def test_differences_are_repaired_both_ways(desk: Desk) -> None:
    for name in ("gone", "closed", "cleared"):
        desk.book.opened(name, code="T10" if name == "gone" else "T05")
    desk.told()
    tickets = {row["correlation_id"].split(":")[1]: row["sys_id"] for row in desk.incidents()}
    desk.admin.delete(f"{TABLE}/{tickets['gone']}")
    desk.admin.patch(f"{TABLE}/{tickets['closed']}", json={"state": "6", **ENDED})
    desk.book.cured("cleared")
    desk.told()
    desk.admin.patch(f"{TABLE}/{tickets['cleared']}", json={"state": "1"})
    stranger = {"correlation_id": f"{desk.here.policy.namespace}:nobody:1", "correlation_display": "Tieout"}
    desk.admin.post(TABLE, json=stranger)
    report = desk.sync.once()
    assert report.repairs is not None and report.repairs.made == 3 and len(report.repairs.strangers) == 1
    states = {row["correlation_id"].split(":", 1)[1]: row["state"] for row in desk.incidents()}
    assert states == {"gone:1.1": "1", "closed:1": "2", "cleared:1": "6", "nobody:1": "1"}
    again = desk.sync.once()
    assert again.repairs is not None and again.repairs.made == 0
    assert "known to no break" in as_text(again.as_dict())


def test_a_deleted_ticket_whose_break_changes_is_no_dead_letter_and_comes_back(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    desk.admin.delete(f"{TABLE}/{desk.incident()['sys_id']}")
    desk.book.changed("b1", headline="ALPHA booked 900")
    desk.told()
    assert dead_letters(desk.here) == [] and desk.incidents() == []
    repairs = desk.sync.once().repairs
    assert repairs is not None and len(repairs.reissued) == 1
    assert desk.incident()["correlation_id"].endswith("b1:1.1") and "900" in desk.incident()["description"]


def test_tickets_hidden_from_us_are_not_opened_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerting.reconciler._MANY_GONE", 2)
    for number, code in enumerate(("T05", "T06", "T07")):
        desk.book.opened(f"b{number}", code=code)
    desk.told()
    for row in desk.incidents():
        desk.admin.delete(f"{TABLE}/{row['sys_id']}")
    report = desk.sync.once()
    assert report.repairs is not None and len(report.repairs.withheld) == 3 and report.repairs.made == 0
    assert "3 cannot be found" in as_text(report.as_dict()) and desk.incidents() == []
    desk.sync.once(gone_for_sure=True)
    assert len(desk.incidents()) == 3


def test_a_storm_ended_there_ends_all_its_breaks_however_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ticket_sync._DEEDS_A_ROUND", 4)
    for number in range(6):
        desk.book.opened(f"b{number}")
    desk.told()
    desk.edit(state="7", **ENDED)
    rounds = [desk.sync.once(compare=False).taken for _ in range(3)]
    assert rounds == [4, 2, 0]
    assert {desk.queue("state", f"b{number}") for number in range(6)} == {"CLOSED"}
    assert all(actor == "maria" for _, actor, _ in desk.actions())


def test_the_metrics_tell_requests_outbox_and_lag(desk: Desk) -> None:
    registry = CollectorRegistry()
    TicketMetrics(registry).follow(desk.here, desk.sync)
    desk.book.opened("b1")
    write(desk.here.warehouse, "e1", desk.here.clock.now_ns(), desk.here.policy)
    desk.here.warehouse.execute("UPDATE ticket_outbox SET created_as_of = created_as_of - INTERVAL 90 SECOND")
    assert 89 < (registry.get_sample_value("tieout_outbox_oldest_seconds") or 0) < 200
    desk.sync.once()
    posted = {"operation": "post", "outcome": "201"}
    assert registry.get_sample_value("tieout_ticket_requests_total", posted) == 1
    assert registry.get_sample_value("tieout_outbox_oldest_seconds") == 0
    assert registry.get_sample_value("tieout_ticket_circuit_state") == 0
    assert (registry.get_sample_value("tieout_ticket_sync_lag_seconds") or 0) < 60
    names = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    page = (Path(__file__).parents[2] / "docs" / "tickets.md").read_text()
    assert names == set(re.findall(r"^\| `(tieout_\w+)` \|", page, re.M))


def test_the_metrics_have_their_names_of_reconciliations_too(desk: Desk) -> None:
    registry = CollectorRegistry()
    TicketMetrics(registry).follow(desk.here, desk.sync)
    registry.register(RoomMetrics(desk.here, registry))
    desk.book.opened("b1")
    desk.told()
    posted = {"operation": "post", "outcome": "201"}
    assert registry.get_sample_value("recon_ticket_requests_total", posted) == 1
    for name in ("outbox_oldest_seconds", "ticket_circuit_state", "ticket_sync_lag_seconds"):
        assert registry.get_sample_value(f"recon_{name}") is not None
    open_now = desk.here.warehouse.query("SELECT count(*) AS n FROM recon_break WHERE state = 'OPEN'")["n"][0].as_py()
    families = {family.name: family.samples for family in registry.collect()}
    assert open_now and sum(sample.value for sample in families["recon_breaks_open"]) == open_now
    assert {sample.labels["priority"] for sample in families["recon_break_value_at_risk"]} == set("12345")
    names = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    of_the_service = {"recon_state_duration_seconds", "recon_match_duration_seconds", "recon_outbox_depth"}
    listed = set(re.findall(r"^\| `(recon_\w+)` \|", page, re.M))
    assert listed == {name for name in names if name.startswith("recon_")} | of_the_service


def test_dead_letters_are_listed_in_the_servers_words_and_sent_again(desk: Desk) -> None:
    desk.book.opened("b1")
    desk.told()
    incident = desk.incident()
    place = f"{TABLE}/{incident['sys_id']}"
    desk.admin.patch(place, json={"correlation_id": "somebody else's"})
    desk.book.changed("b1", headline="ALPHA booked 300")
    desk.told()
    (letter,) = dead_letters(desk.here)
    assert letter["operation"] == "update" and "it is not ours" in letter["detail"]
    desk.admin.patch(place, json={"correlation_id": incident["correlation_id"]})
    assert resend(desk.here, ResendRequest(key="no such")) == 0
    assert resend(desk.here, ResendRequest(key="b1|1|update")) == 1
    desk.sync.once(compare=False)
    assert dead_letters(desk.here) == []


def test_only_the_worker_that_leads_keeps_tickets_together(desk: Desk) -> None:
    leads, asked = [False], threading.Semaphore(0)

    def leading() -> AbstractContextManager[bool]:
        asked.release()
        return nullcontext(leads[0])

    ticketing = desk.here.settings.ticketing
    often = ticketing.model_copy(update={"sync": ticketing.sync.model_copy(update={"every_seconds": 0.01})})
    settings = desk.here.settings.model_copy(update={"ticketing": often})
    desk.book.opened("b1")
    write(desk.here.warehouse, "e1", desk.here.clock.now_ns(), desk.here.policy)
    sync = TicketSync(replace(desk.here, settings=settings, leading=leading)).start()
    for _ in range(3):
        assert asked.acquire(timeout=20)
    assert desk.incidents() == []
    leads[0] = True
    for _ in range(3):
        assert asked.acquire(timeout=20)
    sync.close()
    assert len(desk.incidents()) == 1
