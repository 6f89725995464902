"""FIX over loopback into a durable raw log: our acceptor and a QuickFIX Python acceptor, and the time to durable.

Both acceptors are processes of their own and are sent the same bytes; CPU seconds are theirs alone, read from /proc.
A rate counts only once the acceptor has answered a TestRequest behind the last message; ours does that when everything
before it was synced. `python -m bench session`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest.session.wire import compose, timestamp

MESSAGES, SAMPLE, ROUNDS = 300_000, 30_000, 3
PACED_RATE, PACED_SECONDS = 20_000, 5
_OURS = """
import asyncio, json, signal, sys, threading, time
from pathlib import Path
from domain.clock import SystemClock
from ingest.session import acceptor, fastlane
from ingest.session.committer import Committer
from ingest.session.state import SessionConfig
root, waits = Path(sys.argv[1]), []
if sys.argv[2] == "paced":
    submit = Committer.submit
    def timed(self, session, append, done):
        at = time.monotonic()
        def durable(count):
            waits.append((time.monotonic() - at, count))
            done(count)
        submit(self, session, append, durable)
    Committer.submit = timed
config = acceptor.AcceptorConfig(
    "127.0.0.1", 0, root / "log", root, (SessionConfig("ALPHA", "TIEOUT"),), 1, machine_code=sys.argv[3] == "compiled"
)
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if config.machine_code:
        acceptor._warm_up()
    await acceptor.run_acceptor(config, SystemClock(), stop, lambda port: print(port, flush=True))
    print(json.dumps(waits), flush=True)
asyncio.run(main())
"""
_QUICKFIX = """
import sys, time
import quickfix as fix
class App(fix.Application):
    count = 0
    def onCreate(self, s): pass
    def onLogon(self, s): pass
    def onLogout(self, s): pass
    def toAdmin(self, m, s): pass
    def fromAdmin(self, m, s): pass
    def toApp(self, m, s): pass
    def fromApp(self, m, s): self.count += 1
text = '''[DEFAULT]
ConnectionType=acceptor
StartTime=00:00:00
EndTime=00:00:00
UseDataDictionary=N
CheckLatency=N
FileStorePath=%s
SocketAcceptPort=%s
[SESSION]
BeginString=FIX.4.4
SenderCompID=TIEOUT
TargetCompID=ALPHA
''' % (sys.argv[1], sys.argv[2])
path = sys.argv[1] + "/engine.cfg"
open(path, "w").write(text)
settings = fix.SessionSettings(path)
app = App()
engine = fix.SocketAcceptor(app, fix.FileStoreFactory(settings), settings)
engine.start()
print(sys.argv[2], flush=True)
time.sleep(600)
"""
_BODY = (
    (37, "O123456789"), (17, "E123456"), (11, "C1231231"), (150, "F"), (39, "1"), (55, "VOD.L"), (48, "GB00BH4HKS39"),
    (22, "4"), (54, "1"), (38, "1000"), (32, "100"), (31, "1.5"), (14, "100"), (6, "1.5"), (151, "900"),
    (60, "20260105-10:00:00.000"), (75, "20260105"), (64, "20260107"), (15, "GBP"), (1, "ACC123"), (30, "XLON"),
    (453, "1"), (448, "BRK"), (447, "D"), (452, "1"), (58, "y" * 40),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages per second of wall time, and per CPU second of the acceptor."""

    wall: float
    cpu: float


def _message(number: int, kind: str, *body: tuple[int, str]) -> bytes:
    head = [(35, kind), (49, "ALPHA"), (56, "TIEOUT"), (34, str(number)), (52, timestamp(time.time_ns()))]
    return compose("FIX.4.4", [*head, *body])


@contextmanager
def _acceptor(program: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A process that listens, and a connection that is logged on with MsgSeqNum 1."""
    folder = tempfile.mkdtemp(prefix="tieout-bench-", dir=Path.cwd() / ".bench" if Path(".bench").is_dir() else None)
    process = subprocess.Popen(
        [sys.executable, "-c", program, folder, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=300) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(_message(1, "A", (98, "0"), (108, "60")))
            line.recv(4_096)
            yield process, line
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _cpu(process: subprocess.Popen[str]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rate(program: str, data: bytes, count: int, *arguments: str) -> Rate:
    with _acceptor(program, *arguments) as (process, line):
        cpu, wall = _cpu(process), time.perf_counter()
        line.sendall(data)
        line.sendall(_message(count + 2, "1", (112, "END")))
        answer = b""
        while b"112=END" not in answer:
            answer += line.recv(65_536)
        wall, cpu = time.perf_counter() - wall, _cpu(process) - cpu
        return Rate(count / wall, count / max(cpu, 0.01))


def _best(rates: list[Rate]) -> Rate:
    return Rate(max(rate.wall for rate in rates), max(rate.cpu for rate in rates))


def _shown(rate: Rate) -> str:
    return f"{rate.wall:>10,.0f} messages/s {rate.cpu:>12,.0f} messages/CPU-s"


def _waits() -> list[tuple[float, int]]:
    """Seconds from a read of the socket to durable, and how many messages it was, at a steady rate."""
    messages = [_message(n, "8", *_BODY) for n in range(2, PACED_RATE * PACED_SECONDS + 2)]
    with _acceptor(_OURS, "paced", "compiled") as (process, line):
        done, started = 0, time.monotonic()
        while done < len(messages):
            due = int((time.monotonic() - started) * PACED_RATE)
            line.sendall(b"".join(messages[done:due]))
            done = max(done, due)
            time.sleep(0.001)
        number = len(messages) + 2
        line.sendall(_message(number, "1", (112, "END")))
        line.recv(65_536)
        process.send_signal(signal.SIGTERM)
        line.recv(65_536)
        line.sendall(_message(number + 1, "5"))
        assert process.stdout is not None
        return [(wait, count) for wait, count in json.loads(process.stdout.readline() or "[]")]


def _quantile(waits: list[tuple[float, int]], share: float) -> float:
    total, seen = sum(count for _, count in waits), 0
    for wait, count in sorted(waits):
        seen += count
        if seen >= total * share:
            return wait
    return float("nan")


def lines() -> Iterator[str]:
    """The lines of the comparison."""
    data = b"".join(_message(n, "8", *_BODY) for n in range(2, MESSAGES + 2))
    sample = b"".join(_message(n, "8", *_BODY) for n in range(2, SAMPLE + 2))
    yield f"FIX over loopback, {MESSAGES:,} ExecutionReports of {len(data) // MESSAGES} bytes, best of {ROUNDS}"
    ours = {
        lane: _best([_rate(_OURS, data, MESSAGES, "rate", lane) for _ in range(ROUNDS)])
        for lane in ("compiled", "numpy")
    }
    for lane, rate in ours.items():
        yield f"  tieout, durable, fast lane {lane:<10} {_shown(rate)}"
    try:
        import quickfix  # noqa: F401
    except ImportError:
        yield "  skipped: quickfix-ssl is not installed"
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        peer = _best([_rate(_QUICKFIX, sample, SAMPLE, port) for _ in range(ROUNDS)])
        best = ours["compiled"]
        yield (
            f"  quickfix Python acceptor, FileStore     {_shown(peer)}"
            f"   ours is {best.wall / peer.wall:.1f} x, per CPU {best.cpu / peer.cpu:.1f} x"
        )
    waits = _waits()
    shares = ", ".join(f"p{share * 100:g} {_quantile(waits, share) * 1000:.1f} ms" for share in (0.5, 0.99, 0.999))
    yield f"  socket to durable at {PACED_RATE:,} messages/s for {PACED_SECONDS} s: {shares}"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
