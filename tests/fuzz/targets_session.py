"""Sessions: framing loses no byte and takes no damage; the core answers any stream the same way however it arrives."""

from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

from domain.clock import ManualClock
from ingest.session import core as core_module
from ingest.session.core import SessionCore
from ingest.session.framing import Framer
from ingest.session.state import Append, Disconnect, Numbers, Phase, Replay, Send, SessionConfig
from tests.fuzz.corpus import messages
from tests.fuzz.harness import Target
from tests.fuzz.mutate import NASTY, SOH, damaged, is_proper, parts, sealed, strange

_CAP = 4096
_NOW_NS = 1_767_607_200_000_000_000  # 2026-01-05 10:00 UTC, the SendingTime of what is sent
_HEADERS = (b"8=", b"34=", b"35=", b"43=", b"49=", b"52=", b"56=", b"97=", b"122=")


def _stream(rng: Random) -> bytes:
    known = messages()
    pieces = []
    for _ in range(rng.randint(1, 8)):
        message = rng.choice(known)
        pieces.append(rng.choice([message, message, damaged(rng, message, known), strange(rng, message, known)]))
    return b"".join(pieces)


def _chunks(rng: Random, data: bytes) -> list[bytes]:
    sizes = rng.choice([[1], [1, 2, 3, 50], [7, 300], [len(data) + 1]])
    found, at = [], 0
    while at < len(data):
        size = rng.choice(sizes)
        found.append(data[at : at + size])
        at += size
    return found


def check_framing(data: bytes, rng: Random) -> None:
    """No byte lost, none taken as good that is not, no matter how the bytes arrive; never more kept than the cap."""
    whole, slow = Framer(_CAP), Framer(_CAP)
    frames = whole.feed(data)
    split = []
    for chunk in _chunks(rng, data):
        split += slow.feed(chunk)
        assert slow.pending_bytes < _CAP, "more is kept than the cap"
    assert split == frames, "the frames depend on how the bytes arrived"
    frames += whole.resync()
    assert b"".join(frame.data for frame in frames) + bytes(whole.buffer) == data, "bytes were lost"
    for frame in frames:
        assert frame.data and len(frame.data) <= _CAP
        assert frame.garbled or is_proper(frame.data), "damage was taken as good"


@dataclass
class Seen:
    """What a core did."""

    log: list[tuple[bytes, int]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    reason: str = ""
    phase: Phase = Phase.LOGON
    next_in: int = 0


class _NoFastLane:
    def __init__(self, *_: Any) -> None: ...

    def take(self, *_: Any) -> None:
        return None


def conversation(rng: Random) -> bytes:
    """Two lines are made of it: how the session is set up, and what the counterparty sends."""
    known = messages()
    number, out = 1, [_logon(rng, b"1")]
    for _ in range(rng.randint(0, 14)):
        number += 1
        made = _line(rng, number, known)
        kind = rng.randrange(12)
        if kind == 0:
            made = damaged(rng, made, known, 2)
            number -= rng.random() < 0.7
        elif kind == 1:
            made = strange(rng, made, known, 2)
        elif kind == 2:
            number += rng.choice([1, 3, -2, 10**17])
        elif kind == 3:
            made += made
        out.append(made)
    mode = bytes([rng.randrange(256)])
    return mode + b"".join(out)


def _logon(rng: Random, number: bytes) -> bytes:
    extra = rng.choice([b"", b"", b"141=Y\x01", b"789=1\x01", b"554=x\x01", b"1137=9\x01", b"95=3\x0196=a\x01b\x01"])
    beat = rng.choice([b"30", b"30", b"30", b"1", b"0", b"9999", rng.choice(NASTY)])
    return _framed(rng, b"A", number, b"98=0\x01108=%s\x01" % beat + extra)


def _line(rng: Random, number: int, known: list[bytes]) -> bytes:
    at, asked = b"%d" % number, b"%d" % rng.choice([0, 1, 2, number, 999_999])
    odd = rng.choice(NASTY)
    kind, body = rng.choice(
        [
            (b"0", b""), (b"1", b"112=T\x01"), (b"1", b"112=" + odd + SOH), (b"1", b""), (b"2", b"7=1\x0116=0\x01"),
            (b"2", b"7=%s\x0116=%s\x01" % (asked, odd)), (b"3", b"45=1\x0158=" + odd + SOH), (b"5", b""),
            (b"4", b"123=Y\x0136=%d\x01" % (number + 3)), (b"4", b"36=%s\x01" % odd), (b"4", b"36=%s\x01" % asked),
            (b"A", b"98=0\x01108=30\x01141=Y\x01"), (b"A", b"98=0\x01108=30\x01"), (b"XX", b""), (b"j", b"45=1\x01"),
        ]
    )  # fmt: skip
    if rng.random() < 0.7:
        fields = parts(rng.choice(known))[1]
        kind = fields[0][3:]
        body = b"".join(f + SOH for f in fields[1:] if not f.startswith(_HEADERS))
    return _framed(rng, kind, at, body)


def _framed(rng: Random, kind: bytes, number: bytes, body: bytes) -> bytes:
    head = [b"49=PB", b"56=US", b"34=" + number, b"52=20260105-10:00:00.000"]
    if rng.random() < 0.1:
        head.append(rng.choice([b"43=Y", b"43=Y\x01122=20260105-09:00:00", b"97=Y", b"50=desk", b"1128=9"]))
    if rng.random() < 0.05:
        head[rng.randrange(4)] = rng.choice(
            [b"34=" + rng.choice(NASTY), b"49=XX", b"52=" + rng.choice(NASTY), b"115=Y"]
        )
    begin = b"FIX.4.4" if rng.random() < 0.97 else rng.choice([b"FIX.4.2", b"FIXT.1.1", b"FIX.7.0"])
    return sealed(b"35=" + kind + SOH + b"".join(field + SOH for field in head) + body, begin)


def play(mode: int, chunks: list[bytes], fast: bool, linger: bool) -> Seen:
    """A session that is sent the chunks, then left alone, then cut."""
    config = SessionConfig(
        "PB", "US", strict=bool(mode & 1), deliver=bool(mode & 2), max_message_bytes=_CAP,
        sending_time_seconds=120.0 if mode & 4 else 0.0, next_expected=bool(mode & 8),
        begin_string="FIX.4.4" if mode & 16 else None,
    )  # fmt: skip
    clock = ManualClock(_NOW_NS)
    with patch.object(core_module, "FastLane", core_module.FastLane if fast else _NoFastLane):
        core, seen = SessionCore(config, Numbers(), clock), Seen()
        for chunk in chunks:
            _take(core, core.receive(chunk), seen)
        if linger:
            for _ in range(12):
                clock.advance(7)
                _take(core, core.tick(), seen)
        else:
            _take(core, core.closed(), seen)
    seen.phase, seen.next_in = core.phase, core.next_in
    return seen


def _take(core: SessionCore, actions: list[Any], seen: Seen) -> None:
    appended = 0
    for action in actions:
        if isinstance(action, Append):
            seen.log += zip(action.messages, action.next_in, strict=True)
            appended += len(action.messages)
        elif isinstance(action, Send):
            seen.sent.append(action.data)
        elif isinstance(action, Replay):
            seen.sent += action.messages
        elif isinstance(action, Disconnect):
            seen.reason = seen.reason or action.reason
    if appended:
        _take(core, core.committed(appended), seen)


def check_core(data: bytes, rng: Random) -> None:
    """The same log and answers however the bytes arrive, fast lane or not; only proper messages count."""
    mode, stream, linger = data[0] if data else 0, data[1:], rng.random() < 0.5
    seen = play(mode, [stream], True, linger)
    assert seen == play(mode, [stream], False, linger), "the fast lane decides otherwise than the exact way"
    assert seen == play(mode, _chunks(rng, stream), rng.random() < 0.5, linger), "it depends on how the bytes arrived"
    at, expected = 0, 1
    for message, next_in in seen.log:
        at = stream.find(message, at) + len(message)
        assert at >= len(message), "what was logged was not received in this order"
        # A Logon that resets the numbers goes back to 1; nothing else does.
        assert next_in >= expected or b"\x01141=Y\x01" in message, "the number expected went back"
        assert next_in == expected or is_proper(message), "damage used up a number"
        expected = next_in
    assert not seen.log or seen.next_in in (expected, 1), "the log does not know the number expected"
    for message in seen.sent:
        assert is_proper(message), "we sent what is no message"
    assert len(seen.sent) < 200 + 20 * len(stream), "a stream is answered without end"


SESSION = [
    Target("framing", _stream, check_framing, 400),
    Target("core", conversation, check_core, 1500),
]
