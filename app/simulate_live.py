"""`tieout simulate --live`: the simulated sessions log on to a running service and play the day in real time."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from app.simulate import SimulateOptions, SimulateRefused
from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from ingest.session.initiator import SenderLimits, send_messages
from simulator import manifest, settings_file
from simulator.manifest import Manifest, OutputRefused
from simulator.profiles import Profile
from simulator.records import SECOND_NS, Source
from simulator.simulate import LIVE_SETTINGS, TRUTH, Flow, in_memory
from simulator.truth import BreakTruth, TruthRow
from simulator.truth_file import truth_line

DEFAULT_RATE = 200.0
# The flow brings its own heartbeats every minute at the latest, under numbers that fit: the engine must not add any.
_LIMITS = SenderLimits(heartbeat_seconds=240)
_CONNECT_SECONDS = 5.0


@dataclass(slots=True)
class _Pace:
    """Simulated times on the wall clock: a straight line from the first message to the last."""

    clock: Clock
    first_ns: int
    span_ns: int
    seconds: float
    started: float = 0.0
    started_ns: int = 0
    sent: int = 0
    last: float = 0.0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self.started, self.started_ns = self.clock.monotonic(), self.clock.now_ns()

    def due(self, at_ns: int) -> float:
        return self.started + self.seconds * (at_ns - self.first_ns) / self.span_ns

    def done(self, messages: int) -> None:
        with self.lock:
            self.sent += messages
            self.last = max(self.last, self.clock.monotonic() - self.started)

    def real_ns(self, at_ns: int) -> int:
        """When something of the simulated day really happened: sending may have taken longer than planned."""
        span = int(max(self.seconds, self.last) * SECOND_NS)
        return self.started_ns + (at_ns - self.first_ns) * span // self.span_ns


def play(options: SimulateOptions, profile: Profile, first: date, say: Callable[[str], None], clock: Clock) -> None:
    """Send the day, then write the truth with real times into the folder. Raises SimulateRefused."""
    host, port = _address(options.to)
    rate = DEFAULT_RATE if options.rate is None else options.rate
    if rate <= 0:
        raise SimulateRefused(f"--rate {rate:g}: expected more than 0")
    if profile.days > 1:
        raise SimulateRefused(f"--profile {profile.name}: has {profile.days} days; only single days are played live")
    _reachable(host, port)
    flow = in_memory(profile, options.seed, first, rate)
    try:
        manifest.claim(options.out)
        _write_inputs(flow, options.out)
    except OutputRefused as error:
        raise SimulateRefused(str(error)) from None
    times = [at_ns for stream in flow.streams.values() for at_ns, _ in stream]
    total = len(times)
    pace = _Pace(clock, min(times), max(1, max(times) - min(times)), total / rate)
    say(f"{total:,} messages over {len(flow.streams)} sessions to {host}:{port}, {total / rate:.0f} s")
    _send(flow, host, port, pace)
    if pace.failures:
        raise SimulateRefused(pace.failures[0])
    rows = [_moved(row, pace) for row in flow.truth]
    _write_truth(flow, rows, options.out)
    seconds = max(pace.last, 1e-9)
    say(
        f"sent and taken in {seconds:.1f} s, {total / seconds:,.0f} a second\n{options.out / TRUTH}: {len(rows):,} rows"
    )


def _address(text: str | None) -> tuple[str, int]:
    host, _, port = (text or "").rpartition(":")
    if not host or not port.isdigit():
        raise SimulateRefused("--live needs --to HOST:PORT" if text is None else f"--to {text!r} is not HOST:PORT")
    return host, int(port)


def _reachable(host: str, port: int) -> None:
    """Before any work: is anybody there?"""
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SimulateRefused(f"{host}:{port}: no service answers: {error}") from None


def _send(flow: Flow, host: str, port: int, pace: _Pace) -> None:
    def one(session: str, stream: Sequence[tuple[int, bytes]]) -> None:
        sender, target = session.split("->")
        begin = stream[0][1].split(b"\x01", 1)[0].removeprefix(b"8=").decode("ascii")
        try:
            asyncio.run(
                send_messages(host, port, sender, target, begin, _paced(stream, pace), keep_header=True, limits=_LIMITS)
            )
        except (PermanentError, TransientError) as error:
            pace.failures.append(f"{session}: {error}")

    threads = [
        threading.Thread(target=one, args=(session, stream), daemon=True)
        for session, stream in flow.streams.items()
        if stream
    ]
    pace.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _paced(stream: Sequence[tuple[int, bytes]], pace: _Pace) -> Iterator[bytes]:
    """The session's messages, each not before its turn; until then nothing (empty items)."""
    for at_ns, raw in stream:
        while pace.due(at_ns) > pace.clock.monotonic() and not pace.failures:
            yield b""
        if pace.failures:
            return
        yield raw
    pace.done(len(stream))


def _moved(row: TruthRow, pace: _Pace) -> TruthRow:
    """The row with real times; what shows on one side alone is certain when the feeds' grace is over."""
    if not isinstance(row, BreakTruth):
        return row

    def real(at_ns: int | None) -> int | None:
        return None if at_ns is None else pace.real_ns(at_ns)

    seen = [at_ns for at_ns in (row.visible_at_internal, row.visible_at_external) if at_ns is not None]
    waits = bool(seen) and row.detectable_at > max(seen)
    grace = settings_file.LIVE_GRACE_SECONDS * SECOND_NS if waits else 0
    return replace(
        row,
        injected_at=pace.real_ns(row.injected_at),
        visible_at_internal=real(row.visible_at_internal),
        visible_at_external=real(row.visible_at_external),
        detectable_at=pace.real_ns(max(seen) if waits else row.detectable_at) + grace,
        cured_at=real(row.cured_at),
    )


def _write_inputs(flow: Flow, out: Path) -> None:
    """Reference files and the settings a service takes the sessions with."""
    for name, content in flow.reference.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    sources = [Source[name] for name in flow.run["sources"]]
    text = settings_file.live_settings(sources, [Path(name).stem for name in flow.reference])
    (out / LIVE_SETTINGS).write_text(text, encoding="utf-8")


def _write_truth(flow: Flow, rows: Sequence[TruthRow], out: Path) -> None:
    with (out / TRUTH).open("wb") as handle:
        handle.write((json.dumps({**flow.run, "live": True}, separators=(",", ":")) + "\n").encode())
        handle.writelines(truth_line(row) for row in rows)
    files = {name: content.count(b"\n") - 1 for name, content in flow.reference.items()}
    files |= {TRUTH: len(rows) + 1, LIVE_SETTINGS: 0}
    breaks: dict[str, int] = {}
    for row in rows:
        if isinstance(row, BreakTruth):
            breaks[row.code] = breaks.get(row.code, 0) + 1
    sent = sum(len(stream) for stream in flow.streams.values())
    made = Manifest(
        profile=flow.run["profile"],
        seed=flow.run["seed"],
        trade_dates=tuple(flow.run["trade_dates"]),
        sources=tuple(flow.run["sources"]),
        counts={"messages": sent, "truth_rows": len(rows)},
        bookings=flow.run["bookings"],
        breaks=dict(sorted(breaks.items())),
        files={name: manifest.entry(out / name, count) for name, count in files.items()},
    )
    manifest.write(made, out)
