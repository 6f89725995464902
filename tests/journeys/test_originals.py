"""The warehouse lets go of its copies of old messages: what asks for the bytes reads them from the raw log."""

from pathlib import Path
from typing import Any

import pytest

from app import quarantine
from app.housekeeping import Housekeeping
from console.explain import explain_break
from domain.errors import PermanentError
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from ingest.retry import Selection
from ingest.streams.segment_files import lane_directory
from tests.journeys.inside import Inside, inside
from tests.journeys.service import raw_streams, settings_file

DAY_NS = 86_400 * 10**9
COPIES = "SELECT sum(length) AS size, count(*) AS n FROM raw_message WHERE raw <> CAST('' AS BINARY)"


def poison(batch: RawBatch, reference: Reference) -> Normalised:
    if len(batch.messages) > 1 and any(n == 5 for n in batch.numbers):
        raise IndexError("a fault in the reader")
    if batch.numbers == [5]:
        raise IndexError("a fault in the reader")
    return normalise(batch, reference)


def asked(here: Inside, break_id: str) -> tuple[list[Any], list[Any]]:
    """The messages of a break as the command line and as the console show them."""
    texts = [row["text"] for row in here.installation.explain(break_id)["raw"]]
    console = explain_break(here.warehouse, break_id, str, here.installation.originals.of)["messages"]
    assert console and all(len(message["fields"]) > 5 for message in console)
    return texts, console


def test_bytes_are_read_from_the_raw_log_once_the_copies_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, config = settings_file(tmp_path, 6, 7, {"archive": {"warehouse_days": 1}, "model": "http://127.0.0.1:1"})
    with inside(config) as here:
        old = here.clock.now_ns() - 3 * DAY_NS
        with monkeypatch.context() as faulty:
            faulty.setattr("ingest.poison.normalise", poison)
            for session, messages in raw_streams(day).items():
                here.append(session, messages, old)
            here.settle()
        here.end_of_input()
        break_id = here.one("SELECT break_id FROM recon_break WHERE code LIKE 'T%' ORDER BY break_id LIMIT 1")
        before, held = asked(here, break_id), quarantine.held(here.installation, Selection(reason="reader_failed"))
        shown = quarantine.one(here.installation, held[0]["quarantine_id"])
        assert here.rows(COPIES)[0]["n"] and held and before[0]
        Housekeeping(here.installation).run_if_due()
        assert here.rows(COPIES)[0]["n"] == 0, "nothing but the raw log has them"
        assert asked(here, break_id) == before
        assert quarantine.one(here.installation, held[0]["quarantine_id"]) == shown
        lane = lane_directory(here.installation.settings.data_dir / "raw", held[0]["message_id"].rpartition(":")[0])
        hidden = lane.rename(lane.with_name("hidden"))
        with pytest.raises(PermanentError, match="let its copy go, and there is no raw log"):
            quarantine.one(here.installation, held[0]["quarantine_id"])
        hidden.rename(lane)
        assert quarantine.retry(here.installation, Selection())["healed"] >= len(held)
        rebuilt = here.installation.rebuild()
        assert rebuilt["before"] == rebuilt["after"]
