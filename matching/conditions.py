"""Break conditions written in rule files: parsed, allow-listed and rendered, never pasted into SQL."""

from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from matching.tables import MEASURED, SIDE_FIELDS

_SIDE = frozenset({
    *SIDE_FIELDS, "pb", "qty", "price", "commission", "net", "n", "asset", "gross", "accrued", "fees", "fee_lines",
})  # fmt: skip
COLUMNS: Mapping[str, frozenset[str]] = {
    "l": _SIDE,
    "r": _SIDE,
    "d": frozenset({"qty", "scaled", *MEASURED}),
    "t": frozenset(MEASURED),
}

_ALLOWED = (
    exp.Column, exp.Identifier, exp.Literal, exp.Paren,
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.Is, exp.Null,
    exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Abs,
)  # fmt: skip


class ConditionError(ValueError):
    """A condition that is not a comparison over l, r, d and t; the message names the offending part."""


def parse(text: str) -> exp.Expression:
    """The condition as a tree of allowed nodes; raises ConditionError naming what is not allowed."""
    try:
        tree = sqlglot.parse_one(f"select 1 where {text}", read="snowflake")
    except SqlglotError as error:
        raise ConditionError(f"cannot read condition {text!r}: {str(error).splitlines()[0]}") from error
    where = tree.args.get("where")
    if not isinstance(tree, exp.Select) or where is None or set(_used(tree)) != {"expressions", "where"}:
        raise ConditionError(f"condition {text!r} must be one comparison, nothing around it")
    condition: exp.Expression = where.this
    for node in condition.walk():
        if not isinstance(node, _ALLOWED):
            raise ConditionError(f"condition {text!r} uses {node.sql()!r}, which is not allowed here")
        if isinstance(node, exp.Column):
            _check(node, text)
    return condition


def _used(tree: exp.Expression) -> list[str]:
    return [name for name, value in tree.args.items() if value]


def _check(column: exp.Column, text: str) -> None:
    side, name = column.table.lower(), column.name.lower()
    if column.args.get("db") or name not in COLUMNS.get(side, frozenset()):
        known = ", ".join(sorted(COLUMNS.get(side, frozenset()))) or "l, r, d, t as prefixes"
        raise ConditionError(f"condition {text!r} names {column.sql()!r}; known: {known}")


def render(text: str, alias: str) -> str:
    """Snowflake SQL over the comparison row `alias`: `l.qty` becomes `alias.l_qty`. Side fields compare as sets."""

    def rewrite(node: exp.Expression) -> exp.Expression:
        both = _set_difference(node, alias)
        if both is not None:
            return both
        if isinstance(node, exp.Column) and node.table.lower() in COLUMNS:
            return exp.column(f"{node.table.lower()}_{node.name.lower()}", table=alias)
        return node

    return parse(text).transform(rewrite).sql(dialect="snowflake")


def _set_difference(node: exp.Expression, alias: str) -> exp.Expression | None:
    """`l.account <> r.account` over a group means its least or its greatest account differs."""
    if not isinstance(node, (exp.NEQ, exp.EQ)):
        return None
    left, right = node.this, node.expression
    if not (isinstance(left, exp.Column) and isinstance(right, exp.Column)) or left.name != right.name:
        return None
    if left.name.lower() not in SIDE_FIELDS or {left.table.lower(), right.table.lower()} != {"l", "r"}:
        return None
    kind, join = (exp.NEQ, exp.or_) if isinstance(node, exp.NEQ) else (exp.EQ, exp.and_)
    name = left.name.lower()
    ends = [
        kind(this=exp.column(f"l_{name}{end}", table=alias), expression=exp.column(f"r_{name}{end}", table=alias))
        for end in ("", "_top")
    ]
    return exp.paren(join(*ends))
