"""A burst, and messages of ten megabytes, under a consumer that is slow: nothing is read ahead, nothing is dropped."""

import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from app.settings import WorkerSettings
from app.worker import Worker
from domain.clock import SystemClock
from ingest.streams.port import READ_BYTES, Envelope
from ingest.streams.segment import SegmentStream
from orchestrator.embedded import EmbeddedEngine
from orchestrator.ledger import SqliteLedger
from tests.app.test_worker import ONE_STATE
from tests.journeys.service import PATIENCE_SECONDS, Service, raw_streams

MEBI = 1024 * 1024
LARGE, SMALL = 14, 20_000


def status(pid: int | str, name: str) -> int:
    """A line of /proc/PID/status in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) // 1024


def forget_peak(pid: int | str) -> None:
    """From here on VmHWM is the peak after this moment."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def consume(root: Path, told: Any) -> None:
    """A worker whose one task takes its time; tells messages taken, largest batch in bytes, and the memory it took."""
    stream, sizes, counts = SegmentStream(root / "log"), list[int](), list[int]()

    def slow(task: dict[str, Any]) -> dict[str, Any]:
        batch = stream.read(task["lane"], task["after"], task["count"], until=task["until"])
        sizes.append(sum(len(message) for e in batch.envelopes for message in e.messages))
        counts.append(batch.count)
        threading.Event().wait(0.02)
        return {}

    engine = EmbeddedEngine(root / "e.sqlite", ONE_STATE, {"do": slow}, SystemClock())
    worker = Worker(
        tenant="t", stream=stream, engine=engine, ledger=SqliteLedger(engine), clock=SystemClock(),
        limits=WorkerSettings(batch_min_wait_ms=1), due=lambda: (None, None), on_ended=lambda _name, _status: None,
    )  # fmt: skip
    forget_peak("self")
    base = status("self", "VmRSS")
    while worker.step() or not worker.idle:
        threading.Event().wait(0.002)
    told.put((sum(counts), max(sizes), status("self", "VmHWM") - base))
    engine.close()


def test_memory_stays_where_it_is_whatever_waits(tmp_path: Path) -> None:
    log = SegmentStream(tmp_path / "log")
    for first in range(1, SMALL, 5_000):
        log.append([Envelope("SMALL", first, first, tuple(b"%d" % n * 40 for n in range(5_000)), first)])
    for number in range(1, LARGE + 1):
        log.append([Envelope("LARGE", number, number, (os.urandom(1024) * 10 * 1024,), number)])
    log.close()
    spawned = multiprocessing.get_context("spawn")
    told = spawned.Queue()
    process = spawned.Process(target=consume, args=(tmp_path, told))
    process.start()
    taken, largest, grown_mib = told.get(timeout=90)
    process.join(30)
    assert taken == SMALL + LARGE
    assert largest < READ_BYTES + 10 * MEBI + 1
    assert grown_mib < 300


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_ten_times_the_rate_through_the_service(tmp_path: Path) -> None:
    with Service(tmp_path, fills=1_500, seed=7, model="http://127.0.0.1:1") as service:
        streams = raw_streams(service.day)
        some = {session: messages[: len(messages) // 10] for session, messages in streams.items()}
        rest = {session: messages[len(messages) // 10 :] for session, messages in streams.items()}
        service.push(some, tmp_path / "stores")
        service.settle()
        pids = {role: pid for role, pid in service.pids().items() if role != "supervisor"}
        base = {role: status(pid, "VmRSS") for role, pid in pids.items()}
        for pid in pids.values():
            forget_peak(pid)
        service.push(rest, tmp_path / "stores", 3 * PATIENCE_SECONDS)
        for _ in range(5):
            try:
                service.settle()
                break
            except AssertionError:
                continue
        grown = {role: status(pid, "VmHWM") - base[role] for role, pid in pids.items()}
        assert service.summary()["completeness"]["accounted"] >= sum(map(len, streams.values()))
        assert all(mib <= 300 for mib in grown.values()), grown
