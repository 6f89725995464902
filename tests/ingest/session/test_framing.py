"""Framing: no chunking changes the frames, no byte is lost, damage costs the damaged message only."""

import random

import pytest

from ingest.session.framing import Frame, Framer
from ingest.session.wire import compose


def message(n: int, text: str = "") -> bytes:
    return compose("FIX.4.4", [(35, "8"), (49, "A"), (56, "B"), (34, str(n)), (58, text or f"fill {n}")])


def good(frames: list[Frame]) -> list[bytes]:
    return [frame.data for frame in frames if not frame.garbled]


@pytest.mark.parametrize("seed", range(20))
def test_chunks_do_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    pieces = [message(n) if rng.random() < 0.8 else rng.randbytes(30) + b"\n" for n in range(60)]
    stream = b"".join([*pieces, message(99)])
    whole = Framer().feed(stream)
    framer, frames, at = Framer(), [], 0
    while at < len(stream):
        size = rng.randint(1, 50)
        frames += framer.feed(stream[at : at + size])
        at += size
    assert frames == whole
    assert b"".join(frame.data for frame in frames) == stream
    assert good(frames) == [piece for piece in [*pieces, message(99)] if piece.startswith(b"8=FIX")]


@pytest.mark.parametrize("seed", range(20))
def test_one_damaged_byte_costs_one_message(seed: int) -> None:
    rng = random.Random(seed)
    messages = [message(n) for n in range(200)]
    damaged = set(rng.sample(range(len(messages) - 1), 20))
    sent = []
    for n, one in enumerate(messages):
        at = rng.randrange(len(one))
        changed = bytes([(one[at] + rng.randint(1, 255)) % 256])
        sent.append(one[:at] + changed + one[at + 1 :] if n in damaged else one)
    framer = Framer()
    frames = framer.feed(b"".join(sent)) + framer.resync()
    found = good(frames)
    assert b"".join(frame.data for frame in frames) == b"".join(sent)
    assert [m for n, m in enumerate(messages) if n not in damaged] == found


def test_an_inflated_length_stalls_only_until_resync() -> None:
    bad = message(1).replace(b"\x019=", b"\x019=9")
    framer = Framer()
    assert framer.feed(bad + message(2) + message(3)) == []
    frames = framer.resync()
    assert [frame.data for frame in frames] == [bad, message(2), message(3)]
    assert frames[0].garbled
    assert framer.pending_bytes == 0


def test_a_length_beyond_the_cap_is_not_waited_for() -> None:
    bad = b"8=FIX.4.4\x019=99999999\x0135=8\x01"
    frames = Framer(1_000).feed(bad + message(2))
    assert [frame.data for frame in frames] == [bad, message(2)]
    assert "cap" in frames[0].garbled


def test_endless_junk_is_bounded() -> None:
    framer = Framer(1_000)
    frames = framer.feed(b"x" * 10_500)
    assert [len(frame.data) for frame in frames] == [1_000] * 10
    assert framer.pending_bytes == 500
    assert good(framer.feed(message(1))) == [message(1)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (message(1)[:-4] + b"000\x01", "CheckSum"),
        (compose("FIX.4.4", [(34, "1"), (35, "8")]), "third field"),
        (compose("FIX.4.4", [(35, ""), (34, "1")]), "third field"),
        (message(1).replace(b"\x019=", b"\x01 9="), "BodyLength"),
        (message(1).replace(b"\x019=30", b"\x019=20"), "does not lead"),
        (b"GET / HTTP/1.1\r\n\r\n", "BeginString"),
    ],
)
def test_garbled_messages_say_why(bad: bytes, reason: str) -> None:
    frames = Framer().feed(bad + message(2))
    assert [frame.data for frame in frames] == [bad, message(2)]
    assert reason in frames[0].garbled


def test_a_message_inside_a_text_is_no_message() -> None:
    outer = message(1, "they sent 8=FIX.4.4\x019=5\x0135=0\x0110=000\x01 to us")
    assert Framer().feed(outer + message(2)) == [Frame(outer), Frame(message(2))]


def test_junk_that_trickles_in_is_searched_once() -> None:
    # Searched again with every byte, this would take minutes: the test's time limit is what fails then.
    framer = Framer(200_000)
    assert not any(framer.feed(b"x") for _ in range(150_000))
    assert [frame.data for frame in framer.feed(message(1))] == [b"x" * 150_000, message(1)]
    split = [frame for byte in b"x" * 10 + message(1) for frame in framer.feed(bytes([byte]))]
    assert [frame.data for frame in split] == [b"x" * 10, message(1)]
