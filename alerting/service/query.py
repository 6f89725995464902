"""Encoded queries (sysparm_query) to SQL: names only from the data dictionary, values only as bound parameters."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from alerting.service import special
from alerting.service.moments import Asker, evaluated, relative, span
from alerting.service.sqltext import Sql, escape_like
from alerting.service.tables import TABLES, Column, Kind, ServiceTable

_CONDITION = re.compile(
    r"(?P<path>[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)"
    r"(?P<operator>NOT ?IN|NOT ?LIKE|DOES NOT CONTAIN|DATEPART|MORETHAN|LESSTHAN|DYNAMIC|STARTSWITH|ENDSWITH"
    r"|ISNOTEMPTY|ISEMPTY|EMPTYSTRING|ANYTHING|CONTAINS|BETWEEN|NSAMEAS|SAMEAS|NOTON|GT_OR_EQUALS_FIELD"
    r"|LT_OR_EQUALS_FIELD|GT_FIELD|LT_FIELD|INSTANCEOF|RELATIVE(?:GT|GE|LT|LE|EE)|LIKE|IN|ON|!=|>=|<=|!\*|=|<|>|\*|%)"
    r"(?P<value>.*)",
    re.DOTALL,
)
_CARET = "\x00"  # stands for an escaped ^^ while the text is split
_MAX_DEPTH = 3
MAX_CONDITIONS = 500  # SQLite bounds the depth of an expression
_RELATED = re.compile(
    r"RLQUERY(?P<table>\w+)\.(?P<field>\w+),(?P<sign>>=|<=|!=|=|>|<)(?P<count>\d{1,9})(?:,m2m)?(?P<rest>.*)"
)
_JOIN = re.compile(r"JOIN(?P<mine>\w+)\.(?P<key>\w+)=(?P<table>\w+)\.(?P<field>\w+)(?:!(?P<rest>.*))?")
_RELATED_MARK = "\x01"  # stands for a related list query, which holds carets of its own
_FIELD_SIGNS = MappingProxyType(
    {"SAMEAS": "=", "NSAMEAS": "<>", "GT_FIELD": ">", "LT_FIELD": "<", "GT_OR_EQUALS_FIELD": ">=",
     "LT_OR_EQUALS_FIELD": "<="}
)  # fmt: skip
_RELATIVE_SIGNS = MappingProxyType({"GT": ">", "GE": ">=", "LT": "<", "LE": "<=", "EE": "="})
_NOBODY = Asker(0, "", "")
_FLAGS = MappingProxyType({"1": "true", "0": "false"})
# Tables that extend another: a record of one is an instance of the other.
_EXTENDS = MappingProxyType({"task": ("incident", "problem")})


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
        return f'{alias}."{column.name}"', column
    if column.kind is not Kind.REFERENCE or depth >= _MAX_DEPTH:
        return None
    target = TABLES[column.target]
    inner = expression(target, rest, f"r{depth}", depth + 1)
    if inner is None:
        return None
    text = f'(SELECT {inner[0]} FROM {target.name} r{depth} WHERE r{depth}.sys_id = {alias}."{column.name}")'
    return f"COALESCE({text}, '')", inner[1]


def _like(before: str, after: str, negate: bool = False) -> Callable[[str, str, Column], Sql]:
    word = "NOT LIKE" if negate else "LIKE"

    def build(sql: str, value: str, _: Column) -> Sql:
        return Sql(f"{sql} {word} ? ESCAPE '\\'", (before + escape_like(value) + after,))

    return build


def _compare(sign: str) -> Callable[[str, str, Column], Sql]:
    def build(sql: str, value: str, column: Column) -> Sql:
        if column.kind is Kind.NUMBER:
            return Sql(f"({sql} <> '' AND CAST({sql} AS NUMERIC) {sign} CAST(? AS NUMERIC))", (value,))
        return Sql(f"({sql} <> '' AND {sql} {sign} ? COLLATE NOCASE)", (value,))

    return build


def _equal(negate: bool) -> Callable[[str, str, Column], Sql]:
    def build(sql: str, value: str, column: Column) -> Sql:
        if column.kind is Kind.FLAG:
            value = _FLAGS.get(value, value)
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
        "NOTLIKE": _like("%", "%", negate=True),
        "DOES NOT CONTAIN": _like("%", "%", negate=True),
        "!*": _like("%", "%", negate=True),
        "STARTSWITH": _like("", "%"),
        "ENDSWITH": _like("%", ""),
        "%": _like("%", ""),
        "IN": _one_of(False),
        "NOT IN": _one_of(True),
        "NOTIN": _one_of(True),
        "ISEMPTY": _fixed("{} = ''"),
        "EMPTYSTRING": _fixed("{} = ''"),
        "ISNOTEMPTY": _fixed("{} <> ''"),
        "ANYTHING": _fixed("1 = 1"),
    }
)


def _condition(table: ServiceTable, text: str, asker: Asker) -> Sql | None:
    found = _CONDITION.fullmatch(text)
    if found is None:
        return None
    target = expression(table, found["path"])
    operator, value = found["operator"], found["value"].replace(_CARET, "^")
    if target is None:
        return None
    sql, column = target
    if operator in _FIELD_SIGNS:
        other = expression(table, value)
        return _compare_fields(sql, other[0], _FIELD_SIGNS[operator], column) if other else None
    if operator in ("ON", "NOTON"):
        return _on(sql, span(value, asker), operator == "NOTON")
    if operator.startswith("RELATIVE"):
        moment = relative(value, asker)
        sign = _RELATIVE_SIGNS[operator.removeprefix("RELATIVE")]
        return None if moment is None else _compare(sign)(sql, moment, column)
    if operator in _SPECIAL:
        return _special(table, operator, sql, column, value, asker)
    if operator == "BETWEEN":
        ends = [evaluated(end, asker) for end in value.split("@")]
        return _between(sql, f"{ends[0]}@{ends[1]}", column) if len(ends) == 2 and None not in ends else None
    known = evaluated(value, asker)
    return None if known is None else _OPERATORS[operator](sql, known, column)


_SPECIAL = frozenset({"INSTANCEOF", "DATEPART", "MORETHAN", "LESSTHAN", "DYNAMIC"})


def _special(table: ServiceTable, operator: str, sql: str, column: Column, value: str, asker: Asker) -> Sql | None:
    if operator == "INSTANCEOF":
        classes = (value, *_EXTENDS.get(value, ()))
        return Sql(f"{sql} COLLATE NOCASE IN ({', '.join('?' for _ in classes)})", classes)
    if operator == "DATEPART":
        return special.date_part(sql, value)
    if operator == "DYNAMIC":
        return special.dynamic(sql, column, value, asker)
    parts = special.span_parts(value)
    other = expression(table, parts[0]) if parts else None
    return special.apart(sql, other[0], parts[1], operator == "MORETHAN") if parts and other else None


def _compare_fields(left: str, right: str, sign: str, column: Column) -> Sql:
    if column.kind is Kind.NUMBER and sign not in ("=", "<>"):
        return Sql(f"({left} <> '' AND {right} <> '' AND CAST({left} AS NUMERIC) {sign} CAST({right} AS NUMERIC))")
    return Sql(f"{left} {sign} {right}")


def _on(sql: str, ends: tuple[str, str] | None, negate: bool) -> Sql | None:
    if ends is None:
        return None
    return Sql(f"({sql} <> '' AND {sql} {'NOT BETWEEN' if negate else 'BETWEEN'} ? AND ?)", ends)


def _related(table: ServiceTable, text: str, asker: Asker) -> Sql | None:
    """How many records of another table refer to this one: `RLQUERYincident.parent_incident,>=1^state=1`."""
    found = _RELATED.fullmatch(text)
    target = TABLES.get(found["table"]) if found else None
    if found is None or target is None or found["field"] not in target.columns:
        return None
    order: list[str] = []
    ignored: list[str] = []
    inner = _group(target, found["rest"].removeprefix("^"), order, ignored, asker, [])
    if ignored:
        return None
    where = _renamed(inner) if inner else Sql("1 = 1")
    sign = "<>" if found["sign"] == "!=" else found["sign"]
    text = f"(SELECT count(*) FROM {target.name} rl WHERE rl.{found['field']} = t.sys_id AND {where.text})"
    return Sql(f"{text} {sign} CAST(? AS INTEGER)", (*where.values, found["count"]))


def _join(table: ServiceTable, text: str, asker: Asker) -> Sql | None:
    """Records to which one of another table refers, as in `JOINincident.sys_id=sys_journal_field.element_id`."""
    found = _JOIN.fullmatch(text)
    target = TABLES.get(found["table"]) if found else None
    if found is None or target is None or found["mine"] != table.name:
        return None
    if found["key"] not in table.columns or found["field"] not in target.columns:
        return None
    rest = found["rest"] or ""
    inner = _condition(target, rest, asker) if rest else Sql("1 = 1")
    if inner is None:
        return None
    where = _renamed(inner)
    text = f"SELECT 1 FROM {target.name} rl WHERE rl.{found['field']} = t.{found['key']} AND {where.text}"
    return Sql(f"EXISTS ({text})", where.values)


def _renamed(inner: Sql) -> Sql:
    """A condition over alias `t` told of alias `rl`; values are bound, so the text holds names only."""
    return Sql(re.sub(r"\bt\.", "rl.", inner.text), inner.values)


def _joined(word: str, parts: Sequence[Sql]) -> Sql:
    text = f" {word} ".join(part.text for part in parts)
    values = tuple(value for part in parts for value in part.values)
    return Sql(f"({text})" if len(parts) > 1 else text, values)


def _part(table: ServiceTable, text: str, asker: Asker, related: Sequence[str]) -> Sql | None:
    if text.startswith(special.KEYWORDS):
        return special.keywords(table, text.removeprefix(special.KEYWORDS).replace(_CARET, "^"))
    if text.startswith(_RELATED_MARK):
        return _related(table, related[int(text.removeprefix(_RELATED_MARK))], asker)
    return _join(table, text, asker) if text.startswith("JOIN") else _condition(table, text, asker)


def _group(
    table: ServiceTable, text: str, order: list[str], ignored: list[str], asker: Asker, related: Sequence[str]
) -> Sql | None:
    """One `^NQ` group: AND of conditions, each with its `^OR` alternatives."""
    alternatives: list[list[Sql]] = []
    follows_ignored = False
    for part in text.split("^"):
        if not part or part == "EQ":
            continue
        if part.startswith(("ORDERBY", "GROUPBY")):
            # A list that is grouped is a list in the order of its groups.
            _ordering(table, part.replace("GROUPBY", "ORDERBY", 1), order, ignored)
            continue
        is_or = part.startswith("OR")
        condition = _part(table, part[2:] if is_or else part, asker, related)
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


def parse(table: ServiceTable, text: str, asker: Asker = _NOBODY) -> Query:
    """The query as SQL over alias `t`. Unknown fields and operators are listed in `ignored`, never raised.

    Leaving out what is not understood is what ServiceNow documents, so a mistyped condition selects every row.
    """
    order: list[str] = []
    ignored: list[str] = []
    conditions = text.count("^") + 1
    related: list[str] = []

    def kept(found: re.Match[str]) -> str:
        related.append(found[0].removesuffix("^ENDRLQUERY"))
        return f"{_RELATED_MARK}{len(related) - 1}"

    plain = text.replace("\x00", "").replace(_RELATED_MARK, "").replace("^^", _CARET)
    marked = re.sub(r"RLQUERY.*?\^ENDRLQUERY", kept, plain, flags=re.DOTALL)
    groups = [_group(table, part, order, ignored, asker, related) for part in marked.split("^NQ")]
    wanted = [group for group in groups if group is not None]
    where = _joined("OR", wanted) if wanted else Sql("1 = 1")
    return Query(where, ", ".join([*order, "t.rowid"]), tuple(ignored), conditions)


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
