"""From a rule set to SQL: one INSERT..SELECT per pass, in Snowflake's dialect and inside the portable subset.

Passes read the free records of each side (`work_l`, `work_r`) and write pairs; a separate step files the pairs and
takes their records off the free lists, because a statement must never read the table it writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from matching.blocks import BlockSearch, block_search, file_parts
from matching.keys import SINGLE, equal, sides_of
from matching.leftovers import cancelled, cancelled_block, crossed, duplicate, one_sided
from matching.meet import Meeting, meeting
from matching.pairing import CROWD, Mutual, mutual
from matching.rules import (
    AggregatePass,
    CancelledPass,
    DuplicatePass,
    EconomicsPass,
    ExactPass,
    NearMissPass,
    OneSidedPass,
    OrderPass,
    Pass,
    RollupPass,
    RuleSet,
    RunsPass,
    ScorePass,
    SubsetsPass,
    TolerancePass,
)
from matching.suggest import only, policy_of, score, several
from matching.units import order_members, order_pairs
from matching.variants import variants

_AGREEMENT = ("account", "instrument", "direction", "qty", "price")
# Keys a feed may not know at all: a pass on one that no free record has is skipped.
OPTIONAL_KEYS = ("uid", "cross_uid", "order_id", "client_order_id", "order_ref")
# A pass that wants allocations on a side is skipped where there are none.
ALLOCATIONS = "allocations"
_PAIR = "insert into work_pair (left_id, right_id)\n"
_SAME_PB = "l.component = r.component and (l.pb = r.pb or l.pb is null)"
# A record that quotes an order of ours is no record of another order, and all of an order is no part of it.
_ORDER_FITS = "(r.order_ref is null or l.order_ref = r.order_ref) and not (l.part and r.whole)"
_BOTH = "work_l l join work_r r on"
_TWIN_GAP = "abs(l.twin - r.twin)"


@dataclass(frozen=True, slots=True)
class Statement:
    """One step of a run and what files its result.

    `repeat`: until it adds nothing. `unknown_pb`: only when some of our trades name no prime broker. `needs`: columns
    `l.x` or `r.x` that some free record must have. `file`: turns its pairs into members; None where it names members
    itself. `last`: takes whatever is left. `suggests`: takes nothing. `mutual`: pairs by mutual choice, `sql` being its
    candidates. `search`: what adds up in blocks, `sql` being their records. `meeting`: what records must have
    in common. `dead`: asks about cancelled records.
    """

    name: str
    sql: str
    file: str | None = None
    repeat: bool = False
    unknown_pb: bool = False
    needs: tuple[str, ...] = ()
    last: bool = False
    suggests: bool = False
    mutual: Mutual | None = None
    search: BlockSearch | None = None
    meeting: Meeting | None = None
    dead: bool = False


def compile_passes(rules: RuleSet) -> tuple[Statement, ...]:
    """The passes of `rules` in order, as statements over the scratch tables."""
    return tuple(
        replace(statement, meeting=meeting(rule), dead=isinstance(rule, CancelledPass))
        for rule in rules.passes
        for statement in _compile(rule)
    )


def _compile(rule: Pass) -> tuple[Statement, ...]:
    match rule:
        case OrderPass():
            needs = ("l.order_ref", "r.order_ref", *([f"r.{ALLOCATIONS}"] if rule.blocks else []))
            return (Statement(rule.id, order_pairs(rule), order_members(rule), repeat=True, needs=needs),)
        case RollupPass():
            return ()  # before the free lists are made: matching/orders.py
        case ExactPass():
            return _chosen(rule, _exact(rule))
        case TolerancePass():
            return _nearest(rule, *_tolerance(rule))
        case NearMissPass():
            return _nearest(rule, *_near_miss(rule))
        case RunsPass() | SubsetsPass():
            asked = block_search(rule, sides_of(rule.keys))
            return (Statement(rule.id, asked.sql, file_parts(rule.id), needs=_needs(rule.keys), search=asked),)
        case ScorePass():
            return (Statement(rule.id, score(rule), suggests=True),)
        case EconomicsPass():
            return (
                _pairing(rule, _economics(rule, unknown_pb=False)),
                _pairing(rule, _economics(rule, unknown_pb=True), unknown_pb=True),
            )
        case AggregatePass():
            return (
                _blocks(rule, _aggregate(rule, unknown_pb=False)),
                _blocks(rule, _aggregate(rule, unknown_pb=True), unknown_pb=True),
            )
        case CancelledPass():
            named = crossed if rule.crossed else cancelled_block if rule.block else cancelled
            return (Statement(rule.id, named(rule)),)
        case DuplicatePass():
            return (Statement(rule.id, duplicate(rule)),)
        case OneSidedPass():
            return (Statement(rule.id, one_sided(rule), last=True),)


def _chosen(
    rule: ExactPass | TolerancePass | NearMissPass, found: tuple[str, str], *, repeat: bool = False
) -> tuple[Statement, ...]:
    """One-to-one pairs of the candidates, by the pass's policy for where a record has several."""
    source, nearest = found
    policy = policy_of(rule)
    if policy == "mutual-best":
        return (_pairing(rule, _best(source, score=nearest), repeat=repeat),)
    pairs = _pairing(rule, only(source, nearest), repeat=repeat)
    if policy == "reject":
        return (pairs,)
    # Asked when no candidate is left that is the only one.
    asked = several(rule.id, rule.keys)(source, nearest)
    return (pairs, Statement(f"{rule.id}/several", asked, needs=pairs.needs, suggests=True))


def _nearest(
    rule: TolerancePass | NearMissPass, condition: str, distances: list[str], order: str
) -> tuple[Statement, ...]:
    """Until nobody finds anybody: by mutual choice, or by the pass's policy for where a record has several."""
    if policy_of(rule) != "mutual-best":
        source = (
            f"  select l.record_id as left_id, r.record_id as right_id\n  from work_l l join work_r r on {condition}"
        )
        return _chosen(rule, (source, ""), repeat=True)
    text = mutual(condition, distances, sides_of(rule.keys), order)
    return (replace(_pairing(rule, text.candidates, repeat=True), mutual=text),)


def _needs(keys: Iterable[str]) -> tuple[str, ...]:
    both = [(f"l.{a}", f"r.{b}") for a, b in sides_of(keys)]
    return tuple(name for pair in both for name in pair if name[2:] in OPTIONAL_KEYS)


# --- filing -------------------------------------------------------------------------------------------------------

TAKE_LEFT = "delete from work_l where record_id in (select m.record_id from work_member m where m.leg = 'L')"
TAKE_RIGHT = "delete from work_r where record_id in (select m.record_id from work_member m where m.leg = 'R')"
FORGET_PAIRS = "delete from work_pair"


def _pairing(
    rule: ExactPass | TolerancePass | NearMissPass | EconomicsPass,
    sql: str,
    *,
    repeat: bool = False,
    unknown_pb: bool = False,
) -> Statement:
    file = (
        f"{SINGLE}select left_id, 'L', left_id, '{rule.id}', null, null from work_pair"
        f"\nunion all\nselect right_id, 'R', left_id, '{rule.id}', null, null from work_pair"
    )
    name = f"{rule.id}/any-pb" if unknown_pb else rule.id
    return Statement(name, sql, file, repeat=repeat, unknown_pb=unknown_pb, needs=_needs(rule.keys))


def _blocks(rule: AggregatePass, sql: str, *, unknown_pb: bool = False) -> Statement:
    """A pair names each side's least record; its block is every free record with the same key."""

    def members(leg: str, index: int, pair_column: str) -> str:
        single = ["record_id"] if rule.alone and leg == "R" else []
        keys = ", ".join(["component", "pb", *(pair[index] for pair in sides_of(rule.keys)), *single])
        return (
            f"select i.record_id, '{leg}', p.left_id, '{rule.id}', null, null from (\n  select record_id,"
            f" min(record_id) over (partition by {keys}) as first_id from work_{leg.lower()}\n) i"
            f" join work_pair p on p.{pair_column} = i.first_id"
        )

    file = f"{SINGLE}{members('L', 0, 'left_id')}\nunion all\n{members('R', 1, 'right_id')}"
    name = f"{rule.id}/any-pb" if unknown_pb else rule.id
    needs = (*_needs(rule.keys), *([f"r.{ALLOCATIONS}"] if rule.right_level == "ALLOCATION" else []))
    return Statement(name, sql, file, unknown_pb=unknown_pb, needs=needs)


# --- passes -------------------------------------------------------------------------------------------------------


_NUMBERS = "l.nr as left_nr, r.nr as right_nr"


def _best(source: str, *, score: str) -> str:
    """One-to-one: both are the other's best by `score`; numbers end every tie, so the order is total.

    Rows are numbered by the sources' own ids: a record id changes when a message is sent again with another header.
    """
    return (
        f"{_PAIR}select c.left_id, c.right_id from (\n{source}\n) c\n"
        f"qualify row_number() over (partition by c.left_nr order by {score}, c.right_nr) = 1\n"
        f"  and row_number() over (partition by c.right_nr order by {score}, c.left_nr) = 1"
    )


def _exact(rule: ExactPass) -> tuple[str, str]:
    """Candidates, and by what they are ordered. What a crowd of either side says is no id, it tells nobody apart."""
    agreed = " + ".join(f"case when l.{name} = r.{name} then 1 else 0 end" for name in _AGREEMENT)
    own, other = sides_of(rule.keys)[0]
    if rule.variants:
        alike = variants(own, other)
        source = (
            f"  select distinct l.record_id as left_id, r.record_id as right_id, {_NUMBERS}, {agreed} as agreed\n"
            f"  from {alike.left} l join {alike.right} r on {_SAME_PB} and {alike.met}"
            f" and {equal(rule.keys[1:])}\n  where {agreed} >= {rule.agree_at_least}"
        )
        return source, "c.agreed desc"
    crowd = (
        f"select b.{other} from work_r b where b.{other} in (select a.{own} from work_l a group by a.{own}"
        f" having count(*) > {CROWD}) group by b.{other} having count(*) > {CROWD}"
    )
    joined = f"(select x.* from work_l x where x.{own} not in (\n    {crowd})) l"
    joined += f" join work_r r on {_SAME_PB} and {equal(rule.keys)}"
    source = (
        f"  select l.record_id as left_id, r.record_id as right_id, {_NUMBERS}, {agreed} as agreed\n  from {joined}"
    )
    if rule.agree_at_least:
        source = f"  select x.* from (\n{source}\n  ) x where x.agreed >= {rule.agree_at_least}"
    return source, "c.agreed desc"


def _numbered(table: str, partition: Iterable[str], order: Iterable[str], only: str = "true") -> str:
    """A side with twins numbered: records equal in `partition` count 1, 2, 3 in `order`, where `only` holds.

    Most have no twin: who is alone even by a hash is the first, and only the others are sorted.
    """
    names = [*dict.fromkeys(partition)]
    code = ", ".join(f"y.{name}" for name in names)
    shared = f"select hash({code}) from {table} y group by hash({code}) having count(*) > 1"
    return (
        f"(\n  select x.*, coalesce(t.nth, 1) as nth from {table} x left join (\n"
        f"    select y.nr, row_number() over (partition by {code} order by {', '.join(f'y.{n}' for n in order)}) as nth"
        f"\n    from {table} y where {only.format('y')} and hash({code}) in ({shared})\n"
        f"  ) t on t.nr = x.nr where {only.format('x')}\n)"
    )


def _economics(rule: EconomicsPass, *, unknown_pb: bool) -> str:
    """Pair the n-th of equals with the n-th of equals. Trades of ours that name no PB may meet any."""
    pb = [] if unknown_pb else ["pb"]
    order = [*rule.pair_by, "nr"]
    # What quotes an order of ours is no record of another order, and all of an order is left to its totals.
    only = "not {0}.whole" if "order_ref" in rule.keys else "{0}.order_ref is null"
    left = _numbered("work_l", ["component", "pb", *(a for a, _ in sides_of(rule.keys))], order)
    right = _numbered("work_r", ["component", *pb, *(b for _, b in sides_of(rule.keys))], order, only)
    same_pb = "l.pb is null" if unknown_pb else "l.pb = r.pb"
    return (
        f"{_PAIR}select l.record_id, r.record_id\nfrom {left} l\njoin {right} r\n"
        f"  on l.component = r.component and {same_pb} and l.nth = r.nth and {equal(rule.keys)}"
    )


def _totals(table: str, columns: list[str]) -> str:
    keys = ", ".join(["component", "pb", *columns])
    return (
        f"(\n  select {keys}, min(record_id) as first_id, min(uid) as first_uid, count(*) as n,"
        "\n    count(notional) as sized,"
        "\n    sum(case when level = 'ALLOCATION' then 1 else 0 end) as blocks, sum(qty) as total_qty,"
        "\n    sum(small_qty) as total_small_qty, sum(notional) as total_notional, max(half_unit) as half_unit,"
        "\n    min(price) as price, max(price) as price_top"
        f"\n  from {table} group by {keys}\n)"
    )


def _aggregate(rule: AggregatePass, *, unknown_pb: bool) -> str:
    left, right = ([pair[i] for pair in sides_of(rule.keys)] for i in (0, 1))
    if rule.alone:
        right.append("record_id")
    tests = ["(l.n = 1 or r.n = 1 or r.blocks = r.n)"]
    if rule.right_level == "ALLOCATION":
        tests.append("r.blocks = r.n")
    if rule.several:
        tests.append("l.n + r.n > 2")
    if "qty" not in rule.allow:
        tests.append("l.total_qty = r.total_qty")
    if "price" not in rule.allow:
        # The side that shows fewer rows shows an average of prices: its precision decides.
        unit = (
            "case when r.n < l.n and l.price <> l.price_top then r.half_unit"
            " when r.n > l.n and r.price <> r.price_top then l.half_unit"
            " else greatest(l.half_unit, r.half_unit) end"
        )
        tests.append("l.sized = l.n and r.sized = r.n")
        tests.append(f"abs(l.total_notional - r.total_notional) <= {unit} * r.total_small_qty")
    tested = "\n  and ".join(tests)
    same_pb = "l.pb is null" if unknown_pb else "l.pb = r.pb"
    return (
        f"{_PAIR}select l.first_id, r.first_id\nfrom {_totals('work_l', left)} l join {_totals('work_r', right)} r"
        f"\n  on l.component = r.component and {same_pb} and {equal(rule.keys)}\nwhere {tested}"
        "\nqualify row_number() over (partition by l.first_id order by r.first_uid, r.first_id) = 1"
    )


_OTHER_SETTLE_DATE = "case when l.settle_date = r.settle_date then 0 else 1 end"


def _tolerance(rule: TolerancePass) -> tuple[str, list[str], str]:
    near = {
        "price": "abs(l.price - r.price)",
        "commission": "abs(coalesce(l.commission, 0) - coalesce(r.commission, 0))",
        "settle_date": _OTHER_SETTLE_DATE,
    }
    joined = f"{_SAME_PB} and {_ORDER_FITS} and {equal(rule.keys)}"
    joined += "\n    and abs(l.price - r.price) <= greatest(l.half_unit, r.half_unit)"
    return joined, [*(near[name] for name in rule.nearest), _TWIN_GAP], "price"


def _near_miss(rule: NearMissPass) -> tuple[str, list[str], str]:
    [(left, right)] = sides_of([rule.differs])
    same_pb = "l.component = r.component" if left == "pb" else _SAME_PB
    near = [f"abs(l.{left} - r.{right})"] if left in {"qty", "price"} else []
    joined = f"{same_pb} and {_ORDER_FITS} and {equal(rule.keys)} and l.{left} <> r.{right}"
    return joined, [*near, _OTHER_SETTLE_DATE, _TWIN_GAP], left if near else "settle_date"
