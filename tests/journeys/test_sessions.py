"""Live sessions watched in process: absent inside their hours and back again, a gap that stays and is then filled."""

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import yaml

from app.session_watch import LOOK_SECONDS, PATIENCE_SECONDS, SessionWatch
from domain.clock import ManualClock
from ingest.session.status import SessionStatus, write_status
from orchestrator.embedded import EmbeddedEngine
from tests.journeys.inside import Inside, inside
from tests.journeys.service import settings_file

TUESDAY_NS = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
ALPHA = "ALPHA->TIEOUT"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    _, config = settings_file(tmp_path_factory.mktemp("line"), 20, 7, {})
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    for feed in settings["feeds"]:
        if feed.get("party") == "ALPHA":
            feed["session"]["hours"] = {"start": "08:00", "end": "20:00", "zone": "UTC"}
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    with inside(config) as opened:
        yield opened


class Line:
    """An acceptor's status file, and the looks at it by a clock of its own."""

    def __init__(self, here: Inside, at_ns: int) -> None:
        self.here, self.clock = here, ManualClock(at_ns)
        self.watch = SessionWatch(dataclasses.replace(here.installation, clock=self.clock))

    def look(self, *, connected: bool, next_in: int = 1, gap: tuple[int, int] = (0, 0), after: float = 0) -> bool:
        """What the file says now, looked at twice: whether that started an execution, which has ended then."""
        started = False
        for seconds in (LOOK_SECONDS, after):
            self.clock.advance(seconds)
            row = SessionStatus(ALPHA, connected, next_in, 1, 0, 0, *gap)
            place = self.here.installation.settings.data_dir / "sessions"
            write_status(place, self.clock.now_ns(), 1, 1, False, [row])
            started |= self.watch.step()
        engine: EmbeddedEngine = self.here.installation.engine
        until = time.monotonic() + 30
        while engine.counts().get("RUNNING", 0) and time.monotonic() < until:
            time.sleep(0.005)
        return started

    def states(self) -> list[tuple[str, str]]:
        rows = self.here.rows("SELECT code, state FROM recon_break ORDER BY code, state")
        return [(row["code"], row["state"]) for row in rows]


def test_absent_then_back_then_a_gap_that_is_filled(here: Inside) -> None:
    line = Line(here, TUESDAY_NS)
    assert not line.look(connected=True) and line.states() == []
    assert not line.look(connected=False, after=PATIENCE_SECONDS / 2), "a short absence is no news"
    assert line.look(connected=False, after=PATIENCE_SECONDS)
    assert line.states() == [("I06", "EXPECTED")]
    assert not line.look(connected=False, after=PATIENCE_SECONDS), "told once"
    assert not Line(here, line.clock.now_ns()).look(connected=False, after=60), "a restart knows what was told"
    assert line.look(connected=True)
    assert line.states() == [], "back before it was due: nothing to look at"
    assert not line.look(connected=True, next_in=5, gap=(5, 8))
    assert line.look(connected=True, next_in=5, gap=(5, 8), after=PATIENCE_SECONDS)
    assert line.states() == [("I05", "EXPECTED")]
    assert line.look(connected=True, next_in=9)
    assert line.states() == []
    assert here.installation.rebuild()["before"] == here.installation.derived_hash()


def test_nobody_is_expected_at_night_or_on_saturday(here: Inside) -> None:
    for hours in (12, 4 * 24):
        line = Line(here, TUESDAY_NS + hours * 3_600_000_000_000)
        assert not line.look(connected=False, after=60)
