"""The SQL of positions, cash and settlement: both texts are kept, so a change of text is a review item."""

import re
from pathlib import Path

import pytest

from matching.levels import books, cash_expected, cash_sql, late, positions_sql, settlement_sql
from warehouse.sql import to_duckdb

SNAPSHOTS = Path(__file__).parent / "snapshots"
FORBIDDEN = re.compile(r"\b(merge|asof|variant|flatten|create|drop|alter|truncate|grant)\b|/", re.IGNORECASE)
STATEMENT = re.compile(r"\s*(with|select|insert into (work_component|match_expected|work_finding))\b")


def statements() -> dict[str, str]:
    return {
        f"{module.__name__.rpartition('.')[2]}/{name.lower()}": value
        for module in (books, positions_sql, cash_sql, cash_expected, settlement_sql, late)
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str) and STATEMENT.match(value)
    }


@pytest.mark.parametrize("dialect", ["snowflake", "duckdb"])
def test_the_text_is_the_reviewed_one(dialect: str) -> None:
    named = statements()
    if dialect == "duckdb":
        named = {name: to_duckdb(sql) for name, sql in named.items()}
    text = "".join(f"-- {name}\n{sql.strip()};\n\n" for name, sql in named.items())
    path = SNAPSHOTS / f"books.{dialect}.sql"
    assert path.read_text(encoding="utf-8") == text, f"review the change, then write {path.name} anew"


def test_the_statements_stay_inside_the_portable_subset() -> None:
    for name, sql in statements().items():
        assert not FORBIDDEN.search(re.sub(r"'[^']*'", "''", sql)), name
