"""Poison in Match: the messages at fault are set aside, later runs go on, a retry brings them back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import quarantine
from domain.errors import PermanentError
from ingest.retry import Selection
from matching.engine import MatchResult, run
from tests.ingest.fix.conftest import framed
from tests.journeys.inside import Inside, inside
from warehouse.port import Warehouse

OURS, THEIRS = "OMS->TIEOUT", "ALPHA->TIEOUT"
BODY = (
    "35=8|49={sender}|56=TIEOUT|34=2|52=20260604-13:30:01.500|37=O{n}|11=C{n}|17={uid}|150=F|39=2|1=A1|55=AAPL"
    "|48=US0378331005|22=4|54=1|38=100|32=100|31=187.25|14=100|151=0|6=187.25|15=USD|60=20260604-13:30:01.123"
    "|75=20260604|64=20260605|453=1|448=ALPHA|447=D|452=4|"
)
# The record of which the faulty matcher cannot make anything.
BAD = "E3"
LIVE = f"SELECT count(*) AS n FROM trade_event WHERE trade_uid IN ('{BAD}')"


def message(sender: str, n: int) -> bytes:
    return framed(BODY.format(sender=sender, n=n, uid=f"E{n}"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Inside]:
    session = {"target_comp_id": "TIEOUT"}
    settings = {
        "data_dir": "data", "console": {"port": 0}, "worker": {"batch_max_messages": 10, "poison_max_messages": 1},
        "feeds": [
            {"name": "OMS", "role": "INTERNAL", "party": "FUND", "session": {"sender_comp_id": "OMS", **session}},
            {"name": "ALPHA", "role": "PB", "party": "ALPHA", "session": {"sender_comp_id": "ALPHA", **session}},
        ],
    }  # fmt: skip
    (tmp_path / "tieout.yaml").write_text(yaml.safe_dump(settings))
    with inside(tmp_path / "tieout.yaml") as made:
        yield made


@pytest.fixture
def matcher_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception, str], None]:
    """A fault in the matcher that some records bring out, after it has begun to write."""

    def install(error: Exception, when: str) -> None:
        def faulty(warehouse: Warehouse, *given: Any, **more: Any) -> MatchResult:
            found = run(warehouse, *given, **more)
            if warehouse.query(when)["n"][0].as_py():
                raise error
            return found

        monkeypatch.setattr("matching.engine.run", faulty)

    return install


def held(here: Inside) -> list[dict[str, Any]]:
    return quarantine.held(here.installation, Selection(reason="match_failed"))


def test_only_the_messages_at_fault_are_set_aside_and_a_retry_brings_them_back(
    here: Inside, matcher_fails: Callable[[Exception, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    matcher_fails(ValueError("Conversion Error: 1E40 does not fit"), LIVE)
    here.feed({OURS: [message("OMS", n) for n in range(1, 5)]})
    here.feed({THEIRS: [message("ALPHA", n) for n in range(1, 5) if n != 3]})
    assert here.runs("FAILED") == []
    rows = held(here)
    assert [row["message_id"] for row in rows] == [f"{OURS}:3"]
    assert {row["detail"] for row in rows} == {"Matching failed: ValueError: Conversion Error: 1E40 does not fit"}
    summary = here.end_of_input()
    assert summary["completeness"]["problems"] == []
    assert summary["groups"] and here.one("SELECT count(*) AS n FROM match_member") == 6
    assert {row["code"] for row in here.rows("SELECT code FROM recon_break WHERE state = 'OPEN'")} == {"I01"}
    monkeypatch.undo()
    here.feed({THEIRS: [message("ALPHA", 3)]})
    assert quarantine.retry(here.installation, Selection())["facts"] == 1
    assert held(here) == [] and here.one("SELECT count(*) AS n FROM match_member") == 8
    assert here.end_of_input()["completeness"]["problems"] == []
    assert here.rows("SELECT 1 AS one FROM recon_break WHERE state = 'OPEN'") == []
    rebuilt = here.installation.rebuild()
    assert rebuilt["before"] == rebuilt["after"]


def test_what_a_parked_run_left_behind_does_not_stop_the_others(
    here: Inside, matcher_fails: Callable[[Exception, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as quick:
        quick.setattr("app.tasks.match_with_care", _refuses)
        here.feed({OURS: [message("OMS", n) for n in (1, 3)]})
    assert len(here.runs("FAILED")) == 1
    matcher_fails(ValueError("still so"), LIVE)
    here.feed({THEIRS: [message("ALPHA", n) for n in (1, 2)]})
    assert [row["message_id"] for row in held(here)] == [f"{OURS}:2"]
    assert here.one("SELECT count(*) AS n FROM match_member") == 2


def _refuses(*_: object, **__: object) -> MatchResult:
    raise PermanentError("parked")


def test_what_a_sweep_looks_at_for_the_first_time_may_be_at_fault_too(
    here: Inside, matcher_fails: Callable[[Exception, str], None]
) -> None:
    here.feed({OURS: [message("OMS", n) for n in (2, 3)]})
    matcher_fails(ValueError("never before"), f"{LIVE} AND EXISTS (SELECT 1 FROM execution_log WHERE kind = 'sweep')")
    assert here.end_of_input()["completeness"]["problems"] == []
    assert here.runs("FAILED") == [] and [row["message_id"] for row in held(here)] == [f"{OURS}:2"]
    codes = sorted(row["code"] for row in here.rows("SELECT code FROM recon_break WHERE state = 'OPEN'"))
    assert len(codes) == 2 and "I01" in codes, "the other one is missed on their side"


@pytest.mark.parametrize("when", ["SELECT 1 AS n", LIVE.replace(BAD, "E1', 'E2")], ids=["each run", "too many"])
def test_a_fault_of_our_own_parks_the_batch_and_blames_nobody(
    here: Inside, matcher_fails: Callable[[Exception, str], None], when: str
) -> None:
    matcher_fails(ValueError("ours"), when)
    here.feed({OURS: [message("OMS", n) for n in range(1, 4)]})
    (failed,) = here.runs("FAILED")
    assert "ours" in failed.cause and held(here) == []
    assert here.one("SELECT count(*) AS n FROM trade_event") == 3
