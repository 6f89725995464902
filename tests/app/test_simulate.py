"""`tieout simulate`: one clear line for what cannot be done, a folder otherwise, and a day played to an acceptor."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from domain.clock import SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.state import SessionConfig
from ingest.streams.segment import SegmentStream
from simulator.settings_file import LIVE_GRACE_SECONDS
from simulator.truth import BreakTruth
from simulator.truth_file import parse_truth

RUNNER = CliRunner()
DAY = ("--date", "2026-11-20", "--fills", "120")
SESSIONS = {"MERIDIAN_OMS": "FIX.4.4", "ALPHA": "FIX.4.4", "BRAVO": "FIX.4.2"}


def simulate(*words: object) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, ["simulate", *(str(word) for word in words)])
    return done.exit_code, done.stdout, done.stderr


def nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--profile", "huge"), "--profile huge: no such profile; known: smoke, day, heavy"),
        (("--pbs", "A,Q"), "--pbs A,Q: 'Q' is no prime broker; choose from A,B,C,D,E"),
        (("--pbs", ","), "names no prime broker"),
        (("--date", "yesterday"), "--date 'yesterday' is not a date like 2026-11-20"),
        (("--date", "1969-12-31"), "--date 1969-12-31: the simulated markets are open from 2016 to 2045"),
        (("--date", "9999-12-31"), "--date 9999-12-31: the simulated markets are open from 2016 to 2045"),
        (("--fills", "3"), "--fills 3: expected 20 to 5,000,000"),
        (("--seed", "-1"), "--seed -1: expected 0 or more"),
        (("--rate", "5"), "--to and --rate are for --live"),
        (("--live",), "--live needs --to HOST:PORT"),
        (("--live", "--to", "somewhere"), "--to 'somewhere' is not HOST:PORT"),
        (("--live", "--to", "127.0.0.1:9", "--rate", "0"), "--rate 0: expected more than 0"),
        (("--live", "--to", "127.0.0.1:9", "--pbs", "D,E"), "only A, B, C can be played live"),
        (("--live", "--to", "127.0.0.1:9", "--profile", "soak"), "only single days are played live"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    status, out, err = simulate("--out", tmp_path / "sim", *words)
    assert (status, out) == (2, "")
    assert err.startswith("tieout: ") and err.count("\n") == 1 and told in err
    assert not (tmp_path / "sim").exists()


def test_no_service_and_a_folder_of_others_are_told(tmp_path: Path) -> None:
    status, _, err = simulate("--out", tmp_path / "sim", "--live", "--to", nobody())
    assert status == 2 and "no service answers" in err and not (tmp_path / "sim").exists()
    (tmp_path / "note.txt").write_text("mine")
    status, _, err = simulate("--out", tmp_path)
    assert status == 2 and "not empty and not made by tieout simulate" in err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_folder_is_written_and_the_next_step_told(tmp_path: Path) -> None:
    out = tmp_path / "sim"
    status, told, _ = simulate("--out", out, "--pbs", "b,a", *DAY)
    assert status == 0 and f"tieout reconcile --config {out / 'tieout.yaml'}" in told
    assert "120 fills" in told and "at ALPHA, BRAVO" in told
    made = json.loads((out / "manifest.json").read_text())
    assert made["sources"] == ["OMS", "ALPHA", "BRAVO"] and not (out / "charlie").exists()


@pytest.fixture
def acceptor(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A running acceptor for three of the sessions: its address and its raw log."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    ports: list[int] = []
    listening = threading.Event()
    sessions = tuple(SessionConfig(sender, "TIEOUT", begin) for sender, begin in SESSIONS.items())
    config = AcceptorConfig(
        "127.0.0.1", 0, tmp_path / "log", tmp_path / "state", sessions, min_free_bytes=1, tick_seconds=0.02
    )

    def heard(port: int) -> None:
        ports.append(port)
        listening.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(run_acceptor(config, SystemClock(), stop, heard),))
    thread.start()
    assert listening.wait(10)
    yield f"127.0.0.1:{ports[0]}", tmp_path / "log"
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_a_day_is_played_to_a_service_and_its_truth_has_real_times(tmp_path: Path, acceptor: tuple[str, Path]) -> None:
    address, log = acceptor
    out, clock = tmp_path / "sim", SystemClock()
    started = clock.now_ns()
    words = ("--live", "--to", address, "--rate", "400", "--pbs", "A,B,D")
    status, told, err = simulate("--out", out, *words, *DAY)
    ended = clock.now_ns()
    assert status == 0, err
    assert "sent and taken in" in told
    sent = 0
    for sender in SESSIONS:
        batch = SegmentStream(log).read(f"{sender}->TIEOUT", None, 1_000_000)
        sent += sum(b"\x0135=A\x01" not in m and b"\x0135=5\x01" not in m for e in batch.envelopes for m in e.messages)
    # A TestRequest per session asks whether everything was taken.
    assert sent == json.loads((out / "manifest.json").read_text())["counts"]["messages"] + len(SESSIONS)
    lines = (out / "truth.jsonl").read_bytes().splitlines()
    assert json.loads(lines[0])["live"] is True
    labels = [row for row in parse_truth(lines) if isinstance(row, BreakTruth)]
    grace = LIVE_GRACE_SECONDS * 1_000_000_000
    for row in labels:
        seen = [at for at in (row.visible_at_internal, row.visible_at_external) if at is not None]
        assert all(started <= at <= ended for at in seen), row
        assert row.detectable_at in {*seen, max(seen) + grace}
    missing = [row for row in labels if row.code == "T01" and row.cured_at is None]
    assert missing and all(row.detectable_at == row.visible_at_internal + grace for row in missing)  # type: ignore[operator]
    assert {path.name for path in out.iterdir()} == {"manifest.json", "truth.jsonl", "serve.yaml", "reference"}
