"""Labels of planted breaks: members by the ids their sources show, money in dollars too."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa

from simulator.faults.bench import Planted
from simulator.ids import day_text, referred, uids
from simulator.market.money import usd
from simulator.market.world import CURRENCIES, World
from simulator.records import MONEY_UNIT, Records, Source
from simulator.truth import BreakTruth, Member


def labels(
    world: World, day: int, records: Records, planted: Sequence[Planted], names: Mapping[int, Member]
) -> list[BreakTruth]:
    """One label per planted break, in order; `records` are the draft's, none left out, `names` those they name."""
    unknown = _references(records, planted)
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
                shown_value=unknown.get(each.theirs[0], each.shown) if each.theirs else each.shown,
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


def names_of(records: Records, rows: Iterable[int]) -> dict[int, Member]:
    """Source and id of each of `rows`."""
    return {row: Member(source.name, uid) for source, row, uid in _texts(records, rows, uids)}


def _members(names: Mapping[int, Member], rows: Sequence[int]) -> tuple[Member, ...]:
    return tuple(dict.fromkeys(names[row] for row in rows))


def _references(records: Records, planted: Sequence[Planted]) -> dict[int, str]:
    """The unknown id each orphan refers to."""
    rows = [each.theirs[0] for each in planted if each.field == "reference"]
    return {row: text for _, row, text in _texts(records, rows, referred)}


def _texts(
    records: Records, rows: Iterable[int], text: Callable[[Records, Source], pa.StringArray]
) -> Iterator[tuple[Source, int, str]]:
    wanted = np.array(sorted(set(rows)), np.int64)
    for source in Source:
        of = wanted[records.source[wanted] == source]
        if len(of):
            for row, found in zip(of.tolist(), text(records.take(of), source).to_pylist(), strict=True):
                yield source, row, found
