"""Message objects: ours against the real pyfixmsg (TIEOUT_PYFIXMSG), reading and writing the same messages."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.harness import Bench, Contender
from ingest.fix.pyfix import pyfixmsg as ours
from ingest.fix.pyfix.convert import load_checkout
from simulator.profiles import DEMO
from simulator.simulate import in_memory

_SPEC = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
_SAMPLE = 2_000
_ABSENT = "TIEOUT_PYFIXMSG names no checkout of pyfixmsg"


def real_package() -> Any:
    """The package of the checkout that TIEOUT_PYFIXMSG names; None where it names none."""
    directory = os.environ.get("TIEOUT_PYFIXMSG")
    return load_checkout(Path(directory)) if directory else None


def _checked(raw: bytes) -> None:
    body, _, _ = raw.rpartition(b"\x0110=")
    assert (sum(body) + 1) % 256 == int(raw[-4:-1])


def parse_contenders(
    messages: Sequence[bytes], fields: Sequence[int], decimals: frozenset[int], spec: Path | None = None
) -> tuple[list[Contender], list[str]]:
    """For any decode bench: per-message decoding with checksum and these fields, and what was skipped and why.

    The real pyfixmsg where TIEOUT_PYFIXMSG names a checkout, then our message objects. `spec` is QuickFIX's XML.
    """
    sample = messages[:_SAMPLE]

    def reader(package: Any) -> Callable[[], int]:
        stringfix = sys.modules[f"{package.__name__}.codecs.stringfix"] if package is not ours else ours.stringfix
        reference = sys.modules[f"{package.__name__}.reference"] if package is not ours else ours.reference
        codec = stringfix.Codec(spec=None if spec is None else reference.FixSpec(str(spec)))

        def run() -> int:
            for raw in sample:
                _checked(raw)
                message = codec.parse(raw)
                for tag in fields:
                    value = message.get(tag)
                    if value is not None and tag in decimals:
                        Decimal(value)
            return len(sample)

        return run

    groups = "no groups" if spec is None else "groups by FIX44.xml"
    found = [Contender(f"tieout FixMessage ({groups}, {len(fields)} fields)", reader(ours))]
    real = real_package()
    if real is None:
        return found, [f"pyfixmsg: {_ABSENT}"]
    return [Contender(f"pyfixmsg ({groups}, {len(fields)} fields)", reader(real)), *found], []


def _wire(package: Any, messages: Sequence[bytes], name: str) -> Contender:
    read = package.fixmessage.FixMessage.from_buffer
    codec = ours.Codec() if package is ours else sys.modules[f"{package.__name__}.codecs.stringfix"].Codec()
    objects = [read(raw, codec) for raw in messages[:_SAMPLE]]

    def run() -> int:
        for message in objects:
            message.to_wire()
        return len(objects)

    return Contender(name, run)


def benches() -> list[Bench]:
    """Reading with and without groups, and writing."""
    day = in_memory(replace(DEMO, fills=4_000, breaks="none", adversarial=0, transport=False), 7, date(2026, 11, 20))
    messages = [raw for stream in day.streams.values() for _, raw in stream]
    fields, decimals = (34, 35, 52, 60, 75, 64, 54, 32, 31, 17, 37, 11, 1, 55, 48, 15), frozenset((31, 32))
    found = []
    for spec in (None, _SPEC if _SPEC.is_file() else None):
        contenders, skipped = parse_contenders(messages, fields, decimals, spec)
        contenders.sort(key=lambda one: not one.name.startswith("tieout"))
        found.append(Bench(f"Message objects, reading {_SAMPLE:,} messages", "messages", contenders, skipped))
    real = real_package()
    writers = [_wire(ours, messages, "tieout FixMessage.to_wire")]
    if real is not None:
        writers.append(_wire(real, messages, "pyfixmsg FixMessage.to_wire"))
    skipped = [] if real is not None else [f"pyfixmsg: {_ABSENT}"]
    return [*found, Bench(f"Message objects, writing {_SAMPLE:,} messages", "messages", writers, skipped)]
