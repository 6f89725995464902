"""Scoring: which labelled breaks a reconciliation found, missed or invented, per code."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulator.ledger import BreakTruth

_ID_TAGS = re.compile(rb"(?:^|[\x01|])(?:17|571|70)=([^\x01|]+)")


@dataclass(frozen=True, slots=True)
class SeenBreak:
    """A break as the reconciliation reports it: its code and the source ids (trade_uid) of its members."""

    code: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class CodeScore:
    """Counts for one code: labelled breaks found and missed, reported breaks that answer no label."""

    found: int = 0
    missed: int = 0
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """Counts per code, and the break ids and reports behind misses and extras for whoever has to explain them."""

    by_code: Mapping[str, CodeScore]
    missed: tuple[BreakTruth, ...]
    extra: tuple[SeenBreak, ...]

    @property
    def perfect(self) -> bool:
        """True when nothing was missed and nothing invented."""
        return not self.missed and not self.extra


def seen_in_message(code: str, raw: bytes) -> SeenBreak:
    """A quarantined message as a seen break: its members are the ids it carries in 17, 571 or 70."""
    return SeenBreak(code, frozenset(value.decode("latin-1") for value in _ID_TAGS.findall(raw)))


def score(truth: Iterable[object], breaks: Iterable[SeenBreak]) -> Score:
    """Compare open breaks with the labels still open at the end of the day (rows with `cured_at` are ignored).

    A reported break answers a label when the codes are equal and they share a member: several reports may answer one
    label (an order booked as a block may be reported fill by fill), one report answers every label it shares with.
    A member may be named `block/account`, as allocations are; the block's id alone is compared.
    """
    labels = [row for row in truth if isinstance(row, BreakTruth) and row.cured_at is None]
    by_member: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(labels):
        for member in (*row.internal_ids, *row.external_ids):
            by_member.setdefault((row.code, member.trade_uid), []).append(index)
    found: set[int] = set()
    extra: list[SeenBreak] = []
    for seen in breaks:
        hits = {index for uid in seen.members for index in by_member.get((seen.code, uid.partition("/")[0]), ())}
        found |= hits
        if not hits:
            extra.append(seen)
    missed = tuple(row for index, row in enumerate(labels) if index not in found)
    by_code = {}
    for code in sorted({row.code for row in labels} | {seen.code for seen in extra}):
        total = sum(row.code == code for row in labels)
        lost = sum(row.code == code for row in missed)
        by_code[code] = CodeScore(total - lost, lost, sum(seen.code == code for seen in extra))
    return Score(by_code, missed, tuple(extra))
