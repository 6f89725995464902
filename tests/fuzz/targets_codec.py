"""The batch decoder: what it takes is proper, spans lose no byte, cuts and lanes change nothing."""

import tempfile
from functools import cache
from pathlib import Path
from random import Random

from ingest.fix.codec.decoder import Decoded, Decoder
from ingest.fix.codec.jit import Jit, SwitchingLane
from ingest.fix.codec.plan import Column, Plan
from tests.fuzz.corpus import messages
from tests.fuzz.harness import Target
from tests.fuzz.mutate import damaged, is_proper, strange

_CAP = 4096
_PLAN = Plan(
    (
        Column("seq", 34, "int", level="message"), Column("type", 35, level="message"), Column("uid", 17),
        Column("at", 60, "timestamp", level="message", precision=True), Column("day", 75, "date", level="message"),
        Column("side", 54), Column("qty", 32, "decimal"), Column("price", 31, "decimal", scale=10),
        Column("share", 80, "decimal", level="entry"), Column("account", 1), Column("text", 58, level="message"),
    )
)  # fmt: skip


def _stream(rng: Random) -> bytes:
    known, pieces = messages(), []
    for _ in range(rng.choice([1, 4, 40])):
        message = rng.choice(known)
        odd = rng.random()
        pieces.append(
            damaged(rng, message, known) if odd < 0.2 else strange(rng, message, known) if odd < 0.5 else message
        )
    return rng.choice([b"", b"", b"\n"]).join(pieces)


def check_codec(data: bytes, rng: Random) -> None:
    """Messages and rejects lie behind one another and leave out blanks alone; the same in pieces, and twice."""
    decoder = Decoder(_PLAN, max_message_bytes=_CAP)
    found = decoder.decode(data)
    found.table.validate(full=True)
    spans = sorted(
        [*zip(found.start.tolist(), found.end.tolist(), strict=True), *((r.start, r.end) for r in found.rejects)]
    )
    at = 0
    for start, end in [*spans, (len(data), len(data))]:
        assert at <= start and not data[at:start].strip(b"\r\n"), f"lost: {data[at:start][:80]!r}"
        at = end
    for n in range(len(found.start)):
        assert is_proper(found.raw(n)) and len(found.raw(n)) <= _CAP, "damage was taken as good"
        assert b"".join(b"=" + value for _, value in found.fields(n)), "a message without fields"
    assert all(r.text for r in found.rejects)
    _same(found, decoder.decode(data))
    cut = rng.randrange(len(data) + 1)
    first = decoder.decode(data[:cut], final=False)
    rest = decoder.decode(data[first.consumed :])
    both = [first.raw(n) for n in range(len(first.start))] + [rest.raw(n) for n in range(len(rest.start))]
    # At the start of a buffer a message needs no separator before it; in the middle of one it does.
    glued = data[cut : cut + 5] == b"8=FIX" and data[:cut][-1:] not in (b"", b"\x01", b"\n")
    assert glued or both == [found.raw(n) for n in range(len(found.start))], (
        "where the bytes were cut changes the messages"
    )


def _same(one: Decoded, two: Decoded) -> None:
    assert one.table.equals(two.table) and one.rejects == two.rejects and one.exact == two.exact, "another result"
    for name in ("message", "start", "end", "marks"):
        assert (getattr(one, name) == getattr(two, name)).all(), f"another {name}"


@cache
def compiled() -> Jit:
    """The compiled lanes; not ready where numba is not installed."""
    made, folder = Jit(), Path(tempfile.mkdtemp())
    folder.chmod(0o700)
    made.compile(folder)
    return made


def check_lanes(data: bytes, _: Random) -> None:
    """The compiled lane says what the NumPy lane says; nothing to check where numba is not installed."""
    if compiled().ready:
        _same(
            Decoder(_PLAN, max_message_bytes=_CAP).decode(data),
            Decoder(_PLAN, SwitchingLane(_PLAN, compiled()), max_message_bytes=_CAP).decode(data),
        )


# Compiling takes longer than the smoke may: that is for the long run.
CODEC = [Target("codec", _stream, check_codec, 200), Target("codec_lanes", _stream, check_lanes, 0)]
