"""The functions a JSONPath may end with, `$.legs.length()`: one value of an array, or of all that a path finds."""

import statistics
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any


def _numbers(value: Any) -> list[float]:
    """The numbers of an array; raises ValueError when there is none."""
    items = value if isinstance(value, list) else [value]
    found = [float(item) for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
    if not found:
        raise ValueError("no numbers")
    return found


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list | Mapping) else None


def _keys(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        raise ValueError("not an object")
    return list(value)


def _at(place: int) -> Callable[[Any], Any]:
    def item(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise ValueError("no items")
        return value[place]

    return item


# By name; each raises ValueError for a value it cannot take.
AGGREGATES: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "length": _length,
        "size": _length,
        "min": lambda value: min(_numbers(value)),
        "max": lambda value: max(_numbers(value)),
        "sum": lambda value: sum(_numbers(value)),
        "avg": lambda value: statistics.fmean(_numbers(value)),
        "stddev": lambda value: statistics.pstdev(_numbers(value)),
        "keys": _keys,
        "first": _at(0),
        "last": _at(-1),
    }
)
