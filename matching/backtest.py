"""Back-test of a rule set: the same facts matched by two rule sets, and what the second gains, loses and changes.

Both run from nothing over the facts alone: what people decided is held aside, else the rules would only repeat it, and
is then what both are judged by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from matching import backtest_sql as sql
from matching.engine import match
from matching.levels.port import FeedTerms
from matching.rules import RuleSet
from matching.tables import OWN_TABLES, SHARED_TABLES, prepare
from warehouse.port import Warehouse

Row = dict[str, Any]
EXAMPLES_PER_KIND = 5
_Z = Decimal("1.959964")
_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its 95% Wilson interval; all three empty where nothing was counted."""

    share: Decimal | None
    low: Decimal | None
    high: Decimal | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Pairs or breaks of one pass or code under both rule sets.

    `moved`: the same pairs, found by another pass now. `kept`: of those before, the share that stayed as it was.
    """

    name: str
    before: int
    after: int
    same: int
    moved: int
    changed: int
    gained: int
    lost: int
    kept: Interval


@dataclass(frozen=True, slots=True)
class Judged:
    """Decisions of people of one kind: with how many each rule set agrees, by itself.

    FORCE: these belong together. APART: these do not. ACCEPT: this break does not matter.
    """

    kind: str
    decisions: int
    old: int
    new: int
    old_share: Interval
    new_share: Interval


@dataclass(frozen=True, slots=True)
class PassJudged:
    """Decisions about what a pass of the new rule set pairs: of how many it agrees with people."""

    name: str
    decisions: int
    agreed: int
    share: Interval


@dataclass(frozen=True, slots=True)
class Backtest:
    """Everything the back-test found; pairs are counted by our trades."""

    old: Mapping[str, str]
    new: Mapping[str, str]
    trades: Mapping[str, int]
    pairs: Tally
    passes: tuple[Tally, ...]
    breaks: Tally
    codes: tuple[Tally, ...]
    break_passes: tuple[Tally, ...]
    judged: tuple[Judged, ...]
    passes_judged: tuple[PassJudged, ...]
    pair_examples: tuple[Row, ...]
    break_examples: tuple[Row, ...]

    @property
    def differs(self) -> bool:
        """Whether the new rule set pairs or breaks anything otherwise."""
        return any(tally.changed or tally.gained or tally.lost for tally in (self.pairs, self.breaks))

    def as_json(self) -> Row:
        """All of it as plain values, decimals and dates as text."""
        plain: Row = _plain(asdict(self))
        return plain


def wilson(part: int, whole: int) -> Interval:
    """The share `part` of `whole` with its 95% Wilson interval, to four digits."""
    if not whole:
        return Interval(None, None, None)
    n, share, z2 = Decimal(whole), Decimal(part) / whole, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * (share * (1 - share) / n + z2 / (4 * n * n)).sqrt() / (1 + z2 / n)
    low, high = max(Decimal(0), middle - half), min(Decimal(1), middle + half)
    return Interval(share.quantize(_PLACES), low.quantize(_PLACES), high.quantize(_PLACES))


def backtest(
    warehouse: Warehouse, old: RuleSet, new: RuleSet, *, feeds: Sequence[FeedTerms], as_of: int, tenant: str = "main"
) -> Backtest:
    """Match the facts of `warehouse` by both rule sets as of `as_of` (UTC ns).

    It is a scratch one: what it held about matching, decisions among it, is lost. Raises what the warehouse raises.
    """
    prepare(warehouse)
    for name, body in sql.SCRATCH.items():
        warehouse.execute(f"create temporary table if not exists {name} ({body})")
        warehouse.execute(f"delete from {name}")
    warehouse.execute(sql.TAKE_DECISIONS)
    warehouse.execute(sql.FORGET_DECISIONS)
    for run, rules in (("old", old), ("new", new)):
        _forget(warehouse)
        match(warehouse, execution=f"backtest-{run}", as_of=as_of, rules=rules, feeds=feeds, tenant=tenant)
        for step in (sql.MEMBERS, sql.PLACED, sql.BREAKS):
            warehouse.execute(step, {"run": run})
    warehouse.execute(sql.PAIRS)
    for run in ("old", "new"):
        for step in (sql.JUDGED, sql.JUDGED_BREAKS):
            warehouse.execute(step, {"run": run})
    with warehouse.transaction():  # scratch tables are seen by the connection that writes them
        return _result(warehouse, old, new)


def _forget(warehouse: Warehouse) -> None:
    for table in (*SHARED_TABLES, *(own.name for own in OWN_TABLES), "execution_log"):
        warehouse.execute(f"delete from {table}")


def _result(warehouse: Warehouse, old: RuleSet, new: RuleSet) -> Backtest:
    pairs = warehouse.query(sql.PAIR_COUNTS).to_pylist()
    breaks = warehouse.query(sql.BREAK_COUNTS).to_pylist()
    judged = warehouse.query(sql.JUDGED_COUNTS).to_pylist()
    sides = warehouse.query(
        "select v.leg, count(*) as n from match_version v where v.is_tip and v.status <> 'CANCEL' group by v.leg"
    ).to_pylist()
    examples = {"most": EXAMPLES_PER_KIND}
    return Backtest(
        old={"name": old.name, "hash": old.hash},
        new={"name": new.name, "hash": new.hash},
        trades={{"L": "ours", "R": "theirs"}[row["leg"]]: int(row["n"]) for row in sides},
        pairs=_total("all pairs", pairs),
        passes=_tallies(pairs, "pass", [one.id for one in (*new.passes, *old.passes)]),
        breaks=_total("all breaks", breaks),
        codes=_tallies(breaks, "code", []),
        break_passes=_tallies(breaks, "pass", [one.id for one in (*new.passes, *old.passes)]),
        judged=tuple(_judged(judged)),
        passes_judged=tuple(_passes_judged(judged)),
        pair_examples=tuple(warehouse.query(sql.PAIR_EXAMPLES, examples).to_pylist()),
        break_examples=tuple(warehouse.query(sql.BREAK_EXAMPLES, examples).to_pylist()),
    )


def _total(name: str, counts: Sequence[Row]) -> Tally:
    return _tally(name, [{**row, "was": True, "is": True} for row in counts])


def _tallies(counts: Sequence[Row], by: str, order: Sequence[str]) -> tuple[Tally, ...]:
    old, new = f"old_{by}", f"new_{by}"
    found = {row[column] for row in counts for column in (old, new)} - {None}
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return tuple(
        _tally(name, [{**row, "was": row[old] == name, "is": row[new] == name} for row in counts]) for name in names
    )


def _tally(name: str, counts: Sequence[Row]) -> Tally:
    """What changed counts where it is now; what is lost where it was."""
    before = sum(row["n"] for row in counts if row["kind"] != "gained" and row["was"])
    after = sum(row["n"] for row in counts if row["kind"] != "lost" and row["is"])
    stayed = sum(row["n"] for row in counts if row["kind"] in ("same", "moved") and row["was"])
    same, moved, changed, gained = (
        sum(row["n"] for row in counts if row["kind"] == kind and row["is"])
        for kind in ("same", "moved", "changed", "gained")
    )
    lost = sum(row["n"] for row in counts if row["kind"] == "lost" and row["was"])
    return Tally(name, before, after, same, moved, changed, gained, lost, wilson(stayed, before))


def _judged(counts: Sequence[Row]) -> list[Judged]:
    found = []
    for kind in sorted({row["kind"] for row in counts}):
        of = {run: [row for row in counts if row["kind"] == kind and row["run"] == run] for run in ("old", "new")}
        total = sum(row["n"] for row in of["new"])
        old, new = (int(sum(row["agreed"] for row in of[run])) for run in ("old", "new"))
        found.append(Judged(kind, total, old, new, wilson(old, total), wilson(new, total)))
    return found


def _passes_judged(counts: Sequence[Row]) -> list[PassJudged]:
    rows = [row for row in counts if row["run"] == "new" and row["pass_id"] is not None and row["kind"] != "ACCEPT"]
    found = []
    for name in sorted({row["pass_id"] for row in rows}):
        total = sum(row["n"] for row in rows if row["pass_id"] == name)
        agreed = int(sum(row["agreed"] for row in rows if row["pass_id"] == name))
        found.append(PassJudged(name, total, agreed, wilson(agreed, total)))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    return value if value is None or isinstance(value, (int, str)) else str(value)
