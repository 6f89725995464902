"""A record that ends the process inside Match, as native code or the system does: it is found and set aside."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import matching.engine
from app import quarantine
from app.match_care import match_with_care
from app.settings import load
from domain.errors import PermanentError
from ingest.retry import Selection
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream
from ingest.suspects import Suspects
from matching.engine import MatchResult, Scope, match, run
from tests.journeys.inside import inside
from tests.journeys.test_match_poison import OURS, THEIRS, message
from warehouse.port import Warehouse

DEAD, AS_OF = 9, 1_780_579_802_000_000_000
BAD = "SELECT count(*) AS n FROM trade_event WHERE trade_uid = 'E3'"


def installation(root: Path, count: int) -> Path:
    """Settings of two feeds, and their messages in the raw log: `count` of ours, none of theirs for the third."""
    session = {"target_comp_id": "TIEOUT"}
    feeds = [
        {"name": name, "role": role, "party": party, "session": {"sender_comp_id": name, **session}}
        for name, role, party in (("OMS", "INTERNAL", "FUND"), ("ALPHA", "PB", "ALPHA"))
    ]
    config = root / "tieout.yaml"
    config.write_text(yaml.safe_dump({"data_dir": "data", "console": {"port": 0}, "feeds": feeds}))
    log = SegmentStream(load(config).data_dir / "raw")
    for session_name, sender, numbers in (
        (OURS, "OMS", range(1, count + 1)), (THEIRS, "ALPHA", [n for n in range(1, count + 1) if n != 3])
    ):  # fmt: skip
        messages = tuple(message(sender, n) for n in numbers)
        log.append([Envelope(session_name, 1, 1_780_579_801_500_000_000, messages, len(messages))])
    log.close()
    return config


def mortal(warehouse: Warehouse, *given: Any, **more: Any) -> MatchResult:
    """Match, which ends the process after it has begun to write where the third record takes part."""
    found = run(warehouse, *given, **more)
    if warehouse.query(BAD)["n"][0].as_py():
        os._exit(DEAD)
    return found


def lived(work: Callable[[], None]) -> int:
    """What a process of its own that does this ended with; 0 where it came to the end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Died(BaseException):
    """The end of the process, for one that goes on."""


def test_several_are_found_and_a_death_from_elsewhere_blames_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspects = Suspects(tmp_path / "suspects")
    bad = f"SELECT count(*) AS n FROM trade_event WHERE message_id IN ('{OURS}:2', '{OURS}:3')"
    with inside(installation(tmp_path, 3)) as here:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("app.tasks.match_with_care", refuses)
            here.settle()

        def tried(when: str) -> bool:
            def fatal(warehouse: Warehouse, *given: Any, **more: Any) -> MatchResult:
                found = run(warehouse, *given, **more)
                if warehouse.query(when)["n"][0].as_py():
                    raise Died
                return found

            def matched(warehouse: Warehouse, scope: Scope) -> MatchResult:
                return match(warehouse, execution="e", as_of=AS_OF, scope=scope, rules=here.installation.rules)

            monkeypatch.setattr("matching.engine.run", fatal)
            try:
                match_with_care(here.warehouse, matched, execution="e", as_of=AS_OF, limit=9, suspects=suspects)
            except Died:
                return False
            return True

        assert [tried(when) for when in (bad, bad, "SELECT 0 AS n")] == [False, False, True], "killed by others"
        assert here.rows("SELECT * FROM quarantine") == [] and not [*suspects.folder.iterdir()]
        here.warehouse.execute("DELETE FROM execution_log")
        deaths = 0
        while not tried(bad):
            deaths += 1
            assert deaths < 40
        held = here.rows("SELECT message_id FROM quarantine WHERE reason = 'match_failed' ORDER BY message_id")
        assert [row["message_id"] for row in held] == [f"{OURS}:2", f"{OURS}:3"]
        assert here.one("SELECT count(*) AS n FROM match_member") == 2 and not [*suspects.folder.iterdir()]


def refuses(*_: object, **__: object) -> MatchResult:
    raise PermanentError("parked")


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_it_is_found_in_few_deaths_and_everything_else_is_matched(tmp_path: Path) -> None:
    config = installation(tmp_path, 4)

    def work() -> None:
        matching.engine.run = mortal
        with inside(config) as here:
            here.settle()

    statuses = []
    while not statuses or statuses[-1] == DEAD:
        statuses.append(lived(work))
        assert len(statuses) < 20
    assert statuses == [DEAD] * 11 + [0], "fewer than the supervisor allows"
    with inside(config) as here:
        (row,) = quarantine.held(here.installation, Selection(reason="match_failed"))
        assert row["message_id"] == f"{OURS}:3" and "ended 6 times" in row["detail"]
        assert here.one("SELECT count(*) AS n FROM match_member") == 6 and here.runs("FAILED") == []
        assert here.end_of_input()["completeness"]["problems"] == []
        assert not [*(load(config).data_dir / "suspects").iterdir()], "nothing is under suspicion any more"
        assert quarantine.retry(here.installation, Selection())["facts"] == 1
        assert here.end_of_input()["completeness"]["problems"] == []
        rebuilt = here.installation.rebuild()
        assert rebuilt["before"] == rebuilt["after"]
