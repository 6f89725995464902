"""Verifies the audit trail offline: the chain, the signed roots, and the decisions the entries tell of."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from app.audit import hour_of, is_signed
from app.decisions import told
from domain.audit import Entry, MerkleTree, canonical, signed_text
from domain.errors import PermanentError
from warehouse.audit_log import entries, plain_rows
from warehouse.port import Warehouse

Row = dict[str, Any]
Part = Literal["entries", "roots", "facts"]
PARTS: tuple[Part, ...] = ("entries", "roots", "facts")
_ENTRY_TYPES: Mapping[str, type] = {name: int if name in ("seq", "ts_utc") else str for name in Entry.__slots__}


class TrailUnreadable(PermanentError):
    """A file of the trail cannot be read; the text says which line and why."""


@dataclass(slots=True)
class Verdict:
    """What was found. `first_bad` is the first sequence number that cannot be trusted, None when all can."""

    entries: int = 0
    roots: int = 0
    signed: int = 0
    first_bad: int | None = None
    problem: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True when nothing was found wrong."""
        return self.first_bad is None

    def blame(self, seq: int, problem: str) -> None:
        """Keep the problem with the least sequence number."""
        if self.first_bad is None or seq < self.first_bad:
            self.first_bad, self.problem = seq, problem

    def text(self) -> str:
        """For a person."""
        said = f"{self.entries:,} entries, {self.roots:,} roots, {self.signed:,} of them signed"
        lines = [f"audit trail holds: {said}"] if self.holds else [
            f"audit trail BROKEN at entry {self.first_bad}: {self.problem}", said
        ]  # fmt: skip
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def trail_lines(warehouse: Warehouse, part: Part) -> Iterator[str]:
    """One part of the trail as JSON lines: what `tieout audit export` writes."""
    if part == "entries":
        for one in entries(warehouse):
            yield json.dumps({name: getattr(one, name) for name in _ENTRY_TYPES}, ensure_ascii=False) + "\n"
        return
    if part == "roots":
        sql = "SELECT size, hour, root, signature, public_key, signed_at FROM audit_root ORDER BY size, signed_at"
        for row in plain_rows(warehouse.query(sql)):
            yield json.dumps(row, sort_keys=True) + "\n"
        return
    for row in plain_rows(warehouse.query("SELECT * FROM action WHERE principal IS NOT NULL ORDER BY acted_at")):
        yield json.dumps({"object": row["action_id"], "payload": canonical(told(row))}, ensure_ascii=False) + "\n"


def lines_of(path: Path) -> list[Row]:
    """Objects of a file of JSON lines. Raises TrailUnreadable."""
    try:
        return parsed(path.read_text(encoding="utf-8").splitlines(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise TrailUnreadable(f"{path}: cannot be read: {error}") from None


def parsed(lines: Iterable[str], where: str) -> list[Row]:
    """Objects of JSON lines. Raises TrailUnreadable."""
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise TrailUnreadable(f"{where}, line {number}: not a JSON object")
        found.append(row)
    return found


def verify(
    trail: Iterable[Row], roots: Iterable[Row], facts: Iterable[Row] | None = None, public_key: str | None = None
) -> Verdict:
    """Check every entry against the one before, every root against the entries below it, decisions against entries.

    `public_key` (64 hex digits) is the key signatures must be by; without it each root's own is believed.
    """
    verdict = Verdict()
    expected = _checked_roots(roots, public_key, verdict)
    tree, prev, anchored, deeds = MerkleTree(), None, 0, {}
    for row in trail:
        one = _entry(row)
        wrong = "it is not an entry" if one is None else one.problem(prev)
        if one is None or wrong is not None:
            verdict.blame(prev.seq + 1 if prev else 1, str(wrong))
            break
        tree.add(one.hash)
        here = expected.pop(tree.size, [])
        for root in here:
            if root["root"] != tree.root() or root["hour"] != hour_of(one.ts_utc):
                verdict.blame(anchored + 1, f"the root of {root['hour']} over {tree.size} entries tells of others")
        anchored = tree.size if here and verdict.holds else anchored
        if one.action.startswith("break."):
            deeds[one.object] = one
        prev = one
    verdict.entries = tree.size
    if verdict.holds and expected:
        verdict.blame(tree.size + 1, f"the trail ends here, a root tells of {max(expected)} entries")
    if facts is not None:
        _check_facts(facts, deeds, verdict)
    return verdict


def _entry(row: Row) -> Entry | None:
    fits = row.keys() == _ENTRY_TYPES.keys() and all(type(row[n]) is kind for n, kind in _ENTRY_TYPES.items())
    return Entry(**row) if fits else None


def _checked_roots(roots: Iterable[Row], public_key: str | None, verdict: Verdict) -> dict[int, list[Row]]:
    """Roots by size; what is wrong with a root itself is blamed on the first entry below it."""
    by_size: dict[int, list[Row]] = {}
    keys = set()
    for row in roots:
        size, hour, root = row.get("size"), row.get("hour"), row.get("root")
        if not isinstance(size, int) or not isinstance(hour, str) or not isinstance(root, str) or size < 1:
            verdict.blame(1, "a root is not readable")
            continue
        verdict.roots += 1
        signature, key = row.get("signature"), public_key or row.get("public_key")
        if isinstance(signature, str) and isinstance(key, str):
            good = is_signed(key, signature, signed_text(hour, size, root))
            keys.add(key)
            verdict.signed += bool(good)
            if good is False:
                verdict.blame(1, f"the signature under the root of {hour} is not by {key[:16]}")
        elif public_key is not None:
            verdict.blame(1, f"the root of {hour} is not signed")
        by_size.setdefault(size, []).append(row)
    if verdict.roots > verdict.signed:
        verdict.notes.append("roots without a checked signature (extra `audit` not installed then or now)")
    if not verdict.roots:
        verdict.notes.append("no root: an end that was cut off, or a trail written anew, cannot be told")
    elif public_key is None and keys:
        shown = ", ".join(sorted(keys))
        verdict.notes.append(f"signatures are by the key the roots themselves name: {shown}; give --key to pin it")
    return by_size


def _check_facts(facts: Iterable[Row], deeds: dict[str, Entry], verdict: Verdict) -> None:
    left = dict(deeds)
    for row in facts:
        one = left.pop(str(row.get("object")), None)
        if one is None:
            verdict.blame(verdict.entries + 1, f"the decision {row.get('object')} has no entry")
        elif one.payload != row.get("payload"):
            verdict.blame(one.seq, "the decision it tells of was changed")
    for one in left.values():
        verdict.blame(one.seq, "the decision it tells of is gone")
