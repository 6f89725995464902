"""The acceptor process killed with SIGKILL while messages pour in: the sender reconnects, nothing lost or doubled."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.session.initiator import SenderLimits, send_messages
from ingest.session.status import read_status
from ingest.session.wire import compose, fields, header
from ingest.streams.segment import SegmentStream

ROOT = Path(__file__).parents[3]
ACCEPTOR = """
import asyncio, sys
from pathlib import Path
from domain.clock import SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.state import SessionConfig
root = Path(sys.argv[1])
config = AcceptorConfig("127.0.0.1", int(sys.argv[2]), root / "log", root, (SessionConfig("ALPHA", "TIEOUT"),), 1)
asyncio.run(run_acceptor(config, SystemClock(), asyncio.Event(), lambda port: print(port, flush=True)))
"""
KILLS = 4
MESSAGES = 4_000


def start(root: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", ACCEPTOR, str(root), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def fills() -> Iterator[bytes]:
    for n in range(MESSAGES):
        yield compose("FIX.4.4", [(35, "8"), (37, f"O{n}"), (17, f"E{n}"), (55, "VOD.L"), (32, "100"), (31, "1.5")])


@pytest.mark.parametrize("seed", [1])
def test_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    process, port = start(tmp_path, 0)

    async def killer() -> None:
        nonlocal process
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.05, 0.3))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process, _ = await asyncio.to_thread(start, tmp_path, port)

    async def scenario() -> int:
        limits = SenderLimits(logon_seconds=5, ask_again_seconds=0.2, attempts=200, reconnect_seconds=0.05)
        killing = asyncio.create_task(killer())
        sending = send_messages("127.0.0.1", port, "ALPHA", "TIEOUT", "FIX.4.4", fills(), rate=2_000, limits=limits)
        report = await sending
        await killing
        return report.sent

    try:
        assert asyncio.run(scenario()) == MESSAGES
    finally:
        process.kill()
        process.wait()
    batch = SegmentStream(tmp_path / "log").read("ALPHA->TIEOUT", None, 1_000_000)
    found = [fields(m) for e in batch.envelopes for m in e.messages if header(m).get(35) == "8"]
    assert [f[17] for f in found] == [f"E{n}" for n in range(MESSAGES)]
    assert len({f[34] for f in found}) == MESSAGES
    assert read_status(tmp_path) is not None
