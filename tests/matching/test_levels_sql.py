"""The SQL of the levels beside the trade passes: both texts are kept, so a change of text is a review item."""

import re
from pathlib import Path

import pytest

from matching.levels import copies_apart, copies_sql, ingest_sql, sessions, silent, status_sql, strange_books
from warehouse.sql import to_duckdb

SNAPSHOTS = Path(__file__).parent / "snapshots"
FORBIDDEN = re.compile(r"\b(merge|asof|variant|flatten|create|drop|alter|truncate|grant)\b|/", re.IGNORECASE)
VERBS = re.compile(r"\s*(insert into|update|delete from|select|with)\b", re.IGNORECASE)


def statements() -> dict[str, str]:
    named = {}
    for module in (status_sql, ingest_sql, strange_books, silent, sessions, copies_sql, copies_apart):
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and not name.startswith("_") and VERBS.match(value):
                named[f"{module.__name__.rpartition('.')[2]}/{name.lower()}"] = value
            elif isinstance(value, ingest_sql.Told):
                named |= {f"ingest_sql/{name.lower()}/{n}": text for n, text in enumerate(value.statements())}
    named |= {f"copies_sql/pairs/{number}": sql for number, sql in enumerate(copies_sql.PAIRS)}
    items = {"copies": copies_sql.copies("0.005"), "ours": copies_sql.ours("0.005", "e.exec_broker_id")}
    return named | {f"copies_sql/{name}": sql for name, sql in items.items()}


def text(named: dict[str, str]) -> str:
    return "".join(f"-- {name}\n{sql.strip()};\n\n" for name, sql in named.items())


@pytest.mark.parametrize("dialect", ["snowflake", "duckdb"])
def test_the_text_is_the_reviewed_one(dialect: str) -> None:
    named = statements()
    if dialect == "duckdb":
        named = {name: to_duckdb(sql) for name, sql in named.items()}
    path = SNAPSHOTS / f"status_levels.{dialect}.sql"
    assert path.read_text(encoding="utf-8") == text(named), f"review the change, then write {path.name} anew"


def test_the_levels_stay_inside_the_portable_subset() -> None:
    assert len(statements()) > 30
    for name, sql in statements().items():
        assert not FORBIDDEN.search(re.sub(r"'[^']*'", "''", sql)), name
