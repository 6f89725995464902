"""QuickFIX and our engine as processes that are killed: forced gaps, resends, reconnects; nothing lost or doubled."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.session.wire import fields, header
from ingest.streams.segment import SegmentStream

pytest.importorskip("quickfix", reason="quickfix-ssl, the independent FIX engine, is not installed here")

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[3]
OURS = """
import asyncio, sys
from pathlib import Path
from domain.clock import SystemClock
from ingest.session.acceptor import AcceptorConfig, run_acceptor
from ingest.session.dialer import Dial
from ingest.session.state import Role, SessionConfig
from ingest.session.wire import fields
root, port, role, begin = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
dials = role == "initiator"
session = SessionConfig("ALPHA", "TIEOUT", begin, role=Role(role), heartbeat_seconds=30)
answer = lambda messages: [("B", ((148, "got"), (58, fields(m)[17]))) for m in messages]
config = AcceptorConfig(
    "127.0.0.1", 0 if dials else port, root / "log", root / "state", (session,), 1,
    dial={session.name: Dial("127.0.0.1", port, pause_seconds=0.2, longest_pause_seconds=0.5)} if dials else {},
    respond={session.name: answer},
)
asyncio.run(run_acceptor(config, SystemClock(), asyncio.Event(), lambda port: print("ready", flush=True)))
"""


class Process:
    """A side that can be killed and started again."""

    def __init__(self, *command: str) -> None:
        self._command = [sys.executable, *command]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def taken(root: Path) -> list[str]:
    """ExecIDs in the raw log, without what is marked as a possible duplicate of a number we had."""
    seen: set[str] = set()
    found: list[str] = []
    after = None
    while (batch := SegmentStream(root / "log").read("ALPHA->TIEOUT", after, 100_000)).count:
        after = batch.next
        for message in (m for e in batch.envelopes for m in e.messages if header(m).get(35) == "8"):
            values = fields(message)
            if values.get(43) != "Y" or values[34] not in seen:
                found.append(values[17])
            seen.add(values[34])
    return found


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to an end"
        time.sleep(0.1)


@pytest.fixture
def sides(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Process, Process, int]]:
    role, begin, count = request.param
    port = free_port()
    theirs = "acceptor" if role == "initiator" else "initiator"
    ours = Process("-c", OURS, str(tmp_path), str(port), role, begin)
    peer = Process(str(HERE / "quickfix_peer.py"), theirs, str(tmp_path / "peer"), str(port), str(count), begin)
    yield ours, peer, count
    ours.kill()
    peer.kill()


HEAVY = pytest.mark.heavy


@pytest.mark.parametrize(
    "sides",
    [
        ("acceptor", "FIX.4.4", 2_000),
        ("initiator", "FIX.4.2", 2_000),
        pytest.param(("acceptor", "FIX.4.4", 10_000), marks=HEAVY),
        pytest.param(("acceptor", "FIX.4.2", 10_000), marks=HEAVY),
        pytest.param(("initiator", "FIX.4.4", 10_000), marks=HEAVY),
    ],
    indirect=True,
    ids=str,
)
def test_kills_of_either_side_lose_and_double_nothing(sides: tuple[Process, Process, int], tmp_path: Path) -> None:
    ours, peer, count = sides
    rng = random.Random(count)
    for victim in (ours, peer, ours, peer):
        time.sleep(rng.uniform(0.3, 0.9))
        victim.kill()
        victim.start()
    until(lambda: len(set(taken(tmp_path))) == count, 90)
    assert sorted(taken(tmp_path)) == sorted(f"E{n}" for n in range(1, count + 1))

    # What we sent was asked for again after each kill: the engine's application has every answer that we made.
    def made() -> set[str]:
        (file,) = (tmp_path / "state").glob("*.sent")
        return {found.decode() for found in re.findall(rb"\x0158=(E\d+)\x01", file.read_bytes())}

    until(lambda: made() <= set((tmp_path / "peer" / "received").read_text().split()), 60)
    assert len(made()) > count / 2
