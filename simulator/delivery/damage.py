"""Damaged transmissions: cut off, garbage, nonsense in a needed field (I01), wrong checksum or length (I02)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator

from simulator.delivery.schedule import Damage, Schedule, joined
from simulator.emit.text import SOH
from simulator.records import Bool, Index

_LENGTH = re.compile(rb"\x019=(\d+)\x01")
_PRICE, _QTY, _SIDE = (31, 6, 153), (32, 53, 80), (54,)
# What a nonsense message says where a number or a side is needed; no text drops the field.
_NONSENSE = ((_PRICE, "abc"), (_QTY, ""), (_SIDE, "Z"), (_QTY, "XXXX"), (_PRICE, "12,5.0"))
# Bytes no log text has, so that a reader can tell garbage from words; no line end and no field separator.
_GARBAGE_BYTES = np.array([*range(2, 9), *range(14, 32), *range(127, 256)], np.uint8)
_SHORTEST, _LONGEST = 24, 90


@dataclass(frozen=True, slots=True)
class Damaged:
    """One damaged transmission: the plan's row, what was done, and the hashes of its bytes by which it is found.

    The second hash of garbage is that of its whole line, time prefix included: where a message begins nobody can say.
    """

    at: int
    damage: Damage
    shown: str
    hashes: tuple[str, ...]


def malformed(rng: Generator, plan: Schedule, count: int, may: Bool, on_wire: bool) -> Schedule:
    """The plan with `count` transmissions more that nobody can book; the messages they spoil also come whole.

    `may` marks what can be spoiled. `on_wire` leaves out what a FIX session would not let through.
    """
    count = min(count, int(may.sum()))
    rows = rng.choice(np.flatnonzero(may), count, replace=False) if count else np.zeros(0, np.int64)
    kinds = (Damage.NONSENSE,) if on_wire else (Damage.TRUNCATED, Damage.NONSENSE, Damage.TRUNCATED, Damage.GARBAGE)
    extra = plan.take(np.sort(rows))
    damage = np.resize(np.array(kinds, np.int8), count)
    # Just before the whole message: to whoever reads the log it looks like a second try.
    return joined(extra.with_(damage=damage, at_ns=extra.at_ns - 1), plan)


def unproven(rng: Generator, plan: Schedule, count: int, may: Bool) -> Schedule:
    """The plan with `count` messages whose CheckSum(10), in every fourth BodyLength(9), is wrong; all else is right."""
    count = min(count, int(may.sum()))
    damage = plan.damage.copy()
    if count:
        rows = rng.choice(np.flatnonzero(may), count, replace=False)
        damage[rows] = np.resize(np.array([Damage.CHECKSUM] * 3 + [Damage.LENGTH], np.int8), count)
    return plan.with_(damage=damage)


def nonsense(plan: Schedule, bodies: pa.StringArray) -> tuple[pa.StringArray, dict[int, str]]:
    """The bodies with those of nonsense transmissions made so, and what each of them shows, by row."""
    rows = np.flatnonzero(plan.damage == Damage.NONSENSE)
    if not len(rows):
        return bodies, {}
    texts, shown = [], {}
    for row, body in zip(rows.tolist(), bodies.take(pa.array(rows)).to_pylist(), strict=True):
        tags, value = _NONSENSE[int(plan.row[row]) % len(_NONSENSE)]
        texts.append(_spoiled(body, tags, value))
        shown[row] = f"{'/'.join(map(str, tags))} {value or 'missing'}"
    mask = np.zeros(len(plan), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(bodies, pa.array(mask), pa.array(texts, bodies.type)), shown


def _spoiled(body: str, tags: Sequence[int], value: str) -> str:
    kept = []
    for field in body.split(SOH)[:-1]:
        tag = field.partition("=")[0]
        hit = tag.isdigit() and int(tag) in tags
        if hit and not value:
            continue
        kept.append(f"{tag}={value}" if hit else field)
    return SOH.join(kept) + SOH


def damaged_bytes(
    rng: Generator, plan: Schedule, raws: pa.BinaryArray, shown: dict[int, str], prefixes: pa.StringArray
) -> tuple[pa.BinaryArray, list[Damaged]]:
    """The framed messages with damage done to their bytes, and what was done; wrong checksums are there already."""
    rows: Index = np.flatnonzero((plan.damage != Damage.NONE) & (plan.damage != Damage.IDLE))
    if not len(rows):
        return raws, []
    made, notes = [], []
    picked = zip(raws.take(pa.array(rows)).to_pylist(), prefixes.take(pa.array(rows)).to_pylist(), strict=True)
    for row, (raw, prefix) in zip(rows.tolist(), picked, strict=True):
        kind = Damage(int(plan.damage[row]))
        raw = _damage(rng, kind, raw)
        whole = (f"{prefix} ".encode() + raw,) if kind is Damage.GARBAGE else ()
        made.append(raw)
        hashes = tuple(sha256(text).hexdigest() for text in (raw, *whole))
        notes.append(Damaged(row, kind, shown.get(row, kind.name.lower()), hashes))
    mask = np.zeros(len(plan), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(raws, pa.array(mask), pa.array(made, raws.type)), notes


def _damage(rng: Generator, kind: Damage, raw: bytes) -> bytes:
    if kind is Damage.GARBAGE:
        return bytes(rng.choice(_GARBAGE_BYTES, int(rng.integers(_SHORTEST, _LONGEST))))
    if kind is Damage.TRUNCATED:
        # Within the header and the first ids: nothing economic is left.
        return raw[: int(rng.integers(40, max(41, min(len(raw) // 4, 110))))].rstrip()
    if kind is Damage.LENGTH:
        return _LENGTH.sub(lambda found: b"\x019=%d\x01" % (int(found[1]) + 3), raw, count=1)
    return raw
