"""Decoding FIX to 16 columns: our lanes against message-at-a-time peers; the damage test and the memory it takes."""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import distribution
from pathlib import Path

from bench.codec_corpus import COLUMNS, corpus
from bench.harness import Bench, Contender
from ingest.fix.codec.decoder import Decoder
from ingest.fix.codec.jit import Jit, SwitchingLane
from ingest.fix.codec.plan import Column, Plan

MESSAGES, DAMAGED = 200_000, 2_000
PLAN = Plan(COLUMNS)
_TAGS = tuple(column.tag for column in COLUMNS)
_DECIMALS = tuple(column.tag for column in COLUMNS if column.kind == "decimal")
# Slow peers take a part of the corpus: their rate does not depend on how much they are given.
_PART = 20_000


def checked(raw: bytes) -> None:
    """BodyLength and CheckSum of a message the peer below does not check itself."""
    head = raw.index(b"\x01", 10)
    assert len(raw) - 8 - head == int(raw[12:head])
    assert sum(raw[:-7]) % 256 == int(raw[-4:-1])


def _ours(name: str, decoder: Decoder, data: bytes) -> Contender:
    def run() -> int:
        return len(decoder.decode(data).start)

    return Contender(f"tieout, {name}", run)


def _split(messages: Sequence[bytes]) -> Contender:
    def run() -> int:
        for raw in messages:
            checked(raw)
            fields = dict(part.split(b"=", 1) for part in raw[:-1].split(b"\x01"))
            for tag in _TAGS:
                value = fields.get(b"%d" % tag)
                if value is not None and tag in _DECIMALS:
                    Decimal(value.decode())
        return len(messages)

    return Contender("split to dict + Decimal (first side only)", run)


def _typed(column: Column, value: str) -> object:
    if column.kind == "decimal":
        return Decimal(value)
    if column.kind == "timestamp":
        return datetime.strptime(value, "%Y%m%d-%H:%M:%S.%f")
    if column.kind == "date":
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    return int(value) if column.kind == "int" else value


def _per_message(messages: Sequence[bytes]) -> Contender:
    """The same work a message at a time: one row per side, 16 typed values each, as pyfixmsg's users write it."""

    def run() -> int:
        for raw in messages:
            checked(raw)
            root: dict[int, str] = {}
            sides: list[dict[int, str]] = []
            here = root
            for part in raw[:-1].decode("latin-1").split("\x01"):
                tag, _, value = part.partition("=")
                number = int(tag)
                if number == 54 and 552 in root:
                    here = {}
                    sides.append(here)
                here[number] = value
            for side in sides or [root]:
                row = [_typed(c, side.get(c.tag) or root[c.tag]) for c in COLUMNS if c.tag in side or c.tag in root]
                assert len(row) == len(COLUMNS)
        return len(messages)

    return Contender("a message at a time, same rows and types", run)


def _simplefix(messages: Sequence[bytes]) -> Contender:
    import simplefix

    def run() -> int:
        parser = simplefix.FixParser()
        for raw in messages:
            checked(raw)
            parser.append_buffer(raw)
            message = parser.get_message()
            assert message is not None
            for tag in _TAGS:
                value = message.get(tag)
                if value is not None and tag in _DECIMALS:
                    Decimal(value.decode())
        return len(messages)

    return Contender("simplefix (first side only)", run)


def _quickfix(messages: Sequence[bytes]) -> Contender:
    import quickfix

    found = next(file for file in distribution("quickfix-ssl").files or () if file.name == "FIX44.xml")
    dictionary = quickfix.DataDictionary(str(found.locate()))
    texts = [raw.decode("latin-1") for raw in messages]

    def run() -> int:
        for text in texts:
            message = quickfix.Message(text, dictionary, True)
            header, sides = message.getHeader(), [message]
            if message.isSetField(552):
                sides = [quickfix.Group(552, 54) for _ in range(int(message.getField(552)))]
                for number, side in enumerate(sides, 1):
                    message.getGroup(number, side)
            for tag in _TAGS:
                for holder in (header, message) if tag in (34, 35, 52) else (message, *sides):
                    if holder.isSetField(tag):
                        value = holder.getField(tag)
                        if tag in _DECIMALS:
                            Decimal(value)
        return len(texts)

    return Contender("quickfix (C++ with its Python binding)", run)


def _pyfixmsg(messages: Sequence[bytes], folder: str) -> Contender:
    sys.path.insert(0, folder)
    from pyfixmsg.codecs.stringfix import Codec

    def run() -> int:
        codec = Codec()
        for raw in messages:
            checked(raw)
            message = codec.parse(raw)
            for tag in _TAGS:
                value = message.get(tag)
                if value is not None and tag in _DECIMALS:
                    Decimal(value if isinstance(value, str) else value.decode())
        return len(messages)

    return Contender("pyfixmsg (no specification)", run)


def damage(decoder: Decoder, messages: Sequence[bytes], seed: int = 11) -> str:
    """One byte of DAMAGED messages changed: how many of them were accepted, how many good ones lost."""
    rng = random.Random(seed)
    broken = dict.fromkeys(rng.sample(range(len(messages)), DAMAGED), b"")
    for at in broken:
        raw, place = messages[at], rng.randrange(len(messages[at]))
        byte = rng.choice([value for value in range(256) if value != raw[place]])
        broken[at] = raw[:place] + bytes([byte]) + raw[place + 1 :]
    found = decoder.decode(b"".join(broken.get(at) or raw for at, raw in enumerate(messages)))
    taken = {found.raw(n) for n in range(len(found.start))}
    accepted = sum(raw in taken for raw in broken.values())
    lost = sum(raw not in taken for at, raw in enumerate(messages) if at not in broken)
    return f"{accepted} of {DAMAGED:,} damaged messages accepted, {lost} of {len(messages) - DAMAGED:,} good ones lost"


def memory(name: str, data: bytes) -> str:
    """Input and the most that decoding it adds, as a multiple of the input, in a fresh process (Linux)."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = [sys.executable, "-c", "from bench.codec import measure; measure()", name, file.name]
        done = subprocess.run(command, capture_output=True, text=True)
    return f"{done.stdout.strip()} x the input, the input included" if done.stdout else "not measured here"


def measure() -> None:
    """Print what `memory` says, for the lane and the file on the command line."""
    jit = Jit()
    if sys.argv[1] == "numba":
        jit.compile(None)
    decoder, data = Decoder(PLAN, SwitchingLane(PLAN, jit)), Path(sys.argv[2]).read_bytes()
    decoder.decode(data[: len(data) // 100], final=False)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    found = decoder.decode(data)
    print(f"{(len(data) + _status('VmHWM') - before) / len(data):.2f}")
    assert found.table.num_rows


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def _notes(decoders: Sequence[tuple[str, Decoder]], messages: Sequence[bytes], data: bytes) -> list[str]:
    notes = [f"{name}: {damage(decoder, messages)}" for name, decoder in decoders]
    return notes + [f"{name}: memory at its peak {memory(name, data)}" for name, _ in decoders]


def benches() -> list[Bench]:
    """The codec comparison."""
    messages = corpus(MESSAGES)
    data, jit = b"".join(messages), Jit()
    jit.compile(None)
    lanes = [("NumPy", Decoder(PLAN))]
    if jit.ready:
        lanes.insert(0, ("numba", Decoder(PLAN, SwitchingLane(PLAN, jit))))
    contenders = [_ours(name, decoder, data) for name, decoder in lanes]
    skipped = [] if jit.ready else [f"the compiled lane: {jit.failure}"]
    part = messages[:_PART]
    peers: list[Callable[[Sequence[bytes]], Contender]] = [_split, _per_message, _simplefix, _quickfix]
    folder = os.environ.get("TIEOUT_PYFIXMSG")
    if folder:
        peers.append(lambda some: _pyfixmsg(some, folder))
    else:
        skipped.append("pyfixmsg: TIEOUT_PYFIXMSG names no checkout")
    for peer in peers:
        try:
            contenders.append(peer(part))
        except ImportError as error:
            skipped.append(f"{error.name} is not installed")
    size = len(data) / len(messages)
    title = (
        f"FIX codec: {len(messages):,} messages of {size:.0f} bytes, 35=8 and 35=AE, 16 columns, length and checksum"
    )
    return [Bench(title, "messages", contenders, skipped, notes=lambda: _notes(lanes, messages, data))]
