"""Which statements can do nothing because a table they need is empty: told from their text, so nobody has to ask.

A statement costs the warehouse milliseconds of planning whether it finds anything or not, and most of what a small run
could look for is not there. What a statement needs is a condition over table names, read off its joins and filters
once: `any` of its parts empties a join, `all` of them a union.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from warehouse.sql import parsed


@dataclass(frozen=True, slots=True)
class Void:
    """Holds where the tables in `names` or the `parts` are: any of them, or all of them with `every`."""

    names: frozenset[str] = frozenset()
    parts: tuple["Void", ...] = ()
    every: bool = False

    def holds(self, empty: Container[str]) -> bool:
        """Whether the statement does nothing while the tables in `empty` have no row."""
        if self.every:
            return all(name in empty for name in self.names) and all(part.holds(empty) for part in self.parts)
        return any(name in empty for name in self.names) or any(part.holds(empty) for part in self.parts)


# What is never known to do nothing, and what always does.
_NEVER = Void()
_Scope = Mapping[str, Void]


@lru_cache(maxsize=4096)
def void(sql: str) -> Void:
    """When the statement, a query or one that changes a table, finds no row; never where that cannot be told."""
    node = parsed(sql)
    if isinstance(node, exp.Insert):
        return _query(node.expression, {})
    if isinstance(node, (exp.Delete, exp.Update)):
        return _any(_source(node.this, {}), _filter(node.args.get("where"), {}))
    return _query(node, {})


@lru_cache(maxsize=4096)
def emptied_by(sql: str) -> str | None:
    """The table of which a statement leaves no row; None where it is no such statement."""
    words = sql.split()
    return words[2].lower() if len(words) == 3 and [word.lower() for word in words[:2]] == ["delete", "from"] else None


def _any(*parts: Void) -> Void:
    told = [part for part in parts if part != _NEVER]
    names = frozenset[str]().union(*(part.names for part in told if not part.every))
    rest = (deep for part in told for deep in ((part,) if part.every else part.parts))
    return Void(names, tuple(dict.fromkeys(rest)))


def _all(parts: list[Void]) -> Void:
    return _NEVER if _NEVER in parts else Void(parts=tuple(dict.fromkeys(parts)), every=True)


def _query(node: exp.Expr | None, scope: _Scope) -> Void:
    if isinstance(node, (exp.Subquery, exp.Paren)):
        return _NEVER if node.args.get("joins") else _query(node.this, _with(node, scope))
    if isinstance(node, exp.Union):
        inner = _with(node, scope)
        return _all([_query(node.left, inner), _query(node.right, inner)])
    if isinstance(node, exp.Select) and not _counts(node):
        inner = _with(node, scope)
        return _any(_joined(node, inner), _filter(node.args.get("where"), inner))
    return _NEVER


def _counts(node: exp.Select) -> bool:
    """Whether a row comes back of nothing: totals without groups."""
    if node.args.get("group"):
        return False
    told = [*node.expressions, *(node.args[name] for name in ("having", "qualify", "order") if node.args.get(name))]
    # A function nobody knows may be one that totals.
    return any(
        not _over(call) and call.find_ancestor(exp.Select) is node
        for part in told
        for call in part.find_all(exp.AggFunc, exp.Anonymous)
    )


def _over(call: exp.Expr) -> bool:
    """Whether it is told over a window: of nothing nothing."""
    return isinstance(call.parent, exp.Window) and call.parent.this is call


def _with(node: exp.Expr, scope: _Scope) -> _Scope:
    """The scope with the queries the node names itself; one that asks itself begins with nothing."""
    found = node.args.get("with_") or node.args.get("with")
    if found is None:
        return scope
    inner = dict(scope)
    for named in found.expressions:
        name = named.alias_or_name.lower()
        own = {**inner, name: Void(every=True)} if found.args.get("recursive") else inner
        inner[name] = _query(named.this, own)
    return inner


def _joined(node: exp.Select, scope: _Scope) -> Void:
    start = node.args.get("from_") or node.args.get("from")
    if start is None:
        return _NEVER
    found = _source(start.this, scope)
    for join in node.args.get("joins") or ():
        other = _source(join.this, scope)
        side = (join.side or "").upper()
        if (join.kind or "").upper() not in ("", "INNER", "CROSS", "OUTER"):
            return _NEVER
        if side == "":
            found = _any(found, other)
        elif side == "RIGHT":
            found = other
        elif side != "LEFT":
            found = _all([found, other])
    return found


def _source(node: exp.Expr, scope: _Scope) -> Void:
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        name = node.name.lower()
        return scope.get(name, Void(frozenset({name}))) if not node.args.get("joins") else _NEVER
    return _query(node, scope)


def _filter(where: exp.Expr | None, scope: _Scope) -> Void:
    """What a condition that must hold asks for: rows of a query."""
    node = where.this if isinstance(where, exp.Where) else where
    if isinstance(node, exp.Paren):
        return _filter(node.this, scope)
    if isinstance(node, exp.And):
        return _any(_filter(node.left, scope), _filter(node.right, scope))
    if isinstance(node, exp.Or):
        return _all([_filter(node.left, scope), _filter(node.right, scope)])
    if isinstance(node, exp.Exists):
        return _query(node.this, scope)
    if isinstance(node, exp.In) and node.args.get("query") is not None:
        return _query(node.args["query"], scope)
    return _NEVER
