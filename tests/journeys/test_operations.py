"""An analyst's day: two files tied out; a break assigned, commented, resolved and reopened, its ticket in step."""

from typing import Any

import pytest

from tests.journeys.service import ROOT, Service, tieout, until

EXAMPLES = ROOT / "examples"


def test_own_two_files_to_breaks() -> None:
    against = ("--against", EXAMPLES / "northgate.csv", "--against", EXAMPLES / "harbour.fix")
    done = tieout("reconcile", EXAMPLES / "fund.fix", *against, "--format", "csv")
    assert (done.returncode, done.stderr) == (1, "")
    header, *rows = done.stdout.splitlines()
    assert len(rows) == 8 and "code" in header
    codes = {code for code in ("T01", "T02", "T03", "T05", "T06", "T07", "T14", "T16") if code in done.stdout}
    assert len(codes) == 8


def incident(office: Service, break_id: str) -> tuple[dict[str, Any], str]:
    """The break's incident and its journal as one text."""
    evidence = office.client.get(f"/api/explain/{break_id}")
    (found,) = [row for row in office.ticket_table() if row["number"] == evidence["ticket"]["ticket_number"]]
    notes = office.ticket_table("sys_journal_field", f"element_id={found['sys_id']}")
    return found, "\n".join(note["value"] for note in notes)


def act(office: Service, break_id: str, kind: str, reason: str = "", **payload: str) -> dict[str, Any]:
    body = {"kind": kind, "reason": reason, "payload": payload}
    done: dict[str, Any] = office.client.post(f"/api/breaks/{break_id}/actions", body)
    return done


def test_a_break_is_worked_in_the_console_and_the_ticket_hears_of_it(office: Service) -> None:
    chosen = next(row for row in office.breaks() if row["code"] == "T05" and row["state"] == "OPEN")
    break_id = chosen["id"]
    assert act(office, break_id, "assign", assignee="maria")["state"] == "ASSIGNED"
    act(office, break_id, "comment", "ALPHA confirms 300 on the phone")
    resolved = act(office, break_id, "resolve", "ALPHA corrects it tomorrow")
    assert resolved["state"] == "RESOLVED"
    assert break_id not in {row["id"] for row in office.breaks()}, "a resolved break leaves the active queue"

    words = ("assigned the break to maria", "ALPHA confirms 300 on the phone", "ALPHA corrects it tomorrow")
    _, journal = until(
        lambda: (pair := incident(office, break_id)) and all(word in pair[1] for word in words) and pair,
        "the ticket's journal has all three",
    )
    found = incident(office, break_id)[0]
    assert found["state"] == "6", "the incident is resolved"
    assert journal.count("ALPHA confirms 300") == 1

    told = tieout("explain", break_id[:12], "--config", office.config)
    assert told.returncode == 0, told.stderr
    for line in ("assign maria", "comment ALPHA confirms", "resolve ALPHA corrects", found["number"], "raw messages"):
        assert line in told.stdout
    timeline = str(office.client.get(f"/api/breaks/{break_id}"))
    assert all(word in timeline for word in ("maria", "ALPHA confirms 300", "corrects it tomorrow"))

    again = act(office, break_id, "reopen", "they booked it wrong again")
    assert again["state"] == "REOPENED"
    until(lambda: "booked it wrong again" in incident(office, break_id)[1], "the reopening is in the journal")
    until(lambda: incident(office, break_id)[0]["state"] == "2", "the incident is in progress again")
    assert break_id in {row["id"] for row in office.breaks()}
    assert office.summary()["completeness"]["problems"] == []


def test_what_cannot_be_done_is_refused_with_a_reason(office: Service) -> None:
    break_id = office.breaks()[-1]["id"]
    for kind, reason, status in (("resolve", "", "422"), ("reopen", "why not", "409"), ("erase", "gone", "422")):
        with pytest.raises(Exception, match=f": {status} "):
            act(office, break_id, kind, reason)
    with pytest.raises(Exception, match=": 404 "):
        act(office, "no-such-break", "comment", "hello")


def test_status_prints_the_tie_out(office: Service) -> None:
    shown = tieout("status", "--config", office.config)
    assert shown.returncode == 0, shown.stderr
    summary = office.summary()
    assert summary["digest"][:12] in shown.stdout and "complete" in shown.stdout
    assert all(row["code"] in shown.stdout for row in summary["breaks"])


def test_rebuild_proves_the_derived_tables(office: Service) -> None:
    before = office.summary()["digest"]
    done = tieout("rebuild", "--config", office.config)
    assert done.returncode == 0 and "identical" in done.stdout, done.stdout + done.stderr
    assert office.summary()["digest"] == before
