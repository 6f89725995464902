"""One to one by mutual choice: candidates are found once, who has no rival is taken at once, rounds are for the rest.

Rows are known by their number in the order of the sources' own ids (`nr` of work_l and work_r), so that ties end the
same way on every run and nothing wide is sorted. Where a key is shared by a crowd on both sides the candidates of a
row are its neighbours in the sorted crowd, never all of it: work grows with the rows, not with their product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from warehouse.port import Warehouse

# A key that more rows than this share on both sides is a crowd.
CROWD = 200
# Neighbours looked at on either side of a row's place in its crowd.
NEIGHBOURS = 8
# A pass that repeats until it adds nothing leaves the rest to the next after this many rounds.
MOST_ROUNDS = 50
# Chains of ties give one pair a round: after this many they are followed to their end one by one.
_ROUNDS = 10

MEASURES = 4
_DISTANCES = [f"d{n}" for n in range(1, MEASURES + 1)]
_COLUMNS = f"left_id, right_id, left_nr, right_nr, {', '.join(_DISTANCES)}"
SCRATCH = {
    "work_crowd": "nr bigint",
    "work_candidate": "left_id varchar, right_id varchar, left_nr bigint, right_nr bigint, "
    + ", ".join(f"{name} number(38, 12)" for name in _DISTANCES),
    "work_rival": "left_id varchar, right_id varchar, left_nr bigint, right_nr bigint, "
    + ", ".join(f"{name} number(38, 12)" for name in _DISTANCES),
    "work_choice": "left_id varchar, right_id varchar, left_nr bigint, right_nr bigint, turn bigint",
}

RIVALS = f"""
insert into work_rival ({_COLUMNS})
select {_COLUMNS} from work_candidate
where left_nr in (select a.left_nr from work_candidate a group by a.left_nr having count(*) > 1)
  or right_nr in (select b.right_nr from work_candidate b group by b.right_nr having count(*) > 1)
"""
_NEAREST = ", ".join(f"c.{name}" for name in _DISTANCES)
CHOOSE = f"""
insert into work_choice (left_id, right_id, left_nr, right_nr, turn)
select c.left_id, c.right_id, c.left_nr, c.right_nr, :turn from work_rival c
qualify row_number() over (partition by c.left_nr order by {_NEAREST}, c.right_nr) = 1
  and row_number() over (partition by c.right_nr order by {_NEAREST}, c.left_nr) = 1
"""
FORGET_CHOSEN = """
delete from work_rival where left_nr in (select a.left_nr from work_choice a where a.turn = :turn)
  or right_nr in (select b.right_nr from work_choice b where b.turn = :turn)
"""
PAIRS = """
insert into work_pair (left_id, right_id)
select c.left_id, c.right_id from work_candidate c
where c.left_nr not in (select v.left_nr from work_rival v)
"""
CHOSEN = "insert into work_pair (left_id, right_id) select x.left_id, x.right_id from work_choice x"


@dataclass(frozen=True, slots=True)
class Mutual:
    """Statements that fill work_candidate: all candidates outside crowds, the crowds, and neighbours inside them.

    `busy` is a query that has a row where there may be a crowd.
    """

    candidates: str
    busy: str
    crowd: str
    neighbours: str


def mutual(condition: str, distances: Sequence[str], keys: Sequence[tuple[str, str]], order: str) -> Mutual:
    """Candidates are rows l and r for which `condition` holds, equal in `keys`; the least distances choose.

    `order` is the column by which crowds are sorted; `distances` at most four expressions over l and r.
    """
    measured = [*distances, *["0"] * (MEASURES - len(distances))]
    row = f"l.record_id, r.record_id, l.nr, r.nr, {', '.join(measured)}"
    into = f"insert into work_candidate ({_COLUMNS})\n"
    # Below the join: a crowd must not meet itself before it is left out.
    outside = "(select x.* from work_l x where x.nr not in (select w.nr from work_crowd w))"
    return Mutual(
        f"{into}select {row}\nfrom {outside} l join work_r r on {condition}",
        _busy(keys),
        _crowd(keys),
        into + _neighbours(row, condition, keys, order),
    )


def _busy(keys: Sequence[tuple[str, str]]) -> str:
    """By a hash, which is narrow: rows that share it may still differ, rows that are equal share it."""
    names = ", ".join(["x.component", *(f"x.{left}" for left, _ in keys)])
    return (
        f"select h.code from (select hash({names}) as code from work_l x) h"
        f" group by h.code having count(*) > {CROWD} limit 1"
    )


def _crowd(keys: Sequence[tuple[str, str]]) -> str:
    def busy(leg: str, index: int) -> str:
        names = ", ".join(["component", *(pair[index] for pair in keys)])
        return f"(\n  select {names} from work_{leg} group by {names} having count(*) > {CROWD}\n)"

    met = " and ".join(["b.component = a.component", *(f"b.{right} = a.{left}" for left, right in keys)])
    own = " and ".join(["l.component = a.component", *(f"l.{left} = a.{left}" for left, _ in keys)])
    return (
        f"insert into work_crowd (nr)\nselect l.nr from work_l l join {busy('l', 0)} a on {own}"
        f"\njoin {busy('r', 1)} b on {met}"
    )


def _neighbours(row: str, condition: str, keys: Sequence[tuple[str, str]], order_by: str) -> str:
    """Rows next to each other in the crowd sorted as one, and the n-th of one side with the n-th of the other."""
    names = [f"k{n}" for n in range(len(keys))]
    crowd = ", ".join(["m.component", *(f"m.{name}" for name in names)])
    left = ", ".join(f"x.{a} as {name}" for (a, _), name in zip(keys, names, strict=True))
    right = ", ".join(f"x.{b} as {name}" for (_, b), name in zip(keys, names, strict=True))
    met = " and ".join(["h.component = x.component", *(f"h.{a} = x.{b}" for a, b in keys)])
    shared = ", ".join(dict.fromkeys(["y.component", *(f"y.{a}" for a, _ in keys)]))
    offsets = " union all ".join(f"select {n} as step" for n in range(1 - NEIGHBOURS, NEIGHBOURS + 1))
    order = "m.sorted, m.nr, m.leg rows between unbounded preceding and current row"
    theirs = "sum(case when m.leg = 'R' then 1 else 0 end) over"
    # Places count through all crowds, so that rows meet by one number; the condition keeps crowds apart, and as a case
    # it is asked of neighbours instead of being taken for what to join by.
    return f"""with m as (
  select 'L' as leg, x.nr, x.component, x.{order_by} as sorted, {left}
  from work_l x where x.nr in (select w.nr from work_crowd w)
  union all
  select 'R', x.nr, x.component, x.{order_by}, {right}
  from work_r x join (
    select distinct {shared} from work_l y where y.nr in (select w.nr from work_crowd w)
  ) h on {met}
), placed as (
  select m.leg, m.nr, row_number() over (partition by m.leg, {crowd} order by m.sorted, m.nr) as own,
    {theirs} (order by {crowd}, {order}) as place,
    {theirs} (partition by {crowd} order by {order}) as passed
  from m
), near as (
  select a.nr as left_nr, b.nr as right_nr
  from (select p.nr, p.place + o.step as place from placed p cross join ({offsets}) o where p.leg = 'L') a
    join (select p.nr, p.place from placed p where p.leg = 'R') b on b.place = a.place
  union
  select a.nr, b.nr from (select p.nr, p.place - p.passed + p.own as place from placed p where p.leg = 'L') a
    join (select p.nr, p.place from placed p where p.leg = 'R') b on b.place = a.place
)
select {row}
from near n join work_l l on l.nr = n.left_nr join work_r r on r.nr = n.right_nr
where case when {condition} then 1 else 0 end = 1"""


def pair(warehouse: Warehouse, text: Mutual, *, most: int) -> tuple[int, bool]:
    """Fill work_pair; `most` is the lesser number of free rows of a side. Returns pairs, and whether crowds may go on.

    A crowd's rows have other neighbours when some are taken: it is asked again until it yields nothing.
    """
    busy = most > CROWD and warehouse.query(text.busy).num_rows > 0
    crowd = warehouse.execute(text.crowd) if busy else 0
    found = warehouse.execute(text.candidates)
    if crowd:
        found += warehouse.execute(text.neighbours)
    pairs = _choose(warehouse) if found else 0
    if found:
        warehouse.execute("delete from work_candidate")
    if crowd:
        warehouse.execute("delete from work_crowd")
    return pairs, crowd > 0 and pairs > 0


def _choose(warehouse: Warehouse) -> int:
    rivals = warehouse.execute(RIVALS)
    # Whoever has a rival, or is chosen by one who has, is among the rivals with all its candidates.
    pairs = warehouse.execute(PAIRS)
    if rivals == 0:
        return pairs
    for turn in range(_ROUNDS):
        if not warehouse.execute(CHOOSE, {"turn": turn}):
            break
        warehouse.execute(FORGET_CHOSEN, {"turn": turn})
    else:
        _follow(warehouse)
    pairs += warehouse.execute(CHOSEN)
    warehouse.execute("delete from work_rival")
    warehouse.execute("delete from work_choice")
    return pairs


def _follow(warehouse: Warehouse) -> None:
    """Every further round at once.

    The least pair of all, ties by our number and then theirs, is always one where both choose each other, and so is the
    least of those it leaves: taking them in that order ends where rounds end.
    """
    rest = warehouse.query(
        f"select c.left_id, c.right_id, c.left_nr, c.right_nr from work_rival c"
        f" order by {_NEAREST}, c.left_nr, c.right_nr"
    )
    ours: set[int] = set()
    theirs: set[int] = set()
    chosen = []
    pairs = zip(rest["left_nr"].to_pylist(), rest["right_nr"].to_pylist(), strict=True)
    for row, (left, right) in enumerate(pairs):
        if left not in ours and right not in theirs:
            ours.add(left)
            theirs.add(right)
            chosen.append(row)
    if chosen:
        taken = rest.take(chosen)
        warehouse.append("work_choice", taken.append_column("turn", pa.repeat(_ROUNDS, len(chosen))))
