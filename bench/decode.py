"""Decoding FIX to canonical rows: our columnar normaliser against message-at-a-time peers, on one simulated day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np

from bench.harness import Bench, Contender
from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed, SessionIdentity
from ingest.fix.codec.jit import Jit
from ingest.normalise import RawBatch, normalise
from ingest.normalise_reference import build_reference
from simulator.profiles import DEMO
from simulator.simulate import in_memory

_FIELDS = (34, 35, 52, 60, 75, 64, 54, 32, 31, 17, 37, 11, 1, 55, 48, 15)
_DECIMALS = {32, 31}


def _messages(fills: int) -> list[bytes]:
    clean = replace(DEMO, fills=fills, breaks="none", adversarial=0, transport=False)
    flow = in_memory(clean, 7, date(2026, 11, 20))
    return [raw for _, raw in flow.streams["MERIDIAN_OMS->TIEOUT"]]


def _ours(messages: Sequence[bytes], jit: Jit | None) -> Contender:
    session = SessionIdentity(sender_comp_id="MERIDIAN_OMS", target_comp_id="TIEOUT")
    feed = Feed(name="OMS", role="INTERNAL", party="MERIDIAN", dialect="generic", session=session)
    reference = replace(build_reference(load_dialects()), jit=jit)
    count = len(messages)
    batch = RawBatch(
        messages=messages,
        message_ids=[f"{session.name}:{n}" for n in range(1, count + 1)],
        numbers=range(1, count + 1),
        lane=session.name,
        sessions=[session.name] * count,
        recv_ts=np.full(count, 1_790_000_000_000_000_000),
        feeds=[feed] * count,
    )

    def run() -> int:
        normalise(batch, reference)
        return count

    return Contender(f"tieout, {'numba' if jit else 'NumPy'} (checksum, 70 canonical columns)", run)


def _split(messages: Sequence[bytes]) -> Contender:
    def run() -> int:
        for raw in messages:
            body, _, _ = raw.rpartition(b"\x0110=")
            assert (sum(body) + 1) % 256 == int(raw[-4:-1])
            fields = dict(part.split(b"=", 1) for part in raw.split(b"\x01") if part)
            for tag in _FIELDS:
                value = fields.get(b"%d" % tag)
                if value is not None and tag in _DECIMALS:
                    Decimal(value.decode())
        return len(messages)

    return Contender("split to dict + Decimal (16 fields)", run)


def _simplefix(messages: Sequence[bytes]) -> Contender:
    import simplefix

    sample = messages[:2_000]

    def run() -> int:
        parser = simplefix.FixParser()
        for raw in sample:
            parser.append_buffer(raw)
            message = parser.get_message()
            assert message is not None
            for tag in _FIELDS:
                value = message.get(tag)
                if value is not None and tag in _DECIMALS:
                    Decimal(value.decode())
        return len(sample)

    return Contender("simplefix (16 fields)", run)


def benches() -> list[Bench]:
    """The decode comparison."""
    messages = _messages(20_000)
    jit = Jit()
    jit.compile(None)
    lanes = [_ours(messages, jit)] if jit.ready else []
    contenders, skipped = [*lanes, _ours(messages, None), _split(messages)], [jit.failure] if jit.failure else []
    try:
        contenders.append(_simplefix(messages))
    except ImportError:
        skipped.append("simplefix is not installed")
    return [Bench(f"FIX decode, {len(messages):,} ExecutionReports", "messages", contenders, skipped)]
