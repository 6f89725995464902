"""SQL text: Snowflake dialect in, each adapter's dialect out, and exact literals for times."""

from datetime import UTC, datetime
from functools import lru_cache

import sqlglot
from sqlglot import exp

_NANOSECONDS = 1_000_000_000


@lru_cache(maxsize=4096)
def to_duckdb(text: str) -> str:
    """The same statement in DuckDB's dialect; parameters `:name` become `$name`. Raises sqlglot.ParseError."""
    return parsed(text).sql(dialect="duckdb")


# Trees are large: one is kept only from who reads it to who writes it in another dialect.
@lru_cache(maxsize=16)
def parsed(text: str) -> exp.Expr:
    """The statement as a tree, not to be changed. Raises sqlglot.ParseError."""
    statements = sqlglot.parse(text, read="snowflake")
    if len(statements) != 1 or statements[0] is None:
        raise ValueError(f"expected one SQL statement, found {len(statements)}: {text[:80]!r}")
    return statements[0]


def timestamp(ns: int) -> str:
    """UTC nanoseconds as `YYYY-MM-DD HH:MM:SS.nnnnnnnnn`, to be cast with `::timestamp_ntz(9)`."""
    whole, fraction = divmod(ns, _NANOSECONDS)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%d %H:%M:%S}.{fraction:09d}"
