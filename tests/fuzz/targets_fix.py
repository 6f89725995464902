"""FIX content: logs searched, fields indexed, messages normalised; any bytes, always an outcome, never two answers."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import cache
from random import Random

import numpy as np
import pyarrow as pa

from ingest.dialects.dialect import load_dialects
from ingest.feeds import Feed
from ingest.fix.codec.jit import Jit
from ingest.fix.dump import decode_lines
from ingest.fix.index import index_fields
from ingest.fix.sniff import find_messages, plain_bytes
from ingest.normalise import Normalised, RawBatch, normalise
from ingest.normalise_reference import Reference
from tests.fuzz.corpus import messages, public_lines, streams
from tests.fuzz.harness import Target
from tests.fuzz.mutate import damaged, is_proper, strange
from tests.fuzz.targets_codec import compiled

_DIALECTS = {"MERIDIAN_OMS": "generic", "ALPHA": "alpha_ae44", "BRAVO": "bravo_er42", "CHARLIE": "charlie_as44"}
_SEPARATORS = [b"\x01", b"|", b"^A", b" ", b";", b"~", b"<SOH>", b"\\x01", b" | "]
_BETWEEN = b"\n\x00between messages\x00\n"
_OUTCOMES = {"FACT", "QUARANTINE", "SESSION", "IGNORED"}


def log(rng: Random) -> bytes:
    """A log as people keep them: prefixes, other separators, other text, damage; or a public one."""
    known, lines = messages(), []
    for _ in range(rng.randint(1, 8)):
        raw = rng.choice(public_lines() or known) if rng.random() < 0.3 else rng.choice(known)
        if rng.random() < 0.5:
            raw = strange(rng, raw, known) if b"\x01" in raw else damaged(rng, raw, known)
        raw = raw.replace(b"\x01", rng.choice(_SEPARATORS))
        prefix = rng.choice([b"", b"", b"2026-06-04 10:00:00.123 IN ", b"9999-12-31T23:59:59Z ", b"> ", b"58="])
        lines.append(prefix + raw + rng.choice([b"\n", b"\n", b"\r\n", b"", b" ", b"\nsome text = here\n"]))
    data = b"".join(lines)
    if rng.random() < 0.3:
        data = damaged(rng, data, known)
    return data.decode("latin-1").encode("utf-16") if rng.random() < 0.05 else data


def check_log(data: bytes, rng: Random) -> None:
    """Every byte that is no blank is in a piece, before one on its line, or behind one on its line."""
    plain, end = plain_bytes(data), 0
    for piece in find_messages(data):
        assert plain.startswith(piece.raw, piece.offset), "a piece is not where it says"
        start = piece.offset - len(piece.prefix)
        assert start >= end and plain.startswith(piece.prefix, start), "pieces overlap"
        assert piece.line == plain.count(b"\n", 0, piece.offset) + 1, "the line is wrong"
        _only_rest_of_line(plain[end:start], end)
        end = piece.offset + len(piece.raw)
    _only_rest_of_line(plain[end:], end)
    first = list(decode_lines(data))
    assert first == list(decode_lines(data)), "the second time is another"
    assert all(m.error or m.msg_type for m in first)


def _only_rest_of_line(gap: bytes, end: int) -> None:
    behind = gap.split(b"\n", 1)[1] if end and b"\n" in gap else b"" if end else gap
    assert not behind.strip(), f"lost: {behind[:80]!r}"


def batch(rng: Random) -> bytes:
    """Messages of one session, good and strange, joined by a mark."""
    stream = streams()[rng.choice(sorted(streams()))]
    known = messages()
    found = []
    for _ in range(rng.randint(1, 10)):
        message = rng.choice(stream if rng.random() < 0.8 else known)
        found.append(rng.choice([message, strange(rng, message, known), damaged(rng, message, known)]))
    return _BETWEEN.join(found)


def check_index(data: bytes, _: Random) -> None:
    """Fields tile their messages: what stands before a value is its tag and `=`, behind it a separator."""
    raws = data.split(_BETWEEN)
    index = index_fields(raws)
    assert index.count == len(raws)
    for at, raw in enumerate(raws):
        first, last = int(index.first[at]), int(index.first[at + 1])
        assert index.raw(at) == (raw if raw.endswith(b"\x01") else raw + b"\x01")
        place = int(index.message_start[at])
        for n in range(first, last):
            assert int(index.start[n]) == place
            head = index.data[place : int(index.value_start[n])]
            assert head == b"" if index.tag[n] < 0 else int(head.rstrip(b"=")) == index.tag[n]
            place = int(index.value_end[n]) + 1
            assert index.data[place - 1] == 1
        assert place == int(index.message_end[at])


@cache
def reference() -> Reference:
    """The shipped dialects, no accounts and no securities."""
    return Reference(load_dialects())


def _normalised(raws: list[bytes], dialect: str, live: bool, jit: Jit | None = None) -> Normalised:
    feed = Feed(name="F", role="INTERNAL" if dialect == "generic" else "PB", party="P", dialect=dialect)
    count = len(raws)
    numbers = range(1, count + 1)
    return normalise(
        RawBatch(
            raws, [f"S:{n}" for n in numbers], numbers, "lane", ["S"] * count,
            np.full(count, 1_780_000_000_000_000_000), [feed] * count, live,
        ),
        replace(reference(), jit=jit),
    )  # fmt: skip


def check_normalise(data: bytes, rng: Random) -> None:
    """One outcome per message, alone or among others, twice the same; no trade from damage, no number of its own."""
    raws, live = data.split(_BETWEEN), rng.random() < 0.7
    dialect = rng.choice([*sorted(set(_DIALECTS.values())), "fix42", "auto"])
    found = _normalised(raws, dialect, live)
    outcomes = found.messages["outcome"].to_pylist()
    assert len(outcomes) == len(raws) and set(outcomes) <= _OUTCOMES
    assert found.messages["raw"].to_pylist() == raws, "the bytes were not kept"
    assert found.quarantine["raw"].to_pylist() == [r for r, o in zip(raws, outcomes, strict=True) if o == "QUARANTINE"]
    assert all(row["reason"] and row["detail"] for row in found.quarantine.to_pylist())
    for row in found.trades.select(["message_id", "qty", "price", "flags", "recv_time_utc"]).to_pylist():
        raw = raws[int(row["message_id"][2:]) - 1]
        assert outcomes[int(row["message_id"][2:]) - 1] == "FACT"
        if not is_proper(raw if raw.endswith(b"\x01") else raw + b"\x01"):
            marks = {"I02_CHECKSUM", "I02_NO_CHECKSUM", "I02_LENGTH", "I02_NO_LENGTH", "SEPARATOR"}
            assert not live and marks & set(row["flags"].split(",")), "damage was taken as good"
        if dialect == "generic":
            assert row["qty"] in _numbers(raw), f"{row['qty']} is in no field of the message"
    facts = [found.trades, *found.facts.values()]
    known = {m for table in facts for m in table["message_id"].to_pylist()}
    told = {f"S:{n}" for n, outcome in enumerate(outcomes, 1) if outcome == "FACT"}
    assert known <= told | {f"S:{n}" for n, o in enumerate(outcomes, 1) if o == "IGNORED"}, "facts of a refused message"
    _same(found, _normalised(raws, dialect, live))
    at = rng.randrange(len(raws))
    alone = _normalised([raws[at]], dialect, live)
    assert alone.messages["outcome"][0].as_py() == outcomes[at], "its neighbours changed a message's outcome"
    mine = pa.compute.equal(found.trades["message_id"], f"S:{at + 1}")
    # That a sender's clock is suspect is learnt from several of its messages, and noted in flags and ext.
    other = ["message_id", "flags", "ext"]
    assert found.trades.filter(mine).drop_columns(other).equals(alone.trades.drop_columns(other)), "or its trades"


def check_normalise_lanes(data: bytes, rng: Random) -> None:
    """With the compiled functions the same tables; nothing to check where numba is not installed."""
    if compiled().ready:
        raws, dialect = data.split(_BETWEEN), rng.choice(sorted(set(_DIALECTS.values())))
        live = rng.random() < 0.5
        _same(_normalised(raws, dialect, live), _normalised(raws, dialect, live, compiled()))


def _same(one: Normalised, two: Normalised) -> None:
    for name in ("trades", "fees", "identifiers", "messages", "quarantine"):
        assert getattr(one, name).equals(getattr(two, name)), f"{name} are others the second time"
    assert all(table.equals(two.facts[name]) for name, table in one.facts.items())


def _numbers(raw: bytes) -> set[Decimal]:
    found = set()
    for field in raw.replace(b"|", b"\x01").split(b"\x01"):
        try:
            found |= {Decimal(field.partition(b"=")[2].decode("ascii").strip()), Decimal(0)}
        except (InvalidOperation, UnicodeDecodeError):
            continue
    return found | {value.copy_abs() for value in found if value.is_finite()}


FIX = [
    Target("log", log, check_log, 150),
    Target("index", batch, check_index, 150),
    Target("normalise", batch, check_normalise, 60),
    Target("normalise_lanes", batch, check_normalise_lanes, 0),
]
