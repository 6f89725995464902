"""Choice rules: every comparison operator of Amazon States Language, its Path variants, And, Or and Not."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from orchestrator.errors import StateFailure, runtime
from orchestrator.paths import Surroundings, find, is_definite, is_missing, read

_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})")


def is_timestamp(value: Any) -> bool:
    """Whether the value is an RFC 3339 timestamp as the language accepts it (upper-case T, Z or an offset)."""
    if not isinstance(value, str) or _TIMESTAMP.fullmatch(value) is None:
        return False
    try:
        _time(value)
    except ValueError:
        return False
    return True


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _time(value: str) -> tuple[datetime, str]:
    """The time to the second and the digits after it, so that nanoseconds compare."""
    match = _TIMESTAMP.fullmatch(value)
    assert match is not None
    second, fraction, offset = match.groups()
    return datetime.fromisoformat(second + offset.replace("Z", "+00:00")), (fraction or "")[1:].rstrip("0")


def _matches(text: str, pattern: str) -> bool:
    parts = re.split(r"(\\\*|\\\\|\*)", pattern)
    spelled = {"*": ".*", "\\*": re.escape("*"), "\\\\": re.escape("\\")}
    return re.fullmatch("".join(spelled.get(p, re.escape(p)) for p in parts), text, re.S) is not None


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "Equals": lambda a, b: a == b,
        "LessThan": lambda a, b: a < b,
        "GreaterThan": lambda a, b: a > b,
        "LessThanEquals": lambda a, b: a <= b,
        "GreaterThanEquals": lambda a, b: a >= b,
    }
)
_KINDS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = MappingProxyType(
    {
        "String": (_string, lambda v: v),
        "Numeric": (_number, lambda v: v),
        "Boolean": (lambda v: isinstance(v, bool), lambda v: v),
        "Timestamp": (is_timestamp, _time),
    }
)
_TESTS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "IsNull": lambda v: v is None,
        "IsString": _string,
        "IsNumeric": _number,
        "IsBoolean": lambda v: isinstance(v, bool),
        "IsTimestamp": is_timestamp,
    }
)
OPERATORS = frozenset(
    [f"{kind}{name}{path}" for kind in ("String", "Numeric", "Timestamp") for name in _COMPARE for path in ("", "Path")]
    + ["BooleanEquals", "BooleanEqualsPath", "StringMatches", "IsPresent", *_TESTS]
)


def holds(rule: Mapping[str, Any], data: Any, around: Surroundings) -> bool:
    """Whether a choice rule is true of the data. Raises StateFailure (States.Runtime) for a path that finds nothing."""
    if "Not" in rule:
        return not holds(rule["Not"], data, around)
    if "And" in rule:
        return all(holds(inner, data, around) for inner in rule["And"])
    if "Or" in rule:
        return any(holds(inner, data, around) for inner in rule["Or"])
    operator = next((key for key in rule if key in OPERATORS), None)
    if operator is None:
        raise runtime("A choice rule has no comparison operator")
    expected, variable = rule[operator], rule["Variable"]
    if operator == "IsPresent":
        return _present(find(variable, data, around), variable) is expected
    value = _variable(variable, data, around)
    if operator in _TESTS:
        return _TESTS[operator](value) is expected
    if operator == "StringMatches":
        return isinstance(value, str) and _matches(value, expected)
    if operator.endswith("Path"):
        operator, expected = operator.removesuffix("Path"), _variable(expected, data, around)
    kind = next(name for name in _KINDS if operator.startswith(name))
    is_kind, convert = _KINDS[kind]
    if not is_kind(value) or not is_kind(expected):
        return False
    return _COMPARE[operator.removeprefix(kind)](convert(value), convert(expected))


def _variable(path: str, data: Any, around: Surroundings) -> Any:
    try:
        return read(path, data, around)
    except StateFailure as error:
        raise runtime(
            f"Invalid path '{path}': The choice state's condition path references an invalid value."
        ) from error


def _present(found: Any, path: str) -> bool:
    # An empty array that is really there is present; a filter or wildcard that finds nothing is not.
    return not is_missing(found) and (found != [] or is_definite(path))
