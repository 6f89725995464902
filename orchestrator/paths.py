"""JSONPath as Amazon States Language uses it: references, wildcards, slices, recursive descent, one-term filters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from orchestrator.errors import StateFailure, runtime

_TOKEN = re.compile(
    r"""
    \.\.(?P<deep>[^.\[\]\s()?@]+|\*)      # ..name or ..*
  | \.(?P<name>\*|[^.\[\]\s]+)            # .name or .*
  | \[\s*(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\]
  | \[\s*(?P<index>-?\d+)\s*\]
  | \[\s*(?P<star>\*)\s*\]
  | \[\s*(?P<slice>-?\d*:-?\d*(?::-?\d*)?)\s*\]
  | \[\s*(?P<union>-?\d+(?:\s*,\s*-?\d+)+)\s*\]
  | \[\?\(\s*@(?P<fpath>[^\s=!<>()]*)\s*
      (?:(?P<fop>==|!=|<=|>=|<|>)\s*(?P<fvalue>'[^'\\]*'|"[^"\\]*"|[^\s'")&|]+))?\s*\)\]
    """,
    re.X,
)
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
_WORDS: Mapping[str, bool | None] = MappingProxyType({"true": True, "false": False, "null": None})
Step = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a path can reach besides the data: the context object (`$$`) and the variables (`$name`)."""

    context: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def parse(path: str) -> tuple[bool, tuple[Step, ...]]:
    """Whether the path is definite (one value) and its steps, without the leading `$`. Raises States.Runtime."""
    steps: list[Step] = []
    position, definite = 1, True
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise runtime(f"Invalid path '{path}'")
        kind = match.lastgroup if match.lastgroup not in ("fop", "fvalue") else "fpath"
        value: Any = match.group(kind or "")
        if kind == "quoted":
            steps.append(("name", re.sub(r"\\(['\\])", r"\1", value[1:-1])))
        elif kind == "index":
            steps.append(("index", int(value)))
        elif kind == "name" and value != "*":
            steps.append(("name", value))
        else:
            definite = False
            try:
                steps.append(_indefinite(str(kind), value, match))
            except ValueError:
                raise runtime(f"Invalid path '{path}'") from None
        position = match.end()
    return definite, tuple(steps)


def _indefinite(kind: str, value: str, match: re.Match[str]) -> Step:
    if kind == "slice":
        bounds = [int(part) if part else None for part in value.split(":")]
        if bounds[2:] == [0]:
            raise ValueError("a slice's step is not 0")
        return "slice", slice(*bounds)
    if kind == "union":
        return "union", tuple(int(part) for part in value.split(","))
    if kind == "fpath":
        parse("$" + value)
        literal = match.group("fvalue")
        return "filter", ("$" + value, match.group("fop"), None if literal is None else _literal(literal))
    return ("deep", value) if kind == "deep" else ("star", None)


def read(path: str, data: Any, around: Surroundings) -> Any:
    """The value at `path`: `$...` in the data, `$$...` in the context object, `$name...` in a variable.

    Raises StateFailure (States.Runtime) when a definite path finds nothing.
    """
    found = find(path, data, around)
    if is_missing(found):
        raise runtime(f"Invalid path '{path}' : {_why_missing(path, data, around)}")
    return found


def _why_missing(path: str, data: Any, around: Surroundings) -> str:
    """What a definite path that finds nothing lacks, in the words Step Functions records."""
    rooted, variable = _rooted(path)
    if variable is not None:
        data = around.variables.get(variable, {})
    elif path.startswith("$$"):
        data = around.context
    steps, walked = parse(rooted)[1], "$"
    for step in steps[:-1]:
        walked += f"['{step[1]}']" if step[0] == "name" else f"[{step[1]}]"
        inner = _apply(step, data)
        if not inner:
            return f"Missing property in path {walked}"
        data = inner[0]
    last = "".join(f"['{name}']" if kind == "name" else f"[{name}]" for kind, name in steps[-1:])
    return f"No results for path: {walked}{last}"


class _Missing:
    pass


MISSING = _Missing()


def find(path: str, data: Any, around: Surroundings) -> Any:
    """As `read`, but MISSING instead of a failure; an indefinite path gives a list, maybe empty."""
    rooted, variable = _rooted(path)
    if variable is not None:
        data = around.variables.get(variable, MISSING)
    elif path.startswith("$$"):
        data = around.context
    return MISSING if is_missing(data) else _walk(rooted, data)


def is_definite(path: str) -> bool:
    """Whether the path leads to at most one value."""
    return parse(_rooted(path)[0])[0]


def is_reference(path: str) -> bool:
    """Whether the path names one place in the data, as ResultPath must."""
    try:
        return not path.startswith("$$") and not _VARIABLE.match(path) and is_definite(path)
    except StateFailure:
        return False


def check(path: str) -> None:
    """Raises StateFailure (States.Runtime) for what is no path."""
    parse(_rooted(path)[0])


def _rooted(path: str) -> tuple[str, str | None]:
    """The path from its own root `$`, and the variable that is its root, if one is."""
    if not path.startswith("$"):
        raise runtime(f"Invalid path '{path}': it must start with '$'")
    if path.startswith("$$"):
        return path[1:], None
    variable = _VARIABLE.match(path)
    return ("$" + path[variable.end() :], variable.group(1)) if variable else (path, None)


def _walk(path: str, data: Any) -> Any:
    definite, steps = parse(path)
    values = [data]
    for step in steps:
        values = [found for value in values for found in _apply(step, value)]
        if definite and not values:
            return MISSING
    return values[0] if definite else values


def is_missing(value: Any) -> bool:
    """Whether `find` found nothing."""
    return isinstance(value, _Missing)


def _apply(step: Step, value: Any) -> list[Any]:
    kind, argument = step
    if kind == "name":
        return [value[argument]] if isinstance(value, Mapping) and argument in value else []
    if kind == "index":
        return [value[argument]] if isinstance(value, list) and -len(value) <= argument < len(value) else []
    if kind == "star":
        return list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else []
    if kind == "slice":
        return list(value[argument]) if isinstance(value, list) else []
    if kind == "union":
        return [found for index in argument for found in _apply(("index", index), value)]
    if kind == "deep":
        return _descend(argument, value)
    return _filtered(argument, value)


def _descend(name: str, value: Any) -> list[Any]:
    found = _apply(("star", None) if name == "*" else ("name", name), value)
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for child in children:
        found += _descend(name, child)
    return found


def _filtered(condition: tuple[str, str | None, Any], value: Any) -> list[Any]:
    path, operator, literal = condition
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, Mapping) else []
    kept = []
    for item in items:
        found = _walk(path, item)
        if not is_missing(found) and (operator is None or _holds(found, operator, literal)):
            kept.append(item)
    return kept


def _literal(text: str) -> Any:
    text = text.strip()
    if text[:1] in "'\"":
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    # A bare word is a string, as AWS takes it.
    return text if text.isidentifier() else float(text) if "." in text else int(text)


def _holds(left: Any, operator: str, right: Any) -> bool:
    if operator == "==":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    try:
        return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])
    except TypeError:
        return False


def write(path: str, data: Any, value: Any) -> Any:
    """A copy of `data` with `value` at the reference path `path`, nodes created on the way (ResultPath)."""
    if path == "$":
        return value
    if not is_reference(path):
        raise StateFailure("States.ResultPathMatchFailure", f"'{path}' is not a reference path")
    return _written(parse(path)[1], data, value)


def _written(steps: tuple[Step, ...], data: Any, value: Any) -> Any:
    if not steps:
        return value
    (kind, argument), rest = steps[0], steps[1:]
    if kind == "name":
        if not isinstance(data, Mapping):
            raise StateFailure("States.ResultPathMatchFailure", "Unable to apply ReferencePath to the input")
        return {**data, argument: _written(rest, data.get(argument, {} if rest else None), value)}
    if not isinstance(data, list) or not 0 <= argument < len(data):
        raise StateFailure("States.ResultPathMatchFailure", "Unable to apply ReferencePath to the input")
    return [*data[:argument], _written(rest, data[argument], value), *data[argument + 1 :]]
