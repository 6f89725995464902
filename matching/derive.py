"""Touched components derived again: items, passes, comparison, findings, breaks and groups."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from matching import orders, renames
from matching.accept import accept
from matching.asked import execute, found
from matching.blocks import find
from matching.changes import (
    DIFF,
    EXPECTED_CHANGES,
    FIRST_DIFF,
    FORGET_GROUP_STEPS,
    FORGET_STEPS,
    GROUP_STEPS,
    KNOWN,
    KNOWN_NAMES,
    KNOWN_OTHER_NAMES,
    WAS,
    WRITE_BREAKS,
    WRITE_MEMBERS,
)
from matching.compare import SINGLES
from matching.compile import ALLOCATIONS, FORGET_PAIRS, OPTIONAL_KEYS, TAKE_LEFT, TAKE_RIGHT, Statement
from matching.compiled import Compiled
from matching.decided import seat
from matching.finish import finish
from matching.items import ANY_BLOCK, FREE_LEFT, FREE_RIGHT, TWINS
from matching.levels.all import LEVELS
from matching.levels.port import KINDS, Run
from matching.meet import FEW, Free, free
from matching.pairing import MOST_ROUNDS, pair
from matching.rules import RollupPass, RuleSet
from matching.sides import SIDES
from matching.suggest import STEPS as SUGGESTION_STEPS
from matching.suggest import suggests
from warehouse.port import Warehouse


def _load_items(warehouse: Warehouse, compiled: Compiled, terms: Mapping[str, object]) -> tuple[bool, bool]:
    """Items of the touched blocks and duos and of what waits; whether passes must look at any, and whether all are
    duos."""
    blocks = found(warehouse, ANY_BLOCK)
    # A duo alone has no orders to know.
    duos = not (blocks or found(warehouse, "work_lazy"))
    source = "duos" if duos else "items"
    warehouse.execute(compiled.items[source], terms)
    for members in compiled.members.values():
        warehouse.execute(members)
    if blocks and "duos" in compiled.members:
        warehouse.execute(TWINS)
        warehouse.execute(compiled.items["refs"], terms)
    return blocks, duos


def derive(
    seen: Run, compiled: Compiled, terms: Mapping[str, object], given: Mapping[str, object], *, fresh: bool
) -> int:
    """Derive every touched component, and what waits, again; returns how many breaks on record that concerned.

    `fresh`: nothing but new duos was touched, about which nothing is on record but by the names of breaks.
    """
    warehouse = seen.warehouse
    params: dict[str, object] = {**given}
    rollup = None
    blocks, duos = _load_items(warehouse, compiled, terms)
    if blocks:
        rollup = _tie_orders(warehouse, compiled.rules)
        _run_passes(warehouse, compiled.passes, rollup)
    warehouse.execute(SIDES)
    warehouse.execute(compiled.comparison)
    families: list[str] = []
    if warehouse.execute(compiled.hits):
        families = warehouse.query("select distinct family from work_hit order by family").column(0).to_pylist()
        for family in families:
            execute(warehouse, compiled.findings[family], params)
    if not duos and found(warehouse, "work_member where code is not null"):
        execute(warehouse, SINGLES, params)
    renamed = _look_again(warehouse, duos=duos) if "qty" in families or "price" in families else 0
    if rollup is not None:
        params |= {"grace": rollup.grace_seconds, "pass_id": rollup.id}
        for step in orders.STEPS:
            execute(warehouse, step, params)
    # New duos are of no level's components.
    told = replace(seen, kinds=frozenset(() if fresh else warehouse.query(KINDS)["kind"].to_pylist()))
    for level in LEVELS:
        level.find(told)
    names = KNOWN
    if fresh:
        names = KNOWN_OTHER_NAMES if duos and not renamed and "existence" not in families else KNOWN_NAMES
    known = _write_breaks(seen, compiled, params, names)
    # Before WRITE_GROUPS: a group that is known has its members.
    members = () if rollup is None else (orders.GROUP_MEMBERS,)
    steps: tuple[str, ...] = (*GROUP_STEPS[:-1], *members, *GROUP_STEPS[-1:])
    if fresh:
        steps = tuple(step for step in steps if step not in FORGET_GROUP_STEPS)
    elif suggests(compiled.rules):
        params["last_pass"] = compiled.rules.passes[-1].id
        steps = (*steps, *SUGGESTION_STEPS)
    for step in steps:
        execute(warehouse, step, params)
    return known


def _write_breaks(seen: Run, compiled: Compiled, params: Mapping[str, object], names: str) -> int:
    """Hold the findings against the breaks on record and write what that changes; returns how many were on record."""
    warehouse = seen.warehouse
    known = warehouse.execute(names)
    if known:
        warehouse.execute(WAS)
        warehouse.execute(renames.SUPERSEDED)
    changed = execute(warehouse, DIFF if known else FIRST_DIFF, params)
    breaks, changes = finish(
        warehouse, compiled.rules, as_of_ns=seen.as_of_ns, rates_by_ns=seen.rates_by_ns, execution=seen.execution,
        known=known > 0,
    )  # fmt: skip
    own: tuple[str, ...] = (EXPECTED_CHANGES, *(FORGET_STEPS if known else ()), WRITE_BREAKS)
    if not known and breaks.num_rows == changed:
        # All are new and open: nothing but what was finished is to be written.
        own = ()
    for step in (*own, WRITE_MEMBERS):
        execute(warehouse, step, params)
    warehouse.append("recon_break", breaks)
    warehouse.append("break_change", changes)
    new = None if known else breaks["code"].unique().to_pylist()
    accept(warehouse, compiled.rules, as_of_ns=seen.as_of_ns, execution=seen.execution, new=new)
    return known


def _look_again(warehouse: Warehouse, *, duos: bool) -> int:
    """How many findings of quantity or price are another break on a second look; in duos every record is alone."""
    renamed = 0
    if not duos and found(warehouse, "work_item where not alone"):
        renamed = warehouse.execute(renames.STALE)
    if found(warehouse, "work_item where level = 'ALLOCATION'") and warehouse.execute(renames.SPLIT):
        renamed += warehouse.execute(renames.SPLIT_FILE)
    if renamed:
        for step in renames.STEPS:
            warehouse.execute(step)
    return renamed


def _tie_orders(warehouse: Warehouse, rules: RuleSet) -> RollupPass | None:
    """Tie executions to the allocations of their orders; the rollup pass when it has anything to do in this run."""
    rollup = next((rule for rule in rules.passes if rule.kind == "rollup"), None)
    if rollup is None or not found(warehouse, orders.PRESENT):
        return None
    if warehouse.execute(orders.TIE):
        warehouse.execute(orders.TIE_FILE)
        warehouse.execute(FORGET_PAIRS)
    return rollup


def _run_passes(warehouse: Warehouse, passes: tuple[Statement, ...], rollup: RollupPass | None) -> None:
    """Every pass that can find something: both sides have free records, and someone has the ids it keys on."""
    left, right = warehouse.execute(FREE_LEFT), warehouse.execute(FREE_RIGHT)
    if found(warehouse, "match_decided"):
        left, right = seat(warehouse, left, right)
    known = free(warehouse, _key_columns(passes)) if left + right <= FEW else None
    present = _present(warehouse) if known is None else _told(known)
    dead = known is None or found(warehouse, "work_item where not live")
    for statement in passes:
        if statement.last and rollup is not None and warehouse.execute(orders.UNALLOCATED):
            left -= warehouse.execute(orders.TAKE_UNALLOCATED)
        paired = statement.file is not None or statement.suggests
        if paired and (not (left and right) or not present.issuperset(statement.needs)):
            continue
        met = statement.meeting
        if (statement.dead and not dead) or (met is not None and known is not None and not known.may(met)):
            continue
        if statement.suggests:
            warehouse.execute(statement.sql)
            continue
        if statement.unknown_pb and "no pb" not in present:
            continue
        for _ in range(MOST_ROUNDS if statement.repeat else 1):
            again = statement.repeat
            if statement.mutual is not None:
                pairs, again = pair(warehouse, statement.mutual, most=min(left, right))
            elif statement.search is not None:
                pairs = find(warehouse, statement.search)
            else:
                pairs = warehouse.execute(statement.sql)
            if not pairs:
                break
            if statement.file is not None:
                warehouse.execute(statement.file)
                warehouse.execute(FORGET_PAIRS)
            left -= warehouse.execute(TAKE_LEFT)
            right -= warehouse.execute(TAKE_RIGHT)
            if not again:
                break


@lru_cache(maxsize=16)
def _key_columns(passes: tuple[Statement, ...]) -> tuple[str, ...]:
    """Columns of free records that tell which passes may find anything."""
    keys = {name for one in passes if one.meeting is not None for name in (*one.meeting.left, *one.meeting.right)}
    return tuple(sorted(keys | {"component", "pb", "level", *OPTIONAL_KEYS}))


def _told(known: Free) -> set[str]:
    """As `_present`, of records at hand."""
    present = {f"{leg}.{name}" for leg in ("l", "r") for name in OPTIONAL_KEYS if known.has(leg, name)}
    present |= {f"{leg}.{ALLOCATIONS}" for leg in ("l", "r") if "ALLOCATION" in known.values(leg, "level")}
    return present | ({"no pb"} if None in known.values("l", "pb") else set())


def _present(warehouse: Warehouse) -> set[str]:
    """Id columns some free record has, as `l.uid`; and `no pb` when some trade of ours names no prime broker."""
    counts = ", ".join(f"count({name}) as {name}" for name in OPTIONAL_KEYS)
    found = set()
    counts += ", count(*) - count(pb) as no_pb, sum(case when level = 'ALLOCATION' then 1 else 0 end) as allocations"
    for leg in ("l", "r"):
        row = warehouse.query(f"select {counts} from work_{leg}").to_pylist()[0]
        if row["allocations"]:
            found.add(f"{leg}.{ALLOCATIONS}")
        found |= {f"{leg}.{name}" for name in OPTIONAL_KEYS if row[name]}
        if leg == "l" and row["no_pb"]:
            found.add("no pb")
    return found
