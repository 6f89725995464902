"""Labels of planted breaks: members by the ids their sources show, money in dollars too."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from simulator.faults.bench import Planted
from simulator.ids import day_text, uids
from simulator.market.money import usd
from simulator.market.world import CURRENCIES, World
from simulator.records import MONEY_UNIT, Records, Source
from simulator.truth import BreakTruth, Member


def labels(world: World, day: int, records: Records, planted: Sequence[Planted]) -> list[BreakTruth]:
    """One label per planted break, in order; `records` are the draft's, none left out."""
    names = _names(records, planted)
    dollars = usd(world, np.array([p.stake for p in planted], np.int64), np.array([p.ccy for p in planted], np.int8))
    stamp = day_text(np.array([day], np.int32))[0].as_py()
    counts: dict[str, int] = {}
    made = []
    for each, value in zip(planted, dollars.tolist(), strict=True):
        counts[each.code] = counts.get(each.code, 0) + 1
        made.append(
            BreakTruth(
                break_id=f"{each.code}-{stamp}-{counts[each.code]:05d}",
                code=each.code,
                group_id=str(each.group) if each.group else names[each.theirs[0]].uid,
                internal_ids=_members(names, each.ours),
                external_ids=_members(names, each.theirs),
                pb=Source(each.pb).name,
                field=each.field,
                true_value=each.true,
                shown_value=each.shown,
                injected_at=each.injected_at,
                visible_at_internal=each.ours_at,
                visible_at_external=each.theirs_at,
                detectable_at=each.detectable_at,
                cured_at=each.cured_at,
                materiality=Decimal(each.stake) / MONEY_UNIT,
                ccy=CURRENCIES[each.ccy],
                materiality_usd=Decimal(value) / MONEY_UNIT,
                case=each.case,
            )
        )
    return made


def _members(names: dict[int, Member], rows: Sequence[int]) -> tuple[Member, ...]:
    return tuple(dict.fromkeys(names[row] for row in rows))


def _names(records: Records, planted: Sequence[Planted]) -> dict[int, Member]:
    rows = np.array(sorted({row for each in planted for row in (*each.ours, *each.theirs)}), np.int64)
    made: dict[int, Member] = {}
    for source in Source:
        of = rows[records.source[rows] == source]
        if len(of):
            texts = uids(records.take(of), source).to_pylist()
            made |= {row: Member(source.name, uid) for row, uid in zip(of.tolist(), texts, strict=True)}
    return made
