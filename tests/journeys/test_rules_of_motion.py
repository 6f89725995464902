"""Rules of motion: grace and sweeps, a model that is down, parked batches that are redriven, ranges never cut again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.session.wire import fields, seal
from simulator.simulate import Flow
from tests.journeys.inside import Inside, inside
from tests.journeys.service import edit, raw_streams, settings_file, spoiled

OMS, ALPHA = "MERIDIAN_OMS->TIEOUT", "ALPHA->TIEOUT"
SECOND = 1_000_000_000


@pytest.fixture
def site(tmp_path: Path) -> tuple[Flow, Path]:
    return settings_file(tmp_path, 60, 7, {})


@pytest.fixture
def here(site: tuple[Flow, Path]) -> Iterator[Inside]:
    with inside(site[1]) as opened:
        yield opened


def pair(day: Flow) -> tuple[bytes, bytes]:
    """A fill of ours and ALPHA's clean booking of it."""
    wrong = spoiled(day)
    ours = {tags[17]: raw for raw in raw_streams(day)[OMS] if 17 in (tags := fields(raw)) and tags.get(150) == "F"}
    changed = {tags[19] for raw in raw_streams(day)[OMS] if 19 in (tags := fields(raw))}
    for raw in raw_streams(day)[ALPHA]:
        tags = fields(raw)
        uid = tags.get(527, "")
        if tags.get(487) == "0" and uid in ours and uid not in wrong | changed and tags[571] not in wrong:
            return ours[uid], raw
    raise AssertionError("the day has no clean booking of ALPHA")


def renamed(fill: bytes) -> bytes:
    """The fill as another execution."""
    begin = fill.split(b"\x01", 1)[0].removeprefix(b"8=")
    return seal(begin, fill.split(b"\x01", 2)[2].rpartition(b"10=")[0].replace(b"\x0117=ME", b"\x0117=NE"))


def states(here: Inside) -> list[tuple[str, str]]:
    rows = here.rows("SELECT code, state FROM recon_break ORDER BY code, state")
    return [(row["code"], row["state"]) for row in rows]


def tickets(here: Inside) -> int:
    count: int = here.one("SELECT count(*) FROM ticket_outbox")
    return count


def test_a_lonely_fill_is_expected_until_a_sweep_finds_its_grace_over(here: Inside, site: tuple[Flow, Path]) -> None:
    fill, _ = pair(site[0])
    here.feed({OMS: [fill]})
    assert states(here) == [("T01", "EXPECTED")]
    assert here.one("SELECT count(*) FROM break_queue") == 0 and tickets(here) == 0
    assert not [run for run in here.runs("SUCCEEDED") if run.name.startswith("sweep-")]
    summary = here.end_of_input()
    assert states(here) == [("T01", "OPEN")] and tickets(here) == 1
    (sweep,) = [run for run in here.runs("SUCCEEDED") if run.name.startswith("sweep-")]
    due = here.one("SELECT CAST(epoch_ns(max(as_of)) AS BIGINT) FROM break_change WHERE kind = 'OPENED'")
    assert sweep.name == f"sweep-{due}", "as of the time the last grace ended"
    assert due == here.one("SELECT CAST(epoch_ns(max(due_at)) AS BIGINT) FROM recon_break")
    assert summary["completeness"]["problems"] == []


def test_grace_that_is_over_opens_the_break_by_itself(here: Inside, site: tuple[Flow, Path]) -> None:
    fill, _ = pair(site[0])
    here.append(OMS, [fill], recv_ts=here.clock.now_ns() - 3_600 * SECOND)
    here.settle()
    assert states(here) == [("T01", "OPEN")], "the worker swept without being asked"


def test_a_late_booking_clears_what_was_expected_without_a_ticket(here: Inside, site: tuple[Flow, Path]) -> None:
    fill, booking = pair(site[0])
    here.feed({OMS: [fill]})
    here.feed({ALPHA: [booking]})
    kinds = here.rows("SELECT kind, code FROM break_change ORDER BY as_of, kind DESC")
    assert [row["kind"] for row in kinds] == ["EXPECTED", "CLEARED"] and kinds[1]["code"] == "T28"
    assert here.end_of_input()["breaks"] == [] and tickets(here) == 0
    assert here.one("SELECT count(*) FROM match_group") == 1


def test_a_booking_after_the_break_was_opened_cures_it_and_tells_the_ticket(here: Inside, site: Any) -> None:
    fill, booking = pair(site[0])
    here.feed({OMS: [fill]})
    here.end_of_input()
    here.feed({ALPHA: [booking]})
    assert states(here) == [("T01", "CURED")]
    operations = here.rows("SELECT operation FROM ticket_outbox ORDER BY created_as_of, operation")
    assert [row["operation"] for row in operations] == ["open", "resolve"]
    assert here.one("SELECT state FROM break_queue") == "RESOLVED"
    assert here.installation.completeness().problems == ()


def test_with_the_model_down_tickets_are_opened_without_a_score(tmp_path: Path) -> None:
    day, config = settings_file(tmp_path, 60, 7, {"model": "http://127.0.0.1:1"})
    with inside(config) as here:
        here.feed(raw_streams(day))
        summary = here.end_of_input()
        assert here.runs("FAILED") == [], "Catch goes on to Ticket"
        assert here.one("SELECT count(*) FROM break_score") == 0
        assert summary["tickets"]["opened"] == summary["completeness"]["ticketable"] > 3
        assert summary["completeness"]["problems"] == []
        caught = [e for run in here.runs("SUCCEEDED") for e in here.installation.engine.history(run.name)
                  if e.type == "TaskFailed" and e.state == "Score"]  # fmt: skip
        assert len(caught) >= 2, "tried, tried again, caught"
    edit(config, {"model": "inprocess://"})
    with inside(config) as again:
        again.feed({OMS: [renamed(pair(day)[0])]})
        assert len(again.end_of_input()["breaks"]) > 0
        scored = again.one("SELECT count(DISTINCT break_id) FROM break_score")
        assert scored >= summary["tickets"]["opened"], "the model is back: what waited is scored"


def ghost(messages: Sequence[bytes]) -> list[bytes]:
    return [message.replace(b"\x0149=ALPHA\x01", b"\x0149=GHOST\x01") for message in messages]


def test_a_batch_nobody_can_read_is_parked_and_its_lane_goes_on(site: tuple[Flow, Path]) -> None:
    """A session without a feed: the batch fails for good; redriven once the settings know the feed."""
    day, config = site
    streams = raw_streams(day)
    with inside(config) as here:
        here.append("GHOST->TIEOUT", ghost(streams[ALPHA][:5]))
        here.settle()
        (parked,) = here.runs("FAILED")
        assert parked.error == "PermanentError" and "GHOST->TIEOUT: no feed in the settings" in parked.cause
        entered = [e.state for e in here.installation.engine.history(parked.name) if e.type == "TaskStateEntered"]
        assert entered[-1] == "Parked"
        assert here.one("SELECT count(*) FROM parked_batch") == 1
        here.append("GHOST->TIEOUT", ghost(streams[ALPHA][5:8]))
        here.feed({OMS: streams[OMS]})
        assert len(here.runs("FAILED")) == 2, "the lane's next range is tried, and parked too"
        assert here.one("SELECT count(*) FROM raw_message WHERE feed = 'OMS'") == len(streams[OMS])
        waiting = here.installation.completeness()
        assert waiting.received - waiting.accounted == 8 and "8 messages" in waiting.problems[0]
        (again, _) = here.installation.redrive("all")
        assert again["status"] == "FAILED", "nothing was repaired yet"
    feeds = yaml.safe_load(config.read_text())["feeds"]
    like_alpha = next(feed for feed in feeds if feed["name"] == "ALPHA")
    session = {"sender_comp_id": "GHOST", "target_comp_id": "TIEOUT"}
    edit(config, {"feeds": [*feeds, {**like_alpha, "name": "GHOST", "session": session}]})
    with inside(config) as here:
        assert {run["status"] for run in here.installation.redrive("all")} == {"SUCCEEDED"}
        here.settle()
        numbers = here.rows("SELECT number FROM raw_message WHERE feed = 'GHOST' ORDER BY number")
        assert [row["number"] for row in numbers] == list(range(1, 9))
        assert here.end_of_input()["completeness"]["problems"] == []


def test_a_batch_planned_but_never_started_is_started_under_the_same_name(site: tuple[Flow, Path]) -> None:
    """The worker dies between plan and start; the next one takes up exactly that range."""
    day, config = site
    streams = raw_streams(day)
    with inside(config) as here:
        here.feed({OMS: streams[OMS][:10]})
        here.append(OMS, streams[OMS][10:20])
        here.worker.step()
        cut = here.installation.engine.list(limit=1)[0]
    with inside(config) as here:
        here.append(OMS, streams[OMS][20:30])
        here.settle()
        done = here.installation.engine.describe(cut.name)
        assert (done.status, done.input) == ("SUCCEEDED", cut.input)
        numbers = here.rows("SELECT number FROM raw_message WHERE feed = 'OMS' ORDER BY number")
        assert [row["number"] for row in numbers] == list(range(1, 31))
        assert len(here.runs("SUCCEEDED")) == 3
