"""Truth rows of what goes wrong on the way: damaged messages, gaps, files that fail, trades in unknown names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from simulator.delivery.damage import Damaged
from simulator.delivery.gaps import Gap
from simulator.delivery.schedule import Damage, Schedule
from simulator.delivery.strangers import Strangers
from simulator.market.money import usd
from simulator.market.world import CURRENCIES, World
from simulator.records import MONEY_UNIT, SECOND_NS, Bool, Records, Source
from simulator.truth import BreakTruth, Consequence, Member
from simulator.truth_file import uid_text

_WARNINGS = (Damage.CHECKSUM, Damage.LENGTH)
# How long a gap may stay before it counts as one nobody fills.
GAP_GRACE_NS = 60 * SECOND_NS


@dataclass(slots=True)
class Labels:
    """Collects labels and numbers them: ids are unique in a run."""

    rows: list[BreakTruth] = field(default_factory=list)

    def add(
        self,
        code: str,
        source: Source,
        uids: Sequence[str],
        at_ns: int,
        *,
        field: str,
        true: str = "",
        shown: str = "",
        detectable_ns: int | None = None,
        group_id: str = "",
    ) -> None:
        """A label about one source: `at_ns` is when it shows, `detectable_ns` when that is certain (default: then)."""
        inside = source is Source.OMS
        members = tuple(Member(source.name, uid) for uid in uids)
        self.rows.append(
            BreakTruth(
                break_id=f"{code}-{len(self.rows) + 1:06d}",
                code=code,
                group_id=group_id or f"{source.name}-{uids[0]}",
                internal_ids=members if inside else (),
                external_ids=() if inside else members,
                pb="" if inside else source.name,
                field=field,
                true_value=true,
                shown_value=shown,
                injected_at=at_ns,
                visible_at_internal=at_ns if inside else None,
                visible_at_external=None if inside else at_ns,
                detectable_at=at_ns if detectable_ns is None else detectable_ns,
                cured_at=None,
                materiality=Decimal(0),
                ccy="",
                materiality_usd=Decimal(0),
            )
        )

    def damaged(self, source: Source, records: Records, plan: Schedule, found: Iterable[Damaged]) -> None:
        """I01 for what nobody can book, I02 for what can be booked but proves nothing about itself."""
        noted = list(found)
        heads = uid_text(records.take(plan.row[np.array([each.at for each in noted], np.int64)])) if noted else []
        for each, head in zip(noted, heads, strict=True):
            names = [f"sha256:{digest}" for digest in each.hashes]
            at_ns = int(plan.at_ns[each.at])
            if each.damage in _WARNINGS:
                self.add("I02", source, [*names, head.as_py()], at_ns, field=each.shown, shown="wrong")
            else:
                self.add("I01", source, names, at_ns, field="message", shown=each.shown)

    def gaps(self, source: Source, gaps: Iterable[Gap]) -> None:
        """I05 for numbers that never came."""
        for gap in gaps:
            detectable = gap.seen_ns + GAP_GRACE_NS
            self.add(
                "I05", source, [gap.name], gap.seen_ns, field="MsgSeqNum", shown=gap.name, detectable_ns=detectable
            )

    def strangers(self, world: World, records: Records, alive: Bool, strangers: Strangers) -> list[Consequence]:
        """I03 and I04 of each trade that was moved, and the positions they leave both sides to differ about."""
        entailed: list[Consequence] = []
        for code, orders in (("I03", strangers.issues), ("I04", strangers.accounts)):
            rows = np.flatnonzero(alive & np.isin(records.order, orders) & (records.group > 0))
            rows = rows[np.argsort(records.group[rows], kind="stable")]
            starts = np.flatnonzero(np.diff(records.group[rows], prepend=-1))
            for some in np.split(rows, starts[1:]) if len(rows) else ():
                entailed += self._stranger(code, world, records.take(some))
        return entailed

    def _stranger(self, code: str, world: World, trade: Records) -> list[Consequence]:
        uids = uid_text(trade).to_pylist()
        ours = trade.source == Source.OMS
        if ours.all() or not ours.any():
            return []
        sides = [
            tuple(Member(Source(int(s)).name, uid) for s, uid, mine in zip(trade.source, uids, ours, strict=True)
                  if mine == inside)
            for inside in (True, False)
        ]  # fmt: skip
        known, seen = int(trade.arrive_ns[ours].max()), int(trade.arrive_ns[~ours].max())
        line, account = int(trade.instrument[0]), int(trade.account[0])
        gross = np.abs(trade.gross[~ours]).sum(keepdims=True)
        ccy = trade.ccy[~ours][:1]
        pb = Source(int(trade.pb[~ours][0])).name
        shown = str(world.instruments.key[line] if code == "I03" else world.accounts.account_id[account])
        break_id = f"{code}-{len(self.rows) + 1:06d}"
        self.rows.append(
            BreakTruth(
                break_id=break_id,
                code=code,
                group_id=str(int(trade.group[0])),
                internal_ids=sides[0],
                external_ids=sides[1],
                pb=pb,
                field="instrument" if code == "I03" else "account",
                true_value="",
                shown_value=shown,
                injected_at=min(known, seen),
                visible_at_internal=known,
                visible_at_external=seen,
                detectable_at=min(known, seen),
                cured_at=None,
                materiality=Decimal(int(gross[0])) / MONEY_UNIT,
                ccy=CURRENCIES[int(ccy[0])],
                materiality_usd=Decimal(int(usd(world, gross, ccy)[0])) / MONEY_UNIT,
            )
        )
        position = f"{world.accounts.account_id[account]}|{world.instruments.key[line]}"
        members = (Member("OMS", position),), (Member(pb, position),)
        return [Consequence("P01", *members, (break_id,)), Consequence(code, *members, (break_id,))]
