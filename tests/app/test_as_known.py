"""The state as it was known at a time: replayed from facts and decisions, kept, shown, exported."""

import csv
import hashlib
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from alerting.triage import TriagePolicy
from app.as_known import KEPT, AsKnown, Jobs, opened, told
from app.as_known_console import past_console
from app.as_known_facts import KNOWN_WHEN, OF_A_TRADE
from app.decisions import Decisions
from app.dictionaries import Names
from app.export import About, ExportRefused, export
from app.feed_terms import feed_terms
from app.proof import Prover, newest_proof
from app.proof_settings import ProofSettings
from app.proof_timer import NightlyProof
from app.settings import Settings
from app.terms_kept import kept_terms, note_terms
from app.verify import lines_of, verify
from domain.clock import ManualClock
from domain.errors import PermanentError
from domain.fields import Kind
from domain.principal import Principal
from domain.schema import TABLES
from ingest.feeds import Feed
from matching.rebuild import rebuild
from matching.rules import RuleSet, load_rules, parse_rules
from tests.app.test_check import received
from tests.matching.desk import LATE, SECOND, T0, Desk, Row, emptied, ours, theirs
from tests.matching.test_motion import DAY_ROWS
from warehouse.duckdb import DuckDbWarehouse

FEEDS = tuple(
    Feed.model_validate({"name": name, "role": role, "party": party, "grace_seconds": grace})
    for name, role, party, grace in (("oms", "INTERNAL", "MERIDIAN", 30), ("alpha", "PB", "ALPHA", 60))
)
FEEDS_WITH_FILES = tuple(feed.model_copy(update={"path_glob": f"{feed.name}.fix"}) for feed in FEEDS)
ANA = Principal("ana", "user", frozenset({"analyst"}))
POLICY = TriagePolicy(min_score=Decimal("0.9"), namespace="tieout-main", console_url="")
OPEN = "select code, state, generation from recon_break where state <> 'CURED' order by code, break_id"


@pytest.fixture
def desk(one_warehouse: DuckDbWarehouse) -> Desk:
    return Desk(load_rules(), emptied(one_warehouse))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, AsKnown]:
    """The day and its states, each made once; tests leave the facts as they are."""
    desk = Desk(load_rules())
    day(desk)
    return desk, states(desk, tmp_path_factory.mktemp("states"))


def later(row: Row, seconds: int) -> Row:
    return {**row, "recv_time_utc": T0 + seconds * SECOND}


def day(desk: Desk) -> Decisions:
    """Three batches and a decision: a wrong quantity at 10 s, corrected at 300 s; a lone trade whose grace ends."""
    first = [ours("E1"), theirs("A1", "E1", qty="90"), ours("E2", qty="7")]
    received(desk, first)
    desk.match(first, as_of=T0 + 10 * SECOND, execution="one")
    desk.match(as_of=T0 + 100 * SECOND, execution="two")
    clock = ManualClock(T0 + 150 * SECOND)
    decisions = Decisions(desk.warehouse, clock, lambda _: None)
    wrong = desk.table("select break_id from recon_break where code = 'T05'")[0]["break_id"]
    decisions.record(wrong, ANA, "assign", "", {"assignee": "ana"})
    fixed = later(theirs("A2", "E1", prev_uid="A1", status="CORRECT"), 300)
    desk.match([fixed], as_of=T0 + 300 * SECOND, execution="three")
    return decisions


def states(desk: Desk, folder: Path) -> AsKnown:
    return AsKnown(desk.warehouse, folder, desk.rules, FEEDS, "main", ManualClock(LATE))


def at(known: AsKnown, seconds: int, sql: str = OPEN) -> list[tuple[Any, ...]]:
    with opened(known.file(T0 + seconds * SECOND), ManualClock()) as warehouse:
        return [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]


def test_every_fact_says_when_it_was_known() -> None:
    facts = {name for name, table in TABLES.items() if table.kind is Kind.FACT}
    assert facts == {*KNOWN_WHEN, *OF_A_TRADE}
    assert all(column in TABLES[name].columns for name, column in KNOWN_WHEN.items())


def test_the_state_is_the_one_of_then(past: tuple[Desk, AsKnown]) -> None:
    _, known = past
    assert [row[:2] for row in at(known, 20)] == [("T01", "EXPECTED"), ("T05", "OPEN")]
    assert [row[:2] for row in at(known, 149)] == [("T01", "OPEN"), ("T05", "OPEN")]
    assert [row[:2] for row in at(known, 301)] == [("T01", "OPEN")]
    with pytest.raises(PermanentError, match="nobody knows that yet"):
        known.file(LATE + 1)


def test_what_was_received_but_not_matched_then_is_matched_as_of_then(desk: Desk, tmp_path: Path) -> None:
    rows = [ours("E1"), later(theirs("A1", "E1", qty="90"), 20)]
    received(desk, rows)
    desk.match(rows, as_of=T0 + 500 * SECOND)
    known = states(desk, tmp_path)
    assert [row[:2] for row in at(known, 25)] == [("T05", "OPEN")]
    with opened(known.file(T0 + 25 * SECOND), ManualClock()) as warehouse:
        said = told(warehouse, T0 + 25 * SECOND, POLICY, desk.rules)
    assert said["as_known"]["unmatched_then"] == 2 and said["as_known"]["runs"] == 0


def test_the_newest_state_is_what_stands_with_history_and_decisions(past: tuple[Desk, AsKnown]) -> None:
    desk, known = past
    history = "select * from break_change order by change_id"
    with opened(known.file(T0 + 301 * SECOND), ManualClock()) as warehouse:
        assert warehouse.query(history).equals(desk.warehouse.query(history))
        assert warehouse.query("select assignee from action")["assignee"].to_pylist() == ["ana"]


def test_decisions_count_from_when_they_were_made(past: tuple[Desk, AsKnown]) -> None:
    _, known = past
    sql = "select code, state, assignee from break_queue order by code"
    assert at(known, 149, sql) == [("T01", "OPEN", None), ("T05", "OPEN", None)]
    assert at(known, 151, sql) == [("T01", "OPEN", None), ("T05", "ASSIGNED", "ana")]


def test_what_was_read_again_later_was_not_known(desk: Desk, tmp_path: Path) -> None:
    desk.match([ours("E1")], as_of=T0 + SECOND, execution="one")
    desk.store([theirs("A1", "E1")], "retry")
    desk.warehouse.execute(
        "insert into quarantine_retry (quarantine_id, message_id, healed, outcome, retried_at, execution) values"
        " ('q', 'm', true, 'FACT', cast('2026-11-24 14:38:20' as timestamp_ntz(9)), 'retry')"
    )
    desk.match(as_of=T0 + 500 * SECOND, execution="retry")
    known = states(desk, tmp_path)
    assert [row[:2] for row in at(known, 400)] == [("T01", "OPEN")]
    assert at(known, 600) == []
    proof = Prover(desk.warehouse, tmp_path, desk.rules, FEEDS, "main", ManualClock(LATE)).run()
    assert (proof.facts, proof.differences) == (2, 0)


def test_a_state_is_made_once_and_few_are_kept(desk: Desk, tmp_path: Path) -> None:
    desk.match([ours("E1")], as_of=T0)
    known = states(desk, tmp_path)
    first = known.file(T0)
    stamp = first.stat().st_ino
    assert known.file(T0) == first and first.stat().st_ino == stamp
    for name in range(KEPT):
        (tmp_path / f"{name}.duckdb").touch()
    os.utime(first, (1, 1))  # the oldest, however coarse the file system's clock is
    desk.match([ours("OLD")], as_of=T0 + 400 * SECOND)
    assert known.file(T0) != first, "a fact of then that was stored late makes another state"
    assert len(list(tmp_path.iterdir())) == KEPT and not first.exists()


@pytest.fixture(scope="module")
def folder(past: tuple[Desk, AsKnown], tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk, known = past
    at_ns, out = T0 + 151 * SECOND, tmp_path_factory.mktemp("examiner") / "out"
    with opened(known.file(at_ns), ManualClock()) as warehouse:
        summary = told(warehouse, at_ns, POLICY, desk.rules)
        about = About("main", "2026-11-24T14:32:31Z", "later", desk.rules.name, desk.rules.hash, "0", summary)
        export(warehouse, out, about)
        with pytest.raises(ExportRefused, match="not an empty folder"):
            export(warehouse, out, about)
    return out


def test_an_examiner_gets_originals_state_and_trail_in_one_folder(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["messages"], manifest["open_breaks"], manifest["rows"]["trades.csv"]) == (3, 2, 3)
    with (folder / "originals" / "index.csv").open() as handle:
        index = list(csv.DictReader(handle))
    for row in index:
        data = (folder / "originals" / row["file"]).read_bytes()
        assert data[int(row["offset"]) :][: int(row["length"])] == b"abc"
    assert {row["recv_ts"] for row in index} == {"2026-11-24T14:30:00.000000000Z"}
    assert (folder / "reference" / "fx_rate.csv").is_file()
    with (folder / "state" / "breaks.csv").open() as handle:
        breaks = {row["code"]: row for row in csv.DictReader(handle)}
    assert (breaks["T05"]["assignee"], breaks["T05"]["left_value"]) == ("ana", "100")
    with (folder / "state" / "break_members.csv").open() as handle:
        messages = {row["message_id"] for row in csv.DictReader(handle)}
    assert messages == {row["message_id"] for row in index}
    trail = [lines_of(folder / "trail" / f"{part}.jsonl") for part in ("entries", "roots", "facts")]
    assert verify(*trail).holds and len(trail[0]) == len(trail[2]) == 1


def test_the_sums_name_every_file_of_the_folder(folder: Path) -> None:
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for digest, name in lines)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for _, name in lines} == files - {"SHA256SUMS"}


def prover(desk: Desk, folder: Path, clock: ManualClock) -> Prover:
    return Prover(desk.warehouse, folder, desk.rules, FEEDS, "main", clock)


def test_a_difference_is_an_alert_until_a_later_proof_finds_it_gone(desk: Desk, tmp_path: Path) -> None:
    day(desk)
    clock = ManualClock(LATE)
    prover = Prover(desk.warehouse, tmp_path, desk.rules, FEEDS, "main", clock)
    proof = prover.run()
    assert proof.differences == 0 and proof.detail == () and proof.text().startswith("proved")
    assert (proof.facts, proof.breaks, proof.seq) == (4, 1, 3)
    last = newest_proof(desk.warehouse)
    assert last is not None and (last["differences"], last["ran_at"]) == (0, LATE)
    assert desk.table("select * from alert") == [] and list(tmp_path.iterdir()) == []
    desk.warehouse.execute("update recon_break set left_value = '8' where state = 'OPEN'")
    clock.advance(5)
    found = prover.run()
    assert found.differences == 2 and "1 break only in one batch" in found.text()
    kept = desk.dump("break_change", "match_group")
    rebuild(desk.warehouse, desk.rules, feeds=feed_terms(FEEDS), tenant="main")
    assert desk.dump("break_change", "match_group") == kept
    clock.advance(5)
    assert prover.run().differences == 0
    alerts = desk.table("select kind, severity, state, subject from alert order by noted_at")
    assert [tuple(row.values()) for row in alerts] == [
        ("proof", "CRITICAL", "RAISED", "derived tables"), ("proof", "CRITICAL", "CLEARED", "derived tables"),
    ]  # fmt: skip


def test_the_nightly_proof_is_due_once_a_night_and_made_up_for(desk: Desk, tmp_path: Path) -> None:
    # T0 is 14:30 UTC on a Tuesday.
    clock = ManualClock(T0)
    prover = Prover(desk.warehouse, tmp_path, desk.rules, FEEDS, "main", clock)
    night = ProofSettings(at="02:30", zone="America/New_York")
    assert NightlyProof(prover, night, clock).due() is None, "nothing was matched yet"
    desk.match([ours("E1")], as_of=T0)
    timer = NightlyProof(prover, night, clock)
    assert not timer.start_if_due() and timer.due() == T0 + 17 * 3_600 * SECOND
    clock.advance(30 * 3_600)
    assert not NightlyProof(prover, ProofSettings(enabled=False), clock).start_if_due()
    assert timer.start_if_due() and not timer.start_if_due()
    timer.wait(60)
    last = newest_proof(desk.warehouse)
    assert last is not None and last["differences"] == 0
    restarted = NightlyProof(prover, night, clock)
    assert not restarted.start_if_due() and restarted.due() == T0 + 41 * 3_600 * SECOND


def test_the_console_of_the_past_shows_and_refuses(past: tuple[Desk, AsKnown]) -> None:
    _, known = past
    settings = Settings(feeds=FEEDS_WITH_FILES)
    with opened(known.file(T0 + 151 * SECOND), ManualClock()) as warehouse:
        app, token = past_console(settings, warehouse, T0 + 151 * SECOND, "2026-11-24T14:32:31Z", Names())
        client = TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"})
        page = client.get("/breaks").text
        assert "as known at 2026-11-24T14:32:31Z" in page and "three" not in client.get("/runs").text
        rows = {row["code"]: row for row in client.get("/api/breaks").json()["rows"]}
        assert rows["T05"]["state"] == "ASSIGNED"
        path = f"/api/breaks/{rows['T05']['id']}/actions"
        refused = client.post(path, json={"kind": "comment", "reason": "late"})
        assert refused.status_code >= 400 and "state of the past" in refused.text
        assert all(client.get(path).status_code == 200 for path in ("/feeds", "/health", "/runs/one"))
        assert client.post("/api/runs/one/redrive").status_code >= 400


def test_a_job_is_asked_about_until_it_is_done() -> None:
    jobs = Jobs()
    answers = [jobs.ask("x", lambda: {"n": 1})]
    while not answers[-1]["done"]:
        answers.append(jobs.ask("x", lambda: {"n": 2}))
    assert answers[0] == {"done": False} and answers[-1]["result"] == {"n": 1}
    while not (answer := jobs.ask("y", lambda: {}["gone"]))["done"]:
        pass
    assert answer["error"] == "'gone'"


def test_any_moment_is_what_one_batch_of_the_facts_of_then_gives(desk: Desk, tmp_path: Path) -> None:
    """Batches that mix what came early and late; the state of a moment sees the early alone."""
    arrived = {row["record_id"]: n * 20 for n, row in enumerate(DAY_ROWS)}
    rows = [{**row, "recv_time_utc": T0 + arrived[row["record_id"]] * SECOND} for row in DAY_ROWS]
    for n in range(3):
        desk.match(rows[n::3], as_of=T0 + (500 + n) * SECOND)
    now_ns = T0 + 290 * SECOND
    alone = Desk(desk.rules)
    known_rows = [row for row in rows if row["recv_time_utc"] <= now_ns]
    assert 0 < len(known_rows) < len(rows)
    alone.match(known_rows, as_of=now_ns, feeds=feed_terms(FEEDS))
    sql = (
        "select break_id, code, state, left_value, right_value from recon_break where state <> 'CURED'"
        " union all select group_id, pass_id, cardinality, '', '' from match_group order by 1"
    )
    found = at(states(desk, tmp_path), 290, sql)
    assert found == [tuple(row.values()) for row in alone.table(sql)] and len(found) > 7


def loosened() -> RuleSet:
    """The rules as shipped, but for prices that may be 0.05 apart."""
    text = (Path(__file__).parents[2] / "matching" / "rules.yaml").read_text()
    return parse_rules(text.replace('absolute: {default: "0"}', 'absolute: {default: "0.05"}', 1))


def test_a_state_stands_under_the_rules_and_feeds_of_its_time(desk: Desk, tmp_path: Path) -> None:
    """A price of 10.52 beside 10.50 is a break, under looser rules it is none; a rebuild tells all by the new ones."""
    loose = loosened()
    assert loose.hash != desk.rules.hash
    strict, feeds = desk.rules, feed_terms(FEEDS)

    def pair(number: int) -> list[Row]:
        rows = [ours(f"E{number}"), theirs(f"A{number}", f"E{number}", price="10.52")]
        return [later({**row, "instrument_id": f"LINE-{number}"}, number) for row in rows]

    note_terms(desk.warehouse, strict, feeds, T0)
    desk.match(pair(10), as_of=T0 + 10 * SECOND, feeds=feeds)
    note_terms(desk.warehouse, loose, feeds, T0 + 20 * SECOND)
    note_terms(desk.warehouse, loose, feeds, T0 + 25 * SECOND)
    desk.rules = loose
    desk.match(pair(30), as_of=T0 + 30 * SECOND, feeds=feeds)
    note_terms(desk.warehouse, loose, feeds, T0 + 40 * SECOND, rebuilt=True)
    known = AsKnown(desk.warehouse, tmp_path, loose, FEEDS, "main", ManualClock(LATE))
    seen = {when: [row[0] for row in at(known, when)] for when in (15, 35, 45)}
    assert seen == {15: ["T06"], 35: ["T06"], 45: []}
    with opened(known.file(T0 + 15 * SECOND), ManualClock()) as warehouse:
        assert kept_terms(warehouse, loose, ()).last.rules == strict
        [note] = told(warehouse, T0 + 15 * SECOND, POLICY, loose)["as_known"]["notes"]
    assert strict.hash[:16] in note and "this is what it said" in note
    assert desk.table("select count(*) as n from match_terms")[0]["n"] == 3
