"""Statements that can do nothing: what their text says of it is what the warehouse does, and a run leaves them out."""

import itertools

import pytest

from matching.scratch import Noted, cleared
from matching.tables import prepare
from matching.void import emptied_by, void
from warehouse.duckdb import DuckDbWarehouse
from warehouse.migrations import migrate

# Over tables a, b, c of one column x; what each may need, told apart by what the warehouse answers.
_STATEMENTS = (
    "select x from a",
    "select a.x from a join b on b.x = a.x",
    "select a.x from a left join b on b.x = a.x join c on c.x = a.x",
    "select a.x from a right join b on b.x = a.x",
    "select coalesce(a.x, b.x) as x from a full join b on b.x = a.x",
    "select a.x from a cross join b",
    "select a.x from a, b where b.x = a.x",
    "select x from a union all select x from b",
    "select x from a union select x from b union select x from c",
    "select a.x from a where a.x in (select b.x from b) and exists (select 1 from c)",
    "select a.x from a where a.x in (select b.x from b) or a.x in (select c.x from c)",
    "select a.x from a where a.x not in (select b.x from b)",
    "select a.x from a where not exists (select 1 from b) and (a.x = 1 or a.x in (select c.x from c))",
    "select count(*) from a",
    "select max(x) from a",
    "select max(x) from a group by x",
    "select sum(x) over (order by x) from a",
    "select hash(x) from a",
    "select (select max(b.x) from b) from a",
    "select k.n from (select count(*) as n from a) k join b on b.x = k.n",
    "with k as (select x from a), m as (select k.x from k join b on b.x = k.x) select m.x from m"
    " left join c on c.x = 1",
    "with a as (select x from b) select x from a",
    "with recursive k as (select x from a union all select k.x + 1 from k join b on b.x = k.x where k.x < 3)"
    " select x from k",
    "select y.x from (select x from a where x in (select x from b)) y",
    "select 1 as one",
    "select 1 as one from a limit 1",
    "select x from a qualify row_number() over (order by x) = 1",
)
_CHANGES = (
    "delete from a",
    "delete from a where x in (select x from b)",
    "delete from a where not exists (select 1 from b)",
    "update a set x = 1 where x in (select x from b)",
    "insert into a (x) select x from b where exists (select 1 from c)",
    "insert into a values (1)",
)


def _filled(warehouse: DuckDbWarehouse, empty: tuple[str, ...]) -> None:
    for name in "abc":
        warehouse.execute(f"create or replace table {name} (x bigint)")
        if name not in empty:
            warehouse.execute(f"insert into {name} values (1)")


@pytest.mark.parametrize("empty", [e for n in range(4) for e in itertools.combinations("abc", n)], ids="".join)
def test_what_is_told_to_find_nothing_finds_nothing(empty: tuple[str, ...]) -> None:
    warehouse = DuckDbWarehouse()
    for sql in _STATEMENTS:
        _filled(warehouse, empty)
        assert not (void(sql).holds(empty) and warehouse.query(sql).num_rows), sql
    for sql in _CHANGES:
        _filled(warehouse, empty)
        assert not (void(sql).holds(empty) and warehouse.execute(sql)), sql


def test_what_finds_nothing_is_told() -> None:
    """Rows are equal here, so a statement without a row lacks a table; few things are beyond what text tells."""
    warehouse = DuckDbWarehouse()
    missed = set()
    for empty in (e for n in range(4) for e in itertools.combinations("abc", n)):
        _filled(warehouse, empty)
        missed |= {sql for sql in _STATEMENTS if not void(sql).holds(empty) and not warehouse.query(sql).num_rows}
    told_by_values = {sql for sql in _STATEMENTS if " not in " in sql or "not exists" in sql or "as n from a" in sql}
    assert missed - {"select hash(x) from a"} <= told_by_values


def test_a_run_asks_nothing_of_tables_it_knows_to_be_empty() -> None:
    warehouse = DuckDbWarehouse()
    migrate(warehouse)
    prepare(warehouse)
    noted = cleared(warehouse)
    asked = "insert into work_l (record_id) select record_id from work_item"
    assert noted.idle(asked)
    noted.execute("insert into work_item (record_id) select 'r'")
    assert not noted.idle(asked)
    assert noted.execute(asked) == 1
    noted.execute("delete from work_item")
    assert noted.idle(asked)
    assert not noted.idle("delete from work_l")
    assert not noted.idle("select 1 as found from trade_event limit 1")
    noted.know({"trade_event"})
    assert noted.idle("select 1 as found from trade_event limit 1")


def test_what_a_run_left_is_emptied_by_the_next_though_it_was_rolled_back() -> None:
    warehouse = DuckDbWarehouse()
    migrate(warehouse)
    prepare(warehouse)

    def rows() -> int:
        return int(warehouse.query("select count(*) as n from work_item")["n"][0].as_py())

    def fill(noted: Noted) -> None:
        noted.execute("insert into work_item (record_id) select 'r'")

    with warehouse.transaction():
        first = cleared(warehouse)
        fill(first)
    first.settled()
    with pytest.raises(ZeroDivisionError), warehouse.transaction():
        cleared(warehouse)
        assert rows() == 0
        raise ZeroDivisionError
    with warehouse.transaction():
        assert rows() == 1  # the rollback brought it back
        second = cleared(warehouse)
        assert rows() == 0
    second.settled()
    with warehouse.transaction():
        fill(cleared(warehouse))
        cleared(warehouse)
        assert rows() == 0


def test_tables_left_without_a_row() -> None:
    assert emptied_by("delete from work_pair") == "work_pair"
    assert emptied_by("delete from work_pair where left_id = 'a'") is None
    assert emptied_by("select 1") is None
