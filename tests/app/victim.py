"""Two small processes to kill: one appends to a raw log and says what is durable, one works it off through the engine.

Run as `python -m tests.app.victim ROLE FOLDER SEED`; both end when their standard input closes.
"""

import random
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from app.settings import WorkerSettings
from app.worker import Worker
from domain.clock import SystemClock
from ingest.streams.port import Envelope
from ingest.streams.segment import SegmentStream
from orchestrator.embedded import EmbeddedEngine
from orchestrator.ledger import SqliteLedger
from tests.app.test_worker import ONE_STATE

LANES = ("A", "B")


def message(lane: str, number: int) -> bytes:
    """What the lane's message of that number holds."""
    return b"35=8|17=%s%d|58=%s" % (lane.encode(), number, b"x" * (number * 31 % 300))


def say(line: str) -> None:
    """A whole line to the parent at once: a kill leaves a cut line or none."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def produce(root: Path, seed: int) -> None:
    """Append for ever, in groups of any size, to both lanes; a line "lane number" once they are durable."""
    chance, log, clock = random.Random(seed), SegmentStream(root / "log", segment_bytes=200_000), SystemClock()
    last = {lane: log.tail(lane).number for lane in LANES}
    while True:
        envelopes = []
        for lane in chance.sample(LANES, chance.randint(1, 2)):
            numbers = range(last[lane] + 1, last[lane] + 1 + chance.choice([1, 5, 60]))
            envelopes.append(Envelope(lane, numbers[0], clock.now_ns(), tuple(message(lane, n) for n in numbers)))
        log.append(envelopes)
        for envelope in envelopes:
            last[envelope.session] = envelope.last
            say(f"{envelope.session} {envelope.last}")
        clock.sleep(0.002)


def consume(root: Path, _seed: int) -> None:
    """Work off what is durable: the task keeps each message under its execution's name, as a table keyed by message.

    Says "ended" with each execution that ended and "idle" when nothing is left.
    """
    sink = sqlite3.connect(root / "sink.sqlite", check_same_thread=False)
    sink.execute("CREATE TABLE IF NOT EXISTS taken (lane TEXT, number INT, body BLOB, execution TEXT)")
    sink.execute("CREATE UNIQUE INDEX IF NOT EXISTS once ON taken (execution, lane, number)")
    log, lock = SegmentStream(root / "log"), threading.Lock()

    def do(task: dict[str, Any]) -> dict[str, Any]:
        batch = log.read(task["lane"], task["after"], task["count"], until=task["until"])
        rows = [
            (task["lane"], number, body, task["execution"])
            for envelope in batch.envelopes
            for number, body in enumerate(envelope.messages, envelope.first)
        ]
        with lock, sink:
            sink.executemany("INSERT OR IGNORE INTO taken VALUES (?, ?, ?, ?)", rows)
        return {}

    engine = EmbeddedEngine(root / "engine.sqlite", ONE_STATE, {"do": do}, SystemClock())
    worker = Worker(
        tenant="t",
        stream=log,
        engine=engine,
        ledger=SqliteLedger(engine),
        limits=WorkerSettings(batch_min_wait_ms=1, batch_together_ms=1, batch_max_messages=200),
        clock=SystemClock(),
        due=lambda: (None, None),
        on_ended=lambda _name, _status: say("ended"),
    )
    quiet = False
    while True:
        moved = worker.step()
        if not moved and worker.idle and not quiet:
            say("idle")
        quiet = not moved and worker.idle
        if not moved:
            worker.clock.sleep(0.002)


def main() -> None:
    """Run a role; the parent's end of the pipe is its leash."""
    role, folder, seed = sys.argv[1:4]
    threading.Thread(target={"producer": produce, "consumer": consume}[role], args=(Path(folder), int(seed)),
                     daemon=True).start()  # fmt: skip
    sys.stdin.read()


if __name__ == "__main__":
    main()
