"""Encoded queries (sysparm_query) to SQL: names only from the data dictionary, values only as bound parameters."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from alerting.service.tables import TABLES, Column, Kind, ServiceTable

_CONDITION = re.compile(
    r"(?P<path>[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)"
    r"(?P<operator>NOT IN|NOT LIKE|DOES NOT CONTAIN|STARTSWITH|ENDSWITH|ISNOTEMPTY|ISEMPTY|EMPTYSTRING|ANYTHING"
    r"|CONTAINS|BETWEEN|NSAMEAS|SAMEAS|LIKE|IN|!=|>=|<=|!\*|=|<|>|\*|%)"
    r"(?P<value>.*)",
    re.DOTALL,
)
_CARET = "\x00"  # stands for an escaped ^^ while the text is split
_MAX_DEPTH = 3
MAX_CONDITIONS = 500  # SQLite bounds the depth of an expression


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with the values for its `?` marks, in order."""

    text: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed encoded query: WHERE and ORDER BY text, and every part that was not understood."""

    where: Sql
    order: str
    ignored: tuple[str, ...]
    conditions: int


def expression(table: ServiceTable, path: str, alias: str = "t", depth: int = 0) -> tuple[str, Column] | None:
    """SQL for a field or dot-walked path and the column it ends in; None for an unknown one."""
    head, _, rest = path.partition(".")
    column = table.columns.get(head)
    if column is None:
        return None
    if column.kind is Kind.JOURNAL:
        return None if rest else ("''", column)
    if not rest:
        return f"{alias}.{column.name}", column
    if column.kind is not Kind.REFERENCE or depth >= _MAX_DEPTH:
        return None
    target = TABLES[column.target]
    inner = expression(target, rest, f"r{depth}", depth + 1)
    if inner is None:
        return None
    text = f"(SELECT {inner[0]} FROM {target.name} r{depth} WHERE r{depth}.sys_id = {alias}.{column.name})"
    return f"COALESCE({text}, '')", inner[1]


def _escape_like(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _like(before: str, after: str, negate: bool = False) -> Callable[[str, str, Column], Sql]:
    word = "NOT LIKE" if negate else "LIKE"

    def build(sql: str, value: str, _: Column) -> Sql:
        return Sql(f"{sql} {word} ? ESCAPE '\\'", (before + _escape_like(value) + after,))

    return build


def _compare(sign: str) -> Callable[[str, str, Column], Sql]:
    def build(sql: str, value: str, column: Column) -> Sql:
        if column.kind is Kind.NUMBER:
            return Sql(f"({sql} <> '' AND CAST({sql} AS NUMERIC) {sign} CAST(? AS NUMERIC))", (value,))
        return Sql(f"({sql} <> '' AND {sql} {sign} ? COLLATE NOCASE)", (value,))

    return build


def _equal(negate: bool) -> Callable[[str, str, Column], Sql]:
    def build(sql: str, value: str, _: Column) -> Sql:
        return Sql(f"{sql} {'<>' if negate else '='} ? COLLATE NOCASE", (value,))

    return build


def _one_of(negate: bool) -> Callable[[str, str, Column], Sql]:
    def build(sql: str, value: str, _: Column) -> Sql:
        values = tuple(part.strip() for part in value.split(","))
        marks = ", ".join("?" for _ in values)
        return Sql(f"{sql} COLLATE NOCASE {'NOT IN' if negate else 'IN'} ({marks})", values)

    return build


def _between(sql: str, value: str, column: Column) -> Sql:
    low, _, high = value.partition("@")
    lower, upper = _compare(">=")(sql, low, column), _compare("<=")(sql, high, column)
    return Sql(f"({lower.text} AND {upper.text})", lower.values + upper.values)


def _fixed(template: str) -> Callable[[str, str, Column], Sql]:
    return lambda sql, _value, _column: Sql(template.format(sql))


_OPERATORS: Mapping[str, Callable[[str, str, Column], Sql]] = MappingProxyType(
    {
        "=": _equal(False),
        "!=": _equal(True),
        "<": _compare("<"),
        "<=": _compare("<="),
        ">": _compare(">"),
        ">=": _compare(">="),
        "LIKE": _like("%", "%"),
        "CONTAINS": _like("%", "%"),
        "*": _like("%", "%"),
        "NOT LIKE": _like("%", "%", negate=True),
        "DOES NOT CONTAIN": _like("%", "%", negate=True),
        "!*": _like("%", "%", negate=True),
        "STARTSWITH": _like("", "%"),
        "ENDSWITH": _like("%", ""),
        "%": _like("%", ""),
        "IN": _one_of(False),
        "NOT IN": _one_of(True),
        "ISEMPTY": _fixed("{} = ''"),
        "EMPTYSTRING": _fixed("{} = ''"),
        "ISNOTEMPTY": _fixed("{} <> ''"),
        "ANYTHING": _fixed("1 = 1"),
        "BETWEEN": _between,
    }
)


def _condition(table: ServiceTable, text: str) -> Sql | None:
    found = _CONDITION.fullmatch(text)
    if found is None:
        return None
    target = expression(table, found["path"])
    operator, value = found["operator"], found["value"].replace(_CARET, "^")
    if target is None or value.startswith("javascript:"):
        return None
    sql, column = target
    if operator in ("SAMEAS", "NSAMEAS"):
        other = expression(table, value)
        return Sql(f"{sql} {'=' if operator == 'SAMEAS' else '<>'} {other[0]}") if other else None
    if operator == "BETWEEN" and "@" not in value:
        return None
    return _OPERATORS[operator](sql, value, column)


def _joined(word: str, parts: Sequence[Sql]) -> Sql:
    text = f" {word} ".join(part.text for part in parts)
    values = tuple(value for part in parts for value in part.values)
    return Sql(f"({text})" if len(parts) > 1 else text, values)


def _group(table: ServiceTable, text: str, order: list[str], ignored: list[str]) -> Sql | None:
    """One `^NQ` group: AND of conditions, each with its `^OR` alternatives."""
    alternatives: list[list[Sql]] = []
    follows_ignored = False
    for part in text.split("^"):
        if not part or part == "EQ":
            continue
        if part.startswith("ORDERBY"):
            _ordering(table, part, order, ignored)
            continue
        is_or = part.startswith("OR")
        condition = _condition(table, part[2:] if is_or else part)
        if condition is None:
            ignored.append(part.replace(_CARET, "^"))
            follows_ignored = follows_ignored or not is_or
        elif is_or and alternatives and not follows_ignored:
            alternatives[-1].append(condition)
        else:
            alternatives.append([condition])
            follows_ignored = False
    return _joined("AND", [_joined("OR", group) for group in alternatives]) if alternatives else None


def _ordering(table: ServiceTable, part: str, order: list[str], ignored: list[str]) -> None:
    descending = part.startswith("ORDERBYDESC")
    target = expression(table, part.removeprefix("ORDERBYDESC" if descending else "ORDERBY"))
    if target is None:
        ignored.append(part)
        return
    sql, column = target
    sort = f"CAST({sql} AS NUMERIC)" if column.kind is Kind.NUMBER else f"{sql} COLLATE NOCASE"
    order.append(f"{sort} DESC" if descending else sort)


def parse(table: ServiceTable, text: str) -> Query:
    """The query as SQL over alias `t`. Unknown fields and operators are listed in `ignored`, never raised.

    Leaving out what is not understood is what ServiceNow documents, so a mistyped condition selects every row.
    """
    order: list[str] = []
    ignored: list[str] = []
    text = text.replace("^^", _CARET)
    groups = [_group(table, part, order, ignored) for part in text.split("^NQ")]
    wanted = [group for group in groups if group is not None]
    where = _joined("OR", wanted) if wanted else Sql("1 = 1")
    return Query(where, ", ".join([*order, "t.rowid"]), tuple(ignored), text.count("^") + 1)


def plain_filters(table: ServiceTable, pairs: Sequence[tuple[str, str]]) -> Sql:
    """Conditions from plain parameters (`active=true&state=Closed`), raw values or labels; unknown names ignored."""
    parts = []
    for name, value in pairs:
        target = expression(table, name)
        if target is None:
            continue
        raw = next((key for key, label in target[1].choices.items() if label.lower() == value.lower()), value)
        parts.append(Sql(f"{target[0]} = ? COLLATE NOCASE", (raw,)))
    return _joined("AND", parts) if parts else Sql("1 = 1")
