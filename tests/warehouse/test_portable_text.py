"""The SQL of every room is text Snowflake would take: no function it lacks, no name it reserves.

The fake account cannot show this, because it is another database underneath.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from domain.schema import TABLES
from matching.tables import OWN_TABLES

ROOT = Path(__file__).parents[2]
ROOMS = ("warehouse", "ingest", "matching", "anomaly", "alerting", "console", "app")
# Statements of the embedded ticket service are SQLite's.
ELSEWHERE = ("alerting/service/", "warehouse/compaction.py")
# What a statement may call: every one of these exists on Snowflake under this very name.
FUNCTIONS = {
    "abs", "bitand", "cast", "ceil", "chr", "coalesce", "concat", "count", "date_trunc", "dateadd", "datediff",
    "decode", "dense_rank", "equal_null", "first_value", "floor", "greatest", "hash", "iff", "ifnull", "lag",
    "last_value", "lead", "least", "left", "length", "listagg", "lower", "lpad", "ltrim", "max", "max_by", "min",
    "min_by", "mod", "nullif", "nvl", "percentile_cont", "position", "rank", "replace", "reverse", "right", "round",
    "row_number", "rtrim", "sha2", "sign", "split_part", "startswith", "substr", "sum", "to_date", "translate", "trim",
    "upper",
}  # fmt: skip
_WORDS = {
    "in", "values", "and", "or", "as", "over", "exists", "with", "on", "from", "when", "then", "not", "where", "by",
    "using", "varchar", "number", "timestamp_ntz", "char", "select", "between", "else", "union", "join", "if", "like",
}  # fmt: skip
# Words Snowflake reserves for itself or with the standard: no column or alias may be called so.
RESERVED = set(
    """all alter and any as between by case cast check column connect constraint create cross current current_date
    current_time current_timestamp current_user delete distinct drop else exists false following for from full grant
    group gscluster having ilike in increment inner insert intersect into is issue join lateral left like localtime
    localtimestamp minus natural not null of on or order qualify regexp revoke right rlike row rows sample select set
    some start table tablesample then to trigger true try_cast union unique update using values when whenever where
    with at""".split()  # noqa: SIM905
)
_STATEMENT = re.compile(r"\b(SELECT\b.*\bFROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET|WITH \w+ AS \()", re.I | re.S)
_CALLS = re.compile(r"(?<![\w.\"'])([a-z_0-9]+)\(", re.I)
_NAMED = re.compile(r"\bAS ([a-z_]\w*)\b(?! \()", re.I)
_LITERALS = re.compile(r"'[^']*'|--[^\n]*")


def calls(sql: str) -> set[str]:
    """Functions a statement calls, in lower case."""
    tables = {*TABLES, *(table.name for table in OWN_TABLES)}
    found = {name.lower() for name in _CALLS.findall(_LITERALS.sub("''", sql))}
    return {name for name in found - _WORDS - tables if not name.startswith("work_")}


@cache
def statements() -> tuple[tuple[str, str], ...]:
    """File and text of every statement written in the rooms; what an f-string fills in is `x`."""
    return tuple(_statements())


def _statements() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(ELSEWHERE):
                for text in _texts(path.read_text(encoding="utf-8")):
                    if _STATEMENT.search(text):
                        yield name, text


def _texts(source: str) -> Iterator[str]:
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def test_only_functions_that_snowflake_has() -> None:
    foreign = {(name, call) for name, sql in statements() for call in calls(sql) - FUNCTIONS}
    assert not foreign, "look the name up in Snowflake's manual; if it is there, add it to FUNCTIONS"
    assert len(statements()) > 100


@pytest.mark.parametrize("table", [*TABLES.values(), *OWN_TABLES], ids=lambda table: table.name)
def test_no_column_has_a_reserved_name(table: object) -> None:
    assert not {field.name for field in table.fields} & RESERVED  # type: ignore[attr-defined]


def test_no_alias_is_a_reserved_name() -> None:
    kinds = {"date", "timestamp_ntz", "varchar", "number", "bigint", "boolean"}
    named = {(name, alias) for name, sql in statements() for alias in _NAMED.findall(_LITERALS.sub("''", sql))}
    assert not {(name, alias) for name, alias in named if alias.lower() in RESERVED - kinds}
