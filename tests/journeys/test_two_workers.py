"""Two workers of one installation, each with an engine of its own: one warehouse, one tie-out, whoever stands still."""

import threading
import time
from pathlib import Path

import pytest

from app.settings import load
from simulator.simulate import Flow
from tests.journeys.inside import Inside, inside
from tests.journeys.service import edit, raw_streams, settings_file

FILLS, SEED = 60, 7


def second(config: Path) -> Path:
    """Settings of another worker beside the first: its own folder, the same raw log, warehouse and ledger."""
    other = config.with_name("second.yaml")
    other.write_text(config.read_text())
    edit(other, {"data_dir": "second"})
    (config.parent / "second").mkdir()
    (config.parent / "second" / "raw").symlink_to(load(config).data_dir / "raw")
    return other


def run(worker: Inside, stop: threading.Event, failures: list[BaseException]) -> None:
    try:
        while not stop.is_set():
            if not worker.worker.step():
                stop.wait(0.01)
    except BaseException as error:
        failures.append(error)


def settle(workers: list[Inside], total: int, failures: list[BaseException]) -> None:
    deadline = time.monotonic() + 90
    while True:
        assert not failures, failures
        stored = workers[0].one("SELECT count(*) AS n FROM raw_message")
        running = sum(one.installation.engine.counts().get("RUNNING", 0) for one in workers)
        if stored == total and not running and all(one.worker.idle for one in workers):
            return
        assert time.monotonic() < deadline, (stored, total, [one.worker.lag() for one in workers])
        time.sleep(0.05)


@pytest.fixture
def day(tmp_path: Path) -> tuple[Flow, Path]:
    shared = {"ledger": f"sqlite://{tmp_path}/ledger.sqlite", "warehouse": f"duckdb://{tmp_path}/shared.duckdb"}
    limits = {"batch_max_messages": 40, "lease_seconds": 4}
    return settings_file(tmp_path, FILLS, SEED, {**shared, "worker": limits, "model": "http://127.0.0.1:1"})


def test_two_workers_share_a_day_and_tie_out_as_one(day: tuple[Flow, Path], tmp_path: Path) -> None:
    flow, config = day
    streams = raw_streams(flow)
    total = sum(map(len, streams.values()))
    failures: list[BaseException] = []
    with inside(config) as first, inside(second(config)) as other:
        stop = threading.Event()
        threads = [threading.Thread(target=run, args=(one, stop, failures)) for one in (first, other)]
        for thread in threads:
            thread.start()
        for session, messages in streams.items():
            first.append(session, messages)
        settle([first, other], total, failures)
        stop.set()
        for thread in threads:
            thread.join(30)
        assert first.runs("FAILED") == other.runs("FAILED") == []
        assert first.runs("SUCCEEDED") and other.runs("SUCCEEDED"), "both did their share"
        leader, rest = (first, other) if first.worker.leads else (other, first)
        assert not rest.worker.leads
        rest.worker.close()
        summary = leader.end_of_input()
    assert summary["completeness"]["problems"] == []
    _, alone = settings_file(tmp_path / "alone", FILLS, SEED, {"model": "http://127.0.0.1:1"})
    with inside(alone) as single:
        single.feed(streams)
        expected = single.end_of_input()
    assert summary["digest"] == expected["digest"] and summary["groups"] == expected["groups"]
