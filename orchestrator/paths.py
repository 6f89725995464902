"""JSONPath as Amazon States Language uses it: references, wildcards, slices, recursive descent, filters."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from orchestrator import filters
from orchestrator.aggregates import AGGREGATES
from orchestrator.errors import StateFailure, runtime

_TOKEN = re.compile(
    r"""
    \.\.(?P<deep>[^.\[\]\s()?@]+|\*)      # ..name or ..*
  | (?P<under>\.\.)(?=\[)                # ..[
  | \.(?P<name>\*|[^.\[\]\s]+)            # .name or .*
  | \[\s*(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\]
  | \[\s*(?P<names>(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?:\s*,\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))+)\s*\]
  | \[\s*(?P<index>-?\d+)\s*\]
  | \[\s*(?P<star>\*)\s*\]
  | \[\s*(?P<slice>-?\d*:-?\d*(?::-?\d*)?)\s*\]
  | \[\s*(?P<union>-?\d+(?:\s*,\s*-?\d+)+)\s*\]
    """,
    re.X,
)
_FILTER, _CLOSED = re.compile(r"\[\s*\?\s*\("), re.compile(r"\s*\]")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
Step = tuple[str, Any]
# Steps that lead from one value to one value.
_SINGLE = frozenset({"name", "index"})


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
        try:
            kind, value, position = _token(path, position)
            step = _step(kind, value)
        except ValueError:
            raise runtime(f"Invalid path '{path}'") from None
        is_last = position == len(path)
        if step[0] == "function" and not is_last:
            raise runtime(f"Invalid path '{path}'")
        # Several names are one object of them, where nothing follows; a function makes one value of many.
        is_one = step[0] in _SINGLE or (step[0] == "names" and is_last)
        definite = (definite and is_one) or step[0] == "function"
        if step[0] == "filter" and steps and steps[-1][0] == "under":
            steps[-1] = ("hunt", step[1])
        else:
            steps.append(step)
    return definite, tuple(steps)


def _token(path: str, position: int) -> tuple[str, str, int]:
    """The kind and words of the next step, and where it ends; raises ValueError for what is none."""
    opened = _FILTER.match(path, position)
    if opened is None:
        match = _TOKEN.match(path, position)
        if match is None:
            raise ValueError(path)
        kind = str(match.lastgroup)
        return kind, match.group(kind), match.end()
    depth, quote, at = 1, "", opened.end()
    while depth:
        char = path[at : at + 1]
        if not char:
            raise ValueError(path)
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += (char == "(") - (char == ")")
        at += 1
    closed = _CLOSED.match(path, at)
    if closed is None:
        raise ValueError(path)
    return "filter", path[opened.end() : at - 1], closed.end()


def _step(kind: str, value: str) -> Step:
    if kind == "quoted":
        return "name", _unquoted(value)[0]
    if kind == "names":
        return "names", tuple(_unquoted(value))
    if kind == "index":
        return "index", int(value)
    if kind == "slice":
        bounds = [int(part) if part else None for part in value.split(":")]
        if bounds[2:] == [0]:
            raise ValueError("a slice's step is not 0")
        return "slice", slice(*bounds)
    if kind == "union":
        return "union", tuple(int(part) for part in value.split(","))
    if kind == "filter":
        return "filter", filters.parse(value, _in_filter)
    if kind == "name" and value.endswith("()") and value[:-2] in AGGREGATES:
        return "function", value[:-2]
    if kind == "name" and value != "*":
        return "name", value
    return (kind, value) if kind in ("deep", "under") else ("star", None)


def _unquoted(text: str) -> list[str]:
    return [
        re.sub(r"\\(['\\])", r"\1", single) if single or not double else re.sub(r'\\(["\\])', r"\1", double)
        for single, double in _QUOTED.findall(text)
    ]


def _in_filter(path: str, value: Any) -> Any:
    found = _walk(path, value)
    return filters.MISSING if is_missing(found) else found


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
        if step[0] not in _SINGLE:
            break
        walked += f"['{step[1]}']" if step[0] == "name" else f"[{step[1]}]"
        inner = _apply(step, data, data)
        if not inner:
            return f"Missing property in path {walked}"
        data = inner[0]
    last = "".join(f"['{name}']" if kind == "name" else f"[{name}]" for kind, name in steps[-1:] if kind in _SINGLE)
    return f"No results for path: {walked}{last}"


class _Missing:
    pass


MISSING = _Missing()


@lru_cache(maxsize=4096)
def _plain(path: str) -> tuple[str, ...] | None:
    """The names of a path in the data that consists of nothing else, None for any other: most are."""
    if path.startswith("$$") or _VARIABLE.match(path) or not path.startswith("$"):
        return None
    steps = parse(path)[1]
    return tuple(name for _, name in steps) if all(kind == "name" for kind, _ in steps) else None


def find(path: str, data: Any, around: Surroundings) -> Any:
    """As `read`, but MISSING instead of a failure; an indefinite path gives a list, maybe empty."""
    names = _plain(path)
    if names is not None:
        for name in names:
            if (type(data) is not dict and not isinstance(data, Mapping)) or name not in data:
                return MISSING
            data = data[name]
        return data
    rooted, variable = _rooted(path)
    if variable is not None:
        data = around.variables.get(variable, MISSING)
    elif path.startswith("$$"):
        data = around.context
    return MISSING if is_missing(data) else _walk(rooted, data)


def is_past_the_end(path: str, data: Any, around: Surroundings) -> bool:
    """Whether a definite path that finds nothing asks an array for an item it does not have: null in a template."""
    before, _, index = path.rpartition("[")
    if not before or not index.rstrip("] ").lstrip("- ").isdigit() or not is_definite(path):
        return False
    return isinstance(find(before, data, around), list)


def is_definite(path: str) -> bool:
    """Whether the path leads to at most one value."""
    return parse(_rooted(path)[0])[0]


def is_reference(path: str) -> bool:
    """Whether the path names one place in the data, as ResultPath must."""
    try:
        steps = () if path.startswith("$$") or _VARIABLE.match(path) else parse(path)[1]
        return bool(steps or path == "$") and all(kind in ("name", "index") for kind, _ in steps)
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
    values, is_one = [data], True
    for step in steps:
        if step[0] == "function":
            return _aggregated(step[1], values[0] if is_one else values)
        values = [found for value in values for found in _apply(step, value, data)]
        is_one = is_one and step[0] in _SINGLE
        if not values and (is_one if steps[-1][0] == "function" else definite):
            return MISSING
    return values[0] if definite else values


def _aggregated(name: str, value: Any) -> Any:
    try:
        return AGGREGATES[name](value)
    except ValueError:
        return MISSING


def is_missing(value: Any) -> bool:
    """Whether `find` found nothing."""
    return isinstance(value, _Missing)


def _apply(step: Step, value: Any, whole: Any) -> list[Any]:
    kind, argument = step
    if kind == "name":
        return [value[argument]] if isinstance(value, Mapping) and argument in value else []
    if kind == "index":
        return [value[argument]] if isinstance(value, list) and -len(value) <= argument < len(value) else []
    if kind == "names":
        return [{name: value[name] for name in argument if name in value}] if isinstance(value, Mapping) else []
    if kind == "slice":
        return list(value[argument]) if isinstance(value, list) else []
    if kind == "union":
        return [found for index in argument for found in _apply(("index", index), value, whole)]
    if kind == "deep":
        wanted: Step = ("star", None) if argument == "*" else ("name", argument)
        return [found for node in _nodes(value) for found in _apply(wanted, node, whole)]
    if kind == "under":
        return list(_nodes(value))
    if kind == "hunt":
        return [node for node in _nodes(value) if argument(node, whole)]
    items = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    if kind == "star":
        return list(items)
    # A filter looks at the items of an array, or at an object itself.
    tried = [value] if isinstance(value, Mapping) else items
    return [item for item in tried if argument(item, whole)]


def _nodes(value: Any) -> Iterator[Any]:
    """A value and everything in it, outer first."""
    yield value
    for child in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _nodes(child)


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
