"""The business day of a market: its cut-offs, its proof, what is carried forward, and the close a person signs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from app.check import Check, check, raise_alerts
from domain.clock import Clock
from domain.errors import PermanentError
from domain.facts import DAY_CLOSE
from domain.ids import digest128
from domain.principal import Principal
from domain.schema import arrow_schema
from domain.taxonomy import Severity, taxonomy
from ingest.feeds import Feed
from matching.deadlines import BusinessDays, Deadlines, business_days
from matching.finish import rows_of
from warehouse.port import Warehouse

Json = dict[str, Any]
_SECOND_NS = 1_000_000_000
_MOST_DAYS = 400
# Breaks that no person and no later message ended.
_OPEN = """
SELECT q.break_id, q.code, q.severity, q.trade_date, q.first_seen, q.headline FROM break_queue q
WHERE q.state <> 'RESOLVED' AND q.trade_date <= :day ORDER BY q.severity DESC, q.break_id
"""
_CLOSES = "SELECT * FROM day_close WHERE market = :market AND day = :day ORDER BY closed_at"


class CloseRefused(PermanentError):
    """The day cannot be closed; the text says every reason."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """A deadline of the day: its local time and which breaks must be fixed by then (UTC nanoseconds)."""

    at_ns: int
    local: str
    codes: tuple[str, ...]
    passed: bool


@dataclass(frozen=True, slots=True)
class DayStatus:
    """One market's day as it stands. `blocked` says why it cannot be closed; empty when it can."""

    market: str
    day: date
    business_day: bool
    state: str
    cut_offs: tuple[CutOff, ...]
    open_breaks: dict[str, int]
    carried: tuple[Json, ...]
    adjustments: tuple[str, ...]
    closed_by: str | None
    blocked: tuple[str, ...]

    def as_json(self) -> Json:
        """Plain data."""
        found = asdict(self)
        return found | {"day": self.day.isoformat()}


@dataclass(frozen=True, slots=True)
class Days:
    """Business days of one installation."""

    warehouse: Warehouse
    feeds: Sequence[Feed]
    clock: Clock

    def markets(self) -> list[str]:
        """The calendars of the feeds."""
        return sorted({feed.calendar for feed in self.feeds})

    def status(self, day: date, market: str) -> DayStatus:
        """Where the day stands. A break found after the close of its trade date is an adjustment to it."""
        days = business_days(self.warehouse)
        now_ns = self.clock.now_ns()
        opened = rows_of(self.warehouse.query(_OPEN, {"day": day}))
        closes = rows_of(self.warehouse.query(_CLOSES, {"market": market, "day": day}))
        cut_offs = _cut_offs(days, day, now_ns)
        blocked = self._blocked(days, day, market, opened, cut_offs)
        carried = tuple(
            {"break_id": row["break_id"], "code": row["code"], "age_days": _age(days, market, row["trade_date"], day)}
            for row in opened
            if row["trade_date"] < day
        )
        signed = closes[-1] if closes else None
        late = [row["break_id"] for row in opened if signed and row["trade_date"] == day
                and row["first_seen"] > signed["as_of"]]  # fmt: skip
        counts: dict[str, int] = {}
        for row in opened:
            name = Severity(row["severity"]).name
            counts[name] = counts.get(name, 0) + 1
        state = "CLOSED" if signed else "NO BUSINESS DAY" if not days.is_open(market, day) else "OPEN"
        if state == "OPEN" and all(cut.passed for cut in cut_offs):
            state = "PAST ITS CUT-OFFS"
        return DayStatus(
            market, day, days.is_open(market, day), state, cut_offs, counts, carried, tuple(late),
            signed["actor"] if signed else None, blocked,
        )  # fmt: skip

    def close(self, day: date, market: str, who: Principal, reason: str) -> DayStatus:
        """Sign the day off. Raises CloseRefused with every reason why not; a second close changes nothing."""
        if not who.may_approve:
            raise CloseRefused(f"{who.name} may not close a day: a person with the role approver signs it")
        before = self.status(day, market)
        if before.closed_by is not None:
            return before
        if before.blocked:
            raise CloseRefused(f"{market} {day}: " + "; ".join(before.blocked))
        now_ns = self.clock.now_ns()
        row = {
            "close_id": digest128("close", market, day.isoformat()), "market": market, "day": day, "actor": who.name,
            "principal": who.kind, "reason": reason or None, "closed_at": now_ns,
            "as_of": self._known_until(now_ns),
            "proof": json.dumps({"open": before.open_breaks, "carried": len(before.carried)}, sort_keys=True),
        }  # fmt: skip
        schema = arrow_schema(DAY_CLOSE)
        columns = [
            pa.array([row[f.name]], pa.int64()).cast(f.type) if pa.types.is_timestamp(f.type)
            else pa.array([row[f.name]], f.type)
            for f in schema
        ]  # fmt: skip
        self.warehouse.append("day_close", pa.Table.from_arrays(columns, schema=schema))
        return self.status(day, market)

    def _known_until(self, now_ns: int) -> int:
        """The time the newest run counts as: a break seen later was not known at the close."""
        newest = rows_of(self.warehouse.query("SELECT max(as_of) AS as_of FROM execution_log"))[0]["as_of"]
        return int(newest) if newest is not None else now_ns

    def _blocked(
        self, days: BusinessDays, day: date, market: str, opened: Sequence[Json], cut_offs: Sequence[CutOff]
    ) -> tuple[str, ...]:
        reasons = []
        if not days.is_open(market, day):
            reasons.append("no business day")
        waiting = [cut.local for cut in cut_offs if not cut.passed]
        if waiting:
            reasons.append(f"the cut-off {waiting[-1]} has not passed")
        silent = [row["headline"] or row["break_id"] for row in opened if row["code"] == "I06"]
        if silent:
            reasons.append(f"{len(silent)} feed{'' if len(silent) == 1 else 's'} late or empty (I06): {silent[0]}")
        proof = check(self.warehouse, day=day)
        raise_alerts(self.warehouse, proof, self.clock.now_ns())
        if not proof.holds:
            reasons.append(f"the completeness check fails: {_first_problem(proof)}")
        return tuple(reasons)


def _first_problem(proof: Check) -> str:
    return next((f"{feed.feed}: {feed.problems[0]}" for feed in proof.feeds if feed.problems), "") or proof.problems[0]


def _cut_offs(days: BusinessDays, day: date, now_ns: int) -> tuple[CutOff, ...]:
    """The times on the day itself by which something must be fixed, earliest first."""
    deadlines = Deadlines(days)
    found: dict[int, tuple[str, list[str]]] = {}
    for code, entry in taxonomy().items():
        rule = entry.deadline
        if rule is None or rule.anchor != "TRADE_DATE" or rule.offset_days or not rule.time_of_day:
            continue
        at_ns = deadlines.of(code, day, None, 0)
        if at_ns is not None:
            found.setdefault(at_ns, (f"{rule.time_of_day} {rule.zone}", []))[1].append(code)
    return tuple(
        CutOff(at_ns, local, tuple(sorted(codes)), at_ns <= now_ns) for at_ns, (local, codes) in sorted(found.items())
    )


def _age(days: BusinessDays, market: str, since: date, until: date) -> int:
    """Business days from `since` to `until`."""
    count, at = 0, since
    while at < until and count < _MOST_DAYS:
        at += timedelta(days=1)
        count += days.is_open(market, at)
    return count


def as_text(status: DayStatus) -> str:
    """The day as a person reads it."""
    lines = [
        f"{status.market} {status.day}: {status.state}"
        + (f", signed by {status.closed_by}" if status.closed_by else "")
    ]
    for cut in status.cut_offs:
        shown = datetime.fromtimestamp(cut.at_ns // _SECOND_NS, UTC)
        mark = "passed" if cut.passed else "ahead"
        lines.append(f"  cut-off {cut.local} ({shown:%Y-%m-%d %H:%M}Z) {mark}: {', '.join(cut.codes)}")
    total = sum(status.open_breaks.values())
    listed = ", ".join(f"{count:,} {name}" for name, count in status.open_breaks.items())
    lines.append(f"  open breaks: {total:,}" + (f" ({listed})" if listed else ""))
    if status.carried:
        oldest = max(one["age_days"] for one in status.carried)
        lines.append(f"  carried forward: {len(status.carried):,}, the oldest {oldest} business day(s)")
    if status.adjustments:
        lines.append(f"  adjustments since the close: {len(status.adjustments):,}")
    if status.closed_by is None:
        lines += [f"  cannot be closed: {text}" for text in status.blocked]
        if not status.blocked:
            lines.append("  can be closed")
    return "\n".join(lines)
