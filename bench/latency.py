"""From a FIX socket to a break that the API shows: a simulated day sent to `tieout serve` at several steady rates.

`python -m bench latency`, or `python -m bench.latency RATE ...` for other rates (messages a second over all sessions),
SECONDS of input each. A latency runs from the moment the break's last message was handed to the sending session to the
commit that makes the break visible, plus one answer of the API; what waits for a grace to end is not counted. The
picture is docs/pictures/latency.svg.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from app.client import ServiceClient, ServiceError, running
from app.demo_setup import prepare
from bench.latency_plot import draw
from ingest.session.initiator import SenderLimits, send_messages
from ingest.session.wire import header, split_header
from simulator.simulate import Flow
from warehouse.duckdb import DuckDbWarehouse

RATES, SECONDS, PATIENCE_SECONDS, WARM_UP = (20, 100, 500, 5_000), 15, 240, 60
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "latency.svg"
_Turn = tuple[int, bytes]
_ADMIN = frozenset(("0", "1", "2", "3", "4", "5", "A"))
# Breaks found by comparison as their last member arrived; what joined them later made nobody wait.
_OPENED = """
SELECT c.change_id, m.raw AS raw, CAST(l.committed_ts AS TIMESTAMP_NTZ(9)) AS committed
FROM break_latency l JOIN break_change c ON c.change_id = l.change_id
JOIN recon_break b ON b.break_id = c.break_id
JOIN recon_break_member r ON r.break_id = b.break_id
JOIN trade_event e ON e.record_id = r.record_id AND e.recv_time_utc <= l.received_ts
JOIN raw_message m ON m.message_id = e.message_id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rate: latencies in milliseconds, what was sent, how long input and the rest of the work took."""

    rate: int
    messages: int
    sent_seconds: float
    behind_seconds: float
    api_ms: float
    cpu_seconds: float
    latencies_ms: Sequence[float]

    def at(self, share: float) -> float:
        """The latency that `share` of the breaks stay under, the API's answer included."""
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] + self.api_ms if ranked else float("nan")


def lines(rates: Sequence[int] = RATES) -> Iterator[str]:
    """The table, a line per rate; draws the picture."""
    found = []
    yield f"latency: FIX socket to a break in the API, {SECONDS} s of input a rate, one machine for sender and service"
    yield "  rate/s  messages  breaks   p50 ms   p90 ms   p99 ms  work left after input  service CPU s"
    for rate in rates:
        with tempfile.TemporaryDirectory() as folder:
            outcome = _run(Path(folder), rate)
        found.append(outcome)
        yield (
            f"{outcome.messages / outcome.sent_seconds:8,.0f} {outcome.messages:9,} {len(outcome.latencies_ms):7,}"
            f" {outcome.at(0.5):8,.0f} {outcome.at(0.9):8,.0f} {outcome.at(0.99):8,.0f}"
            f" {outcome.behind_seconds:20.1f} s {outcome.cpu_seconds:14.1f}"
        )
    PICTURE.write_text(draw({f"{one.rate:,}/s": [ms + one.api_ms for ms in one.latencies_ms] for one in found}))
    yield f"  picture: {PICTURE.relative_to(PICTURE.parents[2])}"


def _run(folder: Path, rate: int) -> Outcome:
    day, config, fix_port = _site(folder, rate)
    log = (folder / "service.log").open("wb")
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--config", str(config)]
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        client = _ready(config.parent / "data", process)
        # The first batches compile statements, train the model and open every table; they are nobody's latency.
        business = _business(day)
        _send(_turns(business[:WARM_UP]), fix_port, 1_000)
        _settled(client)
        clicks, streams = _CpuSeconds(process.pid), _turns(business[WARM_UP : WARM_UP + rate * SECONDS])
        sent_at, seconds = _send(streams, fix_port, rate)
        behind, answer = _settled(client)
        cpu = clicks.spent()
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()
    for _, raw in business[:WARM_UP]:
        sent_at.pop(_body(raw), None)
    latencies = _latencies(config.parent / "data" / "warehouse.duckdb", sent_at)
    total = sum(map(len, streams.values()))
    return Outcome(rate, total, seconds, behind, answer * 1000, cpu, latencies)


def _site(folder: Path, rate: int) -> tuple[Flow, Path, int]:
    # A fill makes some two and a half messages, over all sessions.
    fills = max(120, rate * SECONDS * 2 // 5 + WARM_UP)
    setup = prepare(
        folder / "site", "embedded", date(2026, 9, 18), fills=fills, seed=7, console_port=0, keep_files=False
    )
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    settings = yaml.safe_load(setup.config.read_text())
    settings["acceptor"] = {**settings.get("acceptor", {}), "port": port}
    setup.config.write_text(yaml.safe_dump(settings, sort_keys=False))
    return setup.flow, setup.config, port


def _ready(data: Path, process: "subprocess.Popen[bytes]") -> ServiceClient:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        client = running(data)
        with contextlib.suppress(ServiceError):
            if client is not None and (data / "ready" / "acceptor.json").is_file():
                client.get("/api/progress")
                return client
        time.sleep(0.2)
    raise SystemExit("the service did not start")


def _settled(client: ServiceClient) -> tuple[float, float]:
    """Seconds until all is reconciled (at most PATIENCE_SECONDS), and the API's median answer meanwhile, in seconds."""
    began, answers = time.monotonic(), []
    while True:
        asked = time.monotonic()
        client.get("/api/breaks", limit=1)
        answers.append(time.monotonic() - asked)
        if client.get("/api/progress")["idle"] or time.monotonic() - began > PATIENCE_SECONDS:
            return time.monotonic() - began, sorted(answers)[len(answers) // 2]
        # As often as a page asks: asking without a pause would be a good part of the work.
        time.sleep(1)


def _business(day: Flow) -> list[tuple[str, bytes]]:
    """(session, message) in the day's order over all sessions, without what belongs to the session itself."""
    ranked = sorted((at, session, raw) for session, stream in day.streams.items() for at, raw in stream)
    return [(session, raw) for _, session, raw in ranked if _kind(raw) not in _ADMIN]


def _turns(messages: Sequence[tuple[str, bytes]]) -> dict[str, list[_Turn]]:
    """By session; each message with its place in the order over all sessions."""
    chosen: dict[str, list[_Turn]] = {}
    for place, (session, raw) in enumerate(messages):
        chosen.setdefault(session, []).append((place, raw))
    return chosen


def _kind(raw: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError):
        return str(header(raw).get(35, ""))
    return "0"


def _send(streams: Mapping[str, Sequence[_Turn]], port: int, rate: int) -> tuple[dict[bytes, int], float]:
    """Send every session at its turn; when each message was handed over (UTC ns by body), and the seconds it took."""
    sent_at: dict[bytes, int] = {}
    began = time.monotonic() + 2.0

    def paced(stream: Sequence[_Turn]) -> Iterator[bytes]:
        for place, raw in stream:
            while time.monotonic() < began + place / rate:
                yield b""
            # A message told again later was known from the first time on.
            sent_at.setdefault(_body(raw), time.time_ns())
            yield raw

    def one(session: str, stream: Sequence[_Turn]) -> None:
        sender, target = session.split("->")
        begin = stream[0][1].split(b"\x01", 1)[0].removeprefix(b"8=").decode()
        limits = SenderLimits(heartbeat_seconds=240)
        asyncio.run(send_messages("127.0.0.1", port, sender, target, begin, paced(stream), limits=limits))

    threads = [threading.Thread(target=one, args=item, daemon=True) for item in streams.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent_at, time.monotonic() - began


def _body(raw: bytes) -> bytes:
    """What a session sends along as it is: all but header and checksum."""
    return split_header(raw)[1]


def _latencies(file: Path, sent_at: Mapping[bytes, int]) -> list[float]:
    warehouse = DuckDbWarehouse(file, read_only=True)
    try:
        rows = warehouse.query(_OPENED)
        committed = rows["committed"].cast("int64").to_pylist()
        last: dict[str, tuple[int, int]] = {}
        for change, raw, at in zip(rows["change_id"].to_pylist(), rows["raw"].to_pylist(), committed, strict=True):
            sent = sent_at.get(_body(raw))
            if sent is not None:
                last[change] = (max(sent, last.get(change, (0, 0))[0]), at)
        return [(at - sent) / 1e6 for sent, at in last.values()]
    finally:
        warehouse.close()


class _CpuSeconds:
    """CPU seconds of a process and its children, read from /proc."""

    def __init__(self, pid: int) -> None:
        self._pid, self._before = pid, self._now(pid)

    def spent(self) -> float:
        return self._now(self._pid) - self._before

    def _now(self, pid: int) -> float:
        total = 0.0
        for one in (pid, *_children(pid)):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


if __name__ == "__main__":
    for line in lines([int(word) for word in sys.argv[1:]] or RATES):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
